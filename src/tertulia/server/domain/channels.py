"""What channels tell us: messages from outside, and how far ours have come; and what each of them can carry.

Semantics 4.3, 4.8, 4.11, gateways 8.0.

Addresses are spelled as participants have them: a number as ``+1…``, ``whatsapp:+1…``, ``messenger:…``; a mailbox as it
came, since that is brought into its one spelling when it is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Any

import msgspec

from .media import MediaCategory
from .receipts import ReceiptStatus


class Keyword(StrEnum):
    """What a person tells a number of ours with one word (semantics 4.10)."""

    STOP = "stop"
    START = "start"
    HELP = "help"


class IncomingMedia(msgspec.Struct, frozen=True, kw_only=True):
    """A file that came with a message: where its channel fetches it, or its bytes. Printed without either."""

    content_type: str
    filename: str | None = None
    reference: str | None = None
    """What the adapter's ``fetch`` understands: a URL, an id. None where ``content`` is there."""
    content: bytes | None = None
    size: int | None = None
    """What the provider says; it is counted again."""
    category: MediaCategory = MediaCategory.MEDIA

    def __repr__(self) -> str:
        return f"IncomingMedia({self.content_type}, {self.category}, ***)"


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Which part of a message it is, where a provider brings them one by one, in any order, and may lose some."""

    reference: str
    """The same for all parts of a message, and for some minutes of no other from its sender to its recipient."""
    number: int
    """From 1."""
    total: int


class Incoming(msgspec.Struct, frozen=True, kw_only=True):
    """A message from outside, as an adapter has read it. Printed without addresses and content."""

    provider_id: str
    """What a repeat of it is known by, within its gateway."""
    sender: str
    """The person's address."""
    recipient: str
    """Ours."""
    others: tuple[str, ...] = ()
    """Further recipients: with one it is a group message."""
    text: str | None = None
    media: tuple[IncomingMedia, ...] = ()
    subject: str | None = None
    profile_name: str | None = None
    """What the person calls himself, where the channel says it."""
    keyword: Keyword | None = None
    """What the gateway has dealt with by itself; we then only take note."""
    answers: tuple[str, ...] = ()
    """SIDs of messages of ours (``IM…``) that it says it answers, the likeliest first."""
    conversation_sid: str | None = None
    """The conversation that the address it came to names, as an e-mail's plus-address does."""
    is_incomplete: bool = False
    """Parts of it never came."""
    part: Part | None = None
    """It is one of several, and kept until the others have come. Its text may end with half of a surrogate pair."""
    attributes: Mapping[str, Any] = msgspec.field(default_factory=dict)
    """What conversations have no words for: a place, a reaction, the payload of a button. At most 4 KB as JSON."""

    def __repr__(self) -> str:
        return f"Incoming({self.provider_id!r}, {len(self.media)} files, ***)"


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """How far a message of ours has come; late, doubled and reordered ones are expected."""

    status: ReceiptStatus
    handle: str | None = None
    """What the provider calls the message, or one part of it; a handle may be spelled in two ways, as ``alias``."""
    alias: str | None = None
    error_code: int = 0
    """One of ours (semantics 4.11); 0 while nothing failed."""
    recipient: str | None = None
    """Whom of a group it is about; None: all."""
    up_to: int | None = None
    """Instead of a handle: all messages from ``sender`` to ``recipient`` sent until then, in UTC microseconds."""
    sender: str | None = None


MEDIA_OF_PHONES = frozenset(
    ("image/jpeg", "image/png", "audio/mpeg", "audio/amr", "video/mp4", "application/pdf"),
)
"""What phones are sent (semantics 4.8)."""


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a channel can carry. What it cannot is never given to it: the message has failed before."""

    text_chars: int = 1600
    media_types: frozenset[str] = frozenset()
    """Content types; empty: no files. ``*/*`` stands for all."""
    media_bytes: int = 0
    """Largest file."""
    media_count: int = 1
    """Files of one message."""
    has_captions: bool = False
    """A file may have words beside it."""
    has_groups: bool = False
    """One message to several people, who see each other."""
    has_templates: bool = False
    has_free_form: bool = False
    """Within the window it shows templates that nobody has approved, too: their name is empty."""
    window: timedelta | None = None
    """For so long after somebody's message he may be written to freely; None: always."""
    has_opt_out: bool = False
    """STOP and START are ours to heed; False where nobody opts out by words, or the gateway does it."""
    counts_segments: bool = False
    """Texts are cut into segments, as SMS are."""


class MessageTemplate(msgspec.Struct, frozen=True, kw_only=True):
    """The template that the message was made from, for channels with templates of their own."""

    name: str
    """What it was approved by; empty: nobody has approved it, and it goes within the window alone."""
    language: str
    type: str
    """Of the template's types the richest one that the channel can show, as ``twilio/quick-reply``."""
    content: Mapping[str, Any]
    """That type's members, placeholders still in them."""
    variables: Mapping[str, str]
    """What the placeholders stand for."""


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """What an e-mail has and other messages have not."""

    subject: str | None
    from_name: str | None
    copies: tuple[str, ...] = ()
    """Addresses of level ``cc`` beside the recipients."""
    answers: str | None = None
    """SID of the message that came before it in the conversation, ours (``IM…``); for ``In-Reply-To``."""
    answered_id: str | None = None
    """The ``Message-ID`` of that message where it came by e-mail itself."""
    chain: tuple[str, ...] = ()
    """The messages before, oldest first; for ``References``: of what came by e-mail its ``Message-ID``, of what did not
    its SID (``IM…``), of which the adapter makes one."""
    conversation_sid: str | None = None
    message_sid: str | None = None
    html: str | None = None
    is_automatic: bool = False
    hops: int = 0
    """How many servers like this one have passed the message on to us."""
