"""A request inside a connection is measured as one over HTTP, in the trace that it names."""

from __future__ import annotations

from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tertulia.server import tracing

from .conftest import Here

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


async def test_requests_of_a_connection_continue_the_traces_they_name(here: Here) -> None:
    exporter = InMemorySpanExporter()
    room = await here.world.conversation("ana")
    peer = await here.peer("ana")
    tracing.begin(SimpleSpanProcessor(exporter))
    try:
        path = f"/Client/v2/Conversations/{room.sid}/Messages"
        header = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
        assert (await peer.request("POST", path, {"body": "hello"}, headers=header)).http_status == 201
        assert (await peer.get("/Client/v2/Configuration")).http_status == 200
    finally:
        tracing.stop()
    spans = {span.name: span for span in exporter.get_finished_spans()}
    named = {name: span for name, span in spans.items() if f"{span.context.trace_id:032x}" == TRACE}
    assert named.keys() == {"request send_message", "command SendMessage", "transaction"}
    request = named["request send_message"]
    assert request.parent is not None and f"{request.parent.span_id:016x}" == PARENT
    (other,) = spans.keys() - named.keys()
    assert other.startswith("request ") and spans[other].parent is None
