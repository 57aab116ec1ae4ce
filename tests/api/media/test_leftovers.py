"""What nobody needs any more goes: orphans after five minutes, bytes without a row, what was in quarantine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tertulia.server import observe
from tertulia.server.blobs.base import BlobInfo
from tertulia.server.domain.media import KeepMedia
from tertulia.server.engine.media_store import Upload
from tertulia.server.jobs.media import BlobSweep, MediaCount, OrphanRemover
from tertulia.server.settings import JobsSettings, ScannerSettings, Settings
from tests.engine.world import refused

from .desk import ACCOUNT, Desk, Start, refusal

HOUR = timedelta(hours=1)


async def pieces(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def test_an_upload_that_is_not_attached_is_removed_after_five_minutes(desk: Desk) -> None:
    orphan, attached = await desk.upload(), await desk.upload()
    await desk.message(attached["sid"])
    desk.world.clock.advance(timedelta(seconds=300))
    assert await desk.forget_orphans() == 0
    desk.world.clock.advance(timedelta(microseconds=1))
    assert await desk.forget_orphans() == 1
    assert refusal(await desk.ask("GET", orphan["url"], "ana")) == (404, 50507)
    assert (await desk.ask("GET", attached["links"]["content"], "ana")).content == b"hello"
    await desk.perform()
    (key,) = await desk.stored()
    assert key.endswith(attached["sid"])


async def test_many_orphans_go_a_few_at_a_time(desk: Desk) -> None:
    for _ in range(7):
        await desk.upload()
    desk.world.clock.advance(HOUR)
    settings = desk.here.server.settings.media
    remover = OrphanRemover(desk.queries, desk.world.engine, desk.world.clock, settings, step=3)
    assert await remover.forget() == 7
    await desk.perform()
    assert (await desk.stored(), await desk.rows()) == ([], 0)


async def test_bytes_are_removed_however_often_it_is_tried(desk: Desk) -> None:
    record = await desk.upload()
    (key,) = await desk.stored()
    await desk.ask("DELETE", record["url"], ACCOUNT)
    await desk.blobs.remove(key)
    await desk.perform()
    assert await desk.world.count("outbox") == 0


async def test_bytes_without_a_row_are_found_when_they_are_an_hour_old(desk: Desk) -> None:
    record = await desk.upload()
    folder = desk.world.sealer.key_id
    (known,) = await desk.stored()
    strays = [f"{folder}/{desk.service}/ME{n:032x}" for n in range(3)]
    others = [f"another/{desk.service}/ME{'0' * 32}", f"{folder}/note"]
    for key in (*strays, *others):
        await desk.blobs.put(key, pieces(b"x"))
    newest: BlobInfo = max([blob async for blob in desk.blobs.list()], key=lambda blob: blob.stored_at)
    desk.world.clock.advance(timedelta(microseconds=newest.stored_at - desk.world.clock.now()))
    sweep = BlobSweep(desk.blobs, folder, desk.queries, desk.world.clock, pause_s=0)
    assert await sweep.sweep() == 0
    desk.world.clock.advance(HOUR + timedelta(seconds=1))
    assert await sweep.sweep() == 3
    assert sorted(await desk.stored()) == sorted([known, *others])
    await desk.blobs.put(strays[0], pieces(b"x"))
    desk.world.clock.advance(5 * HOUR)
    assert await sweep.sweep() == 0  # four times a day
    desk.world.clock.advance(HOUR)
    assert await sweep.sweep() == 1
    assert (await desk.ask("GET", record["links"]["content"], ACCOUNT)).status_code == 200


async def test_an_upload_that_cannot_be_recorded_leaves_no_bytes(desk: Desk) -> None:
    async with desk.here.server.media.admission(desk.world.account, desk.service, None) as admitted:
        await desk.world.sql("DELETE FROM services WHERE sid = $1", desk.service)
        upload = Upload(service=desk.service, category="media", filename=None, content_type="a/b")
        with refused(20404):
            await admitted.keep(upload, pieces(b"x"))
    assert (await desk.stored(), await desk.rows()) == ([], 0)


async def test_what_there_is_stands_in_the_metrics(desk: Desk) -> None:
    before = observe.MEDIA_UPLOADED.count, observe.MEDIA_BYTES_UPLOADED.count, observe.MEDIA_BYTES_SERVED.count
    records = [await desk.upload(b"x" * size) for size in (10, 20)]
    await desk.ask("GET", records[0]["links"]["content"], "ana", headers={"Range": "bytes=0-4"})
    after = observe.MEDIA_UPLOADED.count, observe.MEDIA_BYTES_UPLOADED.count, observe.MEDIA_BYTES_SERVED.count
    assert [b - a for a, b in zip(before, after, strict=True)] == [2, 30, 5]
    await MediaCount(desk.queries).look()
    text = observe.render().decode()
    assert "tertulia_media_files 2.0" in text and "tertulia_media_bytes 30.0" in text
    await desk.ask("DELETE", records[0]["url"], ACCOUNT)
    await MediaCount(desk.queries).look()
    assert "tertulia_media_bytes 20.0" in observe.render().decode()


async def test_a_row_is_never_written_for_what_is_no_file(desk: Desk) -> None:
    good: dict[str, Any] = {
        "service": desk.service,
        "sid": desk.world.new_sid("ME"),
        "category": "media",
        "filename": None,
        "content_type": "a/b",
        "size": 1,
        "sha256": "0" * 64,
        "blob": "x",
    }
    bad: list[tuple[dict[str, Any], int]] = [
        ({"size": 0}, 50512),
        ({"category": "x"}, 20001),
        ({"content_type": "A/b"}, 50511),
        ({"filename": "\n"}, 20001),
        ({"sid": "x"}, 20001),
    ]
    for wrong, code in bad:
        with refused(code):
            await desk.world.engine.execute(desk.world.account, KeepMedia(**{**good, **wrong}))


# --- a scanner


@asynccontextmanager
async def clamd(path: Path, answer: bytes) -> AsyncIterator[list[bytes]]:
    """A daemon that says this of everything; and what it was shown."""
    shown: list[bytes] = []

    async def scan(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\0")
        whole = b""
        while length := int.from_bytes(await reader.readexactly(4), "big"):
            whole += await reader.readexactly(length)
        shown.append(whole)
        writer.write(answer + b"\0")
        await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(scan, path)
    async with server:
        yield shown


Scanned = Callable[[str], Awaitable[Desk]]


@pytest.fixture
def scanned(start: Start, tmp_path: Path) -> Scanned:
    """Starts a server that asks the daemon at ``tmp_path / "clamd"``, and does this when it does not answer."""

    async def start_scanning(on_error: str) -> Desk:
        scanner = ScannerSettings(clamd=str(tmp_path / "clamd"), on_error=on_error)  # type: ignore[arg-type]
        desk: Desk = await start(Settings(jobs=JobsSettings(poll_s=60), scanner=scanner))
        return desk

    return start_scanning


@pytest.mark.parametrize(
    ("answer", "on_error", "refused_with", "kept"),
    [
        (b"stream: OK", "refuse", None, 1),
        (b"stream: Some-Virus FOUND", "accept", (400, 50511), 1),
        (None, "accept", None, 1),
        (None, "refuse", (503, 20503), 0),
    ],
)
async def test_what_the_scanner_says_decides(
    scanned: Scanned,
    tmp_path: Path,
    answer: bytes | None,
    on_error: str,
    refused_with: tuple[int, int] | None,
    kept: int,
) -> None:
    desk = await scanned(on_error)
    if answer is None:
        uploaded = await desk.send()
    else:
        async with clamd(tmp_path / "clamd", answer) as shown:
            uploaded = await desk.send()
        assert shown == [b"hello"]
    assert (refusal(uploaded) if uploaded.is_error else None) == refused_with
    assert (await desk.rows(), len(await desk.stored())) == (kept, kept)


async def test_what_the_scanner_found_stays_in_quarantine_for_its_days(scanned: Scanned, tmp_path: Path) -> None:
    desk = await scanned("refuse")
    async with clamd(tmp_path / "clamd", b"stream: Some-Virus FOUND"):
        assert refusal(await desk.send()) == (400, 50511)
    (key,) = await desk.stored()
    sid = key.rpartition("/")[2]
    for by in ("ana", ACCOUNT):
        assert refusal(await desk.ask("GET", f"{desk.media}/{sid}/Content", by)) == (404, 50507)
    desk.world.clock.advance(timedelta(days=30))
    assert await desk.forget_orphans() == 0
    desk.world.clock.advance(timedelta(microseconds=1))
    assert await desk.forget_orphans() == 1
    await desk.perform()
    assert await desk.stored() == []
