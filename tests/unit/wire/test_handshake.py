from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tertulia.wire import continuation, frames
from tertulia.wire.frames import Backoff, MalformedFrame, Registration, Status
from tertulia.wire.handshake import State
from tertulia.wire.steps import (
    Drop,
    Ending,
    Goodbye,
    Ready,
    RequestReceived,
    Send,
    Step,
    Steps,
    TokenUpdated,
    VerifyToken,
)
from tests.unit.wire.connecting import GET, SEED, Connection, claims, seen, sent, sign, status_of

TYPES = ("twilio.sync.event", "twilio.ipmsg.typing_indicator")
REGISTRATION = Registration("ip_messaging", "ers", 0, TYPES)


# --- start ------------------------------------------------------------------------------------------------------


def test_an_init_makes_a_connection_somebodys() -> None:
    connection = Connection()
    assert connection.hears(frames.init("TMinit", "jwt")) == (VerifyToken("jwt", "init"),)
    assert connection.is_in(State.VERIFYING)
    good = claims()
    answer, ready = connection.accepts(good)
    assert isinstance(answer, Send)
    assert ready == Ready(good, SEED.hex(), frozenset(), {})
    assert connection.is_in(State.READY)
    assert connection.machine.claims is good


def test_the_answer_to_init_tells_what_was_agreed() -> None:
    connection = Connection()
    steps = connection.initialises(
        capabilities=["client_update", "offline_storage", "telemetry.v1"],
        registrations=[REGISTRATION, Registration("other", "ers", None, ("x",))],
        metadata={"sdk": "JS", "sdkv": "3.0.1"},
    )
    frame = sent(steps)
    header = frame.header
    assert (header.id, header.method, header.status, frame.payload) == ("TMinit", "reply", Status(200, "OK"), b"")
    assert header.capabilities == ("client_update",)
    assert header.continuation_token
    assert header.continuation_token_status is not None
    assert header.continuation_token_status.reissue_reason == "MISSING"
    first, second = header.init_registrations or ()
    assert (first.product, first.type, first.message_types) == ("ip_messaging", "ers", TYPES)
    assert first.notification_ctx_id == "00010203-0405-4607-a809-0a0b0c0d0000"
    assert second.notification_ctx_id == "00010203-0405-4607-a809-0a0b0c0d0001"
    ready = steps[1]
    assert isinstance(ready, Ready)
    assert ready.message_types == {*TYPES, "x"}
    assert ready.client == {"sdk": "JS", "sdkv": "3.0.1"}


@pytest.mark.parametrize("capabilities", [[], ["offline_storage", "account_descriptor"]])
def test_nothing_is_confirmed_that_was_not_offered(capabilities: list[str]) -> None:
    connection = Connection()
    assert sent(connection.initialises(capabilities=capabilities)).header.capabilities == ()
    assert "client_update" not in seen(connection.waits_until(3599))


def test_a_returning_client_keeps_its_continuation_token_and_endpoint() -> None:
    token = continuation.issue(sign, continuation.Endpoint("mine", "alice", "IS1"))
    steps = Connection().initialises(continuation_token=token)
    assert sent(steps).header.continuation_token == token
    assert isinstance(steps[1], Ready)
    assert steps[1].endpoint_id == "mine"


@pytest.mark.parametrize("token", ["junk", continuation.issue(sign, continuation.Endpoint("mine", "bob", "IS1"))])
def test_a_bad_continuation_token_is_replaced_and_harms_nobody(token: str) -> None:
    steps = Connection().initialises(claims(endpoint_id="phone"), continuation_token=token)
    known = continuation.read(sign, sent(steps).header.continuation_token or "")
    assert known == continuation.Endpoint("phone", "alice", "IS1")
    assert status_of(steps) == (200, None)


def test_an_init_without_a_token_is_judged_like_any_other() -> None:
    connection = Connection()
    steps = connection.hears(frames.build(frames.Header(method="init", id="TM1")))
    assert steps == (VerifyToken("", "init"),)


@pytest.mark.parametrize(
    ("status", "code", "word"),
    [
        (401, 20101, "UNAUTHORIZED"),
        (401, 20104, "UNAUTHORIZED"),
        (403, 20403, "FORBIDDEN"),
        (500, 20500, "INTERNAL_SERVER_ERROR"),
    ],
)
def test_a_refused_init_is_answered_and_ends_the_connection(status: int, code: int, word: str) -> None:
    connection = Connection()
    connection.hears(frames.init("TMinit", "jwt"))
    steps = connection.refuses(status, code)
    assert seen(steps) == ["reply", Goodbye(Ending.REFUSED)]
    assert sent(steps).header.id == "TMinit"
    assert sent(steps).header.status == Status(status, word, "no", code)
    assert connection.is_in(State.CLOSING)
    assert connection.hears(frames.request("TM2", GET)) == ()
    # The SDK says `close` and hangs up; who does not is hung up on.
    assert connection.waits_until(9) == []
    assert connection.waits_until(10) == [Drop(1000, "")]
    assert connection.is_in(State.CLOSED)


def test_a_throttled_init_tells_when_to_come_back() -> None:
    connection = Connection()
    connection.hears(frames.init("TMinit", "jwt"))
    frame = sent(connection.refuses(429, 51202, Backoff(3000, 5000)))
    assert frame.header.status == Status(429, "TOO_MANY_REQUESTS", "no", 51202)
    assert msgspec.json.decode(frame.payload) == {
        "backoff_policy": {"reconnect_min_ms": 3000, "reconnect_max_ms": 5000}
    }


@pytest.mark.parametrize(
    "message",
    [
        frames.request("TM1", GET),
        frames.update("TM1", "jwt"),
        frames.build(frames.Header(method="put_notification_ctx", id="TM1")),
    ],
)
@pytest.mark.parametrize("is_verifying", [False, True])
def test_nothing_is_served_before_the_token_is_accepted(message: bytes, is_verifying: bool) -> None:
    connection = Connection()
    if is_verifying:
        connection.hears(frames.init("TMinit", "jwt"))
    steps = connection.hears(message)
    assert seen(steps) == ["reply"]
    assert status_of(steps) == (401, None)
    assert sent(steps).header.id == "TM1"
    if is_verifying:
        assert status_of(connection.accepts()) == (200, None)


def test_a_second_init_is_refused_and_the_first_stands() -> None:
    connection = Connection()
    connection.hears(frames.init("TMinit", "jwt"))
    assert status_of(connection.hears(frames.init("TM2", "jwt"))) == (400, None)
    connection.accepts()
    assert status_of(connection.hears(frames.init("TM3", "jwt"))) == (400, None)
    assert connection.is_in(State.READY)


@pytest.mark.parametrize("is_verifying", [False, True])
def test_a_connection_that_does_not_become_somebodys_is_dropped(is_verifying: bool) -> None:
    connection = Connection()
    connection.now_s = 10
    if is_verifying:
        connection.hears(frames.init("TMinit", "jwt"))
    assert connection.waits_until(29) == []
    assert connection.waits_until(30) == [Goodbye(Ending.NO_INIT), Drop(1001, "no init in time")]
    assert connection.accepts() == ()
    assert connection.refuses() == ()


# --- requests and other frames ----------------------------------------------------------------------------------


def test_a_request_is_handed_on() -> None:
    connection = Connection()
    connection.initialises()
    message = frames.request("TM1", GET, b"{}")
    assert connection.hears(message) == (RequestReceived(frames.parse(message)),)


def test_a_message_without_a_request_is_refused() -> None:
    connection = Connection()
    connection.initialises()
    assert status_of(connection.hears(frames.build(frames.Header(method="message", id="TM1")))) == (400, None)


@pytest.mark.parametrize(
    ("method", "code"),
    [
        ("put_notification_ctx", 200),
        ("delete_notification_ctx", 200),
        ("telemetry.v1", None),
        ("reply", None),
        ("notification", 400),
        ("ping", 400),
        ("_init", 400),
        ("", 400),
    ],
)
def test_each_other_method_has_its_answer_and_the_connection_goes_on(method: str, code: int | None) -> None:
    connection = Connection()
    connection.initialises()
    steps = connection.hears(frames.build(frames.Header(method=method, id="TM1")))
    if code is None:
        assert steps == ()
    else:
        assert status_of(steps) == (code, None)
    assert connection.is_in(State.READY)


def test_a_frame_that_can_be_answered_is_refused_and_the_connection_goes_on() -> None:
    connection = Connection()
    connection.initialises()
    error = MalformedFrame("payload too large", frame_id="TM1", method="message", status=413)
    steps = connection.machine.malformed(error, connection.now_us)
    status = sent(steps).header.status
    assert status is not None
    assert (status.code, status.description) == (413, "payload too large")
    assert connection.is_in(State.READY)


def test_a_malformed_acknowledgement_is_ignored() -> None:
    connection = Connection()
    connection.initialises()
    error = MalformedFrame("bad", frame_id="TM1", method="reply")
    assert connection.machine.malformed(error, connection.now_us) == ()


@pytest.mark.parametrize("is_ready", [False, True])
def test_what_is_no_frame_closes_the_websocket_without_a_close_frame(is_ready: bool) -> None:
    connection = Connection()
    if is_ready:
        connection.initialises()
    steps = connection.machine.malformed(MalformedFrame("bad"), connection.now_us)
    assert steps == (Goodbye(Ending.MALFORMED), Drop(1007, "not a twilsock frame"))
    assert connection.machine.malformed(MalformedFrame("bad"), connection.now_us) == ()


# --- endings ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", ["new", "verifying", "ready"])
def test_a_client_may_leave_at_any_time(stage: str) -> None:
    connection = Connection()
    if stage != "new":
        connection.hears(frames.init("TMinit", "jwt"))
    if stage == "ready":
        connection.accepts()
    steps = connection.hears(frames.close("TM9"))
    assert seen(steps) == ["reply", Goodbye(Ending.LEFT), Drop(1000, "")]
    assert connection.machine.deadline_us is None
    assert connection.machine.lost() == ()


def test_a_client_that_leaves_after_goodbye_is_answered_and_dropped() -> None:
    connection = Connection()
    connection.hears(frames.init("TMinit", "jwt"))
    connection.refuses()
    assert seen(connection.hears(frames.close("TM9"))) == ["reply", Drop(1000, "")]
    assert connection.hears(frames.close("TM9")) == ()


def test_a_lost_socket_is_said_goodbye_once() -> None:
    connection = Connection()
    connection.initialises()
    assert connection.machine.lost() == (Goodbye(Ending.LOST),)
    assert connection.machine.lost() == ()
    assert connection.hears(frames.request("TM1", GET)) == ()
    assert connection.machine.tick(connection.now_us + 10**12) == ()


def test_an_offloaded_client_is_told_when_to_come_back() -> None:
    connection = Connection()
    connection.initialises()
    steps = connection.machine.offload(Backoff(1500, 6000), connection.now_us)
    assert seen(steps) == ["close", Goodbye(Ending.OFFLOADED)]
    frame = sent(steps)
    assert frame.header.status == Status(308, "OFFLOAD", "Connection is being offloaded")
    assert frame.payload == Backoff(1500, 6000).payload()
    assert connection.machine.offload(Backoff(1, 2), connection.now_us) == ()
    assert connection.waits_until(10) == [Drop(1000, "")]


def test_a_connection_that_is_nobodys_yet_is_simply_dropped_when_the_node_stops() -> None:
    connection = Connection()
    steps = connection.machine.offload(Backoff(1500, 6000), connection.now_us)
    assert steps == (Goodbye(Ending.OFFLOADED), Drop(1001, "try again"))


def test_a_connection_whose_key_is_gone_is_dropped() -> None:
    connection = Connection()
    connection.initialises()
    assert connection.machine.revoke() == (Goodbye(Ending.REVOKED), Drop(1001, "access was withdrawn"))
    assert connection.machine.revoke() == ()


# --- signs of life ----------------------------------------------------------------------------------------------


def test_a_silent_client_is_pinged_and_then_dropped() -> None:
    connection = Connection()
    connection.initialises()
    assert connection.deadline_s == 30
    steps = connection.waits_until(30)
    assert seen(steps) == ["ping"]
    assert sent(steps).header.id == "TM000102030405060708090a0b00000001"
    assert connection.waits_until(59) == []
    assert connection.waits_until(60) == [Goodbye(Ending.SILENT), Drop(1001, "no sign of life")]


def test_a_client_that_acknowledges_is_pinged_every_thirty_seconds_for_ever() -> None:
    connection = Connection()
    connection.initialises()
    for turn in range(1, 10):
        assert seen(connection.waits_until(30 * turn)) == ["ping"]
        connection.machine.heard(connection.now_us)


def test_a_busy_client_is_not_pinged() -> None:
    connection = Connection()
    connection.initialises()
    for turn in range(1, 20):
        assert connection.waits_until(20 * turn) == []
        connection.hears(frames.request("TM1", GET))


@pytest.mark.parametrize("sign_of_life", ["frame", "malformed", "acknowledgement"])
def test_anything_heard_is_a_sign_of_life(sign_of_life: str) -> None:
    connection = Connection()
    connection.initialises()
    connection.waits_until(50)
    if sign_of_life == "frame":
        connection.hears(frames.build(frames.Header(method="telemetry.v1", id="TM1")))
    elif sign_of_life == "malformed":
        connection.machine.malformed(MalformedFrame("x", frame_id="1", method="reply"), connection.now_us)
    else:
        connection.machine.heard(connection.now_us)
    assert connection.waits_until(79) == []
    assert seen(connection.waits_until(80)) == ["ping"]


def test_each_frame_of_the_server_has_an_id_of_its_own() -> None:
    connection = Connection()
    connection.initialises(claims(ttl=200))
    steps = [*connection.waits_until(30), *connection.machine.offload(Backoff(1, 2), connection.now_us)]
    ids = [frames.parse(step.frame).header.id for step in steps if isinstance(step, Send)]
    assert len(ids) == len(set(ids)) == 3


# --- whatever happens -------------------------------------------------------------------------------------------

MESSAGES = [
    frames.init("TM1", "jwt"),
    frames.update("TM2", "jwt"),
    frames.update("TM3", "other"),
    frames.request("TM4", GET),
    frames.close("TM5"),
    frames.acknowledgement("TM6"),
    frames.build(frames.Header(method="unknown", id="TM7")),
]
EVENTS = st.one_of(
    st.sampled_from(MESSAGES),
    st.sampled_from(
        ["accept", "refuse", "other", "offload", "revoke", "lost", "malformed", "answerable", "heard", "tick"]
    ),
    st.integers(1, 200),
)


@given(st.sampled_from(["reauth", "close"]), st.lists(EVENTS, max_size=40))
def test_whatever_happens_a_connection_is_served_only_between_ready_and_goodbye(
    on_expiry: Literal["reauth", "close"], events: list[bytes | str | int]
) -> None:
    connection = Connection(on_expiry)
    machine = connection.machine

    def now() -> int:
        return connection.now_us

    def heard() -> Steps:
        machine.heard(now())
        return ()

    calls: dict[str, Callable[[], Steps]] = {
        "accept": lambda: machine.accept(claims(ttl=300, at=connection.now_s), now()),
        "refuse": lambda: machine.refuse(401, 20101, "no", now()),
        "other": lambda: machine.accept(claims(identity="bob"), now()),
        "offload": lambda: machine.offload(Backoff(1, 2), now()),
        "revoke": machine.revoke,
        "lost": machine.lost,
        "malformed": lambda: machine.malformed(MalformedFrame("x"), now()),
        "answerable": lambda: machine.malformed(MalformedFrame("x", frame_id="1", method="x"), now()),
        "heard": heard,
        "tick": lambda: machine.tick(now()),
    }
    steps: list[Step] = []
    for event in events:
        if isinstance(event, int):
            steps += connection.waits_until(connection.now_s + event)
        else:
            steps += connection.hears(event) if isinstance(event, bytes) else calls[event]()
    steps += connection.waits_until(connection.now_s + 1_000)
    kinds = [type(step) for step in steps]
    assert kinds.count(Goodbye) == 1
    assert kinds.count(Ready) <= 1
    assert kinds.count(Drop) <= 1
    end = kinds.index(Goodbye)
    served = [at for at, kind in enumerate(kinds) if kind in (RequestReceived, TokenUpdated)]
    if served:
        assert kinds.index(Ready) < served[0]
        assert served[-1] < end
    assert set(kinds[end + 1 :]) <= {Drop, Send}
    assert machine.deadline_us is None
    codes = [frames.parse(step.frame).header.status for step in steps if isinstance(step, Send)]
    assert not {status.code for status in codes if status} & {406, 417}
