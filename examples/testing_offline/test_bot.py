import pytest
from bot import HELP, Bot

from tertulia.client.events import MessageAdded


@pytest.fixture
def bot(tertulia_twilio):
    return Bot(tertulia_twilio)


def test_a_case_begins_with_a_greeting(bot, tertulia_twilio):
    case = tertulia_twilio.conversations.v1.conversations(bot.open_case("ana", "my order"))
    assert [participant.identity for participant in case.participants.list()] == ["ana"]
    assert [message.body for message in case.messages.list()] == ["Hello ana! You wrote about: my order."]


def test_a_case_that_is_quiet_for_an_hour_is_closed(bot, tertulia_server, tertulia_twilio):
    sid = bot.open_case("ana", "my order")
    tertulia_server.clock.advance(minutes=61)
    assert tertulia_twilio.conversations.v1.conversations(sid).fetch().state == "closed"


@pytest.mark.asyncio
async def test_help_is_given_to_who_asks(bot, tertulia_client, tertulia_webhooks):
    sid = bot.open_case("ana", "my order")
    async with tertulia_client("ana") as ana:
        room = await ana.get_conversation(sid)
        async with room.events(MessageAdded) as heard:
            await room.send("!help")
            webhook = await tertulia_webhooks.heard("onMessageAdded", lambda each: each["Body"] == "!help")
            assert webhook.is_signed
            bot.hear(webhook.fields)
            async for event in heard:
                if event.message.author == "bot":
                    break
        assert event.message.body == HELP
