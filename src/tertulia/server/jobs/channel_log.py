"""What went out on channels is known some days, then forgotten in small bites; reports of nothing, a minute later."""

from __future__ import annotations

import asyncio

from tertulia.server.clock import Clock
from tertulia.server.domain.channel_messages import JOINED_US
from tertulia.server.storage.channel_messages import ChannelMessages, EarlyReports, Handles
from tertulia.server.storage.database import Database

BITE = 500
DAY_US = 24 * 3600 * 1_000_000


class ChannelLog:
    def __init__(self, database: Database, clock: Clock, days: int) -> None:
        self._database = database
        self._clock = clock
        self._kept_us = days * DAY_US

    async def trim(self) -> int:
        """Forget all that is older; how many rows went."""
        total, now = 0, self._clock.now()
        while True:
            async with self._database.transaction() as connection:
                gone = await ChannelMessages(connection).trim(now - self._kept_us, BITE)
                gone += await EarlyReports(connection).trim(now - JOINED_US, BITE)
                gone += await Handles(connection).trim_unknown(now - JOINED_US, BITE)
            if not gone:
                return total
            total += gone
            await asyncio.sleep(0)
