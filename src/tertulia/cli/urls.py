"""The URLs under which a server is reached."""

from __future__ import annotations

from tertulia.server.settings import Settings

WEBSOCKET_PATH = "/v3/wsconnect"

# Addresses that mean "all of this machine" are no addresses to call.
_CALLABLE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104


def base_url(settings: Settings) -> str:
    """The URL of the account API without ``/v1``, as clients reach it, as far as the settings tell."""
    return settings.server.public_url or local_url(settings)


def local_url(settings: Settings) -> str:
    """The same from this machine, past any proxy."""
    host = _CALLABLE.get(settings.server.host, settings.server.host)
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.server.port}"


def websocket_url(base_url: str) -> str:
    """Where the client SDKs connect (their option ``Twilsock.uri``), beside the account API."""
    return "ws" + base_url.removeprefix("http") + WEBSOCKET_PATH
