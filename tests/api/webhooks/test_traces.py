"""Traces: request, command, transaction and job are one story, and nothing in it is what somebody wrote."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import httpx
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tertulia.server import tracing
from tertulia.server.domain.messages import SendMessage
from tests.api.webhooks.conftest import Site
from tests.api.webhooks.receiver import Told, answer

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
HOOKS = {"X-Twilio-Webhook-Enabled": "true"}


class Spans:
    """What was measured, by name."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()

    def __iter__(self) -> Iterator[ReadableSpan]:
        return iter(self.exporter.get_finished_spans())

    def __getitem__(self, name: str) -> ReadableSpan:
        (found,) = self.all(name)
        return found

    def all(self, name: str) -> list[ReadableSpan]:
        return [span for span in self if span.name == name]

    def forget(self) -> None:
        self.exporter.clear()


@pytest.fixture
def spans() -> Iterator[Spans]:
    spans = Spans()
    tracing.begin(SimpleSpanProcessor(spans.exporter))
    yield spans
    tracing.stop()


def trace_of(span: ReadableSpan) -> str:
    context = span.get_span_context()
    assert context is not None
    return f"{context.trace_id:032x}"


def id_of(span: ReadableSpan) -> str:
    context = span.get_span_context()
    assert context is not None
    return f"{context.span_id:016x}"


def parent_of(span: ReadableSpan) -> str | None:
    return None if span.parent is None else f"{span.parent.span_id:016x}"


def said(span: ReadableSpan) -> dict[str, object]:
    return {name.removeprefix("tertulia."): value for name, value in (span.attributes or {}).items()}


def names(told: Told, span: ReadableSpan) -> bool:
    """Whether the receiver was told that this span called him, and that it is recorded."""
    version, trace, parent, flags = told.headers["traceparent"].split("-")
    return (version, trace, parent) == ("00", trace_of(span), id_of(span)) and int(flags, 16) & 1 == 1


async def send(site: Site, room: str, body: str = "hello", **headers: str) -> httpx.Response:
    """A message by REST, with hooks on."""
    path = f"{site.account.base_url}/v1/Conversations/{room}/Messages"
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    sent = await site.account.http.post(path, data={"Body": body}, headers={**HOOKS, **named})
    assert sent.status_code == 201, sent.text
    return sent


async def test_a_webhook_call_belongs_to_the_request_that_caused_it(site: Site, spans: Spans) -> None:
    await site.hooks("onMessageAdded", post="/post")
    room = await site.room("ana")
    spans.forget()
    sent = await send(site, room)
    await site.settle()
    request, command = spans["request create_message"], spans["command SendMessage"]
    transaction, job = spans["transaction"], spans["job CallWebhook"]
    assert parent_of(request) is None
    assert parent_of(command) == id_of(request)
    assert parent_of(transaction) == id_of(command)
    assert parent_of(job) == id_of(transaction)
    assert len({trace_of(span) for span in spans}) == 1
    assert said(request)["request"] == sent.headers["Twilio-Request-Id"]
    (told,) = site.receiver.told
    assert names(told, job)


async def test_a_trace_that_is_brought_along_goes_on(site: Site, spans: Spans) -> None:
    await site.hooks("onMessageAdded", post="/post")
    room = await site.room("ana")
    spans.forget()
    await send(site, room, traceparent=f"00-{TRACE}-{PARENT}-01")
    await site.settle()
    assert {trace_of(span) for span in spans} == {TRACE}
    assert parent_of(spans["request create_message"]) == PARENT
    assert site.receiver.told[0].headers["traceparent"].startswith(f"00-{TRACE}-")


async def test_a_trace_that_others_do_not_record_is_not_recorded_here(site: Site, spans: Spans) -> None:
    await site.hooks("onMessageAdded", post="/post")
    room = await site.room("ana")
    spans.forget()
    await send(site, room, traceparent=f"00-{TRACE}-{PARENT}-00")
    await site.settle()
    assert list(spans) == []
    assert re.fullmatch(f"00-{TRACE}-[0-9a-f]{{16}}-00", site.receiver.told[0].headers["traceparent"])


@pytest.mark.parametrize("header", ["", "nonsense", f"00-{'0' * 32}-{PARENT}-01", f"00-{TRACE}-{PARENT}", "x" * 5000])
async def test_a_header_that_names_no_trace_begins_a_new_one(site: Site, spans: Spans, header: str) -> None:
    room = await site.room("ana")
    spans.forget()
    await send(site, room, traceparent=header)
    assert parent_of(spans["request create_message"]) is None
    assert trace_of(spans["request create_message"]) != TRACE


async def test_what_is_asked_before_belongs_to_the_command_as_does_its_rehearsal(site: Site, spans: Spans) -> None:
    await site.hooks("onMessageAdd", pre="/pre")
    room = await site.room("ana")
    await site.connect("ana")
    spans.forget()
    await site.do(SendMessage, by="ana", conversation=room, body="hello")
    command = spans["command SendMessage"]
    rehearsal, transaction = spans.all("transaction")
    assert (said(rehearsal)["attempt"], said(rehearsal)["outcome"]) == (0, "undone")
    assert (said(transaction)["attempt"], said(transaction)["outcome"]) == (1, "done")
    assert parent_of(rehearsal) == parent_of(transaction) == id_of(command)
    assert names(site.receiver.told[0], command)


async def test_each_attempt_at_a_job_is_a_span_of_its_own_with_its_outcome(site: Site, spans: Spans) -> None:
    await site.hooks("onMessageAdded", post="/post")
    room = await site.room("ana")
    site.receiver.respond = answer(503)
    spans.forget()
    await send(site, room)
    await site.settle()
    site.receiver.respond = answer(200)
    await site.pass_time(seconds=5)
    first, second = spans.all("job CallWebhook")
    assert (said(first)["attempt"], said(first)["outcome"]) == (1, "retry")
    assert (said(second)["attempt"], said(second)["outcome"]) == (2, "done")
    assert trace_of(first) == trace_of(second) == trace_of(spans["request create_message"])


async def test_what_a_timer_does_later_belongs_to_the_request_that_set_it(site: Site, spans: Spans) -> None:
    await site.hooks("onConversationStateUpdated", post="/post")
    spans.forget()
    await site.account.made("/Conversations", {"Timers.Inactive": "PT60S", "State": "active"})
    await site.pass_time(minutes=2)
    timer = next(span for span in spans if span.name.startswith("job ") and span.name != "job CallWebhook")
    call = spans["job CallWebhook"]
    assert trace_of(call) == trace_of(timer) == trace_of(spans["request create_conversation"])
    assert names(site.receiver.told[0], call)


def test_the_log_says_once_that_spans_get_lost_and_once_that_they_do_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    failed, went = SpanExportResult.FAILURE, SpanExportResult.SUCCESS
    outcomes = iter([went, failed, failed, went, went])

    class Wavering(InMemorySpanExporter):
        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            return next(outcomes)

    exporter = tracing.announcing(Wavering())
    with caplog.at_level("INFO"):
        assert [exporter.export([]) for _ in range(5)] == [went, failed, failed, went, went]
    assert [record.message for record in caplog.records] == ["traces.not_sent", "traces.sent"]


async def test_a_refusal_is_no_failure(site: Site, spans: Spans) -> None:
    room = await site.room("ana")
    spans.forget()
    refused = await site.account.post(f"/v1/Conversations/{room}/Participants", {"Identity": "ana"})
    assert refused.status == 409
    request, command = spans["request create_participant"], spans["command AddParticipant"]
    assert (request.attributes or {})["http.response.status_code"] == 409
    assert said(command)["outcome"] == "refused"
    assert said(spans["transaction"])["outcome"] == "undone"
    assert [span.name for span in spans if span.status.status_code.name == "ERROR"] == []


async def test_nothing_that_somebody_wrote_is_in_a_span(site: Site, spans: Spans) -> None:
    await site.hooks("onMessageAdded", "onMessageAdd", pre="/pre?key=hushhush", post="/post?key=hushhush")
    room = await site.room("hushhush", UniqueName="hushhush", FriendlyName="hushhush")
    await site.connect("hushhush")
    await site.do(SendMessage, by="hushhush", conversation="hushhush", body="hushhush", attributes='{"a":"hushhush"}')
    await send(site, "hushhush", "hushhush", tracestate="hushhush=hushhush")
    unknown = await site.account.http.request("HUSHHUSH", f"{site.account.base_url}/v1/hushhush?hushhush=1")
    assert unknown.status_code == 404
    await site.settle()
    pair = {"MessagingBinding.Address": "+15550100199", "MessagingBinding.ProxyAddress": "+15550100100"}
    await site.account.made(f"/Conversations/{room}/Participants", pair)
    everything = "".join(span.to_json() for span in spans)
    assert len(list(spans)) > 10
    words = ("hushhush", "HUSHHUSH", "15550100", "http://", site.auth_token)
    assert [word for word in words if word in everything] == []
    known = {"face", "operation", "request", "account", "command", "attempt", "kind", "job", "outcome"}
    assert {name for span in spans for name in said(span)} == {
        *known, "http.request.method", "http.response.status_code"
    }  # fmt: skip


async def test_without_traces_a_webhook_call_says_nothing_of_them(site: Site) -> None:
    await site.hooks("onMessageAdded", post="/post")
    room = await site.room("ana")
    await send(site, room, traceparent=f"00-{TRACE}-{PARENT}-01")
    await site.settle()
    assert "traceparent" not in site.receiver.told[0].headers


async def test_a_job_promised_in_a_trace_is_performed_after_traces_were_turned_off(site: Site) -> None:
    await site.hooks("onMessageAdded", post="/post")
    room = await site.room("ana")
    tracing.begin(SimpleSpanProcessor(InMemorySpanExporter()))
    await send(site, room)
    tracing.stop()
    await site.settle()
    (told,) = site.receiver.told
    assert "traceparent" not in told.headers
