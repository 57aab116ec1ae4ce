"""Who may do what by the SDK: the table of semantics 2.2, each permission granted and absent, by either role."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from tertulia.server.domain.base import Command
from tertulia.server.domain.conversations import CreateConversation, DeleteConversation, UpdateConversation
from tertulia.server.domain.errors import TertuliaError
from tertulia.server.domain.memberships import UpdateMembership
from tertulia.server.domain.messages import DeleteMessage, SendMessage, UpdateMessage
from tertulia.server.domain.participants import (
    AddParticipant,
    JoinConversation,
    RemoveParticipant,
    UpdateParticipant,
)
from tertulia.server.domain.permissions import GRANTABLE, Permission, RoleKind
from tertulia.server.domain.roles import UpdateRole
from tertulia.server.domain.users import UpdateUser
from tertulia.server.engine.rules import RULES

from .world import World, refused

P = Permission
NOTHING = (P.READ_CHANNEL_METADATA,)
"""A role holds at least one permission; this one is asked for nowhere."""


class Place(msgspec.Struct, frozen=True):
    """A room of ana and ben with a message of each, and another room without ana."""

    world: World
    room: str
    elsewhere: str
    of_ana: str
    of_ben: str
    names: Callable[[], str]

    def here(self, **fields: Any) -> dict[str, Any]:
        return {"service": self.world.service, "conversation": self.room, **fields}


Deed = Callable[[Place], Command[Any]]


class Row(msgspec.Struct, frozen=True):
    """What ana does, which single permissions suffice, and what else she needs for it."""

    deed: Deed
    named: Permission
    """The missing permission that the refusal names."""
    suffice: tuple[Permission, ...]
    beside: tuple[Permission, ...] = ()


TABLE: dict[str, Row] = {
    "create a conversation": Row(
        lambda at: CreateConversation(service=at.world.service),
        P.CREATE_CONVERSATION,
        (P.CREATE_CONVERSATION,),
    ),
    "add a user": Row(
        lambda at: AddParticipant(**at.here(identity=at.names())), P.ADD_PARTICIPANT, (P.ADD_PARTICIPANT,)
    ),
    "add somebody on a channel": Row(
        lambda at: AddParticipant(**at.here(address="whatsapp:+15550001111", proxy_address="whatsapp:+15550002222")),
        P.ADD_NON_CHAT_PARTICIPANT,
        (P.ADD_NON_CHAT_PARTICIPANT,),
    ),
    "add a user with a number": Row(
        lambda at: AddParticipant(**at.here(identity=at.names(), projected_address="+15550003333")),
        P.ADD_NON_CHAT_PARTICIPANT,
        (P.ADD_NON_CHAT_PARTICIPANT,),
        beside=(P.ADD_PARTICIPANT,),
    ),
    "remove another": Row(
        lambda at: RemoveParticipant(**at.here(participant="ben")), P.REMOVE_PARTICIPANT, (P.REMOVE_PARTICIPANT,)
    ),
    "leave": Row(
        lambda at: RemoveParticipant(**at.here(participant="ana")),
        P.LEAVE_CONVERSATION,
        (P.LEAVE_CONVERSATION, P.REMOVE_PARTICIPANT),
    ),
    "send": Row(lambda at: SendMessage(**at.here(body="hi")), P.SEND_MESSAGE, (P.SEND_MESSAGE,)),
    "send media": Row(
        lambda at: SendMessage(**at.here(media_sids=("ME" + "0" * 32,))),
        P.SEND_MEDIA_MESSAGE,
        (P.SEND_MEDIA_MESSAGE,),
        beside=(P.SEND_MESSAGE,),
    ),
    "edit one's own body": Row(
        lambda at: UpdateMessage(**at.here(message=at.of_ana, body="new")),
        P.EDIT_OWN_MESSAGE,
        (P.EDIT_OWN_MESSAGE, P.EDIT_ANY_MESSAGE),
    ),
    "edit another's body": Row(
        lambda at: UpdateMessage(**at.here(message=at.of_ben, body="new")), P.EDIT_ANY_MESSAGE, (P.EDIT_ANY_MESSAGE,)
    ),
    "edit one's own message's attributes": Row(
        lambda at: UpdateMessage(**at.here(message=at.of_ana, attributes='{"a":1}')),
        P.EDIT_OWN_MESSAGE_ATTRIBUTES,
        (P.EDIT_OWN_MESSAGE_ATTRIBUTES, P.EDIT_ANY_MESSAGE_ATTRIBUTES),
    ),
    "edit another's message's attributes": Row(
        lambda at: UpdateMessage(**at.here(message=at.of_ben, attributes='{"a":1}')),
        P.EDIT_ANY_MESSAGE_ATTRIBUTES,
        (P.EDIT_ANY_MESSAGE_ATTRIBUTES,),
    ),
    "remove one's own message": Row(
        lambda at: DeleteMessage(**at.here(message=at.of_ana)),
        P.DELETE_OWN_MESSAGE,
        (P.DELETE_OWN_MESSAGE, P.DELETE_ANY_MESSAGE),
    ),
    "remove another's message": Row(
        lambda at: DeleteMessage(**at.here(message=at.of_ben)), P.DELETE_ANY_MESSAGE, (P.DELETE_ANY_MESSAGE,)
    ),
    "delete the conversation": Row(
        lambda at: DeleteConversation(**at.here()), P.DELETE_CONVERSATION, (P.DELETE_CONVERSATION,)
    ),
    "rename": Row(
        lambda at: UpdateConversation(**at.here(friendly_name="new")),
        P.EDIT_CONVERSATION_NAME,
        (P.EDIT_CONVERSATION_NAME,),
    ),
    "take the name away": Row(
        lambda at: UpdateConversation(**at.here(friendly_name=None)),
        P.EDIT_CONVERSATION_NAME,
        (P.EDIT_CONVERSATION_NAME,),
    ),
    "change the unique name": Row(
        lambda at: UpdateConversation(**at.here(unique_name=at.names())),
        P.EDIT_CONVERSATION_NAME,
        (P.EDIT_CONVERSATION_NAME,),
    ),
    "change the conversation's attributes": Row(
        lambda at: UpdateConversation(**at.here(attributes='{"a":1}')),
        P.EDIT_CONVERSATION_ATTRIBUTES,
        (P.EDIT_CONVERSATION_ATTRIBUTES,),
    ),
    "rename oneself": Row(
        lambda at: UpdateUser(service=at.world.service, user="ana", friendly_name=at.names()),
        P.EDIT_OWN_USER_INFO,
        (P.EDIT_OWN_USER_INFO, P.EDIT_ANY_USER_INFO),
    ),
    "change one's own attributes": Row(
        lambda at: UpdateUser(service=at.world.service, user="ana", attributes=f'"{at.names()}"'),
        P.EDIT_OWN_USER_INFO,
        (P.EDIT_OWN_USER_INFO, P.EDIT_ANY_USER_INFO),
    ),
    "rename another user": Row(
        lambda at: UpdateUser(service=at.world.service, user="ben", friendly_name=at.names()),
        P.EDIT_ANY_USER_INFO,
        (P.EDIT_ANY_USER_INFO,),
    ),
    "change another user's attributes": Row(
        lambda at: UpdateUser(service=at.world.service, user="ben", attributes=f'"{at.names()}"'),
        P.EDIT_ANY_USER_INFO,
        (P.EDIT_ANY_USER_INFO,),
    ),
    "mute": Row(
        lambda at: UpdateMembership(**at.here(user="ana", notification_level="muted")),
        P.EDIT_NOTIFICATION_LEVEL,
        (P.EDIT_NOTIFICATION_LEVEL,),
    ),
    "change one's own participant's attributes": Row(
        lambda at: UpdateParticipant(**at.here(participant="ana", attributes='{"a":1}')),
        P.EDIT_OWN_PARTICIPANT_ATTRIBUTES,
        (P.EDIT_OWN_PARTICIPANT_ATTRIBUTES, P.EDIT_ANY_PARTICIPANT_ATTRIBUTES),
    ),
    "change another participant's attributes": Row(
        lambda at: UpdateParticipant(**at.here(participant="ben", attributes='{"a":1}')),
        P.EDIT_ANY_PARTICIPANT_ATTRIBUTES,
        (P.EDIT_ANY_PARTICIPANT_ATTRIBUTES,),
    ),
}


class Cast:
    """Ana, whose two roles are set anew for each case."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.roles: dict[RoleKind, str] = {}
        self._count = 0

    async def prepare(self) -> None:
        for kind in RoleKind:
            self.roles[kind] = (await self.world.role(kind)).sid
        for identity in ("ana", "ben"):
            await self.world.connect(identity)
        await self.world.do(UpdateUser, user="ana", role_sid=self.roles[RoleKind.SERVICE])

    async def place(self) -> Place:
        world = self.world
        room = await world.do(CreateConversation, friendly_name="old")
        await world.add(room.sid, "ana", self.roles[RoleKind.CONVERSATION])
        await world.add(room.sid, "ben")
        sent = [
            await world.do(SendMessage, conversation=room.sid, author=author, body="old") for author in ("ana", "ben")
        ]
        elsewhere = await world.conversation("ben")
        return Place(world, room.sid, elsewhere.sid, sent[0].sid, sent[1].sid, self._name)

    def _name(self) -> str:
        self._count += 1
        return f"name-{self._count}"

    async def grant(self, service: tuple[Permission, ...], conversation: tuple[Permission, ...]) -> None:
        for kind, permissions in ((RoleKind.SERVICE, service), (RoleKind.CONVERSATION, conversation)):
            await self.world.do(UpdateRole, role=self.roles[kind], permissions=permissions or NOTHING)

    async def attempt(self, deed: Deed) -> TertuliaError | None:
        """How it was refused for want of a permission; None when it was not."""
        command = deed(await self.place())
        try:
            await self.world.engine.execute(self.world.user("ana"), command)
        except TertuliaError as refusal:
            return refusal if refusal.code == 50107 else None
        return None


@pytest.fixture
async def cast(world: World) -> Cast:
    cast = Cast(world)
    await cast.prepare()
    return cast


def of_kind(kind: RoleKind, permissions: tuple[Permission, ...]) -> tuple[Permission, ...]:
    return tuple(permission for permission in permissions if permission in GRANTABLE[kind])


@pytest.mark.parametrize("name", TABLE)
async def test_of_all_permissions_exactly_the_right_ones_suffice(cast: Cast, name: str) -> None:
    row = TABLE[name]
    beside = {kind: of_kind(kind, row.beside) for kind in RoleKind}
    for permission in Permission:
        for kind in RoleKind:
            if permission not in GRANTABLE[kind]:
                continue
            granted = dict(beside)
            granted[kind] = (*granted[kind], permission)
            await cast.grant(granted[RoleKind.SERVICE], granted[RoleKind.CONVERSATION])
            refusal = await cast.attempt(row.deed)
            assert (refusal is None) == (permission in row.suffice), (permission, kind)


@pytest.mark.parametrize("name", TABLE)
async def test_the_refusal_names_what_is_missing(cast: Cast, name: str) -> None:
    row = TABLE[name]
    await cast.grant(of_kind(RoleKind.SERVICE, row.beside), of_kind(RoleKind.CONVERSATION, row.beside))
    refusal = await cast.attempt(row.deed)
    assert refusal is not None
    assert refusal.status == 403
    assert row.named in refusal.message.split()


async def test_two_needs_may_be_met_by_two_roles(cast: Cast) -> None:
    await cast.grant((P.EDIT_CONVERSATION_NAME,), (P.EDIT_CONVERSATION_ATTRIBUTES,))

    def both(at: Place) -> Command[Any]:
        return UpdateConversation(**at.here(friendly_name="new", attributes="[]"))

    assert await cast.attempt(both) is None
    await cast.grant((P.EDIT_CONVERSATION_NAME,), ())
    refusal = await cast.attempt(both)
    assert refusal is not None
    assert P.EDIT_CONVERSATION_ATTRIBUTES in refusal.message


@pytest.mark.parametrize("granted", [True, False])
async def test_joining_needs_the_service_role(cast: Cast, granted: bool) -> None:
    await cast.grant((P.JOIN_CONVERSATION,) if granted else (), ())
    at, ana = await cast.place(), cast.world.user("ana")
    if granted:
        joined = await cast.world.do(JoinConversation, by=ana, conversation=at.elsewhere)
        assert joined.identity == "ana"
        return
    # Without the permission there is nothing to be joined (semantics 2.4).
    with refused(50350, 404):
        await cast.world.do(JoinConversation, by=ana, conversation=at.elsewhere)
    # What he is in he sees.
    with refused(50107, 403, "joinConversation"):
        await cast.world.do(JoinConversation, by=ana, conversation=at.room)


async def test_the_creator_who_may_not_join_is_told_so(cast: Cast) -> None:
    ana = cast.world.user("ana")
    await cast.grant((P.CREATE_CONVERSATION,), ())
    made = await cast.world.do(CreateConversation, by=ana)
    with refused(50107, 403, "joinConversation"):
        await cast.world.do(JoinConversation, by=ana, conversation=made.sid)


async def test_a_service_role_does_not_reach_into_what_its_user_is_not_in(cast: Cast) -> None:
    await cast.grant(tuple(GRANTABLE[RoleKind.SERVICE]), ())
    at, ana = await cast.place(), cast.world.user("ana")
    with refused(50350, 404):
        await cast.world.do(UpdateConversation, by=ana, conversation=at.elsewhere, friendly_name="mine")


async def test_reading_one_s_own_horizon_and_nothing_else_needs_no_permission(cast: Cast) -> None:
    await cast.grant((), ())
    at, ana = await cast.place(), cast.world.user("ana")
    moved = await cast.world.do(UpdateMembership, by=ana, conversation=at.room, user="ana", last_read_index=1)
    assert moved.participant.last_read_index == 1


async def test_the_account_needs_no_permission(cast: Cast) -> None:
    for row in TABLE.values():
        command = row.deed(await cast.place())
        try:
            await cast.world.engine.execute(cast.world.account, command)
        except TertuliaError as refusal:
            assert refusal.code == 50507, "media is not there, whoever sends it"  # noqa: PT017


@pytest.mark.parametrize(
    ("command", "fields", "code"),
    [
        (CreateConversation, {"state": "inactive"}, 50107),
        (CreateConversation, {"inactive_timer": "PT5M"}, 50107),
        (CreateConversation, {"closed_timer": "PT1H"}, 50107),
        (CreateConversation, {"created_at": 0}, 50107),
        (UpdateConversation, {"state": "closed"}, 50107),
        (UpdateConversation, {"inactive_timer": "PT5M"}, 50107),
        (UpdateConversation, {"closed_timer": ""}, 50107),
        (UpdateConversation, {"updated_at": 0}, 50107),
        (UpdateConversation, {"messaging_service_sid": "MG" + "0" * 32}, 50107),
        (UpdateConversation, {"email_address": "a@b.c"}, 50107),
        (SendMessage, {"body": "hi", "created_at": 0}, 50107),
        (UpdateMessage, {"author": "ben"}, 50107),
        (UpdateMessage, {"created_at": 0}, 50107),
        (AddParticipant, {"identity": "cat", "role_sid": "RL" + "0" * 32}, 50205),
        (AddParticipant, {"identity": "cat", "created_at": 0}, 50107),
        (UpdateParticipant, {"role_sid": "RL" + "0" * 32}, 50205),
        (UpdateParticipant, {"identity": "cat"}, 50107),
        (UpdateParticipant, {"proxy_address": None}, 50107),
        (UpdateParticipant, {"projected_address": "+15550001111"}, 50107),
        (UpdateParticipant, {"last_read_index": 0}, 50107),
        (UpdateUser, {"role_sid": "RL" + "0" * 32}, 50205),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else None,
)
async def test_what_only_the_account_may_set_no_role_grants(
    cast: Cast, command: Callable[..., Command[Any]], fields: dict[str, Any], code: int
) -> None:
    await cast.grant(tuple(GRANTABLE[RoleKind.SERVICE]), tuple(GRANTABLE[RoleKind.CONVERSATION]))
    at = await cast.place()
    place: dict[str, Any] = {"conversation": at.room, "message": at.of_ana, "participant": "ana", "user": "ana"}
    assert isinstance(command, type)
    asked = {field.name for field in msgspec.structs.fields(command) if field.required}
    where = {name: value for name, value in place.items() if name in asked}
    with refused(code, 403):
        await cast.world.do(command, by=cast.world.user("ana"), **where, **fields)


def test_every_permission_is_asked_for_somewhere() -> None:
    asked = {need.any for rule in RULES.values() for need in rule.needs}
    asked |= {need.own for rule in RULES.values() for need in rule.needs if need.own is not None}
    assert asked == set(Permission) - {Permission.READ_CHANNEL_METADATA}


def test_a_command_that_clients_may_send_asks_for_something_or_concerns_only_themselves() -> None:
    free = {command.__name__ for command, rule in RULES.items() if rule.for_clients and not rule.needs}
    assert free == {"ConnectUser", "DeleteMedia", "KeepMedia", "NotePushUse", "RegisterPush", "RemovePush"}


async def test_the_permission_of_a_user_counts_as_it_is_now(cast: Cast) -> None:
    at, ana = await cast.place(), cast.world.user("ana")
    await cast.grant((), (P.SEND_MESSAGE,))
    await cast.world.send(at.room, by=ana)
    await cast.grant((), ())
    with refused(50107):
        await cast.world.send(at.room, by=ana)
