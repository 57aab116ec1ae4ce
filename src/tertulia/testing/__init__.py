"""A real server inside a test, offline: for code that uses the official libraries, or ours.

    from tertulia.testing import running_server

    with running_server() as server:
        ...  # server.base_url, server.account_sid, server.token("ana"), server.clock.advance(hours=1)

With pytest there is nothing to import: ``plugin`` has fixtures. In reading order: ``clock`` (time that can be
advanced), ``hosting`` (a server in an event loop), ``server`` (its thread, and the way in), ``webhooks`` (a receiver
that remembers), ``official`` (the official library for Python, pointed at it), ``plugin``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .clock import ShiftedClock as ShiftedClock
    from .official import redirected as redirected
    from .server import LocalServer as LocalServer
    from .server import running_server as running_server
    from .webhooks import CapturedWebhook as CapturedWebhook
    from .webhooks import WebhookReceiver as WebhookReceiver
    from .webhooks import capturing as capturing

_WHERE = {
    "CapturedWebhook": "webhooks",
    "LocalServer": "server",
    "ShiftedClock": "clock",
    "WebhookReceiver": "webhooks",
    "capturing": "webhooks",
    "redirected": "official",
    "running_server": "server",
}

__all__ = [
    "CapturedWebhook",
    "LocalServer",
    "ShiftedClock",
    "WebhookReceiver",
    "capturing",
    "redirected",
    "running_server",
]


def __getattr__(name: str) -> Any:
    """Imports a part when it is first used: every run of pytest loads this package, few use it."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
