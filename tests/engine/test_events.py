"""What clients hear of each command, in the order their SDKs need (realtime 11, 15.20)."""

from __future__ import annotations

from typing import Any

from tertulia.server.bus.base import AccessEnded, EventPublished
from tertulia.server.domain.conversations import CreateConversation, DeleteConversation, UpdateConversation
from tertulia.server.domain.messages import DeleteMessage, UpdateMessage
from tertulia.server.domain.participants import AddParticipant, JoinConversation, RemoveParticipant, UpdateParticipant
from tertulia.server.domain.sync import ObjectKind, object_sid

from .world import World

ENDS = ["document_removed ET", "map_removed MP", "list_removed ES"]


async def test_making_a_conversation_tells_nobody(world: World) -> None:
    await world.connect("ana")
    world.told()
    await world.do(CreateConversation, by=world.user("ana"))
    assert world.told() == []


async def test_who_joins_can_read_everything_before_his_map_points_at_it(world: World) -> None:
    room = await world.conversation()
    await world.connect("ana")
    world.told()
    await world.do(JoinConversation, by=world.user("ana"), conversation=room.sid)
    assert world.told() == ["map_item_added MP", "map_item_added MC"]


async def test_a_revival_is_told_before_the_newcomer(world: World) -> None:
    room = await world.do(CreateConversation, state="inactive")
    world.told()
    await world.add(room.sid, "ana")
    assert world.told() == ["document_updated ET", "map_item_added MP", "map_item_added MC"]


async def test_somebody_on_a_channel_is_in_the_roster_alone(world: World) -> None:
    room = await world.conversation("ana")
    world.told()
    added = await world.do(AddParticipant, conversation=room.sid, address="+15550001111", proxy_address="+15550002222")
    assert world.told() == ["map_item_added MP"]
    await world.do(RemoveParticipant, conversation=room.sid, participant=added.sid)
    assert world.told() == ["map_item_removed MP"]


async def test_a_number_handed_to_a_user_brings_the_conversation_to_him(world: World) -> None:
    room = await world.conversation()
    number = await world.do(AddParticipant, conversation=room.sid, projected_address="+15550001111")
    world.told()
    await world.do(UpdateParticipant, conversation=room.sid, participant=number.sid, identity="ana")
    assert world.told() == ["map_item_updated MP", "map_item_added MC"]


async def test_who_leaves_hears_of_it_in_the_roster_then_in_his_map_and_is_cut_off(world: World) -> None:
    room = await world.conversation("ana", "ben")
    world.told()
    await world.do(RemoveParticipant, by=world.user("ana"), conversation=room.sid, participant="ana")
    ended = world.bus.heard[-1]
    assert world.told() == ["map_item_removed MP", "map_item_removed MC", "AccessEnded"]
    assert isinstance(ended, AccessEnded)
    assert (ended.service_sid, ended.identity) == (world.service, "ana")
    of_conversation = (ObjectKind.DOCUMENT, ObjectKind.MESSAGES, ObjectKind.ROSTER)
    assert set(ended.object_sids) == {object_sid(kind, room.sid) for kind in of_conversation}


async def test_closing_is_an_update_then_everybody_has_left_then_the_objects_end(world: World) -> None:
    room = await world.conversation("ana", "ben")
    world.told()
    await world.do(UpdateConversation, conversation=room.sid, state="closed")
    closed = world.bus.events()[0]
    assert b'"state":{"current":"closed"' in closed.body
    assert world.told() == ["document_updated ET", "map_item_removed MC", "map_item_removed MC", *ENDS]


async def test_deleting_takes_it_from_the_maps_before_the_objects_end(world: World) -> None:
    room = await world.conversation("ana", "ben")
    world.told()
    await world.do(DeleteConversation, conversation=room.sid)
    assert world.told() == ["map_item_removed MC", "map_item_removed MC", *ENDS]


async def test_the_end_of_an_object_is_marked_for_the_hub(world: World) -> None:
    room = await world.conversation("ana")
    world.told()
    await world.do(DeleteConversation, conversation=room.sid)
    assert [event.ends_object for event in world.bus.events()] == [False, True, True, True]
    assert not any(event.supersedes for event in world.bus.events())


async def test_a_message_is_told_before_it_is_the_last(world: World) -> None:
    room = await world.conversation("ana")
    world.told()
    message = await world.send(room.sid)
    assert [event.supersedes for event in world.bus.events()] == [False, True]
    assert world.told() == ["list_item_added ES", "document_updated ET"]
    here: dict[str, Any] = {"conversation": room.sid, "message": message.sid}
    await world.do(UpdateMessage, **here, body="new")
    assert world.told() == ["list_item_updated ES"]
    await world.do(UpdateMessage, **here, created_at=5_000_000)
    assert world.told() == ["list_item_updated ES", "document_updated ET"]
    await world.do(DeleteMessage, **here)
    assert world.told() == ["list_item_removed ES", "document_updated ET"]


async def test_removing_an_older_message_leaves_the_last_alone(world: World) -> None:
    room = await world.conversation("ana")
    first, _ = await world.send(room.sid), await world.send(room.sid)
    world.told()
    await world.do(DeleteMessage, conversation=room.sid, message=first.sid)
    assert world.told() == ["list_item_removed ES"]


async def test_nothing_is_told_of_what_failed(world: World) -> None:
    room = await world.conversation("ana")
    world.told()
    for role in ("RL" + "0" * 32, "nonsense"):
        try:
            await world.add(room.sid, "ben", role)
        except Exception as refusal:
            assert "Role" in str(refusal)  # noqa: PT017
    assert world.told() == []


async def test_nothing_that_was_removed_is_in_what_is_told_of_its_removal(world: World) -> None:
    room = await world.conversation("ana", "ben")
    message = await world.send(room.sid, "a secret")
    world.told()
    await world.do(DeleteMessage, conversation=room.sid, message=message.sid)
    await world.do(RemoveParticipant, conversation=room.sid, participant="ben")
    for event in world.bus.heard:
        if isinstance(event, EventPublished):
            assert b"a secret" not in event.body
            assert b'"ben"' not in event.body
