"""What gateways report of our messages: by handle, by part, by person, or of all until a moment (gateways 8.0)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from tertulia.server.domain.addresses import canonical
from tertulia.server.domain.channel_messages import (
    JOINED_US,
    ChannelRecord,
    EarlyReport,
    Handle,
    RecordReports,
    RecordSent,
    known_handle,
    part_moves,
    worst,
)
from tertulia.server.domain.channels import Report
from tertulia.server.domain.receipts import FAILURES, Receipt, ReceiptStatus

from .channel_places import Place, place_of
from .receipts import Step
from .rules import handles
from .scenes import AccountScene, in_account
from .unit import Unit

MOST_UNTIL: Final = 100
"""Messages that one report of all until a moment moves; those before them are moved by the next."""

_FORWARD: Final = (ReceiptStatus.QUEUED, ReceiptStatus.SENT, ReceiptStatus.DELIVERED, ReceiptStatus.READ)


@handles(RecordReports, on=in_account, for_clients=False)
async def record_reports(unit: Unit, command: RecordReports, _scene: AccountScene) -> int:
    reports = [_fit(report) for report in command.reports]
    await _claim_unknown(unit, command.gateway, reports)
    total = 0
    for report in reports:
        if report.up_to is not None:
            total += await _until(unit, report, report.up_to)
        elif report.handle is not None:
            total += await _of_handle(unit, command.gateway, report, report.handle)
    return total


def _fit(report: Report) -> Report:
    """With its names as they are remembered."""
    handle, alias = (None if name is None else known_handle(name) for name in (report.handle, report.alias))
    if (handle, alias) == (report.handle, report.alias):
        return report
    return msgspec.structs.replace(report, handle=handle, alias=alias)


async def _claim_unknown(unit: Unit, gateway_sid: str, reports: Iterable[Report]) -> None:
    """Put down what nobody knows yet, where ``keep_parts`` puts down the parts of a message.

    A report and the answer to its message can be on their way in two transactions, neither of which sees what the other
    writes. As both write a row of the same key before they look for the other's, the second waits there until the first
    has ended: a report that is second finds the part, and one that was first is found by ``joined``. Both do so before
    they lock anything else, and by name, so they never wait for each other.
    """
    named = [(one.handle, one.alias) for one in reports if one.up_to is None and one.handle is not None]
    known = await unit.handles.among(gateway_sid, {name for pair in named for name in pair if name is not None})
    unknown = {name for pair in named if known.isdisjoint(pair) for name in pair if name is not None}
    await unit.handles.claim(gateway_sid, unknown, unit.now)


async def _of_handle(unit: Unit, gateway_sid: str, report: Report, name: str) -> int:
    handle = await unit.handles.known(gateway_sid, name, report.alias)
    if handle is None:
        await unit.early_reports.keep(_early(unit, gateway_sid, report, (name, report.alias)))
        return 0
    record = await unit.channel_messages.get(handle.channel_message_sid)
    if record is None:
        return 0
    place = await place_of(unit, record)
    if _is_personal(record, report.recipient):
        step = (report.status, report.error_code)
        return len(await place.move(unit, _steps_of(record, place.receipts, *step, report.recipient)))
    if not part_moves(handle, report.status):
        return 0
    part = msgspec.structs.replace(handle, status=report.status.value, error_code=report.error_code)
    await unit.handles.save(part, handle)
    parts = [part if one.handle == part.handle else one for one in await unit.handles.of_message(record.sid)]
    status, code = worst(tuple(parts))
    await _note(unit, record, code)
    return len(await place.move(unit, _steps_of(record, place.receipts, status, code, overrules=True)))


async def _until(unit: Unit, report: Report, at: int) -> int:
    """All that was sent to this person until then, and has not come so far."""
    if report.sender is None or report.recipient is None or report.status not in _FORWARD:
        return 0
    past = (*_FORWARD[_FORWARD.index(report.status) :], *FAILURES)
    records = await unit.channel_messages.sent_until(
        unit.caller.account_sid, canonical(report.sender), canonical(report.recipient), at, past, MOST_UNTIL
    )
    total = 0
    for record in records:
        place = await place_of(unit, record)
        total += len(await place.move(unit, _steps_of(record, place.receipts, report.status, 0)))
    return total


async def keep_parts(unit: Unit, record: ChannelRecord, command: RecordSent) -> list[Handle]:
    """Know the parts of a message by their names from now on. One statement; none for none.

    Before anything else is locked: see ``_claim_unknown``.
    """
    parts = [
        Handle(
            gateway_sid=command.gateway,
            handle=name,
            channel_message_sid=record.sid,
            part=part,
            status=command.status.value,
            error_code=0,
            created_at=unit.now,
        )
        for part, name in enumerate(dict.fromkeys(map(known_handle, command.handles)))
    ]
    if command.lost:
        # Of this part nothing is ever reported, and the message is no better than it.
        parts.append(
            Handle(
                gateway_sid=command.gateway,
                handle=f"{record.sid} lost",
                channel_message_sid=record.sid,
                part=len(parts),
                status=ReceiptStatus.FAILED.value,
                error_code=command.lost,
                created_at=unit.now,
            )
        )
    await unit.handles.keep(parts)
    return parts


async def joined(unit: Unit, record: ChannelRecord, kept: Sequence[Handle], place: Place) -> list[Step]:
    """What was reported of these parts before they were known, as steps.

    One statement where nothing was, none for none.
    """
    if not kept or record.gateway_sid is None:
        return []
    parts = {part.handle: part for part in kept}
    steps: list[Step] = []
    for early in await unit.early_reports.take(record.gateway_sid, list(parts), unit.now - JOINED_US):
        said = ReceiptStatus(early.status)
        if _is_personal(record, early.recipient):
            steps += _steps_of(record, place.receipts, said, early.error_code, early.recipient)
        elif part_moves(parts[early.handle], said):
            parts[early.handle] = msgspec.structs.replace(
                parts[early.handle], status=said.value, error_code=early.error_code
            )
    news = [part for part in kept if parts[part.handle] != part]
    for part in news:
        await unit.handles.save(parts[part.handle], part)
    if news:
        overall, code = worst(tuple(parts.values()))
        await _note(unit, record, code)
        steps = [*_steps_of(record, place.receipts, overall, code, overrules=True), *steps]
    return steps


async def _note(unit: Unit, record: ChannelRecord, code: int) -> None:
    """Of what has no receipts this is all that tells of a failure."""
    if code != record.error_code:
        changed = msgspec.structs.replace(record, error_code=code, updated_at=unit.now)
        await unit.channel_messages.save(changed, record)


def _is_personal(record: ChannelRecord, recipient: str | None) -> bool:
    """It is about one of several."""
    return bool(recipient) and len(record.recipients) > 1


def _steps_of(
    record: ChannelRecord,
    receipts: Iterable[Receipt],
    status: ReceiptStatus,
    code: int,
    recipient: str | None = None,
    *,
    overrules: bool = False,
) -> list[Step]:
    """Of all to whom it was sent, or of one. Who it was not sent to has an empty address there."""
    wanted = None if recipient is None else recipient.casefold()
    return [
        Step(receipt.sid, status, code, overrules)
        for receipt, address in zip(receipts, record.recipients, strict=False)
        if address and (wanted is None or address.casefold() == wanted)
    ]


def _early(unit: Unit, gateway_sid: str, report: Report, names: Iterable[str | None]) -> list[EarlyReport]:
    """In both its spellings: which one the gateway gives when it takes the message is not known yet."""
    spellings = [name for name in dict.fromkeys(names) if name is not None]
    return [
        EarlyReport(
            gateway_sid=gateway_sid,
            handle=name,
            alias=next((other for other in spellings if other != name), ""),
            recipient=report.recipient or "",
            status=report.status.value,
            error_code=report.error_code,
            created_at=unit.now,
        )
        for name in spellings
    ]
