"""Pages by key, never by offset: rows that come or go meanwhile shift nothing (architecture 8)."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from .database import Connection, Row


class Page(msgspec.Struct, frozen=True):
    """What part of an ordered listing is wanted.

    ``after`` is the key of the row before the part, in the direction of reading; ``None`` starts at the beginning.
    With ``inclusive`` that row belongs to the part. With ``backward`` the part lies *before* that key, and is still
    answered in the listing's order.
    """

    limit: int
    after: str | int | tuple[int, str] | None = None
    descending: bool = False
    backward: bool = False
    inclusive: bool = False


async def page(
    connection: Connection,
    columns: str,
    source: str,
    where: str,
    parameters: tuple[object, ...],
    key: str,
    wanted: Page,
) -> list[Row]:
    """At most ``wanted.limit`` rows. ``columns``, ``source``, ``where`` and ``key`` are constants of our own.

    ``key`` is one column, or two joined by a comma; then ``after`` is a pair.
    """
    down = wanted.descending != wanted.backward
    order = "DESC" if down else "ASC"
    columns_of_key = [part.strip() for part in key.split(",")]
    if wanted.after is not None:
        keys = wanted.after if isinstance(wanted.after, tuple) else (wanted.after,)
        first = len(parameters) + 1
        marks = ", ".join(f"${n}" for n in range(first, first + len(keys)))
        compared = ("<" if down else ">") + ("=" if wanted.inclusive else "")
        where = f"({where}) AND ({', '.join(columns_of_key)}) {compared} ({marks})"
        parameters = (*parameters, *keys)
    ordering = ", ".join(f"{column} {order}" for column in columns_of_key)
    sql = f"SELECT {columns} FROM {source} WHERE {where} ORDER BY {ordering} LIMIT ${len(parameters) + 1}"
    rows = await connection.rows(sql, *parameters, wanted.limit)
    return rows[::-1] if wanted.backward else rows


def padded(values: Sequence[str]) -> tuple[str, ...]:
    """The values, the last one repeated up to the next of a few sizes, so that statements can be prepared once."""
    size = 4
    while size < len(values):
        size *= 4
    return (*values, *(values[-1],) * (size - len(values)))


def placeholders(count: int, *, first: int) -> str:
    """The marks for ``padded`` values of this count."""
    size = len(padded(("",) * count))
    return ", ".join(f"${number}" for number in range(first, first + size))
