"""Connections to an SMSC: bound, refused, silent, broken, given up, looked at."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tertulia.server.channels.base import Finding, NotNow
from tertulia.server.channels.smpp import pdus
from tests.contract.channels.smpp_stage import Box, bound, brought, channel, message, running
from tests.peers.smpp import SmppPeer

pytestmark = pytest.mark.node


@pytest_asyncio.fixture
async def peer() -> AsyncIterator[SmppPeer]:
    async with SmppPeer() as one:
        yield one


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (0x0D, "the bind failed"),
        (0x0E, "password"),
        (0x0F, "system_id"),
        (0x05, "bound already"),
        (0x0400, "0x00000400"),
    ],
)
async def test_a_refused_bind_is_an_alarm_and_is_not_tried_again_soon(peer: SmppPeer, status: int, said: str) -> None:
    await peer.refuse_binds(status)
    one = channel(peer.port)
    async with running(one):
        with pytest.raises(NotNow, match=said) as later:
            await one.send(message())
        assert later.value.is_alarming
        assert later.value.after_s is not None
        assert later.value.after_s > 29
        await peer.refuse_binds(0)
        with pytest.raises(NotNow):
            await one.send(message())
    assert len(peer.bound) == 1


async def test_nobody_there_is_no_alarm() -> None:
    async with SmppPeer() as peer:
        port = peer.port
    one = channel(port)
    async with running(one):
        with pytest.raises(NotNow) as later:
            await one.send(message())
    assert not later.value.is_alarming


async def test_private_addresses_are_not_spoken_to_unless_they_may_be(peer: SmppPeer) -> None:
    one = channel(peer.port, allow_private=False)
    async with running(one):
        with pytest.raises(NotNow, match="may not be called") as later:
            await one.send(message())
    assert later.value.is_alarming
    (finding,) = await one.check()
    assert not finding.is_good
    assert finding.remedy is not None
    assert "allow_private" in finding.remedy
    assert peer.bound == []


async def test_nothing_is_sent_while_it_does_not_run(peer: SmppPeer) -> None:
    one = channel(peer.port)
    async with running(one):
        await peer.until(lambda: len(peer.bound) == 1)
    with pytest.raises(NotNow):
        await one.send(message())
    assert peer.submitted == []


async def test_a_connection_that_broke_is_made_anew(peer: SmppPeer) -> None:
    async with bound(peer) as (one, _):
        await peer.cut()
        await peer.until(lambda: len(peer.bound) == 2)
        await one.send(message())
    assert peer.submitted[0]["session"] == 2


async def test_an_smsc_that_unbinds_us_is_bound_again(peer: SmppPeer) -> None:
    async with bound(peer) as (one, _):
        await peer.unbind()
        await peer.until(lambda: len(peer.bound) == 2)
        assert (await one.send(message())).handles


async def test_silence_is_broken_by_a_question(peer: SmppPeer) -> None:
    async with bound(peer, enquire_link_s=0.05):
        await peer.until(lambda: len(peer.enquired) >= 3)
    assert len(peer.bound) == 1


async def test_after_two_questions_without_an_answer_the_connection_is_made_anew(peer: SmppPeer) -> None:
    await peer.be_deaf()
    async with bound(peer, enquire_link_s=0.05):
        await peer.until(lambda: len(peer.closed) == 1)
        assert peer.enquired == [1, 1]
        await peer.be_deaf(deaf=False)
        await peer.until(lambda: len(peer.bound) == 2)


async def test_it_says_goodbye(peer: SmppPeer) -> None:
    async with bound(peer):
        pass
    await peer.until(lambda: peer.closed == [1])
    assert peer.unbound == [1]


async def test_what_is_on_its_way_comes_to_its_end_before_goodbye(peer: SmppPeer) -> None:
    await peer.answer_with({"delay_ms": 300})
    one = channel(peer.port)
    async with running(one):
        sending = asyncio.create_task(one.send(message()))
        await peer.until(lambda: len(peer.submitted) == 1)
    assert (await sending).handles


@pytest.mark.parametrize(
    "raw",
    [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\0\0\0\x0f" + b"\0" * 12, b"\xff" * 16],
    ids=["http", "short", "long"],
)
async def test_what_is_not_smpp_ends_the_connection(peer: SmppPeer, raw: bytes) -> None:
    async with bound(peer) as (one, _):
        await peer.say(raw)
        await peer.until(lambda: len(peer.bound) == 2)
        assert (await one.send(message())).handles


async def test_what_we_do_not_know_is_not_minded(peer: SmppPeer) -> None:
    async with bound(peer) as (one, box):
        await peer.say(pdus.pdu(0x0000_0111, 7) + pdus.pdu(pdus.ALERT, 8, b"\0" * 6) + pdus.pdu(0x8000_0004, 999))
        await peer.say(pdus.pdu(pdus.ENQUIRE_LINK, 9))
        numbers = await peer.bring(brought())
        assert await peer.answers_to(numbers) == [0]
        assert (await one.send(message())).handles
        assert await box.has(1)
    assert len(peer.bound) == 1


# --- check


async def test_check_binds_and_sends_nothing(peer: SmppPeer) -> None:
    findings = await channel(peer.port).check()
    assert findings == [Finding(is_good=True, what=f"127.0.0.1:{peer.port} takes us as transceiver")]
    await peer.until(lambda: peer.closed == [1])
    assert peer.unbound == [1]
    assert peer.submitted == []


async def test_check_binds_both_ways(peer: SmppPeer) -> None:
    findings = await channel(peer.port, bind="separate").check()
    assert [finding.is_good for finding in findings] == [True, True]
    assert {bind["mode"] for bind in peer.bound} == {"transmitter", "receiver"}


async def test_check_of_a_channel_that_is_bound_opens_no_other(peer: SmppPeer) -> None:
    async with bound(peer) as (one, _):
        await one.send(message())
        (finding,) = await one.check()
    assert finding.is_good
    assert len(peer.bound) == 1


async def test_check_says_why_it_is_refused_and_what_helps(peer: SmppPeer) -> None:
    (finding,) = await channel(peer.port, password="wrong").check()
    assert not finding.is_good
    assert "the password is wrong" in finding.what
    assert finding.remedy
    assert "wrong" not in finding.remedy.replace("password", "")
    await peer.refuse_binds(0x05)
    (finding,) = await channel(peer.port).check()
    assert finding.remedy
    assert "another process" in finding.remedy


async def test_check_says_when_nobody_is_there() -> None:
    async with SmppPeer() as peer:
        port = peer.port
    (finding,) = await channel(port).check()
    assert not finding.is_good
    assert "no connection" in finding.what


async def test_check_says_when_who_is_there_does_not_speak_smpp() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with server:
        (finding,) = await channel(server.sockets[0].getsockname()[1]).check()
    assert not finding.is_good
    assert finding.remedy
    assert "tls" in finding.remedy


async def test_two_channels_of_one_box_do_not_disturb_each_other(peer: SmppPeer) -> None:
    box = Box()
    one, other = channel(peer.port), channel(peer.port)
    async with running(one, box), running(other, box):
        await peer.until(lambda: len(peer.bound) == 2)
        assert (await one.send(message())).handles
        assert (await other.send(message())).handles
