"""Which hooks apply, at what cost, and how soon a change of them is noticed (semantics 1.1, 1.2)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from tertulia.server.bus.base import HooksChanged
from tertulia.server.bus.inprocess import InProcessBus
from tertulia.server.domain import callers
from tertulia.server.domain.accounts import SuspendAccount
from tertulia.server.domain.conversation_with_participants import CreateConversationWithParticipants
from tertulia.server.domain.messages import SendMessage
from tertulia.server.domain.participants import AddParticipant
from tertulia.server.domain.webhooks import CallWebhook, ConfigureHooks, CreateScopedWebhook, HookSettings
from tertulia.server.engine.engine import Engine
from tertulia.server.engine.hook_directory import HookDirectory
from tertulia.server.engine.unit import Policy
from tertulia.server.engine.webhook_calls import WebhookCall
from tertulia.server.jobs.webhooks import WebhookPerformer
from tertulia.server.outgoing import CallFailed, FailureKind
from tertulia.server.storage.database import Connection
from tertulia.server.storage.sqlite import SqliteDatabase
from tertulia.server.storage.webhooks import Webhooks

from .world import BASE_URL, World

URL = "http://receiver.test/hook"


async def say(world: World, engine: Engine, room: str) -> None:
    wish = SendMessage(service=world.service, conversation=room, body="hello")
    await engine.execute(world.user("ana"), wish)


async def owed(world: World) -> int:
    """How many receivers are to be called."""
    async with world.database.snapshot() as connection:
        return int(await connection.value("SELECT count(*) FROM outbox WHERE kind = 'CallWebhook'"))


async def test_hooks_that_another_process_has_changed_are_in_force_within_five_seconds(world: World) -> None:
    room = await world.conversation("ana")
    here, elsewhere = world.engine, world.engine_with(Policy(base_url=BASE_URL), InProcessBus())
    await say(world, here, room.sid)  # it knows from now on that there are none
    wish = ConfigureHooks(post_url=URL, filters=("onMessageAdded",))
    await elsewhere.execute(world.account, wish)
    await say(world, elsewhere, room.sid)
    assert await owed(world) == 1
    world.clock.advance(timedelta(seconds=5, microseconds=1))
    await say(world, here, room.sid)
    assert await owed(world) == 2


async def test_hooks_that_are_changed_here_are_in_force_at_once(world: World) -> None:
    room = await world.conversation("ana")
    await say(world, world.engine, room.sid)
    await world.engine.execute(world.account, ConfigureHooks(post_url=URL, filters=("onMessageAdded",)))
    await say(world, world.engine, room.sid)
    await world.engine.execute(world.account, ConfigureHooks(post_url=""))
    await say(world, world.engine, room.sid)
    assert await owed(world) == 1


class Overtaken:
    """A connection whose reading of hooks is overtaken by the news that they are others now."""

    def __init__(self, connection: Connection, bus: InProcessBus, account_sid: str) -> None:
        self._connection = connection
        self._bus = bus
        self._account_sid = account_sid

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    async def rows(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        found = await self._connection.rows(sql, *parameters)
        await self._bus.publish([HooksChanged(self._account_sid)])
        return found


async def test_what_was_read_before_the_news_of_a_change_is_not_remembered(world: World) -> None:
    bus, account_sid = InProcessBus(), world.account.account_sid
    directory = HookDirectory(bus, world.clock)
    async with world.database.snapshot() as connection:
        old = Webhooks(Overtaken(connection, bus, account_sid))
        await directory.of(old, account_sid, world.service)
    await world.do(ConfigureHooks, service=None, post_url=URL)
    async with world.database.snapshot() as connection:
        choice = await directory.of(Webhooks(connection), account_sid, world.service)
    hook: HookSettings | None = choice.of("onMessageAdded")
    assert hook is not None and hook.post_url == URL


class Counting:
    """The world's database, which counts how often somebody looks at it beside a transaction."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database
        self.looks = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    def snapshot(self) -> AbstractAsyncContextManager[Connection]:
        self.looks += 1
        return self._database.snapshot()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        async with self._database.transaction() as connection:
            yield connection


async def test_a_message_of_a_client_looks_for_no_hooks_once_they_are_known(world: World) -> None:
    room = await world.conversation("ana")
    counting = Counting(world.database)
    engine = world.engine_with(Policy(base_url=BASE_URL), database=counting)
    await say(world, engine, room.sid)
    looks, statements = counting.looks, world.database.statements
    await say(world, engine, room.sid)
    assert (counting.looks - looks, world.database.statements - statements) == (0, 4)


async def test_a_silent_message_costs_no_more_where_webhooks_listen(world: World) -> None:
    room = await world.conversation("ana")
    await world.send(room.sid)
    before = world.database.statements
    await world.send(room.sid)
    plain = world.database.statements - before
    await world.do(CreateScopedWebhook, conversation=room.sid, target="webhook", url=URL, filters=("onMessageAdded",))
    before = world.database.statements
    await world.send(room.sid)
    assert world.database.statements - before == plain


async def test_a_command_that_changes_much_in_a_conversation_looks_for_its_webhooks_once(world: World) -> None:
    costs = []
    for members in (1, 2, 10):
        wishes = tuple(
            AddParticipant(service=world.service, conversation="", identity=f"{members}-{n}") for n in range(members)
        )
        aloud = callers.account(world.account.account_sid, hooks=True)
        made = await world.do(CreateConversationWithParticipants, by=aloud, participants=wishes)
        await world.sql("UPDATE conversations SET webhook_count = 1 WHERE sid = $1", made.sid)
        before = world.database.statements
        await world.run_due()
        costs.append(world.database.statements - before)
    assert costs[1] == costs[2], "the first has also read what is remembered of the service"


async def test_a_conversation_that_was_set_up_is_told_of_though_hooks_were_off(world: World) -> None:
    await world.do(ConfigureHooks, service=None, post_url=URL, filters=("onConversationStateUpdated",))
    member = AddParticipant(service=world.service, conversation="", identity="ana")
    await world.do(CreateConversationWithParticipants, participants=(member,))
    assert await owed(world) == 0
    await world.run_due()
    assert await owed(world) == 1


async def test_earlier_messages_take_the_turns_of_their_receiver(world: World) -> None:
    room = await world.conversation()
    await world.send(room.sid)
    listen = {"target": "webhook", "url": URL, "filters": ("onMessageAdded",), "replay_after": -1}
    await world.do(CreateScopedWebhook, conversation=room.sid, **listen)
    async with world.database.snapshot() as connection:
        receiver = await connection.value("SELECT receiver FROM outbox WHERE kind = 'ReplayMessages'")
    assert "receiver.test" in receiver


async def test_a_flow_is_tried_again_as_often_as_its_webhook_says(world: World) -> None:
    job = CallWebhook(
        account_sid="AC", webhook_sid="WH", event="onMessageAdded", url=URL, method="POST", parameters=(), retry_count=3
    )
    performer = WebhookPerformer(world.webhook_calls, post_retry=True)
    assert performer.policy(job).attempts == 4


async def test_nobody_is_called_for_an_account_that_is_suspended(world: World) -> None:
    await world.do(SuspendAccount, by=callers.operator(), account=world.account.account_sid)
    call = WebhookCall(account_sid=world.account.account_sid, url=URL, method="POST", parameters=(), token="t")
    with pytest.raises(CallFailed) as failed:
        await world.webhook_calls.once(call, 1)
    assert failed.value.kind is FailureKind.BAD_REQUEST
