"""Files as applications have them at hand, and what is said of those that cannot be sent."""

from __future__ import annotations

import asyncio
import io
import os
import socket
from pathlib import Path

import pytest

from tertulia.client import FileToSend, MessageDraft
from tertulia.client.errors import InvalidArgumentError, OutboxError
from tertulia.client.files import Files

from .stage import Stage, until


async def test_a_file_is_given_as_it_is_at_hand(stage: Stage, tmp_path: Path) -> None:
    [room] = await stage.hosted("ana")
    path = tmp_path / "menu.pdf"
    path.write_bytes(b"the menu")
    cases: list[tuple[Files, list[tuple[str | None, str, bytes]]]] = [
        (path, [("menu.pdf", "application/pdf", b"the menu")]),
        (b"bytes", [(None, "application/octet-stream", b"bytes")]),
        ((b"bytes", "image/png"), [(None, "image/png", b"bytes")]),
        ((path, "text/plain"), [("menu.pdf", "text/plain", b"the menu")]),
        (io.BytesIO(b"opened"), [(None, "application/octet-stream", b"opened")]),
        (FileToSend(b"x", "text/plain", "x.txt"), [("x.txt", "text/plain", b"x")]),
        (
            [path, (b"bytes", "image/png"), FileToSend(b"x", "text/plain")],
            [("menu.pdf", "application/pdf", b"the menu"), (None, "image/png", b"bytes"), (None, "text/plain", b"x")],
        ),
        ((path, path), [("menu.pdf", "application/pdf", b"the menu")] * 2),
    ]
    for given, expected in cases:
        for message in (await room.send(media=given), await room.send_draft(MessageDraft(media=given))):
            found = [(each.filename, each.content_type, await each.download()) for each in message.media]
            assert found == expected
    assert (await room.send("words", media=[])).media == [] == (await room.send("words", media=())).media


async def test_an_open_file_of_the_system_is_a_file(stage: Stage, tmp_path: Path) -> None:
    [room] = await stage.hosted("ana")
    path = tmp_path / "menu.pdf"
    path.write_bytes(b"the menu")
    with path.open("rb") as file:
        [media] = (await room.send(media=file)).media
        assert await media.download() == b"the menu" and file.tell() == 0
    with pytest.raises(InvalidArgumentError, match="cannot be read"):
        await room.send(media=file)


async def test_what_cannot_be_read_is_named_before_anything_is_sent(stage: Stage, tmp_path: Path) -> None:
    [room] = await stage.hosted("ana")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "file").write_bytes(b"x")
    cases = {
        "missing.png": "No such file",
        "loop": "symbolic links",
        "file/inside": "Not a directory",
        "n" * 300: "too long",
        "a\0b": "ValueError",
        ".": "directory",
    }
    for name, why in cases.items():
        path = tmp_path / name
        with pytest.raises(InvalidArgumentError, match=why) as refusal:
            await room.send("look", media=path)
        assert str(path) in str(refusal.value)
    with pytest.raises(InvalidArgumentError, match=r"missing-too.png"):
        await room.send(media=[b"x", tmp_path / "missing-too.png"])
    assert await room.count_messages(max_age=0) == 0 and await stage.world.count("media") == 0


async def test_what_turns_out_to_be_unreadable_is_named_as_well(stage: Stage, tmp_path: Path) -> None:
    [room] = await stage.hosted("ana")
    # It is there, and nobody can open it: as a file that one may not read.
    closed = tmp_path / "closed"
    with socket.socket(socket.AF_UNIX) as taken:
        taken.bind(str(closed))
        with pytest.raises(InvalidArgumentError, match="closed cannot be read"):
            await room.send(media=closed)
    if os.geteuid():
        (tmp_path / "secret").write_bytes(b"x")
        (tmp_path / "secret").chmod(0)
        with pytest.raises(InvalidArgumentError, match="secret cannot be read: Permission denied"):
            await room.send(media=tmp_path / "secret")
    assert await room.count_messages(max_age=0) == 0


async def test_a_file_that_goes_while_it_waits_is_named(stage: Stage, tmp_path: Path) -> None:
    ana = await stage.connect("ana", outbox=True)
    room = await ana.create_conversation(join=True)
    path = tmp_path / "fleeting.png"
    with pytest.raises(InvalidArgumentError, match=r"fleeting\.png"):
        await room.post(media=path)
    path.write_bytes(b"x")
    stage.proxy.refuse()
    pending = await room.post(media=path)
    assert [each.filename for each in pending.media] == ["fleeting.png"]
    path.unlink()
    stage.proxy.admit()
    with pytest.raises((InvalidArgumentError, OutboxError), match=r"fleeting\.png"):
        await pending.sent()


async def test_messages_with_files_keep_their_turn(stage: Stage, tmp_path: Path) -> None:
    """Looking at a file takes its time; what is written after it comes after it."""
    ana = await stage.connect("ana", outbox=True)
    room = await ana.create_conversation(join=True)
    path = tmp_path / "a.txt"
    path.write_bytes(b"x")
    bodies = [f"{number}" for number in range(8)]
    posts = [room.post(body, media=path if int(body) % 2 else ()) for body in bodies]
    posted = await asyncio.gather(*posts)
    for each in posted:
        await each.sent()
    assert [message.body for message in await room.last_messages(20)] == bodies


async def test_who_stops_waiting_has_written_it_all_the_same(stage: Stage, tmp_path: Path) -> None:
    ana = await stage.connect("ana", outbox=True)
    room = await ana.create_conversation(join=True)
    path = tmp_path / "a.txt"
    path.write_bytes(b"x")
    posting = asyncio.ensure_future(room.post("written", media=path))
    await asyncio.sleep(0)
    posting.cancel()
    await asyncio.gather(posting, return_exceptions=True)
    await until(lambda: [message.body for message in room.loaded_messages.values()] == ["written"])


@pytest.mark.parametrize(
    "given", ["menu.pdf", 5, {"content": b"x"}, object(), ["menu.pdf"], [[b"x"]], (5, "image/png")]
)
async def test_what_is_no_file_is_refused_with_what_one_is(stage: Stage, given: object) -> None:
    [room] = await stage.hosted("ana")
    with pytest.raises(InvalidArgumentError, match="a file is bytes, a Path"):
        await room.send(media=given)  # type: ignore[call-overload]
    assert await room.count_messages(max_age=0) == 0
