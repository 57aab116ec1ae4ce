"""One connection through all its sockets, with the real server behind a bad network."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tertulia.client import TokenReason, TokenRequest
from tertulia.client.connection import ClientRequest
from tertulia.client.errors import (
    ClientShutDownError,
    CommandTimeoutError,
    ConnectionLostError,
    InitializationError,
    InvalidArgumentError,
    NotConnectedError,
    TokenExpiredError,
    TokenRejectedError,
)
from tertulia.client.patience import Patience
from tertulia.client.states import ConnectionState
from tertulia.server.settings import JobsSettings, LimitsSettings, Settings, TokensSettings
from tertulia.wire import frames
from tertulia.wire.frames import Backoff
from tests.engine.world import World

from .connecting import QUICK, Lines, nothing_left
from .stage import Stage, until

CONNECTING, CONNECTED = ConnectionState.CONNECTING, ConnectionState.CONNECTED
DENIED, DISCONNECTED = ConnectionState.DENIED, ConnectionState.DISCONNECTED
DISCONNECTING = ConnectionState.DISCONNECTING


@pytest.fixture
async def lines() -> AsyncIterator[Lines]:
    lines = Lines()
    yield lines
    await lines.close()


def heard(stage: Stage, method: str) -> list[frames.Frame]:
    """What clients have said of one kind, since it is recorded."""
    said = [frames.parse(message) for message in stage.proxy.said() if message.startswith(b"TWILSOCK")]
    return [frame for frame in said if frame.header.method == method]


# --- coming up


async def test_a_connection_comes_up_and_requests_are_answered(stage: Stage, lines: Lines) -> None:
    line = await lines.connect(stage.config("ana"))
    assert line.ear.states == [CONNECTING, CONNECTED] and line.ear.told == ["connected"]
    assert await line.ask() == 200
    assert await line.ask("http://any/Client/v2/Conversations/CH00000000000000000000000000000000") == 404
    await line.connection.start()
    assert stage.proxy.accepted == 1


async def test_whoever_starts_at_the_same_time_waits_for_the_same_connection(stage: Stage, lines: Lines) -> None:
    line = lines.line(stage.config("ana"))
    await asyncio.gather(line.connection.start(), line.connection.start())
    assert stage.proxy.accepted == 1


async def test_a_start_waits_for_a_network_that_is_away(stage: Stage, lines: Lines) -> None:
    stage.proxy.refuse()
    line = lines.line(stage.config("ana"))
    start = asyncio.ensure_future(line.connection.start())
    await until(lambda: len(line.ear.problems) >= 2)
    assert not any(problem.terminal for problem in line.ear.problems)
    stage.proxy.admit()
    await start
    assert line.connection.state is CONNECTED


async def test_a_start_that_is_given_up_can_be_made_again(stage: Stage, lines: Lines) -> None:
    stage.proxy.stall()
    line = lines.line(stage.config("ana"))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await line.connection.start()
    stage.proxy.resume()
    await line.connection.start()
    assert line.connection.state is CONNECTED


async def test_the_path_and_the_parameters_arrive_as_they_were_meant(stage: Stage, lines: Lines) -> None:
    line = await lines.connect(stage.config("ana"))
    stage.proxy.record()
    stage.proxy.reset()
    await until(lambda: line.ear.told.count("connected") == 2)
    request = ClientRequest(
        method="GET",
        url="http://host:8/a%20b/%C3%A9?x=1%202&y=1&y=2",
        params={"From": "a/b=c é", "y": "3"},
        headers={"X-Our": "header"},
        content_type="text/odd",
    )
    await line.connection.request(request, 10)
    [sent] = heard(stage, "message")
    wrapped = sent.header.http_request
    assert wrapped is not None and (wrapped.host, wrapped.path) == ("host:8", "/a%20b/%C3%A9")
    assert wrapped.params == {"From": "a%2Fb%3Dc%20%C3%A9", "y": ["3", "1", "2"], "x": "1%202"}
    assert wrapped.headers == {"X-Our": "header", "Content-Type": "text/odd"}
    assert sent.header.payload_type == "text/odd" and sent.header.active_grant == "ip_messaging"


# --- coming back


async def test_a_lost_connection_comes_back_with_what_the_server_gave_it(stage: Stage, lines: Lines) -> None:
    stage.proxy.record()
    line = await lines.connect(stage.config("ana"))
    stage.proxy.reset()
    await until(lambda: line.ear.told == ["connected", "lost", "connected"])
    assert line.ear.states == [CONNECTING, CONNECTED, CONNECTING, CONNECTED] and not line.ear.problems
    first, second = heard(stage, "init")
    assert first.header.continuation_token is None and second.header.continuation_token
    assert await line.ask() == 200


async def test_requests_under_way_fail_at_once_when_the_connection_goes(stage: Stage, lines: Lines) -> None:
    line = await lines.connect(stage.config("ana"))
    stage.proxy.stall()
    asked = [line.asks() for _ in range(3)]
    await asyncio.sleep(0.02)
    stage.proxy.reset()
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ConnectionLostError] * 3
    stage.proxy.resume()


async def test_requests_wait_for_a_connection(stage: Stage, lines: Lines) -> None:
    line = lines.line(stage.config("ana"))
    early = line.asks()
    await asyncio.sleep(0)
    await line.connection.start()
    assert await early == 200
    stage.proxy.refuse()
    await until(lambda: line.connection.state is CONNECTING)
    waiting = [line.asks() for _ in range(5)]
    await asyncio.sleep(0.02)
    stage.proxy.admit()
    assert await asyncio.gather(*waiting) == [200] * 5


async def test_a_request_that_waited_in_vain_was_not_sent(stage: Stage, lines: Lines) -> None:
    line = await lines.connect(stage.config("ana"))
    stage.proxy.refuse()
    await until(lambda: line.connection.state is CONNECTING)
    with pytest.raises(NotConnectedError):
        await line.ask(timeout=0.05)
    stage.proxy.record()
    stage.proxy.admit()
    await until(lambda: line.connection.state is CONNECTED)
    assert await line.ask() == 200
    assert len(heard(stage, "message")) == 1


async def test_a_request_without_an_answer_may_have_been_done(stage: Stage, lines: Lines) -> None:
    line = await lines.connect(stage.config("ana"))
    stage.proxy.stall()
    with pytest.raises(CommandTimeoutError):
        await line.ask(timeout=0.05)
    # An answer that comes later is nobody's.
    stage.proxy.resume()
    assert await line.ask() == 200


async def test_a_request_that_is_given_up_leaves_nothing_behind(stage: Stage, lines: Lines) -> None:
    line = lines.line(stage.config("ana"))
    stage.proxy.record()
    asked = line.asks()
    await asyncio.sleep(0)
    asked.cancel()
    await line.connection.start()
    assert await line.ask() == 200 and len(heard(stage, "message")) == 1


async def test_a_request_that_no_server_takes_is_refused_and_the_connection_stays(stage: Stage, lines: Lines) -> None:
    line = await lines.connect(stage.config("ana"))
    with pytest.raises(InvalidArgumentError):
        await line.ask("http://any/" + "a" * 70_000)
    request = ClientRequest(method="POST", url="http://any/x", body=bytes(1_100_000))
    with pytest.raises(InvalidArgumentError):
        await line.connection.request(request, 10)
    assert await line.ask() == 200 and line.ear.told == ["connected"]


async def test_a_hint_skips_the_wait(stage: Stage, lines: Lines) -> None:
    line = await lines.connect(stage.config("ana", reconnect_min=60, reconnect_max=60))
    assert line.connection.retries_in is None
    stage.proxy.reset()
    await until(lambda: line.connection.retries_in is not None)
    line.connection.hurry()
    await until(lambda: line.connection.state is CONNECTED)


async def test_however_often_it_is_cut_one_connection_is_left(stage: Stage, lines: Lines) -> None:
    line = await lines.connect(stage.config("ana", reconnect_min=0.001, reconnect_max=0.01))
    updates: list[asyncio.Future[None]] = []
    for number in range(40):
        if number % 3:
            stage.proxy.reset()
        if number % 4 == 0:
            fresh = stage.token("ana", ttl_s=4000 + number)
            line.tokens.take(fresh)
            updates.append(asyncio.ensure_future(line.connection.update_token(fresh)))
        line.connection.hurry()
        await asyncio.sleep(0.003 * (number % 5))
    await asyncio.gather(*updates)
    await until(lambda: line.connection.state is CONNECTED)
    await until(lambda: stage.proxy.open_connections == 1)
    assert await line.ask() == 200


# --- silence and absence


async def test_a_socket_that_died_in_silence_is_replaced(stage: Stage, lines: Lines) -> None:
    line = await lines.connect(stage.config("ana"), QUICK)
    stage.proxy.stall()
    await until(lambda: CONNECTING in line.ear.states[1:])
    assert [problem.message for problem in line.ear.problems] == ["the server is silent"]
    stage.proxy.reset()
    stage.proxy.resume()
    await until(lambda: line.connection.state is CONNECTED)


async def test_a_socket_that_is_merely_quiet_is_kept(stage: Stage, lines: Lines) -> None:
    line = await lines.connect(stage.config("ana"), QUICK)
    await asyncio.sleep(0.5)
    assert line.ear.told == ["connected"] and stage.proxy.accepted == 1


async def test_after_an_absence_the_socket_is_asked_at_once(stage: Stage, lines: Lines) -> None:
    # The world's clock goes on without ours, as when the machine sleeps.
    patience = Patience(silence=1000, probe=0.1, pulse=0.02, jump=5)
    line = await lines.connect(stage.config("ana"), patience)
    stage.pass_time(60)
    await asyncio.sleep(0.05)
    assert line.ear.told == ["connected"]
    stage.proxy.stall()
    stage.pass_time(60)
    await until(lambda: line.ear.told == ["connected", "lost"])
    stage.proxy.reset()
    stage.proxy.resume()
    await until(lambda: line.connection.state is CONNECTED)


async def test_an_absence_ends_the_wait_for_the_next_attempt(stage: Stage, lines: Lines) -> None:
    patience = Patience(pulse=0.02, jump=5)
    line = await lines.connect(stage.config("ana", reconnect_min=60, reconnect_max=60), patience)
    stage.proxy.reset()
    await until(lambda: line.connection.state is CONNECTING)
    stage.pass_time(60)
    await until(lambda: line.connection.state is CONNECTED)


async def test_a_hint_finds_a_dead_socket(stage: Stage, lines: Lines) -> None:
    line = await lines.connect(stage.config("ana"), Patience(probe=0.05))
    line.connection.hurry()
    await asyncio.sleep(0.1)
    assert line.ear.told == ["connected"]
    stage.proxy.stall()
    line.connection.hurry()
    await until(lambda: "lost" in line.ear.told)
    stage.proxy.reset()
    stage.proxy.resume()


# --- what the server decides


async def test_a_server_that_stops_sends_its_clients_away_for_a_while(stage: Stage, lines: Lines) -> None:
    line = await lines.connect(stage.config("ana"))
    for connection in tuple(stage.server.node.connections):
        connection.offload(Backoff(60_000, 60_000))
    await until(lambda: line.ear.told == ["connected", "lost"])
    assert 30 < (line.connection.retries_in or 0) <= 60 and not line.ear.problems
    line.connection.hurry()
    await until(lambda: line.connection.state is CONNECTED)


async def test_a_server_that_is_full_is_asked_again(world: World, tmp_path: Path, lines: Lines) -> None:
    stage = Stage(world, tmp_path, Settings(jobs=JobsSettings(poll_s=60), limits=LimitsSettings(connections=1)))
    await stage.open()
    try:
        first = await lines.connect(stage.config("ana"))
        second = lines.line(stage.config("ben"))
        start = asyncio.ensure_future(second.connection.start())
        await until(lambda: second.ear.problems)
        [problem] = second.ear.problems
        assert (problem.terminal, problem.http_status, problem.code) == (False, 429, 51202)
        # It says when: not before a second has passed.
        assert (second.connection.retries_in or 0) > 0.3
        await first.close()
        second.connection.hurry()
        await start
    finally:
        await lines.close()
        await stage.close()


async def test_a_token_nobody_made_ends_the_start(stage: Stage, lines: Lines) -> None:
    token = stage.token("ana")
    line = lines.line(stage.config("ana", token=token[:-4] + "AAAA"))
    waiting = line.asks()
    await asyncio.sleep(0)
    with pytest.raises(InitializationError) as refusal:
        await line.connection.start()
    cause = refusal.value.__cause__
    assert isinstance(cause, TokenRejectedError) and (cause.status, cause.code) == (401, 20107)
    [problem] = line.ear.problems
    assert problem.terminal and problem.http_status == 401 and line.connection.state is DENIED
    with pytest.raises(NotConnectedError):
        await waiting
    # It waits for another, and for nothing else.
    assert line.connection.retries_in is None
    assert line.tokens.take(stage.token("ana", ttl_s=4000))
    await line.connection.update_token(line.tokens.current or "")
    assert line.connection.state is CONNECTED and await line.ask() == 200


async def test_a_new_token_keeps_the_connection(stage: Stage, lines: Lines) -> None:
    line = await lines.connect(stage.config("ana"))
    await line.connection.update_token(stage.token("ana", ttl_s=4000))
    assert line.ear.states == [CONNECTING, CONNECTED] and stage.proxy.accepted == 1


async def test_a_bad_new_token_leaves_the_connection_to_the_old_one(stage: Stage, lines: Lines) -> None:
    line = await lines.connect(stage.config("ana"))
    bad = stage.token("ana", ttl_s=4000)[:-4] + "AAAA"
    with pytest.raises(TokenRejectedError) as refusal:
        await line.connection.update_token(bad)
    assert bad not in str(refusal.value)
    with pytest.raises(TokenExpiredError):
        await line.connection.update_token(stage.token("ana", now_s=stage.now() - 7200, ttl_s=3600))
    assert await line.ask() == 200 and line.ear.states == [CONNECTING, CONNECTED]


async def test_a_token_of_another_user_is_refused_and_the_user_stays(stage: Stage, lines: Lines) -> None:
    line = await lines.connect(stage.config("ana"))
    with pytest.raises(TokenRejectedError) as refusal:
        await line.connection.update_token(stage.token("ben"))
    assert refusal.value.code == 51232
    reply = await line.connection.request(ClientRequest(method="GET", url="http://any/Client/v2/Configuration"), 10)
    assert b'"ana"' in reply.body and b"ben" not in reply.body


async def test_a_token_that_comes_during_an_attempt_is_the_one_that_is_used(stage: Stage, lines: Lines) -> None:
    stage.proxy.record()
    stage.proxy.stall()
    line = lines.line(stage.config("ana"))
    start = asyncio.ensure_future(line.connection.start())
    await until(lambda: stage.proxy.accepted == 1)
    newer = stage.token("ana", ttl_s=4000)
    line.tokens.take(newer)
    update = asyncio.ensure_future(line.connection.update_token(newer))
    await until(lambda: stage.proxy.accepted == 2)
    stage.proxy.resume()
    await asyncio.gather(start, update)
    assert heard(stage, "init")[-1].header.token == newer
    await until(lambda: stage.proxy.open_connections == 1)


@pytest.mark.parametrize(("on_expiry", "state"), [("reauth", DENIED), ("close", DISCONNECTED)])
async def test_when_the_token_ends_so_does_the_connection_until_there_is_another(
    world: World, tmp_path: Path, lines: Lines, on_expiry: Any, state: ConnectionState
) -> None:
    settings = Settings(jobs=JobsSettings(poll_s=60), tokens=TokensSettings(on_expiry=on_expiry))
    stage = Stage(world, tmp_path, settings)
    await stage.open()
    try:
        line = await lines.connect(stage.config("ana", token=stage.token("ana", ttl_s=3600)))
        stage.pass_time(3600 - 179)
        await until(lambda: line.ear.told == ["connected", "about to expire"])
        stage.pass_time(180)
        await until(lambda: line.connection.state is state)
        assert line.ear.told == ["connected", "about to expire", "lost", "expired"]
        with pytest.raises(NotConnectedError):
            await line.ask()
        fresh = stage.token("ana", ttl_s=3600)
        line.tokens.take(fresh)
        await line.connection.update_token(fresh)
        assert line.connection.state is CONNECTED and await line.ask() == 200
    finally:
        await lines.close()
        await stage.close()


@pytest.mark.parametrize("on_expiry", ["reauth", "close"])
async def test_with_a_provider_nobody_notices_that_a_token_ends(
    world: World, tmp_path: Path, lines: Lines, on_expiry: Any
) -> None:
    asked: list[TokenReason] = []

    async def provide(request: TokenRequest) -> str:
        asked.append(request.reason)
        return stage.token("ana", ttl_s=3600)

    settings = Settings(jobs=JobsSettings(poll_s=60), tokens=TokensSettings(on_expiry=on_expiry))
    stage = Stage(world, tmp_path, settings)
    await stage.open()
    try:
        line = await lines.connect(stage.config("ana", token_provider=provide))
        stage.pass_time(2 * 3600)
        waiting = line.asks()
        await until(lambda: line.ear.told.count("connected") == 2)
        outcome = (await asyncio.gather(waiting, return_exceptions=True))[0]
        assert outcome in (200, 401) or isinstance(outcome, ConnectionLostError)
        assert await line.ask() == 200 and not any(problem.terminal for problem in line.ear.problems)
        assert len(asked) == 2
    finally:
        await lines.close()
        await stage.close()


async def test_what_the_server_has_withdrawn_is_asked_for_again(stage: Stage, lines: Lines) -> None:
    line = await lines.connect(stage.config("ana"))
    for connection in tuple(stage.server.node.connections):
        connection.revoke()
    # The server drops the socket; what the next greeting is answered decides.
    await until(lambda: line.ear.told.count("connected") == 2)


# --- the end


async def test_the_end_leaves_no_task_no_socket_and_says_goodbye(stage: Stage, lines: Lines) -> None:
    async with nothing_left():
        stage.proxy.record()
        line = await lines.connect(stage.config("ana"))
        await line.ask()
        line.connection.hurry()
        await line.connection.close()
    await until(lambda: stage.proxy.open_connections == 0)
    assert len(heard(stage, "close")) == 1
    assert line.ear.states[-2:] == [DISCONNECTING, DISCONNECTED] and line.ear.told == ["connected", "lost"]


async def test_the_end_is_one_for_all_who_ask_for_it(stage: Stage, lines: Lines) -> None:
    line = await lines.connect(stage.config("ana"))
    await asyncio.gather(*(line.connection.close() for _ in range(3)))
    await line.connection.close()
    assert line.connection.state is DISCONNECTED


async def test_whoever_ends_it_and_gives_up_does_not_stop_the_end(stage: Stage, lines: Lines) -> None:
    line = await lines.connect(stage.config("ana"))
    stage.proxy.stall()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await line.connection.close()
    stage.proxy.resume()
    await line.connection.close()
    await until(lambda: stage.proxy.open_connections == 0)


async def test_after_the_end_everything_is_refused(stage: Stage, lines: Lines) -> None:
    line = await lines.connect(stage.config("ana"))
    stage.proxy.stall()
    under_way = line.asks()
    pausing = asyncio.ensure_future(line.connection.pause(60))
    await asyncio.sleep(0.01)
    closing = asyncio.ensure_future(line.connection.close())
    with pytest.raises((ClientShutDownError, ConnectionLostError)):
        await under_way
    with pytest.raises(ClientShutDownError):
        await pausing
    for call in (line.ask, line.connection.start, lambda: line.connection.update_token("x")):
        with pytest.raises(ClientShutDownError):
            await call()
    line.connection.hurry()
    line.connection.renew_token(TokenReason.EXPIRED)
    stage.proxy.resume()
    await closing


@pytest.mark.parametrize("where", ["opening", "waiting", "silent", "token", "denied", "never started"])
async def test_the_end_comes_at_any_time(stage: Stage, lines: Lines, where: str) -> None:
    asked = asyncio.Event()

    async def think(request: TokenRequest) -> str:
        asked.set()
        await asyncio.sleep(60)
        return ""

    options: dict[str, Any] = {"token_provider": think} if where == "token" else {}
    if where == "denied":
        options["token"] = "a.b.c"
    async with nothing_left():
        line = lines.line(stage.config("ana", **options), Patience(closing=0.1))
        if where == "opening":
            stage.proxy.stall()
        if where == "waiting":
            stage.proxy.refuse()
        start = asyncio.ensure_future(line.connection.start()) if where != "never started" else None
        match where:
            case "opening":
                await until(lambda: stage.proxy.accepted)
            case "waiting":
                await until(lambda: line.connection.retries_in is not None)
            case "token":
                await asked.wait()
            case "denied":
                await until(lambda: line.connection.state is DENIED)
            case "silent":
                await until(lambda: line.connection.state is CONNECTED)
                stage.proxy.stall()
        waiting = line.asks()
        await asyncio.sleep(0)
        await line.close()
        outcome = (await asyncio.gather(waiting, return_exceptions=True))[0]
        assert isinstance(outcome, ClientShutDownError | ConnectionLostError | NotConnectedError)
        if start is not None:
            await asyncio.gather(start, return_exceptions=True)
    assert line.connection.state is DISCONNECTED
    stage.proxy.reset()
    stage.proxy.resume()
    await until(lambda: stage.proxy.open_connections == 0)


# --- secrets


async def test_neither_tokens_nor_messages_are_in_any_log(
    stage: Stage, lines: Lines, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    token, text = stage.token("ana"), "words for friends only"
    line = await lines.connect(stage.config("ana", token=token))
    request = ClientRequest(
        method="POST",
        url="http://any/Client/v2/Conversations?q=secret%20place",
        body=b'{"attributes":"%s"}' % text.encode(),
    )
    await line.connection.request(request, 10)
    stage.proxy.reset()
    await until(lambda: line.ear.told.count("connected") == 2)
    await line.close()
    shown = [
        record.getMessage() + repr(record.__dict__) for record in caplog.records if "tertulia.server" not in record.name
    ]
    shown += [repr(each) for each in (line.connection, line.tokens, request, stage.config("ana", token=token))]
    for secret in (token, token.split(".")[2], text, "secret%20place"):
        for text_shown in shown:
            assert secret not in text_shown and secret.encode().hex(" ")[:60] not in text_shown
