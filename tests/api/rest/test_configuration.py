"""The account's configuration, and what its default service means (rest 1.1, 3.1)."""

from __future__ import annotations

import pytest

from .client import AccountHolder

OTHER = "MG" + "a" * 32


async def test_a_fresh_account_has_a_default_service_and_nothing_else(account: AccountHolder) -> None:
    got = (await account.get("/Configuration")).body
    assert got == {
        "account_sid": account.account_sid,
        "default_chat_service_sid": account.service_sid,
        "default_messaging_service_sid": None,
        "default_inactive_timer": None,
        "default_closed_timer": None,
        "url": f"{account.root}/Configuration",
        "links": {
            "service": f"{account.root}/Services/{account.service_sid}/Configuration",
            "webhooks": f"{account.root}/Configuration/Webhooks",
        },
    }


async def test_an_update_without_parameters_changes_nothing(account: AccountHolder) -> None:
    before = (await account.get("/Configuration")).body
    assert (await account.post("/Configuration")).body == before


async def test_timers_are_kept_as_given_and_cleared_by_an_empty_value(account: AccountHolder) -> None:
    timers = {"DefaultInactiveTimer": "PT5M", "DefaultClosedTimer": "P1DT2H"}
    got = await account.post("/Configuration", timers)
    assert (got["default_inactive_timer"], got["default_closed_timer"]) == ("PT5M", "P1DT2H")
    got = await account.post("/Configuration", {"DefaultInactiveTimer": ""})
    assert (got["default_inactive_timer"], got["default_closed_timer"]) == (None, "P1DT2H")


@pytest.mark.parametrize(
    ("form", "status", "code"),
    [
        ({"DefaultInactiveTimer": "PT59S"}, 400, 50375),
        ({"DefaultClosedTimer": "PT9M59S"}, 400, 50376),
        ({"DefaultInactiveTimer": "soon"}, 400, 50379),
        ({"DefaultInactiveTimer": "P1M"}, 400, 50379),
        ({"DefaultClosedTimer": "later"}, 400, 50380),
        ({"DefaultChatServiceSid": "IS" + "0" * 32}, 404, 50050),
        ({"DefaultChatServiceSid": "nonsense"}, 404, 50050),
        ({"DefaultMessagingServiceSid": "nonsense"}, 400, 50341),
    ],
)
async def test_values_are_checked(account: AccountHolder, form: dict[str, str], status: int, code: int) -> None:
    (await account.post("/Configuration", form)).refused_with(status, code)


async def test_the_short_form_means_the_default_service_of_the_moment(
    account: AccountHolder, other_service: AccountHolder
) -> None:
    before = await account.conversation(UniqueName="a")
    await account.post("/Configuration", {"DefaultChatServiceSid": other_service.service_sid})
    (await account.get("/Conversations/a")).refused_with(404, 20404)
    made = await account.made("/Conversations", {"UniqueName": "b"})
    assert made["chat_service_sid"] == other_service.service_sid
    assert (await other_service.get("/Conversations/b"))["sid"] == made["sid"]
    assert (await account.get(f"/Services/{account.service_sid}/Conversations/a"))["sid"] == before


async def test_both_forms_show_one_object_with_urls_of_their_own(account: AccountHolder) -> None:
    sid = await account.conversation(FriendlyName="both")
    short = (await account.get(f"/Conversations/{sid}")).body
    long = (await account.get(f"/Services/{account.service_sid}/Conversations/{sid}")).body
    home = f"{account.base_url}/v1/Services/{account.service_sid}/Conversations/{sid}"
    assert short["url"] == f"{account.base_url}/v1/Conversations/{sid}"
    assert long["url"] == home
    assert long["links"]["messages"] == f"{home}/Messages"
    assert {**long, "url": 0, "links": 0} == {**short, "url": 0, "links": 0}


async def test_new_conversations_get_the_defaults_of_the_account(account: AccountHolder) -> None:
    old = await account.conversation()
    await account.post(
        "/Configuration",
        {"DefaultMessagingServiceSid": OTHER, "DefaultInactiveTimer": "PT1M", "DefaultClosedTimer": "PT10M"},
    )
    made = await account.made("/Conversations")
    assert made["messaging_service_sid"] == OTHER
    assert made["timers"] == {"date_inactive": "2025-01-01T00:01:00Z", "date_closed": "2025-01-01T00:10:00Z"}
    assert (await account.get(f"/Conversations/{old}"))["timers"] == {}
    own = await account.made("/Conversations", {"Timers.Inactive": "", "Timers.Closed": "PT0S"})
    assert own["timers"] == {}
