"""The official library for Python, pointed at a local server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

if TYPE_CHECKING:
    from .server import LocalServer


class Redirected(TwilioHttpClient):  # type: ignore[misc]
    """Sends to the local server what the library would send to the hosted services."""

    def __init__(self, base_url: str) -> None:
        super().__init__()
        self._base_url = base_url

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        """The answer of the local server."""
        _, _, rest = url.partition("://")
        _, slash, path = rest.partition("/")
        return super().request(method, f"{self._base_url}{slash}{path}", *args, **kwargs)


def twilio_client(server: LocalServer) -> Client:
    """A client of the official library for the server's account."""
    return Client(server.account_sid, server.auth_token, http_client=Redirected(server.base_url))
