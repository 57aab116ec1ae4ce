"""Findings that the channels of the Graph API share."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TypeVar

from ..base import Finding, NotNow, Refused, Unsure

T = TypeVar("T")


async def looked_at(asking: Awaitable[T], what: str, remedy: str) -> tuple[T | None, Finding | None]:
    """What was found; or why not, as a line of the check."""
    try:
        return await asking, None
    except (Refused, NotNow, Unsure) as trouble:
        return None, Finding(is_good=False, what=f"{what}: {trouble.why}", remedy=remedy)
