"""Budgets of commands: so many a second in each conversation or service, whoever sends them and by whatever name."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import timedelta
from typing import Any

import pytest

from tertulia.server.domain import callers
from tertulia.server.domain.conversations import CreateConversation, DeleteConversation, UpdateConversation
from tertulia.server.domain.errors import TertuliaError, TooMany
from tertulia.server.domain.memberships import LeaveConversation, UpdateMembership
from tertulia.server.domain.messages import DeleteMessage, SendMessage, UpdateMessage
from tertulia.server.domain.participants import (
    AddParticipant,
    JoinConversation,
    RemoveParticipant,
    UpdateParticipant,
)
from tertulia.server.domain.roles import CreateRole, DeleteRole, UpdateRole
from tertulia.server.domain.users import CreateUser, DeleteUser, UpdateUser
from tertulia.server.engine.rates import BUDGETS, FREE, Per, Rates
from tertulia.server.engine.rules import RULES
from tertulia.server.engine.unit import Policy

from .world import BASE_URL, World, refused

PER_CONVERSATION, PER_SERVICE = 3, 2


@pytest.fixture
def limited(world: World) -> World:
    """The same world, in which three things a second happen in a conversation, two in a service."""
    rates = Rates(world.clock, per_conversation=PER_CONVERSATION, per_service=PER_SERVICE)
    world.engine = world.engine_with(Policy(base_url=BASE_URL), rates=rates)
    return world


@pytest.fixture
async def room(world: World, limited: World) -> str:
    """A conversation with a unique name and two members, in the second after it was made."""
    made = await world.do(CreateConversation, unique_name="hall")
    for identity in ("ana", "ben"):
        await world.connect(identity)
        await world.add(made.sid, identity)
    later(world, 2)
    return made.sid


def later(world: World, seconds: float) -> None:
    world.clock.advance(timedelta(seconds=seconds))


async def outcome(work: Awaitable[Any]) -> int:
    """The code it was refused with; 0 for what was done."""
    try:
        await work
    except TertuliaError as refusal:
        return refusal.code
    return 0


def test_every_command_has_a_budget_or_is_free_by_name() -> None:
    budgeted, all_there_are = ({command.__name__ for command in table} for table in (BUDGETS, RULES))
    assert budgeted | FREE == all_there_are
    assert budgeted & FREE == set()


def test_the_budgets_are_those_of_the_published_table() -> None:
    """Semantics 9.3, field by field."""
    table = {(budget.resource, budget.verb): budget.per for budget in BUDGETS.values()}
    conversation, service = Per.CONVERSATION, Per.SERVICE
    assert table == {
        **{("conversation", verb): per for verb, per in zip(VERBS, (service, conversation, service), strict=True)},
        **{(resource, verb): conversation for resource in ("participant", "message") for verb in VERBS},
        **{(resource, verb): service for resource in ("user", "role") for verb in VERBS},
    }
    for command, budget in BUDGETS.items():
        assert {"service"} <= set(command.__struct_fields__), command
        assert budget.per is Per.SERVICE or "conversation" in command.__struct_fields__, command


VERBS = ("create", "update", "delete")


async def test_without_limits_as_much_is_done_as_is_asked_for(world: World) -> None:
    room = await world.conversation()
    for _ in range(100):
        await world.send(room.sid)


async def test_so_many_in_a_conversation_and_when_to_come_back(limited: World, room: str) -> None:
    for _ in range(PER_CONVERSATION):
        await limited.send(room)
    for _ in range(2):
        with pytest.raises(TooMany) as refusal:
            await limited.send(room)
        assert (refusal.value.code, refusal.value.status, refusal.value.retry_after_s) == (50063, 429, 1)
    later(limited, 1 / PER_CONVERSATION + 0.001)
    await limited.send(room)
    with refused(50063, 429):
        await limited.send(room)
    later(limited, 1)
    for _ in range(PER_CONVERSATION):
        await limited.send(room)


async def test_so_many_in_a_service(limited: World, room: str) -> None:
    codes = [await outcome(limited.do(CreateUser, identity=f"u{n}")) for n in range(4)]
    assert codes == [0, 0, 50074, 50074]
    with pytest.raises(TooMany) as refusal:
        await limited.do(CreateUser, identity="one more")
    assert (refusal.value.status, refusal.value.retry_after_s) == (429, 1)
    other = await limited.in_new_service()
    assert await outcome(other.do(CreateUser, identity="u")) == 0


async def test_each_kind_of_change_has_a_budget_of_its_own(limited: World, room: str) -> None:
    sent = [await limited.send(room) for _ in range(PER_CONVERSATION)][-1]
    assert await outcome(limited.send(room)) == 50063
    in_room = {"conversation": room}
    here: list[tuple[Any, dict[str, Any]]] = [
        (UpdateMessage, {"message": sent.sid, "body": "new"}),
        (UpdateParticipant, {"participant": "ana", "attributes": "[1]"}),
        (UpdateConversation, {"friendly_name": "new"}),
    ]
    for command, fields in here:
        codes = [await outcome(limited.do(command, **in_room, **fields)) for _ in range(PER_CONVERSATION + 1)]
        assert codes == [0] * PER_CONVERSATION + [50063], command
    assert await outcome(limited.do(DeleteMessage, **in_room, message=sent.sid)) == 0
    assert await outcome(limited.do(RemoveParticipant, **in_room, participant="ben")) == 0
    assert await outcome(limited.do(AddParticipant, **in_room, identity="cleo")) == 0
    role = await limited.role("conversation")
    there: list[tuple[Any, dict[str, Any]]] = [
        (UpdateRole, {"role": role.sid, "permissions": ("sendMessage",)}),
        (UpdateUser, {"user": "ana", "friendly_name": "Ana"}),
    ]
    for command, fields in there:
        codes = [await outcome(limited.do(command, **fields)) for _ in range(PER_SERVICE + 1)]
        assert codes == [0] * PER_SERVICE + [50074], command
    assert await outcome(limited.do(DeleteRole, role=role.sid)) == 0
    assert await outcome(limited.do(DeleteUser, user="ana")) == 0
    assert (
        await outcome(limited.do(CreateRole, friendly_name="r", kind="conversation", permissions=("sendMessage",))) == 0
    )
    assert await outcome(limited.do(DeleteConversation, **in_room)) == 0


async def test_joining_is_adding_and_leaving_is_removing(limited: World, room: str) -> None:
    for number in range(PER_CONVERSATION):
        await limited.add(room, f"u{number}")
    await limited.connect("dora")
    joining = limited.do(JoinConversation, conversation=room, by=limited.user("dora"))
    assert await outcome(joining) == 50063
    for number in range(PER_CONVERSATION):
        await limited.do(RemoveParticipant, conversation=room, participant=f"u{number}")
    leaving = limited.do(LeaveConversation, user="ana", conversation=room)
    assert await outcome(leaving) == 50063


async def test_another_name_is_no_second_budget(limited: World, room: str) -> None:
    """By SID, by unique name, by REST and by users: one conversation, one budget."""
    ways: list[tuple[str, Any]] = [
        (room, None),
        ("hall", None),
        ("hall", limited.user("ana")),
        (room, limited.user("ben")),
        ("hall", limited.user("ben")),
        (room, limited.account),
    ]
    codes = [await outcome(limited.do(SendMessage, conversation=name, body="x", by=by)) for name, by in ways]
    assert codes == [0] * PER_CONVERSATION + [50063] * 3


async def test_all_at_once_are_no_more_than_one_after_another(limited: World, room: str) -> None:
    names = ("hall", room) * 20
    codes = await asyncio.gather(*(outcome(limited.send(name)) for name in names))
    assert sorted(codes) == [0] * PER_CONVERSATION + [50063] * (len(names) - PER_CONVERSATION)
    assert await limited.count("messages") == PER_CONVERSATION


async def test_who_was_refused_is_refused_again_without_a_transaction(limited: World, room: str) -> None:
    for name in ("hall", room):
        await asyncio.gather(*(outcome(limited.send(name)) for _ in range(PER_CONVERSATION + 1)))
        before = limited.database.statements
        for _ in range(50):
            assert await outcome(limited.send(name)) == 50063
        assert limited.database.statements == before
        later(limited, 2)
        assert await outcome(limited.send(name)) == 0
        later(limited, 2)


async def test_a_repeat_is_answered_and_costs_nothing(limited: World, room: str) -> None:
    first = await limited.send(room, by=limited.user("ana", "m1"))
    for _ in range(10):
        assert (await limited.send(room, by=limited.user("ana", "m1"))).sid == first.sid
    codes = [await outcome(limited.send(room)) for _ in range(PER_CONVERSATION)]
    assert codes == [0] * (PER_CONVERSATION - 1) + [50063]


async def test_nobody_spends_the_budget_of_a_conversation_that_he_does_not_see(limited: World, room: str) -> None:
    """Nor does he learn from it that there is one: for him it is as absent as before."""
    await limited.connect("eve")
    eve = limited.user("eve")
    for name in (room, "hall") * 10:
        with refused(50350, 404):
            await limited.send(name, by=eve)
    for _ in range(PER_CONVERSATION):
        await limited.send(room)
    assert await outcome(limited.send(room)) == 50063
    with refused(50350, 404):
        await limited.send(room, by=eve)
    other = await limited.in_new_service()
    with refused(50350, 404):
        await other.send(room)


async def test_nobody_spends_a_budget_on_what_he_may_not_do(limited: World, room: str) -> None:
    for _ in range(20):
        with refused(50107, 403):
            await limited.do(UpdateUser, user="ben", friendly_name="x", by=limited.user("ana"))
    assert await outcome(limited.do(UpdateUser, user="ben", friendly_name="x")) == 0


async def test_what_the_server_does_by_itself_is_not_limited(limited: World, room: str) -> None:
    system = callers.system(limited.account.account_sid)
    for state in ("inactive", "active") * 10:
        await limited.do(UpdateConversation, conversation=room, state=state, by=system)


async def test_reading_horizons_move_freely(limited: World, room: str) -> None:
    await limited.send(room)
    for _ in range(20):
        await limited.do(UpdateMembership, user="ana", conversation=room, last_read_index=0)


async def test_one_limit_without_the_other(world: World) -> None:
    world.engine = world.engine_with(Policy(base_url=BASE_URL), rates=Rates(world.clock, per_service=1))
    room = await world.do(CreateConversation)
    assert await outcome(world.do(CreateConversation)) == 50074
    for _ in range(20):
        await world.send(room.sid)
