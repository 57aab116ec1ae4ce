"""A user's own side of conversations: list, read horizon, notification level (client-commands 4.1, 4.4)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.engine.world import World

from .sdk import Face, Sdk

READ = {
    "conversation_sid",
    "status",
    "friendly_name",
    "unique_name",
    "created_by",
    "date_created",
    "date_updated",
    "attributes",
    "notification_level",
    "last_read_message_index",
    "unread_messages_count",
    "sync_objects",
}


async def walk(sdk: Sdk) -> tuple[list[dict[str, Any]], int]:
    """Every conversation, as the SDK collects them at its start, and the number of pages it took."""
    found, pages, token = [], 0, None
    while True:
        page = await sdk.get(sdk.mine, **({"PageToken": token} if token else {}))
        assert page["meta"].keys() == {"next_token", "previous_token"}
        found += page["conversations"]
        pages, token = pages + 1, page["meta"]["next_token"]
        if token is None:
            return found, pages


async def test_the_list_of_nobody_who_is_nowhere_is_one_empty_page(ana: Sdk) -> None:
    expected = {"conversations": [], "meta": {"next_token": None, "previous_token": None}}
    assert (await ana.get(ana.mine)).json == expected


@pytest.mark.parametrize(("count", "pages"), [(1, 1), (100, 1), (101, 2), (205, 3)])
@pytest.mark.owner_demand(18)
@pytest.mark.owner_demand(26)
async def test_the_list_comes_in_pages_of_a_hundred(ana: Sdk, world: World, count: int, pages: int) -> None:
    made = [(await world.conversation("ana")).sid for _ in range(count)]
    found, taken = await walk(ana)
    assert (sorted(item["conversation_sid"] for item in found), taken) == (sorted(made), pages)


async def test_pages_lead_back_as_well(ana: Sdk, world: World) -> None:
    for _ in range(101):
        await world.conversation("ana")
    first = await ana.get(ana.mine)
    second = await ana.get(ana.mine, PageToken=first["meta"]["next_token"])
    back = await ana.get(ana.mine, PageToken=second["meta"]["previous_token"])
    assert (back["conversations"], back["meta"]["previous_token"]) == (first["conversations"], None)
    assert back["meta"]["next_token"] == first["meta"]["next_token"]
    assert "=" not in first["meta"]["next_token"]


async def test_every_member_the_sdk_reads_is_in_list_and_single_alike(ana: Sdk) -> None:
    sid = await ana.create(unique_name="a room/with %")
    (listed,) = (await ana.get(ana.mine))["conversations"]
    by_sid = await ana.get(f"{ana.mine}/{sid}")
    by_name = await ana.get(f"{ana.mine}/a%20room%2Fwith%20%25")
    assert by_sid.json == by_name.json == listed | {"unread_messages_count": None}
    assert listed.keys() >= READ - {"unread_messages_count"}
    assert (listed["conversation_sid"], listed["status"], listed["notification_level"]) == (sid, "joined", "default")
    names = {"conversation": f"{sid}.channel", "participants": f"{sid}.roster", "messages": f"{sid}.messages"}
    assert listed["sync_objects"] == names


async def test_what_one_is_not_in_is_not_there(ana: Sdk, ben: Sdk) -> None:
    sid = await ana.create(unique_name="room")
    for key in (sid, "room", "CH" + "0" * 32, "nowhere"):
        assert (await ben.get(f"{ben.mine}/{key}")).failure == (404, 50350)
        assert (await ben.post(f"{ben.mine}/{key}", {"last_read_message_index": 1})).failure == (404, 50350)


async def test_nobody_elses_list_exists(ana: Sdk, ben: Sdk) -> None:
    sid = await ana.create()
    await ben.join(sid)
    assert (await ben.get(ana.mine)).failure == (404, 20404)
    assert (await ben.get(f"{ana.mine}/{sid}")).failure == (404, 20404)
    assert (await ben.post(f"{ana.mine}/{sid}", {"last_read_message_index": 0})).failure == (404, 20404)
    assert (await ana.get(f"{ana.mine}/{sid}"))["last_read_message_index"] is None


async def test_reading_answers_what_is_left_unread(ana: Sdk, ben: Sdk) -> None:
    sid = await ana.create()
    for _ in range(4):
        await ana.say(sid)
    read = await ana.post(f"{ana.mine}/{sid}", {"last_read_message_index": 1})
    assert (read.status, read["unread_messages_count"], read["last_read_message_index"]) == (200, 2, 1)
    assert (await ana.get(f"{ana.mine}/{sid}"))["unread_messages_count"] == 2
    assert (await ana.post(f"{ana.mine}/{sid}", {"last_read_message_index": 0}))["unread_messages_count"] == 3
    assert (await ana.post(f"{ana.mine}/{sid}", {"last_read_message_index": 99}))["last_read_message_index"] == 3
    none = await ana.post(f"{ana.mine}/{sid}", {"last_read_message_index": None})
    assert (none["unread_messages_count"], none["last_read_message_index"]) == (None, None)


async def test_a_horizon_shows_in_both_maps(ana: Sdk) -> None:
    sid = await ana.create()
    await ana.say(sid)
    await ana.post(f"{ana.mine}/{sid}", {"last_read_message_index": 0})
    names = (await ana.get("/Client/v2/Configuration"))["sync_objects"]
    (mine,) = (await ana.get(f"/v3/Maps/{names['my_conversations']}/Items"))["items"]
    (seat,) = (await ana.get(f"/v3/Maps/{sid}.roster/Items"))["items"]
    assert mine["data"]["lastConsumedMessageIndex"] == seat["data"]["lastConsumedMessageIndex"] == 0
    assert seat["data"]["lastConsumptionTimestamp"]


async def test_nothing_is_read_in_an_empty_conversation(ana: Sdk) -> None:
    sid = await ana.create()
    assert (await ana.post(f"{ana.mine}/{sid}", {"last_read_message_index": 5}))["last_read_message_index"] is None


@pytest.mark.parametrize("bad", [-1, "x", "3", True, 1.5, [], {}])
async def test_what_is_no_index_is_refused(ana: Sdk, bad: object) -> None:
    sid = await ana.create()
    assert (await ana.post(f"{ana.mine}/{sid}", {"last_read_message_index": bad})).failure == (400, 50421)


async def test_muting_is_the_members_own_matter(ana: Sdk, face: Face) -> None:
    sid = await ana.create()
    ben = await face.sdk("ben")
    await ben.join(sid)
    assert (await ben.post(f"{ben.mine}/{sid}", {"notification_level": "muted"}))["notification_level"] == "muted"
    assert (await ben.get(f"{ben.mine}/{sid}"))["notification_level"] == "muted"
    assert (await ana.get(f"{ana.mine}/{sid}"))["notification_level"] == "default"
    assert (await ben.post(f"{ben.mine}/{sid}", {"notification_level": "loud"})).failure == (400, 50210)


@pytest.mark.parametrize("token", ["", "x", "W10", "WzAsZmFsc2UsZmFsc2UsImEiLHRydWVd", "é", "WzEsMCwwLCJhIiwxXQ"])
async def test_an_invented_token_is_refused(ana: Sdk, token: str) -> None:
    answer = await ana.get(ana.mine, PageToken=token)
    assert answer.status == 200 if token == "" else answer.failure == (400, 20001)
