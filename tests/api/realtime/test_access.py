"""When access ends, events end, though the socket stays; and when it goes, the socket goes (realtime 14, 15.20)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tertulia.server.domain.conversations import DeleteConversation, UpdateConversation
from tertulia.server.domain.participants import RemoveParticipant
from tertulia.server.domain.services import DeleteService
from tertulia.server.domain.users import DeleteUser

from .client import Peer, wish
from .conftest import Here
from .rooms import Room


@pytest.fixture
async def room(here: Here) -> Room:
    return Room(here, await here.world.conversation("ana", "ben"))


async def watching(here: Here, room: Room, identity: str) -> tuple[Peer, str]:
    """A client that follows the conversation and its own map; and that map."""
    peer = await here.peer(identity)
    await peer.follow(f"{room.sid}.channel", f"{room.sid}.messages", f"{room.sid}.roster")
    mine = await here.map_of(identity)
    await peer.establish(wish(mine))
    return peer, mine


async def do(here: Here, wish: Any, by: str | None = None) -> None:
    await here.world.engine.execute(here.world.user(by) if by else here.world.account, wish)


def removal(here: Here, room: Room, how: str) -> tuple[Any, str | None]:
    where = {"service": here.world.service, "conversation": room.sid}
    return RemoveParticipant(**where, participant="ana"), "ana" if how == "left" else None


@pytest.mark.parametrize("how", ["removed", "left"])
async def test_who_is_removed_hears_of_it_and_then_nothing_more(here: Here, room: Room, how: str) -> None:
    """Roster first, then the map (realtime 11.3); no ``subscription_canceled`` is needed."""
    ana, mine = await watching(here, room, "ana")
    second, _ = await watching(here, room, "ana")
    ben, _ = await watching(here, room, "ben")
    await do(here, *removal(here, room, how))
    for peer in (ana, second):
        await peer.until(lambda: bool(peer.events_of(mine)))  # noqa: B023
        order = {event.sid: event.order for event in peer.events}
        assert order[room.roster] < order[mine]
        assert peer.events_of(mine)[-1].type == "map_item_removed"
    await room.say("secret")
    await room.rename("secret")
    await here.world.add(room.sid, "eve")
    await ben.until(lambda: ben.texts(room.messages) == ["secret"])
    for peer in (ana, second):
        heard = len(peer.events)
        await peer.quiet()
        assert len(peer.events) == heard
        assert peer.texts(room.messages) == []
        assert (await peer.root(f"{room.sid}.channel")).failure == (404, 54100)
        settled = await peer.establish(wish(room.messages, 0), wish(room.document, 0), wish(room.roster, 0))
        assert {one.how for one in settled.values()} == {"failed"}


async def test_who_is_added_again_gets_everything_from_where_he_was(here: Here, room: Room) -> None:
    ana, mine = await watching(here, room, "ana")
    seen = (await ana.root(f"{room.sid}.messages"))["last_event_id"]
    await do(here, *removal(here, room, "removed"))
    await room.say("meanwhile")
    await here.world.add(room.sid, "ana")
    await ana.until(lambda: [event.type for event in ana.events_of(mine)] == ["map_item_removed", "map_item_added"])
    await ana.establish(wish(room.messages, seen))
    await room.say("after")
    await ana.until(lambda: ana.texts(room.messages) == ["meanwhile", "after"])


async def test_a_client_that_was_away_when_it_was_removed_learns_it_when_it_returns(here: Here, room: Room) -> None:
    ana, mine = await watching(here, room, "ana")
    seen = (await ana.get(f"/v3/Maps/{mine}"))["last_event_id"]
    await ana.close()
    await do(here, *removal(here, room, "removed"))
    again = await here.peer("ana")
    settled = await again.establish(
        wish(mine, seen), wish(room.document, 0), wish(room.messages, 0), wish(room.roster, 0)
    )
    assert [event.type for event in again.events] == ["map_item_removed"]
    assert [settled[sid].how for sid in (mine, room.document, room.messages, room.roster)] == [
        "established",
        *["failed"] * 3,
    ]


@pytest.mark.parametrize("how", ["deleted", "closed"])
async def test_a_conversation_that_ends_leaves_the_maps_first_and_then_its_objects(
    here: Here, room: Room, how: str
) -> None:
    """realtime 11.2, 15.20"""
    peers = [(await watching(here, room, identity)) for identity in ("ana", "ben")]
    where: dict[str, Any] = {"service": here.world.service, "conversation": room.sid}
    await do(here, DeleteConversation(**where) if how == "deleted" else UpdateConversation(**where, state="closed"))
    for peer, mine in peers:
        await peer.until(lambda: len(peer.events) >= 4)  # noqa: B023
        assert [event.type for event in peer.events_of(mine)] == ["map_item_removed"]
        ends = [event.type for event in peer.events[-3:]]
        assert ends == ["document_removed", "map_removed", "list_removed"]
        assert peer.events[0].sid == mine or peer.events[0].type == "document_updated"
        await peer.quiet()
        settled = await peer.establish(wish(room.document, 0), wish(room.messages, 0), wish(room.roster, 0))
        codes = [settled[sid].entry["error"]["code"] for sid in (room.document, room.messages, room.roster)]
        assert codes == [54100, 54150, 54200]


async def test_a_conversation_that_ended_while_one_was_away_is_gone_from_the_map(here: Here, room: Room) -> None:
    ana, mine = await watching(here, room, "ana")
    await ana.close()
    await do(here, DeleteConversation(service=here.world.service, conversation=room.sid))
    again = await here.peer("ana")
    settled = await again.establish(wish(mine, 0), wish(room.document, 0))
    assert [(event.type, event.body["item_key"]) for event in again.events] == [("map_item_removed", room.sid)]
    assert settled[room.document].how == "failed"


async def test_nothing_is_kept_of_a_conversation_that_has_ended(here: Here, room: Room) -> None:
    peers = [(await watching(here, room, identity))[0] for identity in ("ana", "ben")]
    await do(here, DeleteConversation(service=here.world.service, conversation=room.sid))
    for peer in peers:
        await peer.until(lambda: len(peer.events) == 4)  # noqa: B023
    hub = here.server.node.hub
    assert hub._entries.keys() == {await here.map_of("ana"), await here.map_of("ben")}


async def test_the_connections_of_a_deleted_user_end_and_those_of_others_stay(here: Here, room: Room) -> None:
    ana, _ = await watching(here, room, "ana")
    second = await here.peer("ana")
    ben, _ = await watching(here, room, "ben")
    await do(here, DeleteUser(service=here.world.service, user="ana"))
    for peer in (ana, second):
        assert await peer.end() == 1001
        assert peer.of_method("close") == []
    await ben.until(lambda: any(event.type == "map_item_removed" for event in ben.events_of(room.roster)))
    assert (await ben.get("/Client/v2/Configuration")).http_status == 200
    # Who comes back is somebody new, who sees nothing of the old.
    again = await here.peer("ana")
    assert (await again.root(f"{room.sid}.channel")).failure == (404, 54100)


async def test_the_same_identity_in_another_service_is_not_disturbed(here: Here) -> None:
    other = await here.world.in_new_service()
    peer = await here.open()
    await peer.init(here.token("ana", service_sid=other.service))
    ana = await here.peer("ana")
    await do(here, DeleteUser(service=here.world.service, user="ana"))
    await ana.end()
    assert (await peer.get("/Client/v2/Configuration"))["service_sid"] == other.service


async def test_every_connection_to_a_deleted_service_ends_and_those_to_others_stay(here: Here) -> None:
    other = await here.world.in_new_service()
    gone = []
    for identity in ("ana", "ben"):
        gone.append(await here.open())
        await gone[-1].init(here.token(identity, service_sid=other.service))
    stays = await here.peer("ana")
    await do(here, DeleteService(service=other.service))
    for peer in gone:
        assert await peer.end() == 1001
    assert (await stays.get("/Client/v2/Configuration")).http_status == 200


async def test_objects_of_another_service_are_as_absent_as_any(here: Here, room: Room) -> None:
    other = await here.world.in_new_service()
    peer = await here.open()
    await peer.init(here.token("ana", service_sid=other.service))
    mine = await here.map_of("ana")
    settled = await peer.establish(wish(room.messages, 0), wish(mine, 0))
    assert {one.how for one in settled.values()} == {"failed"}
    assert (await peer.get(f"/v3/Lists/{room.messages}")).failure == (404, 54150)
    assert (await peer.get(f"/v3/Services/{here.world.service}/Lists/{room.messages}")).failure == (404, 54150)


async def test_the_creator_loses_what_he_never_joined_when_it_ends(here: Here) -> None:
    """semantics 2.4: until he joins he may follow the document, and that alone."""
    ana = await here.peer("ana")
    made = (await ana.post("/Client/v2/Conversations", {"attributes": "{}"})).json
    document, messages = "ET" + made["sid"][2:], "ES" + made["sid"][2:]
    settled = await ana.establish(wish(document), wish(messages))
    assert (settled[document].how, settled[messages].how) == ("established", "failed")
    await do(here, DeleteConversation(service=here.world.service, conversation=made["sid"]))
    await ana.until(lambda: [event.type for event in ana.events] == ["document_removed"])


async def test_removal_and_messages_at_once_tell_the_leaver_nothing_from_after_it(here: Here, room: Room) -> None:
    """In one commit, even: what comes after the removal is not for him."""
    for _ in range(10):
        ana, mine = await watching(here, room, "ana")
        await asyncio.gather(
            room.say("before"), do(here, *removal(here, room, "removed")), room.say("after"), room.rename("after")
        )
        await ana.until(lambda: bool(ana.events_of(mine)))  # noqa: B023
        await ana.quiet()
        left = ana.events_of(mine)[0].order
        assert all(event.order < left for event in ana.events if event.sid != mine)
        await ana.close()
        await here.world.add(room.sid, "ana")
