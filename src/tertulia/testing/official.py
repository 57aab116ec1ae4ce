"""The official library for Python, pointed at a local server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

if TYPE_CHECKING:
    from .server import LocalServer


class Redirected(TwilioHttpClient):  # type: ignore[misc]
    """Sends to the local server what the library would send to the hosted services, whichever of them."""

    def __init__(self, base_url: str) -> None:
        super().__init__(timeout=20)
        # A proxy that the environment names has no way to this machine's loopback.
        self.session.trust_env = False
        self._base_url = base_url

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        """The answer of the local server."""
        _, _, rest = url.partition("://")
        _, slash, path = rest.partition("/")
        return super().request(method, f"{self._base_url}{slash}{path}", *args, **kwargs)


@contextmanager
def twilio_client(server: LocalServer) -> Iterator[Client]:
    """A client of the official library for the server's account, for as long as the block lasts."""
    redirected = Redirected(server.base_url)
    with redirected.session:
        yield Client(server.account_sid, server.auth_token, http_client=redirected)
