"""Removing what a service does not want to keep (semantics 5.5)."""

from __future__ import annotations

import msgspec
from msgspec import UNSET

from tertulia.server.domain.conversations import Conversation
from tertulia.server.domain.errors import RESOURCE_NOT_FOUND
from tertulia.server.domain.messages import Message, MessageRemoved
from tertulia.server.domain.retention import ChooseRetention, ForgetOldMessages, Retention, RetentionChosen
from tertulia.server.domain.sync import ObjectKind, object_sid

from .attachments import let_go
from .rules import handles
from .scenes import AccountScene, InstallationScene, in_account, in_installation
from .unit import Unit


@handles(ChooseRetention, on=in_installation, for_clients=False)
async def choose_retention(unit: Unit, command: ChooseRetention, _scene: InstallationScene) -> Retention:
    service = await unit.services.get(command.service)
    if service is None:
        raise RESOURCE_NOT_FOUND(f"There is no service {command.service}")
    before = await unit.retentions.find(service.sid)
    found = before or Retention(service.sid, service.account_sid, None, None)
    retention = msgspec.structs.replace(
        found,
        messages_days=found.messages_days if command.messages_days is UNSET else command.messages_days,
        closed_conversations_days=found.closed_conversations_days
        if command.closed_conversations_days is UNSET
        else command.closed_conversations_days,
    )
    if retention != before:
        await unit.retentions.keep(retention, is_new=before is None)
        unit.record(RetentionChosen(retention=retention))
    return retention


@handles(ForgetOldMessages, on=in_account, for_clients=False)
async def forget_old_messages(unit: Unit, command: ForgetOldMessages, _scene: AccountScene) -> int:
    before = await unit.conversations.get(command.conversation, lock=True)
    if before is None or before.account_sid != unit.caller.account_sid:
        return 0
    old: list[Message] = []
    for message in await unit.messages.oldest(before.sid, command.most):
        if message.created_at >= command.before:
            break
        old.append(message)
    if not old:
        return 0
    await unit.messages.remove_up_to(before.sid, old[-1].index)
    delivered = [message.sid for message in old if message.delivery is not None]
    await unit.receipts.remove_of_messages(delivered)
    await unit.channel_messages.remove_of_messages(delivered)
    let_go(unit, await unit.media.remove_of_messages([message.sid for message in old if message.media is not None]))
    conversation = before
    for message in old:
        conversation = _without(unit, conversation, message)
    await unit.conversations.save(conversation, before)
    if conversation.is_listed:
        await unit.tombstones.add_many(
            object_sid(ObjectKind.MESSAGES, before.sid),
            [
                (str(message.index), message.created_event, before.messages_event + number)
                for number, message in enumerate(old, 1)
            ],
            unit.now,
        )
    return len(old)


def _without(unit: Unit, before: Conversation, message: Message) -> Conversation:
    """The conversation after its oldest message went."""
    conversation = msgspec.structs.replace(
        before, messages_event=before.messages_event + 1, message_count=before.message_count - 1
    )
    if message.index == before.newest_index:  # it was the only one
        conversation = msgspec.structs.replace(
            conversation, newest_index=None, newest_at=None, document_event=before.document_event + 1
        )
    unit.record(MessageRemoved(message=message, conversation=conversation, before=before))
    return conversation
