"""Plain rows for plain entities: a table whose columns are the fields of a struct, in their order.

Texts, numbers, bytes and ``None`` are stored as they are, booleans as the database keeps them, enumerations by value,
everything else as JSON text. An entity of plain fields is built from a row by position, without a line of Python per
field.

SQL is composed from names in our code, once per shape of a query; values are always parameters. Names are quoted, so
a field may be called ``index``. Queries beyond these belong to the entity's own module, with ``columns`` and
``entities`` of its table.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Sequence
from itertools import compress, starmap
from operator import itemgetter, ne
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import inspect
from msgspec.structs import astuple

from .database import Connection, Row, StatementFailed

E = TypeVar("E", bound=msgspec.Struct)
Change = Callable[[Any], Any]
_Update = tuple[str, Callable[[Row], tuple[Any, ...]]]
"""The statement, and what takes its parameters from a row."""

_PLAIN = (
    inspect.StrType,
    inspect.IntType,
    inspect.FloatType,
    inspect.BytesType,
    inspect.LiteralType,
    inspect.NoneType,
)


class Table(Generic[E]):
    """The rows of one entity.

    ``key`` names the columns of the primary key, in its order. The schema itself is in the migrations.
    """

    def __init__(self, entity: type[E], name: str, *, key: str | tuple[str, ...] = "sid") -> None:
        self._entity = entity
        self._name = name
        self._key = (key,) if isinstance(key, str) else key
        fields = msgspec.structs.fields(entity)
        self._names = tuple(field.name for field in fields)
        if unknown := set(self._key).difference(self._names):
            raise TypeError(f"{entity.__name__} has no field {', '.join(sorted(unknown))}")
        codecs = {field.name: _codec(field.type) for field in fields}
        self._changed = [(at, *codec) for at, name in enumerate(self._names) if (codec := codecs[name]) is not None]
        self._key_at = tuple(self._names.index(name) for name in self._key)
        self._beside_key = tuple(at for at in range(len(fields)) if at not in self._key_at)

        self.columns = ", ".join(map(_quoted, self._names))
        """For the ``SELECT`` list of a named query, in the order ``entity`` expects."""
        self.width = len(fields)
        """How many columns; a joined row begins with that many of ours."""
        table = _quoted(name)
        mine = " AND ".join(f"{_quoted(column)} = ${number}" for number, column in enumerate(self._key, 1))
        values = ", ".join(f"${number}" for number in range(1, len(fields) + 1))
        self._select = f"SELECT {self.columns} FROM {table}"
        self._insert = f"INSERT INTO {table} ({self.columns}) VALUES ({values})"
        self._get = f"{self._select} WHERE {mine}"
        self._delete = f"DELETE FROM {table} WHERE {mine}"
        self._updates: dict[tuple[int, ...], _Update] = {}

    # -- rows and entities --------------------------------------------------------------------------------------------

    def qualified(self, alias: str) -> str:
        """``columns`` of the table under this alias, for joins."""
        return ", ".join(f"{alias}.{_quoted(name)}" for name in self._names)

    def entity(self, row: Row) -> E:
        """The entity a row of ``columns`` stands for."""
        if not self._changed:
            return self._entity(*row)
        values = list(row)
        for at, _, decode in self._changed:
            values[at] = decode(values[at])
        return self._entity(*values)

    def entities(self, rows: Sequence[Row]) -> list[E]:
        """The entities of many rows; by column, so that thousands cost no Python per field."""
        if not self._changed or not rows:
            return list(starmap(self._entity, rows))
        columns: list[Iterable[Any]] = list(zip(*rows, strict=True))
        for at, _, decode in self._changed:
            columns[at] = map(decode, columns[at])
        return list(map(self._entity, *columns))

    def row_of(self, entity: E) -> Row:
        """The row to store, in the order of ``columns``."""
        if not self._changed:
            return astuple(entity)
        values = list(astuple(entity))
        for at, encode, _ in self._changed:
            values[at] = encode(values[at])
        return tuple(values)

    # -- one row ------------------------------------------------------------------------------------------------------

    async def add(self, connection: Connection, entity: E) -> None:
        """A new row. Raises ``UniqueViolation``."""
        await connection.execute(self._insert, *self.row_of(entity))

    async def add_many(self, connection: Connection, entities: Iterable[E]) -> None:
        """New rows, as one statement. Raises ``UniqueViolation``."""
        await connection.execute_many(self._insert, [self.row_of(entity) for entity in entities])

    async def save(self, connection: Connection, entity: E, before: E | None = None) -> None:
        """The row with this key holds the entity: every column, or with ``before`` those that differ from it.

        Raises ``StatementFailed`` when there is no such row, and ``UniqueViolation``.
        """
        row = self.row_of(entity)
        if before is None:
            places = self._beside_key
        else:
            places = tuple(compress(range(self.width), map(ne, row, self.row_of(before))))
        if not places:
            return
        sql, parameters = self._updates.get(places) or self._compose_update(places)
        if not await connection.execute(sql, *parameters(row)):
            raise StatementFailed(f"{self._name} has no row for the {self._entity.__name__} to save")

    def _compose_update(self, places: tuple[int, ...]) -> _Update:
        if not set(places).isdisjoint(self._key_at):
            raise StatementFailed(f"{self._name}: a key does not change")
        columns = (*places, *self._key_at)
        terms = [f"{_quoted(self._names[at])} = ${number}" for number, at in enumerate(columns, 1)]
        change, mine = ", ".join(terms[: len(places)]), " AND ".join(terms[len(places) :])
        sql = f"UPDATE {_quoted(self._name)} SET {change} WHERE {mine}"
        update = self._updates[places] = (sql, itemgetter(*columns))
        return update

    async def get(self, connection: Connection, *key: Any) -> E | None:
        """The entity with this key."""
        row = await connection.row(self._get, *key)
        return None if row is None else self.entity(row)

    async def remove(self, connection: Connection, *key: Any) -> bool:
        """Whether there was a row with this key; there is none any more."""
        return await connection.execute(self._delete, *key) > 0


def _quoted(name: str) -> str:
    return f'"{name}"'


def _codec(type_: Any) -> tuple[Change, Change] | None:
    """How a field of this type becomes a column's value and back; ``None``: it is one already."""
    info = inspect.type_info(type_)
    kinds = info.types if isinstance(info, inspect.UnionType) else (info,)
    if all(isinstance(kind, _PLAIN) for kind in kinds):
        return None
    solid = [kind for kind in kinds if not isinstance(kind, inspect.NoneType)]
    codec = _codec_of_one(solid[0]) if len(solid) == 1 else None
    encode, decode = codec or (_to_json, msgspec.json.Decoder(type_).decode)
    if len(solid) < len(kinds):
        return _optional(encode), _optional(decode)
    return encode, decode


def _codec_of_one(kind: inspect.Type) -> tuple[Change, Change] | None:
    if isinstance(kind, inspect.BoolType):
        return bool, bool  # PostgreSQL insists on one, SQLite makes it 1 or 0
    if isinstance(kind, inspect.EnumType):
        return _value_of, {member.value: member for member in kind.cls}.__getitem__
    return None


def _value_of(member: enum.Enum) -> Any:
    return member.value


def _to_json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _optional(change: Change) -> Change:
    def changed(value: Any) -> Any:
        return None if value is None else change(value)

    return changed
