"""Subscriptions of browsers, as good as any, that lead nowhere."""

from __future__ import annotations

import json

POINT = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
AUTH = "BTBZMqHH6r4Tts7J_aSIgg"
"""The browser's keys in the example of RFC 8291 5."""


def subscription(name: str) -> str:
    """That of one browser, always the same."""
    return json.dumps({"endpoint": f"https://push.test/{name}", "keys": {"p256dh": POINT, "auth": AUTH}})
