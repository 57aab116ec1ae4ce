"""Promises as rows: in order, once at a time, never lost; the same on every driver."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tertulia.server.domain.jobs import AGAIN, Attempt, Job, Promised
from tertulia.server.storage.database import Database, UniqueViolation
from tertulia.server.storage.migrate import migrate
from tertulia.server.storage.outbox import Leased, Outbox
from tertulia.server.storage.outbox_entries import OutboxEntries, OutboxEntry

SECOND = 1_000_000
NOW = 1_735_689_600 * SECOND


class Call(Job, frozen=True, kw_only=True):
    """A job of these tests."""

    text: str
    host: str | None = None

    @property
    def receiver(self) -> str | None:
        return self.host


class Tick(Job, frozen=True, kw_only=True):
    """Another one."""


class Box:
    """The outbox of a test, each deed in a transaction of its own."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._tokens = itertools.count(1)

    @asynccontextmanager
    async def opened(self, done_at: int | None = None) -> AsyncIterator[Outbox]:
        async with self.database.transaction() as connection:
            yield Outbox(connection, done_at)

    @asynccontextmanager
    async def entries(self) -> AsyncIterator[OutboxEntries]:
        async with self.database.transaction() as connection:
            yield OutboxEntries(connection)

    async def promise(self, *promised: Promised, now: int = NOW) -> None:
        async with self.opened() as outbox:
            await outbox.promise(
                promised, now, new_token=lambda: f"token {next(self._tokens)}", account_sid="AC1", trace="RQ1"
            )

    async def call(
        self, text: str, order: str | None = None, key: str | None = None, due_at: int | None = None
    ) -> None:
        await self.promise(Promised(job=Call(text=text), ordering_key=order, key=key, due_at=due_at))

    async def lease(
        self, now: int = NOW, *, limit: int = 10, kinds: Sequence[str] = ("Call",), **more: Any
    ) -> list[Leased]:
        async with self.opened() as outbox:
            return await outbox.lease("worker", now=now, lease_s=60, limit=limit, kinds=kinds, **more)

    async def texts(self, now: int = NOW, **more: Any) -> list[str]:
        return [text_of(leased) for leased in await self.lease(now, **more)]

    async def one(self, now: int = NOW) -> Attempt:
        (leased,) = await self.lease(now)
        return leased.attempt

    async def settle(self, attempt: Attempt, done_at: int | None = None) -> bool:
        async with self.opened(done_at) as outbox:
            return await outbox.settle(attempt)

    async def postpone(self, attempt: Attempt, due_at: int = NOW, why: str = "no answer") -> bool:
        async with self.opened() as outbox:
            return await outbox.postpone(attempt, due_at, why)

    async def carry_on(self, attempt: Attempt, text: str, now: int = NOW) -> bool:
        async with self.opened() as outbox:
            return await outbox.carry_on(attempt, Call(text=text), now, f"token of {text}")

    async def bury(self, attempt: Attempt, now: int = NOW) -> bool:
        async with self.opened() as outbox:
            return await outbox.bury(attempt, now, "refused")

    async def expire(self, now: int, limit: int = 100) -> int:
        async with self.opened() as outbox:
            assert await outbox.has_expired(now) is True
            return await outbox.expire(now, limit)

    async def all(self, **wanted: Any) -> list[OutboxEntry]:
        async with self.entries() as entries:
            return await entries.page(limit=1000, **wanted)

    async def states(self) -> list[str]:
        return [entry.state for entry in reversed(await self.all())]


def text_of(leased: Leased) -> str:
    return leased.payload.partition('"text":"')[2].partition('"')[0]


@pytest.fixture
async def box(database: Database) -> Box:
    await migrate(database)
    return Box(database)


# --- promising


async def test_many_promises_are_one_statement(box: Box) -> None:
    before = box.database.statements
    await box.promise(*(Promised(job=Call(text=str(n)), ordering_key=f"key {n % 7}") for n in range(1000)))
    assert box.database.statements - before == 1
    assert len(await box.all()) == 1000


async def test_a_leased_job_is_what_was_promised(box: Box) -> None:
    await box.promise(Promised(job=Call(text="hello", host="example.com")))
    (leased,) = await box.lease()
    assert (leased.kind, leased.payload, leased.receiver) == (
        "Call",
        '{"text":"hello","host":"example.com"}',
        "example.com",
    )
    assert leased.account_sid == "AC1"
    assert leased.attempt == Attempt(job_id=1, number=1, token="token 1", promised_at=NOW, trace="RQ1")


async def test_what_is_rolled_back_was_never_promised(box: Box) -> None:
    async def fail() -> None:
        async with box.opened() as outbox:
            await outbox.promise([Promised(job=Tick())], NOW, new_token=str)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert await box.all() == []


async def test_a_waiting_job_is_replaced_by_a_new_one_of_its_key(box: Box) -> None:
    await box.call("old", key="timer", due_at=NOW + 9 * SECOND)
    await box.call("new", key="timer", due_at=NOW + 5 * SECOND)
    await box.call("other", key="another timer", due_at=NOW + 5 * SECOND)
    assert await box.texts(NOW + 9 * SECOND) == ["new", "other"]


async def test_of_one_key_in_one_transaction_the_last_counts(box: Box) -> None:
    await box.promise(*(Promised(job=Call(text=text), key="timer") for text in ("first", "second", "third")))
    assert await box.texts() == ["third"]


async def test_a_job_that_is_being_performed_is_not_replaced_and_the_new_one_waits_for_it(box: Box) -> None:
    await box.call("old", key="timer")
    attempt = await box.one()
    await box.call("new", key="timer")
    assert await box.texts() == []
    assert await box.settle(attempt)
    assert await box.texts() == ["new"]


@pytest.mark.parametrize("way", ["postpone", "expire", "release", "carry on"])
async def test_a_job_that_returns_gives_way_to_a_newer_one_of_its_key(box: Box, way: str) -> None:
    await box.call("old", key="timer")
    attempt = await box.one()
    await box.call("new", key="timer")
    if way == "postpone":
        assert await box.postpone(attempt)
    elif way == "carry on":
        assert await box.carry_on(attempt, "further")
    elif way == "expire":
        assert await box.expire(NOW + 60 * SECOND) == 1
    else:
        async with box.opened() as outbox:
            assert await outbox.release([attempt], "stopped") == 1
    assert await box.texts() == ["new"]
    assert len(await box.all()) == 1


async def test_a_lease_that_has_run_out_is_left_to_who_performs_the_job_still(box: Box) -> None:
    await box.call("under way")
    under_way = await box.one()
    await box.call("nobody's")
    await box.one()
    async with box.opened() as outbox:
        assert await outbox.expire(NOW + 60 * SECOND, 100, [under_way.job_id]) == 1
    assert await box.texts() == ["nobody's"]
    assert await box.settle(under_way)


async def test_a_withdrawn_job_is_not_owed_and_others_are(box: Box) -> None:
    await box.call("one", key="one")
    await box.call("two", key="two")
    await box.call("three")
    async with box.opened() as outbox:
        assert await outbox.withdraw(["one", "unknown"]) == 1
    assert await box.texts() == ["two", "three"]


async def test_a_withdrawn_job_does_not_stop_its_order(box: Box) -> None:
    await box.call("head", order="A", key="head")
    await box.call("next", order="A")
    async with box.opened() as outbox:
        await outbox.withdraw(["head"])
    assert await box.texts() == ["next"]


async def test_a_replacement_is_the_last_in_its_order(box: Box) -> None:
    await box.call("old", order="A", key="key")
    await box.call("between", order="A")
    await box.call("new", order="A", key="key")
    attempt = await box.one()
    await box.settle(attempt)
    assert await box.texts() == ["new"]


async def test_two_waiting_jobs_of_one_key_cannot_be(box: Box) -> None:
    await box.call("one", key="key")
    with pytest.raises(UniqueViolation):
        async with box.database.transaction() as connection:
            await connection.execute(
                "INSERT INTO outbox (kind, key, payload, token, promised_at, due_at, state, behind, attempts)"
                " VALUES ('Call', 'key', '{}', 't', 0, 0, 'waiting', FALSE, 0)"
            )


# --- order


async def test_of_an_ordering_key_only_the_oldest_unfinished_is_leased(box: Box) -> None:
    for text in ("A1", "A2", "A3"):
        await box.call(text, order="A")
    await box.call("B1", order="B")
    await box.call("free")
    await box.call("free too")
    (first, *_) = leased = await box.lease()
    assert [text_of(one) for one in leased] == ["A1", "B1", "free", "free too"]
    assert await box.texts() == []
    await box.settle(first.attempt)
    assert await box.texts() == ["A2"]


async def test_a_job_that_is_tried_again_later_holds_up_its_order(box: Box) -> None:
    await box.call("A1", order="A")
    await box.call("A2", order="A")
    await box.postpone(await box.one(), NOW + 10 * SECOND)
    assert await box.texts(NOW + 9 * SECOND) == []
    assert await box.texts(NOW + 10 * SECOND) == ["A1"]


async def test_a_dead_job_does_not_hold_up_its_order(box: Box) -> None:
    await box.call("A1", order="A")
    await box.call("A2", order="A")
    assert await box.bury(await box.one())
    assert await box.texts() == ["A2"]
    assert await box.states() == ["dead", "leased"]


async def test_a_job_that_goes_on_keeps_its_place_and_begins_its_attempts_anew(box: Box) -> None:
    await box.call("A1", order="A")
    await box.call("A2", order="A")
    await box.postpone(await box.one())
    assert await box.carry_on(await box.one(), "A1 further", NOW + 5)
    (leased,) = await box.lease(NOW + 5)
    assert text_of(leased) == "A1 further"
    attempt = leased.attempt
    assert (attempt.number, attempt.of_step, attempt.token, attempt.promised_at) == (
        3,
        1,
        "token of A1 further",
        NOW + 5,
    )
    await box.settle(attempt)
    assert await box.texts() == ["A2"]


async def test_an_order_that_was_done_begins_anew(box: Box) -> None:
    await box.call("A1", order="A")
    await box.settle(await box.one())
    await box.call("A2", order="A")
    assert await box.texts() == ["A2"]


async def test_the_longest_due_come_first(box: Box) -> None:
    await box.call("second", due_at=NOW - 1)
    await box.call("third", due_at=NOW)
    await box.call("first", due_at=NOW - 2)
    await box.call("not yet", due_at=NOW + 1)
    assert await box.texts(limit=2) == ["first", "second"]
    assert await box.texts() == ["third"]


async def test_an_order_that_lost_its_head_goes_on_when_it_is_mended(box: Box) -> None:
    for order in ("A", "B", "C"):
        await box.call(f"{order}1", order=order)
        await box.call(f"{order}2", order=order)
    async with box.database.transaction() as connection:
        await connection.execute("DELETE FROM outbox WHERE ordering_key IN ('A', 'C') AND NOT behind")
    assert await box.texts() == ["B1"]
    async with box.opened() as outbox:
        assert await outbox.headless() == ["A", "C"]
        assert await outbox.mend() == 2
        assert await outbox.mend() == 0
    assert await box.texts() == ["A2", "C2"]


# --- leases


async def test_a_lease_that_ran_out_makes_room_for_another_attempt(box: Box) -> None:
    await box.call("A1", order="A")
    first = await box.one()
    async with box.opened() as outbox:
        assert not await outbox.has_expired(NOW + 60 * SECOND - 1)
        assert await outbox.expire(NOW + 60 * SECOND - 1, 10) == 0
    assert await box.expire(NOW + 60 * SECOND) == 1
    second = await box.one(NOW + 60 * SECOND)
    assert (second.job_id, second.number, second.token) == (first.job_id, 2, first.token)


async def test_a_late_attempt_changes_nothing(box: Box) -> None:
    await box.call("A1")
    late = await box.one()
    await box.expire(NOW + 60 * SECOND)
    assert not await box.settle(late)  # between the two
    present = await box.one(NOW + 60 * SECOND)
    assert not await box.settle(late)
    assert not await box.postpone(late)
    assert not await box.bury(late)
    assert not await box.carry_on(late, "further")
    async with box.opened() as outbox:
        assert await outbox.release([late], "stopped") == 0
    assert await box.states() == ["leased"]
    assert await box.settle(present)
    assert not await box.settle(present)


async def test_the_number_of_a_job_that_is_gone_is_not_given_again(box: Box) -> None:
    await box.call("one")
    late = await box.one()
    await box.settle(late)
    await box.call("two")
    assert (await box.one()).job_id > late.job_id
    assert not await box.settle(late)


async def test_expired_leases_return_in_small_bites(box: Box) -> None:
    await box.promise(*(Promised(job=Call(text=str(n))) for n in range(5)))
    assert len(await box.lease()) == 5
    assert await box.expire(NOW + 60 * SECOND, limit=3) == 3
    assert await box.expire(NOW + 60 * SECOND, limit=3) == 2


async def test_what_is_released_may_be_leased_at_once_and_counts_on(box: Box) -> None:
    await box.call("one")
    attempt = await box.one()
    async with box.opened() as outbox:
        assert await outbox.release([attempt], "stopped") == 1
        assert await outbox.release([], "stopped") == 0
    assert (await box.one()).number == 2


async def test_jobs_of_other_kinds_are_left_alone(box: Box) -> None:
    await box.promise(Promised(job=Tick()), Promised(job=Call(text="one")))
    assert await box.texts(kinds=("Call", "Else")) == ["one"]
    assert await box.states() == ["waiting", "leased"]
    async with box.opened() as outbox:
        assert not await outbox.is_due(NOW, ["Call"])
        assert await outbox.is_due(NOW, ["Call", "Tick"])


async def test_a_receiver_gets_no_more_than_its_share(box: Box) -> None:
    slow = [Promised(job=Call(text=f"slow {n}", host="slow.example")) for n in range(5)]
    await box.promise(*slow, Promised(job=Call(text="quick", host="quick.example")), Promised(job=Call(text="free")))
    assert await box.texts(per_receiver=2) == ["slow 0", "slow 1", "quick", "free"]
    assert await box.texts(per_receiver=2, busy={"slow.example": 2, "quick.example": 1}) == []
    async with box.opened() as outbox:
        assert not await outbox.is_due(NOW, ["Call"], ["slow.example"])
        assert await outbox.is_due(NOW, ["Call"], ["quick.example"])
    assert await box.texts(per_receiver=2, busy={"slow.example": 1}) == ["slow 2"]


async def test_a_receiver_with_a_thousand_jobs_does_not_hide_the_others(box: Box) -> None:
    await box.promise(*(Promised(job=Call(text="slow", host="slow.example")) for _ in range(1000)))
    await box.call("late")
    assert await box.texts(per_receiver=3) == ["slow"] * 3
    assert await box.texts(per_receiver=3, busy={"slow.example": 3}) == ["late"]


async def test_who_was_called_in_vain_gets_a_quarter_of_the_places(box: Box) -> None:
    calls = [Promised(job=Call(text=f"again {n}", host=AGAIN + "slow.example")) for n in range(4)]
    await box.promise(*calls, Promised(job=Call(text="new", host="slow.example")))
    assert await box.texts(per_receiver=8) == ["again 0", "again 1", "new"]
    assert await box.texts(per_receiver=8, busy={AGAIN + "slow.example": 2}) == []
    assert await box.texts(per_receiver=3, busy={}) == ["again 2"], "one at least"


async def test_it_knows_when_the_next_job_becomes_due(box: Box) -> None:
    async with box.opened() as outbox:
        assert await outbox.next_due(NOW, ["Call"]) is None
    await box.call("now")
    await box.call("later", due_at=NOW + 9)
    await box.call("soon", due_at=NOW + 5)
    await box.call("head", order="A", due_at=NOW + 7)
    await box.call("behind", order="A", due_at=NOW + 1)
    await box.promise(Promised(job=Tick(), due_at=NOW + 2))
    async with box.opened() as outbox:
        assert await outbox.next_due(NOW, ["Call"]) == NOW + 5
        assert await outbox.next_due(NOW + 5, ["Call"]) == NOW + 7


# --- ends


async def test_a_done_job_goes_unless_it_is_kept_and_what_it_held_goes_in_any_case(box: Box) -> None:
    await box.call("one")
    await box.call("two")
    first, second = await box.lease()
    assert await box.settle(first.attempt)
    assert await box.settle(second.attempt, done_at=NOW + 7)
    (kept,) = await box.all()
    assert (kept.state, kept.ended_at) == ("done", NOW + 7)
    async with box.database.snapshot() as connection:
        assert await connection.value("SELECT payload FROM outbox") == ""


async def test_ended_jobs_are_trimmed_by_age_in_small_bites(box: Box) -> None:
    await box.promise(*(Promised(job=Call(text=str(n))) for n in range(6)))
    leased = await box.lease()
    for number, one in enumerate(leased[:4]):
        await box.bury(one.attempt, NOW + number)
    await box.settle(leased[4].attempt, done_at=NOW)
    async with box.entries() as entries:
        assert await entries.trim("dead", NOW + 3, 2) == 2
        assert await entries.trim("dead", NOW + 3, 2) == 1
        assert await entries.trim("dead", NOW + 3, 2) == 0
        assert await entries.trim("done", NOW + 1, 2) == 1
    assert await box.states() == ["dead", "leased"]


async def test_why_an_attempt_failed_is_kept_in_short(box: Box) -> None:
    await box.call("one")
    await box.postpone(await box.one(), why="x" * 10_000)
    (entry,) = await box.all()
    assert entry.last_error == "x" * 300


# --- operators


async def test_entries_are_listed_newest_first_by_state_and_kind(box: Box) -> None:
    for text in ("one", "two", "three"):
        await box.call(text)
    await box.promise(Promised(job=Tick()))
    await box.bury((await box.lease(limit=1))[0].attempt)
    assert [entry.id for entry in await box.all()] == [4, 3, 2, 1]
    assert [entry.id for entry in await box.all(state="waiting", kind="Call")] == [3, 2]
    async with box.entries() as entries:
        assert [entry.id for entry in await entries.page(limit=1)] == [4]
        assert await entries.dead(limit=5) == [1]
        assert await entries.dead(kind="Tick", limit=5) == []
        assert await entries.dead(before=NOW, limit=5) == []
        assert await entries.dead(before=NOW + 1, kind="Call", limit=5) == [1]


async def test_a_dead_job_is_owed_again_with_its_token_and_all_its_attempts(box: Box) -> None:
    await box.call("A1", order="A")
    await box.call("A2", order="A")
    await box.postpone(await box.one())
    dead = await box.one()
    await box.bury(dead)
    async with box.entries() as entries:
        assert await entries.retry([dead.job_id, 99], NOW + 5) == 1
    (second,) = await box.lease()
    assert text_of(second) == "A2"
    await box.settle(second.attempt)
    again = await box.one(NOW + 5)
    assert (again.number, again.token, again.promised_at) == (1, dead.token, NOW + 5)
    assert not await box.settle(dead)


async def test_a_waiting_job_is_hastened_and_one_being_performed_is_not_touched(box: Box) -> None:
    await box.call("waiting", due_at=NOW + 60 * SECOND)
    await box.call("leased")
    (leased,) = await box.lease()
    async with box.entries() as entries:
        assert await entries.retry([1, 2], NOW) == 1
        assert await entries.retry([], NOW) == 0
    assert await box.texts() == ["waiting"]
    assert await box.settle(leased.attempt)


async def test_a_dead_job_stays_dead_when_a_newer_one_of_its_key_waits(box: Box) -> None:
    for text in ("oldest", "older"):
        await box.call(text, key="key")
        await box.bury(await box.one())
    async with box.entries() as entries:
        assert await entries.retry([1, 2], NOW) == 1
    assert await box.states() == ["dead", "waiting"]
    async with box.entries() as entries:
        assert await entries.retry([1], NOW) == 0
    assert await box.texts() == ["older"]


async def test_what_is_purged_is_gone_and_does_not_stop_its_order(box: Box) -> None:
    await box.call("A1", order="A")
    await box.call("A2", order="A")
    await box.call("A3", order="A")
    await box.bury(await box.one())
    async with box.entries() as entries:
        assert await entries.purge([1, 2, 99]) == 2
        assert await entries.purge([]) == 0
    leased = await box.lease()
    assert [text_of(one) for one in leased] == ["A3"]
    async with box.entries() as entries:
        assert await entries.purge([3]) == 0


async def test_what_waits_is_counted_by_kind(box: Box) -> None:
    await box.call("due")
    await box.call("head", order="A", due_at=NOW + 1)
    await box.call("behind", order="A", due_at=NOW + 1)
    await box.promise(Promised(job=Tick(), due_at=NOW + 1))
    async with box.entries() as entries:
        assert await entries.waiting(NOW) == {"Call": 2}
        assert await entries.waiting(NOW + 1) == {"Call": 3, "Tick": 1}


# --- plans


async def test_no_statement_of_a_worker_reads_the_whole_table(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plans of everything that happens many times a second, or while jobs pile up."""
    if box.database.dialect != "sqlite":
        pytest.skip("EXPLAIN QUERY PLAN is SQLite's")
    seen: set[str] = set()
    async with box.database.transaction() as connection:
        watched = _Watched(connection, seen)
        outbox, entries = Outbox(watched), OutboxEntries(watched)
        await outbox.promise([Promised(job=Call(text="x"), key="k", ordering_key="o")], NOW, new_token=str)
        await outbox.promise([Promised(job=Call(text="y"), ordering_key="o")], NOW, new_token=str)
        await outbox.withdraw(["other"])
        await outbox.is_due(NOW, ["Call"], ["full.example"])
        await outbox.next_due(NOW, ["Call"])
        await outbox.has_expired(NOW)
        await outbox.headless()
        (leased,) = await outbox.lease("w", now=NOW, lease_s=1, limit=9, kinds=["Call"], per_receiver=1, busy={"b": 1})
        await outbox.expire(NOW + 2 * SECOND, 10)
        (leased,) = await outbox.lease("w", now=NOW, lease_s=1, limit=9, kinds=["Call"])
        await outbox.postpone(leased.attempt, NOW, "why")
        (leased,) = await outbox.lease("w", now=NOW, lease_s=1, limit=9, kinds=["Call"])
        await outbox.release([leased.attempt], "why")
        (leased,) = await outbox.lease("w", now=NOW, lease_s=1, limit=9, kinds=["Call"])
        await outbox.bury(leased.attempt, NOW, "why")
        (leased,) = await outbox.lease("w", now=NOW, lease_s=1, limit=9, kinds=["Call"])
        await Outbox(watched, NOW).settle(leased.attempt)
        await outbox.settle(leased.attempt)
        await entries.trim("dead", NOW, 10)
        await entries.waiting(NOW)
        await entries.dead(limit=10)
        await entries.retry([1], NOW)
        await entries.purge([1])
    assert len(seen) > 20
    async with box.database.transaction() as connection:
        for sql in seen:
            numbers = {int(part[: len(part) - len(part.lstrip("0123456789"))]) for part in sql.split("$")[1:]}
            for row in await connection.rows(f"EXPLAIN QUERY PLAN {sql}", *[None] * max(numbers, default=0)):
                detail = str(row[3])
                # What is behind or due is read by its index; a scan of the table itself names none.
                assert not detail.startswith("SCAN outbox") or "INDEX" in detail, (sql, detail)
                assert "TEMP B-TREE FOR ORDER BY" not in detail, (sql, detail)


class _Watched:
    """A connection that remembers its statements."""

    def __init__(self, connection: Any, seen: set[str]) -> None:
        self._connection = connection
        self._seen = seen

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._connection, name)

        async def called(sql: str, *parameters: Any) -> Any:
            self._seen.add(sql)
            return await method(sql, *parameters)

        return called
