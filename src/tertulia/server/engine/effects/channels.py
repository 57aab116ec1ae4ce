"""Who gets a message outside the chat (semantics 4.5).

Where nobody has an address, it costs nothing. Else a constant number of statements, whatever their number: a receipt
for each of them, and a channel message with its job for each way out.
"""

from __future__ import annotations

from tertulia.server.domain.callers import CallerKind
from tertulia.server.domain.channel_messages import (
    ChannelRecord,
    ChannelState,
    SendOnChannel,
    sid_prefix,
)
from tertulia.server.domain.channel_ways import Way, ways_out
from tertulia.server.domain.messages import Message, MessageAdded
from tertulia.server.engine.channel_messages import gateways_of
from tertulia.server.engine.receipts import expected
from tertulia.server.engine.rules import effect_of
from tertulia.server.engine.unit import Unit


@effect_of(MessageAdded)
async def message_added(unit: Unit, change: MessageAdded) -> None:
    message, conversation = change.message, change.conversation
    if conversation.bound_count == 0 or change.skips_channels:
        return
    is_relayed = unit.caller.kind is CallerKind.CHANNEL
    bound = await unit.channel_reads.bound(conversation.sid)
    ways = ways_out(conversation, message, bound, came_from=unit.caller.address if is_relayed else None)
    if not ways:
        return
    gateways = await gateways_of(unit, message.account_sid, [way.sender for way in ways])
    records = [_record(unit, message, way, gateways.get(way.sender)) for way in ways]
    await unit.channel_messages.add_many(records)
    for record, way in zip(records, ways, strict=True):
        job = SendOnChannel(
            account_sid=record.account_sid,
            channel_message_sid=record.sid,
            gateway_sid=record.gateway_sid,
            others=way.others,
            is_relayed=is_relayed,
        )
        unit.enqueue(job, ordering_key=way.ordering_key)
    wanted = [(person.sid, record.sid) for record, way in zip(records, ways, strict=True) for person in way.people]
    await expected(unit, message, conversation, wanted)


def _record(unit: Unit, message: Message, way: Way, gateway_sid: str | None) -> ChannelRecord:
    return ChannelRecord(
        sid=unit.new_sid(sid_prefix(way.kind, is_rich=way.is_group or message.media is not None)),
        account_sid=message.account_sid,
        service_sid=message.service_sid,
        conversation_sid=message.conversation_sid,
        message_sid=message.sid,
        participant_sid=None if way.is_group else way.people[0].sid,
        message_index=message.index,
        kind=way.kind,
        sender=way.sender,
        recipients=way.recipients,
        gateway_sid=gateway_sid,
        state=ChannelState.WAITING.value,
        segments=None,
        error_code=0,
        created_at=unit.now,
        updated_at=unit.now,
        sent_at=None,
        valid_until=unit.now + unit.policy.channel_validity_s * 1_000_000,
    )
