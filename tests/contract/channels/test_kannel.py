"""Kannel's smsbox: what it is asked, reports and brings; with Kannel itself where it is installed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from tertulia.server.channels.base import Channel, Heard
from tertulia.server.channels.registry import BadSettings, adapter_of, settings_of
from tertulia.server.domain.channels import Incoming, Report
from tertulia.server.domain.receipts import ReceiptStatus
from tests.contract.channels.providers import (
    CALLBACK,
    OURS,
    THEIRS,
    Ear,
    a_channel,
    a_message,
    a_request,
    opened,
    sent,
    verdict,
)
from tests.peers.http_provider import Answered, HttpProvider
from tests.peers.kannel import PASSWORD, USERNAME, KannelPeer

KEY = "a key of & callbacks"
SID = "SM" + "2" * 32
INBOUND = "/inbound?key=" + quote_plus(KEY).replace("%", "%%")


def settings(url: str, **changed: Any) -> dict[str, Any]:
    return {"base_url": url, "username": USERNAME, "password": PASSWORD, "callback_secret": KEY, **changed}


@pytest.mark.parametrize(
    ("changed", "message", "query"),
    [
        ({}, {}, {}),
        ({}, {"text": "a+b&c ü"}, {"text": "a+b&c ü"}),
        ({}, {"text": "Привет"}, {"text": "Привет", "coding": "2"}),
        ({"smsc": "one", "account": "us"}, {}, {"smsc": "one", "account": "us"}),
        ({"number_format": "digits"}, {}, {"to": "15550101", "from": "15550100"}),
        ({"dlr_mask": 0}, {}, {"dlr-mask": None, "dlr-url": None}),
        ({}, {"valid_until": 0}, {"validity": "1"}),
    ],
)
async def test_a_message_is_a_query(
    changed: dict[str, Any], message: dict[str, Any], query: dict[str, str | None]
) -> None:
    async with HttpProvider() as peer, opened("kannel", settings(peer.url, **changed)) as channel:
        peer.answer_with(Answered(202, "0: Accepted for delivery"))
        assert await sent(channel, a_message(**message)) == f"accepted {SID} x1"
        (asked,) = peer.asked
        usual = {
            "username": USERNAME,
            "password": PASSWORD,
            "from": OURS,
            "to": THEIRS,
            "text": "hello",
            "charset": "UTF-8",
            "coding": "0",
            "validity": "240",
            "dlr-mask": "31",
            "dlr-url": f"{CALLBACK}/status?key={quote_plus(KEY)}&id={SID}&status=%d&to=%p&from=%P",
        }
        assert dict(asked.query) == {name: value for name, value in {**usual, **query}.items() if value is not None}
        assert (asked.method, asked.path, asked.body) == ("GET", "/cgi-bin/sendsms", b"")


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Answered(202, "0: Accepted for delivery"), f"accepted {SID} x1"),
        (Answered(202, "3: Queued for later delivery"), f"accepted {SID} x1"),
        (Answered(200, "Sent."), f"accepted {SID} x1"),
        (Answered(403, "Authorization failed for sendsms"), "not now 300s alarm"),
        (Answered(400, "Missing receiver number, rejected"), "refused 30008"),
        (Answered(503, "Temporal failure, try again later."), "not now"),
    ],
)
async def test_answers_are_outcomes(answer: Answered, outcome: str) -> None:
    async with HttpProvider() as peer, opened("kannel", settings(peer.url)) as channel:
        peer.answer_with(answer)
        assert await sent(channel, a_message()) == outcome


@pytest.mark.parametrize(
    ("status", "report"),
    [
        ("1", Report(status=ReceiptStatus.DELIVERED, handle=SID)),
        ("2", Report(status=ReceiptStatus.UNDELIVERED, handle=SID, error_code=30008)),
        ("4", None),
        ("8", Report(status=ReceiptStatus.SENT, handle=SID)),
        ("16", Report(status=ReceiptStatus.FAILED, handle=SID, error_code=30008)),
        ("%d", None),
    ],
)
def test_reports_are_read(status: str, report: Report | None) -> None:
    channel = a_channel("kannel", settings("http://kannel.example"))
    query = f"key={quote_plus(KEY)}&id={SID}&status={status}&to=%2B15550101"
    found = verdict(channel, *a_request(path="/status", query=query, method="GET"))
    assert isinstance(found, Heard)
    assert found.events == (() if report is None else (report,))
    assert found.reply.body == b""
    for forged in (query.replace("key=", "key=x"), f"id={SID}&status={status}"):
        assert verdict(channel, *a_request(path="/status", query=forged, method="GET")) == "Forged"


@pytest.mark.parametrize(
    ("text", "said", "read"),
    [
        ("hello+%26+more%3D1", "charset=UTF-8&coding=0", "hello & more=1"),
        ("%C3%BC", "charset=UTF-8&coding=0", "ü"),
        (quote("Привет 😀".encode("utf-16-be")), "charset=UTF-16BE&coding=2", "Привет 😀"),
        (quote("Привет".encode("utf-16-be")), "coding=2", "Привет"),
        ("%FC", "charset=ISO-8859-1&coding=0", "ü"),
        ("%80", "charset=WINDOWS-1252&coding=0", "€"),
        ("%FF%FE%FF", "charset=UTF-8", "\ufffd\ufffd\ufffd"),
        ("%00", "charset=UTF-16BE", "\ufffd"),
        ("x", "charset=no-such-thing", "x"),
    ],
)
def test_words_are_read_in_the_alphabet_they_came_in(text: str, said: str, read: str) -> None:
    channel = a_channel("kannel", settings("http://kannel.example"))
    query = f"key={quote_plus(KEY)}&id=m1&from=%2B15550101&to=15550100000&text={text}&{said}"
    found = verdict(channel, *a_request(path="/inbound", query=query, method="GET"))
    assert isinstance(found, Heard)
    assert found.events == (Incoming(provider_id="m1", sender=THEIRS, recipient="+15550100000", text=read),)


@pytest.mark.parametrize(
    ("changed", "named"),
    [({"callback_secret": "short"}, "callback_secret"), ({"dlr_mask": 32}, "dlr_mask"), ({"base_url": ""}, "base_url")],
)
def test_settings_that_make_no_sense_are_named(changed: dict[str, Any], named: str) -> None:
    with pytest.raises(BadSettings, match=named):
        settings_of(adapter_of("kannel"), settings("http://kannel.example", **changed))


# --- Kannel itself


def inbound(ear: Ear) -> str:
    return f"{ear.url}{INBOUND}&id=%I&from=%p&to=%P&text=%b&charset=%C&coding=%c"


@asynccontextmanager
async def through_kannel(folder: Path, **changed: Any) -> AsyncIterator[tuple[KannelPeer, Ear, Channel]]:
    """Kannel, the ear it calls, and the channel that sends by it."""
    async with (
        Ear() as ear,
        KannelPeer(folder, inbound(ear)) as kannel,
        opened("kannel", settings(kannel.url, **changed), callback_url=ear.url) as channel,
    ):
        ear.channel = channel
        yield kannel, ear, channel


@pytest.mark.parametrize("text", ["hello & more=1 100%", "a {b} [c]", "Привет 😀", "x" * 300])
async def test_kannel_carries_our_messages_and_reports_them(tmp_path: Path, text: str) -> None:
    async with through_kannel(tmp_path) as (kannel, ear, channel):
        parts = 2 if len(text) > 160 else 1
        assert await sent(channel, a_message(text)) == f"accepted {SID} x{parts}"
        carried = await kannel.has_carried(parts)
        assert "".join(one.text for one in carried) == text
        assert {one[:2] for one in carried} == {(OURS, THEIRS)}
        # In whatever order: Kannel promises none.
        reports = [event for event in await ear.has_heard(2) if isinstance(event, Report)]
        assert {report.status for report in reports} == {ReceiptStatus.SENT, ReceiptStatus.DELIVERED}
        assert {report.handle for report in reports} == {SID}


async def test_kannel_brings_messages(tmp_path: Path) -> None:
    async with through_kannel(tmp_path) as (kannel, ear, _):
        await kannel.bring(THEIRS, OURS, "hi there & more=1")
        await kannel.bring(THEIRS, OURS, "Привет 😀")
        messages = [event for event in await ear.has_heard(2) if isinstance(event, Incoming)]
        assert {message.text for message in messages} == {"hi there & more=1", "Привет 😀"}
        assert {(message.sender, message.recipient) for message in messages} == {(THEIRS, OURS)}
        assert len({message.provider_id for message in messages}) == 2


async def test_what_kannel_is_answered_is_no_message_to_whoever_wrote(tmp_path: Path) -> None:
    async with through_kannel(tmp_path) as (kannel, ear, channel):
        await kannel.bring(THEIRS, OURS, "hello")
        await ear.has_heard(1)
        await channel.send(a_message("and this is one"))
        assert [one.text for one in await kannel.has_carried(1)] == ["and this is one"]


async def test_kannel_does_not_take_messages_with_another_password(tmp_path: Path) -> None:
    async with through_kannel(tmp_path, password="guess") as (_, _, channel):
        assert await sent(channel, a_message()) == "not now 300s alarm"
