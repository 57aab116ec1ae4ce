"""Participants (client-commands 4.2)."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tertulia.server.domain.roles import UpdateRole
from tests.engine.world import BASE_URL, World

from .sdk import Face, Sdk

ALL = "/Client/v2/Conversations"


async def test_joining_is_to_add_oneself(ana: Sdk, ben: Sdk) -> None:
    sid = await ana.create()
    joined = await ben.join(sid)
    assert joined.status == 201
    assert (await ben.join(sid)).failure == (409, 50433)
    assert (await ben.get(f"{ALL}/{sid}"))["status"] == "joined"


async def test_the_answer_has_every_member_that_applications_see(ana: Sdk) -> None:
    sid = await ana.create()
    added = await ana.post(f"{ALL}/{sid}/Participants", {"identity": "bob", "attributes": '{"a":1}'})
    assert added.json.keys() == {
        "account_sid",
        "chat_service_sid",
        "conversation_sid",
        "role_sid",
        "sid",
        "attributes",
        "date_created",
        "date_updated",
        "identity",
        "messaging_binding",
        "url",
        "links",
    }
    assert (added["identity"], added["attributes"], added["messaging_binding"]) == ("bob", '{"a":1}', None)
    assert added["links"] == {"conversation": f"{BASE_URL}{ALL}/{sid}"}
    assert added["url"] == f"{BASE_URL}{ALL}/{sid}/Participants/{added['sid']}"
    (_, item) = (await ana.get(f"/v3/Maps/{sid}.roster/Items"))["items"]
    assert item["key"] == added["sid"]
    assert (item["data"]["dateCreated"], item["data"]["dateUpdated"]) == (added["date_created"], added["date_updated"])


async def test_adding_others_needs_its_permission(ana: Sdk, ben: Sdk) -> None:
    sid = await ana.create()
    await ben.join(sid)
    assert (await ben.post(f"{ALL}/{sid}/Participants", {"identity": "bob"})).failure == (403, 50107)


async def test_without_the_permission_to_join_there_is_nothing_to_join(ana: Sdk, ben: Sdk, world: World) -> None:
    sid, made = await ana.create(), await ben.post(ALL, {"attributes": "{}"})
    role_sid = (await ben.get("/Client/v2/Users/ben"))["role_sid"]
    change = UpdateRole(service=world.service, role=role_sid, permissions=("editOwnUserInfo",))
    await world.engine.execute(world.account, change)
    assert (await ben.join(sid)).failure == (404, 50350)
    assert await ben.join(sid) == await ben.join("CH" + "0" * 32)
    assert (await ben.join(made["sid"])).failure == (403, 50107)
    await world.add(sid, "ben")
    assert (await ben.join(sid)).failure == (403, 50107)


async def test_somebody_on_a_channel_is_added_by_address(ana: Sdk) -> None:
    sid = await ana.create()
    place = {"address": "+15550001111", "proxy_address": "+15550002222"}
    added = await ana.post(f"{ALL}/{sid}/Participants", {"attributes": "{}", "messaging_binding": place})
    assert (added.status, added["identity"], added["role_sid"]) == (201, None, None)
    assert added["messaging_binding"] == {"type": "sms", **place}
    assert (await ana.post(f"{ALL}/{sid}/Participants", {"messaging_binding": place})).failure == (409, 50416)


async def test_name_and_level_are_of_e_mail(ana: Sdk) -> None:
    sid = await ana.create()
    place = {"address": "bob@mail.test", "proxy_address": "us@mail.test", "name": "Bob", "level": "cc"}
    added = await ana.post(f"{ALL}/{sid}/Participants", {"messaging_binding": place})
    assert added["messaging_binding"] == {"type": "email", **place}
    wrong = {"address": "+15550001111", "proxy_address": "+15550002222", "level": "to"}
    assert (await ana.post(f"{ALL}/{sid}/Participants", {"messaging_binding": wrong})).failure == (400, 50420)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, 50204),
        ({"identity": None, "messaging_binding": {}}, 50204),
        ({"identity": ""}, 50204),
        ({"identity": "system"}, 50203),
        ({"identity": "MB" + "0" * 32}, 50206),
        ({"identity": "x" * 257}, 50207),
        ({"identity": "bob", "messaging_binding": {"address": "+15550001111"}}, 50211),
        ({"identity": "ana", "messaging_binding": {"address": "+15550001111"}}, 50211),
        ({"messaging_binding": {"address": "nonsense"}}, 50407),
        ({"identity": "bob", "attributes": "no json"}, 50304),
        ({"identity": "bob", "attributes": {}}, 20001),
        ({"identity": 7}, 20001),
    ],
)
async def test_a_wrong_participant_is_refused(ana: Sdk, body: object, code: int) -> None:
    sid = await ana.create()
    assert (await ana.post(f"{ALL}/{sid}/Participants", body)).failure == (400, code)


@pytest.mark.parametrize("identity", ["bob", "a b/é+50%@x.y", "ünï?#"])
async def test_a_participant_is_removed_by_identity_or_sid(ana: Sdk, identity: str) -> None:
    sid = await ana.create()
    for by_sid in (True, False):
        added = await ana.post(f"{ALL}/{sid}/Participants", {"identity": identity})
        key = added["sid"] if by_sid else quote(identity, safe="")
        gone = await ana.delete(f"{ALL}/{sid}/Participants/{key}")
        assert (gone.status, gone.raw) == (204, b"")
        assert (await ana.delete(f"{ALL}/{sid}/Participants/{key}")).failure == (404, 50432)


async def test_one_leaves_by_identity_or_sid_and_removes_nobody_else(ana: Sdk, ben: Sdk) -> None:
    sid = await ana.create()
    for by_sid in (True, False):
        seat = await ben.join(sid)
        assert (await ben.delete(f"{ALL}/{sid}/Participants/ana")).failure == (403, 50107)
        assert (await ben.delete(f"{ALL}/{sid}/Participants/{seat['sid'] if by_sid else 'ben'}")).status == 204
        assert (await ben.get(f"{ALL}/{sid}")).failure == (404, 50350)


async def test_attributes_are_the_participants_own_matter(ana: Sdk, face: Face) -> None:
    sid, ben = await ana.create(), await face.sdk("ben")
    seat, mine = await ben.join(sid), await ana.get(f"/v3/Maps/{sid}.roster/Items")
    changed = await ben.post(seat["url"], {"attributes": '{"x":1}', "role_sid": "RL" + "0" * 32})
    assert (changed.status, changed["attributes"], changed["role_sid"]) == (200, '{"x":1}', seat["role_sid"])
    other = mine["items"][0]["key"]
    assert (await ben.post(f"{ALL}/{sid}/Participants/{other}", {"attributes": "{}"})).failure == (403, 50107)
    assert (await ana.post(seat["url"], {"attributes": "{}"})).status == 200
