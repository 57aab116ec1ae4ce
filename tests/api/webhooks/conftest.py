"""The whole server in this process, with real receivers of webhooks on loopback, and time that tests move on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from typing import Any, TypeVar

import httpx
import pytest

from tertulia.server.composition import Server
from tertulia.server.domain.base import Command
from tertulia.server.domain.callers import Caller
from tertulia.server.domain.users import ConnectUser
from tertulia.server.settings import Settings
from tests.api.rest.client import AccountHolder
from tests.engine.world import BASE_URL, World, new_world

from .receiver import Receiver, receiving

R = TypeVar("R")


class Site:
    """A server, its account, and somebody who listens."""

    def __init__(self, world: World, server: Server, account: AccountHolder, receiver: Receiver) -> None:
        self.world = world
        self.server = server
        self.account = account
        self.receiver = receiver

    @property
    def auth_token(self) -> str:
        return self.world.credentials.auth_token

    def user(self, identity: str) -> Caller:
        return self.world.user(identity)

    async def do(self, command: Callable[..., Command[R]], *, by: str | Caller, **fields: Any) -> R:
        """As the world's ``do``, by this server's engine; ``by`` an identity or a caller."""
        caller = self.user(by) if isinstance(by, str) else by
        return await self.server.engine.execute(caller, command(service=self.world.service, **fields))

    async def connect(self, *identities: str) -> None:
        """These users come, as by their first connection."""
        for identity in identities:
            await self.do(ConnectUser, by=identity, identity=identity)

    async def hooks(self, *filters: str, pre: str | None = None, post: str | None = None, **more: str) -> None:
        """The account's hooks; a path is one of the receiver's."""
        form = {"Filters": list(filters), **more}
        if pre is not None:
            form["PreWebhookUrl"] = pre if "://" in pre else self.receiver.url(pre)
        if post is not None:
            form["PostWebhookUrl"] = post if "://" in post else self.receiver.url(post)
        await self.change("/v1/Configuration/Webhooks", form)

    async def change(self, path: str, form: dict[str, Any]) -> None:
        """An update by REST, without hooks; fails when it is refused."""
        answer = await self.account.post(path, form)
        assert answer.status == 200, answer.body

    async def room(self, *identities: str, **form: str) -> str:
        """A conversation of the default service, with these members; made without hooks."""
        made = await self.account.made("/Conversations", form)
        for identity in identities:
            await self.account.made(f"/Conversations/{made['sid']}/Participants", {"Identity": identity})
        sid: str = made["sid"]
        return sid

    async def webhook(self, conversation: str, **configuration: Any) -> str:
        """A webhook of a conversation; ``Target`` is ``webhook`` unless given."""
        form = {"Target": configuration.pop("Target", "webhook")}
        form |= {f"Configuration.{name}": value for name, value in configuration.items()}
        made = await self.account.made(f"/Conversations/{conversation}/Webhooks", form)
        sid: str = made["sid"]
        return sid

    async def settle(self) -> int:
        """Perform all that is due; how many attempts that took."""
        return await self.server.worker.run_due()

    async def pass_time(self, **by: float) -> None:
        self.world.clock.advance(timedelta(**by))
        await self.settle()


NewSite = Callable[[Settings], AbstractAsyncContextManager[Site]]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with new_world() as world:
        yield world


@pytest.fixture
def new_site(world: World, receiver: Receiver) -> NewSite:
    """Makes a site with settings of its own."""

    @asynccontextmanager
    async def make(settings: Settings) -> AsyncIterator[Site]:
        world.clock.advance(timedelta(milliseconds=1))
        server = Server(settings, world.database, world.sealer, world.clock, world.new_sid, BASE_URL, world.bus)
        known = world.credentials
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app=server.application),
            base_url=BASE_URL,
            auth=httpx.BasicAuth(known.account_sid, known.auth_token),
        ) as http:
            account = AccountHolder(http, known.account_sid, known.service_sid, "/v1", BASE_URL)
            yield Site(world, server, account, receiver)
        await server.outgoing.close()

    return make


@pytest.fixture
async def site(new_site: NewSite) -> AsyncIterator[Site]:
    async with new_site(Settings()) as site:
        yield site
