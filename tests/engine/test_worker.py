"""Jobs are performed: in order, at least once, not for ever, and a slow receiver delays nobody else."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from tertulia.server import observe
from tertulia.server.domain.jobs import Attempt, LeaseLost, Promised
from tertulia.server.jobs.performing import SETTLED, CarryOn, GiveUp, Settled, TryAgain
from tertulia.server.jobs.retry import RetryPolicy
from tertulia.server.storage.database import Database, StorageUnavailable
from tertulia.server.storage.outbox import Outbox

from .owing import Call, Debtor, Receiver, Strange, debtor, until


@pytest.fixture
async def owing() -> AsyncIterator[Debtor]:
    async with debtor() as made:
        yield made


class Away:
    """A database that does not answer for a while."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.is_away = True

    def __getattr__(self, name: str) -> Any:
        if self.is_away:
            raise StorageUnavailable("away")
        return getattr(self._database, name)


def after(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


# --- performing


async def test_what_is_owed_is_performed_once_and_is_owed_no_longer(owing: Debtor) -> None:
    await owing.owe_calls("one", "two")
    assert await owing.worker.run_due() == 2
    assert owing.receiver.heard == ["one", "two"]
    assert await owing.entries() == []
    assert await owing.worker.run_due() == 0


async def test_an_attempt_says_which_it_is_and_where_the_job_comes_from(owing: Debtor) -> None:
    seen: list[str] = []

    async def do(job: Call, attempt: Attempt) -> None:
        seen.append(observe.request_id.get())
        if attempt.number == 1:
            raise TryAgain("busy")

    owing.receiver.do = do
    await owing.owe_calls("one")
    await owing.worker.run_due()
    owing.clock.advance(after(10))
    await owing.worker.run_due()
    first, second = owing.receiver.attempts
    assert (first.number, second.number) == (1, 2)
    assert first.token == second.token == "token 1"
    assert first.trace == "RQ7"
    assert seen == ["RQ7", "RQ7"]


async def test_a_job_is_not_performed_before_it_is_due(owing: Debtor) -> None:
    await owing.owe(Promised(job=Call(text="later"), due_at=owing.clock.now() + 5_000_000))
    assert await owing.worker.run_due() == 0
    owing.clock.advance(after(5))
    assert await owing.worker.run_due() == 1


async def test_what_becomes_due_by_what_is_performed_is_performed_too(owing: Debtor) -> None:
    async def do(job: Call, attempt: Attempt) -> None:
        if job.text == "one":
            await owing.owe_calls("two")

    owing.receiver.do = do
    await owing.owe_calls("one")
    assert await owing.worker.run_due() == 2


async def test_a_done_job_is_kept_where_the_operator_wants_to_see_it(owing: Debtor) -> None:
    await owing.owe_calls("one")
    await owing.another_worker(keep_done_days=1).run_due()
    (entry,) = await owing.entries()
    assert (entry.state, entry.ended_at) == ("done", owing.clock.now())


# --- trying again


async def test_a_failed_job_is_tried_again_as_its_policy_says_and_then_is_dead(owing: Debtor) -> None:
    async def do(job: Call, attempt: Attempt) -> None:
        raise TryAgain(f"503 at attempt {attempt.number}")

    owing.receiver.do = do
    await owing.owe_calls("one")
    for wait_s in (10, 20):
        assert await owing.worker.run_due() == 1
        (entry,) = await owing.entries()
        assert (entry.state, entry.due_at - owing.clock.now()) == ("waiting", wait_s * 1_000_000)
        owing.clock.advance(after(wait_s - 1))
        assert await owing.worker.run_due() == 0
        owing.clock.advance(after(1))
    assert await owing.worker.run_due() == 1
    (entry,) = await owing.entries()
    assert (entry.state, entry.attempts, entry.last_error) == ("dead", 3, "503 at attempt 3")
    owing.clock.advance(after(100_000))
    assert await owing.worker.run_due() == 0


async def test_a_job_that_cannot_succeed_is_dead_at_once(owing: Debtor) -> None:
    async def do(job: Call, attempt: Attempt) -> None:
        raise GiveUp("410 Gone")

    owing.receiver.do = do
    await owing.owe_calls("one")
    await owing.worker.run_due()
    (entry,) = await owing.entries()
    assert (entry.state, entry.attempts, entry.last_error) == ("dead", 1, "410 Gone")


async def test_a_receiver_that_says_when_is_asked_then(owing: Debtor) -> None:
    async def do(job: Call, attempt: Attempt) -> None:
        if attempt.number == 1:
            raise TryAgain("429", after_s=77)

    owing.receiver.do = do
    await owing.owe_calls("one")
    await owing.worker.run_due()
    owing.clock.advance(after(76))
    assert await owing.worker.run_due() == 0
    owing.clock.advance(after(1))
    assert await owing.worker.run_due() == 1
    assert await owing.entries() == []


async def test_a_mistake_of_ours_is_logged_without_content_and_tried_again(
    owing: Debtor, caplog: pytest.LogCaptureFixture
) -> None:
    async def do(job: Call, attempt: Attempt) -> None:
        if attempt.number == 1:
            raise KeyError(job.text)

    owing.receiver.do = do
    await owing.owe_calls("a secret body")
    await owing.worker.run_due()
    (record,) = [record for record in caplog.records if record.msg == "job.failed"]
    assert record.levelno == logging.ERROR
    facts = record.__dict__["facts"]
    assert (facts["kind"], facts["error"]) == ("Call", "KeyError")
    assert "test_worker.py:" in facts["at"]
    assert record.exc_info is None
    assert "a secret body" not in str([record.__dict__ for record in caplog.records])
    (entry,) = await owing.entries()
    assert (entry.state, entry.last_error) == ("waiting", "KeyError")
    owing.clock.advance(after(10))
    await owing.worker.run_due()
    assert await owing.entries() == []


async def test_an_attempt_ends_before_its_lease_does(owing: Debtor) -> None:
    async def do(job: Call, attempt: Attempt) -> None:
        if attempt.number == 1:
            await asyncio.Event().wait()

    owing.receiver.do = do
    await owing.owe_calls("one")
    await owing.another_worker(lease_s=0.01).run_due()
    (entry,) = await owing.entries()
    assert (entry.state, entry.last_error) == ("waiting", "the time limit ran out")


async def test_a_job_that_ends_its_process_again_and_again_is_given_up(owing: Debtor) -> None:
    await owing.owe_calls("poison")
    for _ in range(3 + 5):
        async with owing.database.transaction() as connection:
            outbox = Outbox(connection)
            await outbox.expire(owing.clock.now(), 10)
            assert await outbox.lease("gone", now=owing.clock.now(), lease_s=60, limit=1, kinds=["Call"])
        owing.clock.advance(after(60))
    await owing.worker.run_due()
    (entry,) = await owing.entries()
    assert entry.state == "dead"
    assert owing.receiver.attempts == []


async def test_a_long_job_goes_on_step_by_step_before_what_is_behind_it(owing: Debtor) -> None:
    async def do(job: Call, attempt: Attempt) -> CarryOn | None:
        if attempt.of_step < 3:  # each step has all its attempts
            raise TryAgain("busy", after_s=0)
        return CarryOn(Call(text=job.text + "+")) if len(job.text) < 3 else None

    owing.receiver.do = do
    await owing.owe_calls("1", "2", order="A")
    await owing.worker.run_due()
    assert owing.receiver.heard == ["1", "1+", "1++", "2", "2+", "2++"]
    assert await owing.entries() == []


# --- what the worker does not understand


async def test_a_kind_nobody_knows_waits_and_is_mentioned_once(owing: Debtor, caplog: pytest.LogCaptureFixture) -> None:
    await owing.owe(Promised(job=Strange()), Promised(job=Call(text="one")))
    await owing.worker.run_due()
    assert [entry.kind for entry in await owing.entries()] == ["Strange"]
    running = asyncio.create_task(owing.worker.run())
    await until(lambda: any(record.msg == "job.unknown_kind" for record in caplog.records))
    await owing.worker.stop()
    await running
    assert [entry.state for entry in await owing.entries()] == ["waiting"]
    assert len([record for record in caplog.records if record.msg == "job.unknown_kind"]) == 1


async def test_a_job_that_cannot_be_read_is_dead_and_kept(owing: Debtor) -> None:
    await owing.owe_calls("one")
    async with owing.database.transaction() as connection:
        await connection.execute("""UPDATE outbox SET payload = '{"was":"called otherwise"}'""")
    await owing.worker.run_due()
    (entry,) = await owing.entries()
    assert entry.state == "dead"
    assert entry.last_error is not None and "another release" in entry.last_error


# --- order and leases


async def test_jobs_of_one_order_are_performed_one_after_the_other(owing: Debtor) -> None:
    await owing.owe_calls("1", "2", "3", order="A")
    await owing.worker.run_due()
    assert owing.receiver.heard == ["1", "2", "3"]
    assert owing.receiver.most_at_work == 1


async def test_jobs_of_several_orders_are_performed_at_a_time(owing: Debtor) -> None:
    together = asyncio.Barrier(3)

    async def do(job: Call, attempt: Attempt) -> None:
        await together.wait()

    owing.receiver.do = do
    for order in ("A", "B", "C"):
        await owing.owe_calls(order, order=order)
    await owing.worker.run_due()
    assert owing.receiver.most_at_work == 3


async def test_no_more_is_performed_at_a_time_than_the_settings_allow(owing: Debtor) -> None:
    async def do(job: Call, attempt: Attempt) -> None:
        for _ in range(3):
            await asyncio.sleep(0)

    owing.receiver.do = do
    await owing.owe_calls(*(str(n) for n in range(20)))
    assert await owing.another_worker(concurrency=4).run_due() == 20
    assert owing.receiver.most_at_work == 4


async def test_a_slow_receiver_does_not_occupy_all_places(owing: Debtor) -> None:
    never = asyncio.Event()

    async def do(job: Call, attempt: Attempt) -> None:
        if job.host == "slow.example":
            await never.wait()

    owing.receiver.do = do
    await owing.owe_calls(*["slow"] * 50, host="slow.example")
    await owing.owe_calls(*["quick"] * 20, host="quick.example")
    worker = owing.another_worker(concurrency=8, per_receiver=3)
    running = asyncio.create_task(worker.run_due())
    await until(lambda: owing.receiver.heard == ["quick"] * 20)
    assert owing.receiver.at_work == 3
    never.set()
    assert await running == 70


async def test_the_outcome_of_an_attempt_that_lost_its_lease_is_dropped(owing: Debtor) -> None:
    go_on = asyncio.Event()

    async def do(job: Call, attempt: Attempt) -> None:
        await go_on.wait()
        raise GiveUp("too late to say so")

    owing.receiver.do = do
    await owing.owe_calls("one")
    late = asyncio.create_task(owing.worker.run_due())
    await until(lambda: owing.receiver.at_work == 1)
    owing.clock.advance(after(60))
    successor = Receiver()
    assert await owing.another_worker(receiver=successor).run_due() == 1
    go_on.set()
    await late
    assert [attempt.number for attempt in successor.attempts] == [2]
    assert await owing.entries() == []


async def test_a_job_settled_inside_a_command_is_not_settled_again(owing: Debtor) -> None:
    async def do(job: Call, attempt: Attempt) -> Settled:
        async with owing.database.transaction() as connection:
            assert await Outbox(connection).settle(attempt)
        return SETTLED

    owing.receiver.do = do
    await owing.owe_calls("one", "two", order="A")
    assert await owing.worker.run_due() == 2
    assert await owing.entries() == []


async def test_a_command_that_finds_the_lease_lost_ends_the_attempt_without_a_trace(owing: Debtor) -> None:
    async def do(job: Call, attempt: Attempt) -> None:
        raise LeaseLost

    owing.receiver.do = do
    await owing.owe_calls("one")
    await owing.worker.run_due()
    (entry,) = await owing.entries()
    assert (entry.state, entry.attempts, entry.last_error) == ("leased", 1, None)


async def test_several_workers_share_the_work_and_perform_nothing_twice(owing: Debtor) -> None:
    async def do(job: Call, attempt: Attempt) -> None:
        await asyncio.sleep(0)

    owing.receiver.do = do
    for order in range(10):
        await owing.owe_calls(*(f"{order}.{n}" for n in range(5)), order=str(order))
    workers = [owing.another_worker(concurrency=3) for _ in range(4)]
    await asyncio.gather(*(worker.run_due() for worker in workers))
    assert len(owing.receiver.heard) == len(set(owing.receiver.heard)) == 50
    for order in range(10):
        mine = [text for text in owing.receiver.heard if text.startswith(f"{order}.")]
        assert mine == sorted(mine)


# --- running and stopping


async def test_a_running_worker_begins_when_it_is_woken(owing: Debtor) -> None:
    running = asyncio.create_task(owing.worker.run())
    await asyncio.sleep(0)
    await owing.owe_calls("one")
    owing.worker.wake()
    await until(lambda: owing.receiver.heard == ["one"])
    await owing.worker.stop()
    await running


async def test_a_running_worker_finds_what_others_have_promised(owing: Debtor) -> None:
    worker = owing.another_worker(poll_s=0.01)
    running = asyncio.create_task(worker.run())
    await asyncio.sleep(0)
    await owing.owe_calls("one")
    await until(lambda: owing.receiver.heard == ["one"])
    await worker.stop()
    await running


async def test_a_running_worker_survives_a_database_that_is_away(
    owing: Debtor, caplog: pytest.LogCaptureFixture
) -> None:
    away = Away(owing.database)
    worker = owing.another_worker(database=away, poll_s=0.01)
    running = asyncio.create_task(worker.run())
    await until(lambda: any(record.msg == "jobs.unavailable" for record in caplog.records))
    away.is_away = False
    await owing.owe_calls("one")
    await until(lambda: owing.receiver.heard == ["one"])
    await worker.stop()
    await running


async def test_a_stopping_worker_finishes_what_it_performs_and_begins_nothing(owing: Debtor) -> None:
    go_on = asyncio.Event()

    async def do(job: Call, attempt: Attempt) -> None:
        await go_on.wait()

    owing.receiver.do = do
    await owing.owe_calls("one", "two", order="A")
    running = asyncio.create_task(owing.worker.run())
    await until(lambda: owing.receiver.at_work == 1)
    stopping = asyncio.create_task(owing.worker.stop())
    await running
    go_on.set()
    await stopping
    assert owing.receiver.heard == ["one"]
    assert [entry.state for entry in await owing.entries()] == ["waiting"]


async def test_a_stopping_worker_lets_the_lease_of_a_slow_job_go(owing: Debtor) -> None:
    async def do(job: Call, attempt: Attempt) -> None:
        await asyncio.Event().wait()

    owing.receiver.do = do
    await owing.owe_calls("one")
    worker = owing.another_worker(grace_s=0)
    running = asyncio.create_task(worker.run())
    await until(lambda: owing.receiver.at_work == 1)
    await worker.stop()
    await running
    (entry,) = await owing.entries()
    assert (entry.state, entry.attempts, entry.leased_until) == ("waiting", 1, None)
    owing.receiver.do = None
    assert await owing.another_worker().run_due() == 1


# --- what it says


async def test_every_end_is_counted_and_said(owing: Debtor, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    async def do(job: Call, attempt: Attempt) -> None:
        if job.text == "retry":
            raise TryAgain("busy")
        if job.text == "dead":
            raise GiveUp("gone")

    def counted(outcome: str) -> float:
        value = observe.REGISTRY.get_sample_value("tertulia_jobs_total", {"kind": "Call", "outcome": outcome})
        return value or 0.0

    before = {outcome: counted(outcome) for outcome in ("done", "retry", "dead")}
    owing.receiver.do = do
    await owing.owe_calls("done", "retry", "dead")
    await owing.worker.run_due()
    assert {outcome: counted(outcome) - before[outcome] for outcome in before} == {"done": 1, "retry": 1, "dead": 1}
    said = {record.msg: record for record in caplog.records if record.msg.startswith("job.")}
    assert said["job.done"].levelno == logging.INFO
    assert said["job.retry"].levelno == logging.WARNING
    assert said["job.retry"].__dict__["facts"]["next"] == "2025-01-01T00:00:10Z"
    assert said["job.retry"].__dict__["facts"]["attempt"] == 1
    assert said["job.dead"].levelno == logging.ERROR
    assert said["job.dead"].__dict__["facts"]["why"] == "gone"


async def test_the_policy_of_each_job_counts(owing: Debtor) -> None:
    async def do(job: Call, attempt: Attempt) -> None:
        raise TryAgain("busy")

    owing.receiver.do = do
    owing.receiver.retry = RetryPolicy(attempts=1)
    await owing.owe_calls("one")
    await owing.worker.run_due()
    assert [entry.state for entry in await owing.entries()] == ["dead"]
