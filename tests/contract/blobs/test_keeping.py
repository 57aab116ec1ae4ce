"""What every store of blobs promises about bytes that are put, read, listed and removed."""

from __future__ import annotations

import asyncio
import itertools
import time

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tertulia.server.blobs.base import KEY_CHARS, BlobInfo, BlobMissing, Blobs
from tertulia.server.blobs.folder import PIECE
from tertulia.server.blobs.s3_uploads import PART

from .stores import Place, keys, listed, none_unfinished, pieces_of, some_bytes, whole

NUMBERS = itertools.count()
BORDERS = (0, 64 << 10, PIECE, PART)

around_borders = st.builds(lambda border, more: max(0, border + more), st.sampled_from(BORDERS), st.integers(-2, 2))
sizes = around_borders | st.integers(0, 3 * PIECE)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(size=sizes, piece=st.sampled_from((1 << 10, 64 << 10, PIECE - 1, PIECE, PART + 1)))
@example(size=2 * PART, piece=PART)
@example(size=PART, piece=PART)
async def test_what_is_read_is_what_was_put(blobs: Blobs, size: int, piece: int) -> None:
    key, data = f"trip/{next(NUMBERS)}", some_bytes(size)
    await blobs.put(key, pieces_of(data, piece))
    assert await whole(blobs, key) == data


async def test_empty_pieces_are_nothing(blobs: Blobs) -> None:
    async def content() -> object:
        for piece in (b"", b"a", b"", b"", b"b", b""):
            yield piece

    await blobs.put("a", content())  # type: ignore[arg-type]
    assert await whole(blobs, "a") == b"ab"


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    start=st.sampled_from((0, 1, PIECE - 1, PIECE, 2 * PIECE - 1, 2 * PIECE, 2 * PIECE + 1, 9 * PIECE))
    | st.integers(0, 2 * PIECE),
    length=st.none() | st.sampled_from((0, 1, PIECE, PIECE + 1, 2 * PIECE, 9 * PIECE)) | st.integers(0, 2 * PIECE),
)
async def test_a_range_is_that_part_of_the_bytes(blobs: Blobs, start: int, length: int | None) -> None:
    data = some_bytes(2 * PIECE)
    if not await keys(blobs):
        await blobs.put("a", pieces_of(data))
    assert await whole(blobs, "a", start, length) == data[start : None if length is None else start + length]


async def test_pieces_are_small_whatever_the_size(blobs: Blobs) -> None:
    await blobs.put("a", pieces_of(some_bytes(8 << 20)))
    async with blobs.read("a") as pieces:
        assert max([len(piece) async for piece in pieces]) <= 1 << 20


async def test_a_reader_may_leave_early(blobs: Blobs) -> None:
    data = some_bytes(4 << 20)
    await blobs.put("a", pieces_of(data))
    for _ in range(20):
        async with blobs.read("a") as pieces:
            assert (await anext(pieces))[:16] == data[:16]
    assert await whole(blobs, "a") == data


@pytest.mark.parametrize(("start", "length"), [(0, None), (5, None), (0, 0), (3, 4)])
async def test_a_key_without_bytes_is_missing(blobs: Blobs, start: int, length: int | None) -> None:
    await blobs.put("there", pieces_of(b"bytes"))
    with pytest.raises(BlobMissing):
        async with blobs.read("elsewhere", start, length):
            raise AssertionError("there is nothing to read")


async def test_removing_twice_is_removing_once(blobs: Blobs) -> None:
    await blobs.put("a", pieces_of(b"one"))
    await blobs.put("b", pieces_of(b"two"))
    await blobs.remove("a")
    await blobs.remove("a")
    await blobs.remove("never")
    with pytest.raises(BlobMissing):
        await whole(blobs, "a")
    assert await whole(blobs, "b") == b"two"


async def test_what_was_removed_can_be_put_again(blobs: Blobs) -> None:
    await blobs.put("a", pieces_of(b"one"))
    await blobs.remove("a")
    await blobs.put("a", pieces_of(b"another"))
    assert await whole(blobs, "a") == b"another"


async def test_a_repeated_put_is_like_one(blobs: Blobs) -> None:
    await blobs.put("a", pieces_of(b"one"))
    await blobs.put("a", pieces_of(b"another"))
    assert await whole(blobs, "a") == b"another"
    assert await keys(blobs) == ["a"]


async def test_a_listing_has_everything_in_order_of_key(blobs: Blobs, place: Place) -> None:
    put = ["b", "a/2", "a/10", "a1", "A/1", "a/2x", "Z", "a/1/2", "0"]
    for key in put:
        await blobs.put(key, pieces_of(key.encode()))
    assert await keys(blobs) == sorted(put)
    assert await keys(blobs, "a") == ["a/1/2", "a/10", "a/2", "a/2x", "a1"]
    assert await keys(blobs, "a/1") == ["a/1/2", "a/10"]
    assert await keys(blobs, "a/") == ["a/1/2", "a/10", "a/2", "a/2x"]
    assert await keys(blobs, "c") == []
    await none_unfinished(place)


async def test_a_listing_knows_size_and_time(blobs: Blobs) -> None:
    before = time.time_ns() // 1000
    await blobs.put("a", pieces_of(some_bytes(1234)))
    [info] = await listed(blobs)
    assert (info.key, info.size) == ("a", 1234)
    # Services tell whole seconds.
    assert before - 1_000_000 <= info.stored_at <= time.time_ns() // 1000 + 1_000_000


async def test_an_empty_store_lists_nothing(blobs: Blobs) -> None:
    assert await listed(blobs) == []


async def test_what_is_removed_while_it_is_listed_disturbs_nobody(blobs: Blobs) -> None:
    for number in range(20):
        await blobs.put(f"a/{number:02}", pieces_of(b"x"))
    seen: list[BlobInfo] = []
    async for info in blobs.list():
        seen.append(info)
        await blobs.remove(info.key)
    assert [info.key for info in seen] == [f"a/{number:02}" for number in range(20)]
    assert await listed(blobs) == []


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/a",
        "a/",
        "a//b",
        "../a",
        "a/../b",
        ".",
        "a.b",
        "a b",
        "ä",
        "a\0b",
        "a\n",
        "_",
        "a-b",
        "x" * (KEY_CHARS + 1),
    ],
)
async def test_no_key_leads_elsewhere(blobs: Blobs, place: Place, key: str) -> None:
    with pytest.raises(ValueError, match="not the key of a blob"):
        await blobs.put(key, pieces_of(b"x"))
    with pytest.raises(ValueError, match="not the key of a blob"):
        await whole(blobs, key)
    with pytest.raises(ValueError, match="not the key of a blob"):
        await blobs.remove(key)
    assert await keys(blobs) == [] and place.unfinished() == []


async def test_the_longest_key_is_a_key(blobs: Blobs) -> None:
    key = "/".join(["x" * 19] * 10) + "y"
    assert len(key) == KEY_CHARS
    await blobs.put(key, pieces_of(b"x"))
    assert await keys(blobs) == [key]


async def test_many_at_a_time_do_not_mix(blobs: Blobs, place: Place) -> None:
    contents = {f"many/{number}": some_bytes(number * 100_003, number) for number in range(24)}
    contents["many/large"] = some_bytes(PART + 1)

    async def there_and_back(key: str, data: bytes) -> None:
        await blobs.put(key, pieces_of(data, 10_007))
        first, second = await asyncio.gather(whole(blobs, key), whole(blobs, key, len(data) // 2))
        assert first == data and second == data[len(data) // 2 :]

    async with asyncio.TaskGroup() as tasks:
        for key, data in contents.items():
            tasks.create_task(there_and_back(key, data))
    assert {info.key: info.size for info in await listed(blobs)} == {key: len(data) for key, data in contents.items()}
    assert place.unfinished() == []


async def test_nothing_shows_before_it_is_whole(blobs: Blobs) -> None:
    async def content() -> object:
        yield some_bytes(PART + 1)
        yield some_bytes(PIECE)
        assert await keys(blobs) == []
        with pytest.raises(BlobMissing):
            await whole(blobs, "a")
        yield b"end"

    await blobs.put("a", content())  # type: ignore[arg-type]
    assert await keys(blobs) == ["a"]
