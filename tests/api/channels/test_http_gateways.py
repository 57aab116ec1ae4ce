"""A whole server, and doubles of Twilio and Telnyx: people in conversations by HTTP gateways (gateways 8.2, 8.3)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

import httpx
import pytest_asyncio

from tertulia.testing import LocalServer
from tests.peers.telnyx import API_KEY, TelnyxPeer
from tests.peers.twilio_messages import ACCOUNT, TOKEN, TwilioMessages, error

WITHIN_S: Final = 20.0
OURS: Final = "+12025550100"
ANA: Final = "+12025550111"
BEN: Final = "+12025550112"
Json = dict[str, Any]


class Desk:
    """An account holder with a number at Twilio, and two at Telnyx."""

    def __init__(
        self, server: LocalServer, http: httpx.AsyncClient, twilio: TwilioMessages, telnyx: TelnyxPeer
    ) -> None:
        self.server = server
        self.http = http
        self.twilio = twilio
        self.telnyx = telnyx
        self.callbacks: dict[str, str] = {}

    async def post(self, path: str, **form: Any) -> Json:
        answer = await self.http.post(path, data=form)
        assert answer.is_success, answer.text
        made: Json = answer.json()
        return made

    async def get(self, path: str) -> Json:
        answer = await self.http.get(path)
        assert answer.is_success, answer.text
        shown: Json = answer.json()
        return shown

    async def serve(self, adapter: str, addresses: tuple[str, ...], **settings: Any) -> None:
        made = await self.post("/channels/Gateways", Name=adapter, Adapter=adapter, Settings=json.dumps(settings))
        self.callbacks[adapter] = str(made["callback_url"])
        for address in addresses:
            await self.post("/channels/Senders", Address=address, Gateway=adapter)

    async def say(self, room: str, body: str, **form: Any) -> str:
        return str((await self.post(f"/v1/Conversations/{room}/Messages", Body=body, **form))["sid"])

    async def add(self, room: str, **binding: str) -> None:
        form = {name if name == "Identity" else f"MessagingBinding.{name}": value for name, value in binding.items()}
        await self.post(f"/v1/Conversations/{room}/Participants", **form)

    async def said(self, room: str) -> list[tuple[str, str | None]]:
        listed = (await self.get(f"/v1/Conversations/{room}/Messages"))["messages"]
        return [(one["author"], one["body"]) for one in listed]

    async def receipts(self, room: str, sid: str) -> list[tuple[str, int]]:
        listed = (await self.get(f"/v1/Conversations/{room}/Messages/{sid}/Receipts"))["delivery_receipts"]
        return sorted((one["status"], one["error_code"]) for one in listed)

    async def until(self, ask: Callable[[], Awaitable[Any]], wanted: Any) -> None:
        """Until this is the answer."""
        seen: Any = None
        try:
            async with asyncio.timeout(WITHIN_S):
                while (seen := await ask()) != wanted:
                    await self.server.settle_async()
                    await asyncio.sleep(0.02)
        except TimeoutError:
            assert seen == wanted

    async def by_twilio(self, **fields: str) -> int:
        usual = {"AccountSid": ACCOUNT, "MessageSid": "SM" + "7" * 32, "From": ANA, "To": OURS, "NumMedia": "0"}
        answered = await self.twilio.say(self.callbacks["twilio"], {**usual, **fields})
        await self.server.settle_async()
        return answered


@pytest_asyncio.fixture
async def desk() -> AsyncIterator[Desk]:
    async with LocalServer() as server, TwilioMessages() as twilio, TelnyxPeer(server.clock) as telnyx:
        credentials = (server.account_sid, server.auth_token)
        async with httpx.AsyncClient(base_url=server.base_url, auth=credentials, trust_env=False) as http:
            desk = Desk(server, http, twilio, telnyx)
            await desk.serve("twilio", (OURS,), account_sid=ACCOUNT, auth_token=TOKEN, base_url=twilio.url)
            await desk.serve(
                "telnyx",
                ("+12025550102", "+12025550103"),
                api_key=API_KEY,
                public_key=telnyx.public_key,
                base_url=telnyx.url,
            )
            yield desk


async def test_ana_and_the_account_write_to_each_other_by_twilio(desk: Desk) -> None:
    room = str((await desk.post("/v1/Conversations"))["sid"])
    await desk.add(room, Address=ANA, ProxyAddress=OURS)
    assert await desk.by_twilio(Body="hello") == 200
    assert await desk.by_twilio(Body="hello") == 200  # it comes twice
    await desk.until(lambda: desk.said(room), [(ANA, "hello")])

    desk.twilio.reports_first = ["sent"]
    sid = await desk.say(room, "Hello Ana")
    await desk.until(lambda: desk.receipts(room, sid), [("sent", 0)])
    ((name, form),) = desk.twilio.messages.items()
    assert (form["To"], form["From"], form["Body"]) == ([ANA], [OURS], ["Hello Ana"])
    assert await desk.twilio.report(name, "delivered") == 200
    assert await desk.twilio.report(name, "sent") == 200
    await desk.until(lambda: desk.receipts(room, sid), [("delivered", 0)])


async def test_what_twilio_refuses_has_failed_with_its_code(desk: Desk) -> None:
    room = str((await desk.post("/v1/Conversations"))["sid"])
    await desk.add(room, Address=ANA, ProxyAddress=OURS)
    desk.twilio.answer_with(error(400, 21610))
    sid = await desk.say(room, "Hello Ana")
    await desk.until(lambda: desk.receipts(room, sid), [("failed", 21610)])


async def test_a_photo_that_ana_sends_by_twilio_is_kept_here(desk: Desk) -> None:
    room = str((await desk.post("/v1/Conversations"))["sid"])
    await desk.add(room, Address=ANA, ProxyAddress=OURS)
    url = desk.twilio.media_url(b"a photo")
    assert await desk.by_twilio(Body="Us", NumMedia="1", MediaUrl0=url, MediaContentType0="image/jpeg") == 200
    await desk.until(lambda: desk.said(room), [(ANA, "Us")])
    (shown,) = (await desk.get(f"/v1/Conversations/{room}/Messages"))["messages"]
    (media,) = shown["media"]
    assert (media["content_type"], media["size"]) == ("image/jpeg", len(b"a photo"))


async def test_what_twilio_has_not_signed_comes_nowhere(desk: Desk) -> None:
    room = str((await desk.post("/v1/Conversations"))["sid"])
    await desk.add(room, Address=ANA, ProxyAddress=OURS)
    fields = {"AccountSid": ACCOUNT, "MessageSid": "SM" + "8" * 32, "From": ANA, "To": OURS, "Body": "forged"}
    assert await desk.twilio.say(desk.callbacks["twilio"], fields, token="guess") == 403
    await desk.server.settle_async()
    assert await desk.said(room) == []


async def test_a_group_text_goes_by_telnyx_to_all_at_once_and_comes_back(desk: Desk) -> None:
    ours = "+12025550102"
    room = str((await desk.post("/v1/Conversations"))["sid"])
    await desk.add(room, Identity="cleo", ProjectedAddress=ours)
    await desk.add(room, Address=ANA)
    await desk.add(room, Address=BEN)
    sid = await desk.say(room, "Dinner?", Author="cleo")
    await desk.until(lambda: desk.receipts(room, sid), [("sent", 0), ("sent", 0)])
    ((name, told),) = desk.telnyx.messages.items()
    assert (told["from"], sorted(told["to"]), told["text"]) == (ours, [ANA, BEN], "Dinner?")
    states = {ANA: "delivered", BEN: "delivery_failed"}
    assert await desk.telnyx.report(name, "message.finalized", states, "40008") == 200
    await desk.until(lambda: desk.receipts(room, sid), [("delivered", 0), ("undelivered", 30003)])

    answer = {
        "id": "in-1",
        "from": {"phone_number": BEN},
        "to": [{"phone_number": ours}],
        "cc": [{"phone_number": ANA}],
        "text": "Yes!",
        "media": [],
    }
    assert await desk.telnyx.say(desk.callbacks["telnyx"], "message.received", answer) == 200
    await desk.until(lambda: desk.said(room), [("cleo", "Dinner?"), (BEN, "Yes!")])
    assert len(desk.telnyx.messages) == 1
