"""A simulator on a clock of the test's, and what it has told the server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import msgspec

from tertulia.server.channels.base import Accepted, ChannelMessage, InboxClosed, MessageMedia, Surroundings
from tertulia.server.channels.registry import SIMULATOR, adapter_of, settings_of
from tertulia.server.channels.simulator.channel import SimulatorChannel
from tertulia.server.channels.simulator.phones import Behaviour, PhoneMessage
from tertulia.server.clock import ManualClock
from tertulia.server.domain.channels import Incoming, Report
from tertulia.server.outgoing import Outgoing
from tertulia.server.settings import Settings

OURS, OURS_TOO = "+15550001000", "+15550002000"
ANA, BEN, CLEO = "+15551110001", "+15551110002", "+15551110003"
SECOND = 1_000_000


class Simulated:
    """The channel, with somebody who listens to it unless he is told not to."""

    def __init__(self, clock: ManualClock, channel: SimulatorChannel) -> None:
        self.clock = clock
        self.channel = channel
        self.network = channel.network
        self.events: list[Incoming | Report] = []
        self.is_told = asyncio.Event()
        self.is_deaf = False
        self.attempts = 0
        self._sent = 0

    async def put(self, *events: Incoming | Report) -> None:
        """The inbox that the channel has."""
        self.attempts += 1
        if self.is_deaf:
            raise InboxClosed("a test says so")
        self.events += events
        self.is_told.set()

    def message(self, *recipients: str, **fields: Any) -> ChannelMessage:
        """To Ana, unless the test says otherwise."""
        self._sent += 1
        given = {"sid": f"SM{self._sent:032}", "sender": OURS, "text": "hello", "valid_until": 1 << 60, **fields}
        return ChannelMessage(recipients=recipients or (ANA,), **given)

    async def send(self, *recipients: str, **fields: Any) -> Accepted:
        return await self.channel.send(self.message(*recipients, **fields))

    async def after(self, seconds: float) -> list[Incoming | Report]:
        """What the server is told until so much later, and was not told before."""
        self.clock.advance(timedelta(seconds=seconds))
        await self.channel.happen()
        told, self.events = self.events, []
        return told

    async def reports_after(self, seconds: float) -> list[tuple[str, int]]:
        return [(one.status.value, one.error_code) for one in await self.after(seconds) if isinstance(one, Report)]

    def behave(self, address: str = ANA, **behaviour: Any) -> None:
        self.network.behave(address, msgspec.convert(behaviour, Behaviour))

    def inbox(self, address: str = ANA) -> list[PhoneMessage]:
        phone = self.network.phones.find(address)
        return [] if phone is None else [one for one in phone.messages if one.sender != address]

    def texts(self, address: str = ANA) -> list[str | None]:
        return [one.text for one in self.inbox(address)]


@asynccontextmanager
async def simulated(**settings: Any) -> AsyncIterator[Simulated]:
    """As an account holder sets it."""
    clock, outgoing = ManualClock(), Outgoing(Settings())
    numbers = iter(range(1, 1 << 30))
    adapter = adapter_of(SIMULATOR)
    channel = adapter.open(
        settings_of(adapter, settings),
        Surroundings(
            gateway_sid="GW" + "0" * 32,
            account_sid="AC" + "1" * 32,
            callback_url="http://chat.test/callbacks/GW" + "0" * 32,
            outgoing=outgoing,
            clock=clock,
            new_sid=lambda prefix: f"{prefix}{next(numbers):032x}",
        ),
    )
    assert isinstance(channel, SimulatorChannel)
    made = Simulated(clock, channel)
    running = asyncio.create_task(channel.run(made))
    await asyncio.sleep(0)
    try:
        yield made
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        await channel.close()
        await outgoing.close()


def media(content: bytes, trouble: Exception | None = None) -> MessageMedia:
    """A picture of ours, which is read in pieces; or cannot be read."""

    async def read() -> AsyncIterator[bytes]:
        if trouble is not None:
            raise trouble
        step = max(1, -(-len(content) // 3))
        for start in range(0, len(content), step):
            yield content[start : start + step]

    return MessageMedia(
        url="http://chat.test/file", content_type="image/png", size=len(content), filename="a.png", read=read
    )
