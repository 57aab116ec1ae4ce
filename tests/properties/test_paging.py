"""Walking through pages sees every row that stays exactly once, in order, whatever comes and goes meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tertulia.server.engine.windows import Cut, window
from tertulia.server.storage.database import Connection, Row
from tertulia.server.storage.paging import Page, padded, page, placeholders
from tertulia.server.storage.sqlite import SqliteDatabase

NUMBERS = st.integers(0, 30)
Keys = frozenset[int]
Changes = list[tuple[bool, int]]
"""Between two pages: a row with this key comes, or goes."""

_changes = st.lists(st.tuples(st.booleans(), NUMBERS), max_size=3)


class Shelf:
    """One table, filled anew for each case. Its rows have a key, and a date that several may share."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self.database = SqliteDatabase(None)
        self._runner.run(self._open())

    async def _open(self) -> None:
        await self.database.open()
        async with self.database.transaction() as connection:
            await connection.script("CREATE TABLE row (number BIGINT PRIMARY KEY, day BIGINT, label TEXT)")
            await connection.script("CREATE INDEX row_day ON row (day, label)")

    def run(self, walk: Any) -> Any:
        return self._runner.run(walk)

    def close(self) -> None:
        self._runner.run(self.database.close())
        self._runner.close()


@pytest.fixture(scope="module")
def shelf() -> Iterator[Shelf]:
    shelf = Shelf()
    yield shelf
    shelf.close()


async def change(connection: Connection, number: int, comes: bool) -> None:
    if comes:
        await connection.execute(
            "INSERT INTO row (number, day, label) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            number,
            number // 7,
            f"{number:02}",
        )
    else:
        await connection.execute("DELETE FROM row WHERE number = $1", number)


class Walk:
    """Pages of the table in one of its two orders, with changes between them. Keeps what never went."""

    def __init__(self, connection: Connection, by_day: bool, between: list[Changes]) -> None:
        self.connection = connection
        self.by_day = by_day
        self.between = between
        self.stayed: set[int] = set()
        self.ever: set[int] = set()

    async def fill(self, rows: Keys) -> None:
        await self.connection.execute("DELETE FROM row")
        for number in rows:
            await change(self.connection, number, True)
        self.stayed, self.ever = set(rows), set(rows)

    async def let_happen(self) -> None:
        for comes, number in self.between.pop() if self.between else ():
            await change(self.connection, number, comes)
            if comes:
                self.ever.add(number)
            else:
                self.stayed.discard(number)

    async def fetch(self, wanted: Page) -> list[Row]:
        order = "day, label" if self.by_day else "number"
        return await page(self.connection, "number", "row", "number >= $1 OR day < $1", (0,), order, wanted)

    def key(self, number: int) -> int | tuple[int, str]:
        return (number // 7, f"{number:02}") if self.by_day else number

    def check(self, seen: list[int], *, rising: bool) -> None:
        assert seen == sorted(set(seen), reverse=not rising), "each once, in order"
        assert self.stayed <= set(seen) <= self.ever


@given(
    rows=st.frozensets(NUMBERS),
    between=st.lists(_changes, max_size=12),
    limit=st.integers(1, 5),
    descending=st.booleans(),
    by_day=st.booleans(),
    inclusive=st.booleans(),
)
def test_pages_forward_and_back_again(
    shelf: Shelf, rows: Keys, between: list[Changes], limit: int, descending: bool, by_day: bool, inclusive: bool
) -> None:
    async def walk() -> None:
        async with shelf.database.transaction() as connection:
            walk = Walk(connection, by_day, list(between))
            await walk.fill(rows)
            for backward in (False, True):
                seen = await everything(walk, backward)
                walk.check(seen, rising=not descending)

    async def everything(walk: Walk, backward: bool) -> list[int]:
        seen: list[int] = []
        while True:
            wanted = Page(limit, descending=descending, backward=backward)
            if seen:
                end = walk.key(seen[0] if backward else seen[-1])
                # As 3.x asks: from the last one, inclusive, which is there again unless it has gone (realtime 9.2).
                wanted = Page(limit + inclusive, end, descending, backward, inclusive)
            got = [row[0] for row in await walk.fetch(wanted)]
            assert len(got) <= limit + inclusive
            new = [number for number in got if number not in seen]
            if not new:
                return seen
            seen = [*new, *seen] if backward else [*seen, *new]
            await walk.let_happen()

    shelf.run(walk())


@given(
    rows=st.frozensets(NUMBERS),
    between=st.lists(_changes, max_size=20),
    limit=st.integers(1, 5),
    descending=st.booleans(),
)
def test_windows_know_whether_there_is_more(
    shelf: Shelf, rows: Keys, between: list[Changes], limit: int, descending: bool
) -> None:
    async def walk() -> None:
        async with shelf.database.transaction() as connection:
            walk = Walk(connection, False, list(between))
            await walk.fill(rows)

            async def fetch(wanted: Page) -> list[tuple[int, int]]:
                return [(row[0], row[0]) for row in await walk.fetch(wanted)]

            async def present() -> list[int]:
                return [row[0] for row in await walk.fetch(Page(100, descending=descending))]

            for backward in (False, True):
                seen: list[int] = []
                start: Cut[int] | None = None
                while True:
                    shown = await window(fetch, limit, start, descending=descending, backward=backward)
                    there = await present()
                    if shown.rows:
                        at = there.index(shown.rows[0])
                        assert there[at : at + len(shown.rows)] == shown.rows
                        assert (shown.previous is None) == (at == 0)
                        assert (shown.next is None) == (at + len(shown.rows) == len(there))
                    seen = [*shown.rows, *seen] if backward else [*seen, *shown.rows]
                    onward = shown.previous if backward else shown.next
                    if onward is None:
                        break
                    start = onward
                    await walk.let_happen()
                walk.check(seen, rising=not descending)

    shelf.run(walk())


@given(st.lists(st.text(max_size=3), min_size=1, max_size=300))
def test_padding_adds_nothing_and_leaves_few_statements(values: list[str]) -> None:
    full = padded(values)
    assert set(full) == set(values)
    assert full[: len(values)] == tuple(values)
    assert len(full) in (4, 16, 64, 256, 1024)
    assert placeholders(len(values), first=3).split(", ") == [f"${n}" for n in range(3, 3 + len(full))]
