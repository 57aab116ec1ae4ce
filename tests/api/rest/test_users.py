"""Users (rest 11.1, semantics 3.3)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tertulia.server.domain import callers
from tertulia.server.domain.presence import ArriveUser, DepartUser
from tests.engine.world import World

from .client import AccountHolder


async def test_a_user_of_an_identity_alone_has_the_defaults(api: AccountHolder) -> None:
    made = await api.made("/Users", {"Identity": "ana"})
    configuration = (await api.get(f"/v1/Services/{api.service_sid}/Configuration")).body
    url = f"{api.root}/Users/{made['sid']}"
    assert made == {
        "sid": made["sid"],
        "account_sid": api.account_sid,
        "chat_service_sid": api.service_sid,
        "role_sid": configuration["default_chat_service_role_sid"],
        "identity": "ana",
        "friendly_name": None,
        "attributes": "{}",
        "is_online": None,
        "is_notifiable": None,
        "date_created": "2025-01-01T00:00:00Z",
        "date_updated": "2025-01-01T00:00:00Z",
        "url": url,
        "links": {"user_conversations": f"{url}/Conversations"},
    }
    for key in (made["sid"], "ana"):
        assert (await api.get(f"/Users/{key}")).body == made
    assert await api.everything("/Users") == [made]


async def test_an_update_changes_what_is_sent(world: World, api: AccountHolder) -> None:
    made = await api.made("/Users", {"Identity": "ana", "FriendlyName": "Ann", "Attributes": '{"a":1}'})
    world.clock.advance(timedelta(minutes=1))
    for key in (made["sid"], "ana"):
        assert (await api.post(f"/Users/{key}")).body == made
    got = await api.post("/Users/ana", {"FriendlyName": "Ann B", "Attributes": "[2]"})
    assert (got["friendly_name"], got["attributes"], got["date_updated"]) == ("Ann B", "[2]", "2025-01-01T00:01:00Z")


async def test_an_empty_friendly_name_clears_it(api: AccountHolder) -> None:
    await api.made("/Users", {"Identity": "ana", "FriendlyName": "Ann"})
    assert (await api.post("/Users/ana", {"FriendlyName": ""}))["friendly_name"] is None


async def test_a_role_can_be_given(api: AccountHolder) -> None:
    role = await api.made("/Roles", {"FriendlyName": "r", "Type": "service", "Permission": "joinConversation"})
    assert (await api.made("/Users", {"Identity": "ana", "RoleSid": role["sid"]}))["role_sid"] == role["sid"]
    await api.made("/Users", {"Identity": "ben"})
    assert (await api.post("/Users/ben", {"RoleSid": role["sid"]}))["role_sid"] == role["sid"]


async def test_an_identity_is_one_user_and_case_counts(api: AccountHolder) -> None:
    first = await api.made("/Users", {"Identity": "Ana"})
    sentence = (await api.post("/Users", {"Identity": "Ana"})).refused_with(409, 50201)
    assert sentence == "User already exists"
    assert (await api.made("/Users", {"Identity": "ana"}))["sid"] != first["sid"]


async def test_services_have_users_of_their_own(account: AccountHolder, other_service: AccountHolder) -> None:
    first = await account.made("/Users", {"Identity": "ana"})
    second = await other_service.made("/Users", {"Identity": "ana"})
    (await other_service.get(f"/Users/{first['sid']}")).refused_with(404, 20404)
    assert (await other_service.get("/Users/ana"))["sid"] == second["sid"]


async def test_a_deleted_user_leaves_every_conversation_and_comes_back_as_another(
    api: AccountHolder, room: str
) -> None:
    await api.made(f"{room}/Participants", {"Identity": "ana"})
    await api.made(f"{room}/Messages", {"Author": "ana", "Body": "x"})
    sid = (await api.get("/Users/ana"))["sid"]
    await api.post(room, {"State": "closed"})
    assert (await api.delete("/Users/ana")).status == 204
    assert await api.everything(f"{room}/Participants") == []
    assert [one["author"] for one in await api.everything(f"{room}/Messages")] == ["ana"]
    for key in (sid, "ana"):
        (await api.get(f"/Users/{key}")).refused_with(404, 20404)
        (await api.post(f"/Users/{key}", {"FriendlyName": "x"})).refused_with(404, 20404)
        (await api.delete(f"/Users/{key}")).refused_with(404, 20404)
    assert (await api.made("/Users", {"Identity": "ana"}))["sid"] != sid


async def test_the_identity_is_required(api: AccountHolder) -> None:
    sentence = (await api.post("/Users", {"FriendlyName": "x"})).refused_with(400, 20001)
    assert sentence == "Missing required parameter Identity in the post body"


@pytest.mark.parametrize(
    ("form", "status", "code"),
    [
        ({"Identity": ""}, 400, 50204),
        ({"Identity": "x" * 257}, 400, 50207),
        ({"Identity": "US" + "0" * 32}, 400, 50206),
        ({"Identity": "MB" + "0" * 32}, 400, 50206),
        ({"Identity": "system"}, 400, 50203),
        ({"Identity": "a", "Attributes": "{"}, 400, 50304),
        ({"Identity": "a", "Attributes": ""}, 400, 50304),
        ({"Identity": "a", "Attributes": '"' + "x" * 16 * 1024 + '"'}, 400, 50303),
        ({"Identity": "a", "FriendlyName": "x" * 257}, 400, 50003),
        ({"Identity": "a", "RoleSid": "RL" + "0" * 32}, 404, 50100),
        ({"Identity": "a", "RoleSid": ""}, 400, 50103),
    ],
)
async def test_values_are_checked(api: AccountHolder, form: dict[str, str], status: int, code: int) -> None:
    (await api.post("/Users", form)).refused_with(status, code)
    assert await api.everything("/Users") == []
    if code not in (50203, 50204, 50206, 50207):
        await api.made("/Users", {"Identity": "a"})
        (await api.post("/Users/a", form)).refused_with(status, code)


async def test_roles_are_of_the_service_type(api: AccountHolder) -> None:
    role = next(one["sid"] for one in await api.everything("/Roles") if one["type"] == "conversation")
    (await api.post("/Users", {"Identity": "a", "RoleSid": role})).refused_with(400, 50105)


async def test_an_identity_of_256_characters_is_one(api: AccountHolder) -> None:
    assert (await api.made("/Users", {"Identity": "ü" * 256}))["identity"] == "ü" * 256


async def test_reachability_is_shown_of_one_user_while_the_service_has_it_and_never_in_lists(
    world: World, api: AccountHolder
) -> None:
    configuration, system = f"/v1/Services/{api.service_sid}/Configuration", callers.system(api.account_sid)
    await api.made("/Users", {"Identity": "ana"})
    await api.post(configuration, {"ReachabilityEnabled": "true"})
    await world.sql("INSERT INTO nodes (id, alive_until) VALUES ('one', $1)", world.clock.now() + 60_000_000)
    await world.do(ArriveUser, by=system, service=api.service_sid, identity="ana", node="one")
    seen = (await api.get("/Users/ana")).body
    assert (seen["is_online"], seen["is_notifiable"]) == (True, None)
    assert (await api.post("/Users/ana", {"FriendlyName": "Ann"}))["is_online"] is True
    (listed,) = await api.everything("/Users")
    assert (listed["is_online"], listed["is_notifiable"]) == (None, None)
    await world.do(DepartUser, by=system, service=api.service_sid, identity="ana", node="one")
    assert (await api.get("/Users/ana"))["is_online"] is False
    await api.post(configuration, {"ReachabilityEnabled": "false"})
    assert (await api.get("/Users/ana"))["is_online"] is None
