"""One connection, and servers that say what the real one never says."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Callable
from http import HTTPStatus
from pathlib import Path

import pytest

from tertulia.client import TokenReason, TokenRequest
from tertulia.client.connection import ClientRequest
from tertulia.client.errors import (
    ConnectionLostError,
    InitializationError,
    NotConnectedError,
    TokenProviderError,
    TokenRejectedError,
)
from tertulia.client.patience import Patience
from tertulia.client.states import ConnectionState
from tertulia.wire import frames, tokens
from tertulia.wire.frames import Backoff, Frame, Header, Status
from tertulia.wire.requests import Reply

from .connecting import QUICK, Line, Lines, config_of, nothing_left
from .scripted import Scripted, greeting, settle
from .secrecy import certified
from .stage import until

CONNECTING, CONNECTED = ConnectionState.CONNECTING, ConnectionState.CONNECTED


def refused(status: int, code: int | None = None, backoff: Backoff | None = None) -> Callable[[Frame], bytes]:
    """A way to answer a first frame."""
    payload = backoff.payload() if backoff else b""
    return lambda init: frames.reply(init.header.id, Status(status, "NO", "no", code), payload)


# --- frames


async def test_everything_but_replies_is_acknowledged_whatever_comes_of_it(server: Scripted, lines: Lines) -> None:
    line = await lines.connect(config_of(server.url))
    line.ear.bad = RuntimeError("the listener has a bad day")
    said = [
        frames.notification("TM01", "twilio.sync.event", b"{}"),
        frames.ping("TM02"),
        frames.client_update("TM03", "something_new"),
        frames.build(Header(method="novelty", id='TM04 "odd"')),
        frames.reply("TM05"),
        frames.close("TM06", Status(308, "OFFLOAD")),
    ]
    for message in said:
        await server.say(message)
    await until(lambda: line.ear.told == ["connected", "lost", "connected"])
    acknowledged = server.said("reply")
    assert [frame.header.id for frame in acknowledged] == ["TM01", "TM02", "TM03", 'TM04 "odd"', "TM06"]
    assert all(frame.header.status == frames.OK for frame in acknowledged)
    assert line.ear.notices == [("twilio.sync.event", b"{}")]


async def test_a_listener_that_fails_is_logged_and_heard_no_worse(
    server: Scripted, lines: Lines, caplog: pytest.LogCaptureFixture
) -> None:
    line = await lines.connect(config_of(server.url))
    line.ear.bad = RuntimeError("the listener has a bad day")
    for number in range(3):
        await server.say(frames.notification(f"TM{number}", "twilio.sync.event", b"{}"))
    assert await line.ask() == 200
    assert len(line.ear.notices) == 3 and line.ear.told == ["connected"]
    assert [record.getMessage() for record in caplog.records] == ["connection.listener_failed"] * 3


async def test_what_is_no_frame_is_passed_over(server: Scripted, lines: Lines) -> None:
    line = await lines.connect(config_of(server.url))
    for message in (b"", b"noise", "a text", b"TWILSOCK V3.0 2\r\n{}\r\n", frames.ping("TM1").decode()):
        await server.say(message)
    assert await line.ask() == 200 and line.ear.told == ["connected"]


async def test_a_large_answer_comes_whole(server: Scripted, lines: Lines) -> None:
    line = await lines.connect(config_of(server.url))
    body = b'"' + b"x" * 3_000_000 + b'"'
    server.answers.append(Reply(200, body))
    reply = await line.connection.request(ClientRequest(method="GET", url="http://any/large"), 10)
    assert reply.body == body


async def test_answers_may_come_in_any_order(server: Scripted, lines: Lines) -> None:
    line = await lines.connect(config_of(server.url))
    server.answers.extend([None] * 20)
    asked = [line.asks() for _ in range(20)]
    await until(lambda: len(server.said("message")) == 20)
    for number, frame in reversed(list(enumerate(server.said("message")))):
        await server.say(frames.tunnelled_reply(frame.header.id, Status(200 + number), {}, b"{}"))
    assert await asyncio.gather(*asked) == [200 + number for number in range(20)]


# --- sockets that do not open, or say nothing


async def test_a_gateway_that_is_busy_is_left_alone_for_as_long_as_it_says(server: Scripted, lines: Lines) -> None:
    server.refusals.append((HTTPStatus.SERVICE_UNAVAILABLE, {"Retry-After": "60"}))
    line = lines.line(config_of(server.url))
    line.connection.start_soon()
    await until(lambda: line.ear.problems)
    assert line.ear.problems[0].message == "the server refused the socket with HTTP 503"
    assert 30 < (line.connection.retries_in or 0) <= 60
    line.connection.hurry()
    await until(lambda: line.connection.state is CONNECTED)


async def test_who_does_not_speak_our_language_is_named_without_his_address(lines: Lines) -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"SSH-2.0-babble\r\n\r\n")
        writer.close()

    babbler = await asyncio.start_server(babble, "127.0.0.1", 0)
    port = babbler.sockets[0].getsockname()[1]
    line = lines.line(config_of(f"ws://127.0.0.1:{port}/secret-path?secret=query"))
    line.connection.start_soon()
    await until(lambda: len(line.ear.problems) == 2)
    for problem in line.ear.problems:
        assert not problem.terminal and "secret" not in problem.message and str(port) not in problem.message
    await lines.close()
    babbler.close()
    await babbler.wait_closed()


async def test_who_never_answers_the_upgrade_is_given_up(lines: Lines) -> None:
    arrived = asyncio.Event()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.set()
        await reader.read()
        writer.close()

    silent = await asyncio.start_server(listen, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{silent.sockets[0].getsockname()[1]}"
    line = lines.line(config_of(url), Patience(opening=0.1))
    line.connection.start_soon()
    await until(lambda: line.ear.problems)
    assert arrived.is_set() and line.ear.problems[0].message == "the server did not answer in time"
    await lines.close()
    silent.close()
    await silent.wait_closed()


async def test_who_never_answers_the_greeting_is_given_up(server: Scripted, lines: Lines) -> None:
    server.welcome = lambda init: None
    line = lines.line(config_of(server.url), QUICK)
    start = asyncio.ensure_future(line.connection.start())
    await until(lambda: line.ear.problems)
    assert line.ear.problems[0].message == "the server does not answer"
    server.welcome = greeting
    await start


async def test_a_server_that_hangs_up_is_called_again(server: Scripted, lines: Lines) -> None:
    line = await lines.connect(config_of(server.url))
    server.answers.append(None)
    asked = line.asks()
    await until(lambda: server.said("message"))
    await server.hang_up()
    with pytest.raises(ConnectionLostError):
        await asked
    await until(lambda: line.ear.told.count("connected") == 2)


# --- encrypted


@pytest.fixture
async def secure(tmp_path: Path) -> AsyncIterator[tuple[Scripted, Path]]:
    """A server with a certificate that nobody has signed, and that certificate."""
    pem, context = certified(tmp_path)
    server = Scripted()
    await server.open(context)
    yield server, pem
    await server.close()


async def test_a_certificate_that_nobody_has_signed_does_not_count(secure: tuple[Scripted, Path], lines: Lines) -> None:
    server, _ = secure
    line = lines.line(config_of(server.url))
    line.connection.start_soon()
    await until(lambda: line.ear.problems)
    assert line.ear.problems[0].message.startswith("the server's certificate does not count: self")
    assert not server.heard


async def test_an_application_says_which_certificates_count(secure: tuple[Scripted, Path], lines: Lines) -> None:
    server, pem = secure
    context = ssl.create_default_context(cafile=str(pem))
    line = await lines.connect(config_of(server.url, ssl=context))
    assert await line.ask() == 200
    await lines.close()


# --- refusals and endings


@pytest.mark.parametrize("status", [429, 500, 503, 418])
async def test_a_refusal_that_may_pass_is_waited_out(server: Scripted, lines: Lines, status: int) -> None:
    server.welcome = refused(status, 51202, Backoff(60_000, 60_000))
    line = lines.line(config_of(server.url))
    start = asyncio.ensure_future(line.connection.start())
    await until(lambda: line.ear.problems)
    problem = line.ear.problems[0]
    assert (problem.terminal, problem.http_status, problem.code) == (False, status, 51202)
    assert 30 < (line.connection.retries_in or 0) <= 60
    server.welcome = greeting
    line.connection.hurry()
    await start
    assert line.ear.told == ["connected"]


@pytest.mark.parametrize("status", [401, 406, 417])
async def test_a_server_may_end_it_for_good_until_there_is_another_token(
    server: Scripted, lines: Lines, status: int
) -> None:
    line = await lines.connect(config_of(server.url))
    await server.say(frames.close("TM1", Status(status, "NO", "no more")))
    await until(lambda: line.connection.state is ConnectionState.DISCONNECTED)
    assert [(problem.terminal, problem.message) for problem in line.ear.problems] == [(True, "no more")]
    with pytest.raises(NotConnectedError):
        await line.ask()
    line.tokens.take("another")
    await line.connection.update_token("another")
    assert await line.ask() == 200 and server.said("init")[-1].header.token == "another"


async def test_an_update_the_server_has_no_time_for_goes_by_a_new_connection(server: Scripted, lines: Lines) -> None:
    line = await lines.connect(config_of(server.url))
    line.tokens.take("another")
    update = asyncio.ensure_future(line.connection.update_token("another"))
    await until(lambda: server.said("update"))
    await server.say(frames.reply(server.said("update")[0].header.id, Status(429, "NO")))
    await update
    assert line.connection.state is CONNECTED


# --- tokens that come by themselves


def provided(*given: str | Exception) -> tuple[Callable[[TokenRequest], object], list[TokenRequest]]:
    """A provider that gives these one after the other, the last again and again."""
    asked: list[TokenRequest] = []

    async def provide(request: TokenRequest) -> str:
        asked.append(request)
        token = given[min(len(asked), len(given)) - 1]
        if isinstance(token, Exception):
            raise token
        return token

    return provide, asked


def only_good(init: Frame) -> bytes:
    return (greeting if init.header.token == "good" else refused(401, 20101))(init)


async def test_a_refused_token_is_replaced(server: Scripted, lines: Lines) -> None:
    server.welcome = only_good
    provide, asked = provided("bad", "good")
    line = await lines.connect(config_of(server.url, token=None, token_provider=provide))
    assert [request.reason for request in asked] == [TokenReason.START, TokenReason.REJECTED]
    assert [problem.terminal for problem in line.ear.problems] == [False] and line.ear.told == ["connected", "renewed"]


async def test_a_start_with_tokens_of_no_use_fails_after_the_second_new_one(server: Scripted, lines: Lines) -> None:
    server.welcome = only_good
    provide, asked = provided("bad", "worse", "worst")
    line = lines.line(config_of(server.url, token=None, token_provider=provide))
    with pytest.raises(InitializationError) as failure:
        await line.connection.start()
    assert isinstance(failure.value.__cause__, TokenRejectedError) and len(asked) == 3
    with pytest.raises(NotConnectedError):
        await line.ask()


async def test_later_a_good_token_is_waited_for_and_so_do_requests(server: Scripted, lines: Lines) -> None:
    provide, asked = provided("good", "bad", "bad", "bad", "good")
    line = await lines.connect(config_of(server.url, token=None, token_provider=provide))
    server.welcome = only_good
    await server.say(frames.close("TM1", Status(410, "TOKEN_EXPIRED")))
    await until(lambda: line.connection.state is not CONNECTED)
    assert await line.ask() == 200
    assert len(asked) == 5 and asked[1].reason is TokenReason.EXPIRED and asked[4].reason is TokenReason.REJECTED
    assert [type(error) for error in line.ear.errors] == [TokenRejectedError] * 3
    assert line.ear.told == ["connected", "lost", "expired", "connected", "renewed"]


async def test_a_start_waits_for_a_provider_that_fails_for_a_while(server: Scripted, lines: Lines) -> None:
    provide, asked = provided(*[OSError("no back end")] * 7, "good")
    config = config_of(server.url, token=None, token_provider=provide, reconnect_min=0.001)
    line = await lines.connect(config)
    assert [request.attempt for request in asked] == [1, 2, 3, 4, 5, 1, 2, 3]
    assert [problem.terminal for problem in line.ear.problems] == [False]
    assert "no back end" not in line.ear.problems[0].message


async def test_a_renewal_goes_on_until_it_succeeds(server: Scripted, lines: Lines) -> None:
    provide, _ = provided("good", *[OSError("no back end")] * 12, "better")
    config = config_of(server.url, token=None, token_provider=provide, reconnect_min=0.001)
    line = await lines.connect(config)
    line.connection.renew_token(TokenReason.ABOUT_TO_EXPIRE)
    await until(lambda: "renewed" in line.ear.told)
    assert [type(error) for error in line.ear.errors] == [TokenProviderError] * 2
    assert server.said("update")[-1].header.token == "better" and server.came == 1


async def test_a_client_without_a_provider_is_told_and_renews_nothing(server: Scripted, lines: Lines) -> None:
    line = await lines.connect(config_of(server.url))
    await server.say(frames.client_update("TM1", "token_about_to_expire"))
    await until(lambda: "about to expire" in line.ear.told)
    line.connection.renew_token(TokenReason.ABOUT_TO_EXPIRE)
    await settle()
    assert not server.said("update")


# --- a server that does not say when a token ends


class _World:
    """A clock, and tokens by it."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def token(self, ttl_s: int = 3600) -> str:
        return tokens.mint(
            account_sid="AC" + "0" * 32,
            key_sid="SK" + "0" * 32,
            secret="s" * 32,
            service_sid="IS" + "0" * 32,
            identity="ana",
            now_s=self.now,
            ttl_s=ttl_s,
        )


async def line_at(world: _World, server: Scripted, lines: Lines) -> Line:
    config = config_of(server.url, token=world.token(), clock=lambda: world.now)
    return await lines.connect(config, Patience(pulse=0.01, jump=10_000))


async def test_then_the_client_tells_itself_once(server: Scripted, lines: Lines) -> None:
    world = _World()
    line = await line_at(world, server, lines)
    world.now += 3600 - 180
    await asyncio.sleep(0.05)
    assert line.ear.told == ["connected"]  # the server has a moment to say so
    world.now += 16
    await until(lambda: line.ear.told == ["connected", "about to expire"])
    await asyncio.sleep(0.05)
    assert line.ear.told == ["connected", "about to expire"]
    # And again for the next one.
    fresh = world.token()
    line.tokens.take(fresh)
    await line.connection.update_token(fresh)
    world.now += 3600 - 160
    await until(lambda: line.ear.told.count("about to expire") == 2)


async def test_then_a_client_that_was_told_does_not_tell_itself(server: Scripted, lines: Lines) -> None:
    world = _World()
    line = await line_at(world, server, lines)
    world.now += 3600 - 180
    await server.say(frames.client_update("TM1", "token_about_to_expire"))
    await until(lambda: line.ear.told == ["connected", "about to expire"])
    world.now += 60
    await asyncio.sleep(0.05)
    assert line.ear.told == ["connected", "about to expire"]


# --- the end


async def test_a_provider_may_end_the_client(server: Scripted, lines: Lines) -> None:
    made: list[Line] = []

    async def provide(request: TokenRequest) -> str:
        await made[0].connection.close()
        return "too late"

    async with nothing_left():
        made.append(lines.line(config_of(server.url, token=None, token_provider=provide)))
        await asyncio.gather(made[0].connection.start(), return_exceptions=True)
        await made[0].close()
    assert made[0].connection.state is ConnectionState.DISCONNECTED and not server.came


async def test_the_websocket_library_logs_nothing_it_carries(
    server: Scripted, lines: Lines, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    line = await lines.connect(config_of(server.url, token="the-token"))
    await line.ask()
    await line.close()
    mine = [record for record in caplog.records if record.name.startswith(("tertulia.client", "websockets.client"))]
    assert not [record for record in mine if record.levelno < logging.INFO]
