"""Reads of content templates."""

from __future__ import annotations

from tertulia.server.domain.callers import Caller
from tertulia.server.domain.content import Content
from tertulia.server.domain.errors import RESOURCE_NOT_FOUND
from tertulia.server.storage.content import Contents
from tertulia.server.storage.database import Database
from tertulia.server.storage.paging import Page

from .windows import Cut, Window, window


class ContentQueries:
    """Templates belong to an account: its holders and the users of its services read them (semantics 2.2)."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def one(self, caller: Caller, sid: str) -> Content:
        async with self._database.snapshot() as connection:
            content = await Contents(connection).find(caller.account_sid, sid)
        if content is None:
            raise RESOURCE_NOT_FOUND()
        return content

    async def all(self, caller: Caller, wanted: Page) -> list[Content]:
        async with self._database.snapshot() as connection:
            return await Contents(connection).page(caller.account_sid, wanted)

    async def shown(
        self, caller: Caller, limit: int, start: Cut[str] | None, *, backward: bool = False
    ) -> Window[str, Content]:
        """A page as clients read it."""
        async with self._database.snapshot() as connection:
            contents = Contents(connection)

            async def fetch(page: Page) -> list[tuple[str, Content]]:
                return [(content.sid, content) for content in await contents.page(caller.account_sid, page)]

            return await window(fetch, limit, start, backward=backward)
