"""Typing: said to those who follow the conversation, kept nowhere (semantics 6.4)."""

from __future__ import annotations

import msgspec

from tertulia.server.bus.base import Bus, TypingPublished
from tertulia.server.domain.callers import Caller
from tertulia.server.domain.errors import CONVERSATION_NOT_FOUND, NOT_A_PARTICIPANT
from tertulia.server.domain.sync import ObjectKind, object_sid
from tertulia.server.storage.conversations import Conversations
from tertulia.server.storage.database import Database
from tertulia.server.storage.participants import Participants
from tertulia.wire.sync import TypingData

from .scenes import is_waiting_creator

_encode = msgspec.json.Encoder().encode


class Typing:
    def __init__(self, database: Database, bus: Bus, timeout_s: int) -> None:
        self._database = database
        self._bus = bus
        self.timeout_s = timeout_s
        """How often a client repeats, in seconds; what others are told is one second longer, so nobody flickers."""

    async def typing(self, caller: Caller, conversation: str) -> None:
        """The other members' clients learn that the caller types. Raises 50350 for who is not a member.

        Its creator, until he has joined, gets 50430 (semantics 2.4).
        """
        async with self._database.snapshot() as connection:
            found = await Conversations(connection).find(caller.service_sid or "", conversation)
            if found is None or not found.is_listed or caller.identity is None:
                raise CONVERSATION_NOT_FOUND()
            if await Participants(connection).member(found.sid, caller.identity) is None:
                raise NOT_A_PARTICIPANT() if is_waiting_creator(caller, found) else CONVERSATION_NOT_FOUND()
        body = _encode(TypingData(found.sid, caller.identity, self.timeout_s + 1))
        await self._bus.publish([TypingPublished(object_sid(ObjectKind.MESSAGES, found.sid), caller.identity, body)])
