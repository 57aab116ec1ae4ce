"""A large file takes no more memory than a small one, there and back."""

from __future__ import annotations

import asyncio
import os
import sys

import msgspec
import pytest

from .stores import Place

LARGE = 64 << 20
GROWTH = 20 << 20

THERE_AND_BACK = """
import asyncio, hashlib, resource, sys
from pathlib import Path
import msgspec
from tertulia.server.blobs.opening import open_blobs
from tertulia.server.settings import BlobsSettings

PIECE = 64 << 10

def most_memory():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

async def there_and_back(blobs, key, size):
    sent, received = hashlib.sha256(), hashlib.sha256()
    async def content():
        for at in range(0, size, PIECE):
            piece = at.to_bytes(8, "big") * (PIECE // 8)
            sent.update(piece)
            yield piece
    await blobs.put(key, content())
    async with blobs.read(key) as pieces:
        async for piece in pieces:
            received.update(piece)
    return sent.hexdigest() == received.hexdigest()

async def main():
    blobs = await open_blobs(msgspec.json.decode(sys.argv[1], type=BlobsSettings), Path("unused"))
    assert await there_and_back(blobs, "small", PIECE)
    before = most_memory()
    assert await there_and_back(blobs, "large", int(sys.argv[2]))
    print(most_memory() - before)
    await blobs.close()

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the memory of a process as Linux tells it")
async def test_a_large_file_takes_little_memory(place: Place) -> None:
    """In a process of its own: what others left in this one would hide it."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        THERE_AND_BACK,
        msgspec.json.encode(place.settings).decode(),
        str(LARGE),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    said, _ = await child.communicate()
    assert child.returncode == 0
    assert int(said) < GROWTH
