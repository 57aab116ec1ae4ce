"""Ended jobs go when they are as old as the settings say, and not before."""

from __future__ import annotations

from datetime import timedelta

from tertulia.server.domain.jobs import Attempt
from tertulia.server.jobs.housekeeping import Housekeeping
from tertulia.server.jobs.performing import GiveUp

from .owing import Call, Debtor, debtor


def housekeeping(owing: Debtor) -> Housekeeping:
    return Housekeeping(
        owing.database, owing.clock, tombstone_days=7, mutations_s=600, done_job_days=2, dead_job_days=30
    )


async def test_done_and_dead_jobs_go_when_they_are_old_and_waiting_ones_never() -> None:
    async def do(job: Call, attempt: Attempt) -> None:
        if job.text == "dead":
            raise GiveUp("no")

    async with debtor() as owing:
        owing.receiver.do = do
        await owing.owe_calls("done", "dead")
        await owing.another_worker(keep_done_days=2).run_due()
        await owing.owe_calls("waiting")
        for days, states in ((2, ["waiting", "dead", "done"]), (28, ["waiting", "dead"]), (1, ["waiting"])):
            owing.clock.advance(timedelta(days=days))
            await housekeeping(owing).trim()
            assert [entry.state for entry in await owing.entries()] == states


async def test_more_than_one_bite_goes_at_once() -> None:
    async with debtor() as owing:
        await owing.owe_calls(*(str(number) for number in range(1100)))
        await owing.another_worker(keep_done_days=2).run_due()
        owing.clock.advance(timedelta(days=3))
        assert await housekeeping(owing).trim() == 1100
        assert await owing.entries() == []
