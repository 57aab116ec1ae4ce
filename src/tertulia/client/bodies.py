"""What comes by HTTP, piece by piece: as it was sent, no more than was told, and not slower than makes sense."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Final

from .errors import MediaUrlError

if TYPE_CHECKING:
    import httpx

LOOK_S: Final = 30.0
"""How long is waited for others before it is looked at how much has come."""
LEAST_PER_S: Final = 512
"""Bytes. What comes slower than that would keep its caller for days."""


async def pieces_of(answer: httpx.Response, size: int | None = None) -> AsyncGenerator[bytes, None]:
    """The body of an answer, of ``size`` bytes if that is known.

    Time counts while the other side is waited for, not while the caller is busy. Raises ``MediaUrlError`` when it is
    shorter or longer, when it comes too slowly, and when it is packed, which nobody has asked for: a few packed bytes
    can be any number of others.
    """
    if answer.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise MediaUrlError("the answer came packed")
    now = asyncio.get_running_loop().time
    came, lately, waited = 0, 0, 0.0
    async with contextlib.aclosing(answer.aiter_raw()) as pieces:  # type: ignore[type-var]
        while True:
            began = now()
            piece = await anext(pieces, None)
            waited += now() - began
            if piece is None:
                break
            came += len(piece)
            lately += len(piece)
            if size is not None and came > size:
                raise MediaUrlError(f"more came than the {size} bytes that were told")
            if waited > LOOK_S:
                if lately < LEAST_PER_S * waited:
                    raise MediaUrlError(f"it came too slowly ({lately} bytes in {waited:.0f} s)")
                lately, waited = 0, 0.0
            yield piece
    if size is not None and came < size:
        raise MediaUrlError(f"{came} of {size} bytes came")


async def whole(answer: httpx.Response, limit: int) -> bytes:
    """All of a body, if it is not more than that. Raises ``MediaUrlError``."""
    body = bytearray()
    async with contextlib.aclosing(pieces_of(answer)) as pieces:
        async for piece in pieces:
            body += piece
            if len(body) > limit:
                raise MediaUrlError(f"an answer of more than {limit} bytes")
    return bytes(body)
