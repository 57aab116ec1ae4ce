"""A real server inside a test, offline: for code that uses the official libraries, or ours.

    from tertulia.testing import running_server

    with running_server() as server:
        ...  # server.base_url, server.account_sid, server.token("ana"), server.clock.advance(hours=1)

With pytest there is nothing to import: ``plugin`` has fixtures. In reading order: ``clock`` (time that can be
advanced),
``server`` (a server in a thread of its own), ``webhooks`` (a receiver that remembers), ``plugin``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .clock import ShiftedClock as ShiftedClock
    from .server import LocalServer as LocalServer
    from .server import running_server as running_server
    from .webhooks import CapturedWebhook as CapturedWebhook
    from .webhooks import WebhookReceiver as WebhookReceiver

_WHERE = {
    "CapturedWebhook": "webhooks",
    "LocalServer": "server",
    "ShiftedClock": "clock",
    "WebhookReceiver": "webhooks",
    "running_server": "server",
}

__all__ = ["CapturedWebhook", "LocalServer", "ShiftedClock", "WebhookReceiver", "running_server"]


def __getattr__(name: str) -> Any:
    """Imports a part when it is first used: every run of pytest loads this package, few use it."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
