"""Two at once: one wins, the others are told as if they had come later."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any

from tertulia.server.domain.base import Command
from tertulia.server.domain.conversation_with_participants import CreateConversationWithParticipants
from tertulia.server.domain.conversations import CreateConversation, DeleteConversation, UpdateConversation
from tertulia.server.domain.errors import TertuliaError
from tertulia.server.domain.memberships import UpdateMembership
from tertulia.server.domain.messages import UpdateMessage
from tertulia.server.domain.participants import AddParticipant, RemoveParticipant
from tertulia.server.domain.services import CreateService, DeleteService
from tertulia.server.domain.users import CreateUser, UpdateUser
from tertulia.server.engine.unit import Policy
from tertulia.server.storage.database import Connection, Retryable
from tertulia.server.storage.sqlite import SqliteDatabase

from .world import BASE_URL, World, refused


async def together(*deeds: Awaitable[Any]) -> tuple[list[Any], list[int]]:
    """What was done, and the codes of what was refused."""
    done: list[Any] = []
    codes: list[int] = []
    for outcome in await asyncio.gather(*deeds, return_exceptions=True):
        if isinstance(outcome, TertuliaError):
            codes.append(outcome.code)
        elif isinstance(outcome, BaseException):
            raise outcome
        else:
            done.append(outcome)
    return done, codes


async def test_one_of_many_gets_a_unique_name(world: World) -> None:
    done, codes = await together(*(world.do(CreateConversation, unique_name="name") for _ in range(10)))
    assert (len(done), codes) == (1, [50353] * 9)


async def test_one_of_many_becomes_a_user(world: World) -> None:
    done, codes = await together(*(world.do(CreateUser, identity="ana") for _ in range(10)))
    assert (len(done), codes) == (1, [50201] * 9)


async def test_many_first_connections_are_one_user(world: World) -> None:
    done, codes = await together(*(world.connect("ana") for _ in range(10)))
    assert (len({user.sid for user in done}), codes) == (1, [])


async def test_one_of_many_becomes_a_participant(world: World) -> None:
    room = await world.conversation()
    done, codes = await together(*(world.add(room.sid, "ana") for _ in range(10)))
    assert (len(done), codes) == (1, [50433] * 9)
    assert (await world.queries.conversation(world.account, world.service, room.sid)).participant_count == 1


async def test_one_of_many_conversations_gets_a_pair_of_numbers(world: World) -> None:
    rooms = [await world.conversation() for _ in range(10)]
    pair = {"address": "+15550001111", "proxy_address": "+15550002222"}
    done, codes = await together(*(world.do(AddParticipant, conversation=room.sid, **pair) for room in rooms))
    assert (len(done), codes) == (1, [50416] * 9)


async def test_messages_sent_at_once_have_an_index_each_and_no_gap(world: World) -> None:
    room = await world.conversation("ana", "ben")
    world.bus.heard.clear()
    done, codes = await together(
        *(world.send(room.sid, by=world.user(name)) for name in ("ana", "ben") for _ in range(50))
    )
    assert (sorted(message.index for message in done), codes) == (list(range(100)), [])
    numbers = [event.number for event in world.bus.events() if event.object_sid.startswith("ES")]
    assert numbers == list(range(100)), "events leave in the order of their numbers"


async def test_changes_at_once_lose_none_of_each_other(world: World) -> None:
    room = await world.conversation("ana")
    deeds: list[Any] = [
        world.do(UpdateConversation, conversation=room.sid, friendly_name="x"),
        world.do(UpdateConversation, conversation=room.sid, attributes="[]"),
        world.send(room.sid),
        world.add(room.sid, "ben"),
        world.do(UpdateMembership, conversation=room.sid, user="ana", notification_level="muted"),
    ]
    _, codes = await together(*deeds)
    now = await world.queries.conversation(world.account, world.service, room.sid)
    assert codes == []
    assert (now.friendly_name, now.attributes, now.message_count, now.participant_count) == ("x", "[]", 1, 2)


async def test_what_comes_after_the_end_is_refused(world: World) -> None:
    room, other = await world.conversation("ana"), await world.in_new_service()
    there = await other.conversation("ana")
    _, codes = await together(
        world.do(DeleteConversation, conversation=room.sid),
        world.send(room.sid),
        world.add(room.sid, "ben"),
        world.do(RemoveParticipant, conversation=room.sid, participant="ana"),
    )
    assert codes == [50350] * 3
    _, codes = await together(other.do(DeleteService), other.send(there.sid), other.conversation())
    assert sorted(codes) == [20404, 50350]
    await world.run_due()
    assert (await world.count("messages"), await world.count("participants")) == (0, 0)


class Contended:
    """The world's database, in which somebody else is always quicker."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database
        self.tries = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        async with self._database.transaction() as connection:
            yield connection
            self.tries += 1
            raise Retryable


async def test_who_always_comes_second_is_told_what_of(world: World) -> None:
    room = await world.conversation("ana")
    message = await world.send(room.sid)
    contended = Contended(world.database)
    world.engine = world.engine_with(Policy(base_url=BASE_URL), database=contended)
    here = {"conversation": room.sid}
    deeds: tuple[tuple[type[Command[Any]], dict[str, str], int], ...] = (
        (UpdateConversation, {**here, "friendly_name": "x"}, 50391),
        (UpdateMessage, {**here, "message": message.sid, "body": "x"}, 50514),
        (AddParticipant, {**here, "identity": "ben"}, 50419),
        (UpdateMembership, {**here, "user": "ana", "notification_level": "muted"}, 50419),
        (CreateConversationWithParticipants, {"friendly_name": "x"}, 50391),
        (UpdateUser, {"user": "ana", "friendly_name": "x"}, 50213),
        (CreateService, {"friendly_name": "x"}, 20409),
    )
    for wish, fields, code in deeds:
        contended.tries = 0
        with refused(code, 409):
            await world.do(wish, **fields)
        assert contended.tries == 3
    assert (await world.queries.conversation(world.account, world.service, room.sid)).friendly_name is None
