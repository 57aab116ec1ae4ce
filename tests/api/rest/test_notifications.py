"""Notification settings of a service (rest 4.3, semantics 7.3)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.engine.world import World

from .client import AccountHolder

NOTHING: dict[str, Any] = {
    "log_enabled": False,
    "new_message": {
        "enabled": False,
        "template": "",
        "sound": "",
        "badge_count_enabled": False,
        "with_media": {"enabled": False, "template": ""},
    },
    "added_to_conversation": {"enabled": False, "template": "", "sound": ""},
    "removed_from_conversation": {"enabled": False, "template": "", "sound": ""},
}
EVERYTHING = {
    "LogEnabled": "true",
    "NewMessage.Enabled": "true",
    "NewMessage.Template": "${CONVERSATION};${PARTICIPANT}: ${MESSAGE}",
    "NewMessage.Sound": "ring",
    "NewMessage.BadgeCountEnabled": "true",
    "NewMessage.WithMedia.Enabled": "true",
    "NewMessage.WithMedia.Template": "${MEDIA_COUNT} files",
    "AddedToConversation.Enabled": "true",
    "AddedToConversation.Template": "in ${CONVERSATION}",
    "AddedToConversation.Sound": "ping",
    "RemovedFromConversation.Enabled": "true",
    "RemovedFromConversation.Template": "out",
    "RemovedFromConversation.Sound": "pong",
}


def path(account: AccountHolder) -> str:
    return f"/v1/Services/{account.service_sid}/Configuration/Notifications"


def settings(body: dict[str, Any]) -> dict[str, Any]:
    return {name: body[name] for name in NOTHING}


async def test_a_new_service_sends_nothing(account: AccountHolder, other_service: AccountHolder) -> None:
    for one in (account, other_service):
        got = (await one.get(path(one))).body
        home = {
            "account_sid": one.account_sid,
            "chat_service_sid": one.service_sid,
            "url": one.base_url + path(one),
        }
        assert got == {**home, **NOTHING}
        assert (await one.post(path(one))).body == got


async def test_everything_can_be_set_and_is_kept_for_the_service_alone(
    account: AccountHolder, other_service: AccountHolder
) -> None:
    got = await account.post(path(account), EVERYTHING)
    assert settings(got.body) == {
        "log_enabled": True,
        "new_message": {
            "enabled": True,
            "template": "${CONVERSATION};${PARTICIPANT}: ${MESSAGE}",
            "sound": "ring",
            "badge_count_enabled": True,
            "with_media": {"enabled": True, "template": "${MEDIA_COUNT} files"},
        },
        "added_to_conversation": {"enabled": True, "template": "in ${CONVERSATION}", "sound": "ping"},
        "removed_from_conversation": {"enabled": True, "template": "out", "sound": "pong"},
    }
    assert (await account.get(path(account))).body == got.body
    assert settings((await other_service.get(path(other_service))).body) == NOTHING


async def test_what_is_not_sent_stays_and_an_empty_text_clears(account: AccountHolder) -> None:
    before = (await account.post(path(account), EVERYTHING)).body
    after = (await account.post(path(account), {"NewMessage.Sound": "", "AddedToConversation.Enabled": "False"})).body
    assert after["new_message"] == {**before["new_message"], "sound": ""}
    assert after["added_to_conversation"] == {**before["added_to_conversation"], "enabled": False}
    assert after["removed_from_conversation"] == before["removed_from_conversation"]
    assert (await account.get(path(account))).body == after


@pytest.mark.parametrize(
    ("name", "length", "code"),
    [
        *((f"{kind}.Template", 1024, 50058) for kind in ("NewMessage", "NewMessage.WithMedia", "AddedToConversation")),
        ("RemovedFromConversation.Template", 1024, 50058),
        *((f"{kind}.Sound", 256, 50059) for kind in ("NewMessage", "AddedToConversation", "RemovedFromConversation")),
    ],
)
async def test_templates_and_sounds_have_a_length(account: AccountHolder, name: str, length: int, code: int) -> None:
    (await account.post(path(account), {name: "x" * (length + 1)})).refused_with(400, code)
    assert (await account.post(path(account), {name: "x" * length})).status == 200


async def test_a_switch_is_true_or_false(account: AccountHolder) -> None:
    (await account.post(path(account), {"LogEnabled": "perhaps"})).refused_with(400, 20001)


async def test_they_go_with_their_service(account: AccountHolder, other_service: AccountHolder, world: World) -> None:
    await other_service.post(path(other_service), EVERYTHING)
    await account.delete(f"/Services/{other_service.service_sid}")
    for method in ("GET", "POST"):
        (await account.ask(method, path(other_service))).refused_with(404, 20404)
    assert await world.count("notification_settings") == 0


async def test_those_of_another_account_are_absent(account: AccountHolder, stranger: AccountHolder) -> None:
    await account.post(path(account), EVERYTHING)
    for service in (path(account), "/v1/Services/IS" + "0" * 32 + "/Configuration/Notifications"):
        for method in ("GET", "POST"):
            (await stranger.ask(method, service, data=EVERYTHING)).refused_with(404, 20404)
