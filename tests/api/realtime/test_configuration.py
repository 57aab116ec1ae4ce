"""What a client asks first, as far as it is on the socket (realtime 10)."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlsplit

import pytest

from .client import Peer, path_of
from .conftest import Here


async def configuration(peer: Peer) -> Any:
    return (await peer.get("/Client/v2/Configuration")).json


async def test_links_are_absolute_and_begin_as_the_client_reached_us(here: Here) -> None:
    """realtime 15.19: all of them must be there, with a path, or the client fails to start."""
    peer = await here.peer("a b/é")
    told = await configuration(peer)
    for name in (
        "my_conversations",
        "conversations",
        "users",
        "current_user",
        "typing",
        "media_service",
        "media_set_service",
        "messages_receipts",
    ):
        link = urlsplit(told["links"][name])
        assert (link.scheme, link.netloc) == ("http", f"127.0.0.1:{here.port}"), name
        assert link.path.startswith("/")
    assert told["links"]["messages_receipts"].count("%s") == 2
    assert (told["identity"], told["service_sid"]) == ("a b/é", here.world.service)
    assert isinstance(told["options"], dict)


async def test_the_links_work(here: Here) -> None:
    room = await here.world.conversation("a b/é")
    peer = await here.peer("a b/é")
    told = await configuration(peer)
    mine = await peer.get(path_of(told["links"]["my_conversations"]))
    assert [each["conversation_sid"] for each in mine["conversations"]] == [room.sid]
    assert mine["meta"] == {"next_token": None, "previous_token": None}
    assert (await peer.get(path_of(told["links"]["current_user"])))["identity"] == "a b/é"
    assert (await peer.get(f"{path_of(told['links']['conversations'])}/{room.sid}")).http_status == 200


@pytest.mark.parametrize("identity", ["ana", "a.b/ c", "日本"])
async def test_the_users_own_objects_can_be_opened_from_the_first_moment(here: Here, identity: str) -> None:
    """realtime 15.18: both items of the profile are there, or the client fails to start."""
    peer = await here.peer(identity)
    names = (await configuration(peer))["sync_objects"]
    mine = await peer.root(names["my_conversations"])
    assert mine["last_event_id"] == -1
    info = await peer.root(names["my_user_info"], Include="items")
    assert {item["key"]: item["data"]["value"] for item in info["items"]} == {"friendlyName": None, "attributes": "{}"}
    assert mine["unique_name"] == names["my_conversations"]


@pytest.mark.owner_demand(17)
async def test_everything_is_readable_before_a_conversation_appears_in_somebodys_map(here: Here) -> None:
    """realtime 15.20"""
    ana = await here.peer("ana")
    map_sid = (await ana.root((await configuration(ana))["sync_objects"]["my_conversations"]))["sid"]
    await ana.establish({"object_sid": map_sid, "object_type": "map", "last_event_id": -1})
    for _ in range(10):
        room = await here.world.conversation()
        await here.world.add(room.sid, "ana")
        await ana.until(lambda: room.sid in {event.body["item_key"] for event in ana.events_of(map_sid)})  # noqa: B023
        item = ana.events_of(map_sid)[-1].body["item_data"]
        for name in (item["channel"], item["messages"], item["roster"]):
            assert (await ana.root(name)).http_status == 200


async def test_a_client_that_starts_is_left_in_peace(here: Here) -> None:
    """realtime 15.32: a connection dropped in its first seconds makes conversations disappear from the client."""
    rooms = [await here.world.conversation("ana") for _ in range(40)]
    peer = await here.peer("ana", registrations=None)
    for room in rooms:
        await asyncio.gather(*(peer.root(f"{room.sid}.{part}") for part in ("channel", "messages", "roster")))
        await here.world.send(room.sid, "x" * 10_000)
        here.pass_time(1)
    assert (await peer.get("/Client/v2/Configuration")).http_status == 200
    assert {heard.method for heard in peer.frames} <= {"reply", "notification", "ping"}


async def test_a_whole_start_of_the_official_client(here: Here) -> None:
    """realtime 1.1, request by request."""
    rooms = [await here.world.conversation("ana", "ben") for _ in range(3)]
    for room in rooms:
        await here.world.send(room.sid, "before")
    peer = await here.peer("ana")
    told = await configuration(peer)
    mine = (await peer.root(told["sync_objects"]["my_conversations"])).json
    info = (await peer.root(told["sync_objects"]["my_user_info"], Include="items")).json
    listed = await peer.get(path_of(told["links"]["my_conversations"]))
    wishes = [
        {"object_sid": mine["sid"], "object_type": "map", "last_event_id": mine["last_event_id"]},
        {"object_sid": info["sid"], "object_type": "map", "last_event_id": info["last_event_id"]},
    ]
    for entry in listed["conversations"]:
        for part, kind in (("conversation", "document"), ("messages", "list"), ("participants", "map")):
            root = (await peer.root(entry["sync_objects"][part])).json
            wishes.append({"object_sid": root["sid"], "object_type": kind, "last_event_id": root["last_event_id"]})
            if part == "participants":
                items = await peer.get(path_of(root["links"]["items"]), PageSize=50, Order="asc")
                assert {item["data"]["identity"] for item in items["items"]} == {"ana", "ben"}
    settled = await peer.establish(*wishes)
    assert {one.how for one in settled.values()} == {"established"}
    assert peer.events == []
    for room in rooms:
        await here.world.send(room.sid, "after")
    await peer.until(lambda: len(peer.events) == 6)
    assert all(event.is_live for event in peer.events)
