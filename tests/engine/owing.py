"""A worker with performers of a test, and what it did."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from tertulia.server.clock import ManualClock
from tertulia.server.domain.jobs import Attempt, Job, Promised
from tertulia.server.jobs.performing import CarryOn, Settled
from tertulia.server.jobs.retry import RetryPolicy
from tertulia.server.jobs.worker import Worker
from tertulia.server.settings import JobsSettings
from tertulia.server.storage.migrate import migrate
from tertulia.server.storage.outbox import Outbox
from tertulia.server.storage.outbox_entries import OutboxEntries, OutboxEntry
from tertulia.server.storage.sqlite import SqliteDatabase

POLICY = RetryPolicy(attempts=3, first_wait_s=10, factor=2, jitter=0)


class Call(Job, frozen=True, kw_only=True):
    """What these tests owe."""

    text: str
    host: str | None = None

    @property
    def receiver(self) -> str | None:
        return self.host


class Strange(Job, frozen=True, kw_only=True):
    """A kind that no performer knows."""


Doing = Callable[[Call, Attempt], Awaitable[Settled | CarryOn | None]]


class Receiver:
    """Performs calls as the test says, and remembers what succeeded."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.attempts: list[Attempt] = []
        self.do: Doing | None = None
        self.retry = POLICY
        self.at_work = 0
        self.most_at_work = 0

    def policy(self, job: Call) -> RetryPolicy:
        return self.retry

    async def __call__(self, job: Call, attempt: Attempt) -> Settled | CarryOn | None:
        self.attempts.append(attempt)
        self.at_work += 1
        self.most_at_work = max(self.most_at_work, self.at_work)
        try:
            settled = await self.do(job, attempt) if self.do is not None else None
        finally:
            self.at_work -= 1
        self.heard.append(job.text)
        return settled


class Debtor:
    """A database with an outbox, a receiver, and workers between them."""

    def __init__(self, database: SqliteDatabase) -> None:
        self.database = database
        self.clock = ManualClock()
        self.receiver = Receiver()
        self._tokens = itertools.count(1)
        self.worker = self.another_worker()

    def another_worker(
        self, *, database: Any = None, receiver: Receiver | None = None, grace_s: float = 5.0, **settings: Any
    ) -> Worker:
        return Worker(
            database or self.database,
            self.clock,
            {Call: receiver or self.receiver},
            JobsSettings(**{"poll_s": 60, **settings}),
            grace_s=grace_s,
        )

    async def owe(self, *promised: Promised) -> None:
        async with self.database.transaction() as connection:
            await Outbox(connection).promise(
                promised, self.clock.now(), new_token=lambda: f"token {next(self._tokens)}", trace="RQ7"
            )

    async def owe_calls(self, *texts: str, order: str | None = None, host: str | None = None) -> None:
        await self.owe(*(Promised(job=Call(text=text, host=host), ordering_key=order) for text in texts))

    async def entries(self, **wanted: Any) -> list[OutboxEntry]:
        async with self.database.snapshot() as connection:
            return await OutboxEntries(connection).page(limit=1000, **wanted)


@asynccontextmanager
async def debtor() -> AsyncIterator[Debtor]:
    database = SqliteDatabase(None)
    await database.open()
    try:
        await migrate(database)
        yield Debtor(database)
    finally:
        await database.close()


async def until(is_so: Callable[[], bool]) -> None:
    """As soon as it is so: the loop runs what is ready until then."""
    async with asyncio.timeout(10):
        while not is_so():  # noqa: ASYNC110 (what is waited for has no event)
            await asyncio.sleep(0)
