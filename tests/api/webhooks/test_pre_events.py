"""Asking before something happens: pass, amend, reject (semantics 1.4, 1.5)."""

from __future__ import annotations

import asyncio
import json

import pytest

from tertulia.server.domain.conversations import CreateConversation, DeleteConversation, UpdateConversation
from tertulia.server.domain.errors import TertuliaError
from tertulia.server.domain.messages import DeleteMessage, SendMessage, UpdateMessage
from tertulia.server.domain.participants import AddParticipant, JoinConversation, RemoveParticipant, UpdateParticipant
from tertulia.server.domain.users import UpdateUser
from tertulia.server.domain.webhooks import PRE_EVENTS
from tertulia.server.settings import Settings, WebhooksSettings
from tests.api.webhooks.conftest import NewSite, Site
from tests.api.webhooks.receiver import Told, answer, never, reset
from tests.engine.world import refused

HOOKS_ON = {"X-Twilio-Webhook-Enabled": "true"}


@pytest.fixture
async def asked(site: Site) -> Site:
    """A site whose receiver is asked about everything."""
    await site.hooks(*PRE_EVENTS, pre="/pre")
    return site


async def test_a_receiver_is_asked_with_what_would_become_true(asked: Site) -> None:
    room = await asked.room("ana")
    await asked.do(SendMessage, by="ana", conversation=room, body="hello", attributes='{"a":1}')
    (told,) = asked.receiver.told
    participant = (await asked.account.get(f"/Conversations/{room}/Participants/ana"))["sid"]
    assert told.fields == {
        "AccountSid": asked.account.account_sid,
        "ChatServiceSid": asked.account.service_sid,
        "EventType": "onMessageAdd",
        "Source": "SDK",
        "ClientIdentity": "ana",
        "RetryCount": "0",
        "ConversationSid": room,
        "Body": "hello",
        "Author": "ana",
        "ParticipantSid": participant,
        "Attributes": '{"a":1}',
    }
    assert told.path == "/pre" and told.is_signed_with(asked.auth_token)


async def test_every_deed_of_a_client_is_asked_about(asked: Site) -> None:
    await asked.connect("ana")
    room = (await asked.do(CreateConversation, by="ana", friendly_name="Plans")).sid
    await asked.do(JoinConversation, by="ana", conversation=room)
    await asked.do(AddParticipant, by="ana", conversation=room, identity="ben")
    message = await asked.do(SendMessage, by="ben", conversation=room, body="one")
    await asked.do(UpdateMessage, by="ben", conversation=room, message=message.sid, body="two")
    await asked.do(UpdateParticipant, by="ana", conversation=room, participant="ben", attributes='{"x":1}')
    await asked.do(UpdateConversation, by="ana", conversation=room, friendly_name="More plans")
    await asked.do(DeleteMessage, by="ben", conversation=room, message=message.sid)
    await asked.do(RemoveParticipant, by="ben", conversation=room, participant="ben")
    await asked.do(UpdateUser, by="ana", user="ana", friendly_name="Ana")
    await asked.do(DeleteConversation, by="ana", conversation=room)
    assert asked.receiver.events == [
        "onConversationAdd",
        "onParticipantAdd",
        "onParticipantAdd",
        "onMessageAdd",
        "onMessageUpdate",
        "onParticipantUpdate",
        "onConversationUpdate",
        "onMessageRemove",
        "onParticipantRemove",
        "onUserUpdate",
        "onConversationRemove",
    ]
    by_name = {one.event: one.fields for one in asked.receiver.told}
    assert "ConversationSid" not in by_name["onConversationAdd"]
    assert not {"MessageSid", "Index"} & by_name["onMessageAdd"].keys()
    assert by_name["onMessageUpdate"]["Body"] == "two"
    assert by_name["onMessageUpdate"]["MessageSid"] == message.sid
    assert by_name["onConversationUpdate"]["FriendlyName"] == "More plans"
    assert by_name["onParticipantUpdate"]["Attributes"] == '{"x":1}'
    assert "ParticipantSid" not in by_name["onParticipantAdd"]
    assert "DateRemoved" not in by_name["onMessageRemove"]


async def test_a_rejection_is_told_to_the_caller_and_leaves_nothing(asked: Site) -> None:
    room = await asked.room("ana")
    for status in (400, 403, 500, 503):
        asked.receiver.respond = answer(status)
        with refused(50056, 403):
            await asked.do(SendMessage, by="ana", conversation=room, body="hello")
    asked.receiver.respond = answer(200)
    sent = await asked.do(SendMessage, by="ana", conversation=room, body="hello")
    assert sent.index == 0
    assert len((await asked.account.get(f"/Conversations/{room}/Messages"))["messages"]) == 1


async def test_an_answer_may_replace_what_the_event_lets_it(asked: Site) -> None:
    room = await asked.room("ana", "ben")
    said = {"body": "HELLO", "author": "ben", "attributes": '{"checked":true}', "sid": "no", "index": 7}
    asked.receiver.respond = answer(200, json.dumps(said))
    sent = await asked.do(SendMessage, by="ana", conversation=room, body="hello")
    ben = (await asked.account.get(f"/Conversations/{room}/Participants/ben"))["sid"]
    assert (sent.body, sent.author, sent.attributes) == ("HELLO", "ben", '{"checked":true}')
    assert sent.participant_sid == ben
    asked.receiver.respond = answer(201, json.dumps({"body": "edited", "attributes": {"as": "object"}}))
    edited = await asked.do(UpdateMessage, by="ben", conversation=room, message=sent.sid, body="x")
    assert (edited.body, json.loads(edited.attributes)) == ("edited", {"as": "object"})


async def test_an_answer_may_name_a_conversation(asked: Site) -> None:
    asked.receiver.respond = answer(200, '{"friendly_name": "by the hook", "unique_name": "no"}')
    await asked.connect("ana")
    made = await asked.do(CreateConversation, by="ana", friendly_name="by ana")
    assert (made.friendly_name, made.unique_name) == ("by the hook", None)


async def test_a_user_needs_no_permission_for_what_the_hook_replaces(asked: Site) -> None:
    room = await asked.room("ana", "ben")
    role = await asked.account.made(
        "/Roles", {"FriendlyName": "narrow", "Type": "conversation", "Permission": ["editOwnMessageAttributes"]}
    )
    sent = await asked.account.made(f"/Conversations/{room}/Messages", {"Body": "hello", "Author": "ana"})
    await asked.change(f"/Conversations/{room}/Participants/ana", {"RoleSid": role["sid"]})
    asked.receiver.respond = answer(200, '{"body": "by the hook"}')
    edited = await asked.do(UpdateMessage, by="ana", conversation=room, message=sent["sid"], attributes='{"a":1}')
    assert (edited.body, edited.attributes) == ("by the hook", '{"a":1}')


async def test_an_event_that_lets_nothing_be_replaced_passes_unchanged(asked: Site) -> None:
    room = await asked.room("ana")
    asked.receiver.respond = answer(200, '{"attributes": "{\\"no\\":1}"}')
    changed = await asked.do(UpdateParticipant, by="ana", conversation=room, participant="ana", attributes='{"a":1}')
    assert changed.attributes == '{"a":1}'


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"body": "x" * (32 * 1024 + 1)}, 50504),
        ({"attributes": "{no json"}, 50304),
        ({"author": "x" * 257}, 50310),
        ({"body": 7}, 20001),
        ({"author": None}, 20001),
        ({"body": "a\0b"}, 20001),
    ],
)
async def test_what_a_hook_puts_in_is_checked_as_everything(asked: Site, said: object, code: int) -> None:
    room = await asked.room("ana")
    asked.receiver.respond = answer(200, json.dumps(said))
    with refused(code, 400):
        await asked.do(SendMessage, by="ana", conversation=room, body="hello")
    assert (await asked.account.get(f"/Conversations/{room}/Messages"))["messages"] == []


@pytest.mark.parametrize("body", ["", "{}", "  ", "[]", "no json", '"text"', "\x00", '{"body": "cut off'])
async def test_an_answer_that_says_nothing_lets_the_command_pass(asked: Site, body: str) -> None:
    room = await asked.room("ana")
    asked.receiver.respond = answer(200, body)
    assert (await asked.do(SendMessage, by="ana", conversation=room, body="hello")).body == "hello"


async def test_a_redirect_is_not_followed_and_lets_the_command_pass(asked: Site) -> None:
    room = await asked.room("ana")
    asked.receiver.respond = answer(302, Location=asked.receiver.url("/elsewhere"))
    assert (await asked.do(SendMessage, by="ana", conversation=room, body="hello")).index == 0
    assert [told.path for told in asked.receiver.told] == ["/pre"]


async def test_a_receiver_that_does_not_answer_lets_the_command_pass(site: Site) -> None:
    # The fragment shortens the five seconds; what happens at their end is the same.
    await site.hooks("onMessageAdd", pre=site.receiver.url("/pre") + "#tt=200&rc=0")
    room = await site.room("ana")
    for respond in (never, reset, answer(200, "x" * 10, Content_Length="2000000000")):
        site.receiver.respond = respond
        assert (await site.do(SendMessage, by="ana", conversation=room, body="hello")).body == "hello"
    assert len(site.receiver.told) == 3


async def test_a_receiver_that_is_not_there_lets_the_command_pass(site: Site) -> None:
    await site.hooks("onMessageAdd", pre="http://127.0.0.1:9/pre")
    room = await site.room("ana")
    assert (await site.do(SendMessage, by="ana", conversation=room, body="hello")).index == 0


async def test_a_huge_answer_is_not_read_to_its_end(asked: Site) -> None:
    room = await asked.room("ana")
    asked.receiver.respond = answer(200, b'{"body": "' + b"x" * (1 << 20) + b'"}')
    assert (await asked.do(SendMessage, by="ana", conversation=room, body="hello")).body == "hello"


async def test_a_fragment_lets_a_receiver_be_asked_again_with_the_same_token(site: Site) -> None:
    await site.hooks("onMessageAdd", pre=site.receiver.url("/pre") + "#rc=2&rp=5xx")
    room = await site.room("ana")

    async def twice_unwell(told: Told, writer: asyncio.StreamWriter) -> None:
        await answer(503 if len(site.receiver.told) < 3 else 200)(told, writer)

    site.receiver.respond = twice_unwell
    await site.do(SendMessage, by="ana", conversation=room, body="hello")
    assert [told["RetryCount"] for told in site.receiver.told] == ["0", "1", "2"]
    assert len({told.token for told in site.receiver.told}) == 1


async def test_a_command_that_fails_bothers_nobody(asked: Site) -> None:
    room = await asked.room("ana")
    with refused(50107, 403):
        await asked.do(UpdateConversation, by="ana", conversation=room, friendly_name="not mine")
    with refused(50350, 404):
        await asked.do(SendMessage, by="ben", conversation=room, body="hello")
    with refused(50504, 400):
        await asked.do(SendMessage, by="ana", conversation=room, body="x" * 40_000)
    await asked.change(f"/Conversations/{room}", {"State": "closed"})
    with pytest.raises(TertuliaError):
        await asked.do(SendMessage, by="ana", conversation=room, body="hello")
    assert asked.receiver.told == []


async def test_a_command_that_changes_nothing_bothers_nobody(asked: Site) -> None:
    room = await asked.room("ana")
    await asked.do(UpdateParticipant, by="ana", conversation=room, participant="ana", attributes="{}")
    assert asked.receiver.told == []


async def test_a_repeat_of_a_command_is_not_asked_about_again(asked: Site) -> None:
    room = await asked.room("ana")
    caller = asked.world.user("ana", "mutation-1")
    first = await asked.do(SendMessage, by=caller, conversation=room, body="hello")
    asked.receiver.respond = answer(403)
    again = await asked.do(SendMessage, by=caller, conversation=room, body="hello")
    assert again == first
    assert len(asked.receiver.told) == 1


async def test_messages_that_wait_for_a_hook_do_not_hold_up_each_other(asked: Site) -> None:
    room = await asked.room("ana")
    first_may_go = asyncio.Event()

    async def slow_for_the_first(told: Told, writer: asyncio.StreamWriter) -> None:
        if told["Body"] == "first":
            await first_may_go.wait()
        await answer(200)(told, writer)

    asked.receiver.respond = slow_for_the_first
    first = asyncio.create_task(asked.do(SendMessage, by="ana", conversation=room, body="first"))
    await asked.receiver.wait_for(1)
    second = await asked.do(SendMessage, by="ana", conversation=room, body="second")
    first_may_go.set()
    # The index is given at the commit, so the order is that of the commits.
    assert (second.index, (await first).index) == (0, 1)


async def test_rest_is_asked_about_only_when_it_wants_to(asked: Site) -> None:
    room = await asked.room()
    path = f"/Conversations/{room}/Messages"
    asked.receiver.respond = answer(403)
    await asked.account.made(path, {"Body": "silently"})
    refusal = await asked.account.post(path, {"Body": "aloud"}, headers=HOOKS_ON)
    assert refusal.refused_with(403, 50056) == "Webhook disabled processing of command"
    assert [told["Source"] for told in asked.receiver.told] == ["API"]


async def test_an_installation_may_leave_rest_unasked(new_site: NewSite) -> None:
    async with new_site(Settings(webhooks=WebhooksSettings(rest_pre_action=False))) as site:
        await site.hooks("onMessageAdd", "onMessageAdded", pre="/pre", post="/post")
        room = await site.room()
        await site.account.post(f"/Conversations/{room}/Messages", {"Body": "hello"}, headers=HOOKS_ON)
        await site.settle()
        assert [told.path for told in site.receiver.told] == ["/post"]


async def test_webhooks_of_a_conversation_are_never_asked(site: Site) -> None:
    room = await site.room("ana")
    form = {"Target": "webhook", "Configuration.Url": site.receiver.url(), "Configuration.Filters": ["onMessageAdd"]}
    refusal = await site.account.post(f"/Conversations/{room}/Webhooks", form)
    refusal.refused_with(400, 50365)
