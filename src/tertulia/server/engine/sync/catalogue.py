"""From the name of a Sync object to its view, if the caller may see it (realtime 9.1, 14; semantics 2.4)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tertulia.server.domain.callers import Caller
from tertulia.server.domain.conversations import Conversation
from tertulia.server.domain.errors import DOCUMENT_NOT_FOUND, LIST_NOT_FOUND, MAP_NOT_FOUND, Row
from tertulia.server.domain.sync import ObjectKind, ObjectName, parse_object_sid
from tertulia.server.engine.scenes import is_waiting_creator
from tertulia.server.storage.conversations import Conversations
from tertulia.server.storage.database import Connection
from tertulia.server.storage.memberships import Memberships
from tertulia.server.storage.participants import Participants
from tertulia.server.storage.users import ShownUsers

from .document import DocumentView
from .memberships import MembershipsView
from .messages import MessagesView
from .roster import RosterView
from .user_info import UserInfoView
from .views import View

MISSING: dict[str, Row] = {"document": DOCUMENT_NOT_FOUND, "list": LIST_NOT_FOUND, "map": MAP_NOT_FOUND}
"""How the absence of an object of each type is told."""

_CONVERSATION_VIEWS: dict[ObjectKind, Callable[[Conversation, str], View]] = {
    ObjectKind.DOCUMENT: DocumentView,
    ObjectKind.MESSAGES: MessagesView,
    ObjectKind.ROSTER: RosterView,
}


class Catalogue:
    """Finds objects for one caller in one snapshot."""

    def __init__(self, connection: Connection, caller: Caller, base_url: str) -> None:
        self._connection = connection
        self._caller = caller
        self._base_url = base_url

    @classmethod
    async def open_for_system(cls, connection: Connection, name: ObjectName, base_url: str) -> View | None:
        """The object itself, whoever may see it: to repair what its followers were sent."""
        if name.owner_sid is None:
            return None
        if name.kind.of_user:
            user = await ShownUsers(connection).get(name.owner_sid)
            if user is None:
                return None
            return (
                UserInfoView(user, base_url) if name.kind is ObjectKind.USER_INFO else MembershipsView(user, base_url)
            )
        conversation = await Conversations(connection).get(name.owner_sid)
        if conversation is None or not conversation.is_listed:
            return None
        return _CONVERSATION_VIEWS[name.kind](conversation, base_url)

    async def open(self, name: ObjectName) -> View | None:
        """The object; None when it is absent or not for this caller, which look alike."""
        if name.kind.of_user:
            return await self._of_user(name)
        assert name.owner_sid is not None, "conversation objects are named by their conversation"
        conversation = await Conversations(self._connection).get(name.owner_sid)
        if conversation is None or not self._in_service(conversation):
            return None
        if self._caller.identity is not None:
            participant = await Participants(self._connection).member(conversation.sid, self._caller.identity)
            waiting = name.kind is ObjectKind.DOCUMENT and is_waiting_creator(self._caller, conversation)
            if participant is None and not waiting:
                return None
        return _CONVERSATION_VIEWS[name.kind](conversation, self._base_url)

    async def open_many(self, sids: Sequence[str]) -> dict[str, View]:
        """The objects among these that the caller may follow. Two statements, however many there are."""
        names = {sid: name for sid in sids if (name := parse_object_sid(sid)) is not None}
        wanted = sorted({n.owner_sid for n in names.values() if n.owner_sid is not None and not n.kind.of_user})
        conversations = await Memberships(self._connection).visible(
            self._caller.service_sid or "", self._caller.identity or "", wanted
        )
        people = sorted({n.owner_sid for n in names.values() if n.owner_sid is not None and n.kind.of_user})
        users = await ShownUsers(self._connection).among(self._caller.service_sid or "", people)
        found: dict[str, View] = {}
        for sid, name in names.items():
            owner = name.owner_sid or ""
            if name.kind.of_user:
                user = users.get(owner)
                if user is None:
                    continue
                if name.kind is ObjectKind.USER_INFO:
                    found[sid] = UserInfoView(user, self._base_url)
                elif user.identity == self._caller.identity:
                    found[sid] = MembershipsView(user, self._base_url)
                continue
            entry = conversations.get(owner)
            if entry is None or not self._in_service(entry[0]):
                continue
            conversation, is_member = entry
            waiting = name.kind is ObjectKind.DOCUMENT and is_waiting_creator(self._caller, conversation)
            if is_member or waiting:
                found[sid] = _CONVERSATION_VIEWS[name.kind](conversation, self._base_url)
        return found

    def _in_service(self, conversation: Conversation) -> bool:
        return conversation.is_listed and conversation.service_sid == self._caller.service_sid

    async def _of_user(self, name: ObjectName) -> View | None:
        users = ShownUsers(self._connection)
        if name.owner_sid is not None:
            user = await users.get(name.owner_sid)
        else:
            user = await users.find(name.service_sid or "", name.identity or "")
            user = user if user is not None and user.identity == name.identity else None
        if user is None or user.service_sid != self._caller.service_sid:
            return None
        if name.kind is ObjectKind.USER_INFO:
            return UserInfoView(user, self._base_url)
        # Nobody else's list of conversations exists for a user.
        return MembershipsView(user, self._base_url) if user.identity == self._caller.identity else None
