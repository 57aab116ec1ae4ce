"""What a connection brings that a channel holds."""

from __future__ import annotations

from tertulia.server.channels.base import InboxClosed, NotNow, Refused
from tertulia.server.channels.opening import OpenGateway
from tertulia.server.domain.channels import Incoming, Report
from tertulia.server.domain.errors import TertuliaError
from tertulia.server.engine.arrival_store import ArrivalStore
from tertulia.server.storage.database import StorageError

from .face import OpenChannels
from .keywords import heeded_in


class GatewayInbox:
    """The inbox of one gateway's channel."""

    def __init__(self, channels: OpenChannels, store: ArrivalStore, gateway: OpenGateway) -> None:
        self._channels = channels
        self._store = store
        self._gateway = gateway

    async def put(self, *events: Incoming | Report) -> None:
        """Returns when they are kept; raises ``InboxClosed`` when they cannot be kept now."""
        gateway = self._gateway
        try:
            async with self._channels.use(gateway.sid) as channel:
                heeded = heeded_in(events, channel)
            await self._store.keep(gateway.account_sid, gateway.sid, events, heeded=heeded)
        except (TertuliaError, StorageError, Refused, NotNow) as trouble:
            raise InboxClosed(type(trouble).__name__) from trouble
