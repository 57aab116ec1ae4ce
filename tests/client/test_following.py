"""Objects of the real server, followed over the real connection (realtime 9)."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec
import pytest

from tertulia.client.errors import ClientShutDownError, InvalidArgumentError, SyncObjectError
from tertulia.client.sqlite_store import SqliteStore
from tertulia.client.sync import How, Kind, SyncStore
from tertulia.server.domain.conversations import DeleteConversation, UpdateConversation
from tertulia.server.domain.messages import DeleteMessage, UpdateMessage
from tertulia.server.domain.participants import RemoveParticipant

from .desk import Desk, Heard
from .stage import Stage, until

Enter = Callable[..., Awaitable[Desk]]


@pytest.fixture
async def enter(stage: Stage) -> AsyncIterator[Enter]:
    """Connects a user of this identity."""
    async with AsyncExitStack() as stack:

        async def enter(identity: str = "ana", store: SyncStore | None = None) -> Desk:
            desk = Desk(stage.config(identity), store)
            stack.push_async_callback(desk.close)
            await desk.start()
            return desk

        yield enter


async def say(stage: Stage, room: str, count: int) -> list[str]:
    return [(await stage.world.send(room, f"{number}")).sid for number in range(count)]


async def edit(stage: Stage, room: str, message: str, body: str) -> None:
    await stage.world.do(UpdateMessage, conversation=room, message=message, body=body)


async def delete(stage: Stage, room: str, message: str) -> None:
    await stage.world.do(DeleteMessage, conversation=room, message=message)


async def remove(stage: Stage, room: str, participant: str) -> None:
    await stage.world.do(RemoveParticipant, conversation=room, participant=participant)


def bodies(heard: Heard) -> dict[object, str]:
    return {key: data["text"] for key, data in sorted(heard.items.items())}


# --- opening


async def test_a_document_is_told_at_once_and_with_every_change(stage: Stage, enter: Enter) -> None:
    room = await stage.room("ana")
    document = await (await enter()).open(f"{room}.channel", Kind.DOCUMENT)
    assert [content.get("friendlyName") for content in document.contents] == [None]
    for name in ("One", "Two"):
        await stage.world.do(UpdateConversation, conversation=room, friendly_name=name)
    await until(lambda: len(document.contents) == 3)
    assert [content.get("friendlyName") for content in document.contents] == [None, "One", "Two"]


async def test_a_list_tells_what_happens_from_when_it_was_opened(stage: Stage, enter: Enter) -> None:
    room = await stage.room("ana")
    await say(stage, room, 3)
    messages = await (await enter()).open(f"{room}.messages", Kind.LIST)
    assert messages.told == []
    [sid] = await say(stage, room, 1)
    await edit(stage, room, sid, "changed")
    await until(lambda: bodies(messages) == {3: "changed"})
    await delete(stage, room, sid)
    await until(lambda: not messages.items)
    assert messages.told == [(How.ADDED, 3), (How.UPDATED, 3), (None, 3)]


async def test_items_come_with_the_object_if_they_are_wanted(stage: Stage, enter: Enter) -> None:
    await stage.room("ana")
    user = await (await enter()).open(f"{stage.world.service}.ana.info", Kind.MAP, include_items=True)
    assert {"friendlyName", "attributes"} <= user.items.keys()
    assert {how for how, _ in user.told} == {How.LOADED}


async def test_what_is_not_there_or_not_for_everybody_cannot_be_opened(stage: Stage, enter: Enter) -> None:
    room = await stage.room("ben")
    desk = await enter("ana")
    for name, kind in ((f"{room}.roster", Kind.MAP), ("no such thing/at all", Kind.DOCUMENT), ("", Kind.LIST)):
        with pytest.raises(SyncObjectError):
            await desk.following.open(name, kind, Heard())
    assert len(desk.following) == 0


async def test_an_object_has_one_follower_however_often_he_opens_it(stage: Stage, enter: Enter) -> None:
    room = await stage.room("ana")
    following, heard = (await enter()).following, Heard()
    first = asyncio.ensure_future(following.open(f"{room}.roster", Kind.MAP, heard))
    await asyncio.sleep(0)
    with pytest.raises(SyncObjectError):
        await following.open(f"{room}.roster", Kind.MAP, Heard())
    second = await following.open(f"{room}.roster", Kind.MAP, heard)
    assert await first is second
    assert await following.open(f"{room}.roster", Kind.MAP, heard) is second
    with pytest.raises(SyncObjectError):
        await following.open(f"{room}.roster", Kind.MAP, Heard())
    with pytest.raises(SyncObjectError):  # by its other name
        await following.open(second.sid, Kind.MAP, Heard())
    assert len(following) == 1


async def test_who_waits_for_the_same_object_is_not_cancelled_with_who_asked_first(stage: Stage, enter: Enter) -> None:
    room = await stage.room("ana")
    following, heard = (await enter()).following, Heard()
    first = asyncio.ensure_future(following.open(f"{room}.roster", Kind.MAP, heard))
    second = asyncio.ensure_future(following.open(f"{room}.roster", Kind.MAP, heard))
    await asyncio.sleep(0)
    first.cancel()
    copy = await second
    assert first.cancelled()
    assert await following.settled(copy, 10)


async def test_an_opening_that_fails_fails_for_all_who_wait(stage: Stage, enter: Enter) -> None:
    room = await stage.room("ben")
    following, heard = (await enter("ana")).following, Heard()
    tries = [following.open(f"{room}.roster", Kind.MAP, heard) for _ in range(3)]
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [SyncObjectError] * 3


# --- ending


async def test_a_closed_object_tells_nothing_and_is_cancelled(stage: Stage, enter: Enter) -> None:
    room = await stage.room("ana")
    stage.proxy.record()
    desk = await enter()
    messages = await desk.open(f"{room}.messages", Kind.LIST)
    others = await desk.open(f"{room}.channel", Kind.DOCUMENT)
    desk.following.close(messages.copy)
    desk.following.close(messages.copy)
    await until(lambda: any(b'"cancel"' in said for said in stage.proxy.said()))
    await say(stage, room, 1)
    await until(lambda: len(others.contents) == 2)
    assert messages.told == []
    assert not await desk.following.settled(messages.copy, 10)
    for read in (desk.following.read_all(messages.copy), desk.following.page(messages.copy)):
        with pytest.raises(SyncObjectError):
            await read
    assert messages.told == []
    again = await desk.open(f"{room}.messages", Kind.LIST)
    await say(stage, room, 1)
    await until(lambda: again.added == [1])


async def test_what_is_deleted_is_gone_for_its_follower(stage: Stage, enter: Enter) -> None:
    room = await stage.room("ana")
    desk = await enter()
    objects = [
        await desk.open(f"{room}.{name}", kind)
        for name, kind in (("channel", Kind.DOCUMENT), ("roster", Kind.MAP), ("messages", Kind.LIST))
    ]
    await stage.world.do(DeleteConversation, conversation=room)
    await until(lambda: all(each.is_gone for each in objects))
    assert len(desk.following) == 0


async def test_what_may_not_be_seen_any_more_is_gone_after_a_new_connection(stage: Stage, enter: Enter) -> None:
    room = await stage.room("ana", "ben")
    ben = await enter("ben")
    roster = await ben.open(f"{room}.roster", Kind.MAP)
    await remove(stage, room, "ben")
    stage.proxy.reset()
    await until(lambda: roster.is_gone)
    assert len(ben.following) == 0


async def test_what_was_stopped_refuses_everything_and_keeps_nobody_waiting(stage: Stage, enter: Enter) -> None:
    room = await stage.room("ana")
    desk = await enter()
    roster = await desk.open(f"{room}.roster", Kind.MAP)
    stage.proxy.refuse()
    await until(lambda: not roster.copy.is_established)
    waiting = asyncio.ensure_future(desk.following.settled(roster.copy))
    opening = asyncio.ensure_future(desk.following.open(f"{room}.channel", Kind.DOCUMENT, Heard()))
    await asyncio.sleep(0.01)
    await desk.close()
    for each in (waiting, opening, desk.following.open(f"{room}.messages", Kind.LIST, Heard())):
        with pytest.raises(ClientShutDownError):
            await each
    assert not desk.tasks


async def test_waiting_for_an_object_may_have_an_end(stage: Stage, enter: Enter) -> None:
    room = await stage.room("ana")
    desk = await enter()
    roster = await desk.open(f"{room}.roster", Kind.MAP)
    stage.proxy.refuse()
    await until(lambda: not roster.copy.is_established)
    with pytest.raises(TimeoutError):
        await desk.following.settled(roster.copy, 0.02)
    waiting = asyncio.ensure_future(desk.following.settled(roster.copy))
    await asyncio.sleep(0)
    stage.proxy.admit()
    assert await waiting


# --- reading


async def test_all_items_come_page_by_page_each_once(stage: Stage, enter: Enter) -> None:
    room = await stage.room(*(f"user {number}" for number in range(8)), "ana")
    desk = await enter()
    roster = await desk.open(f"{room}.roster", Kind.MAP)
    await desk.following.read_all(roster.copy, page_size=2)
    assert {data["identity"] for data in roster.items.values()} == {"ana", *(f"user {number}" for number in range(8))}
    assert [how for how, _ in roster.told] == [How.LOADED] * 9
    await desk.following.read_all(roster.copy)
    assert len(roster.told) == 9


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_pages_go_both_ways_and_say_where_the_ends_are(stage: Stage, enter: Enter, order: str) -> None:
    room = await stage.room("ana")
    sids = await say(stage, room, 12)
    for hole in (0, 5, 6, 11):
        await delete(stage, room, sids[hole])
    there = [1, 2, 3, 4, 7, 8, 9, 10]
    desk = await enter()
    messages = await desk.open(f"{room}.messages", Kind.LIST)
    line = there if order == "asc" else there[::-1]
    for start in (None, 0, 1, 3, 5, 6, 8, 10, 11, 40):
        for limit in (1, 2, 3, 8, 100):
            for inclusive in (True, False):
                page = await desk.following.page(
                    messages.copy, start=start, order="asc" if order == "asc" else "desc", limit=limit,
                    inclusive=inclusive,
                )  # fmt: skip
                sign = 1 if order == "asc" else -1
                behind = [
                    key for key in line if start is None or sign * key > sign * start or (inclusive and key == start)
                ]
                expected = behind[:limit]
                where = (start, limit, inclusive)
                assert [item.key for item in page.items] == expected, where
                if expected:
                    assert page.is_first == (expected[0] == line[0]), where
                assert page.is_last == (len(behind) <= limit), where
    assert sorted(messages.items) == there
    assert len(messages.told) == len(there)
    with pytest.raises(InvalidArgumentError):
        await desk.following.page(messages.copy, limit=0)


async def test_a_map_is_paged_by_its_keys(stage: Stage, enter: Enter) -> None:
    room = await stage.room("ana", "ben", "cid", "dan")
    desk = await enter()
    roster = await desk.open(f"{room}.roster", Kind.MAP)
    first = await desk.following.page(roster.copy, limit=3)
    second = await desk.following.page(roster.copy, start=first.items[-1].key, limit=3, inclusive=False)
    assert (first.is_first, first.is_last, second.is_first, second.is_last) == (True, False, False, True)
    keys = [item.key for item in (*first.items, *second.items)]
    assert keys == sorted(roster.items)
    assert len(keys) == 4


async def test_one_item_is_read_by_its_key(stage: Stage, enter: Enter) -> None:
    room = await stage.room("ana")
    await say(stage, room, 3)
    desk = await enter()
    messages = await desk.open(f"{room}.messages", Kind.LIST)
    roster = await desk.open(f"{room}.roster", Kind.MAP)
    item = await desk.following.item(messages.copy, 1)
    assert item is not None
    assert (item.key, msgspec.json.decode(item.data)["text"]) == (1, "1")
    assert bodies(messages) == {1: "1"}
    assert await desk.following.item(messages.copy, 9) is None
    assert await desk.following.item(roster.copy, "MB0/ ü?") is None


async def test_a_document_has_no_items(stage: Stage, enter: Enter) -> None:
    room = await stage.room("ana")
    desk = await enter()
    document = await desk.open(f"{room}.channel", Kind.DOCUMENT)
    with pytest.raises(SyncObjectError):
        await desk.following.page(document.copy)


# --- through thick and thin


async def test_nothing_is_lost_repeated_or_out_of_order_however_often_the_connection_breaks(
    stage: Stage, enter: Enter
) -> None:
    room = await stage.room("ana")
    messages = await (await enter()).open(f"{room}.messages", Kind.LIST)
    chance = random.Random(7)
    for number in range(80):
        if chance.random() < 0.25:
            stage.proxy.reset()
        await stage.world.send(room, f"{number}")
        await asyncio.sleep(chance.choice((0, 0, 0.003, 0.02)))
    await until(lambda: len(messages.items) == 80)
    assert messages.added == list(range(80))


async def test_whatever_is_read_while_it_changes_ends_as_the_server_has_it(stage: Stage, enter: Enter) -> None:
    room = await stage.room("ana")
    desk = await enter()
    heard = Heard(forgets=True)
    heard.copy = await desk.following.open(f"{room}.messages", Kind.LIST, heard)
    sids = dict(enumerate(await say(stage, room, 10)))
    chance = random.Random(11)

    async def change() -> None:
        for number in range(120):
            what = chance.random()
            if what < 0.4:
                sids[len(sids)] = (await stage.world.send(room, f"{number}")).sid
            else:
                index = chance.choice([index for index, sid in sids.items() if sid])
                if what < 0.8:
                    await edit(stage, room, sids[index], f"edited {number}")
                else:
                    await delete(stage, room, sids[index])
                    sids[index] = ""
            if what > 0.97:
                stage.proxy.reset()
            await asyncio.sleep(chance.choice((0, 0.001, 0.004)))

    async def read() -> None:
        while not changing.done():
            if chance.random() < 0.5:
                await desk.following.page(heard.copy, start=chance.randrange(60), limit=5)
            elif heard.items:
                # As a cache that is full.
                key = chance.choice(list(heard.items))
                del heard.items[key]
                heard.copy.forget(key)
            await asyncio.sleep(0)

    changing = asyncio.ensure_future(change())
    await asyncio.gather(changing, read(), read(), read())
    stage.proxy.reset()
    await until(lambda: not heard.copy.is_established)
    assert await desk.following.settled(heard.copy, 10)
    other = await enter()
    fresh = await other.open(f"{room}.messages", Kind.LIST)
    await other.following.read_all(fresh.copy)
    assert fresh.items.keys() == {index for index, sid in sids.items() if sid}
    assert bodies(heard).items() <= bodies(fresh).items()
    await desk.following.read_all(heard.copy)
    assert bodies(heard) == bodies(fresh)
    assert len(set(heard.added)) == len(heard.added)


async def test_a_server_that_is_away_for_a_while_loses_nobody(stage: Stage, enter: Enter) -> None:
    room = await stage.room("ana")
    messages = await (await enter()).open(f"{room}.messages", Kind.LIST)
    await stage.stop()
    await say(stage, room, 3)
    await stage.start_again()
    await until(lambda: messages.added == [0, 1, 2])


# --- kept


async def test_what_is_kept_is_opened_without_a_question_and_caught_up_with(
    stage: Stage, enter: Enter, tmp_path: Path
) -> None:
    room = await stage.room("ana", "ben")
    sids = await say(stage, room, 4)
    store = SqliteStore(tmp_path / "kept.db")
    await store.open(stage.url, "ana")
    names = (("channel", Kind.DOCUMENT), ("roster", Kind.MAP), ("messages", Kind.LIST))
    desk = await enter("ana", store)
    document, roster, messages = [await desk.open(f"{room}.{name}", kind) for name, kind in names]
    await desk.following.read_all(roster.copy)
    await desk.following.read_all(messages.copy)
    # What the follower does not hold is kept as it is by now all the same.
    del messages.items[0]
    messages.copy.forget(0)
    await edit(stage, room, sids[0], "edited live")
    await until(lambda: (How.UPDATED, 0) in messages.told)
    await desk.close()
    await edit(stage, room, sids[1], "edited later")
    await delete(stage, room, sids[2])
    await say(stage, room, 1)
    await remove(stage, room, "ben")
    await stage.world.do(UpdateConversation, conversation=room, friendly_name="Renamed")
    stage.proxy.record()
    desk = Desk(stage.config("ana"), store)
    document, roster, messages = Heard(), Heard(), Heard()
    for heard, (name, kind) in zip((document, roster, messages), names, strict=True):
        heard.copy = await desk.following.open(f"{room}.{name}", kind, heard)
    assert bodies(messages) == {0: "edited live", 1: "1", 2: "2", 3: "3"}
    assert {how for how, _ in (*messages.told, *roster.told)} == {How.LOADED}
    assert len(roster.items) == 2
    await desk.start()
    for heard in (document, roster, messages):
        assert await desk.following.settled(heard.copy, 10)
    assert bodies(messages) == {0: "edited live", 1: "edited later", 3: "3", 4: "0"}
    assert messages.added == [4]
    assert [data["identity"] for data in roster.items.values()] == ["ana"]
    assert [content.get("friendlyName") for content in document.contents] == [None, "Renamed"]
    assert not any(b'"GET"' in said for said in stage.proxy.said())
    await desk.close()
    await store.close()


async def test_what_is_kept_of_what_is_gone_goes(stage: Stage, enter: Enter, tmp_path: Path) -> None:
    room = await stage.room("ana")
    store = SqliteStore(tmp_path / "kept.db")
    await store.open(stage.url, "ana")
    desk = await enter("ana", store)
    await desk.open(f"{room}.channel", Kind.DOCUMENT)
    await desk.close()
    await stage.world.do(DeleteConversation, conversation=room)
    desk, heard = await enter("ana", store), Heard()
    await desk.following.open(f"{room}.channel", Kind.DOCUMENT, heard)
    await until(lambda: heard.is_gone)
    assert store.load(f"{room}.channel") is None
    with pytest.raises(SyncObjectError):
        await desk.following.open(f"{room}.channel", Kind.DOCUMENT, Heard())
    await desk.close()
    await store.close()
