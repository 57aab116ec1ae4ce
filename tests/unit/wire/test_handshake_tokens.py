from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tertulia.wire import frames
from tertulia.wire.frames import Backoff, Status
from tertulia.wire.handshake import State
from tertulia.wire.steps import Drop, Ending, Goodbye, RequestReceived, TokenUpdated, VerifyToken
from tests.unit.wire.connecting import GET, Connection, claims, seen, sent, status_of

NEVER_SILENT: dict[str, Any] = {"ping_after_s": 10**6}


def connected(ttl: float = 3600, lifetime_s: float | None = None, **terms: int) -> Connection:
    connection = Connection(**{**NEVER_SILENT, **terms})
    connection.initialises(claims(ttl=ttl, lifetime_s=lifetime_s))
    return connection


# --- about to expire --------------------------------------------------------------------------------------------


def test_three_minutes_before_its_end_a_token_is_said_to_be_about_to_expire_once() -> None:
    connection = connected(ttl=3600)
    assert connection.waits_until(3419) == []
    steps = connection.waits_until(3420)
    assert seen(steps) == ["client_update"]
    assert sent(steps).header.client_update_type == "token_about_to_expire"
    assert connection.waits_until(3599) == []


@pytest.mark.parametrize(
    ("ttl", "lifetime_s", "warned_at_s"),
    [
        (180, 180, 0),
        (181, 181, 1),
        (100, 3600, 0),
        (179, 180, 0),
        (100, 100, 50),
        (8, 8, 4),
        (2, 179, 1),
    ],
)
def test_a_token_late_in_its_life_is_warned_of_at_once_and_a_short_one_at_half_its_rest(
    ttl: float, lifetime_s: float, warned_at_s: float
) -> None:
    connection = Connection(**NEVER_SILENT)
    steps = [*connection.initialises(claims(ttl=ttl, lifetime_s=lifetime_s))]
    if warned_at_s:
        steps += connection.waits_until(warned_at_s - 0.001)
        assert "client_update" not in seen(steps)
        steps += connection.waits_until(warned_at_s)
    assert seen(steps).count("client_update") == 1
    # The answer to init comes first, or the client would not know what it is about.
    assert seen(steps)[0] == "reply"
    assert "client_update" not in seen(connection.waits_until(ttl - 0.001))


def test_a_client_that_did_not_offer_to_listen_is_not_warned() -> None:
    connection = Connection(**NEVER_SILENT)
    connection.initialises(claims(ttl=200), capabilities=())
    assert connection.waits_until(199) == []


# --- update -----------------------------------------------------------------------------------------------------


def test_an_update_moves_both_timers_and_nothing_else_happens() -> None:
    connection = connected(ttl=600)
    connection.waits_until(500)
    assert connection.hears(frames.update("TM1", "newer")) == (VerifyToken("newer", "update"),)
    newer = claims(ttl=1000, at=500)
    steps = connection.accepts(newer)
    assert seen(steps) == ["reply", TokenUpdated(newer)]
    assert (sent(steps).header.id, status_of(steps)) == ("TM1", (200, None))
    assert sent(steps).payload == b""
    assert connection.machine.claims is newer
    assert connection.waits_until(1319) == []
    assert seen(connection.waits_until(1320)) == ["client_update"]
    assert connection.waits_until(1500) == [Goodbye(Ending.EXPIRED), Drop(1001, "token expired")]


def test_the_same_token_again_is_not_warned_of_again() -> None:
    connection = connected(ttl=600)
    assert seen(connection.waits_until(500)) == ["client_update"]
    connection.hears(frames.update("TM1", "jwt"))
    assert "client_update" not in seen(connection.accepts(claims(ttl=600)))
    assert connection.waits_until(599) == []
    assert connection.waits_until(600) == [Goodbye(Ending.EXPIRED), Drop(1001, "token expired")]


def test_requests_are_served_while_an_update_is_verified() -> None:
    connection = connected()
    connection.hears(frames.update("TM1", "newer"))
    (step,) = connection.hears(frames.request("TM2", GET))
    assert isinstance(step, RequestReceived)


@pytest.mark.parametrize(("status", "code"), [(401, 20101), (401, 20104), (403, 20403), (500, 20500)])
def test_a_refused_update_leaves_the_connection_to_its_old_token(status: int, code: int) -> None:
    connection = connected(ttl=600)
    connection.hears(frames.update("TM1", "bad"))
    steps = connection.refuses(status, code)
    assert seen(steps) == ["reply"]
    assert status_of(steps) == (status, code)
    assert connection.is_in(State.READY)
    assert connection.waits_until(419) == []
    assert seen(connection.waits_until(600)) == [
        "client_update",
        Goodbye(Ending.EXPIRED),
        Drop(1001, "token expired"),
    ]


def test_a_throttled_update_tells_when_to_come_back() -> None:
    connection = connected()
    connection.hears(frames.update("TM1", "newer"))
    assert sent(connection.refuses(429, 51202, Backoff(1, 2))).payload == Backoff(1, 2).payload()


def test_an_update_during_another_sends_the_client_away_to_come_back_with_the_newer_token() -> None:
    connection = connected()
    connection.hears(frames.update("TM1", "newer"))
    steps = connection.hears(frames.update("TM2", "newest"))
    assert (sent(steps).header.id, status_of(steps)) == ("TM2", (429, 51202))
    assert b"backoff_policy" in sent(steps).payload
    assert sent(connection.accepts()).header.id == "TM1"


@pytest.mark.parametrize("changed", [{"identity": "bob"}, {"account_sid": "AC2"}, {"service_sid": "IS2"}])
def test_a_token_of_somebody_else_is_a_forbidden_update(changed: dict[str, Any]) -> None:
    connection = connected()
    connection.hears(frames.update("TM1", "foreign"))
    steps = connection.accepts(claims(**changed))
    assert seen(steps) == ["close", Goodbye(Ending.REPLACED)]
    status = sent(steps).header.status
    assert status is not None
    assert (status.code, status.status, status.error_code) == (308, "UPDATE_IS_FORBIDDEN", 51232)
    assert connection.hears(frames.request("TM2", GET)) == ()
    assert connection.waits_until(10) == [Drop(1000, "")]


def test_another_key_of_the_same_account_may_sign_the_newer_token() -> None:
    connection = connected()
    connection.hears(frames.update("TM1", "newer"))
    assert status_of(connection.accepts(claims(key_sid="SK2"))) == (200, None)


# --- expiry -----------------------------------------------------------------------------------------------------


def test_by_default_an_expired_connection_is_dropped_without_a_close_frame() -> None:
    connection = connected(ttl=600)
    assert seen(connection.waits_until(599.9)) == ["client_update"]
    assert connection.waits_until(600) == [Goodbye(Ending.EXPIRED), Drop(1001, "token expired")]
    assert connection.machine.deadline_us is None


def test_as_the_hosted_service_does_an_expired_connection_is_closed_with_410() -> None:
    connection = Connection("close", **NEVER_SILENT)
    connection.initialises(claims(ttl=600), capabilities=())
    steps = connection.waits_until(600)
    assert seen(steps) == ["close", Goodbye(Ending.EXPIRED)]
    assert sent(steps).header.status == Status(410, "TOKEN_EXPIRED", "Token expired", 51207)
    assert connection.waits_until(610) == [Drop(1000, "")]


def test_a_request_after_expiry_is_not_served_even_before_the_timer_fires() -> None:
    connection = connected(ttl=600)
    connection.now_s = 600
    frame = sent(connection.hears(frames.request("TM1", GET)))
    assert frame.header.id == "TM1"
    assert frame.header.status == Status(200, "OK")
    assert frame.header.http_status == Status(401, "Unauthorized")
    body = msgspec.json.decode(frame.payload)
    assert (body["status"], body["code"]) == (401, 20104)


def test_a_token_that_expired_while_it_was_verified_ends_the_connection() -> None:
    connection = Connection()
    connection.hears(frames.init("TMinit", "jwt"))
    connection.now_s = 20
    steps = connection.accepts(claims(ttl=20))
    assert seen(steps)[0] == "reply"
    assert seen(steps)[2:] == [Goodbye(Ending.EXPIRED), Drop(1001, "token expired")]


def test_an_update_that_is_being_verified_at_expiry_can_still_save_the_connection() -> None:
    connection = connected(ttl=600, lifetime_s=600)
    connection.waits_until(599)
    connection.hears(frames.update("TM1", "newer"))
    assert connection.waits_until(605) == []
    assert sent(connection.hears(frames.request("TM2", GET))).header.http_status == Status(401, "Unauthorized")
    newer = claims(ttl=1000, at=605)
    assert seen(connection.accepts(newer)) == ["reply", TokenUpdated(newer)]
    (step,) = connection.hears(frames.request("TM3", GET))
    assert isinstance(step, RequestReceived)


@pytest.mark.parametrize("is_refused", [False, True])
def test_an_update_that_does_not_succeed_soon_after_expiry_saves_nothing(is_refused: bool) -> None:
    connection = connected(ttl=600)
    connection.waits_until(599)
    connection.hears(frames.update("TM1", "newer"))
    if is_refused:
        connection.waits_until(603)
        assert seen(connection.refuses()) == ["reply"]
        assert connection.waits_until(603) == [Goodbye(Ending.EXPIRED), Drop(1001, "token expired")]
    else:
        assert connection.waits_until(609) == []
        assert connection.waits_until(610) == [Goodbye(Ending.EXPIRED), Drop(1001, "token expired")]
    assert connection.accepts() == ()


def test_a_printed_step_does_not_show_the_token() -> None:
    assert str(VerifyToken("secret", "init")) == "<VerifyToken for init>"
