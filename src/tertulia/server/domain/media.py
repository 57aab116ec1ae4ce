"""Media: files that people send, and the long and rich bodies of messages (semantics 4.8, client-commands 4.10)."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

import msgspec

from tertulia.wire.sids import MEDIA, is_sid

from . import limits
from .base import Change, Command, Entity
from .errors import BAD_PARAMETER, MEDIA_SIZE, MEDIA_TYPE
from .jobs import Job


class MediaCategory(StrEnum):
    MEDIA = "media"
    BODY = "body"
    """The body of an e-mail, or what a content template has become."""
    HISTORY = "history"
    """What an e-mail quotes."""


class Media(Entity, frozen=True):
    """One upload; it never changes, but for the message it belongs to."""

    sid: str
    account_sid: str
    service_sid: str
    author: str
    """The identity that uploaded it, or ``system``. Only he may attach it, and the account."""
    category: str
    filename: str | None
    """As given: data, never a path."""
    content_type: str
    size: int
    sha256: str
    """Of its bytes, in hexadecimal."""
    blob: str | None
    """The key of its bytes among the blobs; None where they are ``inline``."""
    inline: str | None
    """Its bytes as text: what a template has become needs no blob."""
    conversation_sid: str | None
    message_sid: str | None
    """None until it is attached, once; five minutes later it is an orphan."""
    quarantined_at: int | None
    """When a scanner objected; nobody gets it since."""
    created_at: int
    updated_at: int


class MediaPart(msgspec.Struct, frozen=True):
    """A file as its message's row has it, so that a page of history asks for no media."""

    sid: str
    category: str
    filename: str | None
    content_type: str
    size: int


read_parts: Final = msgspec.json.Decoder(tuple[MediaPart, ...]).decode
"""The parts that a message's ``media`` holds."""


class KeepMedia(Command[Media], frozen=True, kw_only=True):
    """Record an upload whose bytes are among the blobs already; on failure whoever put them there removes them."""

    service: str
    sid: str
    category: str
    filename: str | None
    content_type: str
    size: int
    sha256: str
    blob: str
    quarantined: bool = False

    def check(self) -> None:
        check_category(self.category)
        check_filename(self.filename)
        if media_type(self.content_type, self.category) != self.content_type:
            raise MEDIA_TYPE(f"The content type {self.content_type} is not in its normal form")
        if not is_media_sid(self.sid):
            raise BAD_PARAMETER("This is no media SID")
        if self.size <= 0:
            raise MEDIA_SIZE("The file is empty")


class DeleteMedia(Command[None], frozen=True, kw_only=True):
    """Remove a file; by account callers, or by its author while it is attached to nothing."""

    service: str
    media: str


class ForgetOrphans(Command[int], frozen=True, kw_only=True):
    """Remove some of the account's uploads that were not attached in time, and of what was long enough in quarantine.

    How many went; 0: none is left.
    """

    before: int
    """Uploaded before then, UTC microseconds."""
    quarantined_before: int
    most: int


class MediaKept(Change, frozen=True, kw_only=True):
    media: Media


class MediaRemoved(Change, frozen=True, kw_only=True):
    media: Media


class RemoveBlob(Job, frozen=True, kw_only=True):
    """The bytes of a file that is gone are removed from the blobs; an unknown key is removed already."""

    blob: str


def is_media_sid(text: str) -> bool:
    return is_sid(text, MEDIA)


_WORD: Final = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
_TYPE: Final = re.compile(
    rf"(?P<bare>{_WORD}/{_WORD})(?P<parameters>(?:[ \t]*;[ \t]*{_WORD}=(?:{_WORD}|\"[ !#-\[\]-~]*\"))*)[ \t;]*"
)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def media_type(text: str, category: str) -> str:
    """The content type as it is kept; raises 50511 where it is none (RFC 9110, 8.3), or too long.

    Browsers add a character set to text, and clients look for the bodies of an e-mail by their bare type, so those
    lose their parameters.
    """
    found = _TYPE.fullmatch(text.strip()) if len(text) <= limits.CONTENT_TYPE_CHARS else None
    if found is None:
        raise MEDIA_TYPE("The content type is malformed, or too long")
    bare = found["bare"].lower()
    return bare if category != MediaCategory.MEDIA else bare + found["parameters"]


def check_category(text: str) -> None:
    if text not in set(MediaCategory):
        raise BAD_PARAMETER(f"Category is one of {', '.join(MediaCategory)}")


def check_filename(text: str | None) -> None:
    """A name of any characters that can be shown; it is data, so a path in it is none. Else 20001."""
    if text is None:
        return
    if len(text) > limits.FILENAME_CHARS:
        raise BAD_PARAMETER(f"Filename has {len(text)} characters, {limits.FILENAME_CHARS} are allowed")
    if _CONTROL.search(text):
        raise BAD_PARAMETER("Filename contains control characters")
