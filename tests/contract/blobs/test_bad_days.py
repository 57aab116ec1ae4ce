"""What every store of blobs promises when an upload is cut, or the store is away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tertulia.server.blobs.base import BlobMissing, Blobs, BlobsUnavailable
from tertulia.server.blobs.opening import open_blobs
from tertulia.server.blobs.s3_uploads import PART

from .stores import Place, keys, none_unfinished, pieces_of, some_bytes, some_unfinished, whole

BEFORE = [0, 1, 100_000, PART - 1, PART + 1, 2 * PART + 100_000]
"""Bytes that had come until it happened."""


class Cut(Exception):
    """What the uploader's connection says."""


class Upload:
    """Brings so many bytes, and then nothing more until it is told how to go on."""

    def __init__(self, size: int) -> None:
        self._data = some_bytes(size)
        self.is_waiting = asyncio.Event()
        self.how: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def content(self) -> AsyncIterator[bytes]:
        async for piece in pieces_of(self._data):
            yield piece
        self.is_waiting.set()
        yield await self.how


@pytest.mark.parametrize("size", BEFORE)
async def test_a_put_that_is_cut_leaves_nothing(blobs: Blobs, place: Place, size: int) -> None:
    upload = Upload(size)
    upload.how.set_exception(Cut())
    with pytest.raises(Cut):
        await blobs.put("cut", upload.content())
    await none_unfinished(place)
    assert await keys(blobs) == []
    with pytest.raises(BlobMissing):
        await whole(blobs, "cut")


@pytest.mark.parametrize("size", BEFORE)
async def test_a_put_that_is_cancelled_leaves_nothing(blobs: Blobs, place: Place, size: int) -> None:
    upload = Upload(size)
    putting = asyncio.create_task(blobs.put("cut", upload.content()))
    await upload.is_waiting.wait()
    if size > PART:
        await some_unfinished(place)
    putting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await putting
    await none_unfinished(place)
    assert await keys(blobs) == []


@pytest.mark.parametrize("size", [0, 1, 300_000, PART + 1])
async def test_a_put_is_cancelled_at_any_moment(blobs: Blobs, place: Place, size: int) -> None:
    """Whole, when it returned; else there is nothing of it, and never a part."""
    data = some_bytes(size)
    for number in range(12):
        putting = asyncio.create_task(blobs.put(f"a/{number}", pieces_of(data)))
        for _ in range(number**2):
            await asyncio.sleep(0)
        await asyncio.sleep(number * 0.0007)
        was_done = putting.done()
        putting.cancel()
        try:
            await putting
            assert was_done or await whole(blobs, f"a/{number}") == data
        except asyncio.CancelledError:
            with pytest.raises(BlobMissing):
                await whole(blobs, f"a/{number}")
    await none_unfinished(place)


async def test_one_who_is_cancelled_twice_leaves_nothing(blobs: Blobs, place: Place) -> None:
    upload = Upload(PART + 1)
    putting = asyncio.create_task(blobs.put("cut", upload.content()))
    await upload.is_waiting.wait()
    putting.cancel()
    await asyncio.sleep(0)
    putting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await putting
    await blobs.close()
    await none_unfinished(place)
    again = await open_blobs(place.settings, Path("unused"))
    assert await keys(again) == []
    await again.close()


async def test_a_cut_put_can_be_repeated(blobs: Blobs) -> None:
    upload, data = Upload(PART + 1), some_bytes(PART + 100)
    upload.how.set_exception(Cut())
    with pytest.raises(Cut):
        await blobs.put("a", upload.content())
    await blobs.put("a", pieces_of(data))
    assert await whole(blobs, "a") == data


async def test_a_cut_put_disturbs_no_other(blobs: Blobs) -> None:
    slow, data = Upload(PART + 1), some_bytes(PART + 1)
    putting = asyncio.create_task(blobs.put("slow", slow.content()))
    cut = Upload(PART + 1)
    cut.how.set_exception(Cut())
    with pytest.raises(Cut):
        await blobs.put("cut", cut.content())
    slow.how.set_result(b"end")
    await putting
    assert await whole(blobs, "slow") == data + b"end"


async def test_a_reader_may_be_cancelled(blobs: Blobs) -> None:
    data = some_bytes(3 << 20)
    await blobs.put("a", pieces_of(data))
    for number in range(10):
        reading = asyncio.create_task(whole(blobs, "a"))
        await asyncio.sleep(number * 0.0005)
        reading.cancel()
        await asyncio.wait({reading})
    assert await whole(blobs, "a") == data


async def test_a_store_that_is_away_says_so_and_is_well_again_when_it_is_back(blobs: Blobs, place: Place) -> None:
    await blobs.put("a", pieces_of(b"one"))
    await place.leave()
    with pytest.raises(BlobsUnavailable):
        await blobs.put("b", pieces_of(b"two"))
    with pytest.raises(BlobsUnavailable):
        await whole(blobs, "a")
    with pytest.raises(BlobsUnavailable):
        await blobs.remove("a")
    with pytest.raises(BlobsUnavailable):
        await keys(blobs)
    await place.come()
    assert await whole(blobs, "a") == b"one"
    assert await keys(blobs) == ["a"]
    await blobs.put("b", pieces_of(b"two"))
    await blobs.remove("a")
    assert await keys(blobs) == ["b"]


async def test_a_store_that_leaves_during_a_put_ends_it(blobs: Blobs, place: Place) -> None:
    upload = Upload(2 * PART + 1)
    putting = asyncio.create_task(blobs.put("a", upload.content()))
    await upload.is_waiting.wait()
    await place.leave()
    upload.how.set_result(some_bytes(PART))
    with pytest.raises(BlobsUnavailable):
        await putting
    await place.come()
    assert await keys(blobs) == []


async def test_a_store_that_is_away_does_not_open(place: Place, tmp_path: Path) -> None:
    await (await open_blobs(place.settings, tmp_path)).close()
    await place.leave()
    with pytest.raises(BlobsUnavailable) as trouble:
        await open_blobs(place.settings, tmp_path)
    # One line, with the setting that may help.
    assert "blobs." in str(trouble.value) and "\n" not in str(trouble.value)
    await place.come()
