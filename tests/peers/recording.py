"""A channel that keeps what it is given, and answers as it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from tertulia.server.channels.base import (
    MEDIA_OF_PHONES,
    Accepted,
    Capabilities,
    Channel,
    ChannelMessage,
    NotNow,
    Refused,
)

Answer = Accepted | Exception | Callable[[], Awaitable[Accepted]]

PHONES = Capabilities(
    media_types=MEDIA_OF_PHONES,
    media_bytes=5 << 20,
    has_captions=True,
    has_groups=True,
    has_opt_out=True,
    counts_segments=True,
)


class Recording(Channel):
    """Takes everything, as one part whose handle ends in the number of the call, unless it is told something else."""

    def __init__(self, capabilities: Capabilities = PHONES) -> None:
        self.capabilities = capabilities
        self.sent: list[ChannelMessage] = []
        self.answers: list[Answer] = []
        """Of the next calls, in order; then it takes everything again."""
        self.parts: dict[str, Accepted] = {}
        """What it has taken of messages that it puts off, by their SID."""
        self.asked = asyncio.Event()
        """Somebody has sent something."""

    async def send(self, message: ChannelMessage) -> Accepted:
        self.sent.append(message)
        self.asked.set()
        answer: Answer = self.answers.pop(0) if self.answers else Accepted(handles=(f"h{len(self.sent)}",))
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, Accepted) else await answer()

    def begun(self, sid: str) -> Accepted | None:
        return self.parts.get(sid)

    def can(self, **capabilities: Any) -> None:
        """What it can carry from now on, beside what it could."""
        self.capabilities = msgspec.structs.replace(self.capabilities, **capabilities)

    @property
    def texts(self) -> list[str | None]:
        return [message.text for message in self.sent]

    @property
    def recipients(self) -> list[tuple[str, ...]]:
        return [message.recipients for message in self.sent]


class Repeating(Recording):
    """Its provider knows a repeat."""

    repeats_safely = True


class Naming(Recording):
    """We choose what its provider calls a message."""

    def handle_of(self, message: ChannelMessage) -> str | None:
        return message.sid


class Opened:
    """Channels that are open: by the SID of their gateway, and one for all others."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.of: dict[str, Channel] = {}
        self.trouble: Refused | NotNow | None = None
        """Why none can be opened."""
        self.used: list[str] = []

    @asynccontextmanager
    async def use(self, gateway_sid: str) -> AsyncIterator[Channel]:
        self.used.append(gateway_sid)
        if self.trouble is not None:
            raise self.trouble
        yield self.of.get(gateway_sid, self.channel)


async def never() -> Accepted:
    """An answer that does not come."""
    await asyncio.Event().wait()
    raise AssertionError("nobody sets it")
