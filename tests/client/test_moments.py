"""Dates that a server tells: an application can compare them, and show them wherever it is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest

from tertulia.client.model.message import message_snapshot
from tertulia.client.model.participant import participant_snapshot
from tertulia.client.model.payloads import message_data, participant_data
from tertulia.client.moments import moment

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("2026-01-02T12:00:00Z", NOON),
        ("2026-01-02T13:30:00+01:30", NOON),
        ("2026-01-02T12:00:00", NOON),
        ("0001-01-01T00:00:00+14:00", None),
        ("0001-01-01T00:00:00", None),
        ("9999-12-31T23:59:59-14:00", None),
        ("9999-12-31T23:59:59Z", None),
        (None, None),
    ],
)
def test_a_date_has_a_zone_and_a_place_in_every_other(told: str | None, expected: datetime | None) -> None:
    read = message_snapshot(
        0, message_data(msgspec.json.encode({"sid": "IM1", "timestamp": told, "dateUpdated": told}))
    )
    assert read.date_created == read.date_updated == expected
    for hours in (-23, 23):
        if read.date_created is not None:
            assert read.date_created.astimezone(timezone(timedelta(hours=hours))) == expected


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (1_767_355_200_000, NOON),
        ("2026-01-02T12:00:00", NOON),
        (2**70, None),
        (-(2**70), None),
        (10**4000, None),
        (10**17, None),
        (None, None),
    ],
    ids=lambda value: str(value)[:20],
)
def test_milliseconds_are_a_date_as_well(told: Any, expected: datetime | None) -> None:
    read = participant_snapshot("MB1", participant_data(msgspec.json.encode({"lastConsumptionTimestamp": told})))
    assert read.last_read_timestamp == expected


def test_the_first_and_last_days_are_left_out() -> None:
    for edge in (datetime.min, datetime.max):
        for zone in (UTC, timezone(timedelta(hours=14)), timezone(timedelta(hours=-14))):
            assert moment(edge.replace(tzinfo=zone)) is None
