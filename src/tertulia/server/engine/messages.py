"""Messages: sending, editing, removing."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import UNSET

from tertulia.server.domain.attachments import parts_text
from tertulia.server.domain.conversations import Conversation
from tertulia.server.domain.errors import BODY_MISSING, GROUP_AUTHOR, MEDIA_BODY
from tertulia.server.domain.media import Media
from tertulia.server.domain.messages import (
    DeleteMessage,
    Message,
    MessageAdded,
    MessageRemoved,
    MessageUpdated,
    SendMessage,
    UpdateMessage,
)
from tertulia.server.domain.permissions import Need, Permission
from tertulia.server.domain.sync import ObjectKind, object_sid

from .attachments import attach, attachable, let_go
from .content import compose
from .rules import handles
from .scenes import ConversationScene, MessageScene, in_conversation, on_message
from .transitions import record_transition
from .unit import Unit


@handles(
    SendMessage,
    on=in_conversation,
    pre_hook="onMessageAdd",
    needs=(Need(any=Permission.SEND_MESSAGE), Need(any=Permission.SEND_MEDIA_MESSAGE, when=("media_sids",))),
    # The author too, though it is not listened to: a user writes in his own name.
    clients_set=("author", "body", "subject", "attributes", "media_sids", "content_sid", "content_variables"),
)
async def send_message(unit: Unit, command: SendMessage, scene: ConversationScene) -> Message:
    before = scene.conversation
    before.require_open()
    body = command.body or None
    files: tuple[Media, ...] = ()
    if command.content_sid is not None:
        body, files = await compose(unit, command, before.service_sid)
    elif command.media_sids:
        files = await attachable(unit, before.service_sid, command.media_sids)
    author = command.author
    if author is None or (unit.caller.is_identity and "author" not in unit.amended):
        author = unit.caller.author
    if scene.seat is not None and author == unit.caller.identity:
        participant_sid: str | None = scene.seat.sid
    else:
        participant_sid = await unit.participants.authored(before, author)
    return await add_message(
        unit, command, before, author=author, participant_sid=participant_sid, body=body, files=files
    )


async def add_message(
    unit: Unit,
    command: SendMessage,
    before: Conversation,
    *,
    author: str,
    participant_sid: str | None,
    body: str | None,
    files: Sequence[Media],
) -> Message:
    """Put a message at the end of an open conversation, under its lock; revives an idle one.

    Raises 50513 when nobody who takes part in a group text is its author.
    """
    if before.group_key is not None and participant_sid is None:
        raise GROUP_AUTHOR()
    created_at = unit.now if command.created_at is UNSET else command.created_at
    # The index is taken under the conversation's lock: order of messages is order of commits.
    message = Message(
        conversation_sid=before.sid,
        index=before.last_index + 1,
        sid=unit.new_sid("IM"),
        account_sid=before.account_sid,
        service_sid=before.service_sid,
        author=author,
        participant_sid=participant_sid,
        body=body,
        subject=command.subject,
        attributes=command.attributes,
        created_at=created_at,
        updated_at=created_at if command.updated_at is UNSET else command.updated_at,
        last_updated_by=None,
        created_event=before.messages_event + 1,
        event=before.messages_event + 1,
        media=parts_text(files),
        content_sid=command.content_sid,
        content_variables=command.content_variables,
    )
    conversation = msgspec.structs.replace(
        before.revived(unit.now),
        last_index=message.index,
        newest_index=message.index,
        newest_at=message.created_at,
        message_count=before.message_count + 1,
        document_event=before.document_event + 1,
        messages_event=message.event,
    )
    await unit.messages.add(message)
    if files:
        await attach(unit, files, message)
    await unit.conversations.save(conversation, before)
    unit.record(MessageAdded(message=message, conversation=conversation, skips_channels=command.skips_channels))
    record_transition(unit, conversation, before, "EVENT")
    return message


@handles(
    UpdateMessage,
    on=on_message,
    pre_hook="onMessageUpdate",
    needs=(
        Need(any=Permission.EDIT_ANY_MESSAGE, own=Permission.EDIT_OWN_MESSAGE, when=("body",)),
        Need(
            any=Permission.EDIT_ANY_MESSAGE_ATTRIBUTES,
            own=Permission.EDIT_OWN_MESSAGE_ATTRIBUTES,
            when=("attributes",),
        ),
    ),
    clients_set=("body", "attributes"),
)
async def update_message(unit: Unit, command: UpdateMessage, scene: MessageScene) -> Message:
    scene.conversation.require_open()
    before = scene.message
    edited = msgspec.structs.replace(
        before,
        body=before.body if command.body is UNSET else command.body or None,
        author=before.author if command.author is UNSET else command.author,
        subject=before.subject if command.subject is UNSET else command.subject or None,
        attributes=before.attributes if command.attributes is UNSET else command.attributes,
        created_at=before.created_at if command.created_at is UNSET else command.created_at,
        updated_at=before.updated_at if command.updated_at is UNSET else command.updated_at,
    )
    if edited.body != before.body and before.media is not None:
        raise MEDIA_BODY()
    if command.body is not UNSET and edited.body is None and before.media is None:
        raise BODY_MISSING()
    if edited.author != before.author:
        participant_sid = await unit.participants.authored(scene.conversation, edited.author)
        if scene.conversation.group_key is not None and participant_sid is None:
            raise GROUP_AUTHOR()
        edited = msgspec.structs.replace(edited, participant_sid=participant_sid)
    if edited == before:
        return before
    conversation = msgspec.structs.replace(scene.conversation, messages_event=scene.conversation.messages_event + 1)
    if edited.index == conversation.newest_index and edited.created_at != before.created_at:
        conversation = msgspec.structs.replace(
            conversation, newest_at=edited.created_at, document_event=conversation.document_event + 1
        )
    message = msgspec.structs.replace(
        edited,
        updated_at=unit.now if command.updated_at is UNSET else command.updated_at,
        last_updated_by=unit.caller.author,
        event=conversation.messages_event,
    )
    await unit.messages.save(message, before)
    await unit.conversations.save(conversation, scene.conversation)
    unit.record(MessageUpdated(message=message, conversation=conversation, before=scene.conversation))
    return message


@handles(
    DeleteMessage,
    on=on_message,
    pre_hook="onMessageRemove",
    needs=(Need(any=Permission.DELETE_ANY_MESSAGE, own=Permission.DELETE_OWN_MESSAGE),),
)
async def delete_message(unit: Unit, command: DeleteMessage, scene: MessageScene) -> None:
    before, message = scene.conversation, scene.message
    if unit.caller.is_identity:
        before.require_open()  # by REST it may still be cleaned up (semantics 5.1)
    await unit.messages.remove(message)
    if message.delivery is not None:
        await unit.receipts.remove_of_message(message.sid)
        await unit.channel_messages.remove_of_messages([message.sid])
    if message.media is not None:
        let_go(unit, await unit.media.remove_of_message(message.sid))
    conversation = msgspec.structs.replace(
        before, messages_event=before.messages_event + 1, message_count=before.message_count - 1
    )
    if message.index == before.newest_index:
        newest = await unit.messages.newest(before.sid)
        conversation = msgspec.structs.replace(
            conversation,
            newest_index=newest.index if newest else None,
            newest_at=newest.created_at if newest else None,
            document_event=before.document_event + 1,
        )
    await unit.conversations.save(conversation, before)
    await unit.tombstones.add(
        object_sid(ObjectKind.MESSAGES, before.sid),
        str(message.index),
        message.created_event,
        conversation.messages_event,
        unit.now,
    )
    unit.record(MessageRemoved(message=message, conversation=conversation, before=before))
