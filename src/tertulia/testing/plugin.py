"""The pytest plugin: fixtures that give a server, and ways to talk to it.

Every run of pytest loads this module where the package is installed, so it imports next to nothing; what a fixture
needs it imports when it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import httpx

    from tertulia.client import ConversationsClient
    from tertulia.client.config import TokenRequest
    from tertulia.server.settings import Settings

    from .server import LocalServer
    from .webhooks import WebhookReceiver


def pytest_addoption(parser: pytest.Parser) -> None:
    where = "where the server of a test keeps its data: memory or file (in the test's tmp_path)"
    parser.getgroup("tertulia").addoption("--tertulia-database", choices=("memory", "file"), help=where)
    parser.addini("tertulia_database", where, default="memory")
    parser.addini("tertulia_settings", "settings of the server, one a line: tokens.min_ttl_s = 10", type="linelist")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "tertulia_settings(values): settings of the server by name, beyond those of the ini file"
    )


@pytest.fixture
def tertulia_settings(request: pytest.FixtureRequest) -> Mapping[str, object] | Settings:
    """The settings of the server by name: of the ini file, and of the marker. Override it for those of your own."""
    values: dict[str, object] = {}
    for line in request.config.getini("tertulia_settings"):
        name, equals, text = line.partition("=")
        if not equals:
            pytest.fail(f"tertulia_settings: expected a name, = and a value, got {line!r}", pytrace=False)
        values[name.strip()] = text.strip()
    # The closest one has the last word.
    for marker in reversed([*request.node.iter_markers("tertulia_settings")]):
        values |= marker.args[0]
    return values


@pytest.fixture
def tertulia_server(
    request: pytest.FixtureRequest, tmp_path: Path, tertulia_settings: Mapping[str, object] | Settings
) -> Iterator[LocalServer]:
    """A fresh server on a free port, in this process, for one test."""
    try:
        from tertulia.server.sources import SettingsError

        from .server import running_server
    except ModuleNotFoundError as missing:
        pytest.fail(f"the server needs {missing.name}: pip install 'tertulia[testing]'", pytrace=False)
    kind = request.config.getoption("tertulia_database") or request.config.getini("tertulia_database")
    if kind not in ("memory", "file"):
        pytest.fail(f"tertulia_database is memory or file, not {kind}", pytrace=False)
    try:
        server = running_server(tertulia_settings, tmp_path / "tertulia.db" if kind == "file" else None)
    except SettingsError as wrong:
        pytest.fail(str(wrong), pytrace=False)
    with server:
        yield server


@pytest.fixture
def tertulia_twilio(tertulia_server: LocalServer) -> Iterator[Any]:
    """The official ``twilio.rest.Client``, talking to the server."""
    pytest.importorskip("twilio", reason="needs the official library: pip install twilio")
    from .official import twilio_client

    with twilio_client(tertulia_server) as client:
        yield client


@pytest.fixture
def tertulia_redirected(tertulia_server: LocalServer) -> Iterator[LocalServer]:
    """The server, to which every client of the official library talks meanwhile: also those that your code makes."""
    pytest.importorskip("twilio", reason="needs the official library: pip install twilio")
    from .official import redirected

    with redirected(tertulia_server):
        yield tertulia_server


@pytest.fixture
def tertulia_rest(tertulia_server: LocalServer) -> Iterator[httpx.Client]:
    """An ``httpx.Client`` for REST v1, logged in as the account: ``tertulia_rest.post("/v1/Conversations")``."""
    with tertulia_server.rest() as client:
        yield client


@pytest.fixture
def tertulia_client(tertulia_server: LocalServer) -> Callable[..., ConversationsClient]:
    """Makes clients of our own library: ``async with tertulia_client("ana") as ana: ...``.

    Further arguments are those of ``ClientConfig``. Unless they say otherwise, a client gets a new token whenever it
    needs one, and is quick to reconnect. It ends with its block, in the test's own event loop.
    """
    from tertulia.client import ClientConfig, ConversationsClient

    def client(identity: str, /, **options: Any) -> ConversationsClient:
        async def fresh_token(_request: TokenRequest) -> str:
            return tertulia_server.token(identity)

        usual: dict[str, Any] = {
            "server_url": tertulia_server.base_url,
            "clock": tertulia_server.clock.time,
            "start_timeout": 20,
            "reconnect_min": 0.05,
            "reconnect_max": 0.5,
        }
        if "token" not in options and "token_provider" not in options:
            usual["token_provider"] = fresh_token
        return ConversationsClient(ClientConfig(**{**usual, **options}))

    return client


@pytest.fixture
def tertulia_webhooks(tertulia_server: LocalServer) -> Iterator[WebhookReceiver]:
    """A receiver that hears every webhook of the account, before and after, and remembers them."""
    from .webhooks import capturing

    with capturing(tertulia_server) as receiver:
        yield receiver
