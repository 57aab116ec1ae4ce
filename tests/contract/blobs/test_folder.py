"""What a folder promises besides: who may look, what a kill leaves, a full disk."""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import signal
import stat
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tertulia.server.blobs import folder as driver
from tertulia.server.blobs.base import BlobMissing, Blobs, BlobsUnavailable
from tertulia.server.blobs.opening import open_blobs
from tertulia.server.settings import BlobsSettings

from .stores import keys, pieces_of, some_bytes, whole

BY_DEFAULT = BlobsSettings()


@pytest.fixture
async def blobs(tmp_path: Path) -> AsyncIterator[Blobs]:
    opened = await open_blobs(BY_DEFAULT, tmp_path)
    yield opened
    await opened.close()


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_the_default_is_a_folder_beside_the_database(blobs: Blobs, tmp_path: Path) -> None:
    await blobs.put("a/b", pieces_of(b"bytes"))
    assert [path.relative_to(tmp_path).parts[0] for path in files_in(tmp_path)] == ["blobs"]


async def test_nobody_else_may_look(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        blobs = await open_blobs(BY_DEFAULT, tmp_path)
        await blobs.put("a", pieces_of(b"bytes"))
        await blobs.close()
    finally:
        os.umask(before)
    found = [*(tmp_path / "blobs").rglob("*"), tmp_path / "blobs"]
    assert [path for path in found if stat.S_IMODE(path.stat().st_mode) & 0o077] == []


async def test_files_spread_over_folders_whatever_their_keys_have_in_common(blobs: Blobs, tmp_path: Path) -> None:
    for number in range(64):
        await blobs.put(f"IS00/ME{number:032x}", pieces_of(b"x"))
    folders = {path.parent for path in files_in(tmp_path)}
    assert len(folders) > 56


async def test_a_listing_may_be_longer_than_what_it_holds(blobs: Blobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "LISTED", 7)
    put = [f"a/{number:03}" for number in range(50)]
    for key in put:
        await blobs.put(key, pieces_of(b"x"))
    assert await keys(blobs) == put
    assert await keys(blobs, "a/02") == put[20:30]


async def test_foreign_files_are_nobodys_blobs(blobs: Blobs, tmp_path: Path) -> None:
    await blobs.put("a", pieces_of(b"x"))
    [file] = files_in(tmp_path)
    (file.parent / ".DS_Store").touch()
    (file.parent / "a b").touch()
    assert await keys(blobs) == ["a"]


PUT_AND_WAIT = """
import asyncio, sys
from pathlib import Path
from tertulia.server.blobs.opening import open_blobs
from tertulia.server.settings import BlobsSettings

async def content():
    yield b"x" * 1_000_000
    print("begun", flush=True)
    await asyncio.sleep(600)
    yield b""

async def main():
    blobs = await open_blobs(BlobsSettings(), Path(sys.argv[1]))
    await blobs.put("whole", _of(b"whole"))
    await blobs.put("cut", content())

async def _of(data):
    yield data

asyncio.run(main())
"""


@pytest.mark.faults
async def test_what_a_killed_process_left_is_gone_after_the_next_start(tmp_path: Path) -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        PUT_AND_WAIT,
        str(tmp_path),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert child.stdout is not None
    assert await child.stdout.readline() == b"begun\n"

    # While it writes, a start beside it leaves it alone.
    beside = await open_blobs(BY_DEFAULT, tmp_path)
    assert len(files_in(tmp_path)) == 2
    await beside.close()

    child.send_signal(signal.SIGKILL)
    await child.wait()
    assert len(files_in(tmp_path)) == 2
    after = await open_blobs(BY_DEFAULT, tmp_path)
    assert len(files_in(tmp_path)) == 1
    assert await whole(after, "whole") == b"whole"
    assert await keys(after) == ["whole"]
    await after.close()


@contextmanager
def no_file_over(size: int) -> Iterator[None]:
    """Writes past this size fail, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.faults
@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files as Linux does")
async def test_a_full_disk_refuses_and_takes_again_when_there_is_room(blobs: Blobs, tmp_path: Path) -> None:
    data = some_bytes(1_000_000)
    with no_file_over(600_000):
        with pytest.raises(BlobsUnavailable, match="the disk is full"):
            await blobs.put("a", pieces_of(data))
        assert files_in(tmp_path) == []
        await blobs.put("small", pieces_of(b"bytes"))
    await blobs.put("a", pieces_of(data))
    assert await whole(blobs, "a") == data
    assert await keys(blobs) == ["a", "small"]


@pytest.mark.parametrize("is_there", [False, True], ids=["no folder", "an empty one, as where a disk is not mounted"])
async def test_bytes_are_neither_missing_nor_removed_while_the_folder_is_away(
    blobs: Blobs, tmp_path: Path, is_there: bool
) -> None:
    folder, aside = tmp_path / "blobs", tmp_path / "aside"
    await blobs.put("a", pieces_of(b"bytes"))
    folder.rename(aside)
    if is_there:
        folder.mkdir()
    with pytest.raises(BlobsUnavailable):
        await whole(blobs, "a")
    with pytest.raises(BlobsUnavailable):
        await blobs.remove("a")
    with pytest.raises(BlobsUnavailable):
        await blobs.put("b", pieces_of(b"bytes"))
    assert files_in(folder) == []
    if is_there:
        folder.rmdir()
    aside.rename(folder)
    assert await whole(blobs, "a") == b"bytes"
    await blobs.remove("a")
    assert files_in(tmp_path) == []


async def test_folders_that_somebody_has_removed_are_made_again(blobs: Blobs, tmp_path: Path) -> None:
    await blobs.put("a", pieces_of(b"bytes"))
    (file,) = files_in(tmp_path)
    shutil.rmtree(file.parent.parent)
    with pytest.raises(BlobMissing):
        await whole(blobs, "a")
    await blobs.remove("a")
    await blobs.put("a", pieces_of(b"again"))
    assert await whole(blobs, "a") == b"again"
    assert files_in(tmp_path) == [file]


async def test_a_file_where_the_folder_should_be_is_said_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "blobs").write_text("")
    with pytest.raises(BlobsUnavailable, match=r"blobs for the bytes .+ \(File exists\); .+ blobs\.folder"):
        await open_blobs(BY_DEFAULT, tmp_path)


async def test_it_loads_nothing_of_s3(tmp_path: Path) -> None:
    code = (
        "import asyncio, sys; from pathlib import Path; from tertulia.server.blobs.opening import open_blobs;"
        "from tertulia.server.settings import BlobsSettings;"
        "asyncio.run(open_blobs(BlobsSettings(), Path(sys.argv[1]))); assert 'obstore' not in sys.modules"
    )
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, str(tmp_path), env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    )
    assert await child.wait() == 0
