"""kill -9 while messages go out to channels: each is sent once; or nobody knows, and then it is not repeated."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from .carrying import SENT, UNKNOWN, are_in_order, by_smpp, submitted

pytestmark = [pytest.mark.faults, pytest.mark.node]

LEASE_S = 2
"""What a killed process had begun is looked at again after this."""
AT_ONCE = 16
"""``jobs.per_receiver``: so many may be under way when it is killed."""
PEOPLE = 20
MESSAGES = 15


async def test_a_burst_that_is_killed_again_and_again_is_sent_once_or_has_failed(tmp_path: Path) -> None:
    async with by_smpp(tmp_path, jobs_lease_s=LEASE_S) as (world, smsc, _):
        room = await world.together(PEOPLE)
        await smsc.answer_with({"delay_ms": 20})
        await world.write(room, 0, MESSAGES)
        for count in (60, 130, 200):
            await smsc.until(lambda: len(smsc.submitted) >= count)  # noqa: B023 (it is done before the next)
            await world.server.kill()
            assert world.count("outbox") > 0
            await world.server.start()
        await world.settled()

        sent, outcomes = submitted(smsc), world.outcomes()
        assert len(outcomes) == PEOPLE * MESSAGES, "none is forgotten"
        assert max(Counter(sent).values()) == 1, "none is sent twice"
        are_in_order(sent)
        assert set(outcomes.values()) == {SENT, UNKNOWN}
        unknown = {one for one, outcome in outcomes.items() if outcome == UNKNOWN}
        assert 0 < len(unknown) <= 3 * AT_ONCE
        assert outcomes.keys() - unknown <= set(sent), "what is said to be sent was"
        assert "Traceback" not in world.server.log.read_text()


async def test_a_server_that_is_asked_to_stop_in_a_burst_leaves_nobody_in_doubt(tmp_path: Path) -> None:
    async with by_smpp(tmp_path, jobs_lease_s=60) as (world, smsc, _):
        room = await world.together(PEOPLE)
        await smsc.answer_with({"delay_ms": 20})
        await world.write(room, 0, MESSAGES)
        await smsc.until(lambda: len(smsc.submitted) >= 60)
        world.server.ask_to_stop()
        assert await world.server.exit_code() == 0
        assert world.count("outbox") > 0
        assert world.leased() == 0, "nobody has to wait for a lease to run out"
        assert smsc.unbound == [1]
        await world.server.start()
        await world.settled()
        sent = submitted(smsc)
        assert max(Counter(sent).values()) == 1
        are_in_order(sent)
        assert set(world.outcomes().values()) == {SENT}
        assert len(sent) == PEOPLE * MESSAGES
        assert "Traceback" not in world.server.log.read_text()


PROMISED = 'INSERT INTO "channel_messages"'
BEGUN = "UPDATE channel_messages SET state = $2, gateway_sid = $3"
RECORDED = "INSERT INTO handles"


@pytest.mark.parametrize(
    ("moment", "before", "after", "outcome"),
    [
        (f"after:{PROMISED}", 0, 1, SENT),
        (f"before:{BEGUN}", 0, 1, SENT),
        (f"after:{BEGUN}", 0, 0, UNKNOWN),
        (f"before:{RECORDED}", 1, 1, UNKNOWN),
        (f"after:{RECORDED}", 1, 1, SENT),
    ],
)
async def test_each_moment_it_may_die_at(
    tmp_path: Path, moment: str, before: int, after: int, outcome: tuple[str, int]
) -> None:
    async with by_smpp(tmp_path, jobs_lease_s=1) as (world, smsc, _):
        room = await world.together(1)
        await world.server.end()
        world.server.die = moment
        await world.server.start()
        writing = asyncio.create_task(world.write(room, 0, 1))
        await world.server.death()
        await asyncio.gather(writing, return_exceptions=True)  # its answer may have been lost
        assert len(smsc.submitted) == before
        world.server.die = None
        await world.server.start()
        await world.settled()
        assert len(smsc.submitted) == after
        assert list(world.outcomes().values()) == [outcome]
        # What came behind it goes out all the same.
        await world.write(room, 1, 2)
        await world.settled()
        assert len(smsc.submitted) == after + 1
