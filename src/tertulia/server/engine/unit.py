"""One transaction, as handlers and effects see it."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from tertulia.server.bus.base import EventPublished, Publication
from tertulia.server.domain.base import Change
from tertulia.server.domain.callers import Caller
from tertulia.server.domain.limits import GROUP_TEXT_PARTICIPANTS
from tertulia.server.storage.accounts import Accounts
from tertulia.server.storage.conversations import Conversations
from tertulia.server.storage.database import Connection
from tertulia.server.storage.memberships import Memberships
from tertulia.server.storage.messages import Messages
from tertulia.server.storage.mutations import Mutations
from tertulia.server.storage.participants import Participants
from tertulia.server.storage.push import PushRegistrations
from tertulia.server.storage.roles import Roles
from tertulia.server.storage.services import Services
from tertulia.server.storage.tombstones import Tombstones
from tertulia.server.storage.users import Users
from tertulia.wire.sync import ObjectEvent, live_body


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """What the operator has decided and handlers must know."""

    base_url: str
    """What the URLs in events begin with."""
    group_text_participants: int = GROUP_TEXT_PARTICIPANTS


class Unit:
    """The tables, a clock that stands still, and what became true.

    Handlers have no effect outside it, so a unit that failed can be thrown away and tried again.
    """

    def __init__(
        self, connection: Connection, caller: Caller, now: int, new_sid: Callable[[str], str], policy: Policy
    ) -> None:
        self.connection = connection
        self.caller = caller
        self.now = now
        """UTC microseconds; the same throughout."""
        self.new_sid = new_sid
        self.policy = policy
        self.accounts = Accounts(connection)
        self.services = Services(connection)
        self.roles = Roles(connection)
        self.users = Users(connection)
        self.conversations = Conversations(connection)
        self.participants = Participants(connection)
        self.memberships = Memberships(connection)
        self.messages = Messages(connection)
        self.tombstones = Tombstones(connection)
        self.mutations = Mutations(connection)
        self.push_registrations = PushRegistrations(connection)
        self.changes: list[Change] = []
        self._told: list[ObjectEvent | Publication] = []

    def record(self, change: Change) -> None:
        """Something became true; its effects run after the handler, in the order of recording."""
        self.changes.append(change)

    def emit(self, event: ObjectEvent) -> None:
        """Clients that follow the object will see this event after the commit."""
        self._told.append(event)

    def tell(self, publication: Publication) -> None:
        """Nodes will hear this after the commit, in order with the events."""
        self._told.append(publication)

    def publications(self) -> list[Publication]:
        """What to publish, each event encoded once. For use after the commit."""
        return [_published(told) if isinstance(told, ObjectEvent) else told for told in self._told]


def _published(event: ObjectEvent) -> EventPublished:
    return EventPublished(
        event.object_sid, event.number, event.message_type, live_body(event), event.supersedes, event.ends_object
    )
