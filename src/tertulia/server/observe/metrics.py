"""Every metric there is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, get_args

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

REQUESTS = Counter(
    "tertulia_requests_total",
    "Requests answered, by face (rest, client), operation and class of status.",
    ["face", "operation", "status"],
    registry=REGISTRY,
)
REQUEST_SECONDS = Histogram(
    "tertulia_request_seconds",
    "Time from a parsed request to its answer.",
    ["face", "operation"],
    buckets=_FAST,
    registry=REGISTRY,
)
COMMAND_SECONDS = Histogram(
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
JOBS = Counter(
    "tertulia_jobs_total",
    "Attempts at jobs that ended, by kind and outcome (done, retry, dead, lost).",
    ["kind", "outcome"],
    registry=REGISTRY,
)
JOB_SECONDS = Histogram(
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
CHANNEL_MESSAGES = Counter(
    "tertulia_channel_messages_total",
    "Channel messages that have left us or never will, by kind of address and state (sent, failed, withdrawn).",
    ["kind", "state"],
    registry=REGISTRY,
)
CHANNEL_REPORTS = Counter(
    "tertulia_channel_reports_total",
    "Reports of gateways about channel messages, repeats among them, by status.",
    ["status"],
    registry=REGISTRY,
)
ARRIVALS = Counter(
    "tertulia_arrivals_total",
    "Messages from outside by kind of address and outcome (heard: repeats, copies and parts among them; taken: they are"
    " in a conversation; dropped: they belong nowhere, or were rejected).",
    ["kind", "outcome"],
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

LIMITED = Counter(
    "tertulia_limited_total",
    f"Requests, commands and connections refused with 429, by limit ({', '.join(get_args(Limit))}).",
    ["limit"],
    registry=REGISTRY,
)
OUTGOING_SECONDS = Histogram(
    "tertulia_outgoing_seconds",
    "Time of one call to another machine, by outcome (2xx, 3xx, 4xx, 5xx, bad_request, busy, unresolvable,"
    " refused_address, connect_timeout, connect_failed, tls, read_timeout, total_timeout, broken, abandoned).",
    ["outcome"],
    buckets=(*_FAST, 10.0, 15.0),
    registry=REGISTRY,
)


def declared_metrics() -> Mapping[str, str]:
    """Every metric of ours with its sentence."""
    return {family.name: family.documentation for family in REGISTRY.collect() if family.name.startswith("tertulia_")}


def render() -> bytes:
    """All metrics in Prometheus' text format."""
    return generate_latest(REGISTRY)
