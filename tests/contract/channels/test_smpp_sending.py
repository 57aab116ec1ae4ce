"""Sending by SMPP to an SMSC that is not ours: what it takes, refuses, puts off, and leaves open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from tertulia.server.channels.base import Accepted, NotNow, Refused, Unsure
from tertulia.server.channels.registry import BadSettings
from tertulia.server.channels.smpp.begun import Beginnings
from tertulia.server.channels.smpp.channel import SmppChannel
from tertulia.server.clock import ManualClock
from tertulia.server.domain.receipts import ReceiptStatus
from tests.contract.channels.smpp_cases import NOT_NOW, REFUSALS
from tests.contract.channels.smpp_stage import bound, channel, message, running
from tests.peers.authority import Authority
from tests.peers.smpp import SmppPeer

pytestmark = pytest.mark.node

LONG = "Ünïcode 😀 " * 20


@pytest_asyncio.fixture
async def peer() -> AsyncIterator[SmppPeer]:
    async with SmppPeer() as one:
        yield one


async def test_a_message_is_taken_under_the_id_that_the_smsc_gives_it(peer: SmppPeer) -> None:
    async with bound(peer, system_type="chat") as (one, _):
        accepted = await one.send(message("Hi @€"))
    (submitted,) = peer.submitted
    assert accepted == Accepted(handles=(str(submitted["id"]),), segments=1, status=ReceiptStatus.SENT)
    assert submitted["text"] == "Hi @€"
    assert (submitted["source_addr"], submitted["source_addr_ton"]) == ("15550001111", 1)
    assert (submitted["destination_addr"], submitted["dest_addr_ton"]) == ("15550002222", 1)
    assert submitted["registered_delivery"] == 1
    assert abs(submitted["valid_s"] - 4 * 3600) < 300
    (bind,) = peer.bound
    assert (bind["mode"], bind["status"], bind["system_type"]) == ("transceiver", 0, "chat")
    assert bind["interface_version"] == 0x34


@pytest.mark.parametrize(
    ("text", "data_coding"),
    [("Grüße: [a] {b} ~ ^ | \\ € Σ", 0), ("Привет 😀 नमस्ते", 8), ("a\nb\r\nc", 0)],
)
async def test_an_independent_smsc_reads_our_texts(peer: SmppPeer, text: str, data_coding: int) -> None:
    async with bound(peer) as (one, _):
        await one.send(message(text))
    assert [(each["text"], each["data_coding"]) for each in peer.submitted] == [(text, data_coding)]


@pytest.mark.parametrize("text", ["a[" * 200, LONG])
@pytest.mark.parametrize("way", ["udh8", "udh16", "sar"])
async def test_the_parts_of_a_long_text_reach_it_in_order(peer: SmppPeer, text: str, way: str) -> None:
    async with bound(peer, long_text=way) as (one, _):
        accepted = await one.send(message(text))
    parts = peer.submitted
    assert "".join(part["text"] for part in parts) == text
    assert list(accepted.handles) == [str(part["id"]) for part in parts]
    assert accepted.segments == len(parts) > 1
    if way == "sar":
        assert [part["sar_segment_seqnum"] for part in parts] == list(range(1, len(parts) + 1))
        assert {part["sar_total_segments"] for part in parts} == {len(parts)}
        assert len({part["sar_msg_ref_num"] for part in parts}) == 1
    else:
        headers = [bytes.fromhex("".join(part["udh"])) for part in parts]
        assert [header[-1] for header in headers] == list(range(1, len(parts) + 1))
        assert {header[-2] for header in headers} == {len(parts)}


async def test_a_payload_reaches_it_whole(peer: SmppPeer) -> None:
    async with bound(peer, long_text="payload") as (one, _):
        accepted = await one.send(message(LONG))
    (submitted,) = peer.submitted
    assert submitted["in_payload"]
    assert submitted["text"] == LONG
    assert len(accepted.handles) == 1
    assert accepted.segments == 4


@pytest.mark.parametrize(("status", "given", "code"), REFUSALS)
async def test_what_the_smsc_refuses_has_a_code(peer: SmppPeer, status: int, given: dict[str, Any], code: int) -> None:
    await peer.answer_with({"status": status})
    async with bound(peer, **given) as (one, _):
        with pytest.raises(Refused) as refused:
            await one.send(message())
    assert refused.value.code == code
    assert f"0x{status:08x}" in refused.value.why


@pytest.mark.parametrize(("status", "given"), NOT_NOW)
async def test_an_smsc_without_room_is_asked_again_later(peer: SmppPeer, status: int, given: dict[str, Any]) -> None:
    await peer.answer_with({"status": status}, {})
    async with bound(peer, **given) as (one, _):
        with pytest.raises(NotNow):
            await one.send(message())
        assert (await one.send(message())).handles


async def test_an_smsc_that_does_not_understand_us_refuses(peer: SmppPeer) -> None:
    await peer.answer_with({"nack": 0x03})
    async with bound(peer) as (one, _):
        with pytest.raises(Refused):
            await one.send(message())


async def test_of_a_long_text_nothing_follows_a_first_part_that_is_refused(peer: SmppPeer) -> None:
    await peer.answer_with({"status": 0x0B})
    async with bound(peer) as (one, _):
        with pytest.raises(Refused):
            await one.send(message(LONG))
    assert len(peer.submitted) == 1


async def test_a_part_that_finds_no_room_is_submitted_again_by_itself(peer: SmppPeer) -> None:
    await peer.answer_with({}, {"status": 0x58}, {})
    async with bound(peer) as (one, _):
        accepted = await one.send(message("a" * 161))
    assert [part["text"] for part in peer.submitted] == ["a" * 153, "a" * 8, "a" * 8]
    assert list(accepted.handles) == [str(peer.submitted[0]["id"]), str(peer.submitted[2]["id"])]


THREE = "a" * 153 + "b" * 153 + "c" * 90


def submitted_parts(peer: SmppPeer) -> str:
    """The letter of each part that was submitted."""
    return "".join(part["text"][0] for part in peer.submitted)


async def half_taken(one: SmppChannel, peer: SmppPeer, text: str = THREE) -> None:
    """The first and the last part are taken, and the one between them is not."""
    one.again_s = ()
    await peer.answer_with({}, {"status": 0x58}, {})
    with pytest.raises(NotNow):
        await one.send(message(text))


async def test_parts_that_were_taken_are_not_submitted_again(peer: SmppPeer) -> None:
    async with bound(peer) as (one, _):
        await half_taken(one, peer)
        assert one.begun(message().sid) == Accepted(
            handles=(str(peer.submitted[0]["id"]), str(peer.submitted[2]["id"])), segments=3
        )
        accepted = await one.send(message(THREE))
        assert one.begun(message().sid) is None, "it is whole"
    assert submitted_parts(peer) == "abcb"
    assert accepted == Accepted(handles=tuple(str(peer.submitted[n]["id"]) for n in (0, 3, 2)), segments=3)


async def test_a_part_that_finds_no_room_many_times_is_the_only_one_that_is_submitted(peer: SmppPeer) -> None:
    async with bound(peer) as (one, _):
        await half_taken(one, peer)
        await peer.answer_with(*[{"status": 0x14}] * 4, {})
        for _ in range(4):
            with pytest.raises(NotNow):
                await one.send(message(THREE))
        accepted = await one.send(message(THREE))
    assert submitted_parts(peer) == "abc" + "b" * 5
    assert len(accepted.handles) == 3


async def test_while_the_connection_is_away_it_is_remembered_what_was_taken(peer: SmppPeer) -> None:
    async with bound(peer) as (one, _):
        await half_taken(one, peer)
    with pytest.raises(NotNow):
        await one.send(message(THREE))
    assert one.begun(message().sid) is not None


@pytest.mark.parametrize(
    ("answer", "code"), [({"status": 0x0B}, 21211), ({"status": 0x45}, 30008), ({"stall": True}, 30008)]
)
async def test_a_part_that_is_lost_after_others_have_left_is_told_with_their_handles(
    peer: SmppPeer, answer: dict[str, Any], code: int
) -> None:
    await peer.answer_with({}, answer, {})
    async with bound(peer, answer_s=0.3) as (one, _):
        accepted = await one.send(message(THREE))
        assert one.begun(message().sid) is None
    assert accepted.lost == code
    assert accepted.handles == (str(peer.submitted[0]["id"]), str(peer.submitted[2]["id"]))


async def test_a_part_that_is_refused_at_a_later_attempt_is_told_with_all_handles(peer: SmppPeer) -> None:
    async with bound(peer) as (one, _):
        await half_taken(one, peer)
        await peer.answer_with({"status": 0x0B})
        accepted = await one.send(message(THREE))
    assert (accepted.lost, len(accepted.handles)) == (21211, 2)


async def test_the_rest_of_other_words_does_not_follow(peer: SmppPeer) -> None:
    async with bound(peer) as (one, _):
        await half_taken(one, peer)
        accepted = await one.send(message("d" * 400))
    assert (accepted.lost, len(accepted.handles)) == (30008, 2)
    assert submitted_parts(peer) == "abc"


async def test_what_was_taken_is_remembered_for_an_hour_after_its_time(peer: SmppPeer) -> None:
    clock = ManualClock()
    async with bound(peer, clock=clock) as (one, _):
        await half_taken(one, peer)
        clock.advance(timedelta(hours=4, minutes=59))
        assert one.begun(message().sid) is not None
        clock.advance(timedelta(minutes=2))
        assert one.begun(message().sid) is None


def test_no_more_are_remembered_than_there_is_room_for() -> None:
    beginnings = Beginnings(ManualClock().now, most=2)
    for number in range(3):
        begun = beginnings.take(message(number=number), 2, 2)
        beginnings.keep(message(number=number).sid, msgspec.structs.replace(begun, handles=("x", None)))
    assert [beginnings.of(message(number=number).sid) is not None for number in range(3)] == [False, True, True]


async def test_nobody_knows_what_became_of_a_message_without_an_answer(peer: SmppPeer) -> None:
    await peer.answer_with({"stall": True}, {})
    async with bound(peer, answer_s=0.2) as (one, _):
        with pytest.raises(Unsure):
            await one.send(message())
        assert (await one.send(message())).handles


async def test_nobody_knows_what_became_of_messages_on_a_connection_that_broke(peer: SmppPeer) -> None:
    await peer.answer_with({"stall": True}, {"stall": True}, {"drop": True})
    async with bound(peer) as (one, _):
        outcomes = await asyncio.gather(*(one.send(message(number=n)) for n in range(3)), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [Unsure] * 3
        await peer.answer_with({})
        await peer.until(lambda: len(peer.bound) == 2)
        assert (await one.send(message(number=3))).handles


async def test_what_waited_for_room_in_the_window_was_certainly_not_sent(peer: SmppPeer) -> None:
    await peer.answer_with({"stall": True})
    async with bound(peer, window=2) as (one, _):
        sending = [asyncio.create_task(one.send(message(number=n))) for n in range(5)]
        await peer.until(lambda: len(peer.submitted) == 2)
        await peer.cut()
        outcomes = await asyncio.gather(*sending, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Unsure, Unsure, NotNow, NotNow, NotNow]


async def test_no_more_than_the_window_are_on_their_way(peer: SmppPeer) -> None:
    await peer.answer_with({"stall": True}, {"stall": True}, {"stall": True}, {})
    async with bound(peer, window=3, answer_s=0.3) as (one, _):
        outcomes = await asyncio.gather(*(one.send(message(number=n)) for n in range(6)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Unsure] * 3 + [Accepted] * 3


async def test_many_are_sent_at_a_time(peer: SmppPeer) -> None:
    async with bound(peer, window=50) as (one, _):
        accepted = await asyncio.gather(*(one.send(message(f"Hi {n}", n)) for n in range(300)))
    assert len({each.handles for each in accepted}) == 300
    assert [each["text"] for each in peer.submitted] == [f"Hi {n}" for n in range(300)]


async def test_separate_connections_send_and_hear(peer: SmppPeer) -> None:
    one = channel(peer.port, bind="separate")
    async with running(one) as box:
        await peer.until(lambda: len(peer.bound) == 2)
        accepted = await one.send(message())
        (number,) = await peer.bring(
            {
                "source_addr": "1",
                "destination_addr": "2",
                "esm_class": 4,
                "short_message": f"id:{accepted.handles[0]} stat:DELIVRD",
            }
        )
        assert await peer.answers_to([number]) == [0]
        (report,) = await box.reports(1)
    assert {bind["mode"] for bind in peer.bound} == {"transmitter", "receiver"}
    assert (report.handle, report.status) == (accepted.handles[0], ReceiptStatus.DELIVERED)


async def test_a_transmitter_alone_hears_nothing(peer: SmppPeer) -> None:
    async with bound(peer, bind="transmitter") as (one, _):
        assert (await one.send(message())).handles
    assert [bind["mode"] for bind in peer.bound] == ["transmitter"]


async def test_over_tls_the_smsc_proves_its_name(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with SmppPeer(authority.issue("localhost")) as peer:
        given: dict[str, Any] = {"host": "localhost", "tls": True, "authorities": authority.file.read_text()}
        async with bound(peer, **given) as (one, _):
            assert (await one.send(message())).handles
        (good,) = await channel(peer.port, **given).check()
        (stranger,) = await channel(peer.port, host="localhost", tls=True).check()
        (elsewhere,) = await channel(
            peer.port, host="127.0.0.1", tls=True, authorities=authority.file.read_text()
        ).check()
    assert good.is_good
    assert not (stranger.is_good or elsewhere.is_good)
    assert "certificate" in stranger.what


def test_authorities_that_are_none_are_refused_with_the_settings() -> None:
    with pytest.raises(BadSettings, match="authorities"):
        channel(1, tls=True, authorities="/etc/passwd")
