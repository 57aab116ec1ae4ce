"""Log lines carry facts and no content; metrics count what they say."""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import Counter, Gauge, Histogram

from tertulia.server import observe
from tertulia.server.observe import fields, metrics

log = logging.getLogger("tertulia.test")


class Lines(io.StringIO):
    def last(self) -> str:
        return self.getvalue().splitlines()[-1]


@pytest.fixture
def lines() -> Iterator[Lines]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = Lines()
    observe.configure("info", "text", stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)


def in_json(lines: Lines) -> None:
    observe.configure("info", "json", lines)


def test_a_text_line_has_moment_level_event_and_facts(lines: Lines) -> None:
    log.info("request.done", extra=fields(operation="create_message", status=201, ms=3.25, cursor=None))
    assert lines.last()[:4].isdigit()
    assert lines.last()[23:] == "Z INFO    request.done operation=create_message status=201 ms=3.25 cursor=None"


def test_a_json_line_has_the_same(lines: Lines) -> None:
    in_json(lines)
    log.warning("job.again", extra=fields(attempt=2, kind="push"))
    entry = json.loads(lines.last())
    assert entry.pop("at").endswith("Z")
    assert entry == {"level": "warning", "event": "job.again", "logger": "tertulia.test", "attempt": 2, "kind": "push"}


def test_context_is_added_to_every_line(lines: Lines) -> None:
    token = observe.request_id.set("RQ1")
    try:
        log.info("request.done")
    finally:
        observe.request_id.reset(token)
    assert lines.last().endswith("request.done request_id=RQ1")


def test_nothing_below_the_level_is_written(lines: Lines) -> None:
    log.debug("noise")
    assert lines.getvalue() == ""


def test_a_fact_cannot_start_a_line_of_its_own(lines: Lines) -> None:
    log.info("request.done", extra=fields(path="/x\n2026-01-01 ERROR forged", agent='a "b"'))
    assert len(lines.getvalue().splitlines()) == 1
    assert "\\n2026" in lines.last()


@pytest.mark.parametrize("format", ["text", "json"])
@pytest.mark.parametrize(
    ("value", "leak"),
    [
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJBQyJ9.c2lnbmF0dXJl", "eyJ"),
        ("eyJhbGciOiJkaXIifQ..aXY.Y2lwaGVy.dGFn", "eyJ"),
        ("Authorization: Basic QUM6c2VjcmV0", "QUM6"),
        ("ana@example.org was added", "ana@"),
        ("/Users/ana%40example.org", "ana%40"),
        ("to +15017122661", "+1501712"),
        ("/Participants/whatsapp:%2B15017122661", "15017122"),
    ],
)
@pytest.mark.owner_demand(15)
def test_tokens_credentials_addresses_and_numbers_are_masked(lines: Lines, format: str, value: str, leak: str) -> None:
    observe.configure("info", format, lines)
    log.info("refused", extra=fields(detail=value))
    log.info("refused %s", value)
    log.info("refused", extra=fields(detail=[value]))
    try:
        raise ValueError(value)
    except ValueError:
        log.exception("failed")
    assert leak not in lines.getvalue()


def test_facts_named_like_content_never_show(lines: Lines) -> None:
    log.info("message.added", extra=fields(body="good evening", attributes='{"a":1}', token="abc", index=3))
    assert lines.last().endswith("message.added body=*** attributes=*** token=*** index=3")


def test_a_fact_cannot_replace_the_event(lines: Lines) -> None:
    in_json(lines)
    log.info("real", extra=fields(event="forged"))
    assert json.loads(lines.last())["event"] == "real"


def test_a_traceback_follows_its_line(lines: Lines) -> None:
    try:
        raise KeyError("missing")
    except KeyError:
        log.exception("request.failed")
    first, *rest = lines.getvalue().splitlines()
    assert "ERROR   request.failed" in first
    assert rest[-1] == "KeyError: 'missing'"


def test_warnings_of_python_become_log_lines(lines: Lines) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        observe.configure("info", "text", lines)
        warnings.warn("old thing", stacklevel=1)
    assert "old thing" in lines.getvalue()


def value_of(line: str) -> float:
    found = [text for text in observe.render().decode().splitlines() if text.startswith(line + " ")]
    return float(found[0].rsplit(" ", 1)[1]) if found else 0.0


def test_a_request_is_counted_by_face_operation_and_class_of_status() -> None:
    meter = observe.request_meter("rest", "test_operation")
    assert meter is observe.request_meter("rest", "test_operation")
    meter.done(201, 0.002)
    meter.done(204, 0.002)
    meter.done(404, 0.002)
    assert value_of('tertulia_requests_total{face="rest",operation="test_operation",status="2xx"}') == 2
    assert value_of('tertulia_requests_total{face="rest",operation="test_operation",status="4xx"}') == 1
    assert value_of('tertulia_request_seconds_count{face="rest",operation="test_operation"}') == 3
    assert value_of('tertulia_request_seconds_bucket{face="rest",le="0.001",operation="test_operation"}') == 0


def test_a_command_is_counted_by_name_and_outcome() -> None:
    observe.command_meter("TestCommand").done("done", 0.001)
    observe.command_meter("TestCommand").done("refused", 0.001)
    assert value_of('tertulia_command_seconds_count{command="TestCommand",outcome="done"}') == 1
    assert value_of('tertulia_command_seconds_count{command="TestCommand",outcome="refused"}') == 1


def test_a_tally_shows_as_a_counter() -> None:
    before = value_of("tertulia_deliveries_total")
    observe.DELIVERIES.count += 1000
    assert value_of("tertulia_deliveries_total") == before + 1000
    assert b"# TYPE tertulia_deliveries_total counter" in observe.render()


def test_the_process_is_measured_too() -> None:
    assert value_of("process_resident_memory_bytes") > 0


def test_every_metric_is_counted_somewhere() -> None:
    package = Path(observe.__file__).parent
    source = "".join(path.read_text() for path in package.parent.rglob("*.py") if path.parent != package)
    by_meters = (package / "meters.py").read_text()
    kinds = (observe.Tally, Counter, Gauge, Histogram)
    found = [name for name, value in vars(metrics).items() if isinstance(value, kinds)]
    assert found
    assert [name for name in found if f"observe.{name}." not in source and f"{name}.labels(" not in by_meters] == []
