"""A channel of ours and an SMSC that is not, for the tests of SMPP."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final

from tertulia.server.channels.base import ChannelMessage, InboxClosed, Surroundings
from tertulia.server.channels.registry import adapter_of, settings_of
from tertulia.server.channels.smpp.channel import SmppChannel
from tertulia.server.clock import ManualClock
from tertulia.server.domain.channels import Incoming, Report
from tertulia.server.outgoing import Outgoing
from tertulia.server.settings import OutgoingSettings, Settings
from tests.peers.smpp import PASSWORD, SYSTEM_ID, SmppPeer

WITHIN_S: Final = 20.0
OURS: Final = "+15550001111"
THEIRS: Final = "+15550002222"


class Box:
    """Keeps what a channel hears, in memory; nothing while ``is_closed``, and not before ``may_keep``."""

    def __init__(self) -> None:
        self.kept: list[Incoming | Report] = []
        self.is_closed = False
        self.is_asked = asyncio.Event()
        self.may_keep = asyncio.Event()
        self.may_keep.set()
        self._came = asyncio.Condition()

    async def put(self, *events: Incoming | Report) -> None:
        if self.is_closed:
            raise InboxClosed("it is")
        self.is_asked.set()
        await self.may_keep.wait()
        async with self._came:
            self.kept += events
            self._came.notify_all()

    async def has(self, number: int) -> list[Incoming | Report]:
        """All of it, once there is so much."""
        async with asyncio.timeout(WITHIN_S), self._came:
            await self._came.wait_for(lambda: len(self.kept) >= number)
        return self.kept

    async def messages(self, number: int) -> list[Incoming]:
        return [event for event in await self.has(number) if isinstance(event, Incoming)]

    async def reports(self, number: int) -> list[Report]:
        return [event for event in await self.has(number) if isinstance(event, Report)]


def channel(port: int, *, allow_private: bool = True, clock: ManualClock | None = None, **given: Any) -> SmppChannel:
    values = {"host": "127.0.0.1", "port": port, "system_id": SYSTEM_ID, "password": PASSWORD, **given}
    outgoing = Outgoing(Settings(outgoing=OutgoingSettings(allow_private=allow_private)))
    made = adapter_of("smpp").open(
        settings_of(adapter_of("smpp"), values),
        Surroundings(
            gateway_sid="GW0123456789abcdef0123456789abcdef",
            account_sid="AC" + "1" * 32,
            callback_url="http://127.0.0.1/callbacks/GW0123456789abcdef0123456789abcdef",
            outgoing=outgoing,
            clock=clock or ManualClock(),
            new_sid=lambda prefix: f"{prefix}{'0' * 32}",
        ),
    )
    assert isinstance(made, SmppChannel)
    return made


@contextlib.asynccontextmanager
async def running(one: SmppChannel, box: Box | None = None) -> AsyncIterator[Box]:
    """The channel runs while the block does."""
    box = box or Box()
    task = asyncio.create_task(one.run(box))
    try:
        yield box
    finally:
        task.cancel()
        await asyncio.wait([task], timeout=WITHIN_S)
        await one.close()
        if task.done() and not task.cancelled():
            task.result()


@contextlib.asynccontextmanager
async def bound(peer: SmppPeer, **given: Any) -> AsyncIterator[tuple[SmppChannel, Box]]:
    """A channel that is bound to the SMSC, and what it hears."""
    one = channel(peer.port, **given)
    count = len(peer.bound)
    async with running(one) as box:
        await peer.until(lambda: len(peer.bound) > count)
        yield one, box


def message(text: str = "Hi", number: int = 0, **fields: Any) -> ChannelMessage:
    values: dict[str, Any] = {
        "sid": f"SM{number:032x}",
        "sender": OURS,
        "recipients": (THEIRS,),
        "text": text,
        "valid_until": ManualClock().now() + 4 * 3600 * 1_000_000,
    }
    return ChannelMessage(**{**values, **fields})


def brought(text: str = "Hi", **fields: Any) -> dict[str, Any]:
    """A ``deliver_sm`` with a message of a person."""
    return {
        "source_addr": THEIRS.removeprefix("+"),
        "source_addr_ton": 1,
        "source_addr_npi": 1,
        "destination_addr": OURS.removeprefix("+"),
        "dest_addr_ton": 1,
        "dest_addr_npi": 1,
        "short_message": text,
        **fields,
    }


def receipt(text: str, **fields: Any) -> dict[str, Any]:
    return brought(text, esm_class=4, **fields)
