"""The map of a user's conversations (realtime 11.1)."""

from __future__ import annotations

from tertulia.server.domain.errors import MAP_NOT_FOUND
from tertulia.server.domain.participants import Participant
from tertulia.server.domain.sync import ObjectKind, conversation_object_name, object_sid
from tertulia.server.domain.users import User
from tertulia.server.storage.database import Connection
from tertulia.server.storage.memberships import Memberships
from tertulia.server.storage.paging import Page
from tertulia.server.storage.tombstones import Tombstones
from tertulia.wire.sids import is_sid
from tertulia.wire.sync import Item, MembershipData, ObjectEvent

from .views import MapView, Replay, joined, map_item_changed, map_item_removed, object_url


class MembershipsView(MapView):
    kind = ObjectKind.CONVERSATIONS
    missing = MAP_NOT_FOUND

    def __init__(self, user: User, base_url: str) -> None:
        super().__init__(user, user.conversations_event, base_url)
        self._user_sid = user.sid
        self._base_url = base_url

    async def page(self, connection: Connection, wanted: Page) -> list[tuple[str, Item]]:
        found = await Memberships(connection).items(self._user_sid, wanted)
        return [(participant.conversation_sid, self._entry(participant)) for participant in found]

    async def item(self, connection: Connection, key: str) -> Item | None:
        if not is_sid(key, "CH"):
            return None
        found = await Memberships(connection).items(self._user_sid, Page(1, after=key, inclusive=True))
        return self._entry(found[0]) if found and found[0].conversation_sid == key else None

    def _entry(self, participant: Participant) -> Item:
        data, number = membership_data(participant), participant.listed_event or 0
        return self.entry(participant.conversation_sid, data, number, participant.created_at, participant.updated_at)

    async def replay(self, connection: Connection, after: int, limit: int) -> Replay:
        if after >= self.last_event:
            return Replay((), self.last_event)
        memberships = Memberships(connection)
        new = await memberships.added_after(self._user_sid, after, limit)
        changed = await memberships.changed_after(self._user_sid, after, limit)
        removed = await Tombstones(connection).after(self.sid, after, limit)
        return joined(
            (
                [membership_event(one, self._base_url, added=True) for one in new],
                [membership_event(one, self._base_url, added=False) for one in changed],
                [self.removed(stone.item_key, stone.event, stone.at) for stone in removed],
            ),
            limit,
            self.last_event,
        )


def membership_event(participant: Participant, base_url: str, *, added: bool) -> ObjectEvent:
    """The item of a member, as an event of his map."""
    assert participant.user_sid is not None, "only chat members have an item"
    number = participant.listed_created if added else participant.listed_event
    assert number is not None, "only chat members have an item"
    sid = object_sid(ObjectKind.CONVERSATIONS, participant.user_sid)
    url = object_url(base_url, participant.service_sid, MembershipsView.plural, sid)
    data = membership_data(participant)
    return map_item_changed(sid, url, participant.conversation_sid, data, number, participant.updated_at, added=added)


def membership_removed(user_sid: str, conversation_sid: str, number: int, at: int) -> ObjectEvent:
    """A conversation went from its former member's map."""
    return map_item_removed(object_sid(ObjectKind.CONVERSATIONS, user_sid), conversation_sid, number, at)


def membership_data(participant: Participant) -> MembershipData:
    sid = participant.conversation_sid
    return MembershipData(
        status="joined",
        channel=conversation_object_name(ObjectKind.DOCUMENT, sid),
        messages=conversation_object_name(ObjectKind.MESSAGES, sid),
        roster=conversation_object_name(ObjectKind.ROSTER, sid),
        last_consumed_message_index=participant.last_read_index,
        notification_level=participant.notification_level,
    )
