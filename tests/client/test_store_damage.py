"""Files that are damaged inside: whatever stands in them, a client starts, and loses no more than it must."""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
from pathlib import Path

import pytest

from tertulia.client.errors import StoreError
from tertulia.client.sqlite_store import SqliteStore
from tertulia.client.store import OutboxRow
from tertulia.client.sync import Kind, StoredItem, StoredObject

URL = "https://chat.example"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "chat.db"


def an_object(kind: Kind, last: int = 7) -> StoredObject:
    data = b"{}" if kind is Kind.DOCUMENT else None
    return StoredObject(f"a {kind}", kind, f"SID of the {kind}", f"{URL}/items", last, data, "then")


async def filled(path: Path, *, items: int = 3) -> None:
    """A document, a map and a list, two messages that wait with a file each, and a fact."""
    store = SqliteStore(path)
    await store.open(URL, "alice")
    for kind in Kind:
        store.save(an_object(kind))
    for number in range(items):
        store.save_item("a map", StoredItem(f"key {number}", number, b"{}", "then"))
        store.save_item("a list", StoredItem(number, number, b"{}", "then"))
    store.remember("fact", b"true")
    for number in range(2):
        await store.add(OutboxRow(f"waiting {number}", number, b"{}"), [b"file"])
    await store.close()


async def spoiled(path: Path, statement: str) -> SqliteStore:
    """A store in whose file something was changed, opened."""
    await filled(path)
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(statement)
    connection.close()
    store = SqliteStore(path)
    await store.open(URL, "alice")
    return store


@pytest.mark.parametrize(
    "change",
    [
        "kind = 'tree'",
        "kind = 1",
        "sid = x'ff'",
        "sid = CAST(x'ff' AS TEXT)",
        "last_event_id = 'x'",
        "last_event_id = NULL",
        "last_event_id = 1.5",
        "last_event_id = 9223372036854775807",
        "items_url = x'00'",
        "data = 'text'",
        "at = x'00'",
        "at = CAST(x'ff' AS TEXT)",
        "seen_at = 'x'",
        "seen_at = x'00'",
    ],
)
async def test_an_object_that_makes_no_sense_is_not_told(path: Path, change: str) -> None:
    store = await spoiled(path, f"UPDATE objects SET {change} WHERE name = 'a map'")
    assert store.load("a map") is None
    assert store.load("a list") is not None
    # It is read anew, and takes its place.
    store.save(an_object(Kind.MAP, last=8))
    found = store.load("a map")
    assert found is not None and found[0].last_event_id == 8
    await store.close()


@pytest.mark.parametrize(
    "change",
    [
        "key = 'abc' WHERE key = 1",
        "key = x'00' WHERE key = 1",
        "key = 1 WHERE key = 'key 1'",
        "key = 1.5 WHERE key IN (1, 'key 1')",
        "number = 'x'",
        "number = 9223372036854775807",
        "data = 'text'",
        "at = x'00'",
    ],
)
async def test_an_object_with_an_item_that_makes_no_sense_is_not_told(path: Path, change: str) -> None:
    store = await spoiled(path, f"UPDATE items SET {change}")
    assert None in (store.load("a map"), store.load("a list"))
    assert store.load("a document") is not None
    await store.close()


@pytest.mark.parametrize("change", ["content = 'text'", "place = 'x'", "id = CAST(x'ff' AS TEXT)"])
async def test_a_waiting_message_that_makes_no_sense_hides_no_other(path: Path, change: str) -> None:
    store = await spoiled(path, f"UPDATE outbox SET {change} WHERE id = 'waiting 0'")
    assert [row.id for row in store.rows()] == ["waiting 1"]
    await store.close()
    connection = sqlite3.connect(path)
    # It stays where it is, for whoever can make sense of it.
    assert connection.execute("SELECT count(*) FROM outbox").fetchone() == (2,)
    connection.close()


async def test_facts_and_files_that_are_none_are_not_there(path: Path) -> None:
    for value in ("'text'", "7", "x''", "x'00'", "replace(value, 'true', 'trut')"):
        store = await spoiled(path, f"UPDATE facts SET value = CAST({value} AS BLOB)")
        assert store.recall("fact") is None
        store.remember("fact", b"")
        assert store.recall("fact") == b""
        await store.close()
        os.unlink(path)
    store = await spoiled(path, "UPDATE outbox_files SET data = 7")
    with pytest.raises(StoreError):
        await store.file("waiting 0", 0)
    await store.close()


@pytest.mark.parametrize("name", ["x'ff'", "CAST(x'ff' AS TEXT)", "7"])
async def test_a_login_that_makes_no_sense_is_nobodys(path: Path, name: str) -> None:
    await (await spoiled(path, f"UPDATE scopes SET identity = {name}")).close()
    store = SqliteStore(path)
    assert await store.open(URL) in ("alice", "7")
    await store.close()
    os.unlink(path)
    await filled(path)
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(f"UPDATE scopes SET identity = {name}")
    connection.close()
    assert await store.open(URL) in (None, "7")
    await store.close()


async def test_a_client_that_starts_from_any_damage_has_a_store(path: Path, tmp_path: Path) -> None:
    """Whichever bytes are wrong: it opens, with what is left or anew, and takes what it is told."""
    await filled(path, items=100)
    good = await asyncio.to_thread(path.read_bytes)
    chance = random.Random(7)
    aside = 0
    for number in range(60):
        damaged = bytearray(good)
        for _ in range(chance.choice((1, 3, 20, 200))):
            damaged[chance.randrange(100, len(damaged))] = chance.randrange(256)
        folder = tmp_path / f"{number}"
        folder.mkdir()
        place = folder / "chat.db"
        await asyncio.to_thread(place.write_bytes, bytes(damaged))
        store = SqliteStore(place)
        assert await store.open(URL, "alice") == "alice"
        for kind in Kind:
            store.load(f"a {kind}")
        store.rows()
        store.recall("fact")
        await store.close()
        aside += any("aside" in file.name for file in folder.iterdir())
    assert 0 < aside < 60


async def test_when_one_batch_cannot_be_written_no_later_one_is(path: Path) -> None:
    """What is on the disk stays a true state of some time ago: positions never run ahead of what they stand for."""
    store = SqliteStore(path)
    await store.open(URL, "alice")
    store.save(an_object(Kind.MAP))
    assert store.load("a map") is not None
    store.save_item("a map", StoredItem("honest", 8, b"{}", "then"))
    store.save_item("a map", StoredItem("too large", 2**70, b"{}", "then"))
    await asyncio.sleep(0)
    assert store.load("a map") is not None
    store.save(an_object(Kind.MAP, last=9))
    await store.close()
    store = SqliteStore(path)
    await store.open(URL, "alice")
    found = store.load("a map")
    assert found is not None and (found[0].last_event_id, list(found[1])) == (7, [])
    await store.close()
