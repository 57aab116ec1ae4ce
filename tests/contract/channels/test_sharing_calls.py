"""Accounts share the calls that may be under way: a provider that hangs holds up the messages of its account alone."""

from __future__ import annotations

import asyncio

import pytest

from tertulia.server.channels.base import Surroundings
from tertulia.server.clock import ManualClock
from tertulia.server.outgoing import Answer, Call, CallFailed, FailureKind, Outgoing
from tertulia.server.settings import OutgoingSettings, Settings
from tests.contract.outgoing.receivers import Peer, answering, receiver

FEW = Settings(outgoing=OutgoingSettings(allow_private=True, concurrency=2, concurrency_per_host=2))
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


def gateway_of(account: str, outgoing: Outgoing) -> Surroundings:
    return Surroundings(
        gateway_sid="GW" + account * 32,
        account_sid="AC" + account * 32,
        callback_url="https://x.test",
        outgoing=outgoing,
        clock=ManualClock(),
        new_sid=lambda prefix: prefix + "0" * 32,
    )


async def hangs(peer: Peer) -> None:
    await peer.reader.read()


async def test_the_calls_of_one_account_leave_room_for_those_of_another() -> None:
    outgoing = Outgoing(FEW)
    mine, yours = gateway_of("1", outgoing), gateway_of("2", outgoing)
    async with receiver(hangs) as silent, receiver(answering(OK)) as quick:

        async def ask(around: Surroundings, url: str, total_s: float) -> Answer:
            return await around.call(Call(method="GET", url=url, read_s=30.0, total_s=total_s))

        waiting = [asyncio.create_task(ask(mine, silent.url, 30.0)) for _ in range(2)]
        await silent.connected(1)
        with pytest.raises(CallFailed) as busy:
            await ask(mine, quick.url, 0.1)
        assert busy.value.kind is FailureKind.BUSY
        assert (await ask(yours, quick.url, 20.0)).status == 200
        for one in waiting:
            one.cancel()
        await asyncio.wait(waiting)
        await outgoing.close()
