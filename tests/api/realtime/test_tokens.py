"""The life of a token on a connection: warned, renewed, expired (realtime 6, semantics 3.2)."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from tertulia.server.settings import TokensSettings

from .client import Peer
from .conftest import Here, Start

CONFIGURATION = "/Client/v2/Configuration"


async def connected(here: Here, **claims: object) -> Peer:
    peer = await here.open()
    assert (await peer.init(here.token("ana", **claims))).status == 200
    return peer


def warnings(peer: Peer) -> list[str]:
    return [heard.header["client_update_type"] for heard in peer.of_method("client_update")]


async def pass_awake(here: Here, peer: Peer, seconds: float) -> None:
    """Time passes for a client that answers pings."""
    while seconds > 0:
        here.pass_time(min(seconds, 20))
        await peer.quiet()
        seconds -= 20


# --- about to expire


@pytest.mark.owner_demand(13)
async def test_a_client_is_warned_three_minutes_before_its_token_ends_and_once(here: Here) -> None:
    peer = await connected(here, ttl_s=600)
    await pass_awake(here, peer, 419)
    assert warnings(peer) == []
    await pass_awake(here, peer, 2)
    assert warnings(peer) == ["token_about_to_expire"]
    await pass_awake(here, peer, 170)
    assert warnings(peer) == ["token_about_to_expire"]


async def test_a_long_token_in_its_last_three_minutes_is_warned_at_once(here: Here) -> None:
    peer = await connected(here, ttl_s=100, not_before=here.world.clock.now() // 1_000_000 - 500)
    await peer.quiet()
    assert warnings(peer) == ["token_about_to_expire"]


async def test_a_short_token_is_warned_at_half_its_life(start: Start) -> None:
    """Else an application that only gets short tokens would fetch them in a loop (realtime 6.1)."""
    here = await start(tokens=TokensSettings(min_ttl_s=1))
    peer = await connected(here, ttl_s=20)
    await pass_awake(here, peer, 9)
    assert warnings(peer) == []
    here.pass_time(2)
    await peer.quiet()
    assert warnings(peer) == ["token_about_to_expire"]


async def test_a_client_that_does_not_know_warnings_gets_none(here: Here) -> None:
    peer = await here.open()
    await peer.init(here.token(ttl_s=200), capabilities=[])
    await pass_awake(here, peer, 100)
    assert warnings(peer) == []


# --- update


@pytest.mark.owner_demand(13)
async def test_an_update_keeps_the_connection_and_all_it_follows(here: Here) -> None:
    room = await here.world.conversation("ana")
    peer = await connected(here, ttl_s=600)
    sid = (await peer.follow(f"{room.sid}.messages"))[f"{room.sid}.messages"]["sid"]
    await pass_awake(here, peer, 500)
    answer = await peer.update(here.token("ana", ttl_s=600))
    assert answer.status == 200 and answer.payload == b""
    await pass_awake(here, peer, 200)
    await here.world.send(room.sid, "still here")
    await peer.until(lambda: peer.texts(sid) == ["still here"])
    assert (await peer.get(CONFIGURATION)).http_status == 200
    assert len(warnings(peer)) == 1
    await pass_awake(here, peer, 225)
    assert len(warnings(peer)) == 2


async def test_the_same_token_again_is_fine_and_warned_of_once(here: Here) -> None:
    token = here.token("ana", ttl_s=200)
    peer = await here.open()
    await peer.init(token)
    await pass_awake(here, peer, 60)
    assert (await peer.update(token)).status == 200
    await peer.quiet()
    assert len(warnings(peer)) == 1


@pytest.mark.parametrize(
    ("defect", "status", "code"),
    [("word", 401, 20101), ("expired", 401, 20104), ("short", 401, 20156), ("service", 403, 20403)],
)
async def test_a_bad_update_is_refused_and_the_connection_goes_on_with_its_old_token(
    here: Here, defect: str, status: int, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    peer = await connected(here, ttl_s=600)
    token = {
        "word": "hello",
        "expired": here.token(now_s=here.world.clock.now() / 1e6 - 7200),
        "short": here.token(ttl_s=100),
        "service": here.token(service_sid="IS" + "0" * 32),
    }[defect]
    with caplog.at_level("INFO"):
        answer = await peer.update(token)
    assert (answer.status, answer.error_code) == (status, code)
    assert [record.message for record in caplog.records if "refused" in record.message] == ["connection.update_refused"]
    assert (await peer.get(CONFIGURATION)).http_status == 200
    await pass_awake(here, peer, 595)
    assert (await peer.get(CONFIGURATION)).http_status == 200


@pytest.mark.parametrize("other", ["identity", "service"])
async def test_a_token_of_somebody_else_ends_the_connection_with_308_51232(here: Here, other: str) -> None:
    """realtime 6.2: no reply, and nothing is served any more, by either name."""
    peer = await here.peer("ana")
    service = (await here.world.in_new_service()).service
    token = here.token("ben") if other == "identity" else here.token("ana", service_sid=service)
    await peer.say({"method": "update", "id": "TM1", "token": token})
    close = await peer.hear("close")
    assert (close.status, close.error_code) == (308, 51232)
    assert close.header["status"]["status"] == "UPDATE_IS_FORBIDDEN"
    await peer.say({"id": "TM2", "method": "message", "http_request": {"path": CONFIGURATION, "method": "GET"}})
    await peer.say({"id": "TM3", "method": "close"})
    assert await peer.end() == 1000
    assert "TM1" not in {heard.header["id"] for heard in peer.frames}
    assert "TM2" not in {heard.header["id"] for heard in peer.frames}


async def test_the_old_subscriptions_of_another_identity_fail_with_404(here: Here) -> None:
    """realtime 6.2: that removes the foreign conversations from the client."""
    room = await here.world.conversation("ana")
    ana, ben = await here.peer("ana"), await here.peer("ben")
    roots = await ana.follow(f"{room.sid}.channel", f"{room.sid}.messages", f"{room.sid}.roster")
    wishes = [{"object_sid": root["sid"], "object_type": "x", "last_event_id": 0} for root in roots.values()]
    settled = await ben.establish(*wishes)
    assert {one.how for one in settled.values()} == {"failed"}
    assert {one.entry["error"]["status"] for one in settled.values()} == {404}


async def test_one_update_at_a_time(here: Here) -> None:
    peer = await here.peer("ana")
    answers = await asyncio.gather(*(peer.update(here.token("ana", ttl_s=1000 + n)) for n in range(3)))
    codes = sorted(answer.status for answer in answers)
    assert codes[0] == 200 and set(codes) <= {200, 429}
    for answer in answers:
        if answer.status == 429:
            assert answer.json["backoff_policy"]["reconnect_min_ms"] > 0


# --- fetched long before


@pytest.mark.owner_demand(14)
async def test_a_token_fetched_long_before_opens_any_number_of_connections(here: Here) -> None:
    """semantics 3.2: nothing is kept for a token, so an application may store one for a fast start."""
    stored = here.token("ana", ttl_s=4 * 3600)
    here.pass_time(3 * 3600)
    peers = [await here.open() for _ in range(5)]
    answers = await asyncio.gather(*(peer.init(stored) for peer in peers))
    assert {answer.status for answer in answers} == {200}
    for peer in peers:
        await peer.close()
    here.pass_time(1800)
    again = await here.open()
    assert (await again.init(stored)).status == 200
    assert (await again.get(CONFIGURATION)).http_status == 200


@pytest.mark.owner_demand(12)
async def test_a_token_of_less_than_three_minutes_does_not_work_and_the_refusal_says_why(here: Here) -> None:
    """semantics 3.1: not 20104, at which applications would fetch another such token, for ever."""
    peer = await here.open()
    answer = await peer.init(here.token("ana", ttl_s=179))
    assert (answer.status, answer.error_code) == (401, 20156)
    assert "180" in answer.header["status"]["description"]
    peer = await connected(here, ttl_s=180)
    refused = await peer.update(here.token("ana", ttl_s=179))
    assert (refused.status, refused.error_code) == (401, 20156)


# --- expiry


@pytest.mark.owner_demand(13)
async def test_in_mode_reauth_the_socket_is_dropped_and_the_next_init_says_why(here: Here) -> None:
    """realtime 6.3: so that ``updateToken`` inside the ``tokenExpired`` handler works (15.27)."""
    token = here.token("ana", ttl_s=600)
    peer = await here.open()
    await peer.init(token)
    await pass_awake(here, peer, 599)
    here.pass_time(2)
    await peer.end()
    assert peer.of_method("close") == []
    again = await here.open()
    answer = await again.init(token)
    assert (answer.status, answer.error_code) == (401, 20104)


async def test_in_mode_close_the_client_is_told_410(start: Start) -> None:
    here = await start(tokens=TokensSettings(on_expiry="close"))
    peer = await connected(here, ttl_s=600)
    await pass_awake(here, peer, 599)
    here.pass_time(2)
    close = await peer.hear("close")
    assert (close.status, close.error_code) == (410, 51207)
    assert close.header["status"]["status"] == "TOKEN_EXPIRED"
    await peer.close()


async def test_a_client_that_stays_after_410_is_cut_off(start: Start) -> None:
    here = await start(tokens=TokensSettings(on_expiry="close"))
    peer = await connected(here, ttl_s=200)
    await pass_awake(here, peer, 199)
    here.pass_time(2)
    await peer.hear("close")
    here.pass_time(11)
    assert await peer.end() == 1000


async def test_no_request_is_served_after_the_end_of_the_token(here: Here) -> None:
    """Whether or not the sweep has come by."""
    peer = await connected(here, ttl_s=600)
    await pass_awake(here, peer, 590)
    here.world.clock.advance(_seconds(10))
    answer = await peer.get(CONFIGURATION)
    assert answer.status == 200
    assert answer.failure == (401, 20104)


async def test_an_update_at_the_last_moment_saves_the_connection(here: Here) -> None:
    peer = await connected(here, ttl_s=600)
    await pass_awake(here, peer, 590)
    here.world.clock.advance(_seconds(10))
    assert (await peer.update(here.token("ana"))).status == 200
    here.pass_time(1)
    assert (await peer.get(CONFIGURATION)).http_status == 200


async def test_an_expired_client_gets_no_more_events(start: Start) -> None:
    here = await start(tokens=TokensSettings(on_expiry="close"))
    room = await here.world.conversation("ana")
    peer = await connected(here, ttl_s=200)
    sid = (await peer.follow(f"{room.sid}.messages"))[f"{room.sid}.messages"]["sid"]
    await pass_awake(here, peer, 199)
    here.pass_time(2)
    await peer.hear("close")
    await here.world.send(room.sid, "secret")
    await peer.say({"id": "TM1", "method": "close"})
    assert await peer.end() == 1000
    assert peer.texts(sid) == []


def _seconds(seconds: float) -> timedelta:

    return timedelta(seconds=seconds)
