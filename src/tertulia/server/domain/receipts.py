"""Delivery receipts: how far a message has come, for each participant on a channel (rest 7.1, semantics 4.11)."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from typing import Final

import msgspec

from tertulia.wire.sids import PARTICIPANT, RECEIPT, is_sid
from tertulia.wire.sync import DeliveryData

from .base import Change, Command, Entity
from .conversations import Conversation
from .errors import BAD_PARAMETER
from .messages import Message


class ReceiptStatus(StrEnum):
    QUEUED = "queued"
    """Ours still; the account API does not show it."""
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    FAILED = "failed"
    """It never left us, or was refused."""
    UNDELIVERED = "undelivered"
    """The carrier could not deliver it."""


_QUEUED, _SENT, _DELIVERED, _READ, _FAILED, _UNDELIVERED = ReceiptStatus
_FORWARD = (_QUEUED, _SENT, _DELIVERED, _READ)
"""The way of a message that arrives. Who has come to one of them has passed those before it."""
FAILURES = (_FAILED, _UNDELIVERED)
COUNTED = (_SENT, _DELIVERED, _READ, _FAILED, _UNDELIVERED)
"""The states that the aggregate speaks of."""


class Receipt(Entity, frozen=True):
    """One per message and channel participant other than the author."""

    sid: str
    account_sid: str
    service_sid: str
    conversation_sid: str
    message_sid: str
    participant_sid: str
    channel_message_sid: str | None
    """What the channel calls the message; None until it has said so."""
    status: str
    passed: str
    """The states it counts in, joined by spaces: every one it has come through, and its present one."""
    error_code: int
    """Why it failed; 0 when it has not."""
    created_at: int
    updated_at: int

    @property
    def states(self) -> list[str]:
        return self.passed.split()


def advanced(receipt: Receipt, status: str, error_code: int, now: int, *, overrules: bool = False) -> Receipt:
    """The receipt after a report; the same one when the report is late, or says nothing new.

    A receipt never goes backwards. ``failed`` and ``undelivered`` are final, except that a later ``delivered`` wins, as
    carriers do this; so does ``read``, which implies it. UNVERIFIED: a failure that was overruled counts no more.
    With ``overrules`` any state that is none overrules it: of several parts the one that had failed has come after all.
    """
    before, to = ReceiptStatus(receipt.status), ReceiptStatus(status)
    if not moved_status(before, to) and not (overrules and before in FAILURES and to not in FAILURES):
        return receipt
    passed = set(receipt.states).difference(FAILURES)
    if to in FAILURES:
        passed.update({_SENT, to} if to is _UNDELIVERED else {to})
    else:
        passed.update(_FORWARD[1 : _FORWARD.index(to) + 1])
    return msgspec.structs.replace(
        receipt,
        status=to.value,
        passed=" ".join(state for state in COUNTED if state in passed),
        error_code=error_code if to in FAILURES else 0,
        updated_at=now,
    )


def moved_status(before: ReceiptStatus, to: ReceiptStatus) -> bool:
    """Whether a report of ``to`` brings what is at ``before`` further."""
    if before in FAILURES:
        return to in (_DELIVERED, _READ)
    if to in FAILURES:
        return before in (_QUEUED, _SENT)
    return _FORWARD.index(to) > _FORWARD.index(before)


_read_delivery: Final = msgspec.json.Decoder(DeliveryData).decode


def delivery_of(message: Message) -> DeliveryData | None:
    """What the message's receipts come to, as its row has it; None while there are none."""
    return None if message.delivery is None else _read_delivery(message.delivery)


def aggregate(receipts: Collection[Receipt]) -> DeliveryData | None:
    """What the receipts of one message come to; None while there are none (semantics 4.11)."""
    total = len(receipts)
    if total == 0:
        return None
    counts = dict.fromkeys(COUNTED, 0)
    for receipt in receipts:
        for state in receipt.states:
            counts[ReceiptStatus(state)] += 1
    words = {state.value: "none" if n == 0 else "all" if n == total else "some" for state, n in counts.items()}
    return DeliveryData(total, **words)


class ExpectReceipts(Command[tuple[Receipt, ...]], frozen=True, kw_only=True):
    """A message is on its way to these participants: a receipt for each, ``queued``.

    Who is not on a channel, is the author or has left meanwhile gets none. Repeating makes none twice. Answers the
    receipts of the participants named, old and new, by age.
    """

    service: str
    conversation: str
    message: str
    participants: tuple[str, ...]
    """SIDs."""


class RecordReceipt(Command[Receipt], frozen=True, kw_only=True):
    """What a channel reports of a message. In a closed conversation too; a report that is late changes nothing."""

    service: str
    conversation: str
    message: str
    receipt: str
    """SID of the receipt, or of the participant."""
    status: str
    channel_message_sid: str | None = None
    """What the channel calls the message; the first one given stays."""
    error_code: int = 0

    def check(self) -> None:
        if self.status not in set(ReceiptStatus):
            raise BAD_PARAMETER(f"Status is one of {', '.join(ReceiptStatus)}")
        if not is_sid(self.receipt, RECEIPT) and not is_sid(self.receipt, PARTICIPANT):
            raise BAD_PARAMETER("A receipt is named by its SID or by its participant's")
        if self.channel_message_sid is not None and not _is_any_sid(self.channel_message_sid):
            raise BAD_PARAMETER("The channel's message SID is two letters and 32 hexadecimal digits")
        if self.error_code < 0:
            raise BAD_PARAMETER("An error code is no negative number")


def _is_any_sid(text: str) -> bool:
    return text[:2].isascii() and text[:2].isalpha() and is_sid(text, text[:2])


class ReceiptsExpected(Change, frozen=True, kw_only=True):
    message: Message
    conversation: Conversation
    receipts: tuple[Receipt, ...]


class ReceiptRecorded(Change, frozen=True, kw_only=True):
    """A receipt has come to another state, which is never ``queued``."""

    receipt: Receipt
    before: Receipt
    message: Message
    """As it is now, with what its receipts come to."""
    conversation: Conversation
    message_before: Message
