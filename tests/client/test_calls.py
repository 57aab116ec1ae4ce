"""Requests with typed answers: what is repeated, what is remembered, what an error becomes."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from tertulia.client.calls import MUTATION_ID, Calls
from tertulia.client.configuration import Configuration
from tertulia.client.errors import (
    ApiError,
    BadRequestError,
    ClientShutDownError,
    CommandTimeoutError,
    ConflictError,
    ConnectionLostError,
    ForbiddenError,
    InvalidArgumentError,
    NotConnectedError,
    NotFoundError,
    ServerError,
    ThrottledError,
    UnauthorizedError,
)
from tertulia.client.urls import segment
from tertulia.wire import requests
from tertulia.wire.requests import Reply

from .connecting import Line, Lines, config_of, nothing_left
from .scripted import Scripted
from .stage import Stage, until

CONVERSATIONS = "http://any/Client/v2/Conversations"
SOON = (("Retry-After", "0.05"),)


class Made(msgspec.Struct):
    sid: str


class Number(msgspec.Struct):
    number: int


class Time:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Phone:
    """Calls over a connection to a scripted server."""

    def __init__(self, line: Line, calls: Calls, time: Time) -> None:
        self.line = line
        self.calls = calls
        self.time = time

    async def number(self, **options: Any) -> int:
        return (await self.calls.get("http://any/number", Number, **options)).number

    async def post(self, **options: Any) -> int:
        return (await self.calls.post("http://any/number", {"a": 1}, Number, **options)).number

    def posts(self) -> asyncio.Task[int]:
        return asyncio.get_running_loop().create_task(self.post())


@pytest.fixture
async def phone(server: Scripted, lines: Lines) -> Phone:
    """Time stands still on it."""
    config = config_of(server.url, command_timeout=10)
    line, time = await lines.connect(config), Time()
    return Phone(line, Calls(line.connection, config, time), time)


def answer(number: int) -> Reply:
    return Reply(200, b'{"number":%d,"more":{}}' % number)


def mutation_ids(server: Scripted) -> list[object]:
    asked = [frame.header.http_request for frame in server.said("message")]
    return [(request.headers or {}).get(MUTATION_ID) for request in asked if request is not None]


# --- with the real server


async def test_reads_changes_and_removals_of_a_real_server(stage: Stage, lines: Lines) -> None:
    config = stage.config("ana")
    line = await lines.connect(config)
    calls = Calls(line.connection, config)
    configuration = await calls.get("/Client/v2/Configuration", Configuration)
    assert configuration.identity == "ana" and configuration.replay_s > 60
    made = await calls.post(CONVERSATIONS, {"friendly_name": "Tavern"}, Made)
    await calls.post(f"{CONVERSATIONS}/{made.sid}/Participants", {"identity": "ana"}, Made)
    await calls.post(f"{CONVERSATIONS}/{made.sid}", {"friendly_name": "The tavern"}, Made)
    await calls.delete(f"{CONVERSATIONS}/{made.sid}")
    with pytest.raises(NotFoundError) as refusal:
        await calls.get(f"{CONVERSATIONS}/{made.sid}", Made)
    assert refusal.value.status == 404 and refusal.value.code and refusal.value.body["status"] == 404


async def test_a_change_whose_answer_was_lost_is_made_once(stage: Stage, lines: Lines) -> None:
    config = stage.config("ana")
    line = await lines.connect(config)
    calls = Calls(line.connection, config)
    calls.replays_mutations_s = (await calls.get("/Client/v2/Configuration", Configuration)).replay_s
    for number in range(3):
        stage.proxy.swallow_next_answer()
        made = await calls.post(CONVERSATIONS, {"unique_name": f"tavern {number}"}, Made)
        assert made.sid.startswith("CH")
    assert await stage.world.count("conversations") == 3 and line.ear.told.count("lost") == 3


async def test_names_may_hold_anything(stage: Stage, lines: Lines) -> None:
    config = stage.config("ana")
    line = await lines.connect(config)
    calls = Calls(line.connection, config)
    for name in ("a b/é", "50%25=?&#", "..", "+"):
        made = await calls.post(CONVERSATIONS, {"unique_name": name}, Made)
        assert (await calls.get(f"{CONVERSATIONS}/{segment(name)}", Made)).sid == made.sid


# --- reads


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_a_read_is_repeated_when_the_answer_may_pass(server: Scripted, phone: Phone, status: int) -> None:
    server.answers.extend([Reply(status, b"", SOON), Reply(status, b"", SOON), answer(7)])
    assert await phone.number() == 7


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, BadRequestError),
        (401, UnauthorizedError),
        (403, ForbiddenError),
        (404, NotFoundError),
        (409, ConflictError),
        (418, ApiError),
        (500, ServerError),
    ],
)
async def test_every_other_answer_is_an_error_at_once(
    server: Scripted, phone: Phone, status: int, kind: type[ApiError]
) -> None:
    server.answers.append(requests.error_reply(status, 50001, "no"))
    with pytest.raises(kind) as refusal:
        await phone.number()
    assert type(refusal.value) is kind
    assert (refusal.value.status, refusal.value.code, refusal.value.message) == (status, 50001, "no")
    assert len(server.said("message")) == 1


@pytest.mark.parametrize("body", [b"", b"not JSON", b"[]", b'{"code":"x","message":5}'])
async def test_an_error_needs_no_body(server: Scripted, phone: Phone, body: bytes) -> None:
    server.answers.append(Reply(404, body))
    with pytest.raises(NotFoundError) as refusal:
        await phone.number()
    assert refusal.value.code is None and refusal.value.message == "Not Found"


async def test_a_read_waits_as_long_as_the_server_says_but_not_longer_than_the_whole_call_may_take(
    server: Scripted, phone: Phone
) -> None:
    server.answers.append(Reply(429, b'{"code":54009}', (("retry-after", "11"),)))
    with pytest.raises(ThrottledError) as refusal:
        await phone.number()
    assert (refusal.value.retry_after, refusal.value.code) == (11, 54009)


@pytest.mark.parametrize("told", ["", "soon", "nan", "-5", "Wed, 21 Oct 2015 07:28:00 GMT"])
async def test_what_cannot_be_read_of_a_time_is_no_time(server: Scripted, phone: Phone, told: str) -> None:
    server.answers.append(None)
    asked = asyncio.ensure_future(phone.number())
    await until(lambda: server.said("message"))
    phone.time.now += 9.5  # there is no time for the usual pause either
    await server.say(requests.tunnelled(server.said("message")[0].header.id, Reply(429, b"", (("Retry-After", told),))))
    with pytest.raises(ThrottledError) as refusal:
        await asked
    assert refusal.value.retry_after is None


async def test_a_read_is_repeated_after_a_pause_when_the_server_does_not_say(server: Scripted, phone: Phone) -> None:
    server.answers.extend([Reply(503), answer(7)])
    asked = asyncio.ensure_future(phone.number())
    await until(lambda: len(server.answers) == 1)
    await asyncio.sleep(0.05)
    assert len(server.said("message")) == 1
    assert await asked == 7


async def test_a_read_is_repeated_after_a_lost_connection(server: Scripted, phone: Phone) -> None:
    server.answers.extend([None, None, answer(7)])
    asked = asyncio.ensure_future(phone.number())
    for count in (1, 2):
        await server.hears(count)
        await server.hang_up()
    assert await asked == 7


async def test_a_read_without_an_answer_fails_in_time(server: Scripted, lines: Lines) -> None:
    config = config_of(server.url, command_timeout=0.1)
    line = await lines.connect(config)
    calls = Calls(line.connection, config)
    server.answers.append(None)
    with pytest.raises(CommandTimeoutError):
        await calls.get("http://any/number", Number)


async def test_an_answer_of_another_shape_is_the_servers_fault_and_not_shown(server: Scripted, phone: Phone) -> None:
    server.answers.extend([Reply(200, b'{"number":"s3cret"}'), Reply(200, b"s3cret"), Reply(200)])
    for _ in range(3):
        with pytest.raises(ServerError) as refusal:
            await phone.number()
        assert "s3cret" not in str(refusal.value)


async def test_parameters_are_encoded_once(server: Scripted, phone: Phone) -> None:
    server.answers.append(answer(1))
    await phone.number(params={"Key": "a b=é&"})
    [said] = server.said("message")
    assert said.header.http_request is not None
    assert said.header.http_request.params == {"Key": "a%20b%3D%C3%A9%26"}


# --- what is remembered


async def test_an_answer_is_remembered_for_as_long_as_one_likes(server: Scripted, phone: Phone) -> None:
    server.answers.extend([answer(1), answer(2), answer(3), answer(4)])
    assert await phone.number(max_age=5) == 1
    phone.time.now += 4.9
    assert await phone.number(max_age=5) == 1
    assert await phone.number(max_age=4) == 2
    phone.time.now += 5
    assert await phone.number(max_age=5) == 3
    assert await phone.number() == 4
    assert await phone.number(max_age=5) == 3


async def test_other_parameters_are_another_question(server: Scripted, phone: Phone) -> None:
    server.answers.extend([answer(1), answer(2)])
    assert await phone.number(max_age=5, params={"a": "1"}) == 1
    assert await phone.number(max_age=5, params={"a": "2"}) == 2


async def test_who_asks_meanwhile_shares_the_answer_also_if_the_first_gives_up(server: Scripted, phone: Phone) -> None:
    server.answers.append(None)
    asked = [asyncio.ensure_future(phone.number(max_age=5)) for _ in range(5)]
    await until(lambda: server.said("message"))
    asked[0].cancel()
    await server.say(requests.tunnelled(server.said("message")[0].header.id, answer(7)))
    assert await asyncio.gather(*asked[1:]) == [7] * 4
    assert len(server.said("message")) == 1


async def test_an_error_is_shared_and_not_remembered(server: Scripted, phone: Phone) -> None:
    server.answers.extend([Reply(404), answer(7)])
    outcomes = await asyncio.gather(*(phone.number(max_age=5) for _ in range(3)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [NotFoundError] * 3
    assert await phone.number(max_age=5) == 7


# --- changes


async def test_a_change_has_an_id_of_its_own_or_its_makers(server: Scripted, phone: Phone) -> None:
    server.answers.extend([answer(1), answer(2), Reply(204), answer(3)])
    await phone.post()
    await phone.post()
    await phone.calls.delete("http://any/number")
    await phone.post(mutation_id="mine")
    ids = mutation_ids(server)
    assert len(set(ids)) == 4 and ids[3] == "mine"
    sent = server.said("message")
    assert [frame.payload for frame in sent] == [b'{"a":1}', b'{"a":1}', b"{}", b'{"a":1}']
    assert all(frame.header.payload_type == "application/json; charset=utf-8" for frame in sent)


async def test_a_change_is_not_repeated_for_a_server_that_would_make_it_twice(server: Scripted, phone: Phone) -> None:
    server.answers.extend([Reply(503, b"", SOON), None])
    with pytest.raises(ServerError):
        await phone.post()
    posted = phone.posts()
    await until(lambda: len(server.said("message")) == 2)
    await server.hang_up()
    with pytest.raises(ConnectionLostError):
        await posted
    assert len(server.said("message")) == 2


@pytest.mark.parametrize("status", [502, 503, 504])
async def test_a_change_is_repeated_under_its_id_while_the_server_knows_it(
    server: Scripted, phone: Phone, status: int
) -> None:
    phone.calls.replays_mutations_s = 600
    server.answers.extend([Reply(status, b"", SOON), None, None, answer(7)])
    posted = phone.posts()
    for count in (2, 3):
        await server.hears(count)
        await server.hang_up()
    assert await posted == 7
    ids = mutation_ids(server)
    assert len(ids) == 4 and len(set(ids)) == 1


@pytest.mark.parametrize("status", [400, 403, 404, 409, 429, 500])
async def test_a_change_that_was_refused_is_not_repeated(server: Scripted, phone: Phone, status: int) -> None:
    phone.calls.replays_mutations_s = 600
    server.answers.append(Reply(status, b"", SOON))
    with pytest.raises(ApiError) as refusal:
        await phone.post()
    assert refusal.value.status == status and len(server.said("message")) == 1


async def test_a_change_is_not_repeated_when_the_server_has_forgotten_it(server: Scripted, phone: Phone) -> None:
    phone.calls.replays_mutations_s = 5
    server.answers.append(None)
    posted = phone.posts()
    await until(lambda: server.said("message"))
    phone.time.now += 5
    await server.hang_up()
    with pytest.raises(ConnectionLostError):
        await posted
    assert len(server.said("message")) == 1


async def test_a_change_with_an_id_of_its_makers_is_his_to_repeat(server: Scripted, phone: Phone) -> None:
    phone.calls.replays_mutations_s = 600
    server.answers.append(Reply(503, b"", SOON))
    with pytest.raises(ServerError):
        await phone.post(mutation_id="mine")
    assert len(server.said("message")) == 1


async def test_a_change_that_may_have_been_made_is_never_called_unsent(server: Scripted, lines: Lines) -> None:
    config = config_of(server.url, command_timeout=0.2, reconnect_min=60, reconnect_max=60)
    line = await lines.connect(config)
    calls = Calls(line.connection, config)
    calls.replays_mutations_s = 600
    server.answers.append(None)
    posted = asyncio.ensure_future(calls.post("http://any/number", {}, Number))
    await until(lambda: server.said("message"))
    await server.hang_up()
    with pytest.raises(ConnectionLostError):
        await posted
    # One that never went out is called so.
    with pytest.raises(NotConnectedError):
        await calls.post("http://any/number", {}, Number)


@pytest.mark.parametrize("where", ["http://elsewhere/number/7", "/number/7", "number/7"])
async def test_what_is_done_elsewhere_is_fetched_there(server: Scripted, phone: Phone, where: str) -> None:
    server.answers.extend([Reply(202, b'{"resource_url":"%s"}' % where.encode()), Reply(503, b"", SOON), answer(7)])
    assert await phone.post() == 7
    asked = [frame.header.http_request for frame in server.said("message")]
    assert [(request.method, request.path) for request in asked if request] == [
        ("POST", "/number"),
        ("GET", "/number/7"),
        ("GET", "/number/7"),
    ]


async def test_a_delete_has_no_answer(server: Scripted, phone: Phone) -> None:
    server.answers.extend([Reply(204), Reply(200, b"{}"), Reply(404)])
    await phone.calls.delete("http://any/number")
    await phone.calls.delete("http://any/number", {"why": "because"})
    assert server.said("message")[1].payload == b'{"why":"because"}'
    with pytest.raises(NotFoundError):
        await phone.calls.delete("http://any/number")


async def test_typing_is_said_once_whatever_comes_of_it(server: Scripted, phone: Phone) -> None:
    phone.calls.replays_mutations_s = 600
    server.answers.extend([answer(6), Reply(503, b"", SOON)])
    assert (await phone.calls.post_form("http://any/typing", "ConversationSid=CH1", Number)).number == 6
    with pytest.raises(ServerError):
        await phone.calls.post_form("http://any/typing", "ConversationSid=CH1", Number)
    said = server.said("message")
    assert len(said) == 2 and said[0].payload == b"ConversationSid=CH1"
    assert said[0].header.payload_type == "application/x-www-form-urlencoded"


async def test_a_request_that_no_server_takes_is_refused_here(phone: Phone) -> None:
    with pytest.raises(InvalidArgumentError):
        await phone.calls.post("http://any/number", {"text": "x" * 1_100_000}, Number)


# --- the end


async def test_the_end_comes_at_once_for_whoever_waits_to_repeat(server: Scripted, lines: Lines) -> None:
    async with nothing_left():
        config = config_of(server.url)
        line = await lines.connect(config)
        calls = Calls(line.connection, config)
        server.answers.extend([Reply(429, b"", (("Retry-After", "20"),)), Reply(503, b"", (("Retry-After", "20"),))])
        asked = [asyncio.ensure_future(calls.get("http://any/number", Number, max_age=age)) for age in (0, 5)]
        await until(lambda: not server.answers)
        await line.close()
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [ClientShutDownError] * 2
