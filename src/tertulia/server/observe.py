"""What the server says about itself: the form of its log lines, and every metric there is.

A log line is a constant event name and facts::

    log.info("request.done", extra=fields(operation="create_message", status=201, ms=3.2))

Context variables add who and where. Whatever looks like a token, a phone number or an e-mail address is masked, and
facts named like content never show (style 3: never bodies, attributes, tokens, numbers or addresses in full).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextvars import ContextVar
from functools import cache, lru_cache
from typing import Any, Literal, NamedTuple, TextIO, get_args

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily

# ----------------------------------------------------------------------------------------------------------- logs

request_id: ContextVar[str] = ContextVar("request_id", default="")
account: ContextVar[str] = ContextVar("account", default="")
connection: ContextVar[str] = ContextVar("connection", default="")
conversation: ContextVar[str] = ContextVar("conversation", default="")

_CONTEXT = (request_id, account, connection, conversation)

_CONTENT = {"address", "attributes", "auth_token", "authorization", "body", "content", "email", "friendly_name"}
_CONTENT |= {"password", "phone", "projected_address", "proxy_address", "secret", "subject", "token"}

_MASKS = (
    (re.compile(r"\beyJ[\w-]{8,}(?:\.[\w-]*){2,4}"), "[access token]"),
    (re.compile(r"\b(Basic|Bearer)\s+[\w.~+/=-]+", re.IGNORECASE), r"\1 [credentials]"),
    (re.compile(r"[\w.+-]+(?:@|%40)[\w-]+(?:\.[\w-]+)+"), "[e-mail]"),
    (re.compile(r"(?:\+|%2[Bb])\d{5,13}(\d{2})\b"), r"+…\1"),
)


def fields(**facts: object) -> dict[str, Any]:
    """Facts of a log line, for its ``extra``. Facts named like content are masked whatever their value."""
    return {"facts": {name: "***" if name in _CONTENT else value for name, value in facts.items()}}


def masked(text: str) -> str:
    """The text without tokens, credentials, phone numbers and e-mail addresses."""
    if text.isidentifier():
        return text  # what is masked has a dot, a blank or a sign in it
    # Nearly all short texts are our own words, which come again and again.
    return _masked_word(text) if len(text) <= _WORD_CHARS else _masked(text)


def _masked(text: str) -> str:
    for pattern, replacement in _MASKS:
        text = pattern.sub(replacement, text)
    return text


_masked_word = lru_cache(maxsize=1024)(_masked)
_WORD_CHARS = 40


Facts = Iterable[tuple[str, object]]


class _Formatter(logging.Formatter, ABC):
    """From a record to a line; masks whatever a library or an exception may have put into it."""

    def format(self, record: logging.LogRecord) -> str:
        facts = [
            (name, masked(value) if isinstance(value, str) else value if _is_plain(value) else masked(str(value)))
            for name, value in getattr(record, "facts", {}).items()
        ]
        trace = masked(self.formatException(record.exc_info)) if record.exc_info and record.exc_info[0] else ""
        event = masked(record.getMessage())
        return self.line(record.created, record.levelname, record.name, event, [*context(), *facts], trace)

    @abstractmethod
    def line(self, at: float, level: str, logger: str, event: str, facts: Facts, trace: str = "") -> str: ...


def context() -> Facts:
    """Who and where, as far as it is known."""
    return [(variable.name, value) for variable in _CONTEXT if (value := variable.get())]


class TextFormatter(_Formatter):
    """One line for people: moment, level, event, facts. A traceback follows on lines of its own."""

    def line(self, at: float, level: str, logger: str, event: str, facts: Facts, trace: str = "") -> str:
        words = "".join([f" {name}={_word(value)}" for name, value in facts])
        if "\n" in event or "\r" in event:
            event = event.replace("\n", "\\n").replace("\r", "\\r")
        line = f"{_moment(at)} {level:<7} {event}{words}"
        return f"{line}\n{trace}" if trace else line


class JsonFormatter(_Formatter):
    """One JSON object a line."""

    def line(self, at: float, level: str, logger: str, event: str, facts: Facts, trace: str = "") -> str:
        entry: dict[str, object] = {"at": _moment(at), "level": level.lower(), "event": event, "logger": logger}
        entry.update((name, value) for name, value in facts if name not in entry)
        if trace:
            entry["trace"] = trace
        return json.dumps(entry, ensure_ascii=False, separators=(",", ":"))


class _TickHandler(logging.StreamHandler[TextIO]):
    """Writes the lines of one tick of the event loop together; a warning or worse at once."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception:  # as every handler: what cannot be written must not stop the work
            self.handleError(record)
        else:
            self.put(line, at_once=record.levelno >= logging.WARNING)

    def put(self, line: str, *, at_once: bool = False) -> None:
        self._lines.append(line)
        if at_once or len(self._lines) >= _LINES_AT_ONCE:
            self.flush()
        elif len(self._lines) == 1:
            self._flush_soon()

    def _flush_soon(self) -> None:
        try:
            asyncio.get_running_loop().call_soon(self.flush)
        except RuntimeError:  # outside of a loop there is no tick to wait for
            self.flush()

    def flush(self) -> None:
        with self.lock or contextlib.nullcontext():
            lines, self._lines = self._lines, []
            if lines:
                self.stream.write("\n".join(lines) + "\n")
                self.stream.flush()


_LINES_AT_ONCE = 200


class _Direct(NamedTuple):
    """The way of a line that needs no record, since nobody but us looks at it."""

    handler: _TickHandler
    formatter: _Formatter


_direct: _Direct | None = None


def configure(level: str = "info", format: str = "text", stream: TextIO | None = None) -> None:
    """Log lines of the whole process go to ``stream`` (standard error) from here on, and nowhere else."""
    global _direct
    handler = _TickHandler(stream or sys.stderr)
    formatter = JsonFormatter() if format == "json" else TextFormatter()
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.captureWarnings(True)
    # No line says from which place in the code, thread or process it comes, so nobody need find out.
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    _direct = _Direct(handler, formatter)


def info(log: logging.Logger, event: str, **facts: str | float | None) -> None:
    """As ``log.info(event, extra=fields(...))``, at a fifth of its price: for what is said of every request.

    Only for facts that are words of our own and numbers: they are not masked.
    """
    if not log.isEnabledFor(logging.INFO):
        return
    if _direct is None or logging.root.handlers != [_direct.handler]:
        log.info(event, extra=fields(**facts))  # somebody else listens too
        return
    line = _direct.formatter.line(time.time(), "INFO", log.name, event, [*context(), *facts.items()])
    _direct.handler.put(line)


def _moment(at: float) -> str:
    return f"{_second(int(at))}.{int(at % 1 * 1000):03d}Z"


@lru_cache(maxsize=8)
def _second(since_1970: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(since_1970))


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, bool | int | float)


def _word(value: object) -> str:
    """A value as one word: quoted when it has blanks, quotes or anything that could start a line of its own."""
    if isinstance(value, float):
        return f"{value:.3f}".rstrip("0").rstrip(".")
    text = str(value)
    if text.isidentifier():
        return text
    is_word = text.isprintable() and not (set(text) & set(' "=')) and text
    return text if is_word else json.dumps(text, ensure_ascii=False)


# -------------------------------------------------------------------------------------------------------- metrics

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

disable_created_metrics()  # type: ignore[no-untyped-call]
REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)

_FAST = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Tally:
    """A counter that costs an addition: ``FRAMES_RECEIVED.count += 1``.

    For what happens per frame or per statement, where the library's locked counters (half a microsecond) would be
    felt. Only the thread of the event loop may add to it.
    """

    __slots__ = ("count", "name", "sentence")

    def __init__(self, name: str, sentence: str) -> None:
        self.count = 0
        self.name = name
        self.sentence = sentence
        _tallies.append(self)


_tallies: list[Tally] = []


class _TallyCollector:
    """Shows the tallies to the registry."""

    def collect(self) -> Iterator[CounterMetricFamily]:
        for tally in _tallies:
            yield CounterMetricFamily(tally.name, tally.sentence, value=tally.count)


REGISTRY.register(_TallyCollector())

_REQUESTS = Counter(
    "tertulia_requests_total",
    "Requests answered, by face (rest, client), operation and class of status.",
    ["face", "operation", "status"],
    registry=REGISTRY,
)
_REQUEST_SECONDS = Histogram(
    "tertulia_request_seconds",
    "Time from a parsed request to its answer.",
    ["face", "operation"],
    buckets=_FAST,
    registry=REGISTRY,
)
_COMMAND_SECONDS = Histogram(
    "tertulia_command_seconds",
    "Time from a command to its commit or refusal, by outcome (done, refused, failed).",
    ["command", "outcome"],
    buckets=_FAST,
    registry=REGISTRY,
)
CONNECTIONS = Gauge("tertulia_connections", "WebSocket connections that are open.", registry=REGISTRY)
SUBSCRIPTIONS = Gauge("tertulia_subscriptions", "Sync objects followed, summed over connections.", registry=REGISTRY)
CONNECTION_ENDS = Counter(
    "tertulia_connection_ends_total",
    "WebSocket connections that ended, by reason (left, lost, refused, expired, revoked, replaced, offloaded,"
    " malformed, silent, no_init).",
    ["reason"],
    registry=REGISTRY,
)
TOKENS_REFUSED = Counter(
    "tertulia_tokens_refused_total", "Access tokens refused, by error code.", ["code"], registry=REGISTRY
)
FRAMES_RECEIVED = Tally("tertulia_frames_received_total", "WebSocket messages received.")
BYTES_SENT = Tally("tertulia_bytes_sent_total", "Bytes of WebSocket messages handed to the network.")
WRITES = Tally("tertulia_writes_total", "Writes to WebSocket connections; one carries all frames of a tick.")
SYNC_EVENTS = Tally("tertulia_sync_events_total", "Numbered changes of Sync objects published.")
DELIVERIES = Tally("tertulia_deliveries_total", "Sync events put into the send queue of a connection.")
TYPING = Tally("tertulia_typing_total", "Typing notifications put into the send queue of a connection.")
REPLAYS = Tally("tertulia_replays_total", "Subscriptions that caught up from the database.")
REPLAYS_WAITING = Gauge(
    "tertulia_replays_waiting", "Batches of subscriptions waiting for their turn to catch up.", registry=REGISTRY
)
FOLLOW_GAPS = Tally(
    "tertulia_follow_gaps_total", "Gaps in the numbers of a followed object, repaired from the database."
)
SEND_QUEUE_OVERFLOWS = Tally("tertulia_send_queue_overflows_total", "Connections dropped because they read too slowly.")
STATEMENTS = Tally("tertulia_statements_total", "SQL statements run.")
COMMIT_BATCH = Histogram(
    "tertulia_commit_batch_transactions",
    "Transactions that one commit covers.",
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
    registry=REGISTRY,
)
COMMIT_SECONDS = Histogram(
    "tertulia_commit_seconds", "Time of one commit with its disk sync.", buckets=_FAST, registry=REGISTRY
)
STORAGE_FAILURES = Counter(
    "tertulia_storage_failures_total",
    "Commits lost to the disk or the database.",
    registry=REGISTRY,
)
JOBS_WAITING = Gauge(
    "tertulia_jobs_waiting",
    "Jobs that are due or behind others of their order, by kind; counted every quarter of a minute, to ten thousand.",
    ["kind"],
    registry=REGISTRY,
)
_JOBS = Counter(
    "tertulia_jobs_total",
    "Attempts at jobs that ended, by kind and outcome (done, retry, dead, lost).",
    ["kind", "outcome"],
    registry=REGISTRY,
)
_JOB_SECONDS = Histogram(
    "tertulia_job_seconds",
    "Time of one attempt at a job, settling included.",
    ["kind"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
    registry=REGISTRY,
)
PUSHES = Counter(
    "tertulia_pushes_total",
    "Devices told, by kind of notice and by what became of it (sent, gone, failed, expired, withdrawn; waiting: tried"
    " again).",
    ["notice", "state"],
    registry=REGISTRY,
)
WEBHOOKS = Counter(
    "tertulia_webhooks_total",
    "Webhook events by name and outcome (fired, passed, rejected, no_answer, not_fired).",
    ["webhook_event", "outcome"],
    registry=REGISTRY,
)
MUTATION_REPEATS = Counter(
    "tertulia_mutation_repeats_total",
    "Requests answered from the stored answer of their mutation id.",
    registry=REGISTRY,
)

MEDIA_UPLOADED = Tally("tertulia_media_uploaded_total", "Files that were uploaded whole.")
MEDIA_BYTES_UPLOADED = Tally("tertulia_media_bytes_uploaded_total", "Bytes of files that were uploaded whole.")
MEDIA_SERVED = Tally("tertulia_media_served_total", "Answers with the bytes of a file, or a part of them.")
MEDIA_BYTES_SERVED = Tally("tertulia_media_bytes_served_total", "Bytes of files handed to the network.")
MEDIA_FILES = Gauge("tertulia_media_files", "Files that there are; counted once a minute.", registry=REGISTRY)
MEDIA_BYTES = Gauge("tertulia_media_bytes", "Bytes that the files have; counted once a minute.", registry=REGISTRY)

Limit = Literal[
    "conversation_actions",
    "service_actions",
    "connections",
    "new_connections",
    "connection_requests",
    "account_requests",
    "rest_requests",
    "requests_in_flight",
    "subscriptions_waiting",
    "requests_waiting",
    "commands_waiting",
    "uploads",
]
"""What somebody can have too much of."""

_LIMITED = Counter(
    "tertulia_limited_total",
    f"Requests, commands and connections refused with 429, by limit ({', '.join(get_args(Limit))}).",
    ["limit"],
    registry=REGISTRY,
)


def refused_by(limit: Limit) -> None:
    """Somebody was told to come back later."""
    _LIMITED.labels(limit).inc()


_OUTGOING_SECONDS = Histogram(
    "tertulia_outgoing_seconds",
    "Time of one call to another machine, by outcome (2xx, 3xx, 4xx, 5xx, bad_request, busy, unresolvable,"
    " refused_address, connect_timeout, connect_failed, tls, read_timeout, total_timeout, broken, abandoned).",
    ["outcome"],
    buckets=(*_FAST, 10.0, 15.0),
    registry=REGISTRY,
)


class RequestMeter:
    """The metrics of one operation on one face, looked up once."""

    __slots__ = ("_by_class", "_face", "_operation", "_seconds")

    def __init__(self, face: str, operation: str) -> None:
        self._face = face
        self._operation = operation
        self._seconds = _REQUEST_SECONDS.labels(face, operation)
        self._by_class: dict[int, Counter] = {}

    def done(self, status: int, seconds: float) -> None:
        """One request was answered."""
        counter = self._by_class.get(status // 100)
        if counter is None:
            counter = _REQUESTS.labels(self._face, self._operation, f"{status // 100}xx")
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
            histogram = self._by_outcome[outcome] = _COMMAND_SECONDS.labels(self._command, outcome)
        histogram.observe(seconds)


class JobMeter:
    """The metrics of one kind of job, looked up once."""

    __slots__ = ("_kind", "_seconds")

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._seconds = _JOB_SECONDS.labels(kind)

    def done(self, outcome: str, seconds: float) -> None:
        """One attempt ended; ``outcome`` is one of done, retry, dead, lost."""
        _JOBS.labels(self._kind, outcome).inc()
        self._seconds.observe(seconds)


def outgoing_call(outcome: str, seconds: float) -> None:
    """One call to another machine ended; ``outcome`` is a class of status, a kind of failure, or ``abandoned``."""
    _OUTGOING_SECONDS.labels(outcome).observe(seconds)


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


def declared_metrics() -> Mapping[str, str]:
    """Every metric of ours with its sentence."""
    return {family.name: family.documentation for family in REGISTRY.collect() if family.name.startswith("tertulia_")}


def render() -> bytes:
    """All metrics in Prometheus' text format."""
    return generate_latest(REGISTRY)
