"""Ten thousand messages of people at once: all are kept, each once, in order, and what waits in memory is little."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from .carrying import TAKEN, TWILIO, Caller, Carrying, by_smpp, carrying, number, sms_of

pytestmark = [pytest.mark.faults, pytest.mark.node, pytest.mark.slow]

MESSAGES = 10_000
PEOPLE = 50
CALLS = 40
"""``channels.callbacks_at_once``: fewer than write."""
MOST_BYTES = 48 << 20
"""What the server may grow by: much less than all of them, with all that is known of them, would need at a time."""
WITHIN_S = 60.0
QUEUE_FULL = 0x14


async def test_ten_thousand_callbacks_at_once_are_all_taken_in(tmp_path: Path) -> None:
    async with (
        carrying(tmp_path, channels_callbacks_at_once=CALLS) as world,
        Caller(world, connections=PEOPLE) as caller,
    ):
        await world.serve("twilio", TWILIO)
        await world.apart(PEOPLE)
        await bring_and_settle(world, caller, "warm-up", 1)
        before = world.server.memory()
        await bring_and_settle(world, caller, "burst", MESSAGES // PEOPLE)
        assert world.server.memory() - before < MOST_BYTES
        assert await world.said() == [["warm-up 0"] + [f"burst {turn}" for turn in range(MESSAGES // PEOPLE)]] * PEOPLE
        assert caller.answers.keys() == {TAKEN}, "who is too many waits for the others"


async def bring_and_settle(world: Carrying, caller: Caller, what: str, each: int) -> None:
    """Each person writes one message after the other; every tenth comes twice at the same time."""

    async def write(person: int) -> None:
        for turn in range(each):
            message = f"SM{what}{person}.{turn}", person, f"{what} {turn}"
            await asyncio.gather(*(caller.bring(*message) for _ in range(1 if turn % 10 else 2)))

    await asyncio.gather(*(write(person) for person in range(PEOPLE)))
    await world.settled(WITHIN_S)


async def test_ten_thousand_messages_of_an_smsc_at_once_are_all_taken_in(tmp_path: Path) -> None:
    async with by_smpp(tmp_path) as (world, smsc, _):
        await world.apart(PEOPLE)
        messages = [sms_of(turn % PEOPLE, str(turn // PEOPLE)) for turn in range(MESSAGES)]
        before = world.server.memory()
        kept: list[dict[str, Any]] = []
        refused = 0
        left = messages
        while left:
            numbers = await smsc.bring(*left)
            answers = await smsc.answers_to(numbers)
            assert set(answers) <= {0, QUEUE_FULL}
            kept += [one for one, answer in zip(left, answers, strict=True) if answer == 0]
            left = [one for one, answer in zip(left, answers, strict=True) if answer != 0]
            refused += len(left)
            assert world.count("arrivals") == len(kept), "what is answered is kept, and what is not is not"
        assert refused > 0, "it is told to come again, not listened to without end"
        await world.settled(WITHIN_S)
        assert world.server.memory() - before < MOST_BYTES
        wanted = [
            [one["short_message"] for one in kept if one["source_addr"] == number(person)[1:]]
            for person in range(PEOPLE)
        ]
        assert await world.said() == wanted
        assert sum(map(len, wanted)) == MESSAGES
