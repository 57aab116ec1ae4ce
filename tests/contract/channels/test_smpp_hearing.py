"""What an SMSC brings over its connection is kept first and answered then; receipts, messages, parts, repeats."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tertulia.server.channels.smpp.doubts import DOUBTFUL_US, Doubts
from tertulia.server.domain.channels import Part
from tertulia.server.domain.receipts import ReceiptStatus
from tests.contract.channels.smpp_stage import OURS, THEIRS, bound, brought, message, receipt
from tests.peers.smpp import SmppPeer

pytestmark = pytest.mark.node

TEMPORARY = 0x64
PERMANENT = 0x65


@pytest_asyncio.fixture
async def peer() -> AsyncIterator[SmppPeer]:
    async with SmppPeer() as one:
        yield one


# --- receipts


@pytest.mark.parametrize(
    ("given", "reported"),
    [("decimal", "decimal"), ("hex", "decimal"), ("HEX", "hex"), ("hex", "HEX"), ("decimal", "hex")],
)
@pytest.mark.parametrize("is_before", [False, True])
async def test_a_receipt_finds_its_message_however_ids_are_spelled(
    peer: SmppPeer, given: str, reported: str, is_before: bool
) -> None:
    await peer.answer_with({"form": given, "receipt": {"stat": "DELIVRD", "form": reported, "before": is_before}})
    async with bound(peer) as (one, box):
        for number in range(20):
            accepted = await one.send(message(number=number))
            report = (await box.reports(number + 1))[number]
            assert report.status is ReceiptStatus.DELIVERED
            assert accepted.handles[0] in (report.handle, report.alias)


async def test_each_part_has_receipts_of_its_own(peer: SmppPeer) -> None:
    await peer.answer_with({"receipt": {"stat": "DELIVRD"}}, {"receipt": {"stat": "UNDELIV", "err": "001"}})
    async with bound(peer) as (one, box):
        accepted = await one.send(message("a" * 161))
        reports = await box.reports(2)
    assert {(report.handle, report.status, report.error_code) for report in reports} == {
        (accepted.handles[0], ReceiptStatus.DELIVERED, 0),
        (accepted.handles[1], ReceiptStatus.UNDELIVERED, 30005),
    }


async def test_receipts_in_parameters_are_believed(peer: SmppPeer) -> None:
    tlvs = {"receipted_message_id": "abc-1", "message_state": 8}
    async with bound(peer) as (_, box):
        assert await peer.answers_to(await peer.bring(receipt("id:1 stat:DELIVRD", **tlvs))) == [0]
        (report,) = await box.reports(1)
    assert (report.handle, report.status, report.error_code) == ("abc-1", ReceiptStatus.UNDELIVERED, 30007)


async def test_receipts_that_say_nothing_are_answered_and_logged(
    peer: SmppPeer, caplog: pytest.LogCaptureFixture
) -> None:
    async with bound(peer) as (_, box):
        assert await peer.answers_to(await peer.bring(receipt("a secret"))) == [0]
    assert box.kept == []
    assert "smpp.ignored" in caplog.messages
    assert all("a secret" not in str(vars(record)) for record in caplog.records)


# --- messages


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"short_message": "Grüße [€]"}, "Grüße [€]"),
        ({"short_message": "Привет 😀", "data_coding": 8}, "Привет 😀"),
        ({"short_message": "Zoë", "data_coding": 3}, "Zoë"),
        ({"octets": "5a6feb", "data_coding": 3}, "Zoë"),
        ({"short_message": "", "message_payload": "Hi " * 200}, "Hi " * 200),
    ],
)
async def test_a_message_is_kept_as_it_was_written(peer: SmppPeer, fields: dict[str, Any], text: str) -> None:
    async with bound(peer) as (_, box):
        assert await peer.answers_to(await peer.bring(brought(**fields))) == [0]
        (incoming,) = await box.messages(1)
    assert (incoming.sender, incoming.recipient, incoming.text, incoming.part) == (THEIRS, OURS, text, None)


async def test_parts_are_kept_one_by_one_in_any_order(peer: SmppPeer) -> None:
    parts = [
        brought(esm_class=0x40, udh=f"050003a702{number:02x}", octets=text.encode().hex())
        for number, text in ((2, "world"), (1, "hello "))
    ]
    async with bound(peer) as (_, box):
        assert await peer.answers_to(await peer.bring(*parts)) == [0, 0]
        incoming = await box.messages(2)
    assert [(one.text, one.part) for one in incoming] == [
        ("world", Part(reference="8/167", number=2, total=2)),
        ("hello ", Part(reference="8/167", number=1, total=2)),
    ]
    assert len({one.provider_id for one in incoming}) == 2


async def test_a_message_is_answered_only_when_it_is_kept(peer: SmppPeer) -> None:
    async with bound(peer) as (one, box):
        box.may_keep.clear()
        numbers = await peer.bring(brought("first"), brought("second"))
        await box.is_asked.wait()
        await one.send(message())  # what we said before has come before it
        assert peer.answered == {}
        box.may_keep.set()
        assert await peer.answers_to(numbers) == [0, 0]
        assert [one.text for one in await box.messages(2)] == ["first", "second"]


async def test_what_cannot_be_kept_is_to_come_again(peer: SmppPeer) -> None:
    async with bound(peer) as (_, box):
        box.is_closed = True
        assert await peer.answers_to(await peer.bring(brought())) == [TEMPORARY]
        box.is_closed = False
        assert await peer.answers_to(await peer.bring(brought())) == [0]
        assert len(await box.messages(1)) == 1


async def test_what_cannot_be_read_is_not_to_come_again(peer: SmppPeer) -> None:
    async with bound(peer) as (_, box):
        numbers = await peer.bring(brought(esm_class=0x40, octets="ff0003"), brought("Hi"))
        assert await peer.answers_to(numbers) == [PERMANENT, 0]
        assert [one.text for one in await box.messages(1)] == ["Hi"]


async def test_data_that_is_no_text_is_answered_and_forgotten(peer: SmppPeer) -> None:
    async with bound(peer) as (_, box):
        assert await peer.answers_to(await peer.bring(brought(data_coding=4, octets="0102"))) == [0]
    assert box.kept == []


async def test_many_messages_keep_their_order(peer: SmppPeer) -> None:
    texts = [f"number {count}" for count in range(300)]
    async with bound(peer) as (_, box):
        answers = await peer.answers_to(await peer.bring(*(brought(text) for text in texts)))
        assert set(answers) == {0}
        assert [one.text for one in await box.messages(300)] == texts


async def test_nobody_reads_in_the_log_what_people_write(peer: SmppPeer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with bound(peer) as (one, box):
        await peer.bring(brought("a secret"))
        await one.send(message("another secret"))
        await box.has(1)
    said = " ".join(str(vars(record)) for record in caplog.records)
    for secret in ("secret", "no-one", THEIRS.removeprefix("+"), OURS.removeprefix("+")):
        assert secret not in said


# --- repeats


async def test_who_says_the_same_twice_is_heard_twice(peer: SmppPeer) -> None:
    async with bound(peer) as (_, box):
        await peer.bring(brought("ok"), brought("ok"))
        first, second = await box.messages(2)
    assert first.provider_id != second.provider_id


async def test_what_comes_again_after_the_connection_broke_has_the_same_name(peer: SmppPeer) -> None:
    async with bound(peer) as (_, box):
        await peer.answers_to(await peer.bring(brought("ok"), brought("ok")))
        await peer.cut()
        await peer.until(lambda: len(peer.bound) == 2)
        assert await peer.answers_to(await peer.bring(brought("ok"), brought("ok"), brought("ok"))) == [0, 0, 0]
        names = [one.provider_id for one in await box.messages(5)]
    assert sorted(names[:2]) == sorted(names[2:4])
    assert names[4] not in names[:4]


async def test_what_the_smsc_has_seen_answered_is_not_doubtful(peer: SmppPeer) -> None:
    async with bound(peer) as (one, box):
        await peer.answers_to(await peer.bring(brought("ok")))
        await one.send(message())
        await peer.cut()
        await peer.until(lambda: len(peer.bound) == 2)
        await peer.answers_to(await peer.bring(brought("ok")))
        first, second = await box.messages(2)
    assert first.provider_id != second.provider_id


async def test_what_could_not_be_kept_keeps_its_name(peer: SmppPeer) -> None:
    async with bound(peer) as (_, box):
        await peer.answers_to(await peer.bring(brought("ok")))
        await peer.cut()
        await peer.until(lambda: len(peer.bound) == 2)
        box.is_closed = True
        assert await peer.answers_to(await peer.bring(brought("ok"))) == [TEMPORARY]
        box.is_closed = False
        assert await peer.answers_to(await peer.bring(brought("ok"))) == [0]
        first, second = await box.messages(2)
    assert first.provider_id == second.provider_id


def test_doubts_end() -> None:
    now = 0
    count = iter(range(100))
    doubts = Doubts(lambda: now, lambda: f"new {next(count)}")
    doubts.add([("digest", "old"), ("other", "older")])
    assert doubts.name_of("digest") == "old"
    assert doubts.name_of("digest") == "new 0"
    now = DOUBTFUL_US
    assert doubts.name_of("other") == "new 1"


def test_doubts_are_bounded() -> None:
    doubts = Doubts(lambda: 0, lambda: "new")
    doubts.add((f"digest {number}", f"name {number}") for number in range(10_001))
    assert doubts.name_of("digest 0") == "new"
    assert doubts.name_of("digest 1") == "name 1"


async def test_a_box_that_is_slow_does_not_stop_what_is_sent(peer: SmppPeer) -> None:
    async with bound(peer) as (one, box):
        box.may_keep.clear()
        numbers = await peer.bring(*(brought(f"number {count}") for count in range(20)))
        async with asyncio.timeout(20):
            assert (await one.send(message())).handles
        box.may_keep.set()
        assert set(await peer.answers_to(numbers)) == {0}
