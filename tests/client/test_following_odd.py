"""Following objects of a server that is slow, busy, set back, or says what cannot be understood."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tertulia.client.errors import ServerError, SyncObjectError
from tertulia.client.sqlite_store import SqliteStore
from tertulia.client.sync import How, Key, Kind, StoredItem, StoredObject
from tertulia.client.sync.following import LARGEST_NOTICE
from tertulia.wire.sync import LIST_EVENT, MAP_EVENT, REPLAY_EVENT

from .connecting import config_of
from .desk import Desk, Heard
from .stage import until
from .sync_script import SyncScript


@pytest.fixture
async def server() -> AsyncIterator[SyncScript]:
    server = SyncScript()
    await server.open()
    yield server
    await server.close()


@pytest.fixture
async def desk(server: SyncScript) -> AsyncIterator[Desk]:
    async with AsyncExitStack() as stack:
        desk = Desk(config_of(server.url))
        stack.push_async_callback(desk.close)
        await desk.start()
        yield desk


def added(name: str, number: int, key: str, data: object) -> dict[str, object]:
    event = {"id": number, "map_sid": name, "item_key": key, "item_data": data, "date_created": "now"}
    return {"event_type": "map_item_added", "event": event}


async def open_many(desk: Desk, count: int, *, after: Heard | None = None) -> list[Heard]:
    found = [] if after is None else [after]
    for number in range(len(found), count):
        heard = Heard()
        heard.copy = await desk.following.open(f"MP{number}", Kind.MAP, heard)
        found.append(heard)
    return found


async def test_thousands_of_objects_need_no_more_tasks_than_one_and_come_back_in_a_few_batches(
    server: SyncScript, desk: Desk, tmp_path: Path
) -> None:
    [first] = await open_many(desk, 1)
    assert await desk.following.settled(first.copy, 10)
    tasks = len(asyncio.all_tasks())
    desk.following.store = store = SqliteStore(tmp_path / "kept.db")
    await store.open(server.url, "ana")
    for number in range(3000):
        server.lasts[f"MP{number}"] = 0
        store.save(StoredObject(f"MP{number}", Kind.MAP, f"MP{number}", "http://any/key/MP/Items", 0, None, "then"))
    many = await open_many(desk, 3000, after=first)
    await until(lambda: all(each.copy.is_established for each in many))
    assert len(asyncio.all_tasks()) == tasks
    assert len(server.gets) == 1
    server.batches.clear()
    await server.hang_up()
    await until(lambda: not first.copy.is_established)
    assert len(asyncio.all_tasks()) <= tasks + 1
    await until(lambda: all(each.copy.is_established for each in many))
    assert [len(batch["requests"]) for batch in server.batches] == [1000, 1000, 1000]
    assert [request["object_sid"] for request in server.batches[0]["requests"][:3]] == ["MP0", "MP1", "MP2"]
    assert len(server.gets) == 1
    desk.following.store = None
    await store.close()


@pytest.mark.parametrize("statuses", [[503], [429, 504], [400], [413, 400]])
async def test_what_is_refused_is_said_again(server: SyncScript, desk: Desk, statuses: list[int]) -> None:
    server.refusals_of_batches.extend(statuses)
    many = await open_many(desk, 5)
    await until(lambda: all(each.copy.is_established for each in many))


async def test_a_server_that_takes_a_batch_without_a_word_has_taken_it(server: SyncScript, desk: Desk) -> None:
    server.terms = {"max_batch_size": "many"}
    [heard] = await open_many(desk, 1)
    assert await desk.following.settled(heard.copy, 10)
    assert len(server.batches) == 1


async def test_a_replay_in_parts_is_taken_part_by_part(server: SyncScript, desk: Desk) -> None:
    part = {"what": "established", "replay_status": "interrupted"}
    server.whims["MP0"] = [
        {**part, "before": [added("MP0", 3, "a", 1)]},
        # Nothing is left of what happened until then.
        {**part, "last_event_id": 7},
    ]
    [heard] = await open_many(desk, 1)
    server.lasts["MP0"] = 8
    await until(lambda: heard.copy.is_established)
    assert [batch["requests"][0]["last_event_id"] for batch in server.batches] == [0, 3, 7]
    assert heard.added == ["a"]
    assert heard.copy.last_event_id == 8


async def test_what_is_told_to_be_gone_is_gone_though_it_could_be_opened(server: SyncScript, desk: Desk) -> None:
    server.whims["MP1"] = [{"what": "failed", "error": {"status": 404, "code": 54200, "message": "gone"}}]
    one, other = await open_many(desk, 2)
    await until(lambda: other.is_gone)
    assert await desk.following.settled(one.copy, 10)
    assert not await desk.following.settled(other.copy, 10)


async def test_notifications_that_make_no_sense_are_passed_over(
    server: SyncScript, desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    [heard] = await open_many(desk, 1)
    assert await desk.following.settled(heard.copy, 10)
    for body in (
        {"event_type": 7},
        {"event_type": "map_item_added", "event": {"id": "secret", "map_sid": "MP0"}},
        {"event_type": "map_item_added", "events": []},
        {"event_type": "map_item_added", "event": {"map_sid": "MP0", "item_key": "a", "item_data": 1}},
        {"event_type": "map_item_added", "event": {"id": 4, "map_sid": "MP9", "item_key": "a", "item_data": 1}},
        {"event_type": "map_item_added", "event": {"id": 4, "item_key": "a", "item_data": 1}},
        {"event_type": "subscription_established", "events": [{"object_sid": "MP0", "replay_status": "completed"}]},
        {"event_type": "subscription_remarked", "events": [{"object_sid": "MP0"}]},
        {"event_type": "weather_changed", "event": {"id": 5, "map_sid": "MP0"}},
    ):
        server.later(body, MAP_EVENT)
    server.later(added("MP0", 9, "b", 2), MAP_EVENT)
    await until(lambda: heard.items)
    assert heard.told == [(How.ADDED, "b")]
    assert "secret" not in caplog.text


class Choosy(Heard):
    """Cannot bear everything."""

    def item_changed(self, key: Key, data: msgspec.Raw, at: str, how: How) -> None:
        if msgspec.json.decode(data) == "bad":
            msgspec.json.decode(data, type=int)
        super().item_changed(key, data, at, how)

    def document_changed(self, data: msgspec.Raw, at: str) -> None:
        msgspec.json.decode(data, type=dict[str, int])
        super().document_changed(data, at)


async def test_one_event_that_cannot_be_used_costs_no_other(
    server: SyncScript, desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    heard = Choosy()
    copy = await desk.following.open("MP0", Kind.MAP, heard)
    assert await desk.following.settled(copy, 10)
    events = [
        {"id": number, "map_sid": "MP0", "item_key": key, "item_data": data, "date_created": "now"}
        for number, key, data in ((1, "a", 1), (2, "b", "bad"), (3, "c", 3))
    ]
    server.later({"event_type": "map_item_added", "events": events}, REPLAY_EVENT)
    await until(lambda: "c" in heard.items)
    assert heard.items == {"a": 1, "c": 3}
    assert [record.levelno for record in caplog.records if record.message == "sync.follower_failed"] == [logging.ERROR]


async def test_one_item_that_cannot_be_used_hides_no_other(server: SyncScript, desk: Desk) -> None:
    heard = Choosy()
    copy = await desk.following.open("MP0", Kind.MAP, heard)
    server.contents["MP0"] = {"a": (0, 1), "b": (0, "bad"), "c": (0, 3)}
    await desk.following.read_all(copy)
    assert heard.items == {"a": 1, "c": 3}
    assert "b" not in copy.numbers


async def test_a_document_that_cannot_be_used_cannot_be_opened(server: SyncScript, desk: Desk) -> None:
    server.contents["ET0"] = {"a": "secret"}
    with pytest.raises(SyncObjectError) as refusal:
        await desk.following.open("ET0", Kind.DOCUMENT, Choosy())
    assert "secret" not in str(refusal.value)
    assert len(desk.following) == 0


@pytest.mark.parametrize("tokens", [["again"], ["a", "b"], ["a", "b", "c", "b"]])
async def test_pages_that_never_end_are_not_followed_for_ever(
    server: SyncScript, desk: Desk, tokens: list[str]
) -> None:
    [heard] = await open_many(desk, 1)
    server.rounds = itertools.cycle(tokens)
    with pytest.raises(SyncObjectError):
        await desk.following.read_all(heard.copy)
    assert len(server.gets) <= 6


DEEP = msgspec.Raw(b"[" * 3000 + b"]" * 3000)


@pytest.mark.parametrize("number", [2**63, 2**70, -7, 1.5, "x", None])
async def test_a_number_that_cannot_be_is_passed_over_with_its_event_alone(
    server: SyncScript, desk: Desk, number: object
) -> None:
    heard = await desk.open("MP0", Kind.MAP)
    odd = {"id": number, "map_sid": "MP0", "item_key": "odd", "item_data": 1}
    honest = {"id": 1, "map_sid": "MP0", "item_key": "honest", "item_data": 2}
    server.later({"event_type": "map_item_added", "events": [odd, honest]}, MAP_EVENT)
    server.later(added("MP0", 2, "later", 3), MAP_EVENT)
    await until(lambda: "later" in heard.items)
    assert heard.added == ["honest", "later"]


@pytest.mark.parametrize("index", [-5, 2**63, 2**80, "1"])
async def test_a_place_that_cannot_be_is_passed_over(server: SyncScript, desk: Desk, index: object) -> None:
    heard = await desk.open("ES0", Kind.LIST)
    events = [{"id": 1, "list_sid": "ES0", "item_index": each, "item_data": 1} for each in (index, 0)]
    events[1]["id"] = 2
    server.later({"event_type": "list_item_added", "events": events}, LIST_EVENT)
    await until(lambda: heard.items)
    assert list(heard.items) == [0]


@pytest.mark.parametrize("number", [2**63, 2**70, -7, "x"])
async def test_an_item_with_a_number_that_cannot_be_hides_no_other(
    server: SyncScript, desk: Desk, number: object
) -> None:
    heard = await desk.open("MP0", Kind.MAP)
    server.contents["MP0"] = {"a": (0, 1), "b": (number, 2), "c": (0, 3)}
    await desk.following.read_all(heard.copy)
    assert heard.items == {"a": 1, "c": 3}


@pytest.mark.parametrize("number", [2**63, 2**70, "x"])
async def test_an_object_with_a_number_that_cannot_be_is_not_followed(
    server: SyncScript, desk: Desk, number: Any
) -> None:
    server.lasts["MP0"] = number
    with pytest.raises(ServerError):
        await desk.following.open("MP0", Kind.MAP, Heard())
    assert len(desk.following) == 0


async def test_what_is_nested_too_deep_is_passed_over_or_the_fault_of_the_server(
    server: SyncScript, desk: Desk
) -> None:
    heard = await desk.open("MP0", Kind.MAP)
    server.later(added("MP0", 1, "deep", DEEP), MAP_EVENT)
    server.later(added("MP0", 2, "a", 1), MAP_EVENT)
    await until(lambda: heard.items)
    assert heard.items == {"a": 1}
    server.contents["MP0"] = {"a": (2, 1), "b": (0, DEEP)}
    with pytest.raises(ServerError):
        await desk.following.read_all(heard.copy)
    server.contents["ET0"] = DEEP
    with pytest.raises(ServerError):
        await desk.following.open("ET0", Kind.DOCUMENT, Heard())


async def test_what_is_larger_than_any_notification_is_passed_over(server: SyncScript, desk: Desk) -> None:
    heard = await desk.open("MP0", Kind.MAP)
    server.later({"event_type": "map_item_added", "events": [{}] * 400_000}, MAP_EVENT)
    server.later(added("MP0", 1, "large", "x" * LARGEST_NOTICE), MAP_EVENT)
    server.later(added("MP0", 2, "a", "x" * (LARGEST_NOTICE // 2)), MAP_EVENT)
    await until(lambda: "a" in heard.items)
    assert heard.added == ["a"]


class Moody(Heard):
    """Cannot bear anything while it is in a bad mood."""

    mood = "good"

    def item_changed(self, key: Key, data: msgspec.Raw, at: str, how: How) -> None:
        if self.mood == "bad":
            raise RecursionError
        super().item_changed(key, data, at, how)


async def test_what_a_follower_could_not_bear_is_told_when_it_is_read(server: SyncScript, desk: Desk) -> None:
    """An item that nobody holds is not taken for one that is known."""
    heard = Moody()
    heard.copy = await desk.following.open("ES0", Kind.LIST, heard)
    assert await desk.following.settled(heard.copy, 10)
    heard.mood = "bad"
    event = {"id": 1, "list_sid": "ES0", "item_index": 0, "item_data": "words"}
    server.later({"event_type": "list_item_added", "event": event}, LIST_EVENT)
    await until(lambda: heard.copy.last_event_id == 1)
    server.contents["ES0"] = {0: (1, "words")}
    page = await desk.following.page(heard.copy)
    assert page.items == [] and heard.items == {}
    heard.mood = "good"
    page = await desk.following.page(heard.copy)
    assert [item.key for item in page.items] == [0] and heard.items == {0: "words"}


async def test_a_server_that_was_set_back_is_read_again(server: SyncScript, desk: Desk) -> None:
    server.lasts.update({"ET0": 9, "MP0": 9, "ES0": 9})
    server.contents["ET0"] = {"a": 9}
    server.contents["MP0"] = {"kept": (3, 3), "changed": (8, 8), "new": (9, 9)}
    server.contents["ES0"] = {0: (3, 3), 1: (8, 8), 2: (4, 4), 3: (9, 9)}
    document = await desk.open("ET0", Kind.DOCUMENT)
    roster = await desk.open("MP0", Kind.MAP)
    messages = await desk.open("ES0", Kind.LIST)
    await desk.following.read_all(roster.copy)
    await desk.following.read_all(messages.copy)
    # As it was at event 5.
    server.lasts.update({"ET0": 5, "MP0": 5, "ES0": 5})
    server.contents["ET0"] = {"a": 5}
    server.contents["MP0"] = {"kept": (3, 3), "changed": (5, 5), "removed later": (2, 2)}
    server.contents["ES0"] = {0: (3, 3), 1: (5, 5), 2: (4, 4)}
    await server.hang_up()
    await until(lambda: document.contents == [{"a": 9}, {"a": 5}])
    await until(lambda: roster.items == {"kept": 3, "changed": 5, "removed later": 2})
    await until(lambda: messages.items == {0: 3, 1: 5, 2: 4})
    # What happens from there on is heard, though its numbers were seen before.
    server.later(added("MP0", 6, "fresh", 6), MAP_EVENT)
    await until(lambda: "fresh" in roster.items)
    assert roster.copy.last_event_id == 6
    assert not any(each.copy.is_doubtful for each in (document, roster, messages))


async def test_what_is_kept_and_cannot_be_used_is_read_anew(server: SyncScript, desk: Desk, tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "kept.db")
    await store.open(server.url, "ana")
    store.save(StoredObject("MP0", Kind.MAP, "MP0", "http://any/key/MP0/Items", 0, None, "then"))
    store.save_item("MP0", StoredItem("a", 0, b"no JSON", "then"))
    desk.following.store = store
    server.contents["MP0"] = {"a": (0, 1)}
    heard = await desk.open("MP0", Kind.MAP)
    assert len(server.gets) == 1
    await desk.following.read_all(heard.copy)
    assert heard.items == {"a": 1}
    desk.following.store = None
    await store.close()
