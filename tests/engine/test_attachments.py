"""Files of messages: who may attach what, once, and what becomes of them (semantics 4.8)."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from tertulia.server.domain.conversations import DeleteConversation
from tertulia.server.domain.limits import MEDIA_BYTES, MEDIA_OF_A_MESSAGE
from tertulia.server.domain.messages import DeleteMessage, UpdateMessage
from tertulia.server.domain.permissions import Permission
from tertulia.server.domain.services import DeleteService
from tertulia.server.jobs.retention import RetentionTrimmer
from tertulia.server.jobs.sweeping import BITE
from tertulia.server.settings import RetentionSettings
from tertulia.server.storage.paging import Page

from .test_concurrency import together
from .uploads import parts, rows_of_media, send, to_be_removed, upload
from .world import World, refused

UNKNOWN = "ME" + "0" * 32


async def test_a_message_has_the_files_of_its_sender_in_his_order(world: World) -> None:
    room, ana = await world.conversation("ana"), world.user("ana")
    files = [
        await upload(world, ana, filename=name, size=size) for size, name in enumerate(("b.png", "a.png", None), 1)
    ]
    first, second, third = files
    message = await send(world, room.sid, third, first, second, by=ana)
    assert [(part.sid, part.filename, part.size) for part in parts(message)] == [
        (third.sid, None, 3),
        (first.sid, "b.png", 1),
        (second.sid, "a.png", 2),
    ]
    assert message.body is None
    assert await rows_of_media(world) == {media.sid: message.sid for media in files}


async def test_a_message_may_have_words_and_files(world: World) -> None:
    room, ana = await world.conversation("ana"), world.user("ana")
    message = await send(world, room.sid, await upload(world, ana), by=ana, body="look", subject="cats")
    assert (message.body, message.subject, len(parts(message))) == ("look", "cats", 1)


async def test_a_message_of_words_has_none(world: World) -> None:
    room = await world.conversation("ana")
    message = await world.send(room.sid)
    assert (message.media, parts(message)) == (None, ())


# --- who may


async def test_a_user_attaches_what_he_uploaded_himself_and_nobody_elses_exists_for_him(world: World) -> None:
    room, ben = await world.conversation("ana", "ben"), world.user("ben")
    foreign = await upload(world, world.user("ana"))
    of_account = await upload(world)
    for media in (foreign, of_account):
        with refused(50507, 404, media.sid):
            await send(world, room.sid, media, by=ben)
    await send(world, room.sid, foreign, by=world.user("ana"))
    with refused(50507, 404, foreign.sid):  # not that it is used
        await send(world, room.sid, foreign, by=ben)


async def test_the_account_attaches_what_anybody_uploaded(world: World) -> None:
    room = await world.conversation("ana")
    message = await send(world, room.sid, await upload(world, world.user("ana")), await upload(world), author="ben")
    assert len(parts(message)) == 2


async def test_files_of_another_service_do_not_exist(world: World) -> None:
    other = await world.in_new_service()
    room, media = await world.conversation("ana"), await upload(other)
    with refused(50507, 404):
        await send(world, room.sid, media)


async def test_a_quarantined_file_is_not_there(world: World) -> None:
    room, media = await world.conversation("ana"), await upload(world, quarantined=True)
    with refused(50507, 404):
        await send(world, room.sid, media)


async def test_sending_files_takes_a_permission_of_its_own(world: World) -> None:
    role = await world.role("conversation", Permission.SEND_MESSAGE)
    room, ana = await world.conversation(), world.user("ana")
    await world.add(room.sid, "ana", role.sid)
    media = await upload(world, ana)
    with refused(50107, 403, "sendMediaMessage"):
        await send(world, room.sid, media, by=ana)
    await send(world, room.sid, by=ana, body="words")
    assert await rows_of_media(world) == {media.sid: None}


# --- once


async def test_a_file_is_attached_once(world: World) -> None:
    room, ana = await world.conversation("ana"), world.user("ana")
    media = await upload(world, ana)
    message = await send(world, room.sid, media, by=ana)
    for caller in (ana, world.account):
        with refused(50508, 409, media.sid):
            await send(world, room.sid, await upload(world, caller), media, by=caller)
    with refused(50508, 409):
        await send(world, room.sid, *[await upload(world, ana)] * 2, by=ana)
    assert (await rows_of_media(world))[media.sid] == message.sid


async def test_one_of_many_messages_gets_a_file(world: World) -> None:
    rooms = [await world.conversation("ana") for _ in range(10)]
    media = await upload(world)
    done, codes = await together(*(send(world, room.sid, media) for room in rooms))
    assert (len(done), codes) == (1, [50508] * 9)
    assert await rows_of_media(world) == {media.sid: done[0].sid}
    assert await world.count("messages") == 1


async def test_a_repeat_by_mutation_id_is_the_same_message(world: World) -> None:
    room, ana = await world.conversation("ana"), world.user("ana", "m-1")
    media = await upload(world, world.user("ana"))
    first = await send(world, room.sid, media, by=ana)
    assert await send(world, room.sid, media, by=ana) == first


async def test_a_message_that_is_refused_leaves_its_files_to_be_sent(world: World) -> None:
    room, media = await world.conversation("ana"), await upload(world)
    with refused(50507):
        await send(world, room.sid, media, await upload(await world.in_new_service()))
    assert len(parts(await send(world, room.sid, media))) == 1


# --- what goes together

MEDIA, BODY, HISTORY = ({"category": category} for category in ("media", "body", "history"))
TEXT, HTML = {"content_type": "text/plain"}, {"content_type": "text/html"}
HALF = {"size": MEDIA_BYTES // 2}


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ([MEDIA] * MEDIA_OF_A_MESSAGE, None),
        ([MEDIA] * (MEDIA_OF_A_MESSAGE + 1), 50512),
        ([MEDIA] * 15, 50512),
        ([MEDIA] * 10 + [BODY | TEXT, BODY | HTML, HISTORY | TEXT, HISTORY | HTML], None),
        ([HALF, HALF], None),
        ([HALF, HALF, {"size": 1}], 50512),
        ([HALF, HALF, BODY | TEXT], 50512),
        ([BODY | TEXT], None),
        ([BODY | TEXT, HISTORY | TEXT], None),
        ([BODY | TEXT, BODY | TEXT], 50511),
        ([HISTORY | HTML, HISTORY | HTML], 50511),
        ([BODY | {"content_type": "image/png"}], 50511),
        ([HISTORY | {"content_type": "text/markdown"}], 50511),
        ([BODY | {"content_type": "application/x-vnd.com.twilio.rich.twilio.card"}], 50511),
        ([MEDIA | {"content_type": "application/x-msdownload"}], None),
    ],
)
async def test_what_one_message_may_have(world: World, files: list[dict[str, Any]], code: int | None) -> None:
    room = await world.conversation("ana")
    uploads = [await upload(world, **fields) for fields in files]
    if code is None:
        assert [part.sid for part in parts(await send(world, room.sid, *uploads))] == [media.sid for media in uploads]
        return
    with refused(code, 400):
        await send(world, room.sid, *uploads)
    assert await world.count("messages") == 0
    assert set((await rows_of_media(world)).values()) == {None}


# --- changing


async def test_the_body_of_a_message_with_files_does_not_change(world: World) -> None:
    room = await world.conversation("ana")
    alone = await send(world, room.sid, await upload(world))
    mixed = await send(world, room.sid, await upload(world), body="words")
    for message, body in ((alone, "new"), (mixed, "new"), (mixed, "")):
        with refused(50509, 400):
            await world.do(UpdateMessage, conversation=room.sid, message=message.sid, body=body)
    # What is said again is no change, and everything else may.
    for message in (alone, mixed):
        fields = {"body": message.body or "", "attributes": "[1]", "author": "ben"}
        edited = await world.do(UpdateMessage, conversation=room.sid, message=message.sid, **fields)
        assert (edited.body, edited.attributes, edited.author) == (message.body, "[1]", "ben")
        assert parts(edited) == parts(message)


async def test_a_message_without_files_cannot_be_emptied(world: World) -> None:
    room = await world.conversation("ana")
    message = await world.send(room.sid)
    with refused(50503, 400):
        await world.do(UpdateMessage, conversation=room.sid, message=message.sid, body="")


# --- what becomes of them


async def test_the_files_of_a_removed_message_go_with_it(world: World) -> None:
    room = await world.conversation("ana")
    gone, kept = [await upload(world), await upload(world)], await upload(world)
    message = await send(world, room.sid, *gone)
    await send(world, room.sid, kept)
    await world.do(DeleteMessage, conversation=room.sid, message=message.sid)
    assert (await rows_of_media(world)).keys() == {kept.sid}
    assert sorted(await to_be_removed(world)) == sorted(media.blob or "" for media in gone)


async def test_the_files_of_a_removed_conversation_go_in_bites(world: World) -> None:
    room, other = await world.conversation("ana"), await world.conversation("ana")
    messages, each = 2 * BITE // 10 + 1, 10
    blobs = []
    for _ in range(messages):
        files = [await upload(world) for _ in range(each)]
        blobs += [media.blob for media in files]
        await send(world, room.sid, *files)
    kept = await upload(world)
    await send(world, other.sid, kept)
    await world.do(DeleteConversation, conversation=room.sid)
    await world.run_due()
    assert (await rows_of_media(world)).keys() == {kept.sid}
    assert sorted(await to_be_removed(world)) == sorted(blob or "" for blob in blobs)


async def test_the_files_of_a_removed_service_go_attached_or_not(world: World) -> None:
    other = await world.in_new_service()
    room, kept = await other.conversation("ana"), await upload(world)
    attached, loose = await upload(other), await upload(other, other.user("ana"))
    await send(other, room.sid, attached)
    await other.do(DeleteService)
    await world.run_due()
    assert (await rows_of_media(world)).keys() == {kept.sid}
    assert sorted(await to_be_removed(world)) == sorted((attached.blob or "", loose.blob or ""))


async def test_the_files_of_forgotten_messages_go_with_them(world: World) -> None:
    room, old = await world.conversation("ana"), await upload(world)
    await send(world, room.sid, old)
    await world.send(room.sid)
    world.clock.advance(timedelta(days=8))
    new = await upload(world)
    await send(world, room.sid, new)
    settings = RetentionSettings(messages_days=7)
    assert await RetentionTrimmer(world.database, world.engine, world.clock, settings, pause_s=0).trim() == 2
    assert (await rows_of_media(world)).keys() == {new.sid}
    assert await to_be_removed(world) == [old.blob]


async def test_a_message_that_is_removed_while_files_are_sent_keeps_none(world: World) -> None:
    room = await world.conversation("ana")
    media = await upload(world)
    _, codes = await together(world.do(DeleteConversation, conversation=room.sid), send(world, room.sid, media))
    await world.run_due()
    assert codes == [50350]
    assert await rows_of_media(world) == {media.sid: None}
    assert await to_be_removed(world) == []


# --- costs


async def test_files_cost_two_statements_however_many(world: World) -> None:
    room = await world.conversation("ana")
    few, many = [await upload(world)], [await upload(world) for _ in range(10)]
    for files, most in ((few, 6), (many, 6)):
        before = world.database.statements
        await send(world, room.sid, *files)
        assert world.database.statements - before == most


async def test_history_asks_for_no_file(world: World) -> None:
    room = await world.conversation("ana")
    await asyncio.gather(*[send(world, room.sid, await upload(world)) for _ in range(3)])
    before = world.database.statements
    found = await world.queries.messages(world.account, world.service, room.sid, Page(50))
    assert [len(parts(message)) for message in found] == [1, 1, 1]
    assert world.database.statements - before == 2
