"""Whatever way a client walks through a collection, it sees what is there, and knows where that begins and ends."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tertulia.server.domain.participants import RemoveParticipant
from tests.engine.world import World

from .sdk import Face, Sdk

RELAXED = settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
"""One world serves all examples; each has a conversation of its own."""

Key = str | int

steps = st.lists(
    st.one_of(
        st.just("next"),
        st.just("previous"),
        st.tuples(
            st.sampled_from(["asc", "desc"]),
            st.integers(1, 7),
            st.none() | st.integers(-2, 14),
            st.sampled_from(["inclusive", "exclusive", None]),
        ),
    ),
    min_size=1,
    max_size=12,
)


class Expected:
    """Which part of a collection a page has to be: places ``start`` to ``end`` of the keys in the query's order."""

    def __init__(self, keys: list[Any], order: str, size: int, start: Key | None, bounds: str | None) -> None:
        down = order == "desc"
        self.keys = sorted(keys, reverse=down)
        self.size = size
        self.start = 0
        if start is not None:
            exclusive = bounds == "exclusive"
            self.start = sum(
                (key > start if down else key < start) or (exclusive and key == start) for key in self.keys
            )
        self.end = min(self.start + size, len(self.keys))

    def go_next(self) -> None:
        self.start, self.end = self.end, min(self.end + self.size, len(self.keys))

    def go_previous(self) -> None:
        self.start, self.end = max(self.start - self.size, 0), self.start

    @property
    def page(self) -> tuple[list[Any], bool, bool]:
        return self.keys[self.start : self.end], self.start == 0, self.end == len(self.keys)


async def follow(sdk: Sdk, url: str, keys: list[Any], places: dict[int, Key], walk: list[Any]) -> None:
    """Take the steps, and compare each page with what it has to be. ``places`` are keys for ``From``."""
    expected, meta = Expected(keys, "asc", 50, None, None), (await sdk.get(url))["meta"]
    for step in walk:
        if step == "next" or step == "previous":
            token = meta[f"{step}_token"]
            if token is None:
                continue
            answer = await sdk.get(url, PageToken=token)
            (expected.go_next if step == "next" else expected.go_previous)()
        else:
            order, size, place, bounds = step
            start = None if place is None else places[place]
            given_ = {"Order": order, "PageSize": size, "From": start, "Bounds": bounds}
            answer = await sdk.get(url, **{name: value for name, value in given_.items() if value is not None})
            expected = Expected(keys, order, size, start, bounds)
        meta = answer["meta"]
        seen = [item["key"] if "key" in item else item["index"] for item in answer["items"]]
        assert (seen, meta["previous_token"] is None, meta["next_token"] is None) == expected.page


@RELAXED
@given(present=st.lists(st.booleans(), max_size=12), walk=steps)
async def test_a_list_is_seen_as_it_is(world: World, present: list[bool], walk: list[Any]) -> None:
    ana = await Face(world).sdk("ana")
    sid = (await world.conversation("ana")).sid
    sent = [await ana.say(sid) for _ in present]
    for message, stays in zip(sent, present, strict=True):
        if not stays:
            await ana.delete(message["url"])
    keys = [index for index, stays in enumerate(present) if stays]
    await follow(ana, f"/v3/Lists/{sid}.messages/Items", keys, {n: n for n in range(-2, 15)}, walk)


@RELAXED
@given(present=st.lists(st.booleans(), max_size=12), walk=steps)
async def test_a_map_is_seen_as_it_is(world: World, present: list[bool], walk: list[Any]) -> None:
    ana = await Face(world).sdk("ana")
    sid = (await world.conversation("ana")).sid
    url = f"/v3/Maps/{sid}.roster/Items"
    (own,) = (item["key"] for item in (await ana.get(url))["items"])
    added = [(await world.add(sid, f"user {number}")).sid for number in range(len(present))]
    for participant, stays in zip(added, present, strict=True):
        if not stays:
            await remove(world, sid, participant)
    keys = [own, *(key for key, stays in zip(added, present, strict=True) if stays)]
    places: dict[int, Key] = {-2: "MA", -1: own, 13: "MB" + "g" * 32, 14: "é"}
    places |= {n: added[n] if n < len(added) else "MB" + "f" * 32 for n in range(13)}
    await follow(ana, url, keys, places, walk)


async def remove(world: World, conversation: str, participant: str) -> None:
    wish = RemoveParticipant(service=world.service, conversation=conversation, participant=participant)
    await world.engine.execute(world.account, wish)


@RELAXED
@given(
    count=st.integers(0, 10),
    size=st.integers(1, 4),
    order=st.sampled_from(["asc", "desc"]),
    meanwhile=st.lists(st.none() | st.integers(0, 12), max_size=8),
)
async def test_what_stays_is_seen_once_whatever_comes_and_goes(
    world: World, count: int, size: int, order: str, meanwhile: list[int | None]
) -> None:
    ana = await Face(world).sdk("ana")
    sid = (await world.conversation("ana")).sid
    url = f"/v3/Lists/{sid}.messages/Items"
    sent, gone, seen = [await ana.say(sid) for _ in range(count)], set(), []
    page = await ana.get(url, Order=order, PageSize=size)
    changes = iter(meanwhile)
    while True:
        seen += [item["index"] for item in page["items"]]
        token = page["meta"]["next_token"]
        if token is None:
            break
        change = next(changes, 99)
        if change is None:
            await ana.say(sid)
        elif change < count and change not in gone:
            gone.add(change)
            await ana.delete(sent[change]["url"])
        page = await ana.get(url, PageToken=token)
    assert seen == sorted(set(seen), reverse=order == "desc")
    assert set(range(count)) - gone <= set(seen)
