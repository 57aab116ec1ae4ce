"""The whole server in this process, seen by an account holder. No network."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest

from tertulia.server.composition import Server
from tertulia.server.domain import callers
from tertulia.server.domain.accounts import CreateAccount
from tertulia.server.domain.secrets import Secret
from tertulia.server.settings import Settings
from tests.engine.world import BASE_URL, World, new_world

from .client import AccountHolder


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with new_world() as world:
        yield world


@pytest.fixture
async def server(world: World) -> Server:
    # Another source of SIDs made those of the first start: in a later millisecond ours come after them.
    world.clock.advance(timedelta(milliseconds=1))
    return Server(Settings(), world.database, world.sealer, world.clock, world.new_sid, BASE_URL, world.bus)


@pytest.fixture
async def http(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    """Without credentials."""
    transport = httpx.ASGITransport(app=server.application)
    async with httpx.AsyncClient(transport=transport, base_url=BASE_URL) as client:
        yield client


@pytest.fixture
async def account(world: World, http: httpx.AsyncClient) -> AccountHolder:
    """By the short form of URLs."""
    known = world.credentials
    http.auth = httpx.BasicAuth(known.account_sid, known.auth_token)
    return AccountHolder(http, known.account_sid, known.service_sid, "/v1", BASE_URL)


@pytest.fixture
async def stranger(world: World, server: Server) -> AsyncIterator[AccountHolder]:
    """The holder of another account, who may see nothing of the first one's."""
    token = "stranger" * 4
    made = await world.engine.execute(
        callers.operator(), CreateAccount(friendly_name="another", auth_token=Secret(token))
    )
    auth, transport = httpx.BasicAuth(made.sid, token), httpx.ASGITransport(app=server.application)
    async with httpx.AsyncClient(transport=transport, base_url=BASE_URL, auth=auth) as client:
        yield AccountHolder(client, made.sid, made.default_service_sid, "/v1", BASE_URL)


@pytest.fixture
async def other_service(account: AccountHolder) -> AccountHolder:
    """By the long form, in a service of its own."""
    return await account.in_new_service()


@pytest.fixture(params=["short", "long"])
async def api(request: pytest.FixtureRequest, account: AccountHolder) -> AccountHolder:
    """By either form of URLs: what holds for one holds for the other."""
    return account if request.param == "short" else await account.in_new_service()


@pytest.fixture
async def room(api: AccountHolder) -> str:
    """Path of a fresh conversation."""
    return f"/Conversations/{await api.conversation()}"
