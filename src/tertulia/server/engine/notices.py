"""Deciding which devices are told of what happened, and keeping what became of it (semantics 7.2 to 7.4)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec

from tertulia.server.domain.conversations import Conversation
from tertulia.server.domain.errors import USER_NOT_FOUND
from tertulia.server.domain.notice_texts import Actor, is_wanted, said_of_member, said_of_message
from tertulia.server.domain.notices import (
    BATCH,
    Delivery,
    DeliveryState,
    Notice,
    PlanBadge,
    PlanNotice,
    PlanPush,
    RecordPushes,
    Result,
    SendPushes,
    SkipReason,
    TestPush,
)
from tertulia.server.domain.notifications import NotificationSettings
from tertulia.server.domain.participants import Participant
from tertulia.server.domain.push import PushRegistrationRemoved
from tertulia.server.domain.push_content import PushContent, PushKind
from tertulia.server.domain.users import User
from tertulia.server.storage.notices import Device

from .rules import handles
from .scenes import AccountScene, ServiceScene, in_account, in_service
from .unit import Unit

MESSAGE_GONE = "the message was removed before anybody was told"
SUSPENDED = "the account is suspended"
RENEWED = "it was registered anew since, and stays"
_OF_DEVICES = (SkipReason.INACTIVE, SkipReason.UNWANTED)
"""The other reasons are the same for all devices of a user."""
APPLE = "apn"
TEST_TEXT = "This is a test of push notifications."


@handles(PlanNotice, on=in_account, for_clients=False)
async def plan_notice(unit: Unit, command: PlanNotice, _scene: AccountScene) -> int:
    plan = command.plan
    service = await unit.services.find(plan.account_sid, plan.service_sid)
    conversation = await unit.conversations.get(plan.conversation_sid)
    settings = await unit.notifications.settings(plan.service_sid)
    if service is None or conversation is None or settings is None or not is_wanted(settings, plan.kind):
        return 0  # what it was about is gone, or nobody wants to know any more
    notice = _notice(unit, plan, plan.kind, plan.subject_sid)
    content: PushContent | str = SUSPENDED
    if not await unit.accounts.is_suspended(plan.account_sid):
        content = await _content(unit, plan, settings, conversation)
    if isinstance(content, str):
        await unit.notices.add(msgspec.structs.replace(notice, why_nobody=content), ())
        return 0
    if plan.concerned is None:
        devices = await unit.notices.devices_of_members(conversation.sid, unit.now)
    else:
        devices = await unit.notices.devices_of(plan.concerned, unit.now)
    counts = plan.kind is PushKind.NEW_MESSAGE and settings.badge_count_enabled
    told = [(device, _why_not(unit, plan, device)) for device in devices]
    members_only = plan.kind is not PushKind.REMOVED
    return await _tell(
        unit, notice, content, told, counts=counts, members_only=members_only, happened_at=plan.happened_at
    )


@handles(PlanBadge, on=in_account, for_clients=False)
async def plan_badge(unit: Unit, command: PlanBadge, _scene: AccountScene) -> int:
    user = await unit.users.find(command.service, command.user)
    settings = await unit.notifications.settings(command.service)
    if user is None or settings is None or not is_wanted(settings, PushKind.BADGE):
        return 0
    owned = await unit.notices.devices_of(user.sid, unit.now)
    devices = [device for device in owned if device.kind == APPLE]
    told = [(device, _why_unfit(PushKind.NEW_MESSAGE, device)) for device in devices]
    if not any(why is None for _, why in told):
        return 0  # no icon to show a number
    notice = _notice(unit, user, PushKind.BADGE, user.sid)
    return await _tell(unit, notice, PushContent(kind=PushKind.BADGE), told, counts=True)


@handles(TestPush, on=in_service, for_clients=False)
async def test_push(unit: Unit, command: TestPush, scene: ServiceScene) -> Notice:
    user = await unit.users.find(scene.service.sid, command.user)
    if user is None:
        raise USER_NOT_FOUND()
    notice = _notice(unit, user, PushKind.TEST, user.sid)
    content = PushContent(kind=PushKind.TEST, text=TEST_TEXT, title=scene.service.friendly_name)
    devices = await unit.notices.devices_of(user.sid, unit.now)
    told = [(device, None if device.is_active else SkipReason.INACTIVE) for device in devices]
    await _tell(unit, notice, content, told)
    return notice


@handles(RecordPushes, on=in_account, for_clients=False)
async def record_pushes(unit: Unit, command: RecordPushes, _scene: AccountScene) -> None:
    results = await _without_gone(unit, command)
    await unit.notices.record(command.notice, results, unit.now)
    if command.instead_of is not None:
        unit.withdraw(command.instead_of)
    for later in command.later:
        unit.enqueue(later.job, key=later.key, due_at=later.due_at)
    sent = [one.registration_sid for one in command.results if one.state is DeliveryState.SENT]
    if sent:
        await unit.push_registrations.note_reached(sent, unit.now)


async def _without_gone(unit: Unit, command: RecordPushes) -> Sequence[Result]:
    """The results, when the registrations of devices that are no more were removed; but those that were made anew since
    stay, and nothing says then that the device is gone."""
    gone = {one.registration_sid: one.gone_since for one in command.results if one.state is DeliveryState.GONE}
    if not gone:
        return command.results
    notice = await unit.notices.get(command.notice)
    made_before = unit.now if notice is None else notice.created_at
    since = {sid: made_before if known is None else known for sid, known in gone.items()}
    removed, renewed = await unit.push_registrations.remove_gone(command.service, since)
    for registration in removed:
        unit.record(PushRegistrationRemoved(registration=registration))
    stays = {registration.sid for registration in renewed}
    return [
        msgspec.structs.replace(one, state=DeliveryState.FAILED, answer=f"{one.answer}: {RENEWED}")
        if one.registration_sid in stays
        else one
        for one in command.results
    ]


async def _content(
    unit: Unit, plan: PlanPush, settings: NotificationSettings, conversation: Conversation
) -> PushContent | str:
    """What is told, or why nothing is."""
    if plan.kind is not PushKind.NEW_MESSAGE:
        return said_of_member(settings, plan.kind, conversation, await _actor(unit, conversation, plan.actor, None))
    assert plan.message_index is not None, "a message has an index"
    message = await unit.messages.at(conversation.sid, plan.message_index)
    if message is None:
        return MESSAGE_GONE
    author = await _actor(unit, conversation, message.author, message.participant_sid)
    return said_of_message(settings, conversation, message, author)


async def _actor(unit: Unit, conversation: Conversation, who: str, participant_sid: str | None) -> Actor:
    """Who did it: an identity, an address, or whatever an account holder has called an author."""
    found = await unit.users.find(conversation.service_sid, who)
    user = found if found is not None and found.identity == who else None
    participant: Participant | None = None
    if participant_sid is not None and conversation.group_key is not None:
        participant = await unit.participants.find(conversation.sid, participant_sid)
    elif participant_sid is None and user is not None:
        participant = await unit.participants.find(conversation.sid, who)
    if participant is not None:
        participant_sid = participant.sid
    name = user.friendly_name if user is not None else None
    if participant is not None and conversation.group_key is not None:
        name = participant.address or participant.projected_address or name  # as the others know him (semantics 7.3)
    return Actor(name or who, participant_sid or who)


def _why_not(unit: Unit, plan: PlanPush, device: Device) -> SkipReason | None:
    """Why this device is not told; None: it is."""
    if plan.concerned is None and device.identity == plan.actor:
        return SkipReason.AUTHOR
    if (
        plan.roster_event is not None
        and device.roster_created is not None
        and device.roster_created > plan.roster_event
    ):
        return SkipReason.JOINED_LATER
    if device.is_muted or plan.is_muted:
        return SkipReason.MUTED
    if unit.policy.push_only_offline and device.is_online:
        return SkipReason.ONLINE
    return _why_unfit(plan.kind, device)


def _why_unfit(kind: PushKind, device: Device) -> SkipReason | None:
    if not device.is_active:
        return SkipReason.INACTIVE
    return None if kind in device.message_types.split() else SkipReason.UNWANTED


def _notice(unit: Unit, of: PlanPush | User, kind: PushKind, subject_sid: str) -> Notice:
    return Notice(
        sid=unit.new_sid("RU"),
        account_sid=of.account_sid,
        service_sid=of.service_sid,
        kind=kind,
        conversation_sid=of.conversation_sid if isinstance(of, PlanPush) else None,
        subject_sid=subject_sid,
        why_nobody=None,
        created_at=unit.now,
    )


def _of_each_reason(devices: Sequence[tuple[Device, SkipReason | None]]) -> Iterator[tuple[Device, str | None]]:
    """Those that are told; of the others one for each of their users and reasons.

    Anybody may register as many devices as he has places for, each under no credential at all. Where the reason is the
    device's own, it says how many are like it.
    """
    alike = Counter((device.identity, why_not) for device, why_not in devices)
    for device, why_not in devices:
        if why_not is None:
            yield device, None
        elif number := alike.pop((device.identity, why_not), 0):
            is_counted = number > 1 and why_not in _OF_DEVICES
            yield device, f"{why_not} (and {number - 1} more like it)" if is_counted else why_not


async def _tell(
    unit: Unit,
    notice: Notice,
    content: PushContent,
    devices: Sequence[tuple[Device, SkipReason | None]],
    *,
    counts: bool = False,
    members_only: bool = False,
    happened_at: int | None = None,
) -> int:
    """Keep the notice and its deliveries, and promise to send it; to how many devices.

    With ``counts`` Apple's devices show how much is unread, counted when it is sent.
    """
    deliveries = [
        Delivery(
            notice_sid=notice.sid,
            registration_sid=device.registration_sid,
            identity=device.identity,
            kind=device.kind,
            credential_sid=device.credential_sid,
            shows_badge=counts and device.kind == APPLE,
            state=DeliveryState.WAITING if why_not is None else DeliveryState.SKIPPED,
            attempts=0,
            answer=why_not,
            at=unit.now,
        )
        for device, why_not in _of_each_reason(devices)
    ]
    await unit.notices.add(notice, deliveries)
    by_credential: dict[str, list[str]] = {}
    for delivery in deliveries:
        if delivery.state == DeliveryState.WAITING and delivery.credential_sid is not None:
            by_credential.setdefault(delivery.credential_sid, []).append(delivery.registration_sid)
    for credential_sid, registrations in by_credential.items():
        for first in range(0, len(registrations), BATCH):
            unit.enqueue(
                SendPushes(
                    account_sid=notice.account_sid,
                    service_sid=notice.service_sid,
                    notice_sid=notice.sid,
                    credential_sid=credential_sid,
                    conversation_sid=notice.conversation_sid if members_only else None,
                    registrations=tuple(registrations[first : first + BATCH]),
                    content=content,
                    begun_at=happened_at,
                )
            )
    return sum(map(len, by_credential.values()))
