"""How often things may be changed: budgets of commands, per conversation or per service (semantics 9.3, rest 1.7).

Off unless the operator says otherwise. A budget is taken where the command has found its place and its caller may do
what he wants there: under the conversation's own SID, so that another name is no second budget, and so that nobody
spends that of a conversation he does not see. Whoever was refused is refused again before a transaction is opened, by
the name that he used, until the budget has something for him.

Repeats by mutation id and what the server does by itself cost nothing; reads are no commands. Each node counts for
itself.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final, NamedTuple

from tertulia.server import observe
from tertulia.server.clock import Clock
from tertulia.server.domain.base import Command
from tertulia.server.domain.buckets import SECOND, Buckets
from tertulia.server.domain.callers import Caller, CallerKind
from tertulia.server.domain.conversation_with_participants import CreateConversationWithParticipants
from tertulia.server.domain.conversations import CreateConversation, DeleteConversation, UpdateConversation
from tertulia.server.domain.errors import CONVERSATION_BUSY, SERVICE_BUSY, TooMany, too_many
from tertulia.server.domain.memberships import LeaveConversation
from tertulia.server.domain.messages import DeleteMessage, SendMessage, UpdateMessage
from tertulia.server.domain.participants import (
    AddParticipant,
    JoinConversation,
    RemoveParticipant,
    UpdateParticipant,
)
from tertulia.server.domain.roles import CreateRole, DeleteRole, UpdateRole
from tertulia.server.domain.users import CreateUser, DeleteUser, UpdateUser

from .scenes import ConversationScene, Scene


class Per(StrEnum):
    """What has the budget."""

    CONVERSATION = "conversation"
    SERVICE = "service"


class Budget(NamedTuple):
    """One field of the table of semantics 9.3."""

    resource: str
    verb: str
    per: Per


CREATE: Final = "create"
UPDATE: Final = "update"
DELETE: Final = "delete"

BUDGETS: Final[dict[type[Command[Any]], Budget]] = {
    CreateConversation: Budget("conversation", CREATE, Per.SERVICE),
    CreateConversationWithParticipants: Budget("conversation", CREATE, Per.SERVICE),
    UpdateConversation: Budget("conversation", UPDATE, Per.CONVERSATION),
    DeleteConversation: Budget("conversation", DELETE, Per.SERVICE),
    AddParticipant: Budget("participant", CREATE, Per.CONVERSATION),
    JoinConversation: Budget("participant", CREATE, Per.CONVERSATION),
    UpdateParticipant: Budget("participant", UPDATE, Per.CONVERSATION),
    RemoveParticipant: Budget("participant", DELETE, Per.CONVERSATION),
    LeaveConversation: Budget("participant", DELETE, Per.CONVERSATION),
    SendMessage: Budget("message", CREATE, Per.CONVERSATION),
    UpdateMessage: Budget("message", UPDATE, Per.CONVERSATION),
    DeleteMessage: Budget("message", DELETE, Per.CONVERSATION),
    CreateUser: Budget("user", CREATE, Per.SERVICE),
    UpdateUser: Budget("user", UPDATE, Per.SERVICE),
    DeleteUser: Budget("user", DELETE, Per.SERVICE),
    CreateRole: Budget("role", CREATE, Per.SERVICE),
    UpdateRole: Budget("role", UPDATE, Per.SERVICE),
    DeleteRole: Budget("role", DELETE, Per.SERVICE),
}

FREE: Final[frozenset[str]] = frozenset(
    {
        # The published table names no other resources.
        *("CreateService", "ConfigureService", "DeleteService", "UpdateAccount", "ConfigureNotifications"),
        *("CreateCredential", "UpdateCredential", "DeleteCredential"),
        *("CreateAddressConfiguration", "UpdateAddressConfiguration", "DeleteAddressConfiguration"),
        # Who has sent it was not asked whether he may, and cannot be told to wait.
        *("AcceptArrivals", "TakeMessage", "OpenForStranger", "DropArrival", "JoinParts"),
        *("AddGateway", "UpdateGateway", "RemoveGateway", "AddSender", "UpdateSender", "RemoveSender"),
        *("CreateContent", "UpdateContent", "DeleteContent", "RequestApproval"),
        # Uploads have limits of their own.
        *("KeepMedia", "DeleteMedia", "ForgetOrphans"),
        *("ConfigureHooks", "CreateScopedWebhook", "UpdateScopedWebhook", "DeleteScopedWebhook"),
        *("RegisterPush", "RemovePush", "DeletePush", "NotePushUse"),
        *("PlanNotice", "PlanBadge", "TestPush", "RecordPushes"),
        # UNVERIFIED: of a thousand readers each moves his horizon with each message.
        "UpdateMembership",
        # Connections have a limit of their own.
        "ConnectUser",
        # What the server does by itself, or its operator by hand.
        *("ApplyTimers", "ActivateConversation", "AbandonConversation", "ForgetUnusedPush", "ForgetOldMessages"),
        *("RemoveConversationRemains", "RemoveServiceRemains", "RemoveUserRemains", "ChooseRetention"),
        *("ArriveUser", "DepartUser", "DepartNode", "SettleReachability", "ExpectReceipts", "RecordReceipt"),
        *("BeginSending", "PostponeSending", "RecordSent", "RecordRefusal", "RecordReports"),
        *("CreateAccount", "SuspendAccount", "ReinstateAccount", "CreateKey", "RevokeKey"),
    }
)
"""The commands without a budget, by name."""

_MOST_REFUSED: Final = 10_000

_Asked = tuple[str, str, Budget, str, str]
"""Who asks for what, and where, in his own words: account, caller, budget, service, conversation."""


class Rates:
    """The budgets of one node: so many commands a second of each kind in each place; 0 is no limit."""

    def __init__(self, clock: Clock, *, per_conversation: int = 0, per_service: int = 0) -> None:
        self._clock = clock
        kept = ((Per.CONVERSATION, per_conversation), (Per.SERVICE, per_service))
        self._buckets = {per: Buckets(per_s) for per, per_s in kept if per_s}
        # Who has been refused where, and until when.
        self._refused: dict[_Asked, int] = {}

    def fare(self, caller: Caller, command: Command[Any]) -> Fare | None:
        """What the command will have to pay, None if nothing. Raises 50063 or 50074 where that is known already."""
        if not self._buckets or caller.kind is CallerKind.SYSTEM:
            return None
        budget = BUDGETS.get(type(command))
        if budget is None or budget.per not in self._buckets:
            return None
        service = command.service  # type: ignore[attr-defined]  # all of the table have one
        place = command.conversation if budget.per is Per.CONVERSATION else ""  # type: ignore[attr-defined]
        key = (caller.account_sid, caller.key, budget, service, place)
        until = self._refused.get(key)
        if until is not None:
            wait = until - self._clock.now()
            if 0 < wait <= SECOND:  # more says a clock that was set back
                raise _too_many(budget, wait)
            del self._refused[key]
        return Fare(self, key)

    def take(self, asked: _Asked, sid: str) -> None:
        """Count something that is about to be done in this place. Raises 50063 or 50074."""
        budget, now = asked[2], self._clock.now()
        wait = self._buckets[budget.per].take((budget, sid), now)
        if wait:
            if len(self._refused) >= _MOST_REFUSED:
                self._refused.clear()
            self._refused[asked] = now + wait
            raise _too_many(budget, wait)


class Fare:
    """What one command takes from a budget: once, however often it is decided."""

    __slots__ = ("_asked", "_is_paid", "_rates")

    def __init__(self, rates: Rates, asked: _Asked) -> None:
        self._rates = rates
        self._asked = asked
        self._is_paid = False

    def pay(self, scene: Scene) -> None:
        """The command has found its place, and may be done. Raises 50063 or 50074, with when to come back."""
        if self._is_paid:
            return
        _, _, budget, service, _ = self._asked
        place = service
        if budget.per is Per.CONVERSATION and isinstance(scene, ConversationScene):
            place = scene.conversation.sid
        self._rates.take(self._asked, place)
        self._is_paid = True


def _too_many(budget: Budget, wait_us: int) -> TooMany:
    if budget.per is Per.CONVERSATION:
        observe.refused_by("conversation_actions")
        return too_many(CONVERSATION_BUSY, wait_us)
    observe.refused_by("service_actions")
    return too_many(SERVICE_BUSY, wait_us)
