"""Hooks of accounts and services, webhooks of conversations, as an account holder sets them (rest 3.2, 4.4, 9)."""

from __future__ import annotations

import pytest

from tertulia.server.domain.webhooks import CONVERSATION_EVENTS, EVENTS, STALE_EVENTS

from .client import AccountHolder

ACCOUNT = "/v1/Configuration/Webhooks"
URL = "https://hooks.example/path?a=b"
FLOW = "FW" + "a" * 32


def service(api: AccountHolder) -> str:
    return f"/v1/Services/{api.service_sid}/Configuration/Webhooks"


class TestHooksOfTheAccount:
    async def test_they_are_none_at_first(self, account: AccountHolder) -> None:
        answer = await account.get(ACCOUNT)
        assert answer.body == {
            "account_sid": account.account_sid,
            "method": "POST",
            "filters": [],
            "pre_webhook_url": None,
            "post_webhook_url": None,
            "target": "webhook",
            "url": f"{account.base_url}{ACCOUNT}",
        }

    async def test_what_is_sent_changes_and_the_rest_stays(self, account: AccountHolder) -> None:
        form = {
            "PreWebhookUrl": URL,
            "PostWebhookUrl": URL,
            "Method": "get",
            "Filters": ["onMessageAdd", "onUserAdded"],
        }
        await account.post(ACCOUNT, form)
        answer = await account.post(ACCOUNT, {"PostWebhookUrl": "", "Target": "webhook"})
        assert (answer["pre_webhook_url"], answer["post_webhook_url"]) == (URL, None)
        assert (answer["method"], answer["filters"]) == ("GET", ["onMessageAdd", "onUserAdded"])
        assert (await account.get(ACCOUNT)).body == answer.body
        assert (await account.post(ACCOUNT)).body == answer.body
        assert (await account.post(ACCOUNT, {"Filters": ""}))["filters"] == []

    async def test_every_event_can_be_asked_for_and_stale_names_do_no_harm(self, account: AccountHolder) -> None:
        wanted = sorted(EVENTS | STALE_EVENTS)
        assert (await account.post(ACCOUNT, {"Filters": wanted}))["filters"] == wanted

    @pytest.mark.parametrize(
        ("form", "code"),
        [
            ({"PreWebhookUrl": "no url"}, 50077),
            ({"PreWebhookUrl": "ftp://hooks.example"}, 50077),
            ({"PostWebhookUrl": "https://"}, 50078),
            ({"PostWebhookUrl": "https://a b.example/"}, 50078),
            ({"PostWebhookUrl": "https://hooks.example:port/"}, 50078),
            ({"PostWebhookUrl": "https://[::1/"}, 50078),
            ({"PostWebhookUrl": f"https://hooks.example/{'x' * 512}"}, 50078),
            ({"Method": "PUT"}, 50055),
            ({"Method": ""}, 50055),
            ({"Filters": "onNothing"}, 50054),
            ({"Target": "flex"}, 50054),
        ],
    )
    async def test_what_cannot_be_is_refused(self, account: AccountHolder, form: dict[str, str], code: int) -> None:
        (await account.post(ACCOUNT, form)).refused_with(400, code)


class TestHooksOfAService:
    async def test_they_are_null_until_first_set(self, api: AccountHolder) -> None:
        settings = ("pre_webhook_url", "post_webhook_url", "filters", "method")
        answer = await api.get(service(api))
        assert [answer[name] for name in settings] == [None] * 4
        await api.post(service(api))
        answer = await api.get(service(api))
        assert [answer[name] for name in settings] == [None] * 4
        answer = await api.post(service(api), {"PostWebhookUrl": URL})
        assert [answer[name] for name in settings] == [None, URL, [], "POST"]
        assert answer["chat_service_sid"] == api.service_sid

    async def test_events_about_users_are_not_theirs(self, api: AccountHolder) -> None:
        (await api.post(service(api), {"Filters": "onUserAdded"})).refused_with(400, 50054)

    async def test_a_service_that_is_not_there_has_none(self, api: AccountHolder) -> None:
        path = f"/v1/Services/IS{'0' * 32}/Configuration/Webhooks"
        (await api.get(path)).refused_with(404, 20404)
        (await api.post(path, {"Method": "GET"})).refused_with(404, 20404)

    async def test_they_go_with_the_service(self, account: AccountHolder) -> None:
        other = await account.in_new_service()
        await other.post(service(other), {"PostWebhookUrl": URL})
        await account.delete(f"/v1/Services/{other.service_sid}")
        (await account.get(service(other))).refused_with(404, 20404)


class TestWebhooksOfAConversation:
    async def test_one_can_be_made_read_changed_and_removed(self, api: AccountHolder, room: str) -> None:
        form = {
            "Target": "webhook",
            "Configuration.Url": URL,
            "Configuration.Filters": list(CONVERSATION_EVENTS),
            "Configuration.ReplayAfter": "7",
        }
        made = await api.made(f"{room}/Webhooks", form)
        assert made["configuration"] == {
            "url": URL,
            "method": "post",
            "filters": list(CONVERSATION_EVENTS),
            "replay_after": 7,
        }
        path = f"{room}/Webhooks/{made['sid']}"
        changed = await api.post(path, {"Configuration.Method": "GET", "Configuration.Url": ""})
        assert changed["configuration"] == made["configuration"] | {"method": "get"}
        assert (await api.get(path)).body == changed.body
        assert (await api.delete(path)).status == 204
        for answer in (await api.get(path), await api.post(path, {}), await api.delete(path)):
            answer.refused_with(404, 20404)

    async def test_each_target_shows_what_is_its_own(self, api: AccountHolder, room: str) -> None:
        everything = {
            "Configuration.Url": URL,
            "Configuration.Filters": ["onMessageAdded"],
            "Configuration.Triggers": ["help", "stop"],
            "Configuration.FlowSid": FLOW,
        }
        seen = {}
        for target in ("webhook", "trigger", "studio"):
            made = await api.made(f"{room}/Webhooks", everything | {"Target": target.upper()})
            seen[made["target"]] = made["configuration"]
        assert seen == {
            "webhook": {"url": URL, "method": "post", "filters": ["onMessageAdded"]},
            "trigger": {"url": URL, "method": "post", "triggers": ["help", "stop"]},
            "studio": {"flow_sid": FLOW},
        }

    async def test_they_are_listed_by_age_and_there_are_five_at_most(self, api: AccountHolder, room: str) -> None:
        form = {"Target": "studio", "Configuration.FlowSid": FLOW}
        made = [(await api.made(f"{room}/Webhooks", form))["sid"] for _ in range(5)]
        assert [one["sid"] for one in await api.everything(f"{room}/Webhooks", PageSize=2)] == made
        (await api.post(f"{room}/Webhooks", form)).refused_with(403, 50361)
        await api.delete(f"{room}/Webhooks/{made[0]}")
        await api.made(f"{room}/Webhooks", form)

    @pytest.mark.parametrize(
        ("form", "status", "code"),
        [
            ({}, 400, 20001),
            ({"Target": ""}, 400, 50368),
            ({"Target": "pigeon"}, 400, 50364),
            ({"Target": "webhook", "Configuration.Filters": "onMessageAdded"}, 400, 50369),
            ({"Target": "webhook", "Configuration.Url": URL}, 400, 50370),
            ({"Target": "webhook", "Configuration.Url": URL, "Configuration.Filters": ""}, 400, 50370),
            ({"Target": "webhook", "Configuration.Url": URL, "Configuration.Filters": "onMessageAdd"}, 400, 50365),
            ({"Target": "webhook", "Configuration.Url": URL, "Configuration.Filters": "onUserAdded"}, 400, 50365),
            ({"Target": "webhook", "Configuration.Url": "x:y", "Configuration.Filters": "onMessageAdded"}, 400, 50054),
            ({"Target": "trigger", "Configuration.Triggers": "help"}, 400, 50369),
            ({"Target": "trigger", "Configuration.Url": URL}, 400, 50371),
            ({"Target": "trigger", "Configuration.Url": URL, "Configuration.Triggers": ["a", ""]}, 400, 50366),
            ({"Target": "trigger", "Configuration.Url": URL, "Configuration.Triggers": "x" * 249}, 400, 50366),
            ({"Target": "trigger", "Configuration.Url": URL, "Configuration.Triggers": list("abcdef")}, 403, 50362),
            ({"Target": "studio"}, 400, 50367),
            ({"Target": "studio", "Configuration.FlowSid": "FW1"}, 400, 50367),
            ({"Target": "studio", "Configuration.FlowSid": FLOW, "Configuration.Method": "put"}, 400, 50055),
            ({"Target": "studio", "Configuration.FlowSid": FLOW, "Configuration.ReplayAfter": "-2"}, 400, 20001),
            ({"Target": "studio", "Configuration.FlowSid": FLOW, "Configuration.ReplayAfter": "x"}, 400, 20001),
            (
                {
                    "Target": "webhook",
                    "Configuration.Url": f"https://h.example/{'x' * 512}",
                    "Configuration.Filters": "onMessageAdded",
                },
                400,
                50372,
            ),
        ],
    )
    async def test_what_cannot_be_is_refused(
        self, api: AccountHolder, room: str, form: dict[str, str], status: int, code: int
    ) -> None:
        (await api.post(f"{room}/Webhooks", form)).refused_with(status, code)
        assert (await api.get(f"{room}/Webhooks"))["webhooks"] == []

    async def test_a_closed_conversation_gets_none_and_keeps_what_it_has(self, api: AccountHolder, room: str) -> None:
        form = {"Target": "studio", "Configuration.FlowSid": FLOW}
        path = f"{room}/Webhooks/{(await api.made(f'{room}/Webhooks', form))['sid']}"
        await api.post(room, {"State": "closed"})
        (await api.post(f"{room}/Webhooks", form)).refused_with(400, 50377)
        (await api.post(path, {"Configuration.Method": "get"})).refused_with(400, 50377)
        assert (await api.get(path)).status == 200
        assert (await api.delete(path)).status == 204

    async def test_another_conversation_does_not_have_it(self, api: AccountHolder, room: str) -> None:
        form = {"Target": "studio", "Configuration.FlowSid": FLOW}
        sid = (await api.made(f"{room}/Webhooks", form))["sid"]
        other = f"/Conversations/{await api.conversation()}"
        (await api.get(f"{other}/Webhooks/{sid}")).refused_with(404, 20404)
        (await api.delete(f"{other}/Webhooks/{sid}")).refused_with(404, 20404)
        (await api.get(f"/Conversations/CH{'0' * 32}/Webhooks")).refused_with(404, 20404)
