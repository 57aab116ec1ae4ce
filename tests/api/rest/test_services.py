"""Services and their configuration (rest 4.1, 4.2)."""

from __future__ import annotations

import pytest

from .client import AccountHolder

LINKS = {
    "conversations": "Conversations",
    "users": "Users",
    "roles": "Roles",
    "bindings": "Bindings",
    "configuration": "Configuration",
    "participant_conversations": "ParticipantConversations",
    "conversation_with_participants": "ConversationWithParticipants",
}
NO_ROLE = "RL" + "0" * 32


async def test_a_service_can_be_made_read_listed_and_deleted(account: AccountHolder) -> None:
    made = await account.made("/Services", {"FriendlyName": "Café ☃"})
    url = f"{account.root}/Services/{made['sid']}"
    assert made == {
        "account_sid": account.account_sid,
        "sid": made["sid"],
        "friendly_name": "Café ☃",
        "date_created": "2025-01-01T00:00:00Z",
        "date_updated": "2025-01-01T00:00:00Z",
        "url": url,
        "links": {name: f"{url}/{tail}" for name, tail in LINKS.items()},
    }
    assert (await account.get(f"/Services/{made['sid']}")).body == made
    assert [one["sid"] for one in await account.everything("/Services")] == [account.service_sid, made["sid"]]
    assert (await account.delete(f"/Services/{made['sid']}")).status == 204
    (await account.get(f"/Services/{made['sid']}")).refused_with(404, 20404)
    (await account.delete(f"/Services/{made['sid']}")).refused_with(404, 20404)


@pytest.mark.parametrize(
    ("form", "code"),
    [({}, 20001), ({"FriendlyName": ""}, 50000), ({"FriendlyName": "x" * 257}, 50003)],
)
async def test_a_service_needs_a_name_of_256_characters_at_most(
    account: AccountHolder, form: dict[str, str], code: int
) -> None:
    (await account.post("/Services", form)).refused_with(400, code)


async def test_what_is_missing_is_named(account: AccountHolder) -> None:
    sentence = (await account.post("/Services")).refused_with(400, 20001)
    assert sentence == "Missing required parameter FriendlyName in the post body"


async def test_the_default_service_cannot_be_deleted(account: AccountHolder) -> None:
    (await account.delete(f"/Services/{account.service_sid}")).refused_with(409, 20409)


async def test_services_have_no_update(account: AccountHolder) -> None:
    (await account.post(f"/Services/{account.service_sid}", {"FriendlyName": "x"})).refused_with(405, 20004)


async def test_deleting_a_service_takes_everything_along(account: AccountHolder, other_service: AccountHolder) -> None:
    room = f"/Conversations/{await other_service.conversation()}"
    await other_service.made(f"{room}/Participants", {"Identity": "ana"})
    assert (await account.delete(f"/Services/{other_service.service_sid}")).status == 204
    for path in (room, f"{room}/Participants", "/Users", "/Users/ana", "/Roles", "/Configuration"):
        (await other_service.get(path)).refused_with(404, 20404)


async def test_a_new_service_is_wired_to_its_four_roles(other_service: AccountHolder) -> None:
    got = (await other_service.get("/Configuration")).body
    url = f"{other_service.root}/Configuration"
    roles = {one["sid"]: (one["friendly_name"], one["type"]) for one in await other_service.everything("/Roles")}
    assert sorted(roles.values()) == [
        ("channel admin", "conversation"),
        ("channel user", "conversation"),
        ("service admin", "service"),
        ("service user", "service"),
    ]
    assert roles[got["default_chat_service_role_sid"]] == ("service user", "service")
    assert roles[got["default_conversation_role_sid"]] == ("channel user", "conversation")
    assert roles[got["default_conversation_creator_role_sid"]] == ("channel admin", "conversation")
    assert (got["chat_service_sid"], got["reachability_enabled"]) == (other_service.service_sid, False)
    assert (got["url"], got["links"]) == (
        url,
        {"notifications": f"{url}/Notifications", "webhooks": f"{url}/Webhooks"},
    )


async def test_new_members_get_the_configured_roles(other_service: AccountHolder) -> None:
    talk = {"FriendlyName": "t", "Type": "conversation", "Permission": "sendMessage"}
    serve = {"FriendlyName": "s", "Type": "service", "Permission": "joinConversation"}
    member, user = (await other_service.made("/Roles", talk))["sid"], (await other_service.made("/Roles", serve))["sid"]
    form = {"DefaultConversationRoleSid": member, "DefaultChatServiceRoleSid": user, "ReachabilityEnabled": "TRUE"}
    got = await other_service.post("/Configuration", form)
    assert got["reachability_enabled"] is True
    room = f"/Conversations/{await other_service.conversation()}"
    assert (await other_service.made(f"{room}/Participants", {"Identity": "ana"}))["role_sid"] == member
    assert (await other_service.get("/Users/ana"))["role_sid"] == user
    got = await other_service.post("/Configuration", {"ReachabilityEnabled": "false"})
    assert (got["reachability_enabled"], got["default_conversation_role_sid"]) == (False, member)
    assert (await other_service.post("/Configuration")).body == got.body


@pytest.mark.parametrize(
    ("form", "status", "code"),
    [
        ({"DefaultConversationRoleSid": NO_ROLE}, 404, 50100),
        ({"DefaultChatServiceRoleSid": ""}, 400, 50103),
        ({"DefaultConversationCreatorRoleSid": "service"}, 400, 50105),
        ({"DefaultChatServiceRoleSid": "conversation"}, 400, 50105),
        ({"ReachabilityEnabled": "perhaps"}, 400, 20001),
        ({"ReachabilityEnabled": ""}, 400, 20001),
    ],
)
async def test_default_roles_are_roles_of_the_service_and_of_their_type(
    other_service: AccountHolder, form: dict[str, str], status: int, code: int
) -> None:
    roles = {one["type"]: one["sid"] for one in await other_service.everything("/Roles")}
    resolved = {name: roles.get(value, value) for name, value in form.items()}
    (await other_service.post("/Configuration", resolved)).refused_with(status, code)


async def test_a_role_of_another_service_is_none(account: AccountHolder, other_service: AccountHolder) -> None:
    foreign = (await account.everything("/Roles"))[0]["sid"]
    (await other_service.post("/Configuration", {"DefaultChatServiceRoleSid": foreign})).refused_with(404, 50100)
