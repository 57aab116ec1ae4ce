"""What a user does not see does not exist for him: the same error, in every byte (semantics 2.4)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tertulia.server.domain.callers import Caller
from tertulia.server.domain.conversations import CreateConversation, DeleteConversation, UpdateConversation
from tertulia.server.domain.errors import Conflict, TertuliaError
from tertulia.server.domain.memberships import UpdateMembership
from tertulia.server.domain.messages import DeleteMessage, SendMessage, UpdateMessage
from tertulia.server.domain.participants import (
    AddParticipant,
    JoinConversation,
    RemoveParticipant,
    UpdateParticipant,
)
from tertulia.server.domain.permissions import Permission
from tertulia.server.domain.sync import ObjectKind, conversation_object_name, object_sid, user_object_name
from tertulia.server.engine.sync.catalogue import Catalogue
from tertulia.server.engine.sync.reads import ItemsWanted, ObjectAddress
from tertulia.server.engine.typing import Typing

from .world import BASE_URL, World, refused

ABSENT = "CH" + "0" * 32
MESSAGE = "IM" + "0" * 32

Asks = Callable[[World, Caller, str], Awaitable[Any]]
TYPES = {ObjectKind.DOCUMENT: "document", ObjectKind.MESSAGES: "list", ObjectKind.ROSTER: "map"}


def command(make: Any, **fields: Any) -> Asks:
    async def ask(world: World, by: Caller, conversation: str) -> Any:
        return await world.do(make, by=by, conversation=conversation, **fields)

    return ask


def root(kind: ObjectKind, *, by_sid: bool = False) -> Asks:
    async def ask(world: World, by: Caller, conversation: str) -> Any:
        name = object_sid(kind, conversation) if by_sid else conversation_object_name(kind, conversation)
        address = ObjectAddress(type=TYPES[kind], name=name, base_url=BASE_URL)
        return await world.queries.sync.root(by, address, with_items=False)

    return ask


def items(kind: ObjectKind) -> Asks:
    async def ask(world: World, by: Caller, conversation: str) -> Any:
        name = conversation_object_name(kind, conversation)
        address = ObjectAddress(type=TYPES[kind], name=name, base_url=BASE_URL)
        return await world.queries.sync.items(by, address, ItemsWanted(limit=10))

    return ask


async def typing(world: World, by: Caller, conversation: str) -> Any:
    return await Typing(world.database, world.bus, 5).typing(by, conversation)


async def read(world: World, by: Caller, conversation: str) -> Any:
    return await world.queries.visible_conversation(by, conversation)


async def read_mine(world: World, by: Caller, conversation: str) -> Any:
    return await world.queries.my_conversation(by, conversation)


async def read_message(world: World, by: Caller, conversation: str) -> Any:
    return await world.queries.visible_message(by, conversation, MESSAGE)


READS: dict[str, Asks] = {
    "read it": read,
    "read it as mine": read_mine,
    "open the document": root(ObjectKind.DOCUMENT),
    "open the document by SID": root(ObjectKind.DOCUMENT, by_sid=True),
}
FOREIGN_TO_WAITING: dict[str, Asks] = {
    "open the messages": root(ObjectKind.MESSAGES),
    "open the roster": root(ObjectKind.ROSTER),
    "open the roster by SID": root(ObjectKind.ROSTER, by_sid=True),
    "read messages": items(ObjectKind.MESSAGES),
    "read the roster": items(ObjectKind.ROSTER),
}
DEEDS: dict[str, Asks] = {
    "read a message": read_message,
    "type": typing,
    "send": command(SendMessage, body="hi"),
    "edit": command(UpdateMessage, message=MESSAGE, body="hi"),
    "remove a message": command(DeleteMessage, message=MESSAGE),
    "rename": command(UpdateConversation, friendly_name="hi"),
    "delete": command(DeleteConversation),
    "add": command(AddParticipant, identity="ben"),
    "add on a channel": command(AddParticipant, address="+15550001111", proxy_address="+15550002222"),
    "change ben": command(UpdateParticipant, participant="ben", attributes="[]"),
    "remove ben": command(RemoveParticipant, participant="ben"),
    "leave": command(RemoveParticipant, participant="eve"),
    "mute": command(UpdateMembership, user="eve", notification_level="muted"),
    "read on": command(UpdateMembership, user="eve", last_read_index=0),
    "mute for ben": command(UpdateMembership, user="ben", notification_level="muted"),
}
EVERYTHING = READS | FOREIGN_TO_WAITING | DEEDS


async def told(ask: Asks, world: World, by: Caller, conversation: str) -> tuple[int, int, str]:
    with pytest.raises(TertuliaError) as refusal:
        await ask(world, by, conversation)
    return refusal.value.status, refusal.value.code, refusal.value.message


@pytest.mark.parametrize("name", EVERYTHING)
async def test_a_conversation_one_is_not_in_does_not_exist(world: World, name: str) -> None:
    room = await world.conversation("ana", "ben")
    gone = await world.conversation("eve")
    eve = world.user("eve")
    await world.do(RemoveParticipant, by=eve, conversation=gone.sid, participant="eve")
    absent = await told(EVERYTHING[name], world, eve, ABSENT)
    assert absent[0] == 404
    assert await told(EVERYTHING[name], world, eve, room.sid) == absent, "others'"
    assert await told(EVERYTHING[name], world, eve, gone.sid) == absent, "left"


@pytest.mark.parametrize("name", [*READS, *FOREIGN_TO_WAITING])
async def test_a_closed_conversation_is_not_read_by_clients(world: World, name: str) -> None:
    room = await world.conversation("eve")
    await EVERYTHING[name](world, world.user("eve"), room.sid)
    await world.do(UpdateConversation, conversation=room.sid, state="closed")
    assert await told(EVERYTHING[name], world, world.user("eve"), room.sid) == await told(
        EVERYTHING[name], world, world.user("eve"), ABSENT
    )


@pytest.mark.parametrize("name", ["read it", *DEEDS])
async def test_by_unique_name_it_is_the_same(world: World, name: str) -> None:
    room = await world.do(CreateConversation, unique_name="secret")
    await world.add(room.sid, "ana")
    await world.connect("eve")
    ask = EVERYTHING[name]
    assert await told(ask, world, world.user("eve"), "secret") == await told(ask, world, world.user("eve"), "nothing")


async def test_ones_own_participation_makes_it_visible(world: World) -> None:
    room = await world.conversation("eve")
    for name in (*READS, *FOREIGN_TO_WAITING):
        await EVERYTHING[name](world, world.user("eve"), room.sid)


@pytest.mark.parametrize("name", ["read it", "open the document", "open the document by SID"])
async def test_the_waiting_creator_reads_the_conversation_and_its_document(world: World, name: str) -> None:
    await world.connect("eve")
    made = await world.do(CreateConversation, by=world.user("eve"))
    await EVERYTHING[name](world, world.user("eve"), made.sid)


@pytest.mark.parametrize("name", FOREIGN_TO_WAITING)
async def test_the_waiting_creator_does_not_open_the_roster_or_the_messages(world: World, name: str) -> None:
    await world.connect("eve")
    made = await world.do(CreateConversation, by=world.user("eve"))
    assert (await told(EVERYTHING[name], world, world.user("eve"), made.sid))[0] == 404


@pytest.mark.parametrize("name", sorted(set(DEEDS) - {"mute for ben"}))
async def test_whatever_else_the_waiting_creator_tries_he_is_told_to_join(world: World, name: str) -> None:
    await world.connect("eve")
    made = await world.do(CreateConversation, by=world.user("eve"))
    assert (await told(DEEDS[name], world, world.user("eve"), made.sid))[:2] == (403, 50430)


async def test_who_has_joined_once_waits_no_more(world: World) -> None:
    eve = world.user("eve")
    await world.connect("eve")
    made = await world.do(CreateConversation, by=eve)
    await world.do(JoinConversation, by=eve, conversation=made.sid)
    await world.do(RemoveParticipant, by=eve, conversation=made.sid, participant="eve")
    for name, ask in EVERYTHING.items():
        assert await told(ask, world, eve, made.sid) == await told(ask, world, eve, ABSENT), name


async def test_the_creator_sees_nothing_of_what_was_closed_before_he_joined(world: World) -> None:
    eve = world.user("eve")
    await world.connect("eve")
    made = await world.do(CreateConversation, by=eve)
    await world.do(UpdateConversation, conversation=made.sid, state="closed")
    for name, ask in EVERYTHING.items():
        assert await told(ask, world, eve, made.sid) == await told(ask, world, eve, ABSENT), name


async def test_nobody_elses_side_of_a_conversation_exists(world: World) -> None:
    room = await world.conversation("ana", "ben")
    wish = {"user": "ben", "notification_level": "muted"}
    here = await told(command(UpdateMembership, **wish), world, world.user("ana"), room.sid)
    assert here == await told(command(UpdateMembership, **wish), world, world.user("ana"), ABSENT)


async def test_all_users_of_the_service_may_be_read_but_only_ones_own_conversations(world: World) -> None:
    await world.connect("ana")
    await world.connect("ben")

    async def open_map(kind: ObjectKind, owner: str) -> Any:
        address = ObjectAddress(type="map", name=user_object_name(kind, world.service, owner), base_url=BASE_URL)
        return await world.queries.sync.root(world.user("ana"), address, with_items=True)

    assert len((await open_map(ObjectKind.USER_INFO, "ben")).items) == 2
    await open_map(ObjectKind.CONVERSATIONS, "ana")
    with refused(54200, 404):
        await open_map(ObjectKind.CONVERSATIONS, "ben")
    with refused(54200, 404):
        await open_map(ObjectKind.CONVERSATIONS, "nobody")


async def test_another_service_is_another_world(world: World) -> None:
    room = await world.conversation("ana")
    other = await world.in_new_service()
    await other.connect("ana")
    stranger = other.user("ana")
    for name in (*READS, *FOREIGN_TO_WAITING):
        assert (await told(EVERYTHING[name], world, stranger, room.sid))[0] == 404, name
    with refused(50350, 404):
        await other.send(room.sid)
    for kind in (ObjectKind.USER_INFO, ObjectKind.CONVERSATIONS):
        address = ObjectAddress(type="map", name=user_object_name(kind, world.service, "ana"), base_url=BASE_URL)
        with refused(54200, 404):
            await world.queries.sync.root(stranger, address, with_items=False)


async def test_an_object_of_another_type_is_absent_under_this_one(world: World) -> None:
    room = await world.conversation("ana")
    for type_, code in (("list", 54150), ("map", 54200)):
        address = ObjectAddress(type=type_, name=object_sid(ObjectKind.DOCUMENT, room.sid), base_url=BASE_URL)
        with refused(code, 404):
            await world.queries.sync.root(world.user("ana"), address, with_items=False)


async def test_opening_many_objects_sees_what_opening_each_sees(world: World) -> None:
    ana = world.user("ana")
    mine, others = await world.conversation("ana"), await world.conversation("ben")
    waiting = await world.do(CreateConversation, by=ana)
    closed = await world.conversation("ana")
    await world.do(UpdateConversation, conversation=closed.sid, state="closed")
    users = [(await world.queries.user(world.service, identity)).sid for identity in ("ana", "ben")]
    sids = [object_sid(kind, room.sid) for room in (mine, others, waiting, closed) for kind in TYPES]
    sids += [object_sid(kind, user) for user in users for kind in (ObjectKind.CONVERSATIONS, ObjectKind.USER_INFO)]
    sids += [object_sid(ObjectKind.DOCUMENT, ABSENT), "nonsense"]
    before = world.database.statements
    async with world.database.snapshot() as connection:
        together = await Catalogue(connection, ana, BASE_URL).open_many(sids)
    assert world.database.statements - before == 2
    alone = []
    for sid in sids:
        for type_ in ("document", "list", "map"):
            try:
                address = ObjectAddress(type=type_, name=sid, base_url=BASE_URL)
                alone.append((await world.queries.sync.root(ana, address, with_items=False)).sid)
            except TertuliaError:
                continue
    assert sorted(together) == sorted(alone)
    assert len(alone) == 3 + 1 + 3


async def test_who_adds_a_held_pair_as_a_user_does_not_learn_whose_it_is(world: World) -> None:
    secret, mine = await world.conversation("ana"), await world.conversation()
    admin = await world.role("conversation", Permission.ADD_NON_CHAT_PARTICIPANT)
    await world.add(mine.sid, "eve", admin.sid)

    def pair_in(conversation: str) -> AddParticipant:
        return AddParticipant(
            service=world.service,
            conversation=conversation,
            address="+15551234567",
            proxy_address="+15557654321",
        )

    await world.engine.execute(world.account, pair_in(secret.sid))
    with pytest.raises(Conflict) as told_to_a_user:
        await world.engine.execute(world.user("eve"), pair_in(mine.sid))
    assert told_to_a_user.value.code == 50416
    assert secret.sid not in told_to_a_user.value.message
    with pytest.raises(Conflict) as told_to_the_account:
        await world.engine.execute(world.account, pair_in(mine.sid))
    assert secret.sid in told_to_the_account.value.message
