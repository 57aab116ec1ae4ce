"""Delivery receipts: expecting them, and recording what channels report (semantics 4.11)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import msgspec

from tertulia.server.domain.conversations import Conversation
from tertulia.server.domain.errors import RECEIPT_NOT_FOUND
from tertulia.server.domain.messages import Message
from tertulia.server.domain.receipts import (
    ExpectReceipts,
    Receipt,
    ReceiptRecorded,
    ReceiptsExpected,
    ReceiptStatus,
    RecordReceipt,
    advanced,
    aggregate,
)

from .rules import handles
from .scenes import MessageScene, on_message
from .unit import Unit


@handles(ExpectReceipts, on=on_message, for_clients=False)
async def expect_receipts(unit: Unit, command: ExpectReceipts, scene: MessageScene) -> tuple[Receipt, ...]:
    message = scene.message
    there = await unit.receipts.of_message(message.sid)
    known = {receipt.participant_sid for receipt in there}
    missing = tuple(sid for sid in dict.fromkeys(command.participants) if sid not in known | {message.participant_sid})
    reachable = await unit.participants.with_address(message.conversation_sid, missing)
    new = await expected(unit, message, scene.conversation, [(sid, None) for sid in missing if sid in reachable], there)
    return tuple(receipt for receipt in (*there, *new) if receipt.participant_sid in command.participants)


async def expected(
    unit: Unit,
    message: Message,
    conversation: Conversation,
    wanted: Sequence[tuple[str, str | None]],
    there: Sequence[Receipt] = (),
) -> tuple[Receipt, ...]:
    """New receipts of the message, ``queued``: of each participant, with what the channel calls it.

    ``there`` are those that it has. Three statements at most, none for none.
    """
    new = tuple(_queued(unit, message, participant_sid, called) for participant_sid, called in wanted)
    if new:
        await unit.receipts.add_many(new)
        message, conversation = await _counted(unit, message, conversation, [*there, *new])
        unit.record(ReceiptsExpected(message=message, conversation=conversation, receipts=new))
    return new


def _queued(unit: Unit, message: Message, participant_sid: str, channel_message_sid: str | None) -> Receipt:
    return Receipt(
        sid=unit.new_sid("DY"),
        account_sid=message.account_sid,
        service_sid=message.service_sid,
        conversation_sid=message.conversation_sid,
        message_sid=message.sid,
        participant_sid=participant_sid,
        channel_message_sid=channel_message_sid,
        status=ReceiptStatus.QUEUED.value,
        passed="",
        error_code=0,
        created_at=unit.now,
        updated_at=unit.now,
    )


class Step(NamedTuple):
    """What is reported of one receipt."""

    receipt_sid: str
    status: ReceiptStatus
    error_code: int = 0
    overrules: bool = False
    """It is what all parts come to: a failure that is not among them any more is none."""


class Moved(NamedTuple):
    """The receipts that moved, and the conversation and the message after it."""

    receipts: tuple[Receipt, ...]
    conversation: Conversation
    message: Message


async def move_receipts(
    unit: Unit, message: Message, conversation: Conversation, there: Sequence[Receipt], steps: Sequence[Step]
) -> Moved:
    """Bring some of the message's receipts further; ``there`` are all of them. As many statements for many as for one.

    A step that brings one no further leaves it alone.
    """
    now = {receipt.sid: receipt for receipt in there}
    for step in steps:
        if step.receipt_sid in now:
            now[step.receipt_sid] = advanced(
                now[step.receipt_sid], step.status, step.error_code, unit.now, overrules=step.overrules
            )
    changed = [(now[before.sid], before) for before in there if now[before.sid] != before]
    if not changed:
        return Moved((), conversation, message)
    await unit.receipts.save_many([receipt for receipt, _ in changed])
    counted, conversation = await _counted(unit, message, conversation, list(now.values()))
    for receipt, before in changed:
        unit.record(
            ReceiptRecorded(
                receipt=receipt,
                before=before,
                message=counted,
                conversation=conversation,
                message_before=message,
            )
        )
        message = counted  # clients hear once of what several have done to it together
    return Moved(tuple(receipt for receipt, _ in changed), conversation, counted)


@handles(RecordReceipt, on=on_message, for_clients=False)
async def record_receipt(unit: Unit, command: RecordReceipt, scene: MessageScene) -> Receipt:
    # Closed conversations too: what was sent before is still under way (semantics 5.1).
    there = await unit.receipts.of_message(scene.message.sid)
    before = next((one for one in there if command.receipt in (one.sid, one.participant_sid)), None)
    if before is None:
        raise RECEIPT_NOT_FOUND()
    receipt = advanced(before, command.status, command.error_code, unit.now)
    if before.channel_message_sid is None and command.channel_message_sid is not None:
        # Also from a report that comes late: the channel's name for the message has no order.
        receipt = msgspec.structs.replace(receipt, channel_message_sid=command.channel_message_sid)
    if receipt == before:
        return before
    await unit.receipts.save(receipt, before)
    if receipt.status != before.status:
        now = [receipt if one.sid == receipt.sid else one for one in there]
        message, conversation = await _counted(unit, scene.message, scene.conversation, now)
        unit.record(
            ReceiptRecorded(
                receipt=receipt,
                before=before,
                message=message,
                conversation=conversation,
                message_before=scene.message,
            )
        )
    return receipt


async def _counted(
    unit: Unit, message: Message, conversation: Conversation, receipts: Collection[Receipt]
) -> tuple[Message, Conversation]:
    """The message with what its receipts come to, under a new number of the list where clients follow one.

    When that is what it was, nothing is written: clients would not see a difference.
    """
    delivery = msgspec.json.encode(aggregate(receipts)).decode()
    if delivery == message.delivery:
        return message, conversation
    counted, after = msgspec.structs.replace(message, delivery=delivery), conversation
    if conversation.is_listed:
        after = msgspec.structs.replace(conversation, messages_event=conversation.messages_event + 1)
        counted = msgspec.structs.replace(counted, event=after.messages_event)
        await unit.conversations.save(after, conversation)
    await unit.messages.save(counted, message)
    return counted, after
