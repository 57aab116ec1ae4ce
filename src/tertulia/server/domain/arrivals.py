"""Arrivals: what came in over channels, from its receipt to its place in a conversation (semantics 4.3, 4.4, 4.6).

An arrival is kept first and thought about later, so that its provider has his answer at once. It is known for a week by
the name that its provider gives it; what it says, only until it is in its conversation.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from . import limits
from .addresses import SMS, kind_of
from .attachments import check_media_sids
from .base import Command, Entity
from .channels import Keyword
from .errors import AUTHOR_TOO_LONG, BAD_PARAMETER
from .jobs import Job
from .messages import check_body
from .values import check_attributes, check_friendly_name, check_length

KNOWN_US: Final = 7 * 24 * 3600 * 1_000_000
"""So long a repeat is recognised (semantics 4.3)."""
HEARD_US: Final = 30 * 24 * 3600 * 1_000_000
"""So long it is known when somebody last wrote: longer than any window in which that is asked (semantics 4.7)."""
COPY_US: Final = 60 * 1_000_000
"""Within this time the same words to the same group are one message (semantics 4.6)."""
PARTS_US: Final = 10 * 60 * 1_000_000
"""So long the parts of a message wait for each other; then it goes on without those that are missing (gateways 8.1)."""


class ArrivalState(StrEnum):
    WAITING = "waiting"
    """Nobody has looked yet where it belongs."""
    TAKEN = "taken"
    """It is a message of a conversation."""
    DROPPED = "dropped"
    """It belongs nowhere, or was rejected; ``why`` says so."""
    COPY = "copy"
    """Another of our numbers got the same message of a group, and sooner."""
    PART = "part"
    """It is one part of a message, and waits for the others."""
    JOINED = "joined"
    """It was one part of a message, which is an arrival of its own now."""


class ArrivedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file of an arrival: where its channel fetches it, or where its bytes wait. Printed without either."""

    content_type: str
    filename: str | None
    category: str
    reference: str | None = None
    """What the channel's ``fetch`` understands."""
    blob: str | None = None
    """The key of its bytes."""
    size: int | None = None
    """What the provider says."""
    error_code: int = 0
    """Why there are no bytes and never will be; 0 while there may."""

    def __repr__(self) -> str:
        return f"ArrivedFile({self.content_type}, {self.category}, ***)"


class ArrivedPart(msgspec.Struct, frozen=True, kw_only=True):
    """One part of a message. Printed without what it says."""

    number: int
    total: int
    reference: str
    words: bytes
    """As UTF-16, the first byte of each unit first: where it is cut may be in the middle of a character."""

    def __repr__(self) -> str:
        return f"ArrivedPart({self.number} of {self.total}, ***)"


class ArrivalContent(msgspec.Struct, frozen=True, kw_only=True):
    """What an arrival says. Printed without it."""

    text: str | None = None
    subject: str | None = None
    profile_name: str | None = None
    others: tuple[str, ...] = ()
    """Of a group: whom it reached beside our number."""
    files: tuple[ArrivedFile, ...] = ()
    answers: tuple[str, ...] = ()
    """SIDs of messages of ours that it may answer, the likeliest first."""
    conversation_sid: str | None = None
    attributes: str = "{}"
    is_incomplete: bool = False
    is_cut: bool = False
    """Something of it was longer than a message may be."""
    part: ArrivedPart | None = None

    def __repr__(self) -> str:
        return f"ArrivalContent({len(self.files)} files, ***)"


class Arrival(Entity, frozen=True):
    """Printed without addresses and content."""

    sid: str
    account_sid: str
    gateway_sid: str
    provider_id: str
    """What its provider calls it; unique in the gateway."""
    sender: str
    """The person's address."""
    recipient: str
    """Ours."""
    content: ArrivalContent | None
    """None once it is dealt with."""
    group_key: str | None
    """Of a group message: whom it reached, sorted, its sender included. Of a part: what it has in common with the
    others."""
    digest: str | None
    """Of what a group message says."""
    state: ArrivalState
    why: str | None
    conversation_sid: str | None
    message_sid: str | None
    created_at: int
    updated_at: int

    @property
    def kind(self) -> str:
        return kind_of(self.recipient)

    @property
    def blobs(self) -> list[str]:
        """The keys of the bytes that wait for it."""
        files = self.content.files if self.content is not None else ()
        return [file.blob for file in files if file.blob is not None]

    def __repr__(self) -> str:
        return f"Arrival({self.sid}, {self.state}, ***)"


class Arriving(msgspec.Struct, frozen=True, kw_only=True):
    """An arrival that nobody may have heard of yet. Printed without addresses and content."""

    sid: str
    provider_id: str
    sender: str
    recipient: str
    content: ArrivalContent
    keyword: Keyword | None = None
    """What the gateway has dealt with by itself."""

    def __repr__(self) -> str:
        return f"Arriving({self.sid}, ***)"

    @property
    def group_key(self) -> str | None:
        """As conversations have it: the sorted set of all numbers. None where nobody else is named, or by e-mail."""
        numbers = {self.sender, self.recipient, *self.content.others}
        if len(numbers) < 3 or kind_of(self.recipient) != SMS:
            return None
        return " ".join(sorted(numbers))

    def parts_key(self, gateway_sid: str) -> str | None:
        """What all parts of its message have in common; None where it came whole. No group has it, and nobody's number
        stands in it."""
        part = self.content.part
        if part is None:
            return None
        facts = f"{gateway_sid} {self.sender} {self.recipient} {part.reference}/{part.total}"
        return f"parts {hashlib.sha256(facts.encode()).hexdigest()}"


class AcceptArrivals(Command[tuple[str, ...]], frozen=True, kw_only=True):
    """Keep what a gateway brings, all of it or nothing; the SIDs of what was not known before.

    Statements do not grow with the number of arrivals, but for words that are answered (semantics 4.10).
    """

    gateway: str
    arriving: tuple[Arriving, ...]
    heeded: frozenset[str] = frozenset()
    """The kinds of address at which STOP, START and HELP are ours to heed; at others nobody says them, or the gateway
    does it."""


class JoinParts(Command[tuple[str, ...]], frozen=True, kw_only=True):
    """Go on without the parts of a message that have not come in ten minutes; the arrival's SID.

    Nothing where it is whole already; where they have begun to come later than that, they are waited for on.
    """

    gateway: str
    parts: str
    """Their key."""
    heeded: frozenset[str] = frozenset()


class Written(Command[str | None], frozen=True, kw_only=True):
    """What an arrival becomes as a message. What a message has to have, it need not: a place has no words."""

    service: str
    arrival: str
    body: str | None = None
    subject: str | None = None
    attributes: str = "{}"
    media_sids: tuple[str, ...] = ()

    def check(self) -> None:
        check_body(self.body)
        check_attributes(self.attributes, limits.MESSAGE_ATTRIBUTES)
        check_length(self.subject, limits.SUBJECT_CHARS, BAD_PARAMETER, "Subject")
        if self.media_sids:
            check_media_sids(self.media_sids)


class TakeMessage(Written, frozen=True, kw_only=True):
    """Add an arrival to the conversation where its sender takes part; the message's SID.

    Once, however often: None when it is dealt with already.
    """

    conversation: str
    author: str | None = None
    """None: the address it came from; a hook may know better."""

    def check(self) -> None:
        super().check()
        check_length(self.author, limits.AUTHOR_CHARS, AUTHOR_TOO_LONG, "Author")


class OpenForStranger(Written, frozen=True, kw_only=True):
    """Make a conversation for an arrival that belongs to none: with its sender, and with it as the first message.

    As the configuration of the address says; 20404 when that says nothing of the kind any more, 50416 and 50438 when
    somebody else has made one meanwhile. The message's SID; None when the arrival is dealt with already.
    """

    friendly_name: str | UnsetType | None = UNSET
    """Unset: the person's address; a hook may know better."""

    def check(self) -> None:
        super().check()
        if self.friendly_name is not UNSET:
            check_friendly_name(self.friendly_name)


class DropArrival(Command[None], frozen=True, kw_only=True):
    """An arrival becomes nothing, and is forgotten but for its name."""

    arrival: str
    why: str
    """A sentence of ours without content."""


class WaitForParts(Job, frozen=True, kw_only=True):
    """Some parts of a message have come, and the others may never."""

    account_sid: str
    gateway_sid: str
    parts: str
    heeded: frozenset[str]


class TakeIn(Job, frozen=True, kw_only=True):
    """An arrival waits to be put where it belongs."""

    account_sid: str
    arrival_sid: str
    gateway_sid: str
    fetches: bool
    """The provider is asked for files of it."""

    @property
    def receiver(self) -> str | None:
        return f"{self.account_sid}/{self.gateway_sid}" if self.fetches else None
