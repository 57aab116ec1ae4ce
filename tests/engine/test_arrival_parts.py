"""Messages that come in parts are one message, whatever becomes of the parts on their way (gateways 8.1)."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise, permutations
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tertulia.server.domain.arrivals import Arrival, ArrivalState, Arriving
from tertulia.server.domain.arriving import arriving_of, whole_of
from tertulia.server.domain.channels import Incoming, Part

from .inbound import ANA, BEN, OURS, Inbound

TEN_MINUTES = timedelta(minutes=10)


def part(number: int, total: int, reference: str = "8/167") -> Part:
    return Part(reference=reference, number=number, total=total)


async def hears(
    inbound: Inbound, text: str, number: int, total: int, reference: str = "8/167", **more: Any
) -> Incoming:
    return await inbound.hears(text, part=part(number, total, reference), **more)


@pytest.mark.parametrize("order", list(permutations((1, 2, 3))))
async def test_parts_are_one_message_in_whatever_order_they_come(inbound: Inbound, order: tuple[int, ...]) -> None:
    room, _ = await inbound.pair()
    texts = {1: "one ", 2: "two ", 3: "three"}
    for number in order:
        assert await inbound.settle() == 0
        await hears(inbound, texts[number], number, 3)
    await inbound.settle()
    [message] = await inbound.messages(room.sid)
    assert (message.body, message.author, message.attributes) == ("one two three", ANA, "{}")


async def test_parts_may_come_all_at_once(inbound: Inbound) -> None:
    room, _ = await inbound.pair()
    await inbound.hear(*(inbound.incoming(f"{number}", part=part(number, 3)) for number in (2, 3, 1)))
    await inbound.settle()
    assert await inbound.bodies(room.sid) == ["123"]


async def test_a_part_that_never_comes_is_waited_for_ten_minutes_and_marked(inbound: Inbound) -> None:
    room, _ = await inbound.pair()
    await hears(inbound, "one ", 1, 4)
    await hears(inbound, "four", 4, 4)
    inbound.world.clock.advance(TEN_MINUTES - timedelta(microseconds=1))
    await inbound.settle()
    assert await inbound.bodies(room.sid) == []
    inbound.world.clock.advance(timedelta(microseconds=1))
    await inbound.settle()
    [message] = await inbound.messages(room.sid)
    assert message.body == "one […]four"
    assert msgspec.json.decode(message.attributes) == {"channel": {"incomplete": True}}


async def test_what_comes_after_that_is_a_message_of_its_own(inbound: Inbound) -> None:
    room, _ = await inbound.pair()
    await hears(inbound, "one", 1, 2)
    inbound.world.clock.advance(TEN_MINUTES)
    await inbound.settle()
    await hears(inbound, "two", 2, 2)
    inbound.world.clock.advance(TEN_MINUTES)
    await inbound.settle()
    assert await inbound.bodies(room.sid) == ["one[…]", "[…]two"]


async def test_a_part_that_comes_again_changes_nothing(inbound: Inbound) -> None:
    room, _ = await inbound.pair()
    first = await hears(inbound, "one ", 1, 2)
    await inbound.hear(first)
    second = await hears(inbound, "two", 2, 2)
    await inbound.hear(second, first)
    inbound.world.clock.advance(TEN_MINUTES)
    await inbound.settle()
    assert await inbound.bodies(room.sid) == ["one two"]


async def test_parts_of_others_are_not_mixed_in(inbound: Inbound) -> None:
    room, _ = await inbound.pair()
    other, _ = await inbound.pair(address=BEN)
    await hears(inbound, "Ana, ", 1, 2)
    await hears(inbound, "Ben, ", 1, 2, sender=BEN)
    await hears(inbound, "another", 2, 2, reference="8/168")
    await hears(inbound, "Ana", 2, 2)
    await hears(inbound, "Ben", 2, 2, sender=BEN)
    await inbound.settle()
    assert await inbound.bodies(room.sid) == ["Ana, Ana"]
    assert await inbound.bodies(other.sid) == ["Ben, Ben"]


async def test_a_reference_may_be_used_again(inbound: Inbound) -> None:
    room, _ = await inbound.pair()
    for text in ("first ", "second "):
        await hears(inbound, text, 1, 2)
        inbound.world.clock.advance(timedelta(minutes=6))
        await inbound.settle()
        await hears(inbound, "message", 2, 2)
        await inbound.settle()
    assert await inbound.bodies(room.sid) == ["first message", "second message"]


async def test_what_waits_survives_and_says_nothing_when_it_is_joined(inbound: Inbound) -> None:
    await inbound.pair()
    await hears(inbound, "one", 1, 2)
    [waiting] = await inbound.arrivals()
    assert waiting.state is ArrivalState.PART
    assert waiting.content is not None
    await hears(inbound, "two", 2, 2)
    await inbound.settle()
    assert await inbound.states() == ["joined", "joined", "taken"]
    assert [arrival.content for arrival in await inbound.arrivals()] == [None, None, None]


async def test_a_keyword_in_parts_is_heeded(inbound: Inbound) -> None:
    await inbound.pair()
    await hears(inbound, "ST", 1, 2)
    await hears(inbound, "OP", 2, 2)
    assert len(await inbound.replies()) == 1


async def test_a_part_alone_is_no_keyword(inbound: Inbound) -> None:
    await inbound.pair()
    await hears(inbound, "STOP", 1, 2)
    assert await inbound.replies() == []


async def test_what_parts_cost_does_not_grow(inbound: Inbound) -> None:
    async def cost(count: int) -> int:
        before = inbound.world.database.statements
        await inbound.hear(
            *(inbound.incoming("x", part=part(n, 2, f"{count}/{m}")) for m in range(count) for n in (1, 2))
        )
        return inbound.world.database.statements - before

    assert await cost(50) == await cost(1)


async def test_nobodys_number_stands_in_the_job_that_waits(inbound: Inbound) -> None:
    await inbound.pair()
    await hears(inbound, "one", 1, 2)
    async with inbound.world.database.snapshot() as connection:
        rows = await connection.rows("SELECT payload, key FROM outbox WHERE kind = 'WaitForParts'")
    assert len(rows) == 1
    assert not any(number in str(rows) for number in (ANA, OURS, ANA[1:], OURS[1:]))


@pytest.mark.parametrize(("number", "total"), [(0, 2), (3, 2), (1, 256), (-1, -1)])
async def test_numbers_that_no_part_has_make_it_a_message(inbound: Inbound, number: int, total: int) -> None:
    room, _ = await inbound.pair()
    await hears(inbound, "hello", number, total)
    await inbound.settle()
    assert await inbound.bodies(room.sid) == ["hello"]


def _kept(arriving: Arriving, at: int) -> Arrival:
    return Arrival(
        sid=arriving.sid,
        account_sid="AC",
        gateway_sid="GW",
        provider_id=arriving.provider_id,
        sender=arriving.sender,
        recipient=arriving.recipient,
        content=msgspec.json.decode(msgspec.json.encode(arriving.content), type=type(arriving.content)),
        group_key=None,
        digest=None,
        state=ArrivalState.PART,
        why=None,
        conversation_sid=None,
        message_sid=None,
        created_at=at,
        updated_at=at,
    )


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=2, max_size=200), st.data())
def test_parts_that_are_cut_anywhere_are_the_text(text: str, data: st.DataObject) -> None:
    units = text.encode("utf-16-be")
    count = data.draw(st.integers(2, min(len(units) // 2, 8)))
    places = data.draw(
        st.lists(st.integers(1, len(units) // 2 - 1), min_size=count - 1, max_size=count - 1, unique=True).map(sorted)
        if len(units) // 2 > count
        else st.just(list(range(1, count)))
    )
    ends = [0, *places, len(units) // 2]
    pieces = [units[2 * start : 2 * end] for start, end in pairwise(ends)]
    kept = []
    for number, piece in enumerate(pieces, start=1):
        incoming = Incoming(
            provider_id=str(number),
            sender=ANA,
            recipient=OURS,
            text=piece.decode("utf-16-be", "surrogatepass"),
            part=part(number, len(pieces)),
        )
        arriving = arriving_of(incoming, f"RA{number}", [])
        assert arriving is not None
        kept.append(_kept(arriving, number))
    order = data.draw(st.permutations(kept))
    whole = whole_of(order, "RA0")
    assert whole.content.text == text
    assert not whole.content.is_incomplete
