"""Following Sync objects: establish, replay, live, cancel, fail (realtime 9)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tertulia.server.domain.conversations import Conversation, UpdateConversation
from tertulia.server.domain.messages import DeleteMessage, UpdateMessage
from tertulia.server.domain.sync import ObjectKind, object_sid
from tertulia.server.domain.users import UpdateUser

from .client import Peer, wish
from .conftest import Here, Start


class Room:
    """A conversation with its three objects."""

    def __init__(self, here: Here, made: Conversation) -> None:
        self.here = here
        self.sid = made.sid
        self.document, self.messages, self.roster = (
            object_sid(kind, made.sid) for kind in (ObjectKind.DOCUMENT, ObjectKind.MESSAGES, ObjectKind.ROSTER)
        )

    async def say(self, *texts: str) -> list[str]:
        """The SIDs of new messages."""
        return [(await self.here.world.send(self.sid, text)).sid for text in texts]

    async def remove(self, message: str) -> None:
        world = self.here.world
        await world.engine.execute(
            world.account, DeleteMessage(service=world.service, conversation=self.sid, message=message)
        )

    async def edit(self, message: str, body: str) -> None:
        world = self.here.world
        await world.engine.execute(
            world.account, UpdateMessage(service=world.service, conversation=self.sid, message=message, body=body)
        )

    async def rename(self, name: str) -> None:
        world = self.here.world
        await world.engine.execute(
            world.account, UpdateConversation(service=world.service, conversation=self.sid, friendly_name=name)
        )


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
    ]
    numbers = peer.numbers(room.messages)
    assert numbers == sorted(set(numbers))
    assert peer.settled.popitem()[1][room.messages].entry["last_event_id"] == seen + 8


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


# --- events


async def test_events_carry_all_that_clients_need(here: Here, room: Room) -> None:
    """realtime 9.6, 15.16, 15.17: complete data, never a patch; numbers are numbers, attributes are texts."""
    peer = await here.peer()
    info = object_sid(ObjectKind.USER_INFO, (await here.world.queries.user(here.world.service, "ben")).sid)
    await peer.follow(f"{room.sid}.messages", f"{room.sid}.roster", f"{room.sid}.channel")
    await peer.establish(wish(info), wish(await here.map_of("ana")))
    (sid,) = await room.say("hello")
    await room.edit(sid, "hello again")
    await room.remove(sid)
    await here.world.add(room.sid, "eve")
    await here.world.engine.execute(
        here.world.account, UpdateUser(service=here.world.service, user="ben", friendly_name="Ben")
    )
    other = await here.world.conversation("ana")
    await peer.until(lambda: any(event.body.get("item_key") == other.sid for event in peer.events))
    await peer.quiet()
    common: dict[str, set[str]] = {
        "document_updated": {"document_revision", "document_data", "document_unique_name", "date_expires"},
        "map_item_added": {"map_revision", "item_key", "item_revision", "item_url", "item_data", "date_expires"},
        "list_item_added": {"list_revision", "item_index", "item_revision", "item_url", "item_data", "date_expires"},
        "list_item_removed": {"list_revision", "item_index", "item_revision", "item_data"},
    }
    common["map_item_updated"], common["list_item_updated"] = common["map_item_added"], common["list_item_added"]
    assert {event.type for event in peer.events} == common.keys()
    for event in peer.events:
        assert event.body.keys() >= {"id", "date_created", *common[event.type]}, event
        assert type(event.number) is int
        assert "correlation_id" not in event.body
        if "item_index" in event.body:
            assert type(event.body["item_index"]) is int
        data: dict[str, Any] = event.body.get("item_data") or event.body.get("document_data") or {}
        assert isinstance(data.get("attributes", ""), str)
        if event.type.endswith("_removed"):
            assert event.body["item_data"] is None


async def test_the_read_horizon_is_told_to_the_others_and_to_ones_other_devices(here: Here, room: Room) -> None:
    """realtime 15.21"""
    await room.say(*"abc")
    first, second, other = await here.peer("ana"), await here.peer("ana"), await here.peer("ben")
    mine = await here.map_of("ana")
    await first.establish(wish(mine), wish(room.roster))
    await second.establish(wish(mine))
    await other.establish(wish(room.roster))
    answer = await first.post(f"/Client/v2/Users/ana/Conversations/{room.sid}", {"last_read_message_index": 1})
    assert answer["unread_messages_count"] == 1
    await second.until(lambda: bool(second.events_of(mine)))
    await other.until(lambda: bool(other.events_of(room.roster)))
    assert second.events_of(mine)[-1].body["item_data"]["lastConsumedMessageIndex"] == 1
    roster = other.events_of(room.roster)[-1].body["item_data"]
    assert (roster["identity"], roster["lastConsumedMessageIndex"]) == ("ana", 1)


async def test_every_device_hears_everything_the_authors_own_included(here: Here, room: Room) -> None:
    """realtime 14: the author learns of the message by its event."""
    peers: list[Peer] = [await here.peer(identity) for identity in ("ana", "ana", "ana", "ben", "ben")]
    for peer in peers:
        await peer.establish(wish(room.messages, -1))
    await asyncio.gather(*(peer.send_message(room.sid, f"by {n}") for n, peer in enumerate(peers)))
    for peer in peers:
        await peer.until(lambda: len(peer.texts(room.messages)) == 5)  # noqa: B023
        assert peer.numbers(room.messages) == [0, 1, 2, 3, 4]
    assert len({tuple(peer.texts(room.messages)) for peer in peers}) == 1


async def test_a_message_is_told_of_in_the_list_and_in_the_document(here: Here, room: Room) -> None:
    peer = await here.peer()
    await peer.follow(f"{room.sid}.messages", f"{room.sid}.channel")
    await room.say("hello")
    await peer.until(lambda: len(peer.events) == 2)
    (document,) = peer.events_of(room.document)
    assert document.body["document_data"]["lastMessage"]["index"] == 0


async def test_a_storm_reaches_everybody_in_order(start: Start) -> None:
    here = await start()
    room = Room(here, await here.world.conversation(*(f"user-{n}" for n in range(20))))
    peers = [await here.peer(f"user-{n}") for n in range(20)]
    for peer in peers:
        await peer.establish(wish(room.messages, -1), wish(room.document, 0))
    await asyncio.gather(*(peer.send_message(room.sid, f"{n}") for peer in peers for n in range(10)))
    for peer in peers:
        await peer.until(lambda: len(peer.numbers(room.messages)) == 200)  # noqa: B023
        assert peer.numbers(room.messages) == list(range(200))
        documents = peer.numbers(room.document)
        assert documents == sorted(set(documents))
        newest = peer.events_of(room.document)[-1].body["document_data"]["lastMessage"]["index"]
        assert newest == 199
