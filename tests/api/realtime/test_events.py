"""Live events: what they carry, and whom they reach (realtime 9.6, 11, 14)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tertulia.server.domain.sync import ObjectKind, object_sid
from tertulia.server.domain.users import UpdateUser

from .client import Peer, wish
from .conftest import Here, Start
from .rooms import Room


@pytest.fixture
async def room(here: Here) -> Room:
    return Room(here, await here.world.conversation("ana", "ben"))


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


@pytest.mark.owner_demand(1)
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


@pytest.mark.owner_demand(1)
@pytest.mark.owner_demand(23)
async def test_who_changes_something_learns_the_new_values_by_the_event_as_everybody_else(here: Here) -> None:
    """realtime 14: the answer says that it is done; what it has become is told to all, the asking device included."""
    asking, other, bens = await here.peer("ana"), await here.peer("ana"), await here.peer("ben")
    made = await asking.post("/Client/v2/Conversations", {"attributes": "{}"})
    path = f"/Client/v2/Conversations/{made['sid']}"
    own = (await asking.post(f"{path}/Participants", {"identity": "ana", "attributes": "{}"}))["sid"]
    await asking.post(f"{path}/Participants", {"identity": "ben", "attributes": "{}"})
    room = Room(here, await here.world.queries.conversation(here.world.account, here.world.service, made["sid"]))
    message = (await asking.send_message(room.sid, "hello"))["sid"]
    info = object_sid(ObjectKind.USER_INFO, (await here.world.queries.user(here.world.service, "ana")).sid)
    for peer in (asking, other, bens):
        await peer.follow(f"{room.sid}.channel", f"{room.sid}.messages", f"{room.sid}.roster")
        await peer.establish(wish(info))
    for sid, url, wanted in (
        (room.document, path, '{"of":"conversation"}'),
        (room.messages, f"{path}/Messages/{message}", '{"of":"message"}'),
        (room.roster, f"{path}/Participants/{own}", '{"of":"participant"}'),
        (info, "/Client/v2/Users/ana", '{"of":"user"}'),
    ):
        answer = await asking.post(url, {"attributes": wanted})
        assert answer.http_status == 200, answer
        for peer in (asking, other, bens):
            await peer.until(lambda: bool(peer.events_of(sid)))  # noqa: B023
            (event,) = peer.events_of(sid)
            data = event.body.get("document_data") or event.body["item_data"]
            assert (data.get("attributes") or data["value"]) == wanted


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
