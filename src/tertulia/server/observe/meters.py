"""What has to be counted and timed at once: requests, commands, jobs, calls, refusals."""

from __future__ import annotations

from functools import cache

from prometheus_client import Counter, Histogram

from .metrics import COMMAND_SECONDS, JOB_SECONDS, JOBS, LIMITED, OUTGOING_SECONDS, REQUEST_SECONDS, REQUESTS, Limit


def refused_by(limit: Limit) -> None:
    """Somebody was told to come back later."""
    LIMITED.labels(limit).inc()


class RequestMeter:
    """The metrics of one operation on one face, looked up once."""

    __slots__ = ("_by_class", "_face", "_operation", "_seconds")

    def __init__(self, face: str, operation: str) -> None:
        self._face = face
        self._operation = operation
        self._seconds = REQUEST_SECONDS.labels(face, operation)
        self._by_class: dict[int, Counter] = {}

    def done(self, status: int, seconds: float) -> None:
        """One request was answered."""
        counter = self._by_class.get(status // 100)
        if counter is None:
            counter = REQUESTS.labels(self._face, self._operation, f"{status // 100}xx")
            self._by_class[status // 100] = counter
        counter.inc()
        self._seconds.observe(seconds)


class CommandMeter:
    """The metrics of one kind of command, looked up once."""

    __slots__ = ("_by_outcome", "_command")

    def __init__(self, command: str) -> None:
        self._command = command
        self._by_outcome: dict[str, Histogram] = {}

    def done(self, outcome: str, seconds: float) -> None:
        """One command ended; ``outcome`` is one of done, refused, failed."""
        histogram = self._by_outcome.get(outcome)
        if histogram is None:
            histogram = self._by_outcome[outcome] = COMMAND_SECONDS.labels(self._command, outcome)
        histogram.observe(seconds)


class JobMeter:
    """The metrics of one kind of job, looked up once."""

    __slots__ = ("_kind", "_seconds")

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._seconds = JOB_SECONDS.labels(kind)

    def done(self, outcome: str, seconds: float) -> None:
        """One attempt ended; ``outcome`` is one of done, retry, dead, lost."""
        JOBS.labels(self._kind, outcome).inc()
        self._seconds.observe(seconds)


def outgoing_call(outcome: str, seconds: float) -> None:
    """One call to another machine ended; ``outcome`` is a class of status, a kind of failure, or ``abandoned``."""
    OUTGOING_SECONDS.labels(outcome).observe(seconds)


@cache
def request_meter(face: str, operation: str) -> RequestMeter:
    """The meter of an operation; always the same for the same names, which come from the table of operations."""
    return RequestMeter(face, operation)


@cache
def command_meter(command: str) -> CommandMeter:
    """The meter of a kind of command; always the same for the same name."""
    return CommandMeter(command)


@cache
def job_meter(kind: str) -> JobMeter:
    """The meter of a kind of job; always the same for the same name, which comes from the table of performers."""
    return JobMeter(kind)
