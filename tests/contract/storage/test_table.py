"""A table gives back the entity it was given, and changes what it was told to."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tertulia.server.storage.database import Connection, Database, StatementFailed, UniqueViolation
from tertulia.server.storage.table import Table


class Plain(msgspec.Struct, frozen=True):
    owner: str
    index: int
    size: float
    text: str | None


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Part(msgspec.Struct, frozen=True):
    name: str
    weights: tuple[int, ...] = ()


class Rich(msgspec.Struct, frozen=True):
    sid: str
    is_open: bool
    is_known: bool | None
    colour: Colour
    other: Colour | None
    tags: tuple[str, ...]
    part: Part | None
    anything: dict[str, Any]
    kind: Literal["a", "b"]


PLAIN = Table(Plain, "plain", key=("owner", "index"))
RICH = Table(Rich, "rich")
SCHEMA = """
CREATE TABLE plain (owner TEXT, "index" BIGINT, size DOUBLE PRECISION, text TEXT, PRIMARY KEY (owner, "index"));
CREATE TABLE rich (sid TEXT PRIMARY KEY, is_open BOOLEAN, is_known BOOLEAN, colour TEXT, other TEXT, tags TEXT,
    part TEXT, anything TEXT, kind TEXT);
"""

richest = Rich("a", True, False, Colour.RED, Colour.BLUE, ("x", "y"), Part("p", (1, 2)), {"k": [1, None]}, "b")
poorest = Rich("b", False, None, Colour.BLUE, None, (), None, {}, "a")


@pytest.fixture
async def tables(database: Database) -> Database:
    async with database.transaction() as connection:
        await connection.script(SCHEMA)
    return database


async def everything(connection: Connection, table: Table[Any], name: str) -> list[Any]:
    return table.entities(await connection.rows(f"SELECT {table.columns} FROM {name} ORDER BY 1, 2"))


def plain(owner: str, index: int, text: str | None = None) -> Plain:
    return Plain(owner, index, index / 2, text)


async def test_what_was_added_is_found_by_its_key(tables: Database) -> None:
    async with tables.transaction() as connection:
        await PLAIN.add(connection, plain("a", 1, "x"))
        assert await PLAIN.get(connection, "a", 1) == plain("a", 1, "x")
        assert await PLAIN.get(connection, "a", 2) is None


@pytest.mark.parametrize("entity", [richest, poorest])
async def test_every_kind_of_field_comes_back_as_it_was(tables: Database, entity: Rich) -> None:
    async with tables.transaction() as connection:
        await RICH.add(connection, entity)
        found = await RICH.get(connection, entity.sid)
    assert found == entity
    assert type(found.is_open) is bool
    assert type(found.colour) is Colour


async def test_many_rows_come_back_as_they_were(tables: Database) -> None:
    async with tables.transaction() as connection:
        await RICH.add_many(connection, [richest, poorest])
        assert await everything(connection, RICH, "rich") == [richest, poorest]
        assert RICH.entities(await connection.rows(f"SELECT {RICH.columns} FROM rich WHERE false")) == []


async def test_adding_many_is_one_statement(tables: Database) -> None:
    before = tables.statements
    async with tables.transaction() as connection:
        await PLAIN.add_many(connection, [plain("a", index) for index in range(1000)])
    assert tables.statements - before == 1


async def test_adding_what_exists_is_a_unique_violation(tables: Database) -> None:
    async with tables.transaction() as connection:
        await PLAIN.add(connection, plain("a", 1))
    with pytest.raises(UniqueViolation) as caught:
        async with tables.transaction() as connection:
            await PLAIN.add(connection, plain("a", 1))
    assert (caught.value.table, caught.value.columns) == ("plain", ("owner", "index"))


async def test_saving_writes_every_column_of_that_row_alone(tables: Database) -> None:
    changed = Plain("a", 1, 9.5, "new")
    async with tables.transaction() as connection:
        await PLAIN.add_many(connection, [plain("a", 1), plain("a", 2)])
        await PLAIN.save(connection, changed)
        assert await everything(connection, PLAIN, "plain") == [changed, plain("a", 2)]


async def test_saving_against_an_earlier_value_writes_only_what_differs(tables: Database) -> None:
    before = plain("a", 1, "old")
    async with tables.transaction() as connection:
        await PLAIN.add(connection, before)
        await connection.execute("UPDATE plain SET size = 7.0")
        await PLAIN.save(connection, plain("a", 1, "new"), before)
        assert await PLAIN.get(connection, "a", 1) == Plain("a", 1, 7.0, "new")


async def test_saving_what_did_not_change_is_no_statement(tables: Database) -> None:
    async with tables.transaction() as connection:
        await PLAIN.add(connection, plain("a", 1))
        before = tables.statements
        await PLAIN.save(connection, plain("a", 1), plain("a", 1))
        assert tables.statements == before


async def test_saving_what_is_not_there_is_our_fault(tables: Database) -> None:
    with pytest.raises(StatementFailed):
        async with tables.transaction() as connection:
            await PLAIN.save(connection, plain("a", 1))


async def test_a_key_does_not_change(tables: Database) -> None:
    with pytest.raises(StatementFailed):
        async with tables.transaction() as connection:
            await PLAIN.save(connection, plain("a", 2), plain("a", 1))


async def test_removing_tells_whether_there_was_one(tables: Database) -> None:
    async with tables.transaction() as connection:
        await PLAIN.add(connection, plain("a", 1))
        assert await PLAIN.remove(connection, "a", 1) is True
        assert await PLAIN.remove(connection, "a", 1) is False


async def test_joins_take_the_columns_under_an_alias(tables: Database) -> None:
    async with tables.transaction() as connection:
        await PLAIN.add_many(connection, [plain("a", 1), plain("a", 2)])
        row = await connection.row(
            f"SELECT {PLAIN.qualified('p')} FROM plain AS p JOIN plain AS q ON p.owner = q.owner AND p.size > q.size"
        )
    assert row is not None
    assert PLAIN.entity(row) == plain("a", 2)


def test_a_field_that_is_not_there_is_refused() -> None:
    with pytest.raises(TypeError):
        Table(Plain, "plain", key="sid")


parts = st.builds(Part, st.text(), st.lists(st.integers()).map(tuple))


@given(
    st.builds(
        Rich,
        sid=st.text(),
        is_open=st.booleans(),
        is_known=st.none() | st.booleans(),
        colour=st.sampled_from(Colour),
        other=st.none() | st.sampled_from(Colour),
        tags=st.lists(st.text()).map(tuple),
        part=st.none() | parts,
        anything=st.dictionaries(st.text(), st.integers(-(2**53), 2**53) | st.text() | st.none()),
        kind=st.sampled_from(["a", "b"]),
    )
)
def test_an_entity_survives_being_a_row(entity: Rich) -> None:
    row = RICH.row_of(entity)
    assert RICH.entity(row) == entity
    assert RICH.entities([row, row]) == [entity, entity]
