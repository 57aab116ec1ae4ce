"""The pytest plugin: fixtures that give a server, and ways to talk to it.

Every run of pytest loads this module where the package is installed, so it imports next to nothing; what a fixture
needs it imports when it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from tertulia.client import ConversationsClient
    from tertulia.server.settings import Settings

    from .server import LocalServer
    from .webhooks import WebhookReceiver


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini(
        "tertulia_database", "where the server of `tertulia_server` keeps its data: memory or file", default="memory"
    )


@pytest.fixture
def tertulia_settings() -> Settings | None:
    """The settings of the server; override this fixture for others than the defaults."""
    return None


@pytest.fixture
def tertulia_server(
    request: pytest.FixtureRequest, tmp_path: Path, tertulia_settings: Settings | None
) -> Iterator[LocalServer]:
    """A fresh server on a free port, in this process, for one test."""
    try:
        from .server import running_server
    except ImportError as missing:
        pytest.fail(f"the server needs more packages ({missing.name}): pip install 'tertulia[testing]'", pytrace=False)
    kind = request.config.getini("tertulia_database")
    if kind not in ("memory", "file"):
        pytest.fail(f"tertulia_database is memory or file, not {kind}", pytrace=False)
    with running_server(tertulia_settings, tmp_path / "tertulia.db" if kind == "file" else None) as server:
        yield server


@pytest.fixture
def tertulia_twilio(tertulia_server: LocalServer) -> Any:
    """The official ``twilio.rest.Client``, talking to the server."""
    pytest.importorskip("twilio", reason="needs the official library: pip install twilio")
    from .official import twilio_client

    return twilio_client(tertulia_server)


@pytest.fixture
def tertulia_rest(tertulia_server: LocalServer) -> Iterator[httpx.Client]:
    """An ``httpx.Client`` for REST v1, logged in as the account: ``tertulia_rest.post("/v1/Conversations")``."""
    import httpx

    credentials = (tertulia_server.account_sid, tertulia_server.auth_token)
    with httpx.Client(base_url=tertulia_server.base_url, auth=credentials, trust_env=False, timeout=20) as client:
        yield client


@pytest.fixture
def tertulia_client(tertulia_server: LocalServer) -> Callable[..., ConversationsClient]:
    """Makes clients of our own library: ``async with tertulia_client("ana") as ana: ...``.

    Further arguments are those of ``ClientConfig``. A client ends with its block, in the test's own event loop.
    """
    from tertulia.client import ClientConfig, ConversationsClient

    def client(identity: str, **options: Any) -> ConversationsClient:
        usual: dict[str, Any] = {
            "server_url": tertulia_server.base_url,
            "clock": tertulia_server.clock.time,
            "start_timeout": 20,
            "reconnect_min": 0.05,
        }
        if "token_provider" not in options:
            usual["token"] = tertulia_server.token(identity)
        return ConversationsClient(ClientConfig(**{**usual, **options}))

    return client


@pytest.fixture
def tertulia_webhooks(tertulia_server: LocalServer, tertulia_rest: httpx.Client) -> Iterator[WebhookReceiver]:
    """A receiver that hears every webhook of the account, before and after, and remembers them."""
    from tertulia.server.domain.webhooks import EVENTS

    from .webhooks import WebhookReceiver

    receiver = WebhookReceiver(tertulia_server.auth_token)
    receiver.start()
    try:
        urls = {"PreWebhookUrl": receiver.url, "PostWebhookUrl": receiver.url}
        form = {**urls, "Method": "POST", "Filters": sorted(EVENTS)}
        tertulia_rest.post("/v1/Configuration/Webhooks", data=form).raise_for_status()
        yield receiver
    finally:
        # The server may still have something to tell.
        tertulia_server.stop()
        receiver.stop()
