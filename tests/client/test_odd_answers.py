"""Answers that no server should give: what a caller gets is an error of ours, and nothing piles up."""

from __future__ import annotations

import tracemalloc
from typing import Any

import msgspec
import pytest

from tertulia.client.calls import Calls
from tertulia.client.errors import BadRequestError, InvalidArgumentError, ServerError, ThrottledError
from tertulia.client.recent import MOST_BYTES, RecentAnswers
from tertulia.client.urls import segment
from tertulia.wire.requests import Reply

from .connecting import Lines, config_of
from .scripted import Scripted

URL = "http://any/number"
DEEP = b"[" * 3000 + b"]" * 3000


class Number(msgspec.Struct):
    number: int


@pytest.fixture
async def calls(server: Scripted, lines: Lines) -> Calls:
    config = config_of(server.url, command_timeout=10)
    return Calls((await lines.connect(config)).connection, config)


@pytest.mark.parametrize(
    "body",
    [
        DEEP,
        b'{"number":1,"more":%b}' % DEEP,
        b'{"number":%b}' % DEEP,
        b'{"number":1' + b"0" * 5000 + b"}",
        b'{"number":"\xff"}',
        b"\xff",
        b"",
    ],
    ids=range(7),
)
async def test_an_answer_that_cannot_be_read_is_the_fault_of_the_server(
    server: Scripted, calls: Calls, body: bytes
) -> None:
    server.answers.extend([Reply(200, body), Reply(200, body or b"[]"), Reply(202, body)])
    with pytest.raises(ServerError):
        await calls.get(URL, Number)
    for _ in range(2):
        with pytest.raises(ServerError):
            await calls.post(URL, {}, Number)


@pytest.mark.parametrize("body", [DEEP, b'{"code":50304,"message":"\xff"}', b'{"code":%b}' % DEEP], ids=range(3))
async def test_a_refusal_that_cannot_be_read_is_a_refusal(server: Scripted, calls: Calls, body: bytes) -> None:
    server.answers.append(Reply(400, body))
    with pytest.raises(BadRequestError) as refusal:
        await calls.get(URL, Number)
    assert str(refusal.value) == "400: Bad Request"


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ("30", 30),
        ("1.5", 1.5),
        ("9" * 400, 86_400),
        ("²", None),
        ("٣", None),
        ("-1", None),
        (".", None),
        ("soon", None),
    ],
    ids=lambda value: str(value)[:8],
)
async def test_a_server_says_in_seconds_when_to_come_back(
    server: Scripted, calls: Calls, told: str, seconds: float | None
) -> None:
    # A change that is throttled is not repeated.
    server.answers.append(Reply(429, b"{}", (("Retry-After", told),)))
    with pytest.raises(ThrottledError) as refusal:
        await calls.post(URL, {}, Number)
    assert refusal.value.retry_after == seconds


# --- what is asked


@pytest.mark.parametrize("value", ["\ud800", object(), {(1, 2): 3}, 10**5000], ids=range(4))
async def test_a_command_that_cannot_be_written_is_refused_before_it_is_sent(
    server: Scripted, calls: Calls, value: Any
) -> None:
    with pytest.raises(InvalidArgumentError):
        await calls.post(URL, {"a": value}, Number)
    with pytest.raises(InvalidArgumentError):
        await calls.get(URL, Number, {"a": "\udfff"})
    assert not server.said("message")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a b", "a%20b"), ("../x", "..%2Fx"), ("..", "%2E%2E"), (".", "%2E"), ("a?b#c%s", "a%3Fb%23c%25s"), ("", "")],
)
def test_a_name_is_one_part_of_a_path_and_leads_nowhere_else(text: str, expected: str) -> None:
    assert segment(text) == expected


def test_a_name_that_is_no_text_is_refused() -> None:
    for wrong in ("a\ud800", None, 5, b"a"):
        with pytest.raises(InvalidArgumentError):
            segment(wrong)  # type: ignore[arg-type]


# --- what is remembered


def test_answers_take_so_much_room_and_no_more() -> None:
    answers = RecentAnswers(lambda: 0)
    tracemalloc.start()
    for number in range(100):
        answers.keep((f"{number}", ()), bytes(1_000_000), 5)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size < MOST_BYTES + 1_000_000
    assert answers.recall(("99", ()), 5) is not None and answers.recall(("0", ()), 5) is None
    answers.keep(("large", ()), bytes(MOST_BYTES + 1), 5)
    assert answers.recall(("large", ()), 5) is None


def test_answers_go_when_their_time_is_over() -> None:
    now = 0.0
    answers = RecentAnswers(lambda: now)
    for number in range(10):
        answers.keep((f"{number}", ()), b"{}", 5)
    now = 5.0
    assert answers.recall(("another", ()), 5) is None
    assert len(answers) == 0
