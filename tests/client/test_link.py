"""The client's side of a connection, as a machine: what it does with what comes."""

from __future__ import annotations

import pytest

from tertulia.client.errors import (
    ClientShutDownError,
    ConnectionLostError,
    InvalidArgumentError,
    NotConnectedError,
    TokenExpiredError,
    TokenProviderError,
    TokenRejectedError,
    TokenTtlTooShortError,
)
from tertulia.client.link_steps import (
    AboutToExpire,
    Connect,
    Connected,
    Drop,
    Expired,
    Lost,
    Notify,
    Probe,
    Problem,
    Send,
    Settle,
    StateChanged,
)
from tertulia.client.states import ConnectionState, TokenReason
from tertulia.wire import frames, requests
from tertulia.wire.frames import Backoff, Status
from tertulia.wire.requests import Reply

from .linking import GET, Shell, kinds, need_in, only, problem_in

CONNECTING, CONNECTED = ConnectionState.CONNECTING, ConnectionState.CONNECTED
DENIED, DISCONNECTED = ConnectionState.DENIED, ConnectionState.DISCONNECTED
AWAY = Backoff(3000, 5000)


# --- coming up


def test_a_connection_comes_up_in_three_steps() -> None:
    shell = Shell()
    assert shell.do(shell.link.start()) == (
        StateChanged(CONNECTING, ConnectionState.UNKNOWN),
        Connect(TokenReason.START),
    )
    assert kinds(shell.opens("a token")) == [Send]
    assert shell.hears(shell.greeting()) == (StateChanged(CONNECTED, CONNECTING), Settle("start", None), Connected())


def test_the_first_frame_says_who_we_are_and_what_we_want_to_hear() -> None:
    shell = Shell()
    shell.do(shell.link.start())
    shell.opens("a token")
    said = shell.sent[0].header
    assert (said.method, said.token, said.continuation_token) == ("init", "a token", None)
    assert said.capabilities == ("client_update",)
    assert bytes(said.metadata) == b'{"type":"conversations","sdk":"Python","sdkv":"1.2.3"}'
    [registration] = said.registrations or ()
    assert (registration.product, registration.type) == ("ip_messaging", "ers")
    assert registration.message_types == (
        "twilio.ipmsg.typing_indicator",
        "twilio.sync.event",
        "com.twilio.rtd.cds.document",
        "com.twilio.rtd.cds.list",
        "com.twilio.rtd.cds.map",
    )


def test_the_server_gets_its_continuation_token_back() -> None:
    shell = Shell()
    shell.do(shell.link.start())
    shell.opens()
    shell.hears(shell.greeting("kept"))
    shell.is_cut()
    shell.connects()
    assert shell.last("init").header.continuation_token == "kept"


def test_a_connection_is_started_once() -> None:
    shell = Shell()
    shell.do(shell.link.start())
    assert shell.do(shell.link.start()) == ()
    shell.opens()
    assert shell.do(shell.link.start()) == ()


# --- refusals


@pytest.mark.parametrize(
    ("status", "code", "terminal", "reason"),
    [
        (401, 20101, True, TokenReason.REJECTED),
        (401, 20104, True, TokenReason.EXPIRED),
        (403, 20403, True, TokenReason.REJECTED),
        (429, 51202, False, None),
        (500, 20500, False, None),
        (503, None, False, None),
        (418, None, False, None),
    ],
)
@pytest.mark.parametrize("renews", [False, True])
def test_a_refused_init_is_final_when_it_is_about_the_token(
    status: int, code: int | None, terminal: bool, reason: TokenReason | None, renews: bool
) -> None:
    shell = Shell(renews=renews)
    shell.do(shell.link.start())
    shell.opens()
    waiting = shell.asks()
    steps = shell.hears(shell.refusal("init", status, code))
    problem = problem_in(steps)
    assert problem == Problem(terminal and not renews, "no", status, code)
    assert only(steps, Drop) == [Drop()]
    assert need_in(steps) is reason
    assert (Expired() in steps) == (code == 20104)
    assert shell.link.state is (DENIED if terminal else CONNECTING)
    assert (shell.link.retry_at is not None) == (not terminal)
    # Only a refusal that nothing will change tells those who wait.
    assert (waiting in shell.outcomes) == (terminal and not renews)
    assert bool(shell.started) == (terminal and not renews)
    if shell.started:
        [outcome] = shell.started
        assert isinstance(outcome, TokenExpiredError if code == 20104 else TokenRejectedError)


def test_a_denied_client_is_brought_back_by_another_token() -> None:
    shell = Shell()
    shell.do(shell.link.start())
    shell.opens()
    shell.hears(shell.refusal("init", 401, 20104))
    assert isinstance(shell.outcomes[shell.asks()], NotConnectedError)
    id = shell.updates()
    assert shell.reasons == [TokenReason.START, TokenReason.START] and id not in shell.outcomes
    shell.opens("newer")
    shell.hears(shell.greeting())
    assert shell.outcomes[id] is None and shell.link.state is CONNECTED


def test_requests_wait_while_a_token_is_on_its_way() -> None:
    shell = Shell(renews=True)
    shell.do(shell.link.start())
    shell.opens()
    shell.hears(shell.refusal("init", 401, 20104))
    waiting = shell.asks()
    shell.updates()
    shell.opens("newer")
    shell.hears(shell.greeting())
    assert shell.last("message").header.id == waiting and shell.started == [None]


def test_who_starts_is_told_when_no_token_will_do_and_later_ones_are_not() -> None:
    shell = Shell(renews=True)
    shell.do(shell.link.start())
    shell.opens()
    shell.hears(shell.refusal("init", 401, 20101))
    error = TokenProviderError("no luck")
    assert Settle("start", error) in shell.do(shell.link.no_token(error))
    again = Shell(renews=True)
    again.connects()
    again.is_cut()
    again.waits(again.now + 2)
    again.opens()
    again.hears(again.refusal("init", 401, 20101))
    assert again.do(again.link.no_token(error)) == ()
    assert again.asks() not in again.outcomes


@pytest.mark.parametrize("renews", [False, True])
def test_a_token_of_no_use_ends_a_start(renews: bool) -> None:
    shell = Shell(renews=renews)
    shell.do(shell.link.start())
    shell.is_opening = False
    error = TokenTtlTooShortError("too short")
    shell.do(shell.link.refused_token(error, shell.now))
    assert shell.started == [error] and shell.link.state is DENIED
    assert isinstance(shell.outcomes[shell.asks()], NotConnectedError)


def test_a_token_of_no_use_does_not_end_a_client_that_gets_others() -> None:
    shell = Shell(renews=True)
    shell.connects()
    shell.is_cut()
    shell.waits(shell.now + 2)
    shell.is_opening = False
    steps = shell.do(shell.link.refused_token(TokenTtlTooShortError("too short"), shell.now))
    assert problem_in(steps) == Problem(False, "too short") and shell.link.retry_at is not None


def test_a_server_that_does_not_answer_the_greeting_is_tried_again() -> None:
    shell = Shell()
    shell.do(shell.link.start())
    shell.opens()
    assert shell.waits(shell.now + 29.9) == []
    steps = shell.waits(shell.now + 0.2)
    assert kinds(steps) == [Problem, Drop] and shell.link.retry_at is not None and not shell.started


# --- coming back


def test_attempts_come_at_longer_and_longer_intervals_up_to_two_minutes() -> None:
    shell = Shell()
    shell.do(shell.link.start())
    waits = []
    for _ in range(9):
        shell.does_not_open()
        assert shell.link.retry_at is not None
        waits.append(shell.link.retry_at - shell.now)
        shell.waits(shell.link.retry_at)
    assert waits == [1, 2, 4, 8, 16, 32, 64, 120, 120]
    shell.opens()
    shell.hears(shell.greeting())
    shell.is_cut()
    assert shell.link.retry_at == shell.now + 1


@pytest.mark.parametrize(("number", "wait"), [(0.0, 0.8), (0.5, 1.0), (1.0, 1.2)])
def test_attempts_are_spread_by_a_fifth(number: float, wait: float) -> None:
    shell = Shell(random=lambda: number)
    shell.do(shell.link.start())
    shell.does_not_open()
    assert shell.link.retry_at == pytest.approx(shell.now + wait)


@pytest.mark.parametrize(
    ("payload", "wait"),
    [
        (AWAY.payload(), 4.0),
        (Backoff(3000, 3000).payload(), 3.0),
        (b'{"backoff_policy":{"reconnect_min_ms":2500}}', 2.5),
        (b'{"backoff_policy":{"reconnect_min_ms":100}}', 1.0),
        (b'{"backoff_policy":{"reconnect_min_ms":1e12}}', 600.0),
        (b'{"backoff_policy":{"reconnect_min_ms":-5000}}', 1.0),
        (b'{"backoff_policy":{"reconnect_min_ms":"soon"}}', 1.0),
        (b'{"backoff_policy":[]}', 1.0),
        (b'{"backoff_policy":{"reconnect_min_ms":1%b}}' % (b"0" * 5000), 1.0),
        (b'{"backoff_policy":%b}' % (b"[" * 3000 + b"]" * 3000), 1.0),
        (b'{"reason":"\xff","backoff_policy":"\xff"}', 1.0),
        (b"not JSON", 1.0),
        (b"", 1.0),
    ],
)
@pytest.mark.parametrize("told_by", ["close", "init", "update"])
def test_a_server_says_how_long_to_stay_away(payload: bytes, wait: float, told_by: str) -> None:
    shell = Shell()
    if told_by == "init":
        shell.do(shell.link.start())
        shell.opens()
        message = frames.reply(shell.last("init").header.id, Status(429, "NO"), payload)
    else:
        shell.connects()
        shell.updates()
        message = frames.close("TMx", Status(308, "OFFLOAD"), payload)
        if told_by == "update":
            message = frames.reply(shell.last("update").header.id, Status(429, "NO"), payload)
    shell.hears(message)
    assert shell.link.retry_at == pytest.approx(shell.now + wait)


def test_a_gateway_that_is_busy_is_left_alone_for_as_long_as_it_says() -> None:
    shell = Shell()
    shell.do(shell.link.start())
    shell.is_opening = False
    shell.do(shell.link.not_opened("HTTP 503", shell.now, 30))
    assert shell.link.retry_at == shell.now + 30
    shell.waits(shell.now + 31)
    shell.does_not_open()
    assert shell.link.retry_at == shell.now + 2


def test_a_hint_that_the_network_is_back_skips_the_wait() -> None:
    shell = Shell()
    shell.do(shell.link.start())
    shell.does_not_open()
    assert kinds(shell.do(shell.link.hurry(shell.now))) == [Connect]
    assert shell.do(shell.link.hurry(shell.now)) == ()


def test_a_process_that_was_away_does_not_wait_any_longer() -> None:
    shell = Shell()
    shell.do(shell.link.start())
    shell.does_not_open()
    assert kinds(shell.do(shell.link.tick(shell.now, was_away=True))) == [Connect]


# --- closing


@pytest.mark.parametrize(
    ("status", "code", "renews", "state", "terminal", "reason", "comes_back"),
    [
        (308, None, False, CONNECTING, None, None, True),
        (308, 51232, False, CONNECTING, None, None, True),
        (500, None, False, CONNECTING, None, None, True),
        (503, None, True, CONNECTING, None, None, True),
        (401, 20101, False, DISCONNECTED, True, TokenReason.REJECTED, False),
        (401, 20101, True, DISCONNECTED, False, TokenReason.REJECTED, False),
        (410, 51207, False, DISCONNECTED, None, TokenReason.EXPIRED, False),
        (410, 51207, True, DISCONNECTED, None, TokenReason.EXPIRED, False),
        (406, None, False, DISCONNECTED, True, None, False),
        (406, None, True, DISCONNECTED, True, None, False),
        (417, None, False, DISCONNECTED, True, None, False),
    ],
)
def test_what_a_close_of_the_server_means(
    status: int,
    code: int | None,
    renews: bool,
    state: ConnectionState,
    terminal: bool | None,
    reason: TokenReason | None,
    comes_back: bool,
) -> None:
    shell = Shell(renews=renews)
    shell.connects()
    under_way = shell.asks()
    steps = shell.hears(frames.close("TMx", Status(status, "BYE", "bye", code)))
    problem = problem_in(steps)
    assert (None if problem is None else problem.terminal) == terminal
    assert only(steps, Drop) == [Drop()] and Lost() in steps
    assert isinstance(shell.outcomes[under_way], ConnectionLostError)
    assert need_in(steps) is reason and (Expired() in steps) == (status == 410)
    assert shell.link.state is state and (shell.link.retry_at is not None) == comes_back
    later = shell.asks()
    is_hopeless = not comes_back and not (renews and reason is not None)
    assert isinstance(shell.outcomes.get(later), NotConnectedError) == is_hopeless
    # Whatever it was, another token brings it back.
    shell.updates()
    assert shell.is_opening


def test_a_close_without_a_status_is_no_end() -> None:
    shell = Shell()
    shell.connects()
    shell.hears(frames.close("TMx"))
    assert shell.link.retry_at is not None


def test_a_token_of_another_user_is_refused_and_the_connection_comes_back() -> None:
    shell = Shell()
    shell.connects()
    id = shell.updates()
    shell.hears(frames.close("TMx", Status(308, "UPDATE_IS_FORBIDDEN", "another's", 51232)))
    outcome = shell.outcomes[id]
    assert isinstance(outcome, TokenRejectedError) and outcome.code == 51232
    shell.connects()
    assert shell.link.state is CONNECTED


# --- tokens on a live connection


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (200, None, None),
        (401, 20101, TokenRejectedError),
        (401, 20104, TokenExpiredError),
        (403, 20403, TokenRejectedError),
    ],
)
def test_an_answered_update_leaves_the_connection_alone(
    status: int, code: int | None, error: type[Exception] | None
) -> None:
    shell = Shell()
    shell.connects()
    id = shell.updates("newer")
    assert shell.last("update").header.token == "newer"
    assert kinds(shell.hears(shell.refusal("update", status, code))) == [Settle]
    assert isinstance(shell.outcomes[id], error or type(None))
    assert shell.link.state is CONNECTED


@pytest.mark.parametrize("status", [429, 500, 503])
def test_an_update_the_server_has_no_time_for_goes_by_a_new_connection(status: int) -> None:
    shell = Shell()
    shell.connects()
    id = shell.updates()
    shell.hears(shell.refusal("update", status))
    assert id not in shell.outcomes
    shell.connects()
    assert shell.outcomes[id] is None


def test_an_update_that_is_lost_is_settled_by_the_next_connection() -> None:
    shell = Shell()
    shell.connects()
    id = shell.updates()
    shell.is_cut()
    assert id not in shell.outcomes
    shell.connects()
    assert shell.outcomes[id] is None


@pytest.mark.parametrize("is_greeting", [False, True])
def test_a_token_that_comes_during_an_attempt_begins_another(is_greeting: bool) -> None:
    shell = Shell()
    shell.do(shell.link.start())
    if is_greeting:
        shell.opens("older")
    old = [frame.header.id for frame in shell.sent]
    id = shell.updates("newer")
    assert shell.is_opening and not shell.has_socket and id not in shell.outcomes
    shell.opens("newer")
    if old:
        # What is still said on the old socket is nobody's.
        assert shell.hears(frames.reply(old[0])) == ()
    shell.hears(shell.greeting())
    assert shell.outcomes[id] is None and shell.last("init").header.token == "newer"


def test_a_server_says_when_a_token_is_about_to_expire_and_nothing_else_like_it() -> None:
    shell = Shell()
    shell.connects()
    assert shell.hears(frames.client_update("TMx", "token_about_to_expire")) == (AboutToExpire(),)
    assert shell.hears(frames.client_update("TMx", "something_new")) == ()


# --- requests


def test_requests_wait_for_a_connection_and_go_out_in_order() -> None:
    shell = Shell()
    early = shell.asks()
    shell.do(shell.link.start())
    later = shell.asks()
    shell.opens()
    last = shell.asks()
    steps = shell.hears(shell.greeting())
    assert kinds(steps) == [StateChanged, Settle, Send, Send, Send, Connected]
    assert [frame.header.id for frame in shell.sent[1:]] == [early, later, last]


def test_an_answer_settles_its_request() -> None:
    shell = Shell()
    shell.connects()
    first, second = shell.asks(), shell.asks()
    answer = Reply(201, b'{"a":1}', (("content-type", "application/json"),))
    shell.hears(requests.tunnelled(second, answer))
    assert shell.outcomes == {second: answer}
    shell.hears(requests.tunnelled(first, requests.error_reply(404, 50350, "no such thing")))
    refused = shell.outcomes[first]
    assert isinstance(refused, Reply) and refused.status == 404
    # The same answer twice is one.
    assert shell.hears(requests.tunnelled(first, answer)) == ()


@pytest.mark.parametrize(
    ("status", "payload", "answer", "headers"),
    [
        (413, b"", 413, ()),
        (400, b"", 400, ()),
        (429, Backoff(2500, 5000).payload(), 429, (("Retry-After", "2.5"),)),
        (500, b"", 500, ()),
    ],
)
def test_a_request_that_could_not_be_carried_has_an_answer_too(
    status: int, payload: bytes, answer: int, headers: tuple[tuple[str, str], ...]
) -> None:
    shell = Shell()
    shell.connects()
    id = shell.asks()
    shell.hears(frames.reply(id, Status(status, "NO", "too much"), payload))
    reply = shell.outcomes[id]
    assert isinstance(reply, Reply)
    assert (reply.status, reply.headers) == (answer, headers) and b"too much" in reply.body


def test_an_answer_without_a_status_counts_as_the_servers_fault() -> None:
    shell = Shell()
    shell.connects()
    id = shell.asks()
    shell.hears(frames.reply(id))
    reply = shell.outcomes[id]
    assert isinstance(reply, Reply) and reply.status == 502


def test_requests_under_way_fail_at_once_with_the_socket_and_those_that_wait_go_on_waiting() -> None:
    shell = Shell()
    shell.connects()
    under_way = shell.asks()
    steps = shell.is_cut()
    assert steps[0] == Lost() and isinstance(shell.outcomes[under_way], ConnectionLostError)
    waiting = shell.asks()
    shell.waits(shell.now + 100)
    assert waiting not in shell.outcomes


def test_whoever_gives_up_knows_whether_the_request_was_sent() -> None:
    shell = Shell()
    waiting = shell.asks()
    assert shell.link.give_up(waiting) is False
    shell.connects()
    assert [frame.header.method for frame in shell.sent] == ["init"]
    under_way = shell.asks()
    assert shell.link.give_up(under_way) is True
    assert shell.hears(requests.tunnelled(under_way, Reply(200))) == ()


def test_only_so_many_requests_wait() -> None:
    shell = Shell(max_queued=2)
    ids = [shell.asks() for _ in range(3)]
    assert list(shell.outcomes) == ids[2:] and isinstance(shell.outcomes[ids[2]], NotConnectedError)


@pytest.mark.parametrize("what", ["payload", "header"])
def test_a_request_that_no_server_takes_is_refused_here(what: str) -> None:
    shell = Shell()
    shell.connects()
    if what == "payload":
        id, steps = shell.link.request(GET, bytes(1_048_577), "text/plain")
    else:
        wide = frames.HttpRequest(method="GET", path="/" + "a" * 65_536)
        id, steps = shell.link.request(wide, b"", "text/plain")
    shell.do(steps)
    assert isinstance(shell.outcomes[id], InvalidArgumentError)


# --- what else a server says


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"hello",
        b"TWILSOCK V3.0 5\r\n{}\r\n",
        b"TWILSOCK V3.0 2\r\n{}\r\n",
        b'TWILSOCK V3.0 45\r\n{"method":"notification","id":1,"a":"aaaaaaa"}\r\n',
        b"TWILSOCK V3.0 999999\r\n{}\r\n",
    ],
)
def test_what_is_no_frame_is_passed_over(message: bytes, caplog: pytest.LogCaptureFixture) -> None:
    shell = Shell()
    shell.connects()
    assert shell.hears(message) == () and shell.link.state is CONNECTED
    [record] = caplog.records
    assert record.getMessage().startswith("link.malformed: ")


def test_a_notification_is_passed_on_and_what_is_unknown_is_not() -> None:
    shell = Shell()
    shell.connects()
    assert shell.hears(frames.notification("TMx", "twilio.sync.event", b"{}")) == (Notify("twilio.sync.event", b"{}"),)
    assert shell.hears(frames.ping("TMx")) == ()
    assert shell.hears(frames.build(frames.Header(method="novelty", id="TMx"))) == ()
    assert shell.hears(frames.build(frames.Header(method="notification", id="TMx"))) == ()


def test_steps_are_printed_without_what_they_carry() -> None:
    shell = Shell()
    shell.do(shell.link.start())
    steps = [*shell.opens("s3cret"), *shell.hears(shell.greeting())]
    steps += shell.hears(frames.notification("TMx", "twilio.sync.event", b'{"body":"s3cret"}'))
    assert "s3cret" not in repr(steps) + repr(shell.link)


# --- silence


def test_a_silent_socket_is_asked_and_then_replaced() -> None:
    shell = Shell()
    shell.connects()
    asked = shell.asks()
    heard_at = shell.now
    assert shell.waits(heard_at + 74.9) == []
    assert shell.waits(heard_at + 75) == [Probe()]
    assert shell.waits(heard_at + 79.9) == []
    steps = shell.waits(heard_at + 80)
    assert kinds(steps)[:3] == [Problem, Drop, Lost] and Drop(is_dead=True) in steps
    assert isinstance(shell.outcomes[asked], ConnectionLostError)
    assert shell.link.retry_at == shell.now + 1


@pytest.mark.parametrize("sign", ["pong", "ping", "nonsense"])
def test_any_sign_of_life_will_do(sign: str) -> None:
    shell = Shell()
    shell.connects()
    shell.waits(shell.now + 76)
    if sign == "pong":
        shell.link.heard(shell.now)
    else:
        shell.hears(frames.ping("TMx") if sign == "ping" else b"?")
    assert shell.waits(shell.now + 74) == [] and shell.link.state is CONNECTED
    assert shell.waits(shell.now + 1) == [Probe()]


@pytest.mark.parametrize("why", ["away", "hint"])
def test_a_socket_is_asked_at_once_when_there_is_doubt(why: str) -> None:
    shell = Shell()
    shell.connects()
    tick = shell.link.tick(shell.now, was_away=True) if why == "away" else shell.link.hurry(shell.now)
    assert shell.do(tick) == (Probe(),)
    assert shell.link.deadline == shell.now + 5
    shell.waits(shell.now + 6)
    assert shell.link.state is CONNECTING


# --- the end


def test_a_goodbye_is_said_to_whoever_hears_it() -> None:
    shell = Shell()
    shell.connects()
    steps = shell.do(shell.link.shut_down())
    assert shell.last("close").header.status is None
    assert kinds(steps) == [StateChanged, Send, Drop, Lost, StateChanged]
    assert shell.link.state is DISCONNECTED and shell.link.deadline is None
    assert shell.do(shell.link.shut_down()) == ()


@pytest.mark.parametrize("phase", ["idle", "opening", "greeting", "ready", "waiting", "denied"])
def test_the_end_fails_whatever_waits_and_whatever_comes(phase: str) -> None:
    shell = Shell(renews=True)
    if phase != "idle":
        shell.do(shell.link.start())
    if phase in ("greeting", "ready", "denied"):
        shell.opens()
    if phase == "ready":
        shell.hears(shell.greeting())
    if phase == "waiting":
        shell.does_not_open()
    if phase == "denied":
        shell.hears(shell.refusal("init", 401, 20101))
    waiting = shell.asks()
    shell.do(shell.link.shut_down())
    later, updated = shell.asks(), shell.updates()
    expected = ConnectionLostError if phase == "ready" else ClientShutDownError
    assert isinstance(shell.outcomes[waiting], expected)
    assert isinstance(shell.outcomes[later], ClientShutDownError)
    assert isinstance(shell.outcomes[updated], ClientShutDownError)
    if phase not in ("idle", "ready"):
        [outcome] = shell.started
        assert isinstance(outcome, ClientShutDownError)
    assert not shell.has_socket and not shell.is_opening
    assert shell.do(shell.link.hurry(shell.now)) == () and shell.link.deadline is None
    assert isinstance(shell.link.start()[0], Settle)
