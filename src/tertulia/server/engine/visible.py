"""What a caller sees, for those who only read: commands find and lock it by ``scenes``."""

from __future__ import annotations

from tertulia.server.domain.callers import Caller
from tertulia.server.domain.conversations import Conversation
from tertulia.server.domain.errors import RESOURCE_NOT_FOUND
from tertulia.server.domain.services import Service
from tertulia.server.storage.conversations import Conversations
from tertulia.server.storage.database import Connection
from tertulia.server.storage.services import Services

from .scenes import requires_visible


async def visible_service(connection: Connection, caller: Caller, sid: str) -> Service:
    """A service of the caller's account; else 20404."""
    service = await Services(connection).find(caller.account_sid, sid)
    if service is None:
        raise RESOURCE_NOT_FOUND()
    return service


async def visible_conversation(connection: Connection, caller: Caller, service_sid: str, key: str) -> Conversation:
    """A conversation of the caller's account and this service, by SID or unique name; else 50350."""
    return requires_visible(caller, await Conversations(connection).find(service_sid, key), service_sid)
