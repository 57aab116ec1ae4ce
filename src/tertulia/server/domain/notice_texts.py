"""What devices are told, from what the service has set and from what happened (semantics 7.3)."""

from __future__ import annotations

import msgspec

from .attachments import parts_of
from .conversations import Conversation
from .media import MediaCategory, MediaPart
from .messages import Message
from .notifications import NotificationSettings
from .push_content import DEFAULT_TEMPLATES, PushContent, PushKind, render

FILES_ONLY = "it has files and no text, and notifications of files are off"


class Actor(msgspec.Struct, frozen=True):
    """Who did it, as templates name him."""

    name: str
    """The friendly name of a user, else his identity; an address, in a group text that of a user as well."""
    sid: str
    """Of his participant; the identity of who is none."""


def is_wanted(settings: NotificationSettings, kind: PushKind) -> bool:
    """Devices of the service are told of this at all. A badge is part of what is told of new messages."""
    return {
        PushKind.NEW_MESSAGE: settings.new_message_enabled,
        PushKind.ADDED: settings.added_enabled,
        PushKind.REMOVED: settings.removed_enabled,
        PushKind.BADGE: settings.new_message_enabled and settings.badge_count_enabled,
        PushKind.TEST: True,
    }[kind]


def said_of_message(
    settings: NotificationSettings, conversation: Conversation, message: Message, author: Actor
) -> PushContent | str:
    """What is said of a new message, or why nothing is.

    With files and a text, while notifications of files are off, it is told of like one without files.
    """
    files = [part for part in parts_of(message.media or "[]") if part.category == MediaCategory.MEDIA]
    values = _values(conversation, author) | {"MESSAGE": message.body or ""}
    template = settings.new_message_template or DEFAULT_TEMPLATES[PushKind.NEW_MESSAGE]
    if files and settings.media_enabled:
        values |= {"MEDIA_COUNT": str(len(files)), "MEDIA": files[0].filename or files[0].sid}
        template = settings.media_template or DEFAULT_TEMPLATES["media"]
    elif files and not message.body:
        return FILES_ONLY
    return PushContent(
        kind=PushKind.NEW_MESSAGE,
        text=render(template, values),
        sound=settings.new_message_sound or None,
        conversation_sid=conversation.sid,
        conversation_title=values["CONVERSATION_FRIENDLY_NAME"],
        author=message.author,
        message_sid=message.sid,
        message_index=message.index,
        media_count=len(files) or None,
        media=_first_file(files),
    )


def said_of_member(
    settings: NotificationSettings, kind: PushKind, conversation: Conversation, actor: Actor
) -> PushContent:
    """What somebody is told who was added or removed."""
    is_added = kind is PushKind.ADDED
    values = _values(conversation, actor)
    template = (settings.added_template if is_added else settings.removed_template) or DEFAULT_TEMPLATES[kind]
    return PushContent(
        kind=kind,
        text=render(template, values),
        sound=(settings.added_sound if is_added else settings.removed_sound) or None,
        conversation_sid=conversation.sid,
        conversation_title=values["CONVERSATION_FRIENDLY_NAME"],
    )


def _values(conversation: Conversation, actor: Actor) -> dict[str, str]:
    unique, friendly, sid = conversation.unique_name, conversation.friendly_name, conversation.sid
    return {
        "PARTICIPANT": actor.name,
        "PARTICIPANT_FRIENDLY_NAME": actor.name,
        "PARTICIPANT_IDENTITY": actor.name,
        "PARTICIPANT_SID": actor.sid,
        "CONVERSATION": unique or friendly or sid,
        "CONVERSATION_FRIENDLY_NAME": friendly or unique or sid,
        "CONVERSATION_UNIQUE_NAME": unique or friendly or sid,
        "CONVERSATION_SID": sid,
    }


def _first_file(files: list[MediaPart]) -> str | None:
    if not files:
        return None
    first = files[0]
    shown = {"sid": first.sid, "filename": first.filename, "content_type": first.content_type, "size": first.size}
    return msgspec.json.encode(shown).decode()
