"""The whole account API in one process: storage, engine, HTTP application. No network."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from typing import NamedTuple

import httpx
import pytest

from tertulia.server.bus.inprocess import InProcessBus
from tertulia.server.clock import ManualClock
from tertulia.server.engine.engine import Engine
from tertulia.server.engine.identities import Identities
from tertulia.server.engine.queries import Queries
from tertulia.server.engine.typing import Typing
from tertulia.server.engine.unit import Policy
from tertulia.server.first_start import Credentials, first_credentials, make_first_account
from tertulia.server.rest import ACCOUNT_API
from tertulia.server.sealing import KEY_BYTES, Sealer
from tertulia.server.settings import Bootstrap, Settings
from tertulia.server.storage.migrate import migrate
from tertulia.server.storage.sqlite import SqliteDatabase
from tertulia.server.web.asgi import HttpApp
from tertulia.server.web.auth import AccessTokens
from tertulia.server.web.dispatch import Dispatcher
from tertulia.server.web.faces import ClientFace, RestFace
from tertulia.server.web.openapi import describe
from tertulia.server.web.operations import Operations, Services
from tertulia.server.web.page_tokens import PageTokens
from tertulia.wire.sids import SidSource
from tests.api.rest.client import AccountHolder

BASE_URL = "http://conversations.test"


class Running(NamedTuple):
    """A server with its first account."""

    application: HttpApp
    database: SqliteDatabase
    clock: ManualClock
    credentials: Credentials


@pytest.fixture
async def server() -> AsyncIterator[Running]:
    database = SqliteDatabase(None)
    await database.open()
    try:
        clock, sids, settings = ManualClock(), SidSource(), Settings()
        sealer = Sealer(bytes(KEY_BYTES))

        def new_sid(prefix: str) -> str:
            return sids.new(prefix, clock.now(), secrets.token_bytes(10))

        await migrate(database, clock=clock)
        await make_first_account(database, sealer, Bootstrap(), clock, new_sid)
        credentials = await first_credentials(database, sealer)
        assert credentials is not None
        bus, queries = InProcessBus(), Queries(database)
        engine = Engine(database, bus, clock, new_sid, Policy(base_url=BASE_URL))
        identities = Identities(database, sealer, clock)
        services = Services(engine, queries, Typing(database, bus, 5), settings, PageTokens(sealer))
        tokens = AccessTokens(identities, engine, queries, clock, settings.tokens)
        rest = Dispatcher(RestFace(identities), [ACCOUNT_API], services)
        client = Dispatcher(ClientFace(tokens), [Operations("client")], services)
        application = HttpApp(
            rest,
            client,
            is_ready=queries.is_reachable,
            document=lambda: describe(rest.operations),
            body_limit_bytes=settings.server.body_limit_bytes,
        )
        yield Running(application, database, clock, credentials)
    finally:
        await database.close()


@pytest.fixture
async def http(server: Running) -> AsyncIterator[httpx.AsyncClient]:
    """Without credentials."""
    transport = httpx.ASGITransport(app=server.application)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url=BASE_URL) as client:
        yield client


@pytest.fixture
async def account(server: Running, http: httpx.AsyncClient) -> AccountHolder:
    """By the short form of URLs."""
    known = server.credentials
    http.auth = httpx.BasicAuth(known.account_sid, known.auth_token)
    return AccountHolder(http, known.account_sid, known.service_sid, "/v1", BASE_URL)


@pytest.fixture
async def other_service(account: AccountHolder) -> AccountHolder:
    """By the long form, in a service of its own."""
    service = await account.made("/Services", {"FriendlyName": "second"})
    return AccountHolder(account.http, account.account_sid, service["sid"], f"/v1/Services/{service['sid']}", BASE_URL)


@pytest.fixture(params=["short", "long"])
async def api(request: pytest.FixtureRequest, account: AccountHolder) -> AccountHolder:
    """By either form of URLs: what holds for one holds for the other."""
    if request.param == "short":
        return account
    service = await account.made("/Services", {"FriendlyName": "second"})
    return AccountHolder(account.http, account.account_sid, service["sid"], f"/v1/Services/{service['sid']}", BASE_URL)


@pytest.fixture
async def room(api: AccountHolder) -> str:
    """Path of a fresh conversation."""
    return f"/Conversations/{await api.conversation()}"
