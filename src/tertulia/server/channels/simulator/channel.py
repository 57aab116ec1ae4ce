"""The simulator as a channel: what is sent reaches phones in this process, and what they do comes back in time.

Times are those of the server's clock: one that is advanced makes what is due then happen.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any, Final

import msgspec

from tertulia.server import observe
from tertulia.server.channels.base import (
    MEDIA_OF_PHONES,
    Accepted,
    Adapter,
    Capabilities,
    Channel,
    ChannelMessage,
    Finding,
    Inbox,
    InboxClosed,
    MessageMedia,
    NotNow,
    Refused,
    Surroundings,
)
from tertulia.server.domain.channels import IncomingMedia

from .media import FILE_BYTES, PhoneMedia
from .network import SECOND, Network
from .schedule import News
from .settings import SimulatorSettings

log = logging.getLogger(__name__)

LOOK_S: Final = 0.25
"""How late a clock that has been advanced is noticed."""
AT_ONCE: Final = 100
"""What the server is told in one piece."""
FETCH_S: Final = 20.0
"""What the files of one message may take together."""
UNFETCHABLE: Final = 11200
PIECE: Final = 64 << 10
_MB: Final = 1_000_000
_DAY: Final = timedelta(hours=24)
_ANY: Final = frozenset(("*/*",))

_KINDS: Final = {
    "whatsapp": Capabilities(
        media_types=MEDIA_OF_PHONES,
        media_bytes=16 * _MB,
        has_captions=True,
        has_templates=True,
        window=_DAY,
        has_opt_out=True,
    ),
    "messenger": Capabilities(text_chars=2000, media_types=_ANY, media_bytes=25 * _MB, window=_DAY, has_opt_out=True),
    "rcs": Capabilities(
        text_chars=3072, media_types=MEDIA_OF_PHONES, media_bytes=16 * _MB, has_captions=True, has_opt_out=True
    ),
    "email": Capabilities(
        text_chars=1 << 20, media_types=_ANY, media_bytes=20 * _MB, media_count=10, has_captions=True, has_groups=True
    ),
}
"""What addresses of a kind carry; others are as SMS. UNVERIFIED: the limits of Messenger, RCS and e-mail."""
_SMS: Final = Capabilities(
    media_types=MEDIA_OF_PHONES,
    media_bytes=5 * _MB,
    has_captions=True,
    has_groups=True,
    has_opt_out=True,
    counts_segments=True,
)


class SimulatorChannel(Channel):
    """One simulated network, with the phones on it."""

    def __init__(self, settings: SimulatorSettings, surroundings: Surroundings) -> None:
        self._clock = surroundings.clock
        self._news = asyncio.Event()
        self._telling = asyncio.Lock()
        self._inbox: Inbox | None = None
        self.network = Network(settings, surroundings.clock, surroundings.new_sid, self._news.set)
        self.capabilities = msgspec.structs.replace(_SMS, has_opt_out=not settings.carrier_opt_outs)

    def capabilities_of(self, kind: str) -> Capabilities:
        return _KINDS.get(kind, self.capabilities)

    async def send(self, message: ChannelMessage) -> Accepted:
        try:
            async with asyncio.timeout(FETCH_S):
                files = tuple([await self._fetched(media) for media in message.media])
        except TimeoutError:
            raise NotNow("its files take too long") from None
        return self.network.accept(message, files)

    async def _fetched(self, media: MessageMedia) -> PhoneMedia:
        """The file as the phone keeps it: read to its end, and kept if it is not too large."""
        kept, size = bytearray(), 0
        async for piece in media.read():
            size += len(piece)
            if size <= FILE_BYTES:
                kept += piece
        content = bytes(kept) if size <= FILE_BYTES else None
        return self.network.shelf.keep(content, size, media.content_type, media.filename)

    async def fetch(self, media: IncomingMedia) -> AsyncIterator[bytes]:
        found = self.network.shelf.find(media.reference or "")
        if found is None:
            raise Refused(UNFETCHABLE, "the phone has the file no more")
        _, content = found
        for start in range(0, len(content), PIECE):
            yield content[start : start + PIECE]

    async def run(self, inbox: Inbox) -> None:
        self._inbox = inbox
        while True:
            await self._until_due()
            await self.happen()

    async def _until_due(self) -> None:
        """Returns when something may be due."""
        self._news.clear()
        at = self.network.schedule.next_at
        left_s = None if at is None else (at - self._clock.now()) / SECOND
        if left_s is None or left_s > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), None if left_s is None else min(left_s, LOOK_S))

    async def happen(self) -> int:
        """What is due by now has happened when this returns; how much of it the server was told."""
        inbox, told = self._inbox, 0
        if inbox is None:
            return 0
        async with self._telling:
            while some := self._some_news():
                try:
                    await inbox.put(*(news.event for news in some))
                except InboxClosed as closed:
                    lost = sum(not self.network.again(news) for news in some)
                    if lost:
                        log.warning("simulator.given_up", extra=observe.fields(count=lost, why=str(closed)))
                else:
                    told += len(some)
        return told

    def _some_news(self) -> list[News]:
        some: list[News] = []
        while len(some) < AT_ONCE and (news := self.network.step()) is not None:
            some.append(news)
        return some

    async def check(self) -> Sequence[Finding]:
        count = len(self.network.phones)
        return (Finding(is_good=True, what=f"the simulator is here, with {count} phones; nothing leaves this server"),)


def _open(settings: Any, surroundings: Surroundings) -> Channel:
    return SimulatorChannel(settings, surroundings)


ADAPTER: Final = Adapter(
    name="simulator",
    kinds=frozenset(("sms", "whatsapp", "messenger", "email", "rcs")),
    settings=SimulatorSettings,
    open=_open,
    is_called=False,
)
