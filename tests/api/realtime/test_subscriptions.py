"""Subscribing: batches, what is established, what fails, what ends (realtime 9.4, 9.5)."""

from __future__ import annotations

import asyncio

import pytest

from .client import wish
from .conftest import Here
from .rooms import Room


@pytest.fixture
async def room(here: Here) -> Room:
    return Room(here, await here.world.conversation("ana", "ben"))


# --- the request


async def test_the_answer_tells_how_to_go_on(here: Here, room: Room) -> None:
    """realtime 15.30: a ttl beyond 24 days makes the client subscribe in a loop."""
    peer = await here.peer()
    answer = await peer.post(
        "/v4/Subscriptions", {"action": "establish", "correlation_id": 1, "requests": [wish(room.messages, -1)]}
    )
    assert answer.http_status == 202
    told = answer.json
    assert told["estimated_delivery_in_ms"] > 0
    assert told["max_batch_size"] >= 100
    assert 0 < told["ttl_in_s"] < 2_147_483


@pytest.mark.parametrize(
    "number", [0, 1, -1, 1_795_347_401_906, 2**53 - 1, 2**53 + 1, 2**63, 2**64 + 1, -(2**70), 10**60]
)
async def test_the_correlation_id_comes_back_as_the_same_number_everywhere(here: Here, room: Room, number: int) -> None:
    """realtime 15.9"""
    await room.say("missed")
    peer = await here.peer()
    await peer.establish(wish(room.messages, -1), wish("ES" + "0" * 32, 0), correlation_id=number)
    assert peer.settled.keys() == {number}
    assert {one.how for one in peer.settled[number].values()} == {"established", "failed"}
    assert [event.correlation_id for event in peer.events] == [number]
    await peer.subscribe([wish(room.messages)], action="cancel", correlation_id=number)
    await peer.until(lambda: peer.settled[number][room.messages].how == "canceled")


async def test_unknown_members_are_ignored(here: Here, room: Room) -> None:
    """Native clients send a ``type``, and the reason of a renewal may come along (realtime 9.4)."""
    peer = await here.peer()
    asked = await peer.subscribe([wish(room.messages, -1, type="list", odd=None)], reason="ttl", retried_requests=7)
    await peer.until(lambda: asked in peer.settled)
    assert peer.settled[asked][room.messages].how == "established"


async def test_every_batch_is_settled_so_that_the_client_goes_on(here: Here, room: Room) -> None:
    """realtime 15.10: also one of which every part failed, and one that asks for nothing new."""
    peer = await here.peer()
    for wishes in (
        [wish("ES" + "0" * 32, 3)],
        [wish(room.messages, -1)],
        [wish(room.messages, -1)],
        [wish("nonsense", 1), wish("", None), wish("XX" + "0" * 32)],
    ):
        settled = await peer.establish(*wishes)
        assert settled.keys() == {each["object_sid"] for each in wishes}


@pytest.mark.parametrize("size", [100, 1000])
async def test_a_whole_batch_is_established(here: Here, size: int) -> None:
    rooms = [Room(here, await here.world.conversation("ana")) for _ in range(size // 3 + 1)]
    sids = [sid for room in rooms for sid in (room.document, room.messages, room.roster)][:size]
    peer = await here.peer()
    settled = await peer.establish(*(wish(sid, None) for sid in sids))
    assert {one.how for one in settled.values()} == {"established"}
    assert len(settled) == size
    await rooms[0].say("live")
    await peer.until(lambda: peer.texts(rooms[0].messages) == ["live"])


async def test_objects_are_served_in_the_order_they_are_asked_for(here: Here) -> None:
    rooms = [Room(here, await here.world.conversation("ana")) for _ in range(50)]
    for room in rooms:
        await room.say("missed")
    peer = await here.peer()
    wishes = [wish(room.messages, -1) for room in rooms]
    await peer.establish(*wishes)
    assert [event.sid for event in peer.events] == [each["object_sid"] for each in wishes]


async def test_batches_of_one_connection_are_settled_in_order(here: Here, room: Room) -> None:
    peer = await here.peer()
    actions = ["establish", "cancel", "establish", "cancel", "establish"] * 4
    asked = await asyncio.gather(*(peer.subscribe([wish(room.messages, None)], action=action) for action in actions))
    await peer.until(lambda: len(peer.settled) == len(actions))
    orders = [peer.settled[each][room.messages].order for each in asked]
    assert orders == sorted(orders)
    assert [peer.settled[each][room.messages].how for each in asked] == [
        "established" if action == "establish" else "canceled" for action in actions
    ]
    await room.say("once")
    await peer.until(lambda: peer.texts(room.messages) == ["once"])


# --- again, and no more


async def test_establishing_again_replays_and_keeps_one_subscription(here: Here, room: Room) -> None:
    """realtime 9.4"""
    await room.say(*"abc")
    peer = await here.peer()
    await peer.establish(wish(room.messages, 2))
    await peer.establish(wish(room.messages, 0))
    assert peer.texts(room.messages) == ["b", "c"]
    await room.say("d")
    await peer.quiet()
    assert peer.texts(room.messages) == ["b", "c", "d"]


async def test_the_same_object_twice_in_a_batch_is_one_subscription(here: Here, room: Room) -> None:
    await room.say(*"abc")
    peer = await here.peer()
    asked = await peer.subscribe([wish(room.messages, 0), wish(room.messages, 0), wish(room.document)])
    await peer.until(lambda: len(peer.settled.get(asked, {})) == 2)
    await room.say("d")
    await peer.until(lambda: "d" in peer.texts(room.messages))
    await peer.quiet()
    assert peer.texts(room.messages) == ["b", "c", "d"]


async def test_after_a_cancel_nothing_comes(here: Here, room: Room) -> None:
    peer = await here.peer()
    await peer.establish(wish(room.messages, -1), wish(room.document, 0))
    asked = await peer.subscribe([wish(room.messages)], action="cancel")
    await peer.until(lambda: asked in peer.settled)
    canceled = peer.settled[asked][room.messages]
    assert canceled.entry == {"object_sid": room.messages, "object_type": "list"}
    await room.say("unheard")
    await peer.until(lambda: bool(peer.events_of(room.document)))
    await peer.quiet()
    assert peer.events_of(room.messages) == []


async def test_canceling_what_one_does_not_follow_is_acknowledged(here: Here, room: Room) -> None:
    peer = await here.peer()
    asked = await peer.subscribe([wish(room.messages), wish("nonsense")], action="cancel")
    await peer.until(lambda: len(peer.settled.get(asked, {})) == 2)
    assert {one.how for one in peer.settled[asked].values()} == {"canceled"}


async def test_subscriptions_end_with_their_socket(here: Here, room: Room) -> None:
    first = await here.peer()
    await first.establish(wish(room.messages, -1))
    await first.close()
    second = await here.peer()
    await room.say("unheard")
    await second.quiet()
    assert second.events == []


async def test_acknowledgements_are_not_needed(here: Here, room: Room) -> None:
    """Delivery is guaranteed by replay; and a native client may answer 400 to a notification (realtime 3.3)."""
    peer = await here.open(acknowledges=False)
    await peer.init(here.token())
    await peer.establish(wish(room.messages, -1))
    await room.say(*"ab")
    await peer.until(lambda: peer.texts(room.messages) == ["a", "b"])
    await peer.say({"method": "reply", "id": peer.frames[-1].header["id"], "status": {"code": 400, "status": "BAD"}})
    await room.say("c")
    await peer.until(lambda: peer.texts(room.messages) == ["a", "b", "c"])


# --- what cannot be followed


@pytest.mark.parametrize(
    ("prefix", "code"), [("ET", 54100), ("ES", 54150), ("MP", 54200), ("MC", 54200), ("MU", 54200)]
)
async def test_what_is_not_there_fails_with_404_and_the_code_of_its_type(here: Here, prefix: str, code: int) -> None:
    """realtime 15.14: any other status would be permanent for the client."""
    peer = await here.peer()
    sid = prefix + "0" * 32
    settled = await peer.establish(wish(sid, 4))
    assert settled[sid].how == "failed"
    assert settled[sid].entry["error"]["status"] == 404
    assert settled[sid].entry["error"]["code"] == code
    assert settled[sid].entry["error"]["message"]


async def test_what_is_not_for_one_fails_as_if_it_were_not_there(here: Here, room: Room) -> None:
    peer = await here.peer("eve")
    absent = {kind: kind + "0" * 32 for kind in ("ET", "ES", "MP", "MC")}
    others = [room.document, room.messages, room.roster, await here.map_of("ana")]
    settled = await peer.establish(*(wish(sid, 0) for sid in (*others, *absent.values())))
    for sid in others:
        assert settled[sid].entry["error"] == settled[absent[sid[:2]]].entry["error"]
    await room.say("secret")
    await peer.quiet()
    assert peer.events == []


async def test_a_failure_does_not_take_the_rest_of_its_batch_with_it(here: Here, room: Room) -> None:
    peer = await here.peer()
    wishes = [wish(room.messages, -1), wish("ES" + "0" * 32, 0), wish(room.roster, -1), wish("odd", 0)]
    settled = await peer.establish(*wishes)
    assert [settled[each["object_sid"]].how for each in wishes] == ["established", "failed", "established", "failed"]
