"""Statements do not grow with the members: a thousand cost what two cost (architecture 16)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tertulia.server.domain.conversations import UpdateConversation
from tertulia.server.domain.memberships import UpdateMembership
from tertulia.server.domain.messages import DeleteMessage, Message, UpdateMessage
from tertulia.server.domain.participants import RemoveParticipant, UpdateParticipant
from tertulia.server.engine.identities import Identities

from .world import World, new_world


class Crowd:
    def __init__(self, world: World, room: str, messages: list[Message]) -> None:
        self.world, self.room, self.messages = world, room, messages

    async def cost(self, command: Any, **fields: Any) -> int:
        before = self.world.database.statements
        await self.world.do(command, by=self.world.user("user-0"), conversation=self.room, **fields)
        return self.world.database.statements - before


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=[2, 1000])
async def crowd(request: pytest.FixtureRequest) -> AsyncIterator[Crowd]:
    async with new_world() as world:
        room = await world.conversation(*(f"user-{n}" for n in range(request.param)))
        messages = [await world.send(room.sid, by=world.user("user-0")) for _ in range(3)]
        yield Crowd(world, room.sid, messages)


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_editing_a_message(crowd: Crowd) -> None:
    assert await crowd.cost(UpdateMessage, message=crowd.messages[0].sid, body="new") == 5


async def test_removing_a_message(crowd: Crowd) -> None:
    assert await crowd.cost(DeleteMessage, message=crowd.messages[1].sid) == 6


async def test_moving_the_read_horizon(crowd: Crowd) -> None:
    assert await crowd.cost(UpdateMembership, user="user-0", last_read_index=0) == 8


async def test_changing_a_participant(crowd: Crowd) -> None:
    assert await crowd.cost(UpdateParticipant, participant="user-0", attributes="[1]") == 5


async def test_closing(crowd: Crowd) -> None:
    """One item leaves each member's map, in as many statements for all of them."""
    world = crowd.world
    room = await world.conversation(*(f"user-{n}" for n in range(2)))
    for where in (room.sid, crowd.room):
        before = world.database.statements
        await world.do(UpdateConversation, conversation=where, state="closed")
        assert world.database.statements - before == 6
    await world.do(RemoveParticipant, conversation=crowd.room, participant="user-1")


@pytest.mark.parametrize("name", ["", "SK", "AC" + "x" * 32, "SK" + "0" * 500_000, "somebody"])
async def test_a_name_that_no_credential_of_ours_can_have_is_not_looked_up(world: World, name: str) -> None:
    identities = Identities(world.database, world.sealer, world.clock)
    before = world.database.statements
    assert await identities.account_of(name, "secret") is None
    assert world.database.statements == before
