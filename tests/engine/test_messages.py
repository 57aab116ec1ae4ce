"""Sending, editing and removing messages."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tertulia.server.domain.conversations import UpdateConversation
from tertulia.server.domain.errors import InvalidRequest, NotFound, TertuliaError
from tertulia.server.domain.messages import DeleteMessage, SendMessage, UpdateMessage
from tertulia.server.domain.participants import AddParticipant

from .world import World, refused


async def test_messages_of_a_conversation_are_numbered_from_zero(world: World) -> None:
    room = await world.conversation("ana")
    assert [(await world.send(room.sid)).index for _ in range(3)] == [0, 1, 2]


async def test_the_index_of_a_removed_message_is_not_used_again(world: World) -> None:
    room = await world.conversation("ana")
    message = await world.send(room.sid)
    await world.engine.execute(
        world.account, DeleteMessage(service=world.service, conversation=room.sid, message=message.sid)
    )
    assert (await world.send(room.sid)).index == 1


async def test_a_closed_conversation_takes_no_messages(world: World) -> None:
    room = await world.conversation("ana")
    await world.engine.execute(
        world.account, UpdateConversation(service=world.service, conversation=room.sid, state="closed")
    )
    with pytest.raises(InvalidRequest) as refusal:
        await world.send(room.sid)
    assert refusal.value.code == 50377


async def test_a_user_writes_in_his_own_name_whatever_he_says(world: World) -> None:
    room = await world.conversation("ana")
    wish = SendMessage(service=world.service, conversation=room.sid, body="hi", author="ben")
    assert (await world.engine.execute(world.user("ana"), wish)).author == "ana"


async def test_who_is_not_in_the_conversation_is_told_that_there_is_none(world: World) -> None:
    room = await world.conversation("ana")
    await world.connect("eve")
    with pytest.raises(NotFound) as absent:
        await world.send("CH" + "0" * 32, by=world.user("eve"))
    with pytest.raises(NotFound) as invisible:
        await world.send(room.sid, by=world.user("eve"))
    assert (absent.value.code, absent.value.message) == (invisible.value.code, invisible.value.message)


async def test_an_edit_is_dated_and_signed(world: World) -> None:
    room = await world.conversation("ana")
    message = await world.send(room.sid, by=world.user("ana"))
    edited = await world.engine.execute(
        world.user("ana"),
        UpdateMessage(service=world.service, conversation=room.sid, message=message.sid, body="better"),
    )
    assert (edited.body, edited.last_updated_by, edited.index) == ("better", "ana", message.index)
    assert message.last_updated_by is None


async def test_an_update_that_changes_nothing_tells_nobody(world: World) -> None:
    room = await world.conversation("ana")
    message = await world.send(room.sid)
    world.bus.heard.clear()
    same = await world.engine.execute(
        world.account,
        UpdateMessage(service=world.service, conversation=room.sid, message=message.sid, body=message.body or ""),
    )
    assert same == message
    assert world.bus.heard == []


async def test_others_messages_need_a_permission_of_their_own(world: World) -> None:
    room = await world.conversation("ana", "ben")
    message = await world.send(room.sid, by=world.user("ana"))
    wish = UpdateMessage(service=world.service, conversation=room.sid, message=message.sid, body="mine now")
    with pytest.raises(TertuliaError) as refusal:
        await world.engine.execute(world.user("ben"), wish)
    assert (refusal.value.status, refusal.value.code) == (403, 50107)
    assert "editAnyMessage" in refusal.value.message


async def test_the_same_mutation_id_gets_the_same_answer_and_does_nothing(world: World) -> None:
    room = await world.conversation("ana")
    first = await world.send(room.sid, by=world.user("ana", "m-1"))
    again = await world.send(room.sid, by=world.user("ana", "m-1"))
    assert again == first
    assert (await world.send(room.sid, by=world.user("ana", "m-2"))).index == 1


async def test_removing_the_newest_message_makes_the_one_before_it_the_newest(world: World) -> None:
    room = await world.conversation("ana")
    await world.send(room.sid, "one")
    two = await world.send(room.sid, "two")
    await world.engine.execute(
        world.account, DeleteMessage(service=world.service, conversation=room.sid, message=two.sid)
    )
    left = await world.queries.conversation(world.account, world.service, room.sid)
    assert (left.newest_index, left.last_index, left.message_count) == (0, 1, 1)


@pytest.mark.parametrize("members", [2, 1000])
async def test_writing_a_message_costs_the_same_statements_for_few_and_for_many(world: World, members: int) -> None:
    room = await world.conversation(*(f"user-{n}" for n in range(members)))
    before = world.database.statements
    await world.send(room.sid, by=world.user("user-0"))
    assert world.database.statements - before == 4


@pytest.mark.parametrize(
    ("fields", "code", "status"),
    [
        ({}, 50503, 400),
        ({"body": ""}, 50503, 400),
        ({"body": "x" * 32_769}, 50504, 400),
        ({"body": "é" * 16_385}, 50504, 400),
        ({"body": "x", "attributes": "{"}, 50304, 400),
        ({"body": "x", "attributes": "[" * 65 + "]" * 65}, 50304, 400),
        ({"body": "x", "attributes": f'"{"x" * 4095}"'}, 50303, 400),
        ({"body": "x", "author": "x" * 257}, 50310, 400),
        ({"body": "x", "subject": "x" * 257}, 20001, 400),
        ({"media_sids": ("",)}, 50506, 400),
        ({"media_sids": ("ME1",)}, 50510, 400),
        ({"media_sids": ("ME" + "0" * 32,)}, 50507, 404),
        ({"content_sid": "HX1"}, 50526, 400),
        ({"content_sid": "HX" + "0" * 32}, 20404, 404),
        ({"body": "x", "content_variables": "{}"}, 50528, 400),
        ({"content_sid": "HX" + "0" * 32, "content_variables": "[]"}, 50527, 400),
        ({"content_sid": "HX" + "0" * 32, "content_variables": '{"' + "k" * 17 + '":"v"}'}, 50540, 400),
        ({"content_sid": "HX" + "0" * 32, "content_variables": '{"k":1}'}, 50541, 400),
        ({"content_sid": "HX" + "0" * 32, "content_variables": '{"k":"' + "v" * 257 + '"}'}, 50541, 400),
        ({"content_sid": "HX" + "0" * 32, "content_variables": " " * 27_802}, 50529, 400),
        (
            {
                "content_sid": "HX" + "0" * 32,
                "content_variables": "{" + ",".join(f'"{n}":""' for n in range(101)) + "}",
            },
            50529,
            400,
        ),
    ],
    ids=lambda value: str(value)[:50],
)
async def test_a_message_that_cannot_be_is_refused(
    world: World, fields: dict[str, Any], code: int, status: int
) -> None:
    room = await world.conversation("ana")
    with refused(code, status):
        await world.do(SendMessage, conversation=room.sid, **fields)
    assert await world.queries.conversation(world.account, world.service, room.sid) == room


@pytest.mark.parametrize(
    "fields",
    [{"body": "x" * 32_768}, {"body": "é" * 16_384}, {"attributes": f'"{"x" * 4094}"'}, {"subject": "x" * 256}],
    ids=lambda value: str(value)[:30],
)
async def test_the_limit_itself_is_allowed(world: World, fields: dict[str, str]) -> None:
    room = await world.conversation("ana")
    await world.do(SendMessage, conversation=room.sid, **({"body": "x"} | fields))


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"body": "x" * 32_769}, 50504),
        ({"attributes": "{"}, 50304),
        ({"author": "x" * 257}, 50310),
        ({"subject": "x" * 257}, 20001),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_an_edit_into_what_cannot_be_is_refused(world: World, fields: dict[str, str], code: int) -> None:
    room = await world.conversation("ana")
    message = await world.send(room.sid)
    with refused(code, 400):
        await world.do(UpdateMessage, conversation=room.sid, message=message.sid, **fields)
    assert await world.queries.message(world.account, world.service, room.sid, message.sid) == message


async def test_the_author_is_who_sends_unless_the_account_says_otherwise(world: World) -> None:
    room = await world.conversation("ana")
    ana = await world.queries.participant(world.account, world.service, room.sid, "ana")
    assert (await world.send(room.sid)).author == "system"
    for author, participant in (("ana", ana.sid), ("somebody", None)):
        said = await world.do(SendMessage, conversation=room.sid, author=author, body="hi")
        assert (said.author, said.participant_sid) == (author, participant)


@pytest.mark.parametrize(
    "fields",
    [
        {"address": "+15550001111", "proxy_address": "+15550002222"},
        {"address": "whatsapp:+15550001111", "proxy_address": "whatsapp:+15550002222"},
        {"projected_address": "+15550001111"},
    ],
    ids=str,
)
async def test_an_address_is_an_author_too(world: World, fields: dict[str, str]) -> None:
    room = await world.conversation()
    member = await world.do(AddParticipant, conversation=room.sid, **fields)
    address = member.address or member.projected_address
    assert (await world.do(SendMessage, conversation=room.sid, author=address, body="hi")).participant_sid == member.sid
    message = await world.send(room.sid)
    edited = await world.do(UpdateMessage, conversation=room.sid, message=message.sid, author=address)
    assert edited.participant_sid == member.sid
    edited = await world.do(UpdateMessage, conversation=room.sid, message=message.sid, author="nobody")
    assert edited.participant_sid is None


async def test_imported_messages_keep_their_dates_and_take_the_next_index(world: World) -> None:
    room = await world.conversation("ana")
    await world.send(room.sid)
    old = await world.do(SendMessage, conversation=room.sid, body="old", created_at=5_000_000)
    assert (old.index, old.created_at, old.updated_at) == (1, 5_000_000, 5_000_000)
    edited = await world.do(
        UpdateMessage, conversation=room.sid, message=old.sid, created_at=6_000_000, updated_at=7_000_000
    )
    assert (edited.created_at, edited.updated_at, edited.last_updated_by) == (6_000_000, 7_000_000, "system")
    now = await world.queries.conversation(world.account, world.service, room.sid)
    assert (now.newest_index, now.newest_at) == (1, 6_000_000)


async def test_an_edit_changes_what_it_names_alone(world: World) -> None:
    room = await world.conversation("ana")
    message = await world.do(SendMessage, conversation=room.sid, body="a", subject="b", attributes="[1]")
    world.clock.advance(timedelta(seconds=1))
    edited = await world.do(UpdateMessage, conversation=room.sid, message=message.sid, attributes="[2]")
    assert (edited.body, edited.subject, edited.attributes, edited.author) == ("a", "b", "[2]", "system")
    assert (edited.created_at, edited.updated_at) == (message.created_at, world.clock.now())
    edited = await world.do(UpdateMessage, conversation=room.sid, message=message.sid, subject="")
    assert edited.subject is None


async def test_a_message_of_another_conversation_is_not_found(world: World) -> None:
    room, other = await world.conversation("ana"), await world.conversation("ana")
    message = await world.send(other.sid)
    for sid in (message.sid, "IM" + "0" * 32, "0"):
        with refused(50500, 404):
            await world.do(UpdateMessage, conversation=room.sid, message=sid, body="x")
        with refused(50500, 404):
            await world.do(DeleteMessage, conversation=room.sid, message=sid)
        with refused(50500, 404):
            await world.queries.message(world.account, world.service, room.sid, sid)


async def test_removing_the_only_message_leaves_no_newest(world: World) -> None:
    room = await world.conversation("ana")
    message = await world.send(room.sid)
    await world.do(DeleteMessage, conversation=room.sid, message=message.sid)
    now = await world.queries.conversation(world.account, world.service, room.sid)
    assert (now.newest_index, now.newest_at, now.last_index, now.message_count) == (None, None, 0, 0)
