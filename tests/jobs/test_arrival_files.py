"""Files of what comes in: fetched within bounds, kept, or noted as lost (semantics 4.8)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tertulia.server.channels.base import NotNow, Refused
from tertulia.server.domain.attachments import parts_of
from tertulia.server.domain.channels import IncomingMedia
from tertulia.server.domain.gateways import AddSender
from tertulia.server.domain.media import MediaCategory
from tertulia.server.jobs.forgotten_arrivals import SpoolSweep
from tests.contract.channels.heard import HeardChannel, installed
from tests.engine.inbound import ANA, FOLDER, OURS, Inbound, inbound_of
from tests.engine.world import World, refused

MB = 1 << 20
PICTURE = b"\x89PNG, or so"


@pytest.fixture
async def inbound(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Inbound]:
    with installed(tmp_path / "installed", monkeypatch):
        async with inbound_of(world, tmp_path / "blobs", fetch_attempts=3, fetch_s=2.0) as inbound:
            yield inbound


def at(reference: str, content_type: str = "image/png", **fields: Any) -> IncomingMedia:
    """A file at the provider's."""
    return IncomingMedia(content_type=content_type, reference=reference, **fields)


def in_hand(content: bytes, content_type: str = "image/png", **fields: Any) -> IncomingMedia:
    return IncomingMedia(content_type=content_type, content=content, **fields)


async def parts(inbound: Inbound, room: str) -> list[tuple[str, str, int]]:
    """Category, type and size of the files of the only message."""
    [message] = await inbound.messages(room)
    return [(part.category, part.content_type, part.size) for part in parts_of(message.media)]


async def notes(inbound: Inbound, room: str) -> Any:
    [message] = await inbound.messages(room)
    return json.loads(message.attributes).get("channel")


async def content(inbound: Inbound, room: str) -> list[bytes]:
    """The bytes of the files of the only message."""
    [message] = await inbound.messages(room)
    found = []
    for part in parts_of(message.media):
        async with inbound.world.database.snapshot() as connection:
            key = await connection.value("SELECT blob FROM media WHERE sid = $1", part.sid)
        async with inbound.blobs.read(key) as pieces:
            found.append(b"".join([piece async for piece in pieces]))
    return found


@pytest.mark.parametrize("how", ["at the provider's", "in hand"])
async def test_a_file_becomes_one_of_the_message(inbound: Inbound, how: str) -> None:
    room, _ = await inbound.pair()
    HeardChannel.files["1"] = PICTURE
    file = at("1", filename="cat.png") if how != "in hand" else in_hand(PICTURE, filename="cat.png")
    await inbound.hears("look", media=(file,))
    await inbound.settle()
    assert await parts(inbound, room.sid) == [("media", "image/png", len(PICTURE))]
    assert await content(inbound, room.sid) == [PICTURE]
    assert await inbound.bodies(room.sid) == ["look"]
    assert await notes(inbound, room.sid) is None
    await inbound.settle()
    assert await inbound.spooled() == []


async def test_a_file_needs_no_words(inbound: Inbound) -> None:
    room, _ = await inbound.pair()
    await inbound.hears(None, media=(in_hand(PICTURE),))
    await inbound.settle()
    assert await inbound.bodies(room.sid) == [None]
    assert len(await parts(inbound, room.sid)) == 1


async def test_a_strangers_file_gets_into_his_conversation(inbound: Inbound) -> None:
    await inbound.welcome()
    await inbound.hears("look", media=(in_hand(PICTURE),))
    await inbound.settle()
    [(sid, _, _, _)] = await inbound.conversations()
    assert await content(inbound, sid) == [PICTURE]


async def test_bodies_of_a_mail_are_kept_beside_the_text(inbound: Inbound) -> None:
    await inbound.world.do(AddSender, address="desk@ours.test", gateway="wire")
    room, _ = await inbound.pair(address="ana@home.test", proxy="desk@ours.test")
    html, history = b"<p>yes</p>", b"> no?"
    await inbound.hears(
        "yes",
        sender="ana@home.test",
        recipient="desk@ours.test",
        subject="Re: no?",
        media=(
            in_hand(b"yes", "text/plain", category=MediaCategory.BODY),
            in_hand(html, "text/html; charset=utf-8", category=MediaCategory.BODY),
            in_hand(history, "text/plain", category=MediaCategory.HISTORY),
            in_hand(PICTURE),
        ),
    )
    await inbound.settle()
    assert await parts(inbound, room.sid) == [
        ("body", "text/plain", 3),
        ("body", "text/html", len(html)),
        ("history", "text/plain", len(history)),
        ("media", "image/png", len(PICTURE)),
    ]
    [message] = await inbound.messages(room.sid)
    assert (message.body, message.subject) == ("yes", "Re: no?")


# ---------------------------------------------------------------------------------------------------------- bounds


@pytest.mark.parametrize(
    ("kind", "sizes", "kept"),
    [
        ("sms", [2 * MB], 1),
        ("sms", [2 * MB + 1], 0),
        ("sms", [2 * MB, 2 * MB, 1 * MB], 3),
        ("sms", [2 * MB, 2 * MB, 1 * MB + 1, 7], 3),
        ("sms", [1] * 12, 10),
        ("whatsapp", [16 * MB], 1),
        ("whatsapp", [16 * MB + 1], 0),
        ("whatsapp", [1, 1], 1),
        ("email", [3 * MB] * 3, 3),
        ("email", [1] * 11, 10),
    ],
)
@pytest.mark.parametrize("how", ["at the provider's", "in hand"])
async def test_files_beyond_the_bounds_are_lost(
    inbound: Inbound, kind: str, sizes: list[int], kept: int, how: str
) -> None:
    addresses = {
        "sms": (ANA, OURS),
        "whatsapp": (f"whatsapp:{ANA}", f"whatsapp:{OURS}"),
        "email": ("ana@home.test", "desk@ours.test"),
    }
    sender, recipient = addresses[kind]
    if recipient != OURS:
        await inbound.serve(recipient)
    room, _ = await inbound.pair(address=sender, proxy=recipient)
    media = []
    for number, size in enumerate(sizes):
        HeardChannel.files[str(number)] = bytes(size)
        media.append(at(str(number)) if how != "in hand" else in_hand(bytes(size)))
    await inbound.hears("look", sender=sender, recipient=recipient, media=tuple(media))
    await inbound.settle()
    assert len(await parts(inbound, room.sid)) == kept
    lost = (await notes(inbound, room.sid) or {}).get("lost_media", [])
    assert [one["error_code"] for one in lost] == [50512] * (len(sizes) - kept)


async def test_what_the_provider_says_is_too_large_is_not_asked_for(inbound: Inbound) -> None:
    room, _ = await inbound.pair()
    await inbound.hears("look", media=(at("nobody knows this one", size=2 * MB + 1),))
    await inbound.settle()
    assert (await notes(inbound, room.sid))["lost_media"] == [{"content_type": "image/png", "error_code": 50512}]


async def test_a_type_that_is_none_is_one_of_any_file(inbound: Inbound) -> None:
    room, _ = await inbound.pair()
    await inbound.hears("look", media=(in_hand(PICTURE, "nonsense\r\n"),))
    await inbound.settle()
    assert await parts(inbound, room.sid) == [("media", "application/octet-stream", len(PICTURE))]


@pytest.mark.parametrize("content_type", ["image/png", "nonsense"])
async def test_a_body_of_a_mail_is_text(inbound: Inbound, content_type: str) -> None:
    room, _ = await inbound.pair()
    await inbound.hears("yes", media=(in_hand(PICTURE, content_type, category=MediaCategory.BODY),))
    await inbound.settle()
    assert await parts(inbound, room.sid) == []
    assert [one["error_code"] for one in (await notes(inbound, room.sid))["lost_media"]] == [50511]


async def test_an_empty_file_is_lost(inbound: Inbound) -> None:
    room, _ = await inbound.pair()
    HeardChannel.files["1"] = b""
    await inbound.hears("look", media=(at("1"), in_hand(b"")))
    await inbound.settle()
    assert [one["error_code"] for one in (await notes(inbound, room.sid))["lost_media"]] == [50512, 50512]


# ------------------------------------------------------------------------------------------------------- fetching


async def test_a_file_that_cannot_be_had_is_noted_and_the_words_go_on(inbound: Inbound) -> None:
    room, _ = await inbound.pair()
    HeardChannel.files["1"] = Refused(11200, "it is gone")
    HeardChannel.files["2"] = PICTURE
    await inbound.hears("look", media=(at("1"), at("2")))
    await inbound.settle()
    assert await inbound.bodies(room.sid) == ["look"]
    assert await content(inbound, room.sid) == [PICTURE]
    assert (await notes(inbound, room.sid))["lost_media"] == [{"content_type": "image/png", "error_code": 11200}]


async def test_a_file_that_cannot_be_had_now_is_asked_for_again(inbound: Inbound) -> None:
    room, _ = await inbound.pair()
    HeardChannel.files["1"] = NotNow("busy")
    await inbound.hears("look", media=(at("1"),))
    await inbound.settle()
    assert await inbound.bodies(room.sid) == []
    HeardChannel.files["1"] = PICTURE
    await later(inbound)
    assert await content(inbound, room.sid) == [PICTURE]
    assert await inbound.bodies(room.sid) == ["look"]


async def test_in_the_end_the_words_go_on_without_it(inbound: Inbound) -> None:
    room, _ = await inbound.pair()
    HeardChannel.files["1"] = NotNow("busy")
    await inbound.hears("look", media=(at("1"),))
    await inbound.settle()
    await later(inbound)
    assert await inbound.bodies(room.sid) == []
    await later(inbound)
    assert await inbound.bodies(room.sid) == ["look"]
    assert (await notes(inbound, room.sid))["lost_media"] == [{"content_type": "image/png", "error_code": 11200}]


async def test_an_adapter_that_breaks_over_a_file_does_not_keep_back_the_words(inbound: Inbound) -> None:
    room, _ = await inbound.pair()
    HeardChannel.files["1"] = ZeroDivisionError("a mistake")
    await inbound.hears("look", media=(at("1"),))
    await inbound.settle()
    for _ in range(5):
        assert await inbound.bodies(room.sid) == []
        await later(inbound)
    await later(inbound)
    assert await inbound.bodies(room.sid) == ["look"]


async def test_the_next_message_waits_for_the_one_before(inbound: Inbound) -> None:
    room, _ = await inbound.pair()
    HeardChannel.files["1"] = NotNow("busy")
    await inbound.hear(inbound.incoming("first", media=(at("1"),)), inbound.incoming("second"))
    await inbound.settle()
    assert await inbound.bodies(room.sid) == []
    HeardChannel.files["1"] = PICTURE
    await later(inbound)
    assert await inbound.bodies(room.sid) == ["first", "second"]


async def test_a_gateway_that_is_gone_brings_no_files(inbound: Inbound) -> None:
    room, _ = await inbound.pair()
    await inbound.hears("look", media=(at("1"),))
    await inbound.world.sql("DELETE FROM gateways")
    inbound.channels.news()
    await inbound.settle()
    assert await inbound.bodies(room.sid) == ["look"]
    assert len((await notes(inbound, room.sid))["lost_media"]) == 1


async def test_what_waits_and_what_was_fetched_is_attached_once(inbound: Inbound) -> None:
    """As after a crash between the files and the message: they are kept again, and once only in a message."""
    room, _ = await inbound.pair()
    HeardChannel.files["1"] = NotNow("busy")
    await inbound.hears("look", media=(in_hand(PICTURE), at("1")))
    await inbound.settle()
    HeardChannel.files["1"] = PICTURE
    await later(inbound)
    assert await content(inbound, room.sid) == [PICTURE, PICTURE]
    async with inbound.world.database.snapshot() as connection:
        attached = await connection.value("SELECT count(*) FROM media WHERE message_sid IS NOT NULL")
    assert attached == 2


# --------------------------------------------------------------------------------------------------------- spooling


async def test_bytes_of_a_repeat_are_not_put_down(inbound: Inbound) -> None:
    await inbound.pair()
    one = inbound.incoming(media=(in_hand(PICTURE),))
    await inbound.hear(one, one)
    [key] = await inbound.spooled()
    await inbound.hear(one)
    assert await inbound.spooled() == [key]


async def test_bytes_of_what_cannot_be_kept_do_not_stay(inbound: Inbound) -> None:
    await inbound.world.sql("UPDATE accounts SET suspended_at = 1")
    with refused(20005):
        await inbound.hears(media=(in_hand(PICTURE),))
    assert await inbound.spooled() == []


async def test_bytes_of_a_copy_to_a_group_do_not_stay(inbound: Inbound) -> None:
    for ours, others in ((OURS, ("+15551110002", "+15550002000")), ("+15550002000", ("+15551110002", OURS))):
        await inbound.hears("look", recipient=ours, others=others, media=(in_hand(PICTURE),))
    assert len(await inbound.spooled()) == 1


async def test_bytes_of_what_is_dropped_go(inbound: Inbound) -> None:
    await inbound.hears(media=(in_hand(PICTURE),))
    assert len(await inbound.spooled()) == 1
    await inbound.settle()
    await inbound.settle()
    assert await inbound.spooled() == []


async def test_bytes_that_no_arrival_waits_for_are_found(inbound: Inbound) -> None:
    """A crash between the bytes and the row leaves bytes alone."""
    world = inbound.world
    sweep = SpoolSweep(inbound.blobs, FOLDER, inbound.queries, world.clock, pause_s=0)

    async def pieces() -> AsyncIterator[bytes]:
        yield PICTURE

    stray = f"{FOLDER}/arrivals/RA{'0' * 32}/0"
    await inbound.blobs.put(stray, pieces())
    await inbound.hears(media=(in_hand(PICTURE),))
    put_at = max([blob.stored_at async for blob in inbound.blobs.list()])
    world.clock.advance(timedelta(microseconds=put_at - world.clock.now()))
    assert await sweep.sweep() == 0, "they may be on their way"
    world.clock.advance(timedelta(hours=7))
    assert await sweep.sweep() == 1
    kept = await inbound.spooled()
    assert stray not in kept and len(kept) == 1


async def later(inbound: Inbound) -> None:
    inbound.world.clock.advance(timedelta(minutes=2))
    await inbound.settle()
