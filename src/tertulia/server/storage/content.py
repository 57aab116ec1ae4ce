"""Content templates."""

from __future__ import annotations

from tertulia.server.domain.content import Content

from .database import Connection
from .paging import Page, page
from .table import Table

CONTENTS = Table(Content, "contents")


class Contents:
    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def find(self, account_sid: str, sid: str) -> Content | None:
        """A template of the account."""
        found = await CONTENTS.get(self._connection, sid)
        return found if found is not None and found.account_sid == account_sid else None

    async def lock(self, account_sid: str, sid: str) -> Content | None:
        row = await self._connection.row(
            f"SELECT {CONTENTS.columns} FROM contents WHERE sid = $1 AND account_sid = $2 FOR UPDATE",
            sid,
            account_sid,
        )
        return CONTENTS.entity(row) if row else None

    async def page(self, account_sid: str, wanted: Page) -> list[Content]:
        """The templates of the account, by age."""
        rows = await page(
            self._connection, CONTENTS.columns, "contents", "account_sid = $1", (account_sid,), "sid", wanted
        )
        return CONTENTS.entities(rows)

    async def add(self, content: Content) -> None:
        await CONTENTS.add(self._connection, content)

    async def save(self, content: Content, before: Content) -> None:
        """Write what differs from ``before``."""
        await CONTENTS.save(self._connection, content, before)

    async def remove(self, sid: str) -> None:
        await CONTENTS.remove(self._connection, sid)
