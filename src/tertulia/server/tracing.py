"""Spans for OpenTelemetry: request, command, transaction, job. Off unless ``start`` is called (style 3, traces).

Who may begin a span looks at ``active`` first, so that off costs a look, and nothing of OpenTelemetry is imported::

    span = tracing.active.command("SendMessage", account_sid) if tracing.active is not None else None
    try: ...
    finally:
        if span is not None:
            span.end("done")

A job's row carries the trace it was promised in, so what a worker does weeks later, on another node, belongs to the
request that caused it. Attributes are words of closed sets, SIDs and numbers: never what a caller wrote.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from contextvars import Token
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
    from opentelemetry.trace import Span as OtelSpan

log = logging.getLogger(__name__)

HEADER: Final = "traceparent"
"""Carries a trace over HTTP, both ways (W3C Trace Context). ``tracestate`` is neither read nor sent."""
PATH: Final = "/v1/traces"
"""Where OTLP over HTTP is received, below an endpoint that has no path of its own."""
SEND_S: Final = 5.0
"""For one batch, tries included."""
QUEUED: Final = 2048
"""Spans that may wait to be sent; further ones push out the oldest."""
FAILED: Final = frozenset(("failed", "dead", "unsettled"))
"""Outcomes at which somebody should look."""

_PREFIX: Final = "tertulia."


class PackagesMissing(Exception):
    """Traces are wanted, and OpenTelemetry is not installed. The text says what to do."""


class Span:
    """A piece of work that is being measured. What begins before it ends, in this task, is part of it."""

    __slots__ = ("_span", "_token")

    def __init__(self, span: OtelSpan) -> None:
        from opentelemetry import context, trace

        self._span = span
        self._token: Token[Context] = context.attach(trace.set_span_in_context(span))

    def belongs_to(self, account_sid: str) -> None:
        """Whose it is, where that is known later than its beginning."""
        self._span.set_attribute(_PREFIX + "account", account_sid)

    def answered(self, status: int | None) -> None:
        """A request ended, with this status; None: without an answer."""
        if status is not None:
            self._span.set_attribute("http.response.status_code", status)
        self.end("abandoned" if status is None else "failed" if status >= 500 else "done")

    def end(self, outcome: str) -> None:
        """It is over. To be called once, in the task that began it."""
        from opentelemetry import context
        from opentelemetry.trace import StatusCode

        self._span.set_attribute(_PREFIX + "outcome", outcome)
        if outcome in FAILED:
            self._span.set_status(StatusCode.ERROR)
        self._span.end()
        context.detach(self._token)


class Tracing:
    """Begins spans."""

    def __init__(self, provider: TracerProvider) -> None:
        from opentelemetry.context import Context
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self.provider = provider
        self._tracer = provider.get_tracer("tertulia")
        self._nothing = Context()
        self._propagator = TraceContextTextMapPropagator()

    def request(self, face: str, operation: str, method: str, request_id: str, traceparent: str | None) -> Span:
        """A request from outside, in the trace that its header names."""
        from opentelemetry.trace import SpanKind

        return Span(
            self._tracer.start_span(
                f"request {operation}",
                self._remote(traceparent),
                SpanKind.SERVER,
                {
                    _PREFIX + "face": face,
                    _PREFIX + "operation": operation,
                    _PREFIX + "request": request_id,
                    "http.request.method": method,
                },
            )
        )

    def command(self, name: str, account_sid: str) -> Span:
        """A command, hooks and all tries included."""
        facts = {_PREFIX + "command": name, _PREFIX + "account": account_sid}
        return Span(self._tracer.start_span(f"command {name}", attributes=facts))

    def transaction(self, attempt: int) -> Span:
        """One transaction, commit included; ``attempt`` 0 is a rehearsal for a hook."""
        return Span(self._tracer.start_span("transaction", attributes={_PREFIX + "attempt": attempt}))

    def job(self, kind: str, job_id: int, attempt: int, account_sid: str | None, traceparent: str | None) -> Span:
        """One attempt at a job, in the trace of what promised it."""
        from opentelemetry.trace import SpanKind

        facts: dict[str, str | int] = {
            _PREFIX + "kind": kind,
            _PREFIX + "job": job_id,
            _PREFIX + "attempt": attempt,
            _PREFIX + "account": account_sid or "",
        }
        return Span(self._tracer.start_span(f"job {kind}", self._remote(traceparent), SpanKind.CONSUMER, facts))

    def traceparent(self) -> str | None:
        """Names the present span to somebody else; None where there is none."""
        from opentelemetry.trace import get_current_span

        span = get_current_span().get_span_context()
        return f"00-{span.trace_id:032x}-{span.span_id:016x}-{span.trace_flags:02x}" if span.is_valid else None

    def _remote(self, traceparent: str | None) -> Context:
        """The context of a span whose parent is elsewhere, or that has none; never that of the present task."""
        if traceparent is None:
            return self._nothing
        return self._propagator.extract({HEADER: traceparent}, self._nothing)


active: Tracing | None = None
"""What begins spans, if anything does."""


def start(endpoint: str, *, ratio: float = 1.0, version: str = "", node: str = "") -> None:
    """Send spans to this receiver of OTLP over HTTP from here on. Raises ``PackagesMissing``.

    ``ratio`` is the part of traces begun here that are sent; in others' the header decides.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise PackagesMissing(
            "traces.endpoint is set, but OpenTelemetry is not installed: pip install 'tertulia[tracing]',"
            " or unset traces.endpoint"
        ) from None
    # What it says of failures has URLs in it; ours has not.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    exporter = announcing(OTLPSpanExporter(endpoint=url_of(endpoint), timeout=SEND_S))
    begin(BatchSpanProcessor(exporter, max_queue_size=QUEUED), ratio=ratio, version=version, node=node)


def begin(processor: SpanProcessor, *, ratio: float = 1.0, version: str = "", node: str = "") -> None:
    """Hand every span to this processor of OpenTelemetry from here on."""
    global active
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio

    facts = {"service.name": "tertulia", "service.version": version, "service.instance.id": node}
    provider = TracerProvider(
        sampler=ParentBasedTraceIdRatio(ratio),
        resource=Resource.create({name: value for name, value in facts.items() if value}),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(processor)
    active = Tracing(provider)


def stop() -> None:
    """Begin no more spans; what waits is sent, for ``SEND_S`` at most."""
    global active
    if active is None:
        return
    provider, active = active.provider, None
    # In a thread of its own, for a receiver that hangs would keep us for half a minute.
    sending = threading.Thread(target=provider.shutdown, daemon=True)
    sending.start()
    sending.join(SEND_S)


def url_of(endpoint: str) -> str:
    """Where spans are sent to."""
    _, _, rest = endpoint.partition("://")
    return endpoint if rest.partition("/")[2] else endpoint.rstrip("/") + PATH


# ------------------------------------------------------------------------------------------------------ rows of jobs


def carried(request_id: str) -> str | None:
    """What a job's row says about the request that promised it: its id, and with traces on, the present span."""
    traceparent = active.traceparent() if active is not None else None
    return " ".join(filter(None, (request_id, traceparent))) or None


def carrier(trace: str | None) -> tuple[str, str | None]:
    """What ``carried`` put together: the id of the request, and the ``traceparent``."""
    if not trace:
        return "", None
    request_id, _, traceparent = trace.partition(" ")
    if "-" in request_id:  # no request had promised it
        return "", request_id
    return request_id, traceparent or None


def announcing(exporter: SpanExporter) -> SpanExporter:
    """The exporter; the log says when spans begin to get lost, and when no longer, each once."""
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

    class Announcing(SpanExporter):
        is_well = True

        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            result = exporter.export(spans)
            is_well = result is SpanExportResult.SUCCESS
            if is_well is not self.is_well:
                self.is_well = is_well
                log.log(logging.INFO if is_well else logging.WARNING, "traces.sent" if is_well else "traces.not_sent")
            return result

        def shutdown(self) -> None:
            exporter.shutdown()

    return Announcing()
