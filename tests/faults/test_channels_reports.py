"""Reports that come twice, in any order, at once, and again after a crash: each message ends where it belongs."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Final

import pytest

from tests.peers.smpp import SmppPeer
from tests.peers.twilio_messages import TwilioMessages

from .carrying import OURS, TAKEN, TWILIO, Caller, by_smpp, carrying, number, report_of

pytestmark = [pytest.mark.faults, pytest.mark.node]

PEOPLE: Final = 10
MESSAGES: Final = 6
LIVES: Final = (
    ([("queued", 0), ("sending", 0), ("sent", 0), ("delivered", 0), ("read", 0)], ("read", 0)),
    ([("sent", 0), ("delivered", 0)], ("delivered", 0)),
    ([("sent", 0), ("undelivered", 30003)], ("undelivered", 30003)),
    ([("sent", 0), ("undelivered", 30005), ("delivered", 0)], ("delivered", 0)),
    ([("failed", 30007), ("sent", 0)], ("failed", 30007)),
)
"""What is reported of a message, in whatever order, and what it comes to."""
DONE: Final = 0


async def test_reports_that_come_in_any_order_and_twice_and_at_once_come_to_the_same(tmp_path: Path) -> None:
    chance = random.Random(7)
    async with TwilioMessages() as twilio, carrying(tmp_path) as world, Caller(world) as caller:
        await world.serve("twilio", {**TWILIO, "base_url": twilio.url})
        room = await world.together(PEOPLE)
        await world.write(room, 0, MESSAGES)
        await world.settled()
        wanted = {}
        reports: list[dict[str, str]] = []
        for place, (name, form) in enumerate(twilio.messages.items()):
            said, outcome = LIVES[place % len(LIVES)]
            wanted[form["To"][0], form["Body"][0]] = outcome
            reports += [report_of(name, status, code) for status, code in said * 2]
        chance.shuffle(reports)
        answers = await asyncio.gather(*(caller.call(one) for one in reports))
        assert set(answers) == {TAKEN}
        assert world.outcomes() == wanted
        # And long after.
        chance.shuffle(reports)
        assert set(await asyncio.gather(*(caller.call(one) for one in reports))) == {TAKEN}
        assert world.outcomes() == wanted
        assert "Traceback" not in world.server.log.read_text()


async def test_a_flood_of_reports_of_strangers_moves_nothing_and_keeps_nobody_waiting(tmp_path: Path) -> None:
    async with TwilioMessages() as twilio, carrying(tmp_path) as world, Caller(world) as caller:
        await world.serve("twilio", {**TWILIO, "base_url": twilio.url})
        room = await world.together(1)
        await world.write(room, 0, 1)
        await world.settled()
        (name,) = twilio.messages
        flood = [report_of(f"SM{stranger:032x}", "delivered") for stranger in range(300)]
        answers = await asyncio.gather(*(caller.call(one) for one in [*flood, report_of(name, "delivered"), *flood]))
        assert set(answers) == {TAKEN}
        assert world.outcomes() == {(number(0), "0"): ("delivered", 0)}
        assert world.count("early_reports") <= len(flood)


def receipt(one: dict[str, object], stat: str) -> dict[str, object]:
    """As SMSCs say what became of a message."""
    words = f"id:{one['id']} sub:001 dlvrd:001 submit date:2601010000 done date:2601010001 stat:{stat} err:000 text:"
    people = {"source_addr": one["destination_addr"], "destination_addr": OURS[1:]}
    return {**people, "source_addr_ton": 1, "dest_addr_ton": 1, "esm_class": 4, "short_message": words}


async def brought(smsc: SmppPeer, receipts: list[dict[str, object]]) -> list[dict[str, object]]:
    """Those without a good answer when all are answered, or the connection has ended."""
    connections = len(smsc.closed)
    numbers = await smsc.bring(*receipts)
    await smsc.until(lambda: len(smsc.closed) > connections or all(one in smsc.answered for one in numbers))
    return [one for name, one in zip(numbers, receipts, strict=True) if smsc.answered.get(name) != DONE]


async def test_receipts_of_an_smsc_are_brought_again_until_we_live_long_enough_to_keep_them(tmp_path: Path) -> None:
    chance = random.Random(11)
    async with by_smpp(tmp_path, jobs_lease_s=2) as (world, smsc, _):
        room = await world.together(PEOPLE)
        await world.write(room, 0, 3 * MESSAGES)
        await world.settled()
        left = [receipt(one, stat) for one in smsc.submitted for stat in ("ENROUTE", "DELIVRD", "ACCEPTD", "DELIVRD")]
        chance.shuffle(left)
        for count in (30, 70, 110):
            bringing = asyncio.create_task(brought(smsc, left))
            await world.until(lambda: world.count("receipts", "status = 'delivered'") >= count)  # noqa: B023
            await world.server.kill()
            left = await bringing
            bound = len(smsc.bound)
            await world.server.start()
            await smsc.until(lambda: len(smsc.bound) > bound)  # noqa: B023 (it is done before the next)
        while left:
            left = await brought(smsc, left)
        assert set(world.outcomes().values()) == {("delivered", 0)}
        assert len(world.outcomes()) == 3 * MESSAGES * PEOPLE
        assert len(smsc.submitted) == 3 * MESSAGES * PEOPLE
        assert "Traceback" not in world.server.log.read_text()
