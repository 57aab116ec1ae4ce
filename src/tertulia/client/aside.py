"""What disks may keep waiting: done in a thread, so that nobody else waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def aside(work: Callable[[], T], otherwise: Callable[[T], object] | None = None) -> T:
    """What the work gives. Who stops waiting does not stop it; ``otherwise`` gets what it then gives to nobody."""
    doing = asyncio.get_running_loop().run_in_executor(None, work)
    try:
        return await asyncio.shield(doing)
    except asyncio.CancelledError:
        doing.add_done_callback(lambda done: _left(done, otherwise))
        raise


def _left(done: asyncio.Future[T], otherwise: Callable[[T], object] | None) -> None:
    if done.cancelled() or done.exception() is not None or otherwise is None:
        return
    try:
        done.get_loop().run_in_executor(None, otherwise, done.result())
    except RuntimeError:
        # The loop is at its end, and nobody waits for it any more.
        otherwise(done.result())
