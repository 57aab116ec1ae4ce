"""Messages to a group: found by the set of its numbers, and heard once (semantics 4.3, 4.6)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tertulia.server.domain.conversations import UpdateConversation
from tertulia.server.domain.gateways import AddSender, RemoveSender
from tertulia.server.domain.participants import AddParticipant

from .inbound import ANA, BEN, OURS, OURS_TOO, Inbound

CARL = "+15551110003"


def to_group(inbound: Inbound, text: str = "hello all", *, ours: str = OURS, **fields: Any) -> Any:
    """From Ana to our number and Ben, unless the test says otherwise."""
    return inbound.incoming(text, recipient=ours, **{"others": (BEN,), **fields})


async def test_a_group_is_found_by_all_its_numbers(inbound: Inbound) -> None:
    room = await inbound.group(ANA, BEN)
    await inbound.hear(to_group(inbound))
    await inbound.settle()
    [message] = await inbound.messages(room.sid)
    assert (message.body, message.author) == ("hello all", ANA)
    assert message.participant_sid is not None


@pytest.mark.parametrize(
    "others", [(BEN, CARL), (CARL,), (OURS_TOO,)], ids=["one more", "another", "one of ours instead"]
)
async def test_another_set_is_another_group(inbound: Inbound, others: tuple[str, ...]) -> None:
    room = await inbound.group(ANA, BEN)
    await inbound.hear(to_group(inbound, others=others))
    await inbound.settle()
    assert await inbound.bodies(room.sid) == []
    assert await inbound.states() == ["dropped"]


async def test_the_order_of_the_numbers_and_repeated_ones_do_not_matter(inbound: Inbound) -> None:
    room = await inbound.group(ANA, BEN, CARL)
    await inbound.hear(
        to_group(inbound, "one", others=(BEN, CARL)),
        to_group(inbound, "two", others=(CARL, BEN, OURS, ANA, CARL)),
        to_group(inbound, "three", sender=CARL, others=(ANA, BEN)),
    )
    await inbound.settle()
    assert await inbound.bodies(room.sid) == ["one", "two", "three"]


async def test_a_message_to_a_group_does_not_get_where_two_talk_alone(inbound: Inbound) -> None:
    alone, _ = await inbound.pair()
    await inbound.hear(to_group(inbound))
    await inbound.settle()
    assert await inbound.bodies(alone.sid) == []
    assert await inbound.states() == ["dropped"]


async def test_a_message_for_our_number_alone_does_not_get_into_a_group(inbound: Inbound) -> None:
    room = await inbound.group(ANA, BEN)
    alone, _ = await inbound.pair()
    await inbound.hear(to_group(inbound, "for you", others=()))
    await inbound.settle()
    assert await inbound.bodies(room.sid) == []
    assert await inbound.bodies(alone.sid) == ["for you"]


async def test_a_closed_group_has_gone(inbound: Inbound) -> None:
    room = await inbound.group(ANA, BEN)
    await inbound.world.do(UpdateConversation, conversation=room.sid, state="closed")
    await inbound.hear(to_group(inbound))
    await inbound.settle()
    assert await inbound.states() == ["dropped"]


async def test_what_came_by_the_group_is_not_sent_out_to_it(inbound: Inbound) -> None:
    await inbound.group(ANA, BEN)
    await inbound.hear(to_group(inbound))
    await inbound.settle()
    assert await inbound.owed("SendOnChannel") == 0


async def test_a_group_where_somebody_talks_to_our_number_alone_is_found_by_that_number(inbound: Inbound) -> None:
    room = (await inbound.world.conversation()).sid
    for binding in ({"address": ANA}, {"address": BEN}, {"address": CARL, "proxy_address": OURS}):
        await inbound.world.do(AddParticipant, conversation=room, **binding)
    await inbound.hear(
        to_group(inbound, "Ana says"),
        inbound.incoming("Carl says", sender=CARL),
        to_group(inbound, "Carl says", sender=OURS, others=(ANA,), ours=BEN),
    )
    await inbound.settle()
    said = [(message.author, message.body) for message in await inbound.messages(room)]
    assert sorted(said) == [(ANA, "Ana says"), (CARL, "Carl says")]


# ---------------------------------------------------------------------------------------------------------- copies

BOTH = (OURS, OURS_TOO)


def copies(inbound: Inbound, text: str = "hello all", **fields: Any) -> list[Any]:
    """One message, as each of our two numbers gets it."""
    return [
        to_group(inbound, text, ours=ours, others=(BEN, *(other for other in BOTH if other != ours)), **fields)
        for ours in BOTH
    ]


async def test_copies_to_several_numbers_of_ours_are_one_message(inbound: Inbound) -> None:
    room = await inbound.group(ANA, BEN, ours=BOTH)
    await inbound.hear(*copies(inbound))
    await inbound.settle()
    assert await inbound.bodies(room.sid) == ["hello all"]
    assert await inbound.states() == ["taken", "copy"]


async def test_copies_may_come_by_several_requests(inbound: Inbound) -> None:
    room = await inbound.group(ANA, BEN, ours=BOTH)
    first, second = copies(inbound)
    await inbound.hear(first)
    await inbound.settle()
    inbound.world.clock.advance(timedelta(seconds=59))
    await inbound.hear(second)
    await inbound.settle()
    assert await inbound.bodies(room.sid) == ["hello all"]


async def test_after_a_minute_the_same_words_are_said_again(inbound: Inbound) -> None:
    room = await inbound.group(ANA, BEN, ours=BOTH)
    first, second = copies(inbound)
    await inbound.hear(first)
    inbound.world.clock.advance(timedelta(seconds=61))
    await inbound.hear(second)
    await inbound.settle()
    assert await inbound.bodies(room.sid) == ["hello all", "hello all"]


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (0, 2, 1, 3), (0, 2, 3, 1), (2, 0, 3, 1)])
async def test_who_says_the_same_twice_is_heard_twice(inbound: Inbound, order: tuple[int, ...]) -> None:
    room = await inbound.group(ANA, BEN, ours=BOTH)
    came = [*copies(inbound, "ok"), *copies(inbound, "ok")]
    for number in order:
        await inbound.hear(came[number])
    await inbound.settle()
    assert await inbound.bodies(room.sid) == ["ok", "ok"]


async def test_the_same_words_of_another_are_no_copy(inbound: Inbound) -> None:
    room = await inbound.group(ANA, BEN, ours=BOTH)
    await inbound.hear(
        to_group(inbound, "ok", others=(BEN, OURS_TOO)),
        to_group(inbound, "ok", sender=BEN, ours=OURS_TOO, others=(ANA, OURS)),
    )
    await inbound.settle()
    assert await inbound.bodies(room.sid) == ["ok", "ok"]


async def test_other_words_are_no_copy(inbound: Inbound) -> None:
    room = await inbound.group(ANA, BEN, ours=BOTH)
    await inbound.hear(copies(inbound, "ok")[0], copies(inbound, "no")[1])
    await inbound.settle()
    assert await inbound.bodies(room.sid) == ["ok", "no"]


async def test_copies_by_two_gateways_are_known_by_the_name_the_carrier_gives(inbound: Inbound) -> None:
    await inbound.world.do(RemoveSender, address=OURS_TOO)
    other = await inbound.serve(OURS_TOO, "other")
    room = await inbound.group(ANA, BEN, ours=BOTH)
    first, second = copies(inbound, "hello", provider_id="carrier-1")
    await inbound.hear(first)
    changed = inbound.incoming("hello ", provider_id="carrier-1", recipient=second.recipient, others=second.others)
    await inbound.hear_by(other, changed)
    await inbound.settle()
    assert await inbound.bodies(room.sid) == ["hello"]


async def test_what_a_number_of_ours_wrote_is_not_heard_by_another_and_holds_nothing_up(inbound: Inbound) -> None:
    room = await inbound.group(ANA, BEN, ours=BOTH)
    await inbound.hear(
        to_group(inbound, "ours", sender=OURS, ours=OURS_TOO, others=(ANA, BEN)),
        to_group(inbound, "an answer", others=(BEN, OURS_TOO)),
    )
    await inbound.settle()
    assert await inbound.bodies(room.sid) == ["an answer"]
    assert await inbound.states() == ["dropped", "taken"]


async def test_what_a_number_of_ours_wrote_to_a_group_that_has_gone_makes_no_conversation(inbound: Inbound) -> None:
    await inbound.welcome(OURS_TOO)
    await inbound.hear(to_group(inbound, "ours", sender=OURS, ours=OURS_TOO, others=(ANA, BEN)))
    await inbound.settle()
    assert await inbound.conversations() == []
    assert await inbound.states() == ["dropped"]


# ----------------------------------------------------------------------------------------------------- new groups


async def test_a_group_of_strangers_gets_a_conversation(inbound: Inbound) -> None:
    await inbound.welcome()
    await inbound.hear(to_group(inbound, "first"))
    await inbound.settle()
    await inbound.hear(to_group(inbound, "second", sender=BEN, others=(ANA,)))
    await inbound.settle()
    [(sid, service, name, state)] = await inbound.conversations()
    assert (service, name, state) == (inbound.world.service, ANA, "active")
    assert await inbound.bodies(sid) == ["first", "second"]
    async with inbound.world.database.snapshot() as connection:
        members = await connection.rows(
            "SELECT address, proxy_address, projected_address, identity FROM participants ORDER BY sid"
        )
        key, bound = await connection.row("SELECT group_key, bound_count FROM conversations") or ("", 0)
    assert members == [(ANA, None, None, None), (None, None, OURS, None), (BEN, None, None, None)]
    assert (key, bound) == (" ".join(sorted((ANA, BEN, OURS))), 2)


async def test_our_other_numbers_are_ours_in_it(inbound: Inbound) -> None:
    await inbound.welcome()
    await inbound.hear(*copies(inbound))
    await inbound.settle()
    async with inbound.world.database.snapshot() as connection:
        ours = await connection.rows("SELECT projected_address FROM participants WHERE address IS NULL ORDER BY sid")
    assert sorted(number for (number,) in ours) == sorted(BOTH)


async def test_a_group_that_is_too_large_is_dropped(inbound: Inbound) -> None:
    await inbound.welcome()
    await inbound.hear(to_group(inbound, others=tuple(f"+155511100{number}" for number in range(10, 20))))
    await inbound.settle()
    [arrival] = await inbound.arrivals()
    assert (arrival.state.value, arrival.why) == ("dropped", "refused with 50436")
    assert await inbound.conversations() == []


async def test_numbers_of_other_countries_make_no_group(inbound: Inbound) -> None:
    await inbound.welcome()
    await inbound.hear(to_group(inbound, others=("+442071838750",)))
    await inbound.settle()
    [arrival] = await inbound.arrivals()
    assert (arrival.state.value, arrival.why) == ("dropped", "refused with 50435")


async def test_a_group_is_no_matter_of_mail(inbound: Inbound) -> None:
    await inbound.world.do(AddSender, address="desk@ours.test", gateway="wire")
    room, _ = await inbound.pair(address="ana@home.test", proxy="desk@ours.test")
    await inbound.hears("for all", sender="ana@home.test", recipient="desk@ours.test", others=("ben@home.test",))
    await inbound.settle()
    assert await inbound.bodies(room.sid) == ["for all"]
