"""What receivers are told after something has happened (semantics 1.2, 1.3, 1.6)."""

from __future__ import annotations

import json

import pytest

from tertulia.server.domain.conversations import CreateConversation, UpdateConversation
from tertulia.server.domain.memberships import UpdateMembership
from tertulia.server.domain.messages import DeleteMessage, SendMessage, UpdateMessage
from tertulia.server.domain.participants import AddParticipant, JoinConversation, RemoveParticipant, UpdateParticipant
from tertulia.server.domain.users import UpdateUser
from tertulia.server.domain.webhooks import CONVERSATION_EVENTS, EVENTS
from tertulia.server.settings import Settings, WebhooksSettings
from tests.api.webhooks.conftest import NewSite, Site
from tests.api.webhooks.receiver import answer, receiving

POST = sorted(EVENTS)
COMMON = {"AccountSid", "EventType", "Source", "RetryCount", "ChatServiceSid"}
HOOKS_ON = {"X-Twilio-Webhook-Enabled": "true"}


async def test_a_message_of_a_client_is_told_with_the_published_parameters(site: Site) -> None:
    await site.hooks("onMessageAdded", post="/post")
    room = await site.room("ana", "ben")
    sent = await site.do(SendMessage, by="ana", conversation=room, body="hello & 100 %", attributes='{"a":1}')
    await site.settle()
    (told,) = site.receiver.told
    assert told.method == "POST" and told.path == "/post"
    assert told.headers["content-type"] == "application/x-www-form-urlencoded; charset=utf-8"
    assert told.headers["accept"] == "*/*"
    assert told.headers["user-agent"].startswith("Tertulia/")
    participant = (await site.account.get(f"/Conversations/{room}/Participants/ana"))["sid"]
    assert told.fields == {
        "AccountSid": site.account.account_sid,
        "ChatServiceSid": site.account.service_sid,
        "EventType": "onMessageAdded",
        "Source": "SDK",
        "ClientIdentity": "ana",
        "RetryCount": "0",
        "ConversationSid": room,
        "MessageSid": sent.sid,
        "Index": "0",
        "DateCreated": told["DateCreated"],
        "Body": "hello & 100 %",
        "Author": "ana",
        "ParticipantSid": participant,
        "Attributes": '{"a":1}',
    }
    assert told["DateCreated"].endswith("Z")
    assert told.is_signed_with(site.auth_token)
    assert not told.is_signed_with("another token")


async def test_every_deed_of_a_client_is_told_in_order(site: Site) -> None:
    await site.hooks(*POST, post="/post")
    await site.connect("ana")
    room = (await site.do(CreateConversation, by="ana", friendly_name="Plans", unique_name="plans")).sid
    await site.do(JoinConversation, by="ana", conversation=room)
    await site.do(AddParticipant, by="ana", conversation=room, identity="ben")
    message = await site.do(SendMessage, by="ben", conversation=room, body="one")
    await site.do(UpdateMessage, by="ben", conversation=room, message=message.sid, body="two")
    await site.do(UpdateMembership, by="ana", conversation=room, user="ana", last_read_index=0)
    await site.do(UpdateParticipant, by="ana", conversation=room, participant="ben", attributes='{"x":1}')
    await site.do(UpdateConversation, by="ana", conversation=room, attributes='{"y":1}')
    await site.do(DeleteMessage, by="ben", conversation=room, message=message.sid)
    await site.do(RemoveParticipant, by="ben", conversation=room, participant="ben")
    await site.do(UpdateUser, by="ana", user="ana", friendly_name="Ana")
    await site.settle()
    in_room = [one for one in site.receiver.told if "ConversationSid" in one.fields]
    assert [one.event for one in in_room] == [
        "onConversationAdded",
        "onParticipantAdded",
        "onParticipantAdded",
        "onMessageAdded",
        "onMessageUpdated",
        "onParticipantUpdated",
        "onParticipantUpdated",
        "onConversationUpdated",
        "onMessageRemoved",
        "onParticipantRemoved",
    ]
    of_users = [one.event for one in site.receiver.told if "ConversationSid" not in one.fields]
    assert of_users == ["onUserAdded", "onUserAdded", "onUserUpdated"]
    by_name = {one.event: one.fields for one in site.receiver.told}
    assert by_name["onConversationAdded"]["FriendlyName"] == "Plans"
    assert by_name["onConversationAdded"]["State"] == "active"
    assert {"MessageSid", "Index", "DateRemoved"} <= by_name["onMessageRemoved"].keys()
    assert by_name["onMessageUpdated"]["Body"] == "two"
    assert [one["LastReadMessageIndex"] for one in in_room if "LastReadMessageIndex" in one.fields] == ["0"]
    assert by_name["onParticipantRemoved"]["MessagingBinding.Type"] == "CHAT"
    assert by_name["onUserUpdated"]["FriendlyName"] == "Ana"
    assert "isOnline" not in by_name["onUserUpdated"]
    for one in site.receiver.told:
        assert one.fields.keys() >= COMMON | {"ClientIdentity"}, one.event
        assert "" not in one.fields.values(), one.event  # a parameter without a value is left out


async def test_a_request_by_rest_is_told_only_when_it_asks_for_it(site: Site) -> None:
    await site.hooks("onMessageAdded", post="/post")
    room = await site.room()
    path = f"/Conversations/{room}/Messages"
    for header, is_told in (("true", True), ("TRUE", True), ("false", False), ("", False), ("yes", False)):
        await site.account.post(path, {"Body": "hello"}, headers={"X-Twilio-Webhook-Enabled": header})
        await site.settle()
        told = site.receiver.forget()
        assert [one.event for one in told] == (["onMessageAdded"] if is_told else [])
        if told:
            assert told[0]["Source"] == "API" and "ClientIdentity" not in told[0].fields
    await site.account.post(path, {"Body": "hello"})
    assert await site.settle() == 0


async def test_the_header_is_ignored_where_it_is_not_published(site: Site) -> None:
    await site.hooks("onParticipantRemove", "onParticipantRemoved", "onParticipantUpdated", pre="/pre", post="/post")
    room = await site.room("ana")
    path = f"/Users/ana/Conversations/{room}"
    await site.account.post(path, {"LastReadTimestamp": "2026-01-01T00:00:00Z"}, headers=HOOKS_ON)
    await site.account.post(path, {"NotificationLevel": "muted"}, headers=HOOKS_ON)
    await site.account.ask("DELETE", path, headers=HOOKS_ON)
    await site.settle()
    assert site.receiver.told == []


async def test_events_that_are_not_among_the_filters_are_not_told(site: Site) -> None:
    await site.hooks("onMessageRemoved", post="/post")
    room = await site.room("ana")
    await site.do(SendMessage, by="ana", conversation=room, body="hello")
    assert await site.settle() == 0
    await site.hooks("onMessageRemoved", "onMessageAdded")
    await site.do(SendMessage, by="ana", conversation=room, body="hello")
    await site.settle()
    assert site.receiver.events == ["onMessageAdded"]


async def test_hooks_of_a_service_replace_those_of_the_account_while_they_have_a_url(site: Site) -> None:
    await site.hooks("onMessageAdded", "onUserUpdated", post="/account")
    room = await site.room("ana")
    own = f"/v1/Services/{site.account.service_sid}/Configuration/Webhooks"

    async def paths() -> list[str]:
        await site.do(SendMessage, by="ana", conversation=room, body="hello")
        await site.settle()
        return [told.path for told in site.receiver.forget()]

    assert await paths() == ["/account"]
    await site.change(own, {"Filters": ["onMessageAdded"]})
    assert await paths() == ["/account"]
    await site.change(own, {"PostWebhookUrl": site.receiver.url("/service")})
    assert await paths() == ["/service"]
    # Only a pre URL of its own: then it has no post hook, and not the account's either.
    await site.change(own, {"PostWebhookUrl": "", "PreWebhookUrl": site.receiver.url("/pre")})
    assert await paths() == []
    await site.do(UpdateUser, by="ana", user="ana", friendly_name="Ana")
    await site.settle()
    assert [told.path for told in site.receiver.forget()] == ["/account"]
    await site.change(own, {"PreWebhookUrl": ""})
    assert await paths() == ["/account"]


async def test_a_hook_by_get_has_its_parameters_in_the_query(site: Site) -> None:
    await site.hooks("onMessageAdded", post="/post?key=a%20b", Method="GET")
    room = await site.room("ana")
    await site.do(SendMessage, by="ana", conversation=room, body="é & =")
    await site.settle()
    (told,) = site.receiver.told
    assert told.method == "GET" and told.body == b""
    assert told["key"] == "a b" and told["Body"] == "é & ="
    assert told.is_signed_with(site.auth_token)


async def test_credentials_in_a_url_are_sent_as_basic_and_stay_part_of_what_is_signed(site: Site) -> None:
    url = site.receiver.url("/post").replace("http://", "http://ana:secret%21@")
    await site.hooks("onMessageAdded", post=url)
    room = await site.room("ana")
    await site.do(SendMessage, by="ana", conversation=room, body="hello")
    await site.settle()
    (told,) = site.receiver.told
    assert told.headers["authorization"] == "Basic YW5hOnNlY3JldCE="
    assert told.is_signed_with(site.auth_token, url)


async def test_a_change_of_state_is_told_with_its_reason(site: Site) -> None:
    await site.hooks("onConversationStateUpdated", post="/post")
    room = await site.room("ana", **{"Timers.Inactive": "PT1M", "Timers.Closed": "PT10M"})
    await site.pass_time(seconds=61)
    await site.do(SendMessage, by="ana", conversation=room, body="hello")
    await site.account.post(f"/Conversations/{room}", {"State": "closed"}, headers=HOOKS_ON)
    await site.settle()
    seen = [(one["StateFrom"], one["StateTo"], one["Reason"]) for one in site.receiver.told]
    assert seen == [("active", "inactive", "TIMER"), ("inactive", "active", "EVENT"), ("active", "closed", "API")]
    assert all(one["ConversationSid"] == room and one["StateUpdated"].endswith("Z") for one in site.receiver.told)


class TestWebhooksOfAConversation:
    async def test_they_hear_of_what_is_among_their_filters(self, site: Site) -> None:
        room = await site.room("ana", "ben")
        await site.webhook(room, Url=site.receiver.url("/one"), Filters=["onMessageAdded", "onParticipantRemoved"])
        await site.webhook(room, Url=site.receiver.url("/two"), Filters=["onMessageAdded"], Method="get")
        await site.do(SendMessage, by="ana", conversation=room, body="hello")
        await site.do(RemoveParticipant, by="ben", conversation=room, participant="ben")
        await site.settle()
        seen = sorted((one.path, one.method, one.event) for one in site.receiver.told)
        assert seen == [
            ("/one", "POST", "onMessageAdded"),
            ("/one", "POST", "onParticipantRemoved"),
            ("/two", "GET", "onMessageAdded"),
        ]

    async def test_they_hear_of_the_end_of_their_conversation(self, site: Site) -> None:
        room = await site.room()
        await site.webhook(room, Url=site.receiver.url(), Filters=list(CONVERSATION_EVENTS))
        await site.account.ask("DELETE", f"/Conversations/{room}", headers=HOOKS_ON)
        await site.settle()
        assert site.receiver.events == ["onConversationRemoved"]
        assert "DateRemoved" in site.receiver.told[0].fields

    async def test_nobody_hears_of_what_rest_does_silently(self, site: Site) -> None:
        room = await site.room()
        await site.webhook(room, Url=site.receiver.url(), Filters=list(CONVERSATION_EVENTS))
        await site.account.made(f"/Conversations/{room}/Messages", {"Body": "hello"})
        assert await site.settle() == 0

    async def test_one_that_is_removed_hears_no_more(self, site: Site) -> None:
        room = await site.room("ana")
        sid = await site.webhook(room, Url=site.receiver.url(), Filters=["onMessageAdded"])
        await site.account.delete(f"/Conversations/{room}/Webhooks/{sid}")
        await site.do(SendMessage, by="ana", conversation=room, body="hello")
        assert await site.settle() == 0

    @pytest.mark.parametrize(
        ("body", "fires"),
        [
            ("I need Help!", True),
            ("HELP", True),
            ("helpful", False),
            ("self-help books", True),
            ("please stop it now", True),
            ("stop  it", False),
            ("hilfe: größe", True),
            ("größer", False),
            (None, False),
        ],
    )
    async def test_a_trigger_fires_for_a_whole_word_in_any_case(
        self, site: Site, body: str | None, fires: bool
    ) -> None:
        room = await site.room("ana")
        triggers = ["help", "stop it", "Größe"]
        await site.webhook(room, Target="trigger", Url=site.receiver.url(), Triggers=triggers)
        if body is None:
            await site.change(f"/Conversations/{room}", {"Attributes": "{}"})
        else:
            await site.do(SendMessage, by="ana", conversation=room, body=body)
        await site.settle()
        assert site.receiver.events == (["onMessageAdded"] if fires else [])

    async def test_a_flow_is_called_at_the_url_that_stands_for_it(self, new_site: NewSite) -> None:
        known, unknown = "FW" + "a" * 32, "FW" + "b" * 32
        async with receiving() as flow:
            settings = Settings(webhooks=WebhooksSettings(flows=f"{known} {flow.url('/flow')}"))
            async with new_site(settings) as site:
                room = await site.room("ana")
                await site.webhook(room, Target="studio", FlowSid=known)
                await site.webhook(room, Target="studio", FlowSid=unknown)
                await site.do(SendMessage, by="ana", conversation=room, body="hello")
                await site.settle()
            (told,) = flow.told
            assert told["FlowSid"] == known and told.event == "onMessageAdded" and told["Body"] == "hello"


class TestReplay:
    async def test_earlier_messages_come_first_in_order_and_once(self, site: Site) -> None:
        room = await site.room("ana")
        for number in range(5):
            await site.do(SendMessage, by="ana", conversation=room, body=str(number))
        await site.webhook(room, Url=site.receiver.url(), Filters=["onMessageAdded"], ReplayAfter="1")
        await site.do(SendMessage, by="ana", conversation=room, body="5")
        await site.settle()
        assert [one["Body"] for one in site.receiver.told] == ["2", "3", "4", "5"]
        assert len({one.token for one in site.receiver.told}) == 4
        assert {one["RetryCount"] for one in site.receiver.told} == {"0"}

    async def test_minus_one_replays_everything(self, site: Site) -> None:
        room = await site.room("ana")
        for number in range(3):
            await site.do(SendMessage, by="ana", conversation=room, body=str(number))
        sid = await site.webhook(room, Url=site.receiver.url(), Filters=["onMessageAdded"], ReplayAfter="-1")
        await site.settle()
        assert [one["Index"] for one in site.receiver.told] == ["0", "1", "2"]
        configuration = (await site.account.get(f"/Conversations/{room}/Webhooks/{sid}"))["configuration"]
        assert configuration["replay_after"] == -1

    async def test_a_receiver_that_is_away_gets_them_later_before_new_ones(self, site: Site) -> None:
        room = await site.room("ana")
        for number in range(3):
            await site.do(SendMessage, by="ana", conversation=room, body=str(number))
        site.receiver.respond = answer(503)
        await site.webhook(room, Url=site.receiver.url(), Filters=["onMessageAdded"], ReplayAfter="-1")
        await site.settle()
        await site.do(SendMessage, by="ana", conversation=room, body="3")
        await site.pass_time(minutes=10)
        site.receiver.respond = answer(200)
        site.receiver.forget()
        await site.pass_time(minutes=30)
        assert [one["Body"] for one in site.receiver.told] == ["0", "1", "2", "3"]

    async def test_messages_that_are_gone_are_passed_over(self, site: Site) -> None:
        room = await site.room("ana")
        messages = [await site.do(SendMessage, by="ana", conversation=room, body=str(number)) for number in range(3)]
        await site.webhook(room, Url=site.receiver.url(), Filters=["onMessageAdded"], ReplayAfter="-1")
        await site.account.delete(f"/Conversations/{room}/Messages/{messages[1].sid}")
        await site.settle()
        assert [one["Body"] for one in site.receiver.told] == ["0", "2"]


async def test_the_attributes_are_sent_as_the_text_they_are(site: Site) -> None:
    await site.hooks("onMessageAdded", post="/post")
    room = await site.room("ana")
    await site.do(SendMessage, by="ana", conversation=room, body="hello", attributes='{"list": [1, 2]}')
    await site.settle()
    assert json.loads(site.receiver.told[0]["Attributes"]) == {"list": [1, 2]}
