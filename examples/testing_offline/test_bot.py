import asyncio
import threading
from urllib.request import Request, urlopen
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from bot import HELP, Bot

from tertulia.client.events import MessageAdded


@pytest.fixture
def bot(tertulia_twilio):
    return Bot(tertulia_twilio)


class Quiet(WSGIRequestHandler):
    def log_message(self, *args):
        """A test's output is the test's."""


@pytest.fixture
def url(bot, tertulia_twilio):
    """Where the bot hears what is said; the server knows it."""
    with make_server("127.0.0.1", 0, bot.application, handler_class=Quiet) as http:
        thread = threading.Thread(target=http.serve_forever, args=(0.01,))
        thread.start()
        url = f"http://127.0.0.1:{http.server_port}/"
        tertulia_twilio.conversations.v1.configuration.webhooks().update(
            post_webhook_url=url, filters=["onMessageAdded"], method="POST"
        )
        yield url
        http.shutdown()
        thread.join()


def test_a_case_begins_with_a_greeting(bot, tertulia_twilio):
    case = tertulia_twilio.conversations.v1.conversations(bot.open_case("ana", "my order"))
    assert [participant.identity for participant in case.participants.list()] == ["ana"]
    assert [message.body for message in case.messages.list()] == ["Hello ana! You wrote about: my order."]


def test_a_case_that_is_quiet_for_an_hour_is_closed(bot, tertulia_server, tertulia_twilio):
    sid = bot.open_case("ana", "my order")
    tertulia_server.clock.advance(minutes=61)
    assert tertulia_twilio.conversations.v1.conversations(sid).fetch().state == "closed"


@pytest.mark.asyncio
async def test_help_is_given_to_who_asks(bot, url, tertulia_client):
    sid = bot.open_case("ana", "my order")
    async with tertulia_client("ana") as ana, asyncio.timeout(10):
        room = await ana.get_conversation(sid)
        async with room.events(MessageAdded) as heard:
            await room.send("!help")
            assert (await anext(heard)).message.body == "!help"
            assert (await anext(heard)).message.body == HELP


@pytest.mark.asyncio
async def test_who_was_away_sees_the_answer_when_he_is_back(bot, tertulia_server, tertulia_client, tertulia_webhooks):
    sid = bot.open_case("ana", "my order")
    async with tertulia_client("ana") as ana, asyncio.timeout(10):
        room = await ana.get_conversation(sid)
        async with room.events(MessageAdded) as heard:
            await room.send("!help")
            webhook = await tertulia_webhooks.heard("onMessageAdded", lambda each: each["Body"] == "!help")
            tertulia_server.disconnect()
            bot.hear(webhook.fields)
            assert (await anext(heard)).message.body == "!help"
            assert (await anext(heard)).message.body == HELP


def test_what_is_not_signed_is_not_heard(url):
    with pytest.raises(OSError, match="403"):
        urlopen(Request(url, data=b"EventType=onMessageAdded&Author=ana&Body=!help&ConversationSid=CH0"))
