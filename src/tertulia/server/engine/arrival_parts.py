"""Messages that come in parts: the parts wait for each other, and are one arrival when all are there (gateways 8.1)."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tertulia.server.domain.arrivals import PARTS_US, Arrival, ArrivalState, Arriving, WaitForParts
from tertulia.server.domain.arriving import are_whole, whole_of
from tertulia.wire.sids import ARRIVAL

from .unit import Unit


async def sorted_out(
    unit: Unit, gateway_sid: str, new: Sequence[Arriving], *, heeded: frozenset[str]
) -> list[Arriving]:
    """What came whole, and what is whole now; the parts of what is not are kept.

    The account is locked where there are parts. No statement where there are none, else three at most.
    """
    keys = {key for one in new if (key := one.parts_key(gateway_sid)) is not None}
    if not keys:
        return list(new)
    waiting: dict[str, list[Arrival]] = {key: [] for key in keys}
    for part in await unit.arrivals.parts(unit.caller.account_sid, keys):
        waiting[part.group_key or ""].append(part)
    old = {part.sid for parts in waiting.values() for part in parts}
    whole: list[Arriving] = []
    joined: list[Arrival] = []
    for one in new:
        key = one.parts_key(gateway_sid)
        if key is None:
            whole.append(one)
            continue
        if not waiting[key]:
            _wait(unit, gateway_sid, key, unit.now, heeded=heeded)
        waiting[key].append(_part(unit, gateway_sid, one, key))
        if are_whole(waiting[key]):
            whole.append(whole_of(waiting[key], unit.new_sid(ARRIVAL)))
            joined += waiting[key]
            waiting[key] = []
            unit.withdraw(_job_key(key))
    await unit.arrivals.join([part.sid for part in joined if part.sid in old], unit.now)
    await unit.arrivals.add_many(
        [
            *(_empty(part) for part in joined if part.sid not in old),
            *(part for parts in waiting.values() for part in parts if part.sid not in old),
        ]
    )
    return whole


async def given_up(unit: Unit, gateway_sid: str, key: str, *, heeded: frozenset[str]) -> list[Arriving]:
    """The message without the parts that have not come in time; none where there is nothing to wait for, or time."""
    parts = await unit.arrivals.parts(unit.caller.account_sid, [key])
    if not parts:
        return []
    begun_at = min(part.created_at for part in parts)
    if begun_at + PARTS_US > unit.now:
        _wait(unit, gateway_sid, key, begun_at, heeded=heeded)
        return []
    await unit.arrivals.join([part.sid for part in parts], unit.now)
    return [whole_of(parts, unit.new_sid(ARRIVAL))]


def _wait(unit: Unit, gateway_sid: str, key: str, begun_at: int, *, heeded: frozenset[str]) -> None:
    job = WaitForParts(account_sid=unit.caller.account_sid, gateway_sid=gateway_sid, parts=key, heeded=heeded)
    unit.enqueue(job, key=_job_key(key), due_at=begun_at + PARTS_US)


def _job_key(key: str) -> str:
    return f"wait for {key}"


def _part(unit: Unit, gateway_sid: str, one: Arriving, key: str) -> Arrival:
    return Arrival(
        sid=one.sid,
        account_sid=unit.caller.account_sid,
        gateway_sid=gateway_sid,
        provider_id=one.provider_id,
        sender=one.sender,
        recipient=one.recipient,
        content=one.content,
        group_key=key,
        digest=None,
        state=ArrivalState.PART,
        why=None,
        conversation_sid=None,
        message_sid=None,
        created_at=unit.now,
        updated_at=unit.now,
    )


def _empty(part: Arrival) -> Arrival:
    return msgspec.structs.replace(part, state=ArrivalState.JOINED, content=None)
