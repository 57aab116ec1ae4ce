"""Work owed to the outside world, written together with its reason (architecture 7)."""

from __future__ import annotations

from typing import Final

import msgspec

AGAIN: Final = "again/"
"""What the receivers of calls that are made again begin with: they get a quarter of the places that others may have."""


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A promise. Its kind is the name of its class; what it holds survives a restart as JSON.

    Jobs are imperative and self-contained: whoever performs one need not ask what was true when it was promised.
    """

    @property
    def receiver(self) -> str | None:
        """Who is called: an account's host, a push service. A slow one keeps no more than its share of workers busy.

        What calls somebody has one: all of an account together leave as many workers free as they take.
        """
        return None


class LeaseLost(Exception):
    """The attempt is no longer the job's present one: its outcome does not count, and changes nothing."""


class Promised(msgspec.Struct, frozen=True, kw_only=True):
    """A job, with when and in which order it is to be performed."""

    job: Job
    ordering_key: str | None = None
    """Jobs of one key are performed one after the other, in the order of the commits that promised them."""
    key: str | None = None
    """Names what the job is about: a waiting one of the same name is replaced."""
    due_at: int | None = None
    """UTC microseconds; None for at once."""


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One try at a job. Settling names it, so that a late one cannot overwrite its successor."""

    job_id: int
    number: int
    """From 1, over all steps of the job."""
    earlier: int = 0
    """Those that steps done before took."""
    token: str
    """The same for every attempt at a job, so that receivers can tell repeats."""
    promised_at: int
    trace: str | None = None
    """The id of the request that promised it, and with traces on the span; ``tracing.carrier`` reads it."""

    @property
    def of_step(self) -> int:
        """Which attempt at the present step this is, from 1."""
        return self.number - self.earlier
