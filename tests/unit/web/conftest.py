"""The machinery on an installation of its own; the operations are those of each test."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator

import pytest

from tertulia.server.engine.identities import Identities
from tertulia.server.engine.typing import Typing
from tertulia.server.settings import ServerSettings, Settings
from tertulia.server.web.auth import AccessTokens
from tertulia.server.web.dispatch import Dispatcher
from tertulia.server.web.faces import ClientFace, RestFace
from tertulia.server.web.operations import Operations, Services
from tertulia.server.web.page_tokens import PageTokens
from tertulia.wire.requests import Request
from tests.engine.world import World, new_world


class Machinery:
    """Makes dispatchers for tables of a test's own."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.credentials = world.credentials
        self.clock = world.clock
        self.identities = Identities(world.database, world.sealer, world.clock)

    def _services(self, public_url: str | None = None) -> Services:
        world, settings = self.world, Settings(server=ServerSettings(public_url=public_url))
        typing = Typing(world.database, world.bus, settings.typing.timeout_s)
        return Services(world.engine, world.queries, typing, settings, PageTokens(world.sealer))

    def rest(self, *tables: Operations, public_url: str | None = None) -> Dispatcher:
        return Dispatcher(RestFace(self.identities), tables, self._services(public_url))

    def client(self, *tables: Operations) -> Dispatcher:
        world = self.world
        tokens = AccessTokens(self.identities, world.engine, world.queries, world.clock, Settings().tokens)
        return Dispatcher(ClientFace(tokens), tables, self._services())

    def request(self, method: str, path: str, body: bytes = b"", **headers: str) -> Request:
        """With the account's credentials."""
        known = self.credentials
        basic = base64.b64encode(f"{known.account_sid}:{known.auth_token}".encode()).decode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return Request(method, path, {}, {"authorization": f"Basic {basic}", "host": "a.test", **named}, body)


@pytest.fixture
async def machinery() -> AsyncIterator[Machinery]:
    async with new_world() as world:
        yield Machinery(world)
