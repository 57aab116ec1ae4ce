"""What was missed, then what happens: nothing twice, nothing lost (realtime 9.2, 9.7, 9.8)."""

from __future__ import annotations

import asyncio

import pytest

from .client import wish
from .conftest import Here
from .rooms import Room


@pytest.fixture
async def room(here: Here) -> Room:
    return Room(here, await here.world.conversation("ana", "ben"))


# --- replay, then live


async def test_what_was_missed_comes_in_order_then_the_word_then_what_happens(here: Here, room: Room) -> None:
    """realtime 15.12, 15.13"""
    await room.say(*"abc")
    peer = await here.peer()
    seen = (await peer.root(f"{room.sid}.messages"))["last_event_id"]
    await room.say(*"defg")
    settled = await peer.establish(wish(room.messages, seen))
    established = settled[room.messages]
    assert (established.how, established.entry["replay_status"]) == ("established", "completed")
    assert established.entry["last_event_id"] == seen + 4
    assert peer.texts(room.messages) == list("defg")
    assert all(event.order < established.order for event in peer.events)
    await room.say(*"hi")
    await peer.until(lambda: len(peer.events_of(room.messages)) == 6)
    assert [event.is_live for event in peer.events_of(room.messages)] == [False] * 4 + [True] * 2
    assert peer.numbers(room.messages) == list(range(seen + 1, seen + 7))


async def test_snapshots_items_and_events_share_one_row_of_numbers(here: Here, room: Room) -> None:
    """realtime 15.11"""
    peer = await here.peer()
    await peer.follow(f"{room.sid}.messages", f"{room.sid}.roster", f"{room.sid}.channel")
    (first,) = await room.say("hello")
    await room.edit(first, "hello again")
    await here.world.add(room.sid, "eve")
    await peer.until(lambda: bool(peer.events_of(room.roster)))
    await peer.quiet()
    for name, sid in (("messages", room.messages), ("roster", room.roster), ("channel", room.document)):
        root = (await peer.root(f"{room.sid}.{name}")).json
        assert root["last_event_id"] == peer.numbers(sid)[-1]
        if name != "channel":
            items = (await peer.get(f"/v3/{'Lists' if name == 'messages' else 'Maps'}/{sid}/Items"))["items"]
            newest = {e.body.get("item_key", e.body.get("item_index")): e.number for e in peer.events_of(sid)}
            for item in items:
                key = item.get("key", item.get("index"))
                assert newest.get(key, item["last_event_id"]) == item["last_event_id"]


async def test_a_replay_tells_the_final_state_and_no_more(here: Here, room: Room) -> None:
    """realtime 9.7: ``added`` for what is new, else ``updated``; removals of what was known."""
    known = await room.say("kept", "edited", "removed")
    peer = await here.peer()
    seen = (await peer.root(f"{room.sid}.messages"))["last_event_id"]
    new = await room.say("new and edited", "new and removed", "new")
    await room.edit(known[1], "edited twice")
    await room.remove(known[2])
    await room.edit(new[0], "new and edited, indeed")
    await room.remove(new[1])
    await room.edit(known[1], "edited thrice")
    await peer.establish(wish(room.messages, seen))
    told = [
        (event.type, event.body["item_index"], (event.body["item_data"] or {}).get("text"))
        for event in peer.events_of(room.messages)
    ]
    assert sorted(told) == [
        ("list_item_added", 3, "new and edited, indeed"),
        ("list_item_added", 5, "new"),
        ("list_item_removed", 2, None),
        ("list_item_updated", 1, "edited thrice"),
        ("list_item_updated", 3, "new and edited, indeed"),
    ]
    numbers = peer.numbers(room.messages)
    assert numbers == sorted(set(numbers))
    assert peer.settled.popitem()[1][room.messages].entry["last_event_id"] == seen + 8


async def test_who_is_cut_off_in_a_replay_gets_no_update_of_what_he_never_had(here: Here, room: Room) -> None:
    """What came and changed meanwhile is added under the number of its addition, whatever lies between the two."""
    peer = await here.peer()
    seen = (await peer.root(f"{room.sid}.messages"))["last_event_id"]
    (early, *_) = await room.say("early", "between", "late")
    await room.edit(early, "early, edited")
    await peer.establish(wish(room.messages, seen))
    for received in range(len(peer.events_of(room.messages)) + 1):
        known = {event.body["item_index"] for event in peer.events_of(room.messages)[:received]}
        last = peer.numbers(room.messages)[received - 1] if received else seen
        again = await here.peer("ben")
        await again.establish(wish(room.messages, last))
        for event in again.events_of(room.messages):
            assert event.type == "list_item_added" or event.body["item_index"] in known
            known.add(event.body["item_index"])
        assert known == {0, 1, 2}


async def test_a_document_is_replayed_as_one_update(here: Here, room: Room) -> None:
    peer = await here.peer()
    seen = (await peer.root(f"{room.sid}.channel"))["last_event_id"]
    for name in "abc":
        await room.rename(name)
    settled = await peer.establish(wish(room.document, seen))
    (event,) = peer.events
    assert (event.type, event.number) == ("document_updated", seen + 3)
    assert event.body["document_data"]["friendlyName"] == "c"
    assert settled[room.document].entry["last_event_id"] == seen + 3


async def test_who_has_missed_nothing_is_told_nothing(here: Here, room: Room) -> None:
    await room.say(*"abc")
    peer = await here.peer()
    seen = (await peer.root(f"{room.sid}.messages"))["last_event_id"]
    settled = await peer.establish(wish(room.messages, seen))
    assert settled[room.messages].entry["last_event_id"] == seen
    assert peer.events == []


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.owner_demand(19)
async def test_without_a_number_it_is_from_now_on(here: Here, room: Room, missing: bool) -> None:
    """realtime 9.8"""
    await room.say(*"abc")
    peer = await here.peer()
    request = wish(room.messages, None)
    if missing:
        del request["last_event_id"]
    settled = await peer.establish(request)
    assert settled[room.messages].entry["last_event_id"] == 2
    await room.say("d")
    await peer.until(lambda: peer.texts(room.messages) == ["d"])
    assert peer.numbers(room.messages) == [3]


@pytest.mark.parametrize("number", [5, 1000, 2**53, 2**70])
async def test_a_number_from_the_future_is_set_right(here: Here, room: Room, number: int) -> None:
    """realtime 9.7: the server lost data; nothing is replayed, and the client learns the real number."""
    await room.say(*"abc")
    peer = await here.peer()
    settled = await peer.establish(wish(room.messages, number))
    assert settled[room.messages].entry["last_event_id"] == 2
    assert peer.events == []
    await room.say("d")
    await peer.until(lambda: peer.numbers(room.messages) == [3])


@pytest.mark.parametrize("number", [-2, -1000, -(2**63), -(2**70)])
async def test_a_number_before_all_begins_at_the_beginning(here: Here, room: Room, number: int) -> None:
    await room.say(*"abc")
    peer = await here.peer()
    settled = await peer.establish(wish(room.messages, number), wish(room.roster, number), wish(room.document, number))
    assert {one.how for one in settled.values()} == {"established"}
    assert peer.texts(room.messages) == list("abc")


@pytest.mark.owner_demand(3)
async def test_a_long_absence_is_caught_up_with_whole(here: Here, room: Room) -> None:
    """Several readings, one word at the end; what happens meanwhile comes after it."""
    texts = [f"message {n}" for n in range(1300)]
    await room.say(*texts)
    peer = await here.peer()
    asked = asyncio.create_task(peer.establish(wish(room.messages, -1), wish(room.document, 0)))
    await asyncio.gather(*(here.world.send(room.sid, f"meanwhile {n}") for n in range(50)))
    settled = await asked
    assert settled[room.messages].entry["replay_status"] == "completed"
    await peer.until(lambda: len(peer.texts(room.messages)) == 1350)
    assert peer.numbers(room.messages) == list(range(1350))
    word = settled[room.messages]
    assert all((event.order < word.order) == (not event.is_live) for event in peer.events_of(room.messages))
    # One that had missed little did not wait for one that had missed much.
    assert settled[room.document].order < word.order


@pytest.mark.owner_demand(2)
async def test_nothing_is_lost_or_repeated_while_clients_come_and_go(here: Here, room: Room) -> None:
    """Subscribing in the middle of a storm of messages, from the number that the client has (realtime 15.12, 15.25)."""
    stop = asyncio.Event()

    async def talk() -> None:
        number = 0
        while not stop.is_set():
            await here.world.send(room.sid, f"message {number}")
            number += 1

    async def follow(identity: str) -> None:
        last = -1
        for _ in range(6):
            peer = await here.peer(identity)
            await peer.establish(wish(room.messages, last))
            goal = last + 15
            await peer.until(lambda: peer.numbers(room.messages)[-1:] >= [goal])  # noqa: B023
            numbers = peer.numbers(room.messages)
            assert numbers == list(range(last + 1, last + 1 + len(numbers)))
            last = numbers[-1]
            peer.cut()
            await peer.end()

    talking = asyncio.create_task(talk())
    try:
        await asyncio.gather(*(follow(identity) for identity in ("ana", "ben") for _ in range(3)))
    finally:
        stop.set()
        await talking


async def test_pages_of_items_tell_where_the_collection_begins_and_ends(here: Here, room: Room) -> None:
    """realtime 15.15, 15.16: in the direction of the query, also for one that begins in the middle."""
    await room.say(*"abcde")
    peer = await here.peer()
    items = f"/v3/Lists/{room.messages}/Items"
    for params, expected in (
        ({"PageSize": 5}, ([0, 1, 2, 3, 4], False, False)),
        ({"PageSize": 2}, ([0, 1], False, True)),
        ({"PageSize": 2, "From": 2}, ([2, 3], True, True)),
        ({"PageSize": 2, "From": 3}, ([3, 4], True, False)),
        ({"PageSize": 2, "Order": "desc"}, ([4, 3], False, True)),
        ({"PageSize": 2, "Order": "desc", "From": 1}, ([1, 0], True, False)),
        ({"Index": 3}, ([3], False, False)),
        ({"Index": 9}, ([], False, False)),
    ):
        page = (await peer.get(items, **params)).json
        assert [item["index"] for item in page["items"]] == expected[0], params
        tokens = [page["meta"][name] for name in ("previous_token", "next_token")]
        if "Index" not in params:
            assert [token is not None for token in tokens] == list(expected[1:]), params
        assert all("=" not in token for token in tokens if token)
    page = (await peer.get(items, PageSize=2)).json
    page = (await peer.get(items, PageToken=page["meta"]["next_token"])).json
    assert [item["index"] for item in page["items"]] == [2, 3]
    page = (await peer.get(items, PageToken=page["meta"]["previous_token"])).json
    assert [item["index"] for item in page["items"]] == [0, 1]
