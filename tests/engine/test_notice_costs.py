"""What notifications cost where there are none, and where there are many; how soon a change of them is noticed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from tertulia.server.bus.base import NotificationsChanged
from tertulia.server.bus.inprocess import InProcessBus
from tertulia.server.domain import callers
from tertulia.server.domain.jobs import Attempt
from tertulia.server.domain.memberships import UpdateMembership
from tertulia.server.domain.messages import SendMessage
from tertulia.server.domain.notices import DeliveryState, PlanPush, RecordPushes, Result, SendPushes
from tertulia.server.domain.notifications import ConfigureNotifications, NotificationSettings
from tertulia.server.domain.participants import AddParticipant, RemoveParticipant
from tertulia.server.engine.engine import Engine
from tertulia.server.engine.notification_directory import NotificationDirectory
from tertulia.server.engine.push_queries import PushQueries
from tertulia.server.engine.remembered import MOST
from tertulia.server.engine.unit import Policy
from tertulia.server.settings import PushSettings
from tertulia.server.storage.database import Connection
from tertulia.server.storage.notifications import Notifications
from tertulia.server.storage.outbox import Outbox

from .telling import Telling
from .world import BASE_URL, World


async def statements_of(world: World, command: Any, **fields: Any) -> int:
    before = world.database.statements
    await world.do(command, **fields)
    return world.database.statements - before


# --- while they are off


async def costs_of_a_day(world: World) -> list[int]:
    """Statements of what a member does and has done to him."""
    room = await world.conversation("ana", "ben")
    by = world.user("ana")
    await world.send(room.sid, by=by)
    return [
        await statements_of(world, SendMessage, by=by, conversation=room.sid, body="hello"),
        await statements_of(world, AddParticipant, conversation=room.sid, identity="cleo"),
        await statements_of(world, UpdateMembership, conversation=room.sid, user="ben", last_read_index=0),
        await statements_of(world, RemoveParticipant, conversation=room.sid, participant="cleo"),
    ]


async def test_while_notifications_are_off_nothing_costs_a_statement_more(world: World) -> None:
    telling = Telling(world, PushSettings())
    for identity in ("ana", "ben", "cleo"):
        await telling.device(identity)
    await costs_of_a_day(world)  # what is asked for once in five seconds is known
    never_set = await costs_of_a_day(world)
    await telling.configure(log_enabled=True, badge_count_enabled=True, media_enabled=True)
    await costs_of_a_day(world)
    assert await costs_of_a_day(world) == never_set
    assert never_set[0] == 4, "as before there were notifications (test_hooks.py)"
    assert await telling.perform() == 0


async def test_while_they_are_on_each_costs_one_promise(world: World) -> None:
    telling = Telling(world, PushSettings())
    await costs_of_a_day(world)
    off = await costs_of_a_day(world)
    await telling.everything_on()
    await costs_of_a_day(world)
    before = await telling.owed("PlanPush")
    on = await costs_of_a_day(world)
    more = [dear - cheap for dear, cheap in zip(on, off, strict=True)]
    assert more == [
        1,
        1,
        3,
        1,
    ]  # a badge takes the place of the one that waits
    assert await telling.owed("PlanPush") - before == 2 + 2 + 1 + 1, "two messages, three members come, one goes"


# --- planning and sending


@pytest.mark.parametrize("kind", ["fcm", "apn"])
async def test_planning_costs_the_same_for_two_and_for_a_thousand(world: World, kind: str) -> None:
    telling = Telling(world, PushSettings())
    credential = await telling.credential(kind)
    await telling.configure(new_message_enabled=True, badge_count_enabled=True)
    costs = []
    for members in (2, 1000):
        room = await world.conversation(*(f"{members}-{n}" for n in range(members)))
        for n in range(members):
            await world.sql(
                "INSERT INTO push_registrations (sid, account_sid, service_sid, identity, kind, address, endpoint,"
                " credential_sid, message_types, created_at, updated_at, used_at)"
                " VALUES ($1, $2, $3, $4, $5, $1, NULL, $6, 'new_message', 0, 0, 0)",
                f"BS{members}-{n}",
                world.account.account_sid,
                world.service,
                f"{members}-{n}",
                kind,
                credential.sid,
            )
        await world.send(room.sid)
        planning = telling.performers()[PlanPush]
        job, attempt = await leased(world)
        before = world.database.statements
        await planning(job, attempt)
        costs.append(world.database.statements - before)
        assert await telling.owed("SendPushes") == (1 if members == 2 else 1 + 10)
    assert costs[0] == costs[1]


async def leased(world: World) -> tuple[PlanPush, Attempt]:
    async with world.database.transaction() as connection:
        (one,) = await Outbox(connection).lease(
            "test", now=world.clock.now(), lease_s=60, limit=1, kinds=["PlanPush"], per_receiver=1, busy={}
        )
    return msgspec.json.decode(one.payload, type=PlanPush), one.attempt


async def test_sending_and_recording_cost_the_same_for_one_and_for_a_hundred(world: World) -> None:
    telling = Telling(world, PushSettings())
    await telling.configure(new_message_enabled=True)
    costs, system = [], callers.system(world.account.account_sid)
    for members in (1, 100):
        names = [f"{members}-{n}" for n in range(members)]
        for name in names:
            await telling.device(name)
        room = await world.conversation(*names)
        await world.send(room.sid)
        await telling.plan()
        async with world.database.snapshot() as connection:
            payload = await connection.value("SELECT payload FROM outbox WHERE kind = 'SendPushes'")
        job = msgspec.json.decode(payload, type=SendPushes)
        before = world.database.statements
        reading = await PushQueries(world.database, world.sealer).due(job)
        read = world.database.statements - before
        assert len(reading.due) == members
        of_state = []
        for state in (DeliveryState.SENT, DeliveryState.FAILED):
            results = [Result(one.registration_sid, state, "said") for one in reading.due]
            before = world.database.statements
            await world.engine.execute(
                system, RecordPushes(service=world.service, notice=job.notice_sid, results=results)
            )
            of_state.append(world.database.statements - before)
        costs.append((read, *of_state))
        await telling.perform()
    assert costs == [(5, 2, 1)] * 2


# --- how soon a change is noticed


async def say(world: World, engine: Engine, room: str) -> None:
    await engine.execute(world.user("ana"), SendMessage(service=world.service, conversation=room, body="hello"))


async def test_what_another_process_has_changed_is_in_force_within_five_seconds(world: World) -> None:
    telling = Telling(world, PushSettings())
    room = await world.conversation("ana")
    here, elsewhere = world.engine, world.engine_with(Policy(base_url=BASE_URL), InProcessBus())
    await say(world, here, room.sid)  # it knows from now on that there are none
    await elsewhere.execute(world.account, ConfigureNotifications(service=world.service, new_message_enabled=True))
    await say(world, elsewhere, room.sid)
    assert await telling.owed("PlanPush") == 1
    await say(world, here, room.sid)
    assert await telling.owed("PlanPush") == 1
    world.clock.advance(timedelta(seconds=5, microseconds=1))
    await say(world, here, room.sid)
    assert await telling.owed("PlanPush") == 2


async def test_what_another_process_has_changed_is_in_force_at_once_by_the_bus(world: World) -> None:
    telling = Telling(world, PushSettings())
    room = await world.conversation("ana")
    here, elsewhere = world.engine, world.engine_with(Policy(base_url=BASE_URL))
    await say(world, here, room.sid)
    await elsewhere.execute(world.account, ConfigureNotifications(service=world.service, new_message_enabled=True))
    await say(world, here, room.sid)
    assert await telling.owed("PlanPush") == 1
    await elsewhere.execute(world.account, ConfigureNotifications(service=world.service, new_message_enabled=False))
    await say(world, here, room.sid)
    assert await telling.owed("PlanPush") == 1


async def test_what_changes_nothing_is_no_news(world: World) -> None:
    telling = Telling(world, PushSettings())
    await telling.configure(new_message_enabled=True)
    world.told()
    await telling.configure(new_message_enabled=True)
    assert world.told() == []
    await telling.configure(new_message_enabled=False)
    assert world.told() == ["NotificationsChanged"]


class Overtaken:
    """A connection whose reading is overtaken by the news that the settings are others now."""

    def __init__(self, connection: Connection, bus: InProcessBus, account_sid: str) -> None:
        self._connection = connection
        self._bus = bus
        self._account_sid = account_sid

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    async def row(self, sql: str, *parameters: Any) -> tuple[Any, ...] | None:
        found = await self._connection.row(sql, *parameters)
        await self._bus.publish([NotificationsChanged(self._account_sid)])
        return found


async def test_what_was_read_before_the_news_of_a_change_is_not_remembered(world: World) -> None:
    bus, account_sid = InProcessBus(), world.account.account_sid
    directory = NotificationDirectory(bus, world.clock)
    async with world.database.snapshot() as connection:
        old = Notifications(Overtaken(connection, bus, account_sid))
        assert await directory.of(old, account_sid, world.service) is None
    await world.do(ConfigureNotifications, new_message_enabled=True)
    async with world.database.snapshot() as connection:
        settings = await directory.of(Notifications(connection), account_sid, world.service)
    assert settings is not None and settings.new_message_enabled


async def test_what_is_remembered_is_bounded(world: World) -> None:
    directory, asked = NotificationDirectory(InProcessBus(), world.clock), 0

    class Never(Notifications):
        __slots__ = ()

        async def settings(self, service_sid: str) -> NotificationSettings | None:
            nonlocal asked
            asked += 1
            return None

    async with world.database.snapshot() as connection:
        for n in range(MOST + 1):
            await directory.of(Never(connection), "AC", f"IS{n}")
        assert asked == MOST + 1
        for n in (MOST, MOST):
            await directory.of(Never(connection), "AC", f"IS{n}")
        assert asked == MOST + 1, "the newest is known"
        await directory.of(Never(connection), "AC", "IS0")
        assert asked == MOST + 2, "those before have made room"
