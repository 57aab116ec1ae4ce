"""Requests that come at the same time are kept together, and none of them suffers for another."""

from __future__ import annotations

import asyncio

import pytest

from tertulia.server.domain.arrivals import Arriving
from tertulia.server.domain.arriving import arriving_of
from tertulia.server.domain.errors import TertuliaError
from tertulia.server.engine.accepting import AT_ONCE, Accepting, Source

from .inbound import HEEDED, Inbound

REQUESTS = 100


async def names(inbound: Inbound) -> list[str]:
    return sorted(arrival.provider_id for arrival in await inbound.arrivals())


async def test_a_hundred_requests_at_once_cost_much_less_than_one_after_the_other(inbound: Inbound) -> None:
    database = inbound.world.database
    before = database.statements
    await inbound.hears()
    one = database.statements - before
    before = database.statements
    await asyncio.gather(*(inbound.hears() for _ in range(REQUESTS)))
    assert database.statements - before <= 3 * one
    assert len(await inbound.arrivals()) == REQUESTS + 1


async def test_each_is_kept_when_its_request_is_answered(inbound: Inbound) -> None:
    async def hears() -> None:
        one = await inbound.hears()
        assert one.provider_id in await names(inbound)

    await asyncio.gather(*(hears() for _ in range(REQUESTS)))


async def test_the_same_message_by_two_requests_at_once_is_kept_once(inbound: Inbound) -> None:
    one = inbound.incoming()
    await asyncio.gather(*(inbound.hear(one) for _ in range(20)))
    assert await names(inbound) == [one.provider_id]


async def test_who_hangs_up_takes_nobody_with_him(inbound: Inbound) -> None:
    requests = [asyncio.create_task(inbound.hears()) for _ in range(20)]
    await asyncio.sleep(0)
    for request in requests[::2]:
        request.cancel()
    outcomes = await asyncio.gather(*requests, return_exceptions=True)
    answered = [one for one in outcomes if not isinstance(one, BaseException)]
    assert len(answered) == 10
    assert {one.provider_id for one in answered} <= set(await names(inbound))


async def test_what_cannot_be_kept_keeps_nothing_else_away(inbound: Inbound) -> None:
    accepting = Accepting(inbound.world.engine)
    source = Source(inbound.world.account.account_sid, inbound.gateway, HEEDED)

    def arriving(number: int) -> Arriving:
        made = arriving_of(inbound.incoming(provider_id=f"name-{number}"), f"RA{number:032x}", ())
        assert made is not None
        return made

    await accepting.accept(source, [arriving(0)])
    at_fault = arriving_of(inbound.incoming(provider_id="another"), f"RA{0:032x}", ())  # its SID is taken
    assert at_fault is not None
    loads = [[arriving(1)], [at_fault], [arriving(2), arriving(0)]]
    first, second, third = await asyncio.gather(
        *(accepting.accept(source, load) for load in loads), return_exceptions=True
    )
    assert first == (f"RA{1:032x}",)
    assert isinstance(second, TertuliaError)
    assert third == (f"RA{2:032x}",)
    assert await names(inbound) == ["name-0", "name-1", "name-2"]


@pytest.mark.parametrize("each", [1, 3, AT_ONCE])
async def test_what_is_too_much_for_one_transaction_takes_several(inbound: Inbound, each: int) -> None:
    count = 2 * AT_ONCE // each + 1
    await asyncio.gather(*(inbound.hear(*(inbound.incoming() for _ in range(each))) for _ in range(count)))
    assert len(await inbound.arrivals()) == each * count
