"""Removes what services do not keep, in small bites and as the system, so that clients see it go (semantics 5.5)."""

from __future__ import annotations

import asyncio
from typing import Final

from tertulia.server.clock import Clock
from tertulia.server.domain import callers
from tertulia.server.domain.conversations import DeleteConversation
from tertulia.server.domain.errors import CONVERSATION_NOT_FOUND, NotFound
from tertulia.server.domain.retention import ForgetOldMessages
from tertulia.server.engine.engine import Engine
from tertulia.server.settings import RetentionSettings
from tertulia.server.storage.database import Database
from tertulia.server.storage.retention import Keeping, Retentions

BITE: Final = 100
"""Messages of one transaction; each is an event to those who follow the conversation."""
LOOK: Final = 200
"""Conversations or services of one read."""
PAUSE_S: Final = 0.01
EVERY_US: Final = 3600 * 1_000_000
_DAY_US: Final = 24 * 3600 * 1_000_000


class RetentionTrimmer:
    """Looks through the services that do not keep everything, once an hour."""

    def __init__(
        self, database: Database, engine: Engine, clock: Clock, settings: RetentionSettings, pause_s: float = PAUSE_S
    ) -> None:
        self._database = database
        self._engine = engine
        self._clock = clock
        self._settings = settings
        self._pause_s = pause_s
        self._next_at = 0

    async def trim(self) -> int:
        """All that is too old now; how many messages and conversations went. Nothing until an hour has passed."""
        now = self._clock.now()
        if now < self._next_at:
            return 0
        total, after = 0, ""
        while services := await self._services(after):
            for service in services:
                total += await self._closed(service, now)
                total += await self._messages(service, now)
            after = services[-1].service_sid
        self._next_at = now + EVERY_US
        return total

    async def _services(self, after: str) -> list[Keeping]:
        async with self._database.snapshot() as connection:
            return await Retentions(connection).limited(
                after,
                LOOK,
                messages_days=self._settings.messages_days,
                closed_conversations_days=self._settings.closed_conversations_days,
            )

    async def _closed(self, service: Keeping, now: int) -> int:
        if not service.closed_conversations_days:
            return 0
        caller = callers.system(service.account_sid)
        before, total = now - service.closed_conversations_days * _DAY_US, 0
        while True:
            async with self._database.snapshot() as connection:
                found = await Retentions(connection).closed_before(service.service_sid, before, LOOK)
            for sid in found:
                try:
                    await self._engine.execute(
                        caller, DeleteConversation(service=service.service_sid, conversation=sid)
                    )
                except NotFound as missing:
                    if missing.code != CONVERSATION_NOT_FOUND.code:
                        raise
                else:
                    total += 1
                await asyncio.sleep(self._pause_s)
            if len(found) < LOOK:
                return total

    async def _messages(self, service: Keeping, now: int) -> int:
        if not service.messages_days:
            return 0
        before, total, after = now - service.messages_days * _DAY_US, 0, ""
        while True:
            async with self._database.snapshot() as connection:
                found = await Retentions(connection).oldest_messages(service.service_sid, after, LOOK)
            for sid, oldest in found:
                if oldest is not None and oldest < before:
                    total += await self._of_conversation(service.account_sid, sid, before)
            if len(found) < LOOK:
                return total
            after = found[-1][0]
            await asyncio.sleep(self._pause_s)

    async def _of_conversation(self, account_sid: str, sid: str, before: int) -> int:
        total, wish = 0, ForgetOldMessages(conversation=sid, before=before, most=BITE)
        while gone := await self._engine.execute(callers.system(account_sid), wish):
            total += gone
            await asyncio.sleep(self._pause_s)
            if gone < BITE:
                break
        return total
