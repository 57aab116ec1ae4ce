"""Our double of Programmable Messaging, judged by the official library, which knows nothing of us."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import web
from twilio.base.exceptions import TwilioRestException
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from tests.contract.channels.providers import OURS, THEIRS
from tests.peers.twilio_messages import ACCOUNT, API_KEY, API_SECRET, TOKEN, TwilioMessages
from tests.sdks.official import Redirected


def judge(peer: TwilioMessages, user: str = ACCOUNT, password: str = TOKEN) -> Client:
    """The library, as if our double were Twilio."""
    return Client(user, password, account_sid=ACCOUNT, http_client=Redirected(peer.url))


async def test_the_library_sends_and_reads_what_it_gets() -> None:
    async with TwilioMessages() as peer:
        told = await asyncio.to_thread(judge(peer).messages.create, to=THEIRS, from_=OURS, body="hello")
        assert (told.status, told.to, told.num_segments) == ("queued", THEIRS, "1")
        assert peer.messages[told.sid]["Body"] == ["hello"]


async def test_the_library_sends_files_with_an_api_key() -> None:
    async with TwilioMessages() as peer:
        client = judge(peer, API_KEY, API_SECRET)
        urls = ["https://chat.example/1", "https://chat.example/2"]
        told = await asyncio.to_thread(client.messages.create, to=THEIRS, from_=OURS, media_url=urls)
        assert told.sid.startswith("MM")
        assert peer.messages[told.sid]["MediaUrl"] == urls


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"to": "nobody", "from_": OURS, "body": "x"}, 21211),
        ({"to": THEIRS, "body": "x"}, 21603),
        ({"to": THEIRS, "from_": OURS}, 21619),
        ({"to": THEIRS, "from_": OURS, "body": "x" * 1601}, 21617),
        ({"to": THEIRS, "from_": OURS, "media_url": ["https://a.example"] * 11}, 21623),
    ],
)
async def test_the_library_understands_refusals(fields: dict[str, Any], code: int) -> None:
    async with TwilioMessages() as peer:
        with pytest.raises(TwilioRestException) as refusal:
            await asyncio.to_thread(judge(peer).messages.create, **fields)
        assert refusal.value.code == code


async def test_the_library_is_not_believed_with_another_token() -> None:
    async with TwilioMessages() as peer:
        with pytest.raises(TwilioRestException) as refusal:
            await asyncio.to_thread(judge(peer, password="guess").messages.create, to=THEIRS, from_=OURS, body="x")
        assert (refusal.value.status, refusal.value.code) == (401, 20003)


async def test_the_library_believes_the_callbacks() -> None:
    found: list[bool] = []

    async def receive(request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        url = str(request.url)
        found.append(RequestValidator(TOKEN).validate(url, form, request.headers["X-Twilio-Signature"]))
        return web.Response()

    application = web.Application()
    application.router.add_post("/status", receive)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/status"
    async with TwilioMessages() as peer:
        told = await asyncio.to_thread(
            judge(peer).messages.create, to=THEIRS, from_=OURS, body="x", status_callback=url
        )
        assert await peer.report(told.sid, "delivered") == 200
    await runner.cleanup()
    assert found == [True]
