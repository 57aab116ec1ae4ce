"""Telnyx, version 2, as far as a client can tell it from the real one; it signs callbacks with a key made here."""

from __future__ import annotations

import base64
import json
import uuid
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tertulia.server.clock import Clock

from .http_provider import Answered, Asked, HttpProvider

API_KEY: Final = "KEY-of-a-double"
MOST_IN_GROUP: Final = 8


def error(status: int, code: str) -> Answered:
    """An error as Telnyx writes it."""
    return Answered(status, {"errors": [{"code": code, "title": "Something", "detail": "is wrong: +15550101"}]})


class TelnyxPeer(HttpProvider):
    """One account."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.messages: dict[str, dict[str, Any]] = {}
        self._clock = clock
        self._key = Ed25519PrivateKey.generate()

    @property
    def public_key(self) -> str:
        return base64.b64encode(self._key.public_key().public_bytes_raw()).decode()

    async def judged(self, asked: Asked) -> Answered:
        if asked.headers.get("Authorization") != f"Bearer {API_KEY}":
            return error(401, "10009")
        if asked.path == "/v2/messaging_profiles":
            return Answered(200, {"data": []})
        if asked.path not in ("/v2/messages", "/v2/messages/group_mms"):
            return error(404, "10005")
        said = asked.json
        is_group = asked.path.endswith("group_mms")
        to = said.get("to")
        if is_group != isinstance(to, list) or (is_group and not 2 <= len(to) <= MOST_IN_GROUP):
            return error(422, "40310")
        if not said.get("text") and not said.get("media_urls"):
            return error(422, "40316")
        name = str(uuid.uuid4())
        self.messages[name] = said
        people = to if is_group else [to]
        told = {
            "id": name,
            "record_type": "message",
            "direction": "outbound",
            "parts": 1,
            "to": [{"phone_number": one, "status": "queued"} for one in people],
        }
        return Answered(200, {"data": told})

    async def report(self, name: str, event: str, states: dict[str, str], code: str | None = None) -> int:
        """Tell the message's ``webhook_url`` what became of it, by number; what that answers."""
        to = [{"phone_number": number, "status": status} for number, status in states.items()]
        errors = [] if code is None else [{"code": code, "title": "Something"}]
        payload = {"id": name, "direction": "outbound", "to": to, "errors": errors}
        return await self.say(self.messages[name]["webhook_url"], event, payload)

    async def say(self, url: str, event: str, payload: dict[str, Any]) -> int:
        """A signed event; what it is answered with."""
        body, headers = self.signed(event, payload)
        return await self.call(url, body, headers)

    def signed(self, event: str, payload: dict[str, Any]) -> tuple[bytes, dict[str, str]]:
        """Body and headers of an event."""
        data = {"event_type": event, "id": str(uuid.uuid4()), "record_type": "event", "payload": payload}
        body = json.dumps({"data": data, "meta": {"attempt": 1}}).encode()
        at = str(self._clock.now() // 1_000_000)
        signature = base64.b64encode(self._key.sign(at.encode() + b"|" + body)).decode()
        return body, {
            "Content-Type": "application/json",
            "Telnyx-Signature-Ed25519": signature,
            "Telnyx-Timestamp": at,
        }
