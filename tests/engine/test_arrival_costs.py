"""Statements do not grow with what comes in, nor with what has come in before (semantics 4.3)."""

from __future__ import annotations

import pytest

from .inbound import ANA, Inbound


async def cost_of_hearing(inbound: Inbound, count: int) -> int:
    before = inbound.world.database.statements
    await inbound.hear(*(inbound.incoming(f"number {number}") for number in range(count)))
    return inbound.world.database.statements - before


async def test_a_request_of_many_costs_what_one_costs(inbound: Inbound) -> None:
    await inbound.pair()
    one = await cost_of_hearing(inbound, 1)
    assert await cost_of_hearing(inbound, 100) == one


async def test_a_group_costs_two_more(inbound: Inbound) -> None:
    one = await cost_of_hearing(inbound, 1)
    before = inbound.world.database.statements
    await inbound.hear(*(inbound.incoming(f"{number}", others=("+15551110002",)) for number in range(100)))
    assert inbound.world.database.statements - before == one + 1


async def test_a_thousand_arrivals_are_taken_in_as_one_is(inbound: Inbound) -> None:
    """Each of a burst costs the same, whoever sent it."""
    people = [f"+1555222{number:04}" for number in range(100)]
    rooms = [(await inbound.pair(address=who))[0].sid for who in people]
    await inbound.hears(sender=people[0])
    before = inbound.world.database.statements
    await inbound.settle()
    lone = inbound.world.database.statements - before
    for start in range(0, 1000, 100):
        await inbound.hear(
            *(inbound.incoming(f"{number}", sender=people[number % 100]) for number in range(start, start + 100))
        )
    before = inbound.world.database.statements
    attempts = await inbound.settle()
    assert attempts == 1000
    assert (inbound.world.database.statements - before) / attempts <= lone
    assert await inbound.bodies(rooms[7]) == [str(number) for number in range(7, 1000, 100)]


@pytest.mark.parametrize("kind", ["pair", "group"])
async def test_where_it_belongs_is_found_in_as_many_statements_however_full_the_place_is(
    inbound: Inbound, kind: str
) -> None:
    others = ("+15551110002",) if kind == "group" else ()
    await (inbound.group(ANA, *others) if kind == "group" else inbound.pair())
    costs = []
    for round_ in range(3):
        await inbound.hear(*(inbound.incoming(f"{round_} {number}", others=others) for number in range(round_ * 20)))
        await inbound.settle()
        await inbound.hears(f"last of {round_}", others=others)
        [sid] = [arrival.sid for arrival in await inbound.arrivals() if arrival.content is not None]
        before = inbound.world.database.statements
        await inbound.queries.waiting(sid)
        costs.append(inbound.world.database.statements - before)
        await inbound.settle()
    assert costs == [2, 2, 2]
