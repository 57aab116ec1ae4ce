"""Where STOP and START are ours to heed: a gateway of several kinds of address may do it for some of them."""

from __future__ import annotations

from collections.abc import Iterable

from tertulia.server.channels.base import Channel
from tertulia.server.domain.addresses import kind_of
from tertulia.server.domain.channels import Incoming, Report


def heeded_in(events: Iterable[Incoming | Report], channel: Channel) -> frozenset[str]:
    """The kinds of address that was written to at which nobody else heeds them."""
    kinds = {kind_of(one.recipient.strip()) for one in events if isinstance(one, Incoming)}
    return frozenset(kind for kind in kinds if channel.capabilities_of(kind).has_opt_out)
