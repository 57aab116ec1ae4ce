"""Roles (rest 10, semantics 2)."""

from __future__ import annotations

import pytest

from .client import AccountHolder

ROLE: dict[str, str | list[str]] = {
    "FriendlyName": "Driver",
    "Type": "conversation",
    "Permission": ["sendMessage", "editOwnMessage"],
}


async def test_a_role_can_be_made_read_listed_and_deleted(api: AccountHolder) -> None:
    made = await api.made("/Roles", ROLE)
    assert made == {
        "sid": made["sid"],
        "account_sid": api.account_sid,
        "chat_service_sid": api.service_sid,
        "friendly_name": "Driver",
        "type": "conversation",
        "permissions": ["sendMessage", "editOwnMessage"],
        "date_created": "2025-01-01T00:00:00Z",
        "date_updated": "2025-01-01T00:00:00Z",
        "url": f"{api.root}/Roles/{made['sid']}",
    }
    assert (await api.get(f"/Roles/{made['sid']}")).body == made
    assert made in await api.everything("/Roles")
    assert (await api.delete(f"/Roles/{made['sid']}")).status == 204
    (await api.get(f"/Roles/{made['sid']}")).refused_with(404, 20404)
    (await api.post(f"/Roles/{made['sid']}", {"Permission": "sendMessage"})).refused_with(404, 20404)


async def test_an_update_replaces_the_whole_set(api: AccountHolder) -> None:
    path = f"/Roles/{(await api.made('/Roles', ROLE))['sid']}"
    assert (await api.post(path, {"Permission": "deleteAnyMessage"}))["permissions"] == ["deleteAnyMessage"]
    assert (await api.get(path))["permissions"] == ["deleteAnyMessage"]


async def test_the_type_may_be_in_any_case(api: AccountHolder) -> None:
    made = await api.made("/Roles", {**ROLE, "Type": "CoNvErSaTiOn"})
    assert made["type"] == "conversation"


@pytest.mark.parametrize("missing", ["FriendlyName", "Type", "Permission"])
async def test_name_type_and_permissions_are_required(api: AccountHolder, missing: str) -> None:
    form = {name: value for name, value in ROLE.items() if name != missing}
    sentence = (await api.post("/Roles", form)).refused_with(400, 20001)
    assert sentence == f"Missing required parameter {missing} in the post body"


async def test_an_update_needs_permissions(api: AccountHolder) -> None:
    path = f"/Roles/{(await api.made('/Roles', ROLE))['sid']}"
    (await api.post(path)).refused_with(400, 20001)
    (await api.post(path, {"Permission": ""})).refused_with(400, 20001)
    (await api.post(path, {"Permission": "createConversation"})).refused_with(400, 50104)


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"Type": "emperor"}, 50105),
        ({"Type": ""}, 50105),
        ({"Permission": ["flyToTheMoon"]}, 50104),
        ({"Permission": ["sendMessage", "createConversation"]}, 50104),
        ({"Permission": ["sendMessage"], "Type": "service"}, 50104),
        ({"Permission": ""}, 20001),
        ({"FriendlyName": "x" * 65}, 50003),
        ({"FriendlyName": ""}, 50000),
    ],
)
async def test_values_are_checked(api: AccountHolder, form: dict[str, str | list[str]], code: int) -> None:
    (await api.post("/Roles", {**ROLE, **form})).refused_with(400, code)


async def test_every_permission_can_be_granted_by_a_role_of_its_type(api: AccountHolder) -> None:
    both = [
        "addParticipant",
        "removeParticipant",
        "addNonChatParticipant",
        "deleteConversation",
        "deleteAnyMessage",
        "deleteOwnMessage",
        "editAnyMessage",
        "editOwnMessage",
        "editAnyMessageAttributes",
        "editOwnMessageAttributes",
        "editAnyParticipantAttributes",
        "editOwnParticipantAttributes",
        "editConversationName",
        "editConversationAttributes",
        "readChannelMetadata",
    ]
    for kind, own in (
        ("conversation", ["sendMessage", "sendMediaMessage", "leaveConversation", "editNotificationLevel"]),
        ("service", ["createConversation", "joinConversation", "editOwnUserInfo", "editAnyUserInfo"]),
    ):
        names = [*both, *own]
        made = await api.made("/Roles", {"FriendlyName": "all", "Type": kind, "Permission": names})
        assert made["permissions"] == names


async def test_a_default_role_cannot_be_deleted(api: AccountHolder) -> None:
    configuration = (await api.get(f"/v1/Services/{api.service_sid}/Configuration")).body
    for name, sid in configuration.items():
        if name.endswith("_role_sid"):
            (await api.delete(f"/Roles/{sid}")).refused_with(409, 20409)


async def test_a_role_that_somebody_has_cannot_be_deleted(api: AccountHolder, room: str) -> None:
    talk = (await api.made("/Roles", ROLE))["sid"]
    serve = (await api.made("/Roles", {"FriendlyName": "s", "Type": "service", "Permission": "joinConversation"}))[
        "sid"
    ]
    await api.made("/Users", {"Identity": "ana", "RoleSid": serve})
    await api.made(f"{room}/Participants", {"Identity": "ben", "RoleSid": talk})
    for sid in (talk, serve):
        (await api.delete(f"/Roles/{sid}")).refused_with(409, 20409)
    await api.delete("/Users/ana")
    await api.delete(f"{room}/Participants/ben")
    for sid in (talk, serve):
        assert (await api.delete(f"/Roles/{sid}")).status == 204
