"""What the tests of e-mail share: channels, values for them, and an inbox that can be full."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final

import msgspec

from tertulia.server.channels import registry
from tertulia.server.channels.base import Channel, ChannelMessage, InboxClosed, MessageMedia, Surroundings
from tertulia.server.channels.email.composing import composed
from tertulia.server.channels.email.mailboxes import named
from tertulia.server.channels.email.reading import Delivered, Ignored, Ours, read_mail
from tertulia.server.channels.email.settings import EmailSettings, Security
from tertulia.server.clock import ManualClock, SystemClock
from tertulia.server.domain.channels import Envelope, Incoming, Report
from tertulia.server.outgoing import Outgoing
from tertulia.server.settings import OutgoingSettings, Settings

OPEN: Final = Settings(outgoing=OutgoingSettings(allow_private=True))
SUPPORT: Final = "support@shop.example"
ANNA: Final = "anna@home.example"
BERTA: Final = "berta@home.example"
NOW: Final = 1_800_000_000_000_000
LATER: Final = 4_000_000_000_000_000
WITHIN_S: Final = 20.0

EM: Final = "EM" + "5" * 32
IM: Final = "IM" + "7" * 32
CH: Final = "CH" + "a" * 32
NAME: Final = named(IM, SUPPORT)
"""What the mail that this message leaves as is called."""


def email_settings(**changed: Any) -> EmailSettings:
    return EmailSettings(**{"host": "127.0.0.1", "security": Security.NONE, **changed})


def envelope(**changed: Any) -> Envelope:
    known: dict[str, Any] = {
        "subject": "Your order",
        "from_name": "The shop",
        "conversation_sid": CH,
        "message_sid": IM,
    }
    return Envelope(**{**known, **changed})


def message(text: str | None = "Hello", **changed: Any) -> ChannelMessage:
    known: dict[str, Any] = {
        "sid": EM,
        "sender": SUPPORT,
        "recipients": (ANNA,),
        "text": text,
        "envelope": envelope(),
        "valid_until": LATER,
    }
    return ChannelMessage(**{**known, **changed})


def file(
    content: bytes = b"bytes of a file",
    content_type: str = "image/jpeg",
    filename: str | None = "a.jpg",
    *,
    size: int | None = None,
    trouble: Exception | None = None,
) -> MessageMedia:
    """In pieces that nothing fits; ``trouble`` comes after the first."""

    async def read() -> AsyncIterator[bytes]:
        for start in range(0, len(content), 1000):
            yield content[start : start + 1000]
            if trouble is not None:
                raise trouble

    return MessageMedia(
        url="https://tertulia.example/Media/ME1",
        content_type=content_type,
        size=len(content) if size is None else size,
        filename=filename,
        read=read,
    )


async def mail_of(sent: ChannelMessage, **settings: Any) -> bytes:
    """The mail that it is sent as."""
    mail = composed(sent, email_settings(**settings), NOW)
    data = ("\r\n".join(mail.head) + "\r\n\r\n").encode() + b"".join([piece async for piece in mail.body()])
    assert len(data) == mail.size, "what a server is told of its size is true"
    return data


def heard(
    data: bytes, *senders: str, sender: str | None = None, recipients: tuple[str, ...] = (), **ours: Any
) -> tuple[Incoming | Report, ...] | Ignored:
    """What a mail is read as by whom these senders belong to."""
    mail = Delivered(data=data, sender=sender, recipients=recipients)
    return read_mail(mail, Ours(senders=senders or (SUPPORT,), **ours))


def incoming(data: bytes, *senders: str, **known: Any) -> Incoming:
    found = heard(data, *senders, **known)
    assert isinstance(found, tuple), found
    [one] = found
    assert isinstance(one, Incoming)
    return one


def files_of(one: Incoming) -> list[tuple[str, str, str | None, bytes | None]]:
    return [(media.category.value, media.content_type, media.filename, media.content) for media in one.media]


class Box:
    """An inbox that keeps what it is given, or says that it cannot."""

    def __init__(self) -> None:
        self.events: list[Incoming | Report] = []
        self.refusals = 0
        """How many times it is full before it takes anything."""
        self.refused = 0
        self._came = asyncio.Condition()

    async def put(self, *events: Incoming | Report) -> None:
        async with self._came:
            if self.refusals:
                self.refusals -= 1
                self.refused += 1
                self._came.notify_all()
                raise InboxClosed("full")
            self.events += events
            self._came.notify_all()

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(WITHIN_S), self._came:
            await self._came.wait_for(holds)

    async def has(self, count: int) -> list[Incoming | Report]:
        await self.until(lambda: len(self.events) >= count)
        return self.events

    @property
    def texts(self) -> list[str | None]:
        return [event.text for event in self.events if isinstance(event, Incoming)]


@contextlib.asynccontextmanager
async def channel_with(
    *, senders: Sequence[str] = (SUPPORT,), outgoing: Settings = OPEN, clock: ManualClock | None = None, **settings: Any
) -> AsyncIterator[Channel]:
    """A channel as a gateway with these settings has it."""
    adapter = registry.adapter_of("email")
    given = msgspec.to_builtins(email_settings(**settings))

    async def ours() -> Sequence[str]:
        return senders

    calls = Outgoing(outgoing)
    channel = adapter.open(
        registry.settings_of(adapter, given),
        Surroundings(
            gateway_sid="GW" + "1" * 32,
            account_sid="AC" + "1" * 32,
            callback_url="https://tertulia.example/callbacks/GW" + "1" * 32,
            outgoing=calls,
            clock=clock or SystemClock(),
            new_sid=lambda prefix: prefix + "0" * 32,
            senders=ours,
        ),
    )
    try:
        yield channel
    finally:
        await channel.close()
        await calls.close()


@contextlib.asynccontextmanager
async def running(channel: Channel, box: Box) -> AsyncIterator[None]:
    task = asyncio.create_task(channel.run(box))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
