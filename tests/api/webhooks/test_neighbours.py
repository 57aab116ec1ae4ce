"""Receivers of one account that hang are no trouble of another account's (semantics 1.6, 9)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tertulia.server.domain import callers
from tertulia.server.domain.accounts import CreateAccount
from tertulia.server.domain.conversation_with_participants import CreateConversationWithParticipants
from tertulia.server.domain.conversations import ConversationState, CreateConversation
from tertulia.server.domain.errors import TertuliaError
from tertulia.server.domain.messages import SendMessage
from tertulia.server.domain.participants import AddParticipant
from tertulia.server.domain.secrets import Secret
from tertulia.server.domain.webhooks import ConfigureHooks
from tertulia.server.settings import JobsSettings, OutgoingSettings, Settings
from tests.api.webhooks.conftest import NewSite, Site
from tests.api.webhooks.receiver import Receiver, answer, never, receiving

SMALL = Settings(
    jobs=JobsSettings(concurrency=6, per_receiver=3), outgoing=OutgoingSettings(concurrency=6, concurrency_per_host=3)
)


@pytest.fixture
async def site(new_site: NewSite) -> AsyncIterator[Site]:
    async with new_site(SMALL) as site:
        yield site


class Neighbour:
    """Another account of the same installation, with hooks of its own and a room."""

    def __init__(self, site: Site, account_sid: str, service_sid: str) -> None:
        self._engine = site.server.engine
        self._caller = callers.account(account_sid, hooks=True)
        self._service = service_sid
        self._room = ""

    async def move_in(self, event: str, **urls: str) -> None:
        await self._engine.execute(self._caller, ConfigureHooks(filters=(event,), **urls))
        made = await self._engine.execute(self._caller, CreateConversation(service=self._service))
        self._room = made.sid

    async def say(self, body: str) -> None:
        command = SendMessage(service=self._service, conversation=self._room, body=body)
        await self._engine.execute(self._caller, command)


async def neighbour_of(site: Site) -> Neighbour:
    wish = CreateAccount(friendly_name="neighbour", auth_token=Secret("p" * 32))
    account = await site.server.engine.execute(callers.operator(), wish)
    return Neighbour(site, account.sid, account.default_service_sid)


@asynccontextmanager
async def hanging(site: Site) -> AsyncIterator[Receiver]:
    """A receiver that never answers, and its account's events on their way to it, by three names of its host."""
    async with receiving() as silent:
        silent.respond = never
        for host in ("127.0.0.1", "localhost", "127.1"):
            url = silent.url().replace("127.0.0.1", host)
            for _ in range(4):
                room = await site.room("ana")
                await site.webhook(room, Url=url, Filters=["onMessageAdded"])
                await site.do(SendMessage, by="ana", conversation=room, body="x")
        working = asyncio.create_task(site.settle())
        await silent.wait_for(3)
        yield silent
    await working


async def test_a_neighbours_event_is_told_while_receivers_hang(site: Site) -> None:
    neighbour = await neighbour_of(site)
    await neighbour.move_in("onMessageAdded", post_url=site.receiver.url("/neighbour"))
    async with hanging(site), asyncio.timeout(3):
        await neighbour.say("hello")
        working = asyncio.create_task(site.settle())
        assert [told["Body"] for told in await site.receiver.wait_for(1)] == ["hello"]
    await working


async def test_two_accounts_with_the_same_receiver_have_a_share_of_it_each(site: Site) -> None:
    neighbour = await neighbour_of(site)
    async with hanging(site) as silent, asyncio.timeout(3):
        await neighbour.move_in("onMessageAdded", post_url=silent.url("/neighbour"))
        await neighbour.say("hello")
        working = asyncio.create_task(site.settle())
        while silent.told[-1].path != "/neighbour":
            await silent.wait_for(len(silent.told) + 1)
    await working


async def test_a_neighbours_hook_is_asked_while_hooks_hang(site: Site) -> None:
    """Else whoever makes his own receivers hang turns off what others let their messages be judged by."""
    neighbour = await neighbour_of(site)
    site.receiver.respond = answer(403)
    await neighbour.move_in("onMessageAdd", pre_url=site.receiver.url("/neighbour"))
    async with receiving() as silent:
        silent.respond = never
        waiting = []
        for host in ("127.0.0.1", "localhost", "127.1"):
            service = await site.account.made("/v1/Services", {"FriendlyName": host})
            configuration = f"/v1/Services/{service['sid']}/Configuration/Webhooks"
            url = silent.url().replace("127.0.0.1", host)
            await site.change(configuration, {"PreWebhookUrl": url, "Filters": "onMessageAdd"})
            room = await site.account.made(f"/v1/Services/{service['sid']}/Conversations", {})
            command = SendMessage(service=service["sid"], conversation=room["sid"], body="x")
            caller = callers.account(site.account.account_sid, hooks=True)
            waiting += [asyncio.create_task(site.server.engine.execute(caller, command)) for _ in range(4)]
        await silent.wait_for(3)
        async with asyncio.timeout(3):
            with pytest.raises(TertuliaError) as refusal:
                await neighbour.say("bad")
        assert refusal.value.code == 50056
    await asyncio.gather(*waiting)  # no answer lets them pass


async def test_what_the_server_does_by_itself_waits_for_no_receiver(site: Site) -> None:
    async with hanging(site):
        members = (AddParticipant(service="", conversation="", identity="ben"),)
        by = callers.account(site.account.account_sid)
        made = await site.do(CreateConversationWithParticipants, by=by, participants=members)
        working = asyncio.create_task(site.settle())
        async with asyncio.timeout(3):
            path = f"/Conversations/{made.sid}"
            while (await site.account.get(path))["state"] != ConversationState.ACTIVE:  # noqa: ASYNC110 (has no event)
                await asyncio.sleep(0)
    await working
