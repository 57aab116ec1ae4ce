"""Which addresses a gateway may speak for: those of ours that it serves (gateways 8.0)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from tertulia.server import observe
from tertulia.server.channels.registry import NoAdapter, adapter_of
from tertulia.server.domain.addresses import kind_of
from tertulia.server.domain.arrivals import Arriving
from tertulia.server.domain.gateways import Sender

from .gateway_directory import simulator_of
from .unit import Unit

log = logging.getLogger(__name__)

MOVED_US: Final = 24 * 3600 * 1_000_000
"""So long what is still on its way by another gateway is heard, after a sender was changed: moved, it may be."""


async def served(unit: Unit, gateway_sid: str, arriving: Sequence[Arriving]) -> list[Arriving]:
    """Those of them that the gateway may bring; the others are dropped, and that is logged.

    One statement where it may bring all of them; none for none.
    """
    if not arriving:
        return []
    account_sid = unit.caller.account_sid
    senders = await unit.senders.among(account_sid, {one.recipient for one in arriving})
    heard = {address for address, sender in senders.items() if sender.gateway_sid == gateway_sid}
    doubtful = [one for one in arriving if one.recipient not in heard]
    if doubtful:
        if gateway_sid == simulator_of(account_sid):
            serves_all = not senders and not await unit.senders.any(account_sid)
            heard.update(one.recipient for one in doubtful if serves_all)
        else:
            kinds = await _kinds(unit, gateway_sid)
            heard.update(
                one.recipient
                for one in doubtful
                if kind_of(one.recipient) in kinds and _is_likely(unit, one, senders.get(one.recipient))
            )
    kept = [one for one in arriving if one.recipient in heard]
    if len(kept) < len(arriving):
        log.warning(
            "channel.dropped",
            extra=observe.fields(
                gateway=gateway_sid, count=len(arriving) - len(kept), why="the gateway does not serve that address"
            ),
        )
    return kept


def _is_likely(unit: Unit, one: Arriving, sender: Sender | None) -> bool:
    """It may come by this gateway though it serves the address no more, or the address is a mailbox for answers alone,
    which is no sender: then it names a conversation, where only its members get in."""
    if sender is None:
        return one.content.conversation_sid is not None
    return sender.updated_at > sender.created_at and unit.now - sender.updated_at < MOVED_US


async def _kinds(unit: Unit, gateway_sid: str) -> frozenset[str]:
    gateway = await unit.gateways.get(gateway_sid)
    if gateway is None:
        return frozenset()
    try:
        return adapter_of(gateway.adapter).kinds
    except NoAdapter:
        return frozenset()
