"""The official library for Python, pointed at a local server: one client of the test's own, or all that there are."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from twilio.base.client_base import ClientBase
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
        return super().request(method, _moved(url, self._base_url), *args, **kwargs)


@contextmanager
def twilio_client(server: LocalServer) -> Iterator[Client]:
    """A client of the official library for the server's account, for as long as the block lasts."""
    redirected = Redirected(server.base_url)
    with redirected.session:
        yield Client(server.account_sid, server.auth_token, http_client=redirected)


@contextmanager
def redirected(server: LocalServer) -> Iterator[None]:
    """Every client of the official library in this process talks to the server, for as long as the block lasts.

    Whoever made it, when, and with whichever credentials, region or HTTP client: it is logged in as the server's
    account; one without any is refused, as ever. ``TWILIO_ACCOUNT_SID`` and ``TWILIO_AUTH_TOKEN`` are the server's
    meanwhile. Afterwards all is as it was. Requests that are made without the library go where they went, and a proxy
    that the code itself names is still asked.
    """
    was = (ClientBase.get_hostname, ClientBase.get_auth)

    def get_hostname(_client: ClientBase, uri: str) -> str:
        return _moved(uri, server.base_url)

    def get_auth(_client: ClientBase, _auth: object = None) -> tuple[str, str]:
        return server.account_sid, server.auth_token

    exempt = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
    variables = {
        "TWILIO_ACCOUNT_SID": server.account_sid,
        "TWILIO_AUTH_TOKEN": server.auth_token,
        # A proxy that the environment names has no way to this machine's loopback.
        "no_proxy": f"{exempt},127.0.0.1" if exempt else "127.0.0.1",
    }
    with _environment(variables):
        ClientBase.get_hostname, ClientBase.get_auth = get_hostname, get_auth
        try:
            yield
        finally:
            ClientBase.get_hostname, ClientBase.get_auth = was


def _moved(url: str, base_url: str) -> str:
    """The same path on the local server, whatever the host was."""
    _, _, rest = url.partition("://")
    _, slash, path = rest.partition("/")
    return f"{base_url}{slash}{path}"


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
