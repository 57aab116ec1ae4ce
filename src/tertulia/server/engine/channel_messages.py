"""Channel messages: begun, taken by their gateway, refused, put off (semantics 4.5, 4.11)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from tertulia.server.domain.channel_messages import (
    BeginSending,
    ChannelRecord,
    ChannelState,
    PostponeSending,
    RecordRefusal,
    RecordSent,
    SendOnChannel,
    known_handle,
    sid_prefix,
)
from tertulia.server.domain.channels import Keyword
from tertulia.server.domain.receipts import Receipt, ReceiptStatus

from .channel_places import place_of, under_way
from .channel_reports import joined, keep_parts
from .gateway_directory import simulator_of
from .receipts import Step
from .rules import handles
from .scenes import AccountScene, in_account
from .unit import Unit


async def gateways_of(unit: Unit, account_sid: str, senders: Sequence[str]) -> dict[str, str]:
    """The SID of each sender's gateway; an account without senders has the simulator for all. One statement."""
    known, has_any = await unit.channel_reads.gateways(account_sid, list(dict.fromkeys(senders)))
    return known if has_any else dict.fromkeys(senders, simulator_of(account_sid))


async def promise_reply(unit: Unit, *, kind: str, sender: str, recipient: str, text: str, keyword: Keyword) -> str:
    """Promise a message to a person that belongs to no conversation; the SID of the channel message.

    It was asked for, so opt-outs and windows are not looked at.
    """
    gateway_sid = (await gateways_of(unit, unit.caller.account_sid, [sender])).get(sender)
    record = ChannelRecord(
        sid=unit.new_sid(sid_prefix(kind, is_rich=False)),
        account_sid=unit.caller.account_sid,
        service_sid=None,
        conversation_sid=None,
        message_sid=None,
        participant_sid=None,
        message_index=None,
        kind=kind,
        sender=sender,
        recipients=(recipient,),
        gateway_sid=gateway_sid,
        state=ChannelState.WAITING.value,
        segments=None,
        error_code=0,
        created_at=unit.now,
        updated_at=unit.now,
        sent_at=None,
        valid_until=unit.now + unit.policy.channel_validity_s * 1_000_000,
        keyword=keyword.value,
    )
    await unit.channel_messages.add_many([record])
    job = SendOnChannel(
        account_sid=record.account_sid, channel_message_sid=record.sid, gateway_sid=gateway_sid, text=text
    )
    unit.enqueue(job, ordering_key=f"{sender} {recipient}")
    return record.sid


@handles(BeginSending, on=in_account, for_clients=False)
async def begin_sending(unit: Unit, command: BeginSending, _scene: AccountScene) -> bool:
    is_begun = await unit.channel_messages.begin(command.channel_message, command.gateway, unit.now)
    if is_begun and command.handle is not None:
        await unit.handles.expect(command.gateway, known_handle(command.handle), command.channel_message, unit.now)
    return is_begun


@handles(PostponeSending, on=in_account, for_clients=False)
async def postpone_sending(unit: Unit, command: PostponeSending, _scene: AccountScene) -> None:
    before = await under_way(unit, command.channel_message)
    if before is not None:
        waiting = msgspec.structs.replace(before, state=ChannelState.WAITING.value, sent_at=None, updated_at=unit.now)
        await unit.channel_messages.save(waiting, before)
        await unit.handles.forget(before.sid)  # its next gateway may be another one


@handles(RecordSent, on=in_account, for_clients=False)
async def record_sent(unit: Unit, command: RecordSent, _scene: AccountScene) -> tuple[Receipt, ...]:
    before = await under_way(unit, command.channel_message)
    if before is None:
        return ()  # it was removed meanwhile, with its message
    parts = await keep_parts(unit, before, command)
    place, failed = await place_of(unit, before), dict(command.failures)
    not_sent = {number for number, receipt in enumerate(place.receipts) if receipt.participant_sid in failed}
    sent = msgspec.structs.replace(
        before,
        # What is reported of all concerns those alone to whom it went.
        recipients=tuple("" if number in not_sent else one for number, one in enumerate(before.recipients)),
        state=ChannelState.SENT.value,
        gateway_sid=command.gateway,
        segments=command.segments,
        error_code=command.lost or before.error_code,
        updated_at=unit.now,
        sent_at=before.sent_at or unit.now,
    )
    await unit.channel_messages.save(sent, before)
    steps = [_step(receipt, command, failed) for receipt in place.receipts]
    early = await joined(unit, sent, parts, place)
    return await place.move(unit, [*steps, *early])


def _step(receipt: Receipt, command: RecordSent, failed: Mapping[str, int]) -> Step:
    code = failed.get(receipt.participant_sid, command.lost)
    return Step(receipt.sid, ReceiptStatus.FAILED, code) if code else Step(receipt.sid, command.status)


@handles(RecordRefusal, on=in_account, for_clients=False)
async def record_refusal(unit: Unit, command: RecordRefusal, _scene: AccountScene) -> tuple[Receipt, ...]:
    before = await under_way(unit, command.channel_message)
    if before is None:
        return ()
    place = await place_of(unit, before)
    state = ChannelState.WITHDRAWN if command.is_withdrawn else ChannelState.FAILED
    refused = msgspec.structs.replace(
        before, state=state.value, error_code=command.code, updated_at=unit.now, sent_at=None
    )
    await unit.channel_messages.save(refused, before)
    codes: dict[str, int] = dict(command.failures)
    return await place.move(
        unit,
        [
            Step(receipt.sid, ReceiptStatus.FAILED, codes.get(receipt.participant_sid, command.code))
            for receipt in place.receipts
        ],
    )
