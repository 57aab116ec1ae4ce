"""Content templates: whose they are, and what a message made from one leaves behind (semantics 4.7)."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tertulia.server.domain.base import Command
from tertulia.server.domain.content import (
    Content,
    CreateContent,
    DeleteContent,
    RequestApproval,
    UpdateContent,
)
from tertulia.server.domain.content_types import read_types
from tertulia.server.domain.conversations import UpdateConversation
from tertulia.server.domain.messages import DeleteMessage, SendMessage, UpdateMessage
from tertulia.server.domain.permissions import Permission
from tertulia.server.domain.roles import UpdateRole

from .uploads import parts, rows_of_media, to_be_removed, upload
from .world import World, refused

TEXT = {"twilio/text": {"body": "Hello {{1}}"}}


async def made(world: World, types: dict[str, Any] = TEXT, **fields: Any) -> Content:
    return await world.do(CreateContent, language="en", types=read_types(json.dumps(types).encode()), **fields)


@pytest.mark.parametrize(
    "wish",
    [
        CreateContent(language="en", types=read_types(json.dumps(TEXT).encode())),
        UpdateContent(content="HX", types=read_types(json.dumps(TEXT).encode())),
        DeleteContent(content="HX"),
        RequestApproval(content="HX", name="x", category="UTILITY"),
    ],
    ids=lambda wish: type(wish).__name__,
)
async def test_templates_are_kept_by_account_holders_alone(world: World, wish: Command[Any]) -> None:
    await world.connect("ana")
    with refused(50107, 403):
        await world.engine.execute(world.user("ana"), wish)
    assert await world.count("contents") == 0


async def test_a_user_who_may_send_words_may_send_a_template(world: World) -> None:
    """Its rich body is ours, so it takes no permission to send media."""
    room, content = await world.conversation(), await made(world)
    role = await world.role("conversation", Permission.SEND_MESSAGE)
    await world.add(room.sid, "ana", role.sid)
    ana = world.user("ana")
    message = await world.do(SendMessage, by=ana, conversation=room.sid, content_sid=content.sid)
    assert (message.author, message.body, message.content_sid) == ("ana", "Hello {{1}}", content.sid)
    await world.do(UpdateRole, role=role.sid, permissions=(Permission.READ_CHANNEL_METADATA,))
    with refused(50107, 403):
        await world.do(SendMessage, by=ana, conversation=room.sid, content_sid=content.sid)


async def test_a_template_belongs_to_all_services_of_its_account(world: World) -> None:
    content, other = await made(world), await world.in_new_service()
    room = await other.conversation("ana")
    message = await other.do(SendMessage, conversation=room.sid, content_sid=content.sid)
    (part,) = parts(message)
    async with world.database.snapshot() as connection:
        assert await connection.value("SELECT service_sid FROM media WHERE sid = $1", part.sid) == other.service


async def test_a_message_that_is_refused_leaves_nothing(world: World) -> None:
    room, content = await world.conversation("ana"), await made(world)
    await world.do(UpdateConversation, conversation=room.sid, state="closed")
    with refused(50377):
        await world.do(SendMessage, conversation=room.sid, content_sid=content.sid)
    assert await rows_of_media(world) == {}


async def test_a_repeated_wish_has_one_rich_body(world: World) -> None:
    room, content = await world.conversation("ana"), await made(world)
    ana = world.user("ana", mutation_id="once")
    sent = [await world.do(SendMessage, by=ana, conversation=room.sid, content_sid=content.sid) for _ in range(2)]
    assert sent[0] == sent[1]
    (part,) = parts(sent[0])
    assert await rows_of_media(world) == {part.sid: sent[0].sid}


async def test_the_rich_body_goes_with_its_message_and_owes_no_blob(world: World) -> None:
    room, content = await world.conversation("ana"), await made(world)
    message = await world.do(SendMessage, conversation=room.sid, content_sid=content.sid)
    await world.do(DeleteMessage, conversation=room.sid, message=message.sid)
    assert await rows_of_media(world) == {}
    assert await to_be_removed(world) == []


async def test_media_beside_a_template_stays_with_its_uploader(world: World) -> None:
    room, content, ana = await world.conversation("ana"), await made(world), world.user("ana")
    file = await upload(world, ana)
    wish = {"conversation": room.sid, "content_sid": content.sid, "media_sids": (file.sid,), "body": "ignored"}
    message = await world.do(SendMessage, by=ana, **wish)
    (part,) = parts(message)
    assert await rows_of_media(world) == {file.sid: None, part.sid: message.sid}
    with refused(50509):
        await world.do(UpdateMessage, conversation=room.sid, message=message.sid, body="other words")


async def test_of_two_updates_at_once_both_are_seen(world: World) -> None:
    content = await made(world, friendly_name="before")
    types = read_types(json.dumps(TEXT).encode())
    await asyncio.gather(
        world.do(UpdateContent, content=content.sid, types=types, friendly_name="name"),
        world.do(UpdateContent, content=content.sid, types=types, language="es"),
    )
    found = await world.queries.contents.one(world.account, content.sid)
    assert (found.friendly_name, found.language) == ("name", "es")
