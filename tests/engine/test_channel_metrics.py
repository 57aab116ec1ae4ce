"""What channels do is counted: how much comes in and what becomes of it, how far what goes out has come."""

from __future__ import annotations

import pytest

from tertulia.server import observe
from tertulia.server.channels.base import Refused
from tertulia.server.domain.channels import Report
from tertulia.server.domain.receipts import ReceiptStatus

from .inbound import Inbound
from .sending import Sending
from .world import World


@pytest.fixture
def sending(world: World) -> Sending:
    return Sending(world)


def value(name: str, **labels: str) -> float:
    return observe.REGISTRY.get_sample_value(name, labels) or 0.0


def arrivals(outcome: str, kind: str = "sms") -> float:
    return value("tertulia_arrivals_total", kind=kind, outcome=outcome)


def messages(state: str) -> float:
    return value("tertulia_channel_messages_total", kind="sms", state=state)


async def test_what_comes_in_is_counted_by_what_becomes_of_it(inbound: Inbound) -> None:
    before = [arrivals(outcome) for outcome in ("heard", "taken", "dropped")]
    await inbound.pair()
    one = inbound.incoming()
    await inbound.hear(one, inbound.incoming(sender="+15559990000"))
    await inbound.hear(one)
    await inbound.settle()
    now = [arrivals(outcome) for outcome in ("heard", "taken", "dropped")]
    assert [after - first for after, first in zip(now, before, strict=True)] == [3, 1, 1]


async def test_a_kind_that_a_stranger_makes_up_is_no_label(inbound: Inbound) -> None:
    before = arrivals("heard", "other")
    await inbound.hears(sender="made:1", recipient="made:2")
    assert arrivals("heard", "other") == before + 1
    assert b'kind="made"' not in observe.render()


async def test_what_goes_out_is_counted_by_its_end(sending: Sending) -> None:
    before = [messages(state) for state in ("sent", "failed", "withdrawn")]
    room = await sending.room(1)
    await sending.send(room)
    await sending.perform()
    sending.channel.answers = [Refused(30007, "filtered")]
    await sending.send(room)
    await sending.perform()
    now = [messages(state) for state in ("sent", "failed", "withdrawn")]
    assert [after - first for after, first in zip(now, before, strict=True)] == [1, 1, 0]


async def test_reports_are_counted_by_status(inbound: Inbound) -> None:
    before = value("tertulia_channel_reports_total", status="delivered")
    await inbound.hear(Report(status=ReceiptStatus.DELIVERED, handle="h"))
    assert value("tertulia_channel_reports_total", status="delivered") == before + 1
