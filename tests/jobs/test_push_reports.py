"""What is said of pushes: in the log, without what is nobody's business, and in the metrics."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import pytest

from tertulia.server import observe
from tertulia.server.push.service import Verdict
from tests.engine.telling import Telling

GIVE_UP_S = 4 * 3600


def said(caplog: pytest.LogCaptureFixture, event: str) -> list[dict[str, Any]]:
    """The fields of each line of this name."""
    return [vars(record)["facts"] for record in caplog.records if record.getMessage() == event]


async def test_what_the_account_has_to_mend_is_said_once_for_all_its_devices(
    telling: Telling, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await telling.configure(log_enabled=True)
    room = await telling.room("ana", "ben", "cleo")
    for address in ("ana's", "ben's"):
        telling.service.say(address, Verdict.FAILED, answer="403 InvalidProviderToken", is_alarming=True)
    await telling.world.send(room, "do-not-log this")
    await telling.perform()
    assert said(caplog, "push.refused") == [
        {"credential": telling.credentials["fcm"].sid, "answer": "403 InvalidProviderToken", "devices": 2}
    ]
    assert said(caplog, "push.failed") == []
    for secret in ("do-not-log", "ana's", "ben's", "cleo's"):
        assert secret not in caplog.text + "".join(str(vars(record)) for record in caplog.records)


@pytest.mark.parametrize("logs", [True, False])
async def test_failures_are_in_the_log_where_the_service_wants_it(
    telling: Telling, caplog: pytest.LogCaptureFixture, logs: bool
) -> None:
    caplog.set_level(logging.INFO)
    await telling.configure(log_enabled=logs)
    room = await telling.room("ana", "ben", "cleo")
    telling.service.say("ana's", Verdict.FAILED, answer="400 BadDeviceToken")
    telling.service.say("ben's", Verdict.LATER, answer="503", after_s=GIVE_UP_S)
    await telling.world.send(room, "do-not-log this")
    await telling.perform()
    answers = sorted(line["answer"] for line in said(caplog, "push.failed"))
    assert answers == (["400 BadDeviceToken", "503"] if logs else [])
    for secret in ("do-not-log", "ana's", "ben's"):
        assert secret not in caplog.text + "".join(str(vars(record)) for record in caplog.records)


async def test_pushes_are_counted_by_what_became_of_them(telling: Telling) -> None:
    room = await telling.room("ana", "ben", "cleo", "dan")
    telling.service.say("ben's", Verdict.FAILED)
    telling.service.say("cleo's", Verdict.LATER)
    telling.service.say("dan's", Verdict.GONE)
    before = counts()
    await telling.world.send(room)
    await telling.perform()
    telling.service.say("cleo's", Verdict.SENT)
    telling.world.clock.advance(timedelta(seconds=3))
    await telling.perform()
    grown = {state: count - before[state] for state, count in counts().items()}
    assert grown == {"sent": 2, "failed": 1, "gone": 1, "waiting": 1, "expired": 0, "withdrawn": 0}


def counts() -> dict[str, float]:
    states = ("sent", "failed", "gone", "waiting", "expired", "withdrawn")
    name, read = "tertulia_pushes_total", observe.REGISTRY.get_sample_value
    return {state: read(name, {"notice": "new_message", "state": state}) or 0 for state in states}
