"""Opening Sync objects (realtime 9.1, 9.3)."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.engine.world import BASE_URL, World

from .sdk import Face, Sdk

ALL = "/Client/v2/Conversations"
ROOT = {
    "sid",
    "unique_name",
    "account_sid",
    "service_sid",
    "created_by",
    "url",
    "revision",
    "last_event_id",
    "date_created",
    "date_updated",
    "date_expires",
}
MISSING = {"Documents": 54100, "Lists": 54150, "Maps": 54200}


async def names_of(sdk: Sdk, conversation: str) -> dict[str, tuple[str, str]]:
    """Every object of a member: its name and the type it is opened as."""
    mine = (await sdk.get("/Client/v2/Configuration"))["sync_objects"]
    return {
        "document": (f"{conversation}.channel", "Documents"),
        "messages": (f"{conversation}.messages", "Lists"),
        "roster": (f"{conversation}.roster", "Maps"),
        "conversations": (mine["my_conversations"], "Maps"),
        "info": (mine["my_user_info"], "Maps"),
    }


async def test_each_object_opens_by_name_and_by_sid_under_both_paths(ana: Sdk, world: World) -> None:
    sid = await ana.create()
    for name, plural in (await names_of(ana, sid)).values():
        root = await ana.get(f"/v3/{plural}/{quote(name, safe='')}")
        is_document = plural == "Documents"
        assert root.json.keys() == ROOT | ({"data"} if is_document else {"links"})
        assert (root["unique_name"], root["service_sid"], root["date_expires"]) == (name, world.service, None)
        assert root["url"] == f"{BASE_URL}/v3/Services/{world.service}/{plural}/{root['sid']}"
        assert root["revision"] == format(max(root["last_event_id"], 0), "x")
        if not is_document:
            assert root["links"] == {"items": f"{root['url']}/Items"}
        for url in (root["url"], f"/v3/{plural}/{root['sid']}", f"/v3/Services/{world.service}/{plural}/{name}"):
            assert await ana.get(url) == root


async def test_an_object_of_another_type_or_service_is_absent(ana: Sdk, face: Face) -> None:
    sid = await ana.create()
    for name, plural in (await names_of(ana, sid)).values():
        for other, code in MISSING.items():
            if other != plural:
                assert (await ana.get(f"/v3/{other}/{name}")).failure == (404, code)
        foreign = f"/v3/Services/IS{'0' * 32}/{plural}/{name}"
        assert (await ana.get(foreign)).failure == (404, MISSING[plural])
        if plural != "Documents":
            assert (await ana.get(f"{foreign}/Items")).failure == (404, MISSING[plural])


async def test_what_one_may_not_see_is_absent_in_every_byte(ana: Sdk, face: Face) -> None:
    eve, sid, absent = await face.sdk("eve"), await ana.create(), "CH" + "0" * 32
    for suffix, plural in (("channel", "Documents"), ("messages", "Lists"), ("roster", "Maps")):
        real = await eve.get(f"/v3/{plural}/{sid}.{suffix}")
        assert real.failure == (404, MISSING[plural])
        assert real == await eve.get(f"/v3/{plural}/{absent}.{suffix}")
        opened = (await ana.get(f"/v3/{plural}/{sid}.{suffix}"))["sid"]
        assert real == await eve.get(f"/v3/{plural}/{opened}")
    names = await names_of(ana, sid)
    assert (await eve.get(f"/v3/Maps/{names['conversations'][0]}")).failure == (404, 54200)
    assert (await eve.get(f"/v3/Maps/{names['conversations'][0]}/Items")).failure == (404, 54200)
    assert (await eve.get(f"/v3/Maps/{names['info'][0]}")).status == 200


@pytest.mark.parametrize("name", ["x", ".", "..channel", "CH.channel", "a%2Fb", "%00", "💩.info", "MP" + "0" * 32])
async def test_a_name_that_means_nothing_is_absent(ana: Sdk, name: str) -> None:
    expected = (404, 20404) if name == "%00" else (404, 54200)
    assert (await ana.get(f"/v3/Maps/{name}")).failure == expected


async def test_numbers_begin_where_clients_expect_them(ana: Sdk, ben: Sdk) -> None:
    made = await ana.post(ALL, {"attributes": "{}"})
    sid = made["sid"]
    assert (await ana.get(f"/v3/Documents/{sid}.channel"))["last_event_id"] == 0
    await ana.join(sid)
    assert (await ana.get(f"/v3/Lists/{sid}.messages"))["last_event_id"] == -1
    assert (await ana.get(f"/v3/Lists/{sid}.messages"))["revision"] == "0"
    names = await names_of(ben, sid)
    assert (await ben.get(f"/v3/Maps/{names['conversations'][0]}"))["last_event_id"] == -1


async def test_every_change_takes_a_number_and_items_carry_theirs(ana: Sdk) -> None:
    sid = await ana.create()
    url = f"/v3/Lists/{sid}.messages"
    first, second = await ana.say(sid), await ana.say(sid)
    await ana.post(first["url"], {"body": "edited"})
    seen = [(item["index"], item["last_event_id"]) for item in (await ana.get(f"{url}/Items"))["items"]]
    assert (seen, (await ana.get(url))["last_event_id"]) == ([(0, 2), (1, 1)], 2)
    await ana.delete(second["url"])
    assert (await ana.get(url))["last_event_id"] == 3
    assert [item["index"] for item in (await ana.get(f"{url}/Items"))["items"]] == [0]


async def test_a_document_brings_its_content(ana: Sdk) -> None:
    sid = await ana.create(friendly_name="Room", attributes='{"a":1}')
    data = (await ana.get(f"/v3/Documents/{sid}.channel"))["data"]
    assert (data["friendlyName"], data["uniqueName"], data["attributes"]) == ("Room", None, '{"a":1}')
    assert (data["messages"], data["roster"], data["lastMessage"]) == (f"{sid}.messages", f"{sid}.roster", None)


async def test_items_come_with_a_users_map_when_asked_for(ana: Sdk, world: World) -> None:
    url = f"/v3/Maps/{world.service}.ana.info"
    root = await ana.get(url, Include="items")
    assert "items" not in (await ana.get(url)).json
    assert root["items"] == (await ana.get(f"{url}/Items"))["items"]
    assert [item["key"] for item in root["items"]] == ["attributes", "friendlyName"]
    assert all(item["last_event_id"] <= root["last_event_id"] for item in root["items"])


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/{name}",
        "/{name}/Items",
        "/{name}/Items/key",
        "/{name}/Permissions",
        "/{name}/Permissions/ana",
    ],
)
async def test_nobody_writes(ana: Sdk, world: World, path: str) -> None:
    sid = await ana.create()
    for top in ("/v3", f"/v3/Services/{world.service}"):
        for plural, name in (("Documents", f"{sid}.channel"), ("Lists", f"{sid}.messages"), ("Maps", f"{sid}.roster")):
            for method in ("POST", "PUT", "DELETE"):
                answer = await ana.send(method, f"{top}/{plural}{path.format(name=name)}", b'"text"')
                assert answer.failure == (403, 54007), (method, top, plural)


@pytest.mark.parametrize(
    "path",
    ["/v3/Streams/x", "/v3/Insights/x/Items", "/v3/Maps", "/v3/Maps/x/Items/key", "/v3/Documents/x/Items", "/v3/x/y/z"],
)
async def test_other_sync_paths_are_refused_alike(ana: Sdk, path: str) -> None:
    for method in ("GET", "POST"):
        assert (await ana.send(method, path)).failure == (403, 54007)
