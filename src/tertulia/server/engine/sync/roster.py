"""The map of a conversation's participants (realtime 11.3)."""

from __future__ import annotations

from msgspec import UNSET

from tertulia.server.domain.conversations import Conversation
from tertulia.server.domain.errors import MAP_NOT_FOUND
from tertulia.server.domain.participants import Participant
from tertulia.server.domain.sync import ObjectKind, user_object_name
from tertulia.server.domain.values import millisecond
from tertulia.server.storage.database import Connection
from tertulia.server.storage.paging import Page
from tertulia.server.storage.participants import Participants
from tertulia.server.storage.tombstones import Tombstones
from tertulia.wire.sync import Bindings, Item, ObjectEvent, ParticipantData

from .views import MapView, Replay, joined


class RosterView(MapView):
    kind = ObjectKind.ROSTER
    missing = MAP_NOT_FOUND

    def __init__(self, conversation: Conversation, base_url: str) -> None:
        super().__init__(conversation, conversation.roster_event, base_url)
        self._conversation = conversation

    def added(self, participant: Participant) -> ObjectEvent:
        data, number = participant_data(participant), participant.roster_created
        return self.changed(participant.sid, data, number, participant.updated_at, added=True)

    def updated(self, participant: Participant) -> ObjectEvent:
        data = participant_data(participant)
        return self.changed(participant.sid, data, participant.roster_event, participant.updated_at, added=False)

    async def page(self, connection: Connection, wanted: Page) -> list[tuple[str, Item]]:
        found = await Participants(connection).page(self._conversation.sid, wanted)
        return [(participant.sid, self._entry(participant)) for participant in found]

    async def item(self, connection: Connection, key: str) -> Item | None:
        participant = await Participants(connection).find(self._conversation.sid, key)
        return self._entry(participant) if participant is not None and participant.sid == key else None

    def _entry(self, participant: Participant) -> Item:
        data = participant_data(participant)
        return self.entry(
            participant.sid, data, participant.roster_event, participant.created_at, participant.updated_at
        )

    async def replay(self, connection: Connection, after: int, limit: int) -> Replay:
        if after >= self.last_event:
            return Replay((), self.last_event)
        participants, conversation_sid = Participants(connection), self._conversation.sid
        new = await participants.added_after(conversation_sid, after, limit)
        changed = await participants.changed_after(conversation_sid, after, limit)
        removed = await Tombstones(connection).after(self.sid, after, limit)
        return joined(
            (
                [self.added(participant) for participant in new],
                [self.updated(participant) for participant in changed],
                [self.removed(stone.item_key, stone.event, stone.at) for stone in removed],
            ),
            limit,
            self.last_event,
        )


def participant_data(participant: Participant) -> ParticipantData:
    read_at = participant.last_read_at
    return ParticipantData(
        identity=participant.identity,
        type=participant.kind,
        attributes=participant.attributes,
        role_sid=participant.role_sid,
        date_created=millisecond(participant.created_at),
        date_updated=millisecond(participant.updated_at),
        last_consumed_message_index=participant.last_read_index,
        last_consumption_timestamp=None if read_at is None else millisecond(read_at),
        user_info=UNSET
        if participant.identity is None
        else user_object_name(ObjectKind.USER_INFO, participant.service_sid, participant.identity),
        bindings=_bindings(participant) or UNSET,
    )


def _bindings(participant: Participant) -> Bindings:
    if participant.binding.kind != "email" or participant.address is None:
        return {}
    email = {"address": participant.address, "level": participant.email_level or "to"}
    if participant.email_name is not None:
        email["name"] = participant.email_name
    return {"email": email}
