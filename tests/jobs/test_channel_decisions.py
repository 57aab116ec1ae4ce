"""What is decided when a message goes out: who may have it, and in which form (semantics 4.5 to 4.10)."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from tertulia.server.bus.inprocess import InProcessBus
from tertulia.server.channels.base import Accepted
from tertulia.server.domain.channels import Keyword
from tertulia.server.domain.content import CreateContent, RequestApproval
from tertulia.server.domain.content_types import read_types
from tertulia.server.domain.conversations import DeleteConversation, UpdateConversation
from tertulia.server.domain.messages import DeleteMessage, UpdateMessage
from tertulia.server.domain.participants import RemoveParticipant, UpdateParticipant
from tertulia.server.engine.channel_messages import promise_reply
from tertulia.server.engine.hook_directory import HookDirectory
from tertulia.server.engine.notification_directory import NotificationDirectory
from tertulia.server.engine.unit import Policy, Unit
from tests.engine.sending import OTHER_PROXY, PROXY, Sending, number
from tests.engine.uploads import send, upload
from tests.engine.world import BASE_URL, World

DAY = timedelta(days=1)
WHATSAPP, WHATSAPP_PROXY = "whatsapp:" + number(1), "whatsapp:" + PROXY


@pytest.fixture
def sending(world: World) -> Sending:
    return Sending(world)


# --- what became of it meanwhile


async def test_a_conversation_that_was_closed_meanwhile_still_sends_what_was_written(sending: Sending) -> None:
    room = await sending.room(1)
    await sending.send(room, "bye")
    await sending.world.do(UpdateConversation, conversation=room, state="closed")
    await sending.perform()
    assert (sending.channel.texts, await sending.outcomes()) == (["bye"], [("sent", 0)])


@pytest.mark.parametrize("gone", ["conversation", "message"])
async def test_what_was_removed_meanwhile_is_not_sent(sending: Sending, gone: str) -> None:
    room = await sending.room(1)
    message = await sending.send(room)
    if gone == "message":
        await sending.world.do(DeleteMessage, conversation=room, message=message.sid)
    else:
        await sending.world.do(DeleteConversation, conversation=room)
    await sending.perform()
    assert (sending.channel.sent, await sending.jobs()) == ([], [])
    assert await sending.states() in ([], ["withdrawn"])


async def test_what_was_removed_while_it_was_sent_leaves_nothing(sending: Sending) -> None:
    room = await sending.room(1)
    message = await sending.send(room)

    async def removed_meanwhile() -> Accepted:
        await sending.world.do(DeleteMessage, conversation=room, message=message.sid)
        return Accepted(handles=("h1",))

    sending.channel.answers = [removed_meanwhile]
    await sending.perform()
    assert (await sending.jobs(), await sending.records(), await sending.world.count("handles")) == ([], [], 0)


async def test_who_was_removed_meanwhile_is_not_sent_it(sending: Sending) -> None:
    room = await sending.room(0)
    person = await sending.person(room)
    await sending.send(room)
    await sending.world.do(RemoveParticipant, conversation=room, participant=person.sid)
    await sending.perform()
    assert (sending.channel.sent, await sending.states()) == ([], ["withdrawn"])
    assert await sending.outcomes() == [("failed", 30008)]


async def test_what_was_edited_meanwhile_is_sent_as_it_is_now(sending: Sending) -> None:
    room = await sending.room(1)
    message = await sending.send(room)
    await sending.world.do(UpdateMessage, conversation=room, message=message.sid, body="better")
    await sending.perform()
    await sending.world.do(UpdateMessage, conversation=room, message=message.sid, body="best")
    await sending.perform()
    assert sending.channel.texts == ["better"]


async def test_who_got_another_proxy_meanwhile_gets_it_from_the_one_of_then(sending: Sending) -> None:
    room = await sending.room(0)
    person = await sending.person(room)
    await sending.send(room)
    await sending.world.do(UpdateParticipant, conversation=room, participant=person.sid, proxy_address=OTHER_PROXY)
    await sending.perform()
    assert [one.sender for one in sending.channel.sent] == [PROXY]


# --- what is decided


async def test_who_opted_out_is_sent_nothing_and_others_are(sending: Sending) -> None:
    room = await sending.room(2)
    await sending.opt_out(number(1))
    await sending.send(room)
    await sending.perform()
    assert sending.channel.recipients == [(number(2),)]
    assert sorted(await sending.outcomes()) == [("failed", 21610), ("sent", 0)]


async def test_an_opt_out_is_one_from_the_whole_pool(sending: Sending) -> None:
    await sending.sender(pool="desk", per_minute=60_000)
    await sending.sender(OTHER_PROXY, per_minute=60_000)
    await sending.opt_out(number(1), "pool desk")
    await sending.opt_out(number(2), "pool desk")
    room = await sending.room(1)
    await sending.person(room, OTHER_PROXY)
    await sending.send(room)
    await sending.perform()
    assert sending.channel.recipients == [(number(2),)]


async def test_of_a_group_those_get_it_who_want_it(sending: Sending) -> None:
    room = await sending.group()
    await sending.opt_out(number(1))
    await sending.send(room, author="ana")
    await sending.perform()
    assert sending.channel.recipients == [(number(2),)]
    assert await sending.outcomes() == [("failed", 21610), ("sent", 0)]
    await sending.report("h1", "delivered")
    assert await sending.outcomes() == [("failed", 21610), ("delivered", 0)]


async def test_outside_the_window_only_a_template_is_sent(world: World) -> None:
    sending = Sending(world)
    sending.channel.can(window=DAY, has_templates=True)
    room = (await world.conversation()).sid
    await sending.person(room, WHATSAPP_PROXY, address=WHATSAPP)
    await sending.send(room, "never wrote")
    await sending.perform()
    await sending.heard(WHATSAPP, WHATSAPP_PROXY)
    world.clock.advance(DAY - timedelta(microseconds=1))
    await sending.send(room, "in time")
    await sending.perform()
    world.clock.advance(timedelta(microseconds=1))
    await sending.send(room, "too late")
    await sending.perform()
    content = await approved(world)
    await sending.send(room, None, content_sid=content, content_variables='{"1": "Ana"}')
    await sending.perform()
    assert sending.channel.texts == ["in time", "Hello Ana"]
    template = sending.channel.sent[-1].template
    assert template is not None
    assert (template.name, template.language, template.type) == ("welcome", "en", "twilio/text")
    assert (template.content, template.variables) == ({"body": "Hello {{1}}"}, {"1": "Ana", "2": "here"})
    assert [one.is_within_window for one in sending.channel.sent] == [True, False]
    assert await sending.outcomes() == [("failed", 63016), ("sent", 0), ("failed", 63016), ("sent", 0)]


async def test_a_channel_without_templates_is_sent_their_words(sending: Sending) -> None:
    room = await sending.room(1)
    await sending.send(room, None, content_sid=await approved(sending.world), content_variables='{"1": "Ana"}')
    await sending.perform()
    (sent,) = sending.channel.sent
    assert (sent.text, sent.template) == ("Hello Ana", None)


async def approved(world: World) -> str:
    """A template of ours that may be sent at any time."""
    types = read_types(json.dumps({"twilio/text": {"body": "Hello {{1}}"}}).encode())
    made = await world.do(CreateContent, language="en", variables={"1": "you", "2": "here"}, types=types)
    await world.do(RequestApproval, content=made.sid, name="welcome", category="UTILITY")
    return made.sid


async def test_a_file_goes_out_with_a_url_that_is_good_for_hours(sending: Sending) -> None:
    room = await sending.room(1)
    picture = await upload(sending.world)
    await send(sending.world, room, picture, body="look")
    await sending.perform()
    (sent,) = sending.channel.sent
    (media,) = sent.media
    assert (sent.text, media.content_type, media.size, media.filename) == ("look", "image/png", 3, "cat.png")
    path, _, query = media.url.partition("?")
    assert path == f"http://chat.test/v1/Services/{sending.world.service}/Media/{picture.sid}/Content"
    expires = int(query.partition("Expires=")[2].partition("&")[0])
    assert expires == sending.world.clock.now() // 1_000_000 + 4 * 3600
    assert sent.sid.startswith("MM") and "Signature" not in repr(media)


async def test_a_file_that_cannot_go_leaves_its_words_and_says_where_it_is(world: World) -> None:
    sending = Sending(world, media_text="See {url}")
    room = await sending.room(1)
    await send(world, room, await upload(world, content_type="text/csv"), body="the list")
    await sending.perform()
    (text,) = sending.channel.texts
    assert text is not None and text.startswith("the list\nSee http://chat.test/v1/Services/") and "Signature=" in text


@pytest.mark.parametrize(
    ("file", "code"), [({"content_type": "text/csv"}, 50511), ({"size": 6 << 20}, 50512)], ids=["type", "size"]
)
async def test_a_file_that_cannot_go_has_failed_where_there_is_nothing_else(
    sending: Sending, file: dict[str, Any], code: int
) -> None:
    room = await sending.room(1)
    await send(sending.world, room, await upload(sending.world, **file))
    await sending.perform()
    assert await sending.outcomes() == [("failed", code)]


# --- e-mail threads


async def test_an_e_mail_answers_the_one_before(sending: Sending) -> None:
    world = sending.world
    room = (await world.conversation("ben")).sid
    await sending.person(room, "desk@d.test", address="ana@a.test")
    first = await sending.send(room, "one", subject="Order 7")
    second = await sending.send(room, "two")
    await world.sql(
        "INSERT INTO arrivals (sid, account_sid, gateway_sid, provider_id, sender, recipient, state, message_sid,"
        " created_at, updated_at) VALUES ('RA1', '', '', '<x@a.test>', 'ana@a.test', 'desk@d.test', 'taken', $1, 0, 0)",
        second.sid,
    )
    await sending.send(room, "three")
    await sending.perform()
    envelopes = [one.envelope for one in sending.channel.sent if one.envelope is not None]
    assert [one.subject for one in envelopes] == ["Order 7", "Re: Order 7", "Re: Order 7"]
    assert [(one.answers, one.answered_id) for one in envelopes] == [
        (None, None),
        (first.sid, None),
        (second.sid, "<x@a.test>"),
    ]
    assert envelopes[-1].chain == (first.sid, "<x@a.test>")


# --- outside conversations


async def test_an_answer_outside_conversations_is_sent_whatever_was_opted_out(sending: Sending) -> None:
    await sending.opt_out(number(1))
    await reply(sending, "You will hear nothing more")
    await sending.perform()
    assert (sending.channel.texts, sending.channel.recipients) == (["You will hear nothing more"], [(number(1),)])
    (record,) = await sending.records()
    assert (record.state, record.conversation_sid, record.message_sid) == ("sent", None, None)
    assert await sending.report("h1", "undelivered", error_code=30003) == 0
    assert [one.error_code for one in await sending.records()] == [30003]


async def reply(sending: Sending, text: str) -> None:
    """As a handler promises it."""
    world, bus = sending.world, InProcessBus()
    directories = HookDirectory(bus, world.clock), NotificationDirectory(bus, world.clock)
    async with world.database.transaction() as connection:
        now, policy = world.clock.now(), Policy(base_url=BASE_URL)
        unit = Unit(connection, world.account, now, world.new_sid, policy, world.sealer, *directories)
        await promise_reply(unit, kind="sms", sender=PROXY, recipient=number(1), text=text, keyword=Keyword.HELP)
        await unit.write_promises()
