"""Users (client-commands 4.5)."""

from __future__ import annotations

import pytest

from tests.engine.world import BASE_URL, World

from .sdk import Sdk

USERS = "/Client/v2/Users"


async def test_everybody_reads_the_users_of_his_service(ana: Sdk, ben: Sdk, world: World) -> None:
    seen = await ana.get(f"{USERS}/ben")
    name = f"{world.service}.ben.info"
    assert seen["sync_objects"] == {"user_info_map": name}
    assert (seen["identity"], seen["friendly_name"], seen["attributes"]) == ("ben", None, "{}")
    assert (seen["is_online"], seen["is_notifiable"]) == (None, None)
    assert seen["url"] == f"{BASE_URL}{USERS}/ben"
    assert (await ana.get(f"/v3/Maps/{name}", Include="items")).status == 200


async def test_an_unknown_user_is_not_there(ana: Sdk) -> None:
    assert (await ana.get(f"{USERS}/nobody")).failure == (404, 50200)
    assert (await ana.post(f"{USERS}/nobody", {"friendly_name": "x"})).failure == (404, 50200)


async def test_one_changes_ones_own_profile(ana: Sdk, world: World) -> None:
    changed = await ana.post(f"{USERS}/ana", {"friendly_name": "Ana", "role_sid": "RL" + "0" * 32})
    assert (changed.status, changed["friendly_name"], changed["attributes"]) == (200, "Ana", "{}")
    changed = await ana.post(f"{USERS}/ana", {"attributes": '{"a":1}'})
    assert (changed["friendly_name"], changed["attributes"]) == ("Ana", '{"a":1}')
    items = (await ana.get(f"/v3/Maps/{world.service}.ana.info", Include="items"))["items"]
    values = {item["key"]: item["data"]["value"] for item in items}
    assert values == {"friendlyName": "Ana", "attributes": '{"a":1}'}
    assert {item["date_updated"] for item in items} == {changed["date_updated"]}


@pytest.mark.parametrize("nothing", ["", None])
async def test_an_empty_name_takes_it_away(ana: Sdk, nothing: str | None) -> None:
    await ana.post(f"{USERS}/ana", {"friendly_name": "Ana"})
    assert (await ana.post(f"{USERS}/ana", {"friendly_name": nothing}))["friendly_name"] is None


@pytest.mark.parametrize("body", [{"friendly_name": "x"}, {"friendly_name": None}, {"attributes": "{}"}])
async def test_others_profiles_are_not_changed_without_permission(ana: Sdk, ben: Sdk, body: object) -> None:
    assert (await ana.post(f"{USERS}/ben", body)).failure == (403, 50107)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"attributes": "no"}, 50304),
        ({"attributes": '"' + "x" * 16384 + '"'}, 50303),
        ({"friendly_name": "x" * 257}, 50003),
    ],
)
async def test_a_wrong_profile_is_refused(ana: Sdk, body: object, code: int) -> None:
    assert (await ana.post(f"{USERS}/ana", body)).failure == (400, code)
