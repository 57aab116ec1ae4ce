"""Standard input and output in an event loop: a slow reader or writer on the other side holds up nothing else.

No thread waits for them, so nothing keeps a process from ending.
"""

from __future__ import annotations

import asyncio
import os
import select
from collections.abc import AsyncIterator, Callable
from typing import Final

STEP: Final = getattr(select, "PIPE_BUF", 512)
"""A pipe that is ready for writing takes this much without blocking."""
_CHUNK: Final = 64 * 1024
LONGEST_LINE: Final = 1024 * 1024


class LineTooLong(Exception):
    """A line has no end within reason."""


async def write(descriptor: int, data: bytes) -> None:
    """Write all of it. Raises ``BrokenPipeError`` when the reader has left."""
    loop = asyncio.get_running_loop()
    while data:
        await _ready(descriptor, loop.add_writer, loop.remove_writer)
        data = data[os.write(descriptor, data[:STEP]) :]


async def lines(descriptor: int) -> AsyncIterator[str]:
    """Line by line, without line ends. Raises ``LineTooLong``, ``UnicodeDecodeError`` (its bytes are UTF-8)."""
    loop = asyncio.get_running_loop()
    begun = b""
    while True:
        await _ready(descriptor, loop.add_reader, loop.remove_reader)
        chunk = os.read(descriptor, _CHUNK)
        if not chunk:
            break
        *whole, begun = (begun + chunk).split(b"\n")
        for line in whole:
            yield line.removesuffix(b"\r").decode()
        if len(begun) > LONGEST_LINE:
            raise LineTooLong(f"a line is longer than {LONGEST_LINE} bytes")
    if begun:
        yield begun.decode()


async def _ready(descriptor: int, add: Callable[..., object], remove: Callable[[int], object]) -> None:
    """Until the descriptor can be read or written; a file always can."""
    ready = asyncio.Event()
    try:
        add(descriptor, ready.set)
    except (PermissionError, NotImplementedError):
        return
    try:
        await ready.wait()
    finally:
        remove(descriptor)
