"""Disks may take their time: nobody but who asked waits for them, and what is written is whose it should be."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tertulia.client import FilePushStore, FileTokenStore, FileToSend, PushConfig
from tertulia.client.errors import InvalidArgumentError, MediaError, MediaUrlError

from .stage import PATIENCE_S, Stage, until


class Ear:
    """Hears which files are opened, moved and removed, and by which thread. Hooks stay, so there is one of them."""

    def __init__(self) -> None:
        self.folder: str | None = None
        self.threads: dict[str, set[int]] = {}

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.folder is None or event not in ("open", "os.rename", "os.remove", "os.mkdir", "os.chmod"):
            return
        where = arguments[0]
        if isinstance(where, str | bytes | os.PathLike) and os.fsdecode(where).startswith(self.folder):
            self.threads.setdefault(event, set()).add(threading.get_ident())


_EAR = Ear()
sys.addaudithook(_EAR.hear)


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Path]:
    """A folder; whatever is done in it by the loop's own thread fails the test."""
    folder = tmp_path / "watched"
    folder.mkdir()
    _EAR.threads, _EAR.folder = {}, str(folder)
    yield folder
    _EAR.folder = None
    assert _EAR.threads, "nothing was done there at all"
    assert threading.get_ident() not in set().union(*_EAR.threads.values()), sorted(_EAR.threads)


async def test_files_are_sent_and_fetched_beside_the_loop(stage: Stage, tmp_path: Path, watched: Path) -> None:
    [room] = await stage.hosted("ana")
    content = os.urandom(300_000)
    source = watched / "source.png"
    await asyncio.to_thread(source.write_bytes, content)
    [media] = (await room.send(media=source)).media
    await media.download(watched / "copy.png")
    assert await asyncio.to_thread((watched / "copy.png").read_bytes) == content


async def test_tokens_and_registrations_are_kept_beside_the_loop(stage: Stage, watched: Path) -> None:
    async def provide(_: object) -> str:
        return stage.token("ana")

    store, push = FileTokenStore(watched / "a" / "token"), FilePushStore(watched / "push")
    for _ in range(2):
        ana = await stage.connect(
            "ana",
            token_provider=provide,
            token_store=store,
            push=PushConfig(channel="fcm", device_token="phone", store=push),
        )
        background = ana._life.push._background
        assert background is not None
        await background
        await ana.update_token(stage.token("ana", ttl_s=7200))
        await ana.shutdown()
    await (ana := await stage.connect("ana", token_provider=provide, token_store=store)).logout()
    assert set(_EAR.threads) >= {"open", "os.rename", "os.mkdir"}


async def test_a_disk_that_does_not_answer_keeps_nobody_waiting(stage: Stage, tmp_path: Path) -> None:
    """A pipe that nobody writes into is as slow as a disk can be."""
    mine, his = await stage.hosted("ana", "ben")
    pipe = tmp_path / "slow"
    os.mkfifo(pipe)
    sending = asyncio.ensure_future(mine.send(media=FileToSend(pipe, "text/plain")))
    async with asyncio.timeout(PATIENCE_S):
        await his.send("meanwhile")
        await until(lambda: 0 in mine.loaded_messages)
        assert not sending.done()
        await asyncio.to_thread(pipe.write_bytes, b"at last")
        [media] = (await sending).media
    assert await media.download() == b"at last" and media.filename == "slow"


async def test_who_gives_up_sending_leaves_no_file_open(stage: Stage, watched: Path) -> None:
    [room] = await stage.hosted("ana")
    pipe = watched / "slow"
    os.mkfifo(pipe)
    sending = asyncio.ensure_future(room.send(media=pipe))
    await until(lambda: "open" in _EAR.threads)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    # Whoever still waits to open it does so, and closes it: the writer hears that nobody reads.
    with pytest.raises(BrokenPipeError):
        await asyncio.to_thread(_pour, pipe)


def _pour(pipe: Path) -> None:
    with pipe.open("wb", buffering=0) as file:
        for _ in range(10_000):
            file.write(b"x" * 4096)


# --- what is written


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
async def test_a_fetched_file_has_the_mode_of_the_users_files(stage: Stage, tmp_path: Path, umask: int) -> None:
    [room] = await stage.hosted("ana")
    [media] = (await room.send(media=b"words")).media
    before = os.umask(umask)
    try:
        await media.download(tmp_path / "new")
        await media.download(str(tmp_path / "text"))
    finally:
        os.umask(before)
    for name in ("new", "text"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o666 & ~umask
        assert (tmp_path / name).read_bytes() == b"words"


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666])
async def test_a_file_that_is_replaced_keeps_its_mode(stage: Stage, tmp_path: Path, mode: int) -> None:
    [room] = await stage.hosted("ana")
    [media] = (await room.send(media=b"words")).media
    target = tmp_path / "target"
    target.write_bytes(b"old")
    target.chmod(mode)
    await media.download(target)
    assert target.stat().st_mode & 0o777 == mode and target.read_bytes() == b"words"


async def test_half_a_file_never_stands_under_its_name(stage: Stage, tmp_path: Path) -> None:
    [room] = await stage.hosted("ana")
    [media] = (await room.send(media=[FileToSend(os.urandom(400_000), "image/png")])).media
    target = tmp_path / "here" / "file.png"
    target.parent.mkdir()
    target.write_bytes(b"what was there before")
    stage.proxy.throttle(100_000)
    task = asyncio.ensure_future(media.download(target))
    await until(lambda: len(list(target.parent.iterdir())) == 2)
    assert target.read_bytes() == b"what was there before"
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: list(target.parent.iterdir()) == [target])
    again = asyncio.ensure_future(media.download(target))
    await until(lambda: any(each.stat().st_size for each in target.parent.glob(".download-*")))
    stage.proxy.reset()
    with pytest.raises(MediaUrlError):
        await again
    assert list(target.parent.iterdir()) == [target] and target.read_bytes() == b"what was there before"


async def test_where_nothing_can_be_written_is_said_before_anything_is_fetched(stage: Stage, tmp_path: Path) -> None:
    [room] = await stage.hosted("ana")
    [media] = (await room.send(media=b"words")).media
    (tmp_path / "file").write_bytes(b"")
    stage.proxy.record()
    for target, why in (
        (tmp_path, "directory"),
        (tmp_path / "missing" / "file", "No such file"),
        (tmp_path / "file" / "file", "Not a directory"),
        (tmp_path / "a\0b", "ValueError"),
    ):
        with pytest.raises(InvalidArgumentError, match=why) as refusal:
            await media.download(target)
        assert str(target) in str(refusal.value)
    with pytest.raises(InvalidArgumentError, match="path"):
        await media.download(5)  # type: ignore[arg-type]
    assert not any(media.sid.encode() in said for said in stage.proxy.said())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
async def test_a_full_disk_is_an_error_of_ours(stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [room] = await stage.hosted("ana")
    [media] = (await room.send(media=[b"x" * 100_000])).media
    opened = os.open

    def full(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        """The disk where files arrive is one on which nothing has room."""
        if ".download-" in str(path):
            return opened("/dev/full", os.O_WRONLY)
        return opened(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", full)
    with pytest.raises(MediaError, match="No space left") as failure:
        await media.download(tmp_path / "file")
    assert str(tmp_path / "file") in str(failure.value)
    assert "file" not in os.listdir(tmp_path)
