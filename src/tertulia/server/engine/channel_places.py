"""Where a channel message belongs: its conversation, its message, and the receipts that it moves (semantics 4.11)."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tertulia.server.domain.channel_messages import ENDED, ChannelRecord, ChannelState
from tertulia.server.domain.conversations import Conversation
from tertulia.server.domain.messages import Message
from tertulia.server.domain.receipts import Receipt, ReceiptStatus

from .horizon import moved
from .participants import save_participant
from .receipts import Step, move_receipts
from .unit import Unit


class Place(msgspec.Struct, frozen=True):
    """Of what is no message of a conversation, or of one that is gone, nothing."""

    conversation: Conversation | None = None
    """Locked."""
    message: Message | None = None
    there: tuple[Receipt, ...] = ()
    """All receipts of the message, by age."""
    receipts: tuple[Receipt, ...] = ()
    """Those of the channel message, in the order of its recipients."""

    async def move(self, unit: Unit, steps: Sequence[Step]) -> tuple[Receipt, ...]:
        """Bring receipts further; those that moved. Who has read the message has read up to it (semantics 4.7)."""
        if self.conversation is None or self.message is None or not steps:
            return ()
        outcome = await move_receipts(unit, self.message, self.conversation, self.there, steps)
        conversation = outcome.conversation
        for receipt in outcome.receipts:
            if receipt.status == ReceiptStatus.READ and conversation.is_open:
                conversation = await _read(unit, conversation, receipt.participant_sid, self.message.index)
        return outcome.receipts


async def _read(unit: Unit, conversation: Conversation, participant_sid: str, index: int) -> Conversation:
    """The conversation after this participant's horizon has come to the message; it never goes back."""
    before = await unit.participants.find(conversation.sid, participant_sid)
    if before is None or (before.last_read_index is not None and before.last_read_index >= index):
        return conversation
    participant = moved(before, conversation, index, msgspec.UNSET, unit.now)
    if participant == before:
        return conversation
    stamped = msgspec.structs.replace(participant, updated_at=unit.now)
    await save_participant(unit, stamped, before, conversation)
    return msgspec.structs.replace(conversation, roster_event=conversation.roster_event + 1)


async def under_way(unit: Unit, sid: str) -> ChannelRecord | None:
    """The channel message, while nothing has ended it; None also when it was removed."""
    record = await unit.channel_messages.get(sid)
    return None if record is None or ChannelState(record.state) in ENDED else record


async def place_of(unit: Unit, record: ChannelRecord) -> Place:
    """Three statements."""
    if record.conversation_sid is None or record.message_sid is None:
        return Place()
    conversation = await unit.conversations.get(record.conversation_sid, lock=True)
    if conversation is None:
        return Place()
    message = await unit.messages.find(conversation.sid, record.message_sid)
    if message is None:
        return Place()
    there = tuple(await unit.receipts.of_message(message.sid))
    own = tuple(receipt for receipt in there if receipt.channel_message_sid == record.sid)
    return Place(conversation, message, there, own)
