"""Between the worker and those who know how to do a kind of job."""

from __future__ import annotations

import enum
from typing import Final, Protocol, TypeVar

from msgspec import Struct

from tertulia.server.domain.jobs import Attempt, Job

from .retry import RetryPolicy

J_contra = TypeVar("J_contra", bound=Job, contravariant=True)


class TryAgain(Exception):
    """The attempt failed, another may succeed: after ``after_s``, or as the retry policy says.

    ``why`` is kept with the job and shown: a sentence of ours, without content, addresses or secrets. What
    ``is_expected`` is nobody's trouble: the log does not warn of it.
    """

    def __init__(self, why: str, after_s: float | None = None, *, is_expected: bool = False) -> None:
        super().__init__(why)
        self.why = why
        self.after_s = after_s
        self.is_expected = is_expected


class GiveUp(Exception):
    """No attempt will succeed. ``why`` as in ``TryAgain``."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Settled(enum.Enum):
    """What a performer returns that has settled the job itself, inside a command (``settling=attempt``)."""

    IN_COMMAND = "in_command"


SETTLED: Final = Settled.IN_COMMAND


class CarryOn(Struct, frozen=True):
    """What a performer returns that has done one step of a long job: what follows takes its place in the order."""

    following: Job


class Performer(Protocol[J_contra]):
    """Does jobs of one kind; the same object does many at a time."""

    def policy(self, job: J_contra, /) -> RetryPolicy:
        """How often and when the job is tried again."""
        ...

    async def __call__(self, job: J_contra, attempt: Attempt, /) -> Settled | CarryOn | None:
        """Do it. What it returns says whether the worker has to settle the job: ``None``, or not: ``SETTLED``;
        or that it goes on: ``CarryOn``.

        Raises ``TryAgain`` and ``GiveUp``; ``LeaseLost`` passes through. Any other exception is a mistake of ours,
        logged, and counts as ``TryAgain``. It is cancelled at the worker's time limit, which ends before the lease.
        """
        ...
