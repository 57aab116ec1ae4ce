"""The SQLite store: what was told is there again, whatever happens in between."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from tertulia.client import sqlite_rows, sqlite_thread
from tertulia.client.errors import StoreError, StoreInUseError
from tertulia.client.sqlite_store import SqliteStore
from tertulia.client.store import OutboxRow
from tertulia.client.sync import Kind, StoredItem, StoredObject

URL = "https://chat.example"
DAY_S = 86_400


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "chat.db"


async def opened(store: SqliteStore, identity: str | None = "alice", url: str = URL) -> SqliteStore:
    assert await store.open(url, identity) is not None
    return store


def a_map(name: str = "my.conversations", last_event_id: int = 7, sid: str = "MP1") -> StoredObject:
    return StoredObject(
        name=name,
        kind=Kind.MAP,
        sid=sid,
        items_url="https://chat.example/items",
        last_event_id=last_event_id,
        data=None,
        at="2026-01-02T03:04:05.678Z",
    )


def a_list(name: str = "CH1.messages", last_event_id: int = 7) -> StoredObject:
    return StoredObject(
        name=name,
        kind=Kind.LIST,
        sid="ES1",
        items_url="https://chat.example/items",
        last_event_id=last_event_id,
        data=None,
        at="2026-01-02T03:04:05.678Z",
    )


def item(key: str | int, number: int = 1, data: bytes = b'{"a":1}') -> StoredItem:
    return StoredItem(key=key, number=number, data=data, at="2026-01-02T03:04:05.678Z")


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("tertulia-store")]


# --- what is kept


async def test_what_was_told_is_there_after_a_restart(path: Path) -> None:
    document = StoredObject(
        name="CH1.channel",
        kind=Kind.DOCUMENT,
        sid="ET1",
        items_url=None,
        last_event_id=3,
        data=b'{"sid":"CH1"}',
        at="2026-01-02T03:04:05.678Z",
    )
    kept = await opened(SqliteStore(path))
    kept.save(document)
    kept.save(a_map())
    kept.save_item("my.conversations", item("CH2", 6))
    kept.save_item("my.conversations", item("CH1", 7))
    kept.remember("configuration", b"{}")
    await kept.close()

    again = await opened(SqliteStore(path))
    assert again.load("CH1.channel") == (document, [])
    assert again.load("my.conversations") == (a_map(), [item("CH1", 7), item("CH2", 6)])
    assert again.recall("configuration") == b"{}"
    assert again.load("CH9.channel") is None and again.recall("nothing") is None
    await again.close()


async def test_what_was_told_can_be_read_at_once(path: Path) -> None:
    kept = await opened(SqliteStore(path))
    kept.save(a_list())
    kept.save_item("CH1.messages", item(3))
    kept.remember("configuration", b"{}")
    assert kept.load("CH1.messages") == (a_list(), [item(3)])
    assert kept.recall("configuration") == b"{}"
    await kept.close()


async def test_the_newer_word_counts(path: Path) -> None:
    kept = await opened(SqliteStore(path))
    kept.save(a_list(last_event_id=7))
    kept.save_item("CH1.messages", item(3, 6))
    kept.save_item("CH1.messages", item(4, 7))
    kept.save(a_list(last_event_id=9))
    kept.save_item("CH1.messages", item(3, 8, b"{}"))
    kept.remove_item("CH1.messages", 4)
    kept.remember("fact", b"1")
    kept.remember("fact", b"2")
    await kept.close()

    again = await opened(SqliteStore(path))
    assert again.load("CH1.messages") == (a_list(last_event_id=9), [item(3, 8, b"{}")])
    assert again.recall("fact") == b"2"
    await again.close()


async def test_a_forgotten_object_is_gone_with_its_items(path: Path) -> None:
    kept = await opened(SqliteStore(path))
    kept.save(a_list())
    kept.save_item("CH1.messages", item(3))
    kept.forget("CH1.messages")
    assert kept.load("CH1.messages") is None
    kept.save(a_list())
    assert kept.load("CH1.messages") == (a_list(), [])
    await kept.close()


async def test_an_object_made_anew_under_its_name_has_none_of_the_old_items(path: Path) -> None:
    kept = await opened(SqliteStore(path))
    kept.save(a_map(sid="MP1"))
    kept.save_item("my.conversations", item("CH1"))
    kept.save(a_map(sid="MP2"))
    assert kept.load("my.conversations") == (a_map(sid="MP2"), [])
    await kept.close()


async def test_items_of_an_unknown_object_are_not_kept(path: Path) -> None:
    kept = await opened(SqliteStore(path))
    kept.save_item("CH1.messages", item(3))
    assert kept.load("CH1.messages") is None
    await kept.close()


async def test_the_newest_messages_stay(path: Path) -> None:
    kept = await opened(SqliteStore(path, max_messages=3))
    kept.save(a_list())
    for index in (10, 2, 9, 11, 100):
        kept.save_item("CH1.messages", item(index))
    await kept.close()

    again = await opened(SqliteStore(path, max_messages=3))
    found = again.load("CH1.messages")
    assert found is not None and [each.key for each in found[1]] == [10, 11, 100]
    await again.close()


async def test_participants_are_not_counted(path: Path) -> None:
    kept = await opened(SqliteStore(path, max_messages=1))
    kept.save(a_map())
    for key in ("MB1", "MB2", "MB3"):
        kept.save_item("my.conversations", item(key))
    found = kept.load("my.conversations")
    assert found is not None and len(found[1]) == 3
    await kept.close()


async def test_each_user_of_each_server_has_a_part_of_his_own(path: Path) -> None:
    store = SqliteStore(path)
    users = (("alice", URL), ("bob", URL), ("alice", "https://other.example"))
    for number, (identity, url) in enumerate(users):
        await opened(store, identity, url)
        assert store.load("my.conversations") is None and store.rows() == []
        store.save(a_map(last_event_id=number))
        await store.add(OutboxRow(str(number), 1, b""))
    for number, (identity, url) in enumerate(users):
        await opened(store, identity, url)
        assert store.load("my.conversations") == (a_map(last_event_id=number), [])
        assert [row.id for row in store.rows()] == [str(number)]
    await store.close()


async def test_opening_it_again_for_the_same_user_changes_nothing(path: Path) -> None:
    store = await opened(SqliteStore(path))
    store.save(a_map())
    assert await store.open(URL + "/", "alice") == "alice"
    assert store.load("my.conversations") == (a_map(), [])
    await store.close()


async def test_a_client_that_does_not_know_who_it_is_gets_the_last_login(path: Path) -> None:
    store = SqliteStore(path)
    assert await store.open(URL) is None
    assert store.load("my.conversations") is None
    for identity in ("alice", "bob", "alice"):
        await opened(store, identity)
    await opened(store, "carol", "https://other.example")
    await store.close()
    assert await store.open(URL) == "alice"
    await store.close()


# --- old state


@pytest.mark.parametrize("days", [7, 30, -1])
async def test_objects_that_are_too_old_to_catch_up_from_are_not_told(path: Path, days: int) -> None:
    now = 1_800_000_000.0
    kept = await opened(SqliteStore(path, clock=lambda: now))
    kept.save(a_list())
    await kept.add(OutboxRow("1", 1, b"waits"))
    await kept.close()

    later = await opened(SqliteStore(path, clock=lambda: now + days * DAY_S))
    assert later.load("CH1.messages") is None
    assert later.rows() == [OutboxRow("1", 1, b"waits")]
    await later.close()


async def test_an_object_that_was_seen_since_is_as_young_as_that(path: Path) -> None:
    now = 1_800_000_000.0
    kept = await opened(SqliteStore(path, clock=lambda: now))
    kept.save(a_list())
    kept.save_item("CH1.messages", item(3))
    now += 6 * DAY_S
    kept.seen("CH1.messages")
    kept.seen("CH2.messages")
    await kept.close()
    now += 6 * DAY_S
    later = await opened(SqliteStore(path, clock=lambda: now))
    assert later.load("CH1.messages") == (a_list(), [item(3)])
    assert later.load("CH2.messages") is None
    await later.close()


async def test_objects_of_some_days_ago_are_told(path: Path) -> None:
    now = 1_800_000_000.0
    kept = await opened(SqliteStore(path, clock=lambda: now))
    kept.save(a_list())
    await kept.close()
    later = await opened(SqliteStore(path, clock=lambda: now + 6 * DAY_S))
    assert later.load("CH1.messages") is not None
    await later.close()


# --- messages that wait


async def test_messages_that_wait_are_kept_in_order_with_their_files(path: Path) -> None:
    kept = await opened(SqliteStore(path))
    await kept.add(OutboxRow("b", 1, b"first"), [b"file 0", b"file 1"])
    await kept.add(OutboxRow("a", 2, b"second"))
    await kept.add(OutboxRow("c", 3, b"third"), [b"gone"])
    await kept.change(OutboxRow("b", 1, b"first, changed"))
    await kept.change(OutboxRow("a", 2, b"second, changed"))
    await kept.remove("c", ("newest", b"3"))
    await kept.close()

    again = await opened(SqliteStore(path))
    assert again.rows() == [OutboxRow("b", 1, b"first, changed"), OutboxRow("a", 2, b"second, changed")]
    assert again.recall("newest") == b"3"
    assert [await again.file("b", number) for number in (0, 1)] == [b"file 0", b"file 1"]
    with pytest.raises(StoreError):
        await again.file("c", 0)
    await again.close()


async def test_a_message_is_kept_for_a_caller_who_is_cancelled(path: Path) -> None:
    kept = await opened(SqliteStore(path))
    task = asyncio.ensure_future(kept.add(OutboxRow("a", 1, b"")))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [row.id for row in kept.rows()] == ["a"]
    await kept.close()


async def test_a_killed_process_loses_no_message_and_no_half_of_anything(path: Path) -> None:
    program = dedent(
        """
        import asyncio, os, sys
        from tertulia.client.sqlite_store import SqliteStore
        from tertulia.client.store import OutboxRow
        from tertulia.client.sync import Kind, StoredItem, StoredObject

        async def main():
            kept = SqliteStore(sys.argv[1])
            await kept.open("https://chat.example", "alice")
            number = 0
            while True:
                # Each time: an item, and the position that says it is there.
                for number in range(number + 1, number + 2000):
                    kept.save(StoredObject(name="m", kind=Kind.LIST, sid="ES1", items_url="u", last_event_id=number,
                                           data=None, at=""))
                    kept.save_item("m", StoredItem(key=number, number=number, data=b"{}", at=""))
                    if number % 100 == 0:
                        await asyncio.sleep(0)
                await kept.add(OutboxRow(str(number), number, b""))
                print(number, flush=True)

        asyncio.run(main())
        """
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, str(path), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    said = [int(await process.stdout.readline()) for _ in range(3)]
    process.kill()
    said += [int(line) for line in (await process.stdout.read()).split(b"\n") if line]
    await process.wait()
    kept = await opened(SqliteStore(path))
    rows = [int(row.id) for row in kept.rows()]
    assert rows[: len(said)] == said
    found = kept.load("m")
    assert found is not None and found[0].last_event_id == max(int(each.key) for each in found[1])
    assert found[0].last_event_id >= said[0]
    await kept.close()


# --- whose file it is


async def test_the_file_is_its_owners_alone(path: Path) -> None:
    os.close(os.open(path, os.O_CREAT, 0o644))
    kept = await opened(SqliteStore(path))
    await kept.add(OutboxRow("a", 1, b""))
    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}
    assert set(modes.values()) == {0o600}, modes
    await kept.close()


async def test_missing_folders_are_made(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "chat.db"
    await (await opened(SqliteStore(path))).close()
    assert path.exists() and stat.S_IMODE(path.parent.stat().st_mode) == 0o700


async def test_a_second_process_is_told_that_the_file_is_in_use(path: Path) -> None:
    kept = await opened(SqliteStore(path))
    program = dedent(
        """
        import asyncio, sys
        from tertulia.client.errors import StoreInUseError
        from tertulia.client.sqlite_store import SqliteStore
        try:
            asyncio.run(SqliteStore(sys.argv[1]).open("https://chat.example", "bob"))
        except StoreInUseError as error:
            print(error)
        """
    )
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", program, str(path)], capture_output=True, text=True, timeout=30
    )
    assert done.stdout == "the store 'chat.db' is in use by another process\n", done.stderr
    kept.save(a_map())
    await kept.close()
    assert list(path.parent.iterdir()) == [path]


async def test_a_second_client_of_the_same_process_is_refused(path: Path) -> None:
    first, second = await opened(SqliteStore(path)), SqliteStore(path)
    with pytest.raises(StoreInUseError):
        await second.open(URL, "bob")
    await first.close()
    await opened(second, "bob")
    await first.close()
    second.save(a_map())
    assert second.load("my.conversations") is not None
    await second.close()


async def test_a_second_client_with_the_same_store_is_refused(path: Path) -> None:
    store, ana, ben = SqliteStore(path), object(), object()
    await store.open(URL, owner=ana)
    assert await store.open(URL, "ana", owner=ana) == "ana"
    for identity in (None, "ana", "ben"):
        with pytest.raises(StoreInUseError):
            await store.open(URL, identity, owner=ben)
    await store.close(owner=ben)
    store.remember("whose", b"ana's")
    assert store.recall("whose") == b"ana's"
    await store.close(owner=ana)
    assert await store.open(URL, "ben", owner=ben) == "ben" and store.recall("whose") is None
    await store.close(owner=ben)


async def test_a_store_that_cannot_be_opened_is_nobodys(path: Path) -> None:
    first, second = await opened(SqliteStore(path)), SqliteStore(path)
    with pytest.raises(StoreInUseError):
        await second.open(URL, "ana", owner=object())
    await first.close()
    assert await second.open(URL, "ben", owner=object()) == "ben"
    await second.close()


# --- a disk that takes its time


class Slow(bytes):
    """Some bytes that take their time to be written."""

    def __conform__(self, protocol: object) -> bytes:
        time.sleep(0.15)
        return bytes(self)


@contextlib.contextmanager
def impatience() -> Iterator[None]:
    """Nobody waits for the disk inside."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite_thread, "PATIENCE_S", 0.03)
        yield


async def test_a_message_that_was_not_kept_in_time_is_not_kept_later(path: Path) -> None:
    store = await opened(SqliteStore(path))
    with impatience():
        with pytest.raises(StoreError):
            await store.add(OutboxRow("slow", 1, b""), [Slow(b"file")])
        with pytest.raises(StoreError):
            await store.add(OutboxRow("behind it", 2, b""))
    await store.add(OutboxRow("later", 3, b""))
    assert [row.id for row in store.rows()] == ["later"]
    await store.close()


async def test_what_the_disk_was_just_finishing_is_undone(path: Path) -> None:
    thread = sqlite_thread.StoreThread(path)
    await thread.begin()
    keep = sqlite_rows.PUT_ROW, (1, "a", 1, b"")
    drop = sqlite_rows.REMOVE_ROW, (1, "a")
    await thread.answer(
        lambda connection: connection.set_trace_callback(lambda sql: time.sleep(0.15 * (sql == "COMMIT")))
    )
    with impatience(), pytest.raises(StoreError):
        await thread.durably([keep], [drop])
    assert thread.ask(lambda connection: sqlite_rows.rows(connection, 1)) == []
    await thread.end()


async def test_a_disk_that_does_not_answer_does_not_hold_up_the_end(path: Path) -> None:
    store = await opened(SqliteStore(path))
    store.save(a_map())
    store.save_item("my.conversations", item("slow", data=Slow(b"1")))
    with impatience():
        await store.close()
    # It is still at it, and nobody waits.
    assert threads()
    with pytest.raises(StoreError):
        store.rows()
    async with asyncio.timeout(10):
        while threads():  # noqa: ASYNC110 (a thread has no event)
            await asyncio.sleep(0.005)
    found = (await opened(store)).load("my.conversations")
    assert found is not None and [each.data for each in found[1]] == [b"1"]
    await store.close()


async def test_the_thread_ends_when_the_store_is_closed(path: Path) -> None:
    store = SqliteStore(path)
    assert not threads()
    for _ in range(2):
        await opened(store)
        await opened(store, "bob")
        assert len(threads()) == 1
        await store.close()
        assert not threads()


async def test_a_closed_store_keeps_what_it_was_told_and_takes_nothing_more(path: Path) -> None:
    store = await opened(SqliteStore(path))
    store.save(a_map())
    await store.close()
    store.save(a_list())
    store.remember("fact", b"1")
    with pytest.raises(StoreError):
        await store.add(OutboxRow("a", 1, b""))
    assert store.load("my.conversations") is None and store.recall("fact") is None
    await opened(store)
    assert store.load("my.conversations") is not None and store.load("CH1.messages") is None
    await store.close()


async def test_a_logout_leaves_nothing_of_the_user(path: Path) -> None:
    store = SqliteStore(path)
    for identity in ("bob", "alice"):
        await opened(store, identity)
        store.save(a_list())
        store.save_item("CH1.messages", item(1, data=f'"secret of {identity}"'.encode()))
        store.remember("fact", b"1")
        await store.add(OutboxRow("a", 1, b"content"), [b"file"])
    await store.erase()
    store.save(a_map())
    await store.close()

    everything = b"".join(each.read_bytes() for each in path.parent.iterdir())
    assert b"secret of bob" in everything and b"secret of alice" not in everything
    await opened(store, "bob")
    found = store.load("CH1.messages")
    assert found is not None and len(found[1]) == 1 and store.recall("fact") == b"1" and len(store.rows()) == 1
    await opened(store, "alice")
    assert store.load("CH1.messages") is None and store.load("my.conversations") is None
    assert store.recall("fact") is None and store.rows() == []
    await store.close()


# --- files that cannot be used


def _content(path: Path) -> bytes:
    return path.read_bytes()


def _overwrite(path: Path, start: int) -> None:
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(start)
        file.write(b"\xff" * (size - start))


async def _begun(path: Path) -> None:
    await (await opened(SqliteStore(path))).close()


def _text(path: Path) -> None:
    path.write_bytes(b"no database at all\n" * 100)


def _of_another(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE precious (id)")
    connection.close()


def _newer(path: Path) -> None:
    asyncio.run(_begun(path))
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 2")
    connection.close()


def _cut_off(path: Path) -> None:
    asyncio.run(_begun(path))
    os.truncate(path, 4096)


def _without_a_table(path: Path) -> None:
    asyncio.run(_begun(path))
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE outbox")
    connection.close()


@pytest.mark.parametrize("spoil", [_text, _of_another, _newer, _cut_off, _without_a_table])
async def test_a_file_that_is_of_no_use_is_set_aside(
    path: Path, spoil: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    await asyncio.to_thread(spoil, path)
    before = _content(path)
    with caplog.at_level(logging.WARNING):
        kept = await opened(SqliteStore(path))
    [record] = caplog.records
    assert record.message.startswith("store.set_aside: ")
    kept.save(a_map())
    assert kept.load("my.conversations") is not None
    await kept.close()
    assert _content(path.with_name("chat.db.aside-1")) == before
    os.unlink(path)
    await asyncio.to_thread(spoil, path)
    await (await opened(SqliteStore(path))).close()
    assert path.with_name("chat.db.aside-2").exists()


async def test_a_file_that_breaks_while_it_is_used_is_set_aside_at_the_end(path: Path) -> None:
    kept = await opened(SqliteStore(path))
    kept.save(a_list())
    for index in range(900):
        kept.save_item("CH1.messages", item(index, data=b"x" * 200))
    await kept.close()
    # Everything but the first pages, which say what tables there are.
    _overwrite(path, 10 * 4096)
    kept = await opened(SqliteStore(path))
    assert kept.load("CH1.messages") is None
    await kept.close()
    fresh = await opened(SqliteStore(path))
    assert path.with_name("chat.db.aside-1").exists() and fresh.load("CH1.messages") is None
    await fresh.close()


async def test_a_place_where_no_file_can_be_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        await SqliteStore(tmp_path).open(URL, "alice")


async def test_a_store_prints_no_content(path: Path) -> None:
    store = await opened(SqliteStore(path))
    assert repr(store) == "<SqliteStore chat.db>"
    assert repr(OutboxRow("1", 1, b"secret")) == "<OutboxRow 1, 6 bytes>"
    await store.close()
