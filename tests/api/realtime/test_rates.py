"""How much of the socket an account may use, where the operator limits it (semantics 9.3, realtime 5.1, 8.1)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest

from tertulia.server.settings import LimitsSettings, Settings
from tests.engine.world import World

from .client import Heard, Peer
from .conftest import Here, running

Limited = Callable[[LimitsSettings], Awaitable[Here]]


@pytest.fixture
async def limited(world: World) -> AsyncIterator[Limited]:
    """Starts a server with these limits."""
    async with AsyncExitStack() as stack:

        async def start(limits: LimitsSettings) -> Here:
            return await stack.enter_async_context(running(world, Settings(limits=limits)))

        yield start


async def knock(here: Here, identity: str = "ana") -> tuple[Peer, Heard]:
    """A connection, and the answer to its token."""
    peer = await here.open()
    return peer, await peer.init(here.token(identity))


def told_to_come_back(answer: Heard) -> tuple[int, int]:
    """When, in milliseconds: the least and the most (realtime 5.1)."""
    assert (answer.status, answer.error_code) == (429, 51202), answer
    backoff = answer.json["backoff_policy"]
    return backoff["reconnect_min_ms"], backoff["reconnect_max_ms"]


async def test_so_many_connections_of_an_account(limited: Limited) -> None:
    here = await limited(LimitsSettings(connections=2))
    first = await here.peer("ana")
    await here.peer("ben")
    _, answer = await knock(here, "cleo")
    least, most = told_to_come_back(answer)
    assert 5_000 <= least < 9_000 <= most
    await first.close()
    await here.peer("cleo")


async def test_a_connection_that_is_refused_or_lost_leaves_its_place(limited: Limited) -> None:
    here = await limited(LimitsSettings(connections=1))
    for _ in range(3):
        peer = await here.open()
        assert (await peer.init("no token")).status == 401
        peer.cut()
    peer = await here.peer("ana")
    assert (await peer.update(here.token("ana"))).status == 200, "a new token is no new connection"
    _, answer = await knock(here, "ben")
    told_to_come_back(answer)
    peer.cut()
    async with asyncio.timeout(10):
        while (await knock(here, "ben"))[1].status != 200:  # noqa: ASYNC110 (what is waited for has no event)
            await asyncio.sleep(0)


async def test_so_many_new_connections_a_second(limited: Limited, world: World) -> None:
    here = await limited(LimitsSettings(connections_per_s=2))
    answers = [(await knock(here))[1] for _ in range(5)]
    assert [answer.status for answer in answers] == [200, 200, 429, 429, 429]
    waits = [told_to_come_back(answer) for answer in answers[2:]]
    assert all(1_000 <= least < 5_000 and most > least for least, most in waits)
    world.clock.advance(timedelta(seconds=1))
    assert [(await knock(here))[1].status for _ in range(3)] == [200, 200, 429]


async def test_who_is_refused_makes_no_user(limited: Limited, world: World) -> None:
    here = await limited(LimitsSettings(connections_per_s=1))
    await here.peer("ana")
    users = await world.count("users")
    _, answer = await knock(here, "a stranger")
    told_to_come_back(answer)
    assert await world.count("users") == users


async def test_so_many_requests_a_second_over_a_connection(limited: Limited, world: World) -> None:
    """Refused inside the frame, so that only this request fails; each layer of the SDK knows its own code."""
    here = await limited(LimitsSettings(connection_requests_per_s=4))
    peer, other = await here.peer("ana"), await here.peer("ben")
    assert [(await peer.get("/Client/v2/Configuration")).http_status for _ in range(4)] == [200] * 4
    refused = await peer.get("/Client/v2/Configuration")
    assert refused.failure == (429, 20429)
    assert refused.header["http_headers"]["retry-after"] == "1"
    assert (await peer.get("/v3/Maps/any")).failure == (429, 54009)
    assert (await peer.post("/v4/Subscriptions", {})).failure == (429, 54009)
    assert (await other.get("/Client/v2/Configuration")).http_status == 200
    world.clock.advance(timedelta(seconds=1))
    assert (await peer.get("/Client/v2/Configuration")).http_status == 200


async def test_so_many_requests_a_second_over_all_connections_of_an_account(limited: Limited) -> None:
    here = await limited(LimitsSettings(account_requests_per_s=3))
    peers = [await here.peer(identity) for identity in ("ana", "ben", "cleo", "dora")]
    answers = [await peer.get("/Client/v2/Configuration") for peer in peers]
    assert [answer.http_status for answer in answers] == [200, 200, 200, 429]


async def test_a_busy_conversation_is_told_inside_the_frame(limited: Limited, world: World) -> None:
    here = await limited(LimitsSettings(conversation_actions_per_s=2))
    room = await world.conversation("ana")
    peer = await here.peer("ana")
    answers = [await peer.send_message(room.sid, "hello") for _ in range(3)]
    assert [answer.http_status for answer in answers] == [201, 201, 429]
    assert answers[2].failure == (429, 50063)
    assert answers[2].header["http_headers"]["retry-after"] == "1"


async def test_the_hosted_profile_lets_a_client_burst(limited: Limited, world: World) -> None:
    """Opening 120 conversations makes 480 requests within a second (realtime 8)."""
    here = await limited(LimitsSettings(profile="hosted"))
    peer = await here.peer("ana")
    answers = await asyncio.gather(*(peer.get("/Client/v2/Configuration") for _ in range(480)))
    assert {answer.http_status for answer in answers} == {200}
    told = await asyncio.gather(*(peer.get("/Client/v2/Configuration") for _ in range(30)))
    assert [answer.http_status for answer in told].count(429) == 10
