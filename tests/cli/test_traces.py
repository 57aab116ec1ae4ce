"""Traces of a server as it is run: where they are sent, what happens without a receiver or the packages."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.cli.command import WITHIN_S, Server, environment, refusal, run, serving

WITHOUT_OPENTELEMETRY = (
    "import sys; sys.modules['opentelemetry'] = None; from tertulia.cli.main import main; sys.exit(main())"
)
"""The command, where the import of OpenTelemetry fails as if it were not installed."""


class Collector:
    """Receives OTLP over HTTP."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.received: list[ExportTraceServiceRequest] = []
        self.hangs = False

    @property
    def spans(self) -> list[Span]:
        scopes = (scope for one in self.received for each in one.resource_spans for scope in each.scope_spans)
        return [span for scope in scopes for span in scope.spans]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while line := (await reader.readline()).decode():
                length = 0
                while (field := (await reader.readline()).decode().strip().lower()) != "":
                    if field.startswith("content-length:"):
                        length = int(field.partition(":")[2])
                body = await reader.readexactly(length)
                self.paths.append(line.split()[1])
                self.received.append(ExportTraceServiceRequest.FromString(body))
                if self.hangs:
                    await asyncio.Event().wait()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n")
                await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def collecting() -> AsyncIterator[tuple[Collector, str]]:
    """A collector, and its endpoint."""
    collector = Collector()
    connections: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        with contextlib.suppress(asyncio.CancelledError):
            await collector.serve(reader, writer)
        writer.close()

    listening = await asyncio.start_server(connected, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    try:
        yield collector, f"http://127.0.0.1:{port}"
    finally:
        listening.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
        await listening.wait_closed()


async def make_a_conversation(server: Server) -> None:
    """By REST, in the trace ``11…11``."""
    known = await asyncio.to_thread(server.credentials)
    async with httpx.AsyncClient(trust_env=False, timeout=WITHIN_S) as http:
        made = await http.post(
            f"{server.base_url}/v1/Conversations",
            auth=(known.account_sid, known.auth_token),
            headers={"traceparent": f"00-{'1' * 32}-{'2' * 16}-01"},
        )
    assert made.status_code == 201, made.text


async def test_a_server_sends_its_spans_to_the_endpoint(tmp_path: Path) -> None:
    async with collecting() as (collector, endpoint):
        with serving(tmp_path / "data", variables={"TERTULIA_TRACES_ENDPOINT": endpoint}) as server:
            await make_a_conversation(server)
            assert await asyncio.to_thread(server.stop) == 0  # which sends what waits
    assert set(collector.paths) == {"/v1/traces"}
    (resource,) = {
        tuple((fact.key, fact.value.string_value) for fact in each.resource.attributes)
        for one in collector.received
        for each in one.resource_spans
    }
    assert dict(resource)["service.name"] == "tertulia"
    by_name = {span.name: span for span in collector.spans if span.trace_id == bytes.fromhex("1" * 32)}
    assert by_name.keys() == {"request create_conversation", "command CreateConversation", "transaction"}
    request, command = by_name["request create_conversation"], by_name["command CreateConversation"]
    assert request.parent_span_id == bytes.fromhex("2" * 16)
    assert command.parent_span_id == request.span_id
    assert by_name["transaction"].parent_span_id == command.span_id


async def test_a_ratio_of_zero_sends_only_the_traces_of_others(tmp_path: Path) -> None:
    async with collecting() as (collector, endpoint):
        variables = {"TERTULIA_TRACES_ENDPOINT": f"{endpoint}/elsewhere", "TERTULIA_TRACES_RATIO": "0"}
        with serving(tmp_path / "data", variables=variables) as server:
            await make_a_conversation(server)
            async with httpx.AsyncClient(trust_env=False, timeout=WITHIN_S) as http:
                assert (await http.get(f"{server.base_url}/v1/Conversations")).status_code == 401
            assert await asyncio.to_thread(server.stop) == 0
    assert set(collector.paths) == {"/elsewhere"}
    assert {span.trace_id for span in collector.spans} == {bytes.fromhex("1" * 32)}


@pytest.mark.parametrize("hangs", [True, False], ids=["that hangs", "that is not there"])
async def test_a_server_works_and_stops_without_the_receiver_of_its_spans(tmp_path: Path, hangs: bool) -> None:
    async with collecting() as (collector, endpoint):
        collector.hangs = hangs
        variables = {"TERTULIA_TRACES_ENDPOINT": endpoint if hangs else "http://127.0.0.1:9"}
        with serving(tmp_path / "data", variables=variables) as server:
            await make_a_conversation(server)
            assert await asyncio.to_thread(server.stop) == 0
            assert "127.0.0.1" not in "".join(line for line in server.log.splitlines() if "traces" in line)


def test_an_endpoint_without_the_packages_says_which_extra_is_missing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_OPENTELEMETRY, "serve", "--port", "0", "--data", str(tmp_path / "data")],
        env=environment(TERTULIA_TRACES_ENDPOINT="http://127.0.0.1:9"),
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
    )
    assert "tertulia[tracing]" in refusal(done)
    assert not (tmp_path / "data").exists()


def test_nothing_of_opentelemetry_is_imported_when_traces_are_off(tmp_path: Path) -> None:
    program = f"{WITHOUT_OPENTELEMETRY.rpartition(';')[0]}; main(); print('imported', *sys.modules, flush=True)"
    process = subprocess.Popen(
        [sys.executable, "-c", program, "serve", "--port", "0", "--data", str(tmp_path / "data")],
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        lines = iter(process.stdout)
        base_url = next(line for line in lines if "REST" in line).split()[-1]
        next(line for line in lines if "Credentials" in line)
        assert httpx.get(f"{base_url}/v1/Conversations", trust_env=False, timeout=WITHIN_S).status_code == 401
        process.terminate()
        imported = next(line for line in lines if line.startswith("imported")).split()
    assert process.returncode == 0
    assert "tertulia.server.tracing" in imported
    assert [name for name in imported if name.startswith(("opentelemetry", "google.protobuf"))] == ["opentelemetry"]


@pytest.mark.parametrize(
    "endpoint", ["ftp://127.0.0.1", "http://", "http://me:secret@127.0.0.1", "http://a.test?key=secret"]
)
def test_an_endpoint_that_is_none_is_refused_without_being_quoted(tmp_path: Path, endpoint: str) -> None:
    variables = {"TERTULIA_TRACES_ENDPOINT": endpoint}
    line = refusal(run("serve", "--port", "0", "--data", tmp_path / "data", variables=variables))
    assert "TERTULIA_TRACES_ENDPOINT" in line or "traces" in line
    assert "secret" not in line
