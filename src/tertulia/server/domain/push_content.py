"""What a device is told, before a push service gives it a shape of its own (semantics 7.3, 7.5)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import msgspec

TEXT_CHARS: Final = 178
"""How much of a text is sent."""

_JOINED_CHARS: Final = 16
"""What a reader takes for one character has no more of them: a text made of nothing but accents is cut all the same."""
_JOINER: Final = "\u200d"

LONG_FORM: Final = "twilio.conversations."
"""What the kinds that clients know begin with in a payload."""


class PushKind(StrEnum):
    """Why a device is woken."""

    NEW_MESSAGE = "new_message"
    ADDED = "added_to_conversation"
    REMOVED = "removed_from_conversation"
    BADGE = "badge"
    """Only the number on the application's icon changes; nobody is woken by it."""
    TEST = "test"
    """The operator wants to see whether a device can be reached."""


class PushContent(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The same for all devices that are told. Printed without what it says."""

    kind: PushKind
    text: str = ""
    """Rendered and cut; empty for a badge."""
    title: str | None = None
    sound: str | None = None
    conversation_sid: str | None = None
    conversation_title: str | None = None
    author: str | None = None
    message_sid: str | None = None
    message_index: int | None = None
    media_count: int | None = None
    media: str | None = None
    """The first file as JSON: ``sid``, ``filename``, ``content_type``, ``size``."""

    @property
    def message_type(self) -> str | None:
        """As clients read it; a badge has none, so that they take it for no notification. A test is a new message."""
        if self.kind is PushKind.BADGE:
            return None
        return LONG_FORM + (PushKind.NEW_MESSAGE if self.kind is PushKind.TEST else self.kind)

    def __repr__(self) -> str:
        return f"PushContent({self.kind}, {self.conversation_sid}, ***)"


DEFAULT_TEMPLATES: Final[Mapping[str, str]] = {
    PushKind.NEW_MESSAGE: "${CONVERSATION}:${PARTICIPANT}: ${MESSAGE}",
    "media": "You have a new message in ${CONVERSATION} with ${MEDIA_COUNT} media files: ${MEDIA}",
    PushKind.ADDED: "You have been added to the conversation ${CONVERSATION} by ${PARTICIPANT}",
    PushKind.REMOVED: "${PARTICIPANT} has removed you from the conversation ${CONVERSATION}",
}
"""Where the service has none of its own (semantics 7.3)."""

_VARIABLE: Final = re.compile(r"\$\{([A-Z_]+)\}")


def render(template: str, values: Mapping[str, str]) -> str:
    """The template with its variables filled in, cut to ``TEXT_CHARS``; what is no variable here stays as it is.

    Values are put in as they are: what looks like a variable in one is none. Of a letter with accents, or of a picture
    made of several, nothing is left rather than a part.
    """
    return _cut(_VARIABLE.sub(lambda found: values.get(found[1], found[0]), template))


def _cut(text: str) -> str:
    if len(text) <= TEXT_CHARS:
        return text
    end = TEXT_CHARS
    while end > TEXT_CHARS - _JOINED_CHARS:
        if not _continues(text[end]) and text[end - 1] != _JOINER:
            return text[:end]
        end -= 1
    return text[:TEXT_CHARS]


def _continues(char: str) -> bool:
    """It belongs to what stands before it: an accent, a variant, a joiner, a tone of skin."""
    return char == _JOINER or "\U0001f3fb" <= char <= "\U0001f3ff" or unicodedata.category(char)[0] == "M"
