"""kill -9 while people on channels write: what was answered is kept, what was not comes again; all is there once."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.peers.smpp import SmppPeer

from .carrying import TWILIO, Caller, Carrying, by_smpp, carrying, sms_of

pytestmark = [pytest.mark.faults, pytest.mark.node]

LEASE_S = 2
PEOPLE = 20
EACH = 40


async def write_one_after_the_other(caller: Caller, person: int) -> None:
    """Whoever writes, his next message is brought when the one before it is taken."""
    for number in range(EACH):
        await caller.bring(f"SM{person}.{number}", person, str(number))


async def test_callbacks_that_are_killed_again_and_again_lose_nothing(tmp_path: Path) -> None:
    async with carrying(tmp_path, jobs_lease_s=LEASE_S) as world, Caller(world) as caller:
        await world.serve("twilio", TWILIO)
        await world.apart(PEOPLE)
        writing = [asyncio.create_task(write_one_after_the_other(caller, person)) for person in range(PEOPLE)]
        for count in (150, 350, 550):
            await world.until(lambda: caller.taken >= count)  # noqa: B023 (it is done before the next)
            await world.server.kill()
            await world.server.start()
        await asyncio.gather(*writing)
        await world.settled()
        assert await world.said() == [[str(number) for number in range(EACH)]] * PEOPLE
        assert world.count("arrivals") == PEOPLE * EACH
        assert world.count("arrivals", "content IS NOT NULL") == 0, "what is taken in is not kept twice"
        assert "Traceback" not in world.server.log.read_text()


async def bring(smsc: SmppPeer, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the SMSC has no good answer for when its connection has ended, in its order."""
    connections = len(smsc.closed)
    numbers = await smsc.bring(*messages)
    await smsc.until(lambda: len(smsc.closed) > connections or all(number in smsc.answered for number in numbers))
    return [one for number, one in zip(numbers, messages, strict=True) if smsc.answered.get(number) != 0]


async def test_an_smsc_that_names_its_messages_brings_each_once_however_often_we_are_killed(tmp_path: Path) -> None:
    async with by_smpp(tmp_path, jobs_lease_s=LEASE_S) as (world, smsc, _):
        await world.apart(PEOPLE)
        left = [
            sms_of(person, str(number), name=f"{person:03d}{number:03d}")
            for number in range(EACH)
            for person in range(PEOPLE)
        ]
        for count in (100, 300, 500):
            bringing = asyncio.create_task(bring(smsc, left))
            await world.until(lambda: world.count("arrivals") >= count)  # noqa: B023 (it is done before the next)
            await world.server.kill()
            left = await bringing
            bound = len(smsc.bound)
            await world.server.start()
            await smsc.until(lambda: len(smsc.bound) > bound)  # noqa: B023 (it is done before the next)
        while left:  # a queue of ours may be full: it brings them later
            left = await bring(smsc, left)
        await world.settled()
        assert await world.said() == [[str(number) for number in range(EACH)]] * PEOPLE


KEPT = 'INSERT INTO "arrivals"'
TAKEN_IN = 'UPDATE "arrivals" SET'


@pytest.mark.parametrize("moment", [f"{when}:{what}" for what in (KEPT, TAKEN_IN) for when in ("before", "after")])
async def test_each_moment_a_callback_may_die_at(tmp_path: Path, moment: str) -> None:
    async with carrying(tmp_path, jobs_lease_s=1) as world, Caller(world) as caller:
        await world.serve("twilio", TWILIO)
        await world.apart(1)
        await dies(world, moment)
        bringing = asyncio.create_task(caller.bring("SM1", 0, "once"))
        await world.server.death()
        assert world.count("arrivals") == (0 if moment == f"before:{KEPT}" else 1)
        await lives(world)
        await bringing
        await caller.bring("SM1", 0, "once")
        await caller.bring("SM2", 0, "then this")
        await world.settled()
        assert await world.said() == [["once", "then this"]]


@pytest.mark.parametrize(
    ("moment", "is_answered"),
    [(f"before:{KEPT}", False), (f"after:{KEPT}", False), (f"before:{TAKEN_IN}", True), (f"after:{TAKEN_IN}", True)],
)
async def test_each_moment_a_connection_may_die_at(tmp_path: Path, moment: str, is_answered: bool) -> None:
    async with by_smpp(tmp_path, jobs_lease_s=1) as (world, smsc, _):
        await world.apart(1)
        await dies(world, moment)
        await smsc.until(lambda: len(smsc.bound) == 2)
        left = await bring(smsc, [sms_of(0, "once", name="a1")])
        await world.server.death()
        assert (not left) == is_answered
        await lives(world)
        await smsc.until(lambda: len(smsc.bound) == 3)
        assert await bring(smsc, left) == []
        await world.settled()
        assert await world.said() == [["once"]]


async def test_what_an_smsc_does_not_name_may_be_there_twice_after_a_crash_and_is_never_lost(tmp_path: Path) -> None:
    async with by_smpp(tmp_path, jobs_lease_s=1) as (world, smsc, _):
        await world.apart(1)
        await dies(world, f"after:{KEPT}")
        await smsc.until(lambda: len(smsc.bound) == 2)
        left = await bring(smsc, [sms_of(0, "once"), sms_of(0, "then this")])
        assert len(left) == 2
        await lives(world)
        await smsc.until(lambda: len(smsc.bound) == 3)
        assert await bring(smsc, left) == []
        await world.settled()
        (said,) = await world.said()
        assert set(said) == {"once", "then this"}
        assert len(said) <= 4
        assert said[-2:] == ["once", "then this"]


async def dies(world: Carrying, moment: str) -> None:
    await world.server.end()
    world.server.die = moment
    await world.server.start()


async def lives(world: Carrying) -> None:
    world.server.die = None
    await world.server.start()
