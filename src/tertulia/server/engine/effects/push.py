"""What devices may have to be told of a change (semantics 7.3, 7.4).

Only a promise to look is written with the change; who is told, and with which words, is decided when it is kept.
"""

from __future__ import annotations

from tertulia.server.domain.messages import MessageAdded
from tertulia.server.domain.notice_texts import is_wanted
from tertulia.server.domain.notices import CountBadge, PlanPush
from tertulia.server.domain.participants import (
    NotificationLevel,
    Participant,
    ParticipantAdded,
    ParticipantRemoved,
    ParticipantUpdated,
)
from tertulia.server.domain.push_content import PushKind
from tertulia.server.engine.rules import effect_of
from tertulia.server.engine.unit import Unit


@effect_of(MessageAdded)
async def message_added(unit: Unit, change: MessageAdded) -> None:
    message = change.message
    settings = await unit.notification_settings.of(unit.notifications, message.account_sid, message.service_sid)
    if settings is None or not is_wanted(settings, PushKind.NEW_MESSAGE):
        return
    unit.enqueue(
        PlanPush(
            account_sid=message.account_sid,
            service_sid=message.service_sid,
            kind=PushKind.NEW_MESSAGE,
            subject_sid=message.sid,
            conversation_sid=message.conversation_sid,
            message_index=message.index,
            actor=message.author,
            roster_event=change.conversation.roster_event,
            happened_at=unit.now,
        )
    )


@effect_of(ParticipantAdded)
async def participant_added(unit: Unit, change: ParticipantAdded) -> None:
    settings = await unit.notification_settings.of(
        unit.notifications, change.participant.account_sid, change.participant.service_sid
    )
    if settings is not None and is_wanted(settings, PushKind.ADDED):
        _tell_who_is_concerned(unit, PushKind.ADDED, change.participant)


@effect_of(ParticipantRemoved)
async def participant_removed(unit: Unit, change: ParticipantRemoved) -> None:
    settings = await unit.notification_settings.of(
        unit.notifications, change.participant.account_sid, change.participant.service_sid
    )
    if settings is not None and is_wanted(settings, PushKind.REMOVED):
        _tell_who_is_concerned(unit, PushKind.REMOVED, change.participant)


def _tell_who_is_concerned(unit: Unit, kind: PushKind, participant: Participant) -> None:
    # UNVERIFIED: who joins or leaves by himself knows it (semantics 7.4).
    if participant.user_sid is None or participant.identity == unit.caller.identity:
        return
    unit.enqueue(
        PlanPush(
            account_sid=participant.account_sid,
            service_sid=participant.service_sid,
            kind=kind,
            subject_sid=participant.sid,
            conversation_sid=participant.conversation_sid,
            actor=unit.caller.author,
            concerned=participant.user_sid,
            is_muted=participant.notification_level == NotificationLevel.MUTED,
            happened_at=unit.now,
        )
    )


@effect_of(ParticipantUpdated)
async def horizon_moved(unit: Unit, change: ParticipantUpdated) -> None:
    """The number on the icons of who has read on (semantics 7.3)."""
    participant = change.participant
    if participant.user_sid is None or participant.last_read_index == change.before.last_read_index:
        return
    settings = await unit.notification_settings.of(unit.notifications, participant.account_sid, participant.service_sid)
    if settings is None or not is_wanted(settings, PushKind.BADGE):
        return
    job = CountBadge(
        account_sid=participant.account_sid,
        service_sid=participant.service_sid,
        user_sid=participant.user_sid,
        second=unit.now // 1_000_000,
    )
    unit.enqueue(job, key=job.key, due_at=job.due_at)
