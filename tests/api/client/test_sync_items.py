"""Items of maps and lists, by pages (realtime 9.2)."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.engine.world import BASE_URL, World

from .sdk import Sdk

ITEM = {"data", "revision", "last_event_id", "date_created", "date_updated", "date_expires", "url"}


@pytest.fixture
async def room(ana: Sdk) -> str:
    """The items of a list with the indexes 0, 2, 3, 5, 6."""
    sid = await ana.create()
    sent = [await ana.say(sid, f"text {index}") for index in range(7)]
    for index in (1, 4):
        await ana.delete(sent[index]["url"])
    return f"/v3/Lists/{sid}.messages/Items"


async def page(sdk: Sdk, url: str, **params: str | int) -> tuple[list[Any], bool, bool]:
    """Keys of a page; whether it starts at the beginning, and whether it reaches the end."""
    answer = await sdk.get(url, **params)
    meta = answer["meta"]
    assert meta.keys() == {"previous_token", "next_token", "page_size"}
    keys = [item["key"] if "key" in item else item["index"] for item in answer["items"]]
    return keys, meta["previous_token"] is None, meta["next_token"] is None


async def test_a_list_item_has_a_number_for_its_index(ana: Sdk, room: str, world: World) -> None:
    item = (await ana.get(room))["items"][1]
    assert item.keys() == ITEM | {"index", "list_sid"}
    assert (item["index"], item["date_expires"], item["data"]["text"]) == (2, None, "text 2")
    assert item["url"] == f"{BASE_URL}/v3/Services/{world.service}/Lists/{item['list_sid']}/Items/2"
    assert item["revision"] == format(item["last_event_id"], "x")


async def test_a_map_item_has_a_key(ana: Sdk, world: World) -> None:
    sid = await ana.create()
    url = f"/v3/Maps/{world.service}.ana.conversations"
    ((item,), meta) = (answer := await ana.get(f"{url}/Items"))["items"], answer["meta"]
    assert item.keys() == ITEM | {"key", "map_sid"}
    assert (item["key"], item["map_sid"]) == (sid, (await ana.get(url))["sid"])
    assert meta == {"previous_token": None, "next_token": None, "page_size": 50}


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, ([0, 2, 3, 5, 6], True, True)),
        ({"Order": "asc", "HideExpired": "true"}, ([0, 2, 3, 5, 6], True, True)),
        ({"Order": "desc"}, ([6, 5, 3, 2, 0], True, True)),
        ({"PageSize": 2}, ([0, 2], True, False)),
        ({"PageSize": 5}, ([0, 2, 3, 5, 6], True, True)),
        ({"PageSize": 2, "Order": "desc"}, ([6, 5], True, False)),
        ({"From": 0}, ([0, 2, 3, 5, 6], True, True)),
        ({"From": -7}, ([0, 2, 3, 5, 6], True, True)),
        ({"From": 2}, ([2, 3, 5, 6], False, True)),
        ({"From": 4}, ([5, 6], False, True)),
        ({"From": 4, "PageSize": 1}, ([5], False, False)),
        ({"From": 6}, ([6], False, True)),
        ({"From": 7}, ([], False, True)),
        ({"From": 10**30}, ([], False, True)),
        ({"From": 6, "Order": "desc"}, ([6, 5, 3, 2, 0], True, True)),
        ({"From": 9, "Order": "desc", "PageSize": 2}, ([6, 5], True, False)),
        ({"From": 4, "Order": "desc"}, ([3, 2, 0], False, True)),
        ({"From": -1, "Order": "desc"}, ([], False, True)),
        ({"From": 2, "Bounds": "inclusive"}, ([2, 3, 5, 6], False, True)),
        ({"From": 2, "Bounds": "exclusive"}, ([3, 5, 6], False, True)),
        ({"From": 1, "Bounds": "exclusive"}, ([2, 3, 5, 6], False, True)),
        ({"From": 2, "Bounds": "exclusive", "Order": "desc"}, ([0], False, True)),
    ],
)
async def test_what_a_page_holds_and_where_it_lies(
    ana: Sdk, room: str, params: dict[str, str | int], expected: object
) -> None:
    assert await page(ana, room, **params) == expected


async def test_an_empty_collection_begins_and_ends_at_once(ana: Sdk) -> None:
    sid = await ana.create()
    url = f"/v3/Lists/{sid}.messages/Items"
    for params in ({}, {"Order": "desc"}, {"From": 5}, {"From": 0, "Order": "desc"}):
        assert await page(ana, url, **params) == ([], True, True)


async def test_one_item_is_read_by_its_index_or_key(ana: Sdk, room: str, world: World) -> None:
    assert await page(ana, room, Index=2) == ([2], True, True)
    for absent in (1, 99, -1, 10**30):
        assert await page(ana, room, Index=absent) == ([], True, True)
    mine = f"/v3/Maps/{world.service}.ana.conversations/Items"
    (key,), _, _ = await page(ana, mine)
    assert await page(ana, mine, Key=key) == ([key], True, True)
    info = f"/v3/Maps/{world.service}.ana.info/Items"
    assert await page(ana, info, Key="attributes") == (["attributes"], True, True)
    for url, absent_key in ((mine, "CH" + "f" * 32), (mine, "x"), (info, "reachability"), (info, ""), (info, "=&?/")):
        assert await page(ana, url, Key=absent_key) == ([], True, True)


async def test_maps_are_in_the_byte_order_of_their_keys(ana: Sdk, world: World) -> None:
    sid = await ana.create()
    for name in ("bob", "cleo", "dan"):
        await ana.post(f"/Client/v2/Conversations/{sid}/Participants", {"identity": name})
    url = f"/v3/Maps/{sid}.roster/Items"
    keys, _, _ = await page(ana, url)
    assert keys == sorted(keys) and len(keys) == 4
    assert await page(ana, url, Order="desc", PageSize=3) == (keys[:0:-1], True, False)
    assert await page(ana, url, From=keys[2], PageSize=10) == (keys[2:], False, True)
    assert await page(ana, url, From="zzz") == ([], False, True)
    info = f"/v3/Maps/{world.service}.ana.info/Items"
    assert await page(ana, info, Order="desc", PageSize=1) == (["friendlyName"], True, False)
    assert await page(ana, info, From="b") == (["friendlyName"], False, True)


async def test_a_token_carries_everything(ana: Sdk, room: str) -> None:
    first = await ana.get(room, Order="desc", PageSize=2)
    second = await ana.get(room, PageToken=first["meta"]["next_token"])
    assert [item["index"] for item in second["items"]] == [3, 2]
    assert second["meta"]["page_size"] == 2
    # What else comes along changes nothing.
    token = first["meta"]["next_token"]
    assert await ana.get(room, PageToken=token, Order="asc", PageSize=50, From=0, HideExpired="true") == second
    assert re.fullmatch(r"[A-Za-z0-9_-]+", first["meta"]["next_token"])


async def test_a_page_before_comes_in_the_order_of_the_query(ana: Sdk, room: str) -> None:
    middle = await ana.get(room, From=5, Order="desc", PageSize=2)
    assert [item["index"] for item in middle["items"]] == [5, 3]
    before = await ana.get(room, PageToken=middle["meta"]["previous_token"])
    assert [item["index"] for item in before["items"]] == [6]
    assert before["meta"]["previous_token"] is None
    again = await ana.get(room, PageToken=before["meta"]["next_token"])
    assert again["items"] == middle["items"]


async def test_a_page_size_is_cut_to_a_hundred_and_fifty_by_default(ana: Sdk, world: World) -> None:
    room = await world.conversation("ana")
    for _ in range(103):
        await world.send(room.sid)
    url = f"/v3/Lists/{room.sid}.messages/Items"
    for asked, given in ((None, 50), (100, 100), (101, 100), (10**30, 100), (1, 1)):
        answer = await ana.get(url, **({} if asked is None else {"PageSize": asked}))
        assert (len(answer["items"]), answer["meta"]["page_size"]) == (given, given)


@pytest.mark.parametrize(
    "params",
    [
        {"Order": "up"},
        {"Bounds": "loose", "From": 1},
        {"From": "x"},
        {"From": ""},
        {"From": "1.5"},
        {"From": "٣"},
        {"Index": "x"},
        {"PageSize": 0},
        {"PageSize": -1},
        {"PageSize": "x"},
        {"PageToken": "x"},
        {"PageToken": ""},
        {"PageToken": "é"},
        {"PageToken": "bnVsbA"},
        # [1,false,false,"key",true]: of a map. [0,...]: no such size. [1,false,false,2^64,true]: no such index.
        {"PageToken": "WzEsZmFsc2UsZmFsc2UsImtleSIsdHJ1ZV0"},
        {"PageToken": "WzAsZmFsc2UsZmFsc2UsMSx0cnVlXQ"},
        {"PageToken": "WzEsZmFsc2UsZmFsc2UsMTg0NDY3NDQwNzM3MDk1NTE2MTYsdHJ1ZV0"},
    ],
)
async def test_a_query_that_makes_no_sense_is_refused(ana: Sdk, room: str, params: dict[str, str | int]) -> None:
    assert (await ana.get(room, **params)).failure == (400, 20001)


async def test_the_sdks_way_of_paging_meets_every_item_once(ana: Sdk, room: str) -> None:
    # 3.x asks from the last item it has, one more than it needs, and skips the repeated one (realtime 9.2).
    for order, expected in (("asc", [0, 2, 3, 5, 6]), ("desc", [6, 5, 3, 2, 0])):
        seen, _, ends = await page(ana, room, Order=order, PageSize=1)
        while not ends:
            keys, begins, ends = await page(ana, room, Order=order, From=seen[-1], PageSize=2)
            assert keys[0] == seen[-1] and begins == (seen[-1] == expected[0])
            seen += keys[1:]
        assert seen == expected
