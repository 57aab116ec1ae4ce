"""Channel messages: what goes out to people on channels, and what became of it (semantics 4.5, 4.11, gateways 8.0).

A message of a conversation has one for each person, but one for all where they see each other: in a group text, and in
an e-mail. An answer to a keyword is one without any conversation.

::

    waiting --begin--> sending --record--> sent
       ^                  | |
       '---- postpone ----' '--refuse----> failed        withdrawn: nobody is to have it any more

What is found in ``sending`` by the next attempt had one that never ended: nobody knows whether it was sent.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from tertulia.wire import sids

from .addresses import EMAIL, SMS
from .base import Command, Entity
from .channels import Report
from .jobs import Job
from .receipts import FAILURES, Receipt, ReceiptStatus, moved_status

UNKNOWN_ERROR: Final = 30008
QUEUE_OVERFLOW: Final = 30001
EXPIRED: Final = 30410
TOO_LONG: Final = 21617
OPTED_OUT: Final = 21610
NO_SENDER: Final = 21212
INVALID_NUMBER: Final = 21211
OUTSIDE_WINDOW: Final = 63016
WRONG_MEDIA: Final = 50511
LARGE_MEDIA: Final = 50512
MEDIA_FETCH: Final = 11200
"""Codes of receipts that failed with us (semantics 4.11)."""

JOINED_US: Final = 60_000_000
"""How long a report of something that we do not know yet is kept to be joined to it (gateways 8.0)."""


HANDLE_CHARS: Final = 255
_UNKEPT: Final = re.compile(r"[\x00\ud800-\udfff]")
"""What no database keeps."""


class ChannelState(StrEnum):
    WAITING = "waiting"
    SENDING = "sending"
    """Its gateway is being asked; or was, when the attempt died."""
    SENT = "sent"
    """Its gateway has it; how far it came then, its receipts say."""
    FAILED = "failed"
    """It never left us, or was refused."""
    WITHDRAWN = "withdrawn"
    """What it was about is gone, or who was to have it."""


ENDED: Final = (ChannelState.SENT, ChannelState.FAILED, ChannelState.WITHDRAWN)


class ChannelRecord(Entity, frozen=True):
    """What is known of a channel message. Printed without addresses."""

    sid: str
    account_sid: str
    service_sid: str | None
    conversation_sid: str | None
    """None, as the next three, of what is no message of a conversation."""
    message_sid: str | None
    participant_sid: str | None
    """None also of what goes to several."""
    message_index: int | None
    kind: str
    """The channel: ``sms``, ``whatsapp``, …."""
    sender: str
    """Ours; empty where the conversation has no address of ours to send from."""
    recipients: tuple[str, ...]
    """In the order of its receipts."""
    gateway_sid: str | None
    """That of the last attempt, before it the one that it was promised to; None: its sender was not ours then."""
    state: str
    segments: int | None
    error_code: int
    created_at: int
    updated_at: int
    sent_at: int | None
    """When the attempt began that the gateway took, or is asked about: reports about all until then compare with it."""
    valid_until: int
    keyword: str | None = None
    """Of an answer to a word: which (``stop``, ``start``, ``help``)."""

    def __repr__(self) -> str:
        return f"ChannelRecord({self.sid}, {self.state}, ***)"


class Handle(Entity, frozen=True):
    """What a gateway calls one part of a channel message, and how far that part has come."""

    gateway_sid: str
    handle: str
    channel_message_sid: str
    """Empty: it was reported, and nobody knows of what; for a minute."""
    part: int
    """From 0."""
    status: str
    """That of a part which was never sent is ``failed``, under a name of ours."""
    error_code: int
    created_at: int


class EarlyReport(Entity, frozen=True):
    """A report that came before we knew what its handle is about."""

    gateway_sid: str
    handle: str
    alias: str
    """Its other spelling, under which it is kept as well: whoever takes one of the two takes both. Empty: none."""
    recipient: str
    """Empty: all of them."""
    status: str
    error_code: int
    created_at: int


_PREFIXES: Final[Mapping[str, str]] = {
    "whatsapp": sids.CHANNEL_WHATSAPP,
    "messenger": sids.CHANNEL_MESSENGER,
    EMAIL: sids.CHANNEL_EMAIL,
    "rcs": sids.CHANNEL_RCS,
}


def sid_prefix(kind: str, *, is_rich: bool) -> str:
    """What the SIDs of a channel's messages begin with; ``is_rich``: with a file, or to a group.

    UNVERIFIED beyond SM, MM and WA.
    """
    if kind == SMS and is_rich:
        return sids.CHANNEL_MMS
    return _PREFIXES.get(kind, sids.CHANNEL_SMS)


def known_handle(name: str) -> str:
    """A gateway's name for a part as it is remembered: a long or odd one by its digest."""
    if len(name) <= HANDLE_CHARS and not _UNKEPT.search(name):
        return name
    return f"sha256:{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()}"


def worst(handles: tuple[Handle, ...]) -> tuple[ReceiptStatus, int]:
    """What the parts of a message come to, with the code of the first that failed: delivered is what wholly is.

    There is at least one part.
    """
    for handle in handles:
        if handle.status in FAILURES:
            return ReceiptStatus(handle.status), handle.error_code
    return min((ReceiptStatus(handle.status) for handle in handles), key=_FORWARD.index), 0


_FORWARD: Final = (ReceiptStatus.QUEUED, ReceiptStatus.SENT, ReceiptStatus.DELIVERED, ReceiptStatus.READ)


def part_moves(handle: Handle, status: ReceiptStatus) -> bool:
    """Whether a report brings this part further; by the rule of receipts."""
    return moved_status(ReceiptStatus(handle.status), status)


class SendOnChannel(Job, frozen=True, kw_only=True):
    """Give a channel message to its gateway. Printed without content."""

    account_sid: str
    channel_message_sid: str
    gateway_sid: str | None
    """When it was promised."""
    others: tuple[str, ...] = ()
    """In a group: our numbers that stand for its other members."""
    text: str | None = None
    """Of what is no message of a conversation; else the message is read when it is sent."""
    is_relayed: bool = False
    """It came in over a channel itself."""

    @property
    def receiver(self) -> str | None:
        return f"channel/{self.gateway_sid or self.account_sid}"

    def __repr__(self) -> str:
        return f"SendOnChannel({self.channel_message_sid}, ***)"


# --- commands; all of them of the system

Failures = tuple[tuple[str, int], ...]
"""Who of several does not get it, by SID of the participant, and the code of his receipt."""


class BeginSending(Command[bool], frozen=True, kw_only=True):
    """Its gateway is about to be asked. False: it has ended, or is gone, and must not be sent."""

    channel_message: str
    gateway: str
    handle: str | None = None
    """What the gateway will call it, where we choose that: it is then known whatever becomes of the attempt."""


class PostponeSending(Command[None], frozen=True, kw_only=True):
    """Its gateway has certainly not taken it: it waits again."""

    channel_message: str


class RecordSent(Command[tuple[Receipt, ...]], frozen=True, kw_only=True):
    """Its gateway has taken it; what was reported before that was known is joined. Answers its receipts."""

    channel_message: str
    gateway: str
    handles: tuple[str, ...] = ()
    segments: int = 1
    status: ReceiptStatus = ReceiptStatus.SENT
    failures: Failures = ()
    lost: int = 0
    """A part of it will never be sent: the code the message has failed with, whatever is reported of the others."""


class RecordRefusal(Command[tuple[Receipt, ...]], frozen=True, kw_only=True):
    """It will never be sent: its receipts fail, each with its own code where it has one. Answers them."""

    channel_message: str
    code: int
    why: str
    """A sentence of ours, without content."""
    failures: Failures = ()
    is_withdrawn: bool = False
    """Nobody is to have it any more."""


class RecordReports(Command[int], frozen=True, kw_only=True):
    """What a gateway reports; how many receipts that moved. Late, doubled and unknown ones are expected.

    A report of a handle that nobody knows is kept for a minute, and joined when it is known.
    """

    gateway: str
    """SID."""
    reports: tuple[Report, ...]
