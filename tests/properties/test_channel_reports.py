"""Reports in whatever order, however often, before the answer or after it: the receipts end the same (gateways 8.0)."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from tertulia.server.channels.base import Accepted
from tertulia.server.domain.channels import Report
from tertulia.server.domain.receipts import FAILURES, ReceiptStatus
from tests.engine.sending import Sending, number
from tests.engine.world import new_world

FORWARD = ("sent", "delivered", "read")
CODE = 30003

_story = st.tuples(
    st.integers(1, 3),
    st.sampled_from(FAILURES),
    st.lists(st.tuples(st.integers(0, 2), st.sampled_from([*FORWARD, "failure"])), max_size=8),
)


def come_to(said: Sequence[str], failure: str) -> str:
    """What one part has come to, whatever the order."""
    furthest = max((FORWARD.index(one) for one in said if one in FORWARD), default=0)
    return failure if furthest == 0 and "failure" in said else FORWARD[furthest]


def together(parts: Sequence[str], failure: str) -> tuple[str, int]:
    """What the message has come to."""
    if failure in parts:
        return failure, CODE
    return min(parts, key=FORWARD.index), 0


def report(handle: str, said: str, failure: str, recipient: str | None = None) -> Report:
    status = failure if said == "failure" else said
    code = CODE if said == "failure" else 0
    return Report(status=ReceiptStatus(status), handle=handle, error_code=code, recipient=recipient)


@settings(max_examples=60)
@given(story=_story, data=st.data())
async def test_parts_come_to_the_same_in_any_order(
    story: tuple[int, ReceiptStatus, list[tuple[int, str]]], data: st.DataObject
) -> None:
    count, failure, wanted = story
    said = [(part % count, word) for part, word in wanted]
    shuffled = data.draw(st.permutations(said * 2))
    early = data.draw(st.integers(0, len(shuffled)))
    async with new_world() as world:
        sending = Sending(world)
        room = await sending.room(1)
        await sending.send(room)
        reports = [report(f"part{part}", word, failure) for part, word in shuffled]
        await sending.reports(*reports[:early])
        sending.channel.answers = [Accepted(handles=tuple(f"part{part}" for part in range(count)))]
        await sending.perform()
        await sending.reports(*reports[early:])
        parts = [come_to([word for part, word in said if part == wanted], failure) for wanted in range(count)]
        assert await sending.outcomes() == [together(parts, failure)]


@settings(max_examples=40)
@given(
    failure=st.sampled_from(FAILURES),
    said=st.lists(st.tuples(st.sampled_from([1, 2]), st.sampled_from([*FORWARD, "failure"])), max_size=8),
    data=st.data(),
)
async def test_people_of_a_group_come_to_the_same_in_any_order(
    failure: ReceiptStatus, said: list[tuple[int, str]], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(said * 2))
    early = data.draw(st.integers(0, len(shuffled)))
    async with new_world() as world:
        sending = Sending(world)
        room = await sending.group()
        await sending.send(room, author="ana")
        reports = [report("h1", word, failure, number(person)) for person, word in shuffled]
        await sending.reports(*reports[:early])
        await sending.perform()
        await sending.reports(*reports[early:])
        expected = []
        for person in (1, 2):
            end = come_to([word for who, word in said if who == person], failure)
            expected.append((end, CODE if end == failure else 0))
        assert await sending.outcomes() == expected
