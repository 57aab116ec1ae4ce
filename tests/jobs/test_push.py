"""Telling devices: batches, attempts, what push services answer, and what follows (semantics 7.2, 7.4)."""

from __future__ import annotations

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
from tertulia.server.jobs.push import OVERDUE, OVERDUE_S, UNANSWERED
from tertulia.server.push.service import Verdict
from tertulia.server.storage.outbox import Outbox
from tertulia.server.storage.outbox_entries import OutboxEntries, OutboxEntry
from tests.engine.telling import Telling

GIVE_UP_S = 4 * 3600
DAY = timedelta(days=1)


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
        ((90.0, None), 90, 90),
        ((90.0, 600.0), 600, 600),
        ((0.0, None), 2, 2),  # whoever says so again and again is not asked without end
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


async def test_a_message_that_waited_for_the_server_is_sent_once_however_old(telling: Telling) -> None:
    room = await telling.room("ana", "ben")
    telling.service.say("ben's", Verdict.LATER)
    await telling.world.send(room)
    await telling.plan()
    telling.world.clock.advance(timedelta(seconds=GIVE_UP_S + 2 * OVERDUE_S))
    await telling.perform()
    assert telling.service.told == ["ana's", "ben's"]
    assert sorted((await telling.states()).values()) == ["expired", "sent"]


async def test_what_was_cut_off_again_and_again_is_given_up_when_its_time_is_over(telling: Telling) -> None:
    room = await telling.room("ben")

    async def break_down() -> None:
        raise ZeroDivisionError

    await telling.world.send(room)
    telling.service.meanwhile = break_down
    await telling.perform()
    assert await telling.states() == dict.fromkeys(await telling.states(), "waiting")
    telling.world.clock.advance(timedelta(seconds=GIVE_UP_S + OVERDUE_S))
    telling.service.forget()
    await telling.perform()
    assert (telling.service.batches, await telling.answers(), await jobs(telling)) == ([], {"ben": OVERDUE}, [])


async def test_a_device_of_which_nothing_was_heard_is_told_again(telling: Telling) -> None:
    room = await telling.room("ana", "ben")
    whole = telling.service.send

    async def forgetful(credential: Any, batch: Any) -> list[Any]:
        return (await whole(credential, batch))[:1]

    telling.service.send = forgetful  # type: ignore[method-assign]
    await telling.world.send(room)
    await telling.perform()
    assert sorted((await telling.states()).values()) == ["sent", "waiting"]
    assert UNANSWERED in (await telling.answers()).values()
    await becomes_due(telling)
    assert sorted((await telling.states()).values()) == ["sent", "sent"]
    assert len(telling.service.told) == 3


# --- once


async def test_what_was_sent_and_not_recorded_is_sent_again_and_recorded_once(telling: Telling) -> None:
    """As when the server is killed between the two."""
    room = await telling.room("ana", "ben")
    await telling.world.send(room)
    await telling.plan()

    async def killed() -> None:
        raise KeyboardInterrupt

    telling.service.meanwhile = killed
    with pytest.raises(KeyboardInterrupt):
        await _perform_once(telling)
    assert sorted((await telling.states()).values()) == ["waiting", "waiting"]
    telling.world.clock.advance(timedelta(seconds=61))  # the lease runs out
    await telling.perform()
    assert telling.service.told == ["ana's", "ana's", "ben's", "ben's"]
    assert [one.attempts for one in await telling.deliveries()] == [1, 1]


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


async def test_a_slow_push_service_holds_up_no_other(telling: Telling) -> None:
    """Its receiver is the credential: the others' batches are performed while its own wait."""
    room = await telling.room("ana", "ben")
    await telling.device("ana", "iPhone", kind="apn")
    await telling.world.send(room)
    await telling.plan()
    async with telling.world.database.snapshot() as connection:
        receivers = {row[0] for row in await connection.rows("SELECT receiver FROM outbox WHERE kind = 'SendPushes'")}
    assert receivers == {f"push/{credential.sid}" for credential in telling.credentials.values()}
