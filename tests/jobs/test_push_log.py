"""What is kept of pushes, for how long, and through a restart."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from tertulia.server.bootstrap import Bootstrap
from tertulia.server.clock import ManualClock
from tertulia.server.domain.push_explained import Explanation, nothing_known
from tertulia.server.domain.services import DeleteService
from tertulia.server.engine.push_explaining import PushExplaining
from tertulia.server.first_start import first_credentials, make_first_account
from tertulia.server.jobs.push_log import DAY_US, PushLog
from tertulia.server.push.service import Verdict
from tertulia.server.sealing import Sealer
from tertulia.server.settings import PushSettings
from tertulia.server.storage.migrate import migrate
from tertulia.server.storage.notices import Notices
from tertulia.server.storage.paging import Page
from tertulia.server.storage.sqlite import SqliteDatabase
from tertulia.wire.sids import SidSource
from tests.engine.telling import Telling
from tests.engine.world import World

DAYS = 7


def log_of(telling: Telling) -> PushLog:
    return PushLog(telling.world.database, telling.world.clock, DAYS)


async def explained(telling: Telling, message_sid: str) -> list[Explanation]:
    """What is said of it now."""
    asking = PushExplaining(telling.world.database, telling.world.clock, DAYS)
    return await asking.why(None, message_sid, Page(100))


async def kept(telling: Telling) -> tuple[int, int]:
    return await telling.world.count("push_notices"), await telling.world.count("push_deliveries")


async def test_what_is_older_than_the_operator_wants_is_forgotten(telling: Telling) -> None:
    room = await telling.room("ana", "ben")
    for _ in range(2):
        await telling.world.send(room)
        await telling.perform()
        telling.world.clock.advance(timedelta(days=1))
    telling.world.clock.advance(timedelta(days=DAYS - 2))
    assert await log_of(telling).trim() == 0, "to the microsecond"
    telling.world.clock.advance(timedelta(microseconds=1))
    assert await log_of(telling).trim() == 1 + 2
    assert await kept(telling) == (1, 2)
    telling.world.clock.advance(timedelta(days=1))
    assert await log_of(telling).trim() == 1 + 2
    assert (await kept(telling), await log_of(telling).trim()) == ((0, 0), 0)


async def test_it_is_forgotten_in_small_bites_and_leaves_no_half_notice(telling: Telling) -> None:
    """Though many are of the same moment."""
    room = await telling.room("ana", "ben", "cleo")
    messages = [await telling.world.send(room) for _ in range(4)]
    await telling.perform()
    telling.world.clock.advance(timedelta(days=DAYS, microseconds=1))
    left = []
    for _ in range(9):
        async with telling.world.database.transaction() as connection:
            before = telling.world.clock.now() - DAYS * DAY_US
            assert await Notices(connection).trim(before, 2) <= 2 * 2
        left.append(await kept(telling))
    assert left == [(4, 10), (3, 8), (2, 6), (2, 4), (1, 2), *[(0, 0)] * 4]
    assert [len(await explained(telling, message.sid)) for message in messages] == [3] * 4


async def test_what_is_forgotten_in_part_is_not_told(telling: Telling) -> None:
    room = await telling.room("ana", "ben", "cleo")
    message = await telling.world.send(room)
    await telling.perform()
    telling.world.clock.advance(timedelta(days=DAYS))
    assert {one.why_not for one in await explained(telling, message.sid)} == {None}
    telling.world.clock.advance(timedelta(microseconds=1))
    async with telling.world.database.transaction() as connection:
        assert await Notices(connection).trim(telling.world.clock.now() - DAYS * DAY_US, 1) == 1
    assert {one.why_not for one in await explained(telling, message.sid)} == {nothing_known(DAYS)}
    assert await log_of(telling).trim() == 2 + 1


async def test_a_notice_to_very_many_is_forgotten_bite_by_bite(
    telling: Telling, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tertulia.server.jobs.push_log.BITE", 3)
    await telling.world.send(await telling.room(*(f"user-{number}" for number in range(10))))
    await telling.perform()
    telling.world.clock.advance(timedelta(days=DAYS, seconds=1))
    async with telling.world.database.transaction() as connection:
        assert await Notices(connection).trim(telling.world.clock.now(), 3) == 3
    assert await kept(telling) == (1, 7)
    assert await log_of(telling).trim() == 7 + 1
    assert await kept(telling) == (0, 0)


async def test_a_push_that_waits_when_its_notice_is_forgotten_is_not_sent(telling: Telling) -> None:
    room = await telling.room("ben")
    await telling.world.send(room)
    await telling.plan()
    telling.world.clock.advance(timedelta(days=DAYS, seconds=1))
    await log_of(telling).trim()
    await telling.perform()
    assert (telling.service.batches, await telling.owed("SendPushes")) == ([], 0)


async def test_what_was_told_in_a_service_that_is_deleted_goes_with_time(telling: Telling) -> None:
    other = Telling(await telling.world.in_new_service(), telling.push)
    await other.configure(new_message_enabled=True)
    room = await other.room("ben")
    await other.world.send(room)
    await other.perform()
    await other.world.do(DeleteService)
    await telling.world.run_due()
    telling.world.clock.advance(timedelta(days=DAYS, seconds=1))
    await log_of(telling).trim()
    assert await kept(telling) == (0, 0)


@asynccontextmanager
async def server(file: Path, clock: ManualClock) -> AsyncIterator[World]:
    """A world in a file, made there when it is the first."""
    database, sealer, source = SqliteDatabase(file), Sealer(b"\x01" * 32), SidSource()
    await database.open()
    try:
        await migrate(database, clock=clock)
        if await first_credentials(database, sealer) is None:
            await make_first_account(
                database, sealer, Bootstrap(), clock, lambda prefix: source.new(prefix, clock.now(), os.urandom(10))
            )
        credentials = await first_credentials(database, sealer)
        assert credentials is not None
        yield World(database, clock, sealer, credentials)
    finally:
        await database.close()


@pytest.mark.parametrize("stage", ["promised", "planned", "tried"])
async def test_whatever_is_owed_survives_a_restart(tmp_path: Path, stage: str) -> None:
    clock = ManualClock()
    async with server(tmp_path / "chat.db", clock) as world:
        telling = Telling(world, PushSettings())
        await telling.configure(new_message_enabled=True)
        room = await telling.room("ana", "ben")
        await world.send(room)
        if stage == "planned":
            await telling.plan()
        if stage == "tried":
            telling.service.say("ben's", Verdict.LATER)
            await telling.perform()
            assert telling.service.told == ["ana's", "ben's"]
    clock.advance(timedelta(minutes=10))
    async with server(tmp_path / "chat.db", clock) as world:
        telling = Telling(world, PushSettings())
        await telling.perform()
        assert telling.service.told == (["ben's"] if stage == "tried" else ["ana's", "ben's"])
        assert telling.content.text == f"{room}:system: hello"
        assert set((await telling.states()).values()) == {"sent"}
