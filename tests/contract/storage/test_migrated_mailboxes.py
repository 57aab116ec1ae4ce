"""What was kept before mailboxes had one spelling has one afterwards."""

from __future__ import annotations

from typing import Any

from tertulia.server.storage.database import Database
from tertulia.server.storage.migrate import load, migrate

CHANNELS = 13


async def rows(database: Database, statement: str) -> list[tuple[Any, ...]]:
    async with database.snapshot() as connection:
        return [tuple(row) for row in await connection.rows(statement)]


async def insert(database: Database, table: str, **values: Any) -> None:
    """A row with these values; what has to be there besides is empty."""
    columns = await rows(database, f"SELECT name, type FROM pragma_table_info('{table}') WHERE \"notnull\" = 1")
    empty = {name: 0 if kind in ("BIGINT", "INTEGER", "BOOLEAN") else "" for name, kind in columns}
    given = {**empty, **values}
    names, marks = ", ".join(f'"{name}"' for name in given), ", ".join(f"${n}" for n in range(1, len(given) + 1))
    async with database.transaction() as connection:
        await connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", *given.values())


async def test_mailboxes_of_before_are_in_lower_case(database: Database) -> None:
    migrations = load()
    await migrate(database, [one for one in migrations if one.number < CHANNELS])
    people = [
        ("MB1", "Anna@X.org", "Desk@X.org", 1),
        ("MB2", "anna@x.org", "desk@x.org", 1),
        ("MB3", "Ben@X.org", "desk@x.org", 1),
        ("MB4", "messenger:Ben@X", None, None),
        ("MB5", "+12025550101", "+12025550100", 1),
    ]
    for sid, address, proxy, holds in people:
        await insert(database, "participants", sid=sid, address=address, proxy_address=proxy, holds_pair=holds)
    await insert(database, "conversations", sid="CH1", email_address="Desk@X.org")
    for sid, address in (("IG1", "Shop@X.org"), ("IG2", "Desk@X.org"), ("IG3", "desk@x.org"), ("IG4", "gbm:A@b")):
        await insert(database, "address_configurations", sid=sid, account_sid="AC1", address=address)

    await migrate(database, migrations)

    assert await rows(database, "SELECT sid, address, proxy_address, holds_pair FROM participants ORDER BY sid") == [
        ("MB1", "anna@x.org", "desk@x.org", 1),
        ("MB2", "anna@x.org", "desk@x.org", None),
        ("MB3", "ben@x.org", "desk@x.org", 1),
        *people[3:],
    ]
    assert await rows(database, "SELECT email_address FROM conversations") == [("desk@x.org",)]
    configured = await rows(database, "SELECT address FROM address_configurations ORDER BY sid")
    assert configured == [("shop@x.org",), ("Desk@X.org",), ("desk@x.org",), ("gbm:A@b",)]
