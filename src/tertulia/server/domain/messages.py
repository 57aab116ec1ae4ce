"""Messages: what they are, what one may ask for, what can become true (rest 6, semantics 5.3)."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from tertulia.wire.sids import is_sid

from . import limits
from .attachments import check_media_sids
from .base import Change, Command, Entity
from .conversations import Conversation
from .errors import (
    AUTHOR_TOO_LONG,
    BAD_PARAMETER,
    BODY_MISSING,
    BODY_TOO_LONG,
    CONTENT_MALFORMED,
    VARIABLE_KEY,
    VARIABLE_VALUE,
    VARIABLES_NOT_JSON,
    VARIABLES_TOO_LONG,
    VARIABLES_WITHOUT_CONTENT,
)
from .values import check_attributes, check_length


class Message(Entity, frozen=True):
    conversation_sid: str
    index: int
    sid: str
    account_sid: str
    service_sid: str
    author: str
    participant_sid: str | None
    body: str | None
    subject: str | None
    attributes: str
    created_at: int
    updated_at: int
    last_updated_by: str | None
    """Who edited it last; None until then."""
    created_event: int
    event: int
    delivery: str | None = None
    """What its receipts come to, as JSON; None while there are none (semantics 4.11)."""
    media: str | None = None
    """Its files in order, as JSON (``domain.media.MediaPart``); None when there are none."""
    content_sid: str | None = None
    """The template it was made from."""
    content_variables: str | None = None
    """What its placeholders stand for, as JSON: channels that have templates of their own fill them in."""


def check_body(body: str | None) -> None:
    if body is not None and len(body) * 4 > limits.MESSAGE_BODY and len(body.encode()) > limits.MESSAGE_BODY:
        raise BODY_TOO_LONG(f"Body has {len(body.encode())} bytes, {limits.MESSAGE_BODY} are allowed")


def check_variables(text: str) -> None:
    """A JSON object of short texts (rest 6); else one of 50527, 50529, 50540, 50541."""
    if len(text) > limits.CONTENT_VARIABLES_CHARS:
        raise VARIABLES_TOO_LONG()
    try:
        variables = msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError):
        raise VARIABLES_NOT_JSON() from None
    if len(variables) > limits.CONTENT_VARIABLES:
        raise VARIABLES_TOO_LONG(f"{len(variables)} variables, {limits.CONTENT_VARIABLES} are allowed")
    for key, value in variables.items():
        if len(key) > limits.CONTENT_VARIABLE_KEY_CHARS or "\0" in key:
            raise VARIABLE_KEY()
        # Escaped in JSON that is itself a text, a NUL passes by those who look for one in a request.
        if not isinstance(value, str) or len(value) > limits.CONTENT_VARIABLE_VALUE_CHARS or "\0" in value:
            raise VARIABLE_VALUE()


class SendMessage(Command[Message], frozen=True, kw_only=True):
    """Add a message at the end of a conversation."""

    service: str
    conversation: str
    """SID or unique name."""
    author: str | None = None
    """None: the caller himself. Only account callers may speak for others."""
    body: str | None = None
    subject: str | None = None
    attributes: str = "{}"
    media_sids: tuple[str, ...] = ()
    content_sid: str | None = None
    content_variables: str | None = None
    created_at: int | UnsetType = UNSET
    updated_at: int | UnsetType = UNSET
    skips_channels: bool = False
    """It is not sent out to people on channels: they have had it, and it is imported."""

    def check(self) -> None:
        check_length(self.author, limits.AUTHOR_CHARS, AUTHOR_TOO_LONG, "Author")
        check_body(self.body)
        check_attributes(self.attributes, limits.MESSAGE_ATTRIBUTES)
        check_length(self.subject, limits.SUBJECT_CHARS, BAD_PARAMETER, "Subject")
        if self.content_sid is None and self.content_variables is not None:
            raise VARIABLES_WITHOUT_CONTENT()
        if self.content_sid is not None and not is_sid(self.content_sid, "HX"):
            raise CONTENT_MALFORMED()
        if self.content_variables is not None:
            check_variables(self.content_variables)
        if self.media_sids:
            check_media_sids(self.media_sids)
        if not self.body and not self.media_sids and self.content_sid is None:
            raise BODY_MISSING()


class UpdateMessage(Command[Message], frozen=True, kw_only=True):
    service: str
    conversation: str
    message: str
    body: str | UnsetType = UNSET
    author: str | UnsetType = UNSET
    subject: str | UnsetType = UNSET
    attributes: str | UnsetType = UNSET
    created_at: int | UnsetType = UNSET
    updated_at: int | UnsetType = UNSET

    def check(self) -> None:
        if self.body is not UNSET:
            check_body(self.body)
        if self.author is not UNSET:
            check_length(self.author, limits.AUTHOR_CHARS, AUTHOR_TOO_LONG, "Author")
        if self.subject is not UNSET:
            check_length(self.subject, limits.SUBJECT_CHARS, BAD_PARAMETER, "Subject")
        if self.attributes is not UNSET:
            check_attributes(self.attributes, limits.MESSAGE_ATTRIBUTES)


class DeleteMessage(Command[None], frozen=True, kw_only=True):
    """Remove a message; its index stays a hole."""

    service: str
    conversation: str
    message: str


class MessageAdded(Change, frozen=True, kw_only=True):
    message: Message
    conversation: Conversation
    skips_channels: bool = False


class MessageUpdated(Change, frozen=True, kw_only=True):
    message: Message
    conversation: Conversation
    before: Conversation


class MessageRemoved(Change, frozen=True, kw_only=True):
    message: Message
    conversation: Conversation
    """With the list's number of the removal."""
    before: Conversation
