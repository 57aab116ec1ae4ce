"""A client of a thousand conversations starts and returns with a constant number of statements per request."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest

from tertulia.server.domain.conversations import CreateConversation
from tertulia.server.domain.participants import AddParticipant
from tests.engine.world import World

from .client import Heard, Peer, path_of, wish
from .conftest import Here

MANY = 1000
MOST = 8
"""Statements that a request may take, the limits of its snapshot included."""


async def rooms_of(world: World, identity: str, count: int) -> list[str]:
    async def one() -> str:
        made = await world.engine.execute(world.account, CreateConversation(service=world.service))
        wish_add = AddParticipant(service=world.service, conversation=made.sid, identity=identity)
        await world.engine.execute(world.account, wish_add)
        return made.sid

    # Together, so that they share commits.
    return [sid for start in range(0, count, 200) for sid in await asyncio.gather(*(one() for _ in range(200)))]


class Counted:
    """A client whose every request is counted in statements."""

    def __init__(self, here: Here, peer: Peer) -> None:
        self.peer = peer
        self._database = here.world.database
        self.most: dict[str, int] = {}

    async def __call__(self, what: str, request: Awaitable[Heard]) -> Any:
        before = self._database.statements
        answer = await request
        assert answer.http_status in (200, 202)
        self.most[what] = max(self.most.get(what, 0), self._database.statements - before)
        return answer.json


async def test_a_start_with_a_thousand_conversations_asks_no_more_per_request_than_one_with_few(here: Here) -> None:
    await rooms_of(here.world, "busy", MANY)
    await here.world.connect("idle")
    await here.world.conversation("idle")
    costs = {}
    for identity in ("idle", "busy"):
        peer = await here.peer(identity)
        counted = Counted(here, peer)
        told = await counted("configuration", peer.get("/Client/v2/Configuration"))
        mine = await counted("my map", peer.root(told["sync_objects"]["my_conversations"]))
        info = await counted("my profile", peer.root(told["sync_objects"]["my_user_info"], Include="items"))
        await counted("items of my map", peer.get(path_of(mine["links"]["items"]), PageSize=100))
        listed: list[dict[str, Any]] = []
        token: dict[str, str] = {}
        while True:
            page = await counted("a page", peer.get(path_of(told["links"]["my_conversations"]), **token))
            listed += page["conversations"]
            if not page["meta"]["next_token"]:
                break
            token = {"PageToken": page["meta"]["next_token"]}
        assert len(listed) == (MANY if identity == "busy" else 1)
        wishes = [wish(mine["sid"], mine["last_event_id"]), wish(info["sid"], info["last_event_id"])]
        for entry in listed[:100]:
            roots = {
                part: await counted(part, peer.root(entry["sync_objects"][part]))
                for part in ("conversation", "messages", "participants")
            }
            wishes += [wish(root["sid"], root["last_event_id"]) for root in roots.values()]
            items = path_of(roots["participants"]["links"]["items"])
            await counted("roster", peer.get(items, PageSize=50, Order="asc"))
        for start in range(0, len(wishes), 100):
            batch = wishes[start : start + 100]
            before = here.world.database.statements
            settled = await peer.establish(*batch)
            assert {one.how for one in settled.values()} == {"established"}
            spent = here.world.database.statements - before
            counted.most["subscribe"] = max(counted.most.get("subscribe", 0), spent)
        costs[identity] = counted.most
    for what, statements in costs["busy"].items():
        assert statements <= MOST, what
        # One to look beyond the end of the page, where there is more.
        assert statements <= costs["idle"][what] + 1, what


async def test_returning_to_three_thousand_objects_is_a_few_statements_for_each_batch(here: Here) -> None:
    """realtime 1.2: every open object at once, with the number that the client has."""
    rooms = await rooms_of(here.world, "busy", MANY)
    peer = await here.peer("busy")
    wishes = [wish(prefix + sid[2:], number) for sid in rooms for prefix, number in (("ET", 1), ("ES", -1), ("MP", 0))]
    sids = [each["object_sid"] for each in wishes]
    before = here.world.database.statements
    for start in range(0, len(wishes), 1000):
        await peer.establish(*wishes[start : start + 1000])
    spent = here.world.database.statements - before
    established = {sid: one for batch in peer.settled.values() for sid, one in batch.items()}
    assert established.keys() == set(sids)
    assert peer.events == [] and spent <= 3 * MOST


@pytest.mark.parametrize("members", [2, 500])
async def test_a_message_costs_the_same_however_many_follow(here: Here, members: int) -> None:
    room = await here.world.conversation(*(f"user-{n}" for n in range(members)))
    peers = [await here.peer(f"user-{n}") for n in range(min(members, 40))]
    for peer in peers:
        await peer.establish(wish("ES" + room.sid[2:], -1))
    await peers[0].send_message(room.sid, "the first")
    before = here.world.database.statements
    await peers[0].send_message(room.sid, "the second")
    for peer in peers:
        await peer.until(lambda: len(peer.events) == 2)  # noqa: B023
    spent = here.world.database.statements - before
    assert spent <= 12
