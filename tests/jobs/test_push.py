"""Telling devices: batches, attempts, what push services answer, and what follows (semantics 7.2, 7.4)."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from tertulia.server.bus.base import EventPublished
from tertulia.server.domain.jobs import LeaseLost
from tertulia.server.domain.notices import BATCH, SendPushes
from tertulia.server.domain.services import ConfigureService
from tertulia.server.jobs.presence import PresenceSweep
from tertulia.server.jobs.push_sending import OVERDUE, OVERDUE_S, TOO_LATE, UNANSWERED
from tertulia.server.jobs.worker import Worker
from tertulia.server.push.answers import CUT_OFF, OUT_OF_TIME
from tertulia.server.push.service import Verdict
from tertulia.server.settings import JobsSettings
from tertulia.server.storage.outbox import Outbox
from tertulia.server.storage.outbox_entries import OutboxEntries, OutboxEntry
from tests.engine.telling import Telling

GIVE_UP_S = 4 * 3600
DAY = timedelta(days=1)
KINDS = [SendPushes.__name__]


async def jobs(telling: Telling) -> list[OutboxEntry]:
    async with telling.world.database.snapshot() as connection:
        return await OutboxEntries(connection).page(limit=1000)


async def wait_s(telling: Telling) -> float:
    """Seconds until the one job there is is performed again."""
    (job,) = await jobs(telling)
    return (job.due_at - telling.world.clock.now()) / 1_000_000


async def becomes_due(telling: Telling) -> int:
    """Go on to the next attempt, and make it; how many attempts that were."""
    telling.world.clock.advance(timedelta(seconds=await wait_s(telling)))
    return await telling.perform()


# --- batches


async def test_devices_of_one_credential_are_told_a_hundred_at_a_time(telling: Telling) -> None:
    room = await telling.room(*(f"user-{n}" for n in range(BATCH + 5)))
    for n in range(3):
        await telling.device(f"user-{n}", f"iPhone {n}", kind="apn")
    await telling.world.send(room)
    assert await telling.perform() == 1 + 3
    assert sorted(len(batch.pushes) for batch in telling.service.batches) == [3, 5, BATCH]
    assert len(telling.service.told) == len(set(telling.service.told)) == BATCH + 8
    by_kind = [(one.kind, len(batch.pushes)) for one, batch in zip(*sent(telling), strict=True)]
    assert sorted(by_kind) == [("apn", 3), ("fcm", 5), ("fcm", BATCH)]


def sent(telling: Telling) -> tuple[Any, Any]:
    return telling.service.credentials, telling.service.batches


async def test_a_service_gets_the_open_credential_and_when_the_push_is_no_longer_of_use(telling: Telling) -> None:
    room = await telling.room("ben")
    await telling.world.send(room)
    promised_at = telling.world.clock.now()
    await telling.perform()
    (credential,) = telling.service.credentials
    (batch,) = telling.service.batches
    assert credential.sid == telling.credentials["fcm"].sid
    assert credential.secrets.secret == "do-not-log"
    assert batch.expires_at_s == promised_at // 1_000_000 + telling.push.ttl_s
    assert "do-not-log" not in repr(credential)
    assert "ben's" not in repr(batch)


async def test_a_credential_that_cannot_be_opened_comes_without_secrets(telling: Telling) -> None:
    room = await telling.room("ben")
    await telling.world.sql("UPDATE credentials SET sealed = 'of another key'")
    await telling.world.send(room)
    await telling.perform()
    (credential,) = telling.service.credentials
    assert credential.secrets.secret is None


async def test_a_push_has_the_same_id_at_every_attempt(telling: Telling) -> None:
    room = await telling.room("ben")
    telling.service.say("ben's", Verdict.LATER)
    await telling.world.send(room)
    await telling.perform()
    await becomes_due(telling)
    assert len({batch.notice_sid for batch in telling.service.batches}) == 1
    assert len({batch.expires_at_s for batch in telling.service.batches}) == 1


# --- later


async def test_only_those_who_wait_are_told_again(telling: Telling) -> None:
    room = await telling.room("ana", "ben", "cleo", "dan")
    telling.service.say("ben's", Verdict.LATER)
    telling.service.say("cleo's", Verdict.LATER)
    telling.service.say("dan's", Verdict.FAILED)
    await telling.world.send(room)
    await telling.perform()
    assert await telling.answers() == {
        "ana": "200",
        "ben": "said later",
        "cleo": "said later",
        "dan": "said failed",
    }
    telling.service.say("cleo's", Verdict.SENT)
    await becomes_due(telling)
    telling.service.say("ben's", Verdict.SENT)
    await becomes_due(telling)
    assert telling.service.addresses == [["ana's", "ben's", "cleo's", "dan's"], ["ben's", "cleo's"], ["ben's"]]
    assert sorted((await telling.states()).values()) == ["failed", "sent", "sent", "sent"]
    attempts = {one.identity: one.attempts for one in await telling.deliveries()}
    assert attempts == {"ana": 1, "ben": 3, "cleo": 2, "dan": 1}
    assert await jobs(telling) == []


@pytest.mark.parametrize(
    ("asked", "least", "most"),
    [
        ((None, None), 1.6, 2.4),
        ((30.0, None), 30, 30),
        ((400.0, 500.0), 500, 500),
        ((0.0, None), 1.6, 2.4),
    ],
)
async def test_the_wait_is_the_longest_that_was_asked_for_or_ours(
    telling: Telling, asked: tuple[float | None, ...], least: float, most: float
) -> None:
    room = await telling.room("ana", "ben")
    for address, after_s in zip(("ana's", "ben's"), asked, strict=True):
        telling.service.say(address, Verdict.LATER, after_s=after_s)
    await telling.world.send(room)
    await telling.perform()
    assert least <= await wait_s(telling) <= most


async def test_nobody_waits_for_as_long_as_another_service_asks(telling: Telling) -> None:
    """Of one credential's batch are browsers of several services, one of which may ask for an hour."""
    room = await telling.room("ana", "ben", "cleo", "dan")
    started = telling.world.clock.now()
    for address, after_s in (("ana's", None), ("ben's", 3600.0), ("cleo's", 1.0)):
        telling.service.say(address, Verdict.LATER, after_s=after_s)
    await telling.world.send(room)
    promised_at = telling.world.clock.now()
    await telling.perform()
    short, long = sorted((job.due_at - promised_at) / 1_000_000 for job in await jobs(telling))
    assert 1.6 <= short <= 2.4 and long == 3600
    for address in ("ana's", "cleo's"):
        telling.service.say(address, Verdict.SENT)
    telling.world.clock.advance(timedelta(seconds=3))
    await telling.perform()
    assert telling.service.addresses == [["ana's", "ben's", "cleo's", "dan's"], ["ana's", "cleo's"]]
    assert sorted((await telling.states()).values()) == ["sent", "sent", "sent", "waiting"]
    telling.service.say("ben's", Verdict.LATER)
    telling.world.clock.advance(timedelta(seconds=3598))
    await telling.perform()
    assert telling.service.addresses[2:] == [["ben's"]]
    assert 3.2 <= await wait_s(telling) <= 4.8, "the attempts before count"
    while await jobs(telling):
        assert await becomes_due(telling) == 1
    assert 0 <= telling.world.clock.now() - started - GIVE_UP_S * 1_000_000 <= 360_000_000, "and the time before, too"
    assert sorted((await telling.states()).values()) == ["expired", "sent", "sent", "sent"]
    assert len({batch.expires_at_s for batch in telling.service.batches}) == 1
    assert len({batch.notice_sid for batch in telling.service.batches}) == 1


async def test_our_own_waits_grow_to_five_minutes(telling: Telling) -> None:
    room = await telling.room("ben")
    telling.service.say("ben's", Verdict.LATER)
    await telling.world.send(room)
    await telling.perform()
    waits = []
    for _ in range(10):
        waits.append(await wait_s(telling))
        await becomes_due(telling)
    assert 1.6 <= waits[0] <= 2.4
    assert waits[3] > waits[0] * 3
    assert all(240 <= wait <= 360 for wait in waits[8:])


async def test_who_asks_for_three_seconds_again_and_again_is_asked_less_and_less(telling: Telling) -> None:
    room = await telling.room("ben")
    telling.service.say("ben's", Verdict.LATER, after_s=3.0, answer="429")
    await telling.world.send(room)
    await telling.perform()
    waits = []
    for _ in range(10):
        waits.append(await wait_s(telling))
        await becomes_due(telling)
    assert 3 <= waits[0] <= 3.001
    assert all(240 <= wait <= 360 for wait in waits[8:])


async def test_it_is_given_up_when_its_time_is_over(telling: Telling) -> None:
    room = await telling.room("ana", "ben")
    telling.service.say("ben's", Verdict.LATER, answer="503")
    await telling.world.send(room)
    await telling.perform()
    began = telling.world.clock.now()
    attempts = 1
    while await jobs(telling):
        assert await becomes_due(telling) == 1
        attempts += 1
    assert 0 <= telling.world.clock.now() - began - GIVE_UP_S * 1_000_000 <= 360_000_000
    assert sorted((await telling.states()).values()) == ["expired", "sent"]
    assert await telling.answers() == {"ana": "200", "ben": "503"}
    assert len(telling.service.batches) == attempts > 40


async def test_who_is_asked_to_wait_beyond_its_time_is_given_up_at_once(telling: Telling) -> None:
    room = await telling.room("ana", "ben")
    telling.service.say("ana's", Verdict.LATER, after_s=GIVE_UP_S)
    telling.service.say("ben's", Verdict.LATER)
    await telling.world.send(room)
    await telling.perform()
    assert sorted((await telling.states()).values()) == ["expired", "waiting"], "the other is tried again"
    telling.service.say("ben's", Verdict.SENT)
    await becomes_due(telling)
    assert sorted((await telling.states()).values()) == ["expired", "sent"]


async def test_what_the_server_comes_to_too_late_is_not_sent(telling: Telling) -> None:
    room = await telling.room("ben")
    await telling.world.send(room)
    await telling.plan()
    telling.world.clock.advance(timedelta(seconds=GIVE_UP_S))
    await telling.perform()
    assert (telling.service.batches, await telling.answers(), await jobs(telling)) == ([], {"ben": TOO_LATE}, [])


async def test_the_time_counts_from_the_message_not_from_when_it_was_planned(telling: Telling) -> None:
    """The server was away between the two."""
    room = await telling.room("ana", "ben")
    telling.service.say("ben's", Verdict.LATER)
    happened_at = telling.world.clock.now()
    await telling.world.send(room)
    telling.world.clock.advance(timedelta(seconds=GIVE_UP_S - 60))
    await telling.perform()
    (batch,) = telling.service.batches
    assert batch.expires_at_s == happened_at // 1_000_000 + telling.push.ttl_s
    while await jobs(telling):
        await becomes_due(telling)
    assert sorted((await telling.states()).values()) == ["expired", "sent"]
    assert telling.world.clock.now() - happened_at <= (GIVE_UP_S + 360) * 1_000_000
    await telling.world.send(room)
    telling.world.clock.advance(timedelta(seconds=GIVE_UP_S))
    telling.service.forget()
    await telling.perform()
    assert (telling.service.batches, set((await telling.states()).values())) == ([], {"expired"})


async def test_what_was_cut_off_again_and_again_is_given_up_when_its_time_is_over(telling: Telling) -> None:
    room = await telling.room("ben")
    await telling.world.send(room)
    await telling.plan()
    async with telling.world.database.transaction() as connection:
        assert await Outbox(connection).lease("killed", now=telling.world.clock.now(), lease_s=60, limit=1, kinds=KINDS)
    telling.world.clock.advance(timedelta(seconds=GIVE_UP_S + OVERDUE_S))
    await telling.perform()
    assert (telling.service.batches, await telling.answers(), await jobs(telling)) == ([], {"ben": OVERDUE}, [])


async def test_an_error_of_ours_is_told_again_and_takes_no_answer_back(
    telling: Telling, caplog: pytest.LogCaptureFixture
) -> None:
    room = await telling.room("ana", "ben")
    telling.service.prompt.add("ana's")

    async def break_down() -> None:
        raise ZeroDivisionError("do-not-log this")

    await telling.world.send(room, "do-not-log this")
    telling.service.meanwhile = break_down
    await telling.perform()
    assert sorted((await telling.states()).values()) == ["sent", "waiting"]
    assert "push.unexpected" in caplog.messages
    assert "do-not-log" not in caplog.text + "".join(str(vars(record)) for record in caplog.records)
    telling.world.clock.advance(timedelta(seconds=3))
    await telling.perform()
    assert telling.service.addresses == [["ana's", "ben's"], ["ben's"]]


async def test_a_device_of_which_nothing_was_heard_is_told_again(telling: Telling) -> None:
    room = await telling.room("ana", "ben")
    whole = telling.service.send

    async def forgetful(credential: Any, batch: Any, course: Any = None) -> list[Any]:
        return (await whole(credential, batch, course))[:1]

    telling.service.send = forgetful  # type: ignore[method-assign]
    await telling.world.send(room)
    await telling.perform()
    assert sorted((await telling.states()).values()) == ["sent", "waiting"]
    assert UNANSWERED in (await telling.answers()).values()
    await becomes_due(telling)
    assert sorted((await telling.states()).values()) == ["sent", "sent"]
    assert len(telling.service.told) == 3


# --- once


async def _perform_once(telling: Telling) -> None:
    """The one job there is, without a worker to catch what is raised."""
    world = telling.world
    async with world.database.transaction() as connection:
        (one,) = await Outbox(connection).lease(
            "test", now=world.clock.now(), lease_s=60, limit=1, kinds=["SendPushes"], per_receiver=1, busy={}
        )
    await telling.performers()[SendPushes](msgspec.json.decode(one.payload, type=SendPushes), one.attempt)


async def test_who_has_lost_the_lease_records_nothing(telling: Telling) -> None:
    room = await telling.room("ben")
    await telling.world.send(room)
    await telling.plan()

    async def overtaken() -> None:
        """The lease runs out, and another worker does it all."""
        telling.world.clock.advance(timedelta(seconds=61))
        telling.service.say("ben's", Verdict.SENT, answer="200 of the second")
        await telling.perform()
        telling.service.say("ben's", Verdict.FAILED, answer="of the first")

    telling.service.meanwhile = overtaken
    with pytest.raises(LeaseLost):
        await _perform_once(telling)
    assert await telling.answers() == {"ben": "200 of the second"}
    assert sorted((await telling.states()).values()) == ["sent"]
    assert await jobs(telling) == []


async def test_what_is_recorded_stays_whatever_a_late_answer_says(telling: Telling) -> None:
    room = await telling.room("ben")
    telling.service.say("ben's", Verdict.LATER)
    await telling.world.send(room)
    await telling.plan()

    async def overtaken() -> None:
        telling.world.clock.advance(timedelta(seconds=61))
        telling.service.say("ben's", Verdict.SENT)
        await telling.perform()
        telling.service.say("ben's", Verdict.LATER)

    telling.service.meanwhile = overtaken
    await telling.worker().run_due()
    assert await telling.answers() == {"ben": "said sent"}
    assert sorted((await telling.states()).values()) == ["sent"]


# --- while some are waited for


async def states_of(telling: Telling) -> dict[str, str]:
    """By the identity."""
    return {one.identity: one.state for one in await telling.deliveries()}


async def begun(telling: Telling, worker: Worker) -> asyncio.Task[int]:
    """A batch that is on its way, and waits for an answer."""
    performing = asyncio.create_task(worker.run_due())
    async with asyncio.timeout(30):
        while not telling.service.batches:  # noqa: ASYNC110 (what is waited for has no event)
            await asyncio.sleep(0.01)
    return performing


async def test_a_batch_that_only_waits_gives_up_its_place_and_records_what_is_known(telling: Telling) -> None:
    room = await telling.room("ana", "ben")
    telling.service.prompt.add("ana's")
    telling.service.silent.add("ben's")
    await telling.world.send(room)
    await telling.perform()  # it returns though no answer has come
    assert await states_of(telling) == {"ana": "sent", "ben": "waiting"}
    (job,) = await jobs(telling)
    assert job.state == "waiting", "for the case that the server is killed"
    telling.service.answers.set()
    await telling.straggled()
    assert await states_of(telling) == {"ana": "sent", "ben": "sent"}
    assert await jobs(telling) == []
    assert telling.service.told == ["ana's", "ben's"]


async def test_what_a_batch_waited_for_that_was_killed_is_told_again_later(telling: Telling) -> None:
    room = await telling.room("ana", "ben")
    telling.service.prompt.add("ana's")
    telling.service.silent.add("ben's")
    await telling.world.send(room)
    await telling.perform()
    survivor = Telling(telling.world, telling.push)
    survivor.world.clock.advance(timedelta(seconds=JobsSettings().lease_s))
    await survivor.perform()
    assert await states_of(telling) == {"ana": "sent", "ben": "sent"}
    assert survivor.service.told == ["ben's"]
    telling.service.say("ben's", Verdict.FAILED)
    telling.service.answers.set()
    await telling.straggled()
    assert await states_of(telling) == {"ana": "sent", "ben": "sent"}, "a late answer changes nothing"


async def test_the_wait_that_a_straggler_is_asked_for_counts(telling: Telling) -> None:
    room = await telling.room("ben")
    telling.service.silent.add("ben's")
    telling.service.say("ben's", Verdict.LATER, after_s=600.0, answer="429")
    await telling.world.send(room)
    await telling.perform()
    telling.service.answers.set()
    await telling.straggled()
    assert 600 <= await wait_s(telling) <= 601
    telling.service.say("ben's", Verdict.SENT)
    assert await becomes_due(telling) == 1
    assert await states_of(telling) == {"ben": "sent"}


async def test_a_server_that_stops_records_what_is_known(telling: Telling) -> None:
    room = await telling.room("ana", "ben", "cleo")
    telling.service.prompt.add("ana's")
    telling.service.silent.add("ben's")
    await telling.world.send(room)
    await telling.plan()
    worker = telling.worker(grace_s=0.0)
    performing = await begun(telling, worker)
    await worker.stop()
    await performing
    assert await states_of(telling) == {"ana": "sent", "ben": "waiting", "cleo": "waiting"}
    answers = await telling.answers()
    assert (answers["ben"], answers["cleo"]) == (CUT_OFF.answer, OUT_OF_TIME.answer), "tried, and not tried"
    telling.service.answers.set()
    await becomes_due(telling)
    assert telling.service.addresses == [["ana's", "ben's", "cleo's"], ["ben's", "cleo's"]]


async def test_a_server_that_stops_waits_for_no_straggler_and_tells_it_again_soon(telling: Telling) -> None:
    room = await telling.room("ana", "ben")
    telling.service.prompt.add("ana's")
    telling.service.silent.add("ben's")
    await telling.world.send(room)
    await telling.perform()
    await telling.stragglers.stop()
    assert await telling.answers() == {"ana": "200", "ben": CUT_OFF.answer}
    assert 1.6 <= await wait_s(telling) <= 2.4


async def test_an_attempt_that_runs_out_of_time_records_what_is_known(telling: Telling) -> None:
    room = await telling.room("ana", "ben")
    telling.service.prompt.add("ana's")
    telling.service.silent.add("ben's")
    await telling.world.send(room)
    await telling.plan()
    await telling.worker(lease_s=0.2).run_due()
    assert await telling.answers() == {"ana": "200", "ben": CUT_OFF.answer}
    telling.service.answers.set()
    await becomes_due(telling)
    assert telling.service.addresses == [["ana's", "ben's"], ["ben's"]]


async def test_without_room_for_more_stragglers_a_batch_keeps_its_place_and_records_what_is_known(
    telling: Telling, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tertulia.server.jobs.stragglers.MOST_OF_ACCOUNT", 0)
    room = await telling.room("ana", "ben")
    telling.service.prompt.add("ana's")
    telling.service.silent.add("ben's")
    await telling.world.send(room)
    await telling.plan()
    performing = await begun(telling, telling.worker())
    async with asyncio.timeout(30):
        while await states_of(telling) != {"ana": "sent", "ben": "waiting"}:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    (job,) = await jobs(telling)
    assert job.state == "leased"
    telling.service.answers.set()
    await performing
    assert await states_of(telling) == {"ana": "sent", "ben": "sent"}


# --- gone


async def test_a_device_that_is_gone_is_forgotten(telling: Telling) -> None:
    room = await telling.room("ana", "ben")
    telling.service.say("ben's", Verdict.GONE)
    await telling.world.send(room)
    telling.world.clock.advance(timedelta(seconds=1))
    await telling.perform()
    assert await registrations(telling) == {"ana's"}
    assert sorted((await telling.states()).values()) == ["gone", "sent"]
    await telling.world.send(room)
    telling.service.forget()
    await telling.perform()
    assert telling.service.told == ["ana's"]


async def registrations(telling: Telling) -> set[str]:
    async with telling.world.database.snapshot() as connection:
        return {row[0] for row in await connection.rows("SELECT address FROM push_registrations")}


@pytest.mark.parametrize(
    ("renewed_after_s", "gone_after_s", "stays"),
    [
        (None, None, False),
        (5, None, True),  # since the notice was made, while it was on its way
        (None, 0, False),
        (None, -10, True),  # gone before it was registered: an old application on the same device
        (5, 0, True),
        (5, 5, False),
        (5, 10, False),
    ],
)
async def test_a_device_that_was_renewed_after_it_went_stays(
    telling: Telling, renewed_after_s: int | None, gone_after_s: int | None, stays: bool
) -> None:
    clock = telling.world.clock
    room = await telling.room("ben")
    start = clock.now()
    since = None if gone_after_s is None else start + gone_after_s * 1_000_000
    telling.service.say("ben's", Verdict.GONE, gone_since=since)
    await telling.world.send(room)
    await telling.plan()
    if renewed_after_s is not None:
        clock.advance(timedelta(seconds=renewed_after_s))
        await telling.device("ben")
    clock.advance(timedelta(seconds=60))
    await telling.perform()
    assert await registrations(telling) == ({"ben's"} if stays else set())


async def test_whose_last_device_is_gone_is_shown_as_not_notifiable(telling: Telling) -> None:
    world = telling.world
    await world.do(ConfigureService, reachability_enabled=True)
    await PresenceSweep(world.database, world.engine, world.bus, world.clock).sweep()
    await world.connect("ben")
    room = await telling.room("ben")
    await telling.device("ben", "other")
    for address, notifiable in (("ben's", True), ("other", False)):
        telling.service.say(address, Verdict.GONE)
        await world.send(room)
        world.told()
        await telling.perform()
        assert (await world.queries.user(world.service, "ben")).is_notifiable is notifiable
        told = [json.loads(one.body) for one in world.bus.heard if isinstance(one, EventPublished)]
        shown = [one["event"]["item_data"] for one in told if one["event"].get("item_key") == "reachability"]
        assert shown == ([] if notifiable else [{"online": None, "notifiable": False}])


# --- use


async def test_being_reached_is_use_noted_once_a_day(telling: Telling) -> None:
    world = telling.world
    room = await telling.room("ana", "ben")
    telling.service.say("ben's", Verdict.FAILED)
    registered_at = world.clock.now()
    noted = []
    for hours in (0, 23, 2, 20, 5):
        world.clock.advance(timedelta(hours=hours))
        await world.send(room)
        await telling.perform()
        noted.append((await used_at(telling, "ana's") - registered_at) // 3_600_000_000)
    assert noted == [0, 0, 25, 25, 50]
    assert await used_at(telling, "ben's") == registered_at


async def used_at(telling: Telling, address: str) -> int:
    async with telling.world.database.snapshot() as connection:
        return int(await connection.value("SELECT used_at FROM push_registrations WHERE address = $1", address))


# --- the order of things


async def test_what_is_tried_again_takes_no_places_from_what_is_new(telling: Telling) -> None:
    room = await telling.room("ben")
    telling.service.say("ben's", Verdict.LATER)
    await telling.world.send(room)
    await telling.perform()
    async with telling.world.database.snapshot() as connection:
        (receiver,) = [row[0] for row in await connection.rows("SELECT receiver FROM outbox")]
    assert receiver == f"again/push/{telling.credentials['fcm'].sid}"


async def test_a_slow_push_service_holds_up_no_other(telling: Telling) -> None:
    """Its receiver is the credential: the others' batches are performed while its own wait."""
    room = await telling.room("ana", "ben")
    await telling.device("ana", "iPhone", kind="apn")
    await telling.world.send(room)
    await telling.plan()
    async with telling.world.database.snapshot() as connection:
        receivers = {row[0] for row in await connection.rows("SELECT receiver FROM outbox WHERE kind = 'SendPushes'")}
    assert receivers == {f"push/{credential.sid}" for credential in telling.credentials.values()}
