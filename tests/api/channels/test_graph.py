"""A whole server and a double of Meta's Graph API: people by WhatsApp and Messenger in conversations (gateways 8.4)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

import httpx
import pytest_asyncio

from tertulia.testing import LocalServer
from tests.peers.graph import (
    LOCKED,
    NUMBER,
    NUMBER_ID,
    OUTSIDE,
    PAGE_ID,
    PERSON,
    PSID,
    TAKEN,
    THROTTLED,
    GraphPeer,
    changed,
    message,
    page_event,
    page_update,
    status,
    update,
)

WITHIN_S: Final = 20.0
OURS: Final = f"whatsapp:+{NUMBER}"
ANA: Final = f"whatsapp:+{PERSON}"
PAGE: Final = f"messenger:{PAGE_ID}"
BEN: Final = f"messenger:{PSID}"

Json = dict[str, Any]


class Desk:
    """An account holder with a number and a page, and Meta."""

    def __init__(self, server: LocalServer, peer: GraphPeer, http: httpx.AsyncClient) -> None:
        self.server = server
        self.peer = peer
        self.http = http
        self.callbacks: dict[str, str] = {}

    @property
    def now_s(self) -> float:
        return self.server.clock.now() / 1e6

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

    async def serve(self, adapter: str, address: str, **settings: Any) -> None:
        """Makes a gateway and its sender."""
        given = {
            "access_token": self.peer.token,
            "app_secret": self.peer.app_secret,
            "verify_token": self.peer.verify_token,
            "base_url": self.peer.url,
            **settings,
        }
        made = await self.post("/channels/Gateways", Name=adapter, Adapter=adapter, Settings=json.dumps(given))
        self.callbacks[adapter] = str(made["callback_url"])
        await self.post("/channels/Senders", Address=address, Gateway=adapter)

    async def room(self, address: str, proxy: str) -> str:
        room = str((await self.post("/v1/Conversations"))["sid"])
        binding = {"MessagingBinding.Address": address, "MessagingBinding.ProxyAddress": proxy}
        await self.post(f"/v1/Conversations/{room}/Participants", **binding)
        return room

    async def say(self, room: str, body: str, **form: Any) -> str:
        return str((await self.post(f"/v1/Conversations/{room}/Messages", Body=body, **form))["sid"])

    async def tell(self, adapter: str, *updates: Json, times: int = 1, backwards: bool = False) -> list[int]:
        """Meta calls, and everything that follows has happened."""
        answered = await self.peer.tell(self.callbacks[adapter], *updates, times=times, backwards=backwards)
        await self.server.settle_async()
        return answered

    async def ana_writes(self, text: str, name: str = "wamid.in1") -> None:
        said = message("text", {"body": text}, at_s=self.now_s, name=name)
        assert await self.tell("whatsapp", update(changed(messages=[said]))) == [200]

    async def said(self, room: str) -> list[tuple[str, str | None]]:
        listed = (await self.get(f"/v1/Conversations/{room}/Messages"))["messages"]
        return [(one["author"], one["body"]) for one in listed]

    async def receipts(self, room: str, sid: str) -> list[tuple[str, int]]:
        listed = (await self.get(f"/v1/Conversations/{room}/Messages/{sid}/Receipts"))["delivery_receipts"]
        return [(one["status"], one["error_code"]) for one in listed]

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


@pytest_asyncio.fixture
async def desk() -> AsyncIterator[Desk]:
    async with LocalServer() as server, GraphPeer(now=lambda: server.clock.now() / 1e6) as peer:
        credentials = (server.account_sid, server.auth_token)
        async with httpx.AsyncClient(base_url=server.base_url, auth=credentials, trust_env=False) as http:
            desk = Desk(server, peer, http)
            await desk.serve("whatsapp", OURS, phone_number_id=NUMBER_ID)
            await desk.serve("messenger", PAGE, page_id=PAGE_ID)
            yield desk


async def test_ana_and_the_account_write_to_each_other_by_whatsapp(desk: Desk) -> None:
    room = await desk.room(ANA, OURS)
    await desk.ana_writes("hello")
    await desk.until(lambda: desk.said(room), [(ANA, "hello")])
    sid = await desk.say(room, "Hello Ana")
    await desk.until(lambda: desk.receipts(room, sid), [("sent", 0)])

    (sent,) = desk.peer.sent
    assert (sent.body["to"], sent.body["text"]["body"]) == (PERSON, "Hello Ana")
    states = [status(one, name=sent.name, at_s=desk.now_s) for one in ("sent", "delivered", "read")]
    updates = [update(changed(statuses=[one])) for one in states]
    assert await desk.tell("whatsapp", *updates, times=2, backwards=True) == [200] * 6
    await desk.until(lambda: desk.receipts(room, sid), [("read", 0)])


async def test_what_comes_twice_is_there_once(desk: Desk) -> None:
    room = await desk.room(ANA, OURS)
    said = [message("text", {"body": str(n)}, at_s=desk.now_s, name=f"wamid.{n}") for n in range(3)]
    await desk.tell("whatsapp", update(*[changed(messages=[one]) for one in said], entries=2), times=3)

    listed = await desk.said(room)
    assert sorted(str(body) for _, body in listed) == ["0", "1", "2"]


async def test_outside_of_the_window_only_a_template_goes(desk: Desk) -> None:
    room = await desk.room(ANA, OURS)
    await desk.ana_writes("hello")
    await desk.server.clock.advance_async(hours=24)
    late = await desk.say(room, "too late")
    await desk.until(lambda: desk.receipts(room, late), [("failed", 63016)])
    assert desk.peer.sent == []

    desk.peer.templates["invitation"] = 1
    made = await desk.http.post(
        "/v1/Content",
        json={
            "friendly_name": "invitation",
            "language": "en",
            "variables": {"1": "friend"},
            "types": {"twilio/quick-reply": {"body": "Come, {{1}}?", "actions": [{"title": "Yes", "id": "yes"}]}},
        },
    )
    content = made.json()["sid"]
    asked = await desk.http.post(
        f"/v1/Content/{content}/ApprovalRequests/whatsapp", json={"name": "invitation", "category": "UTILITY"}
    )
    assert asked.is_success, asked.text
    sid = await desk.say(room, "", ContentSid=content, ContentVariables='{"1": "Ana"}')
    await desk.until(lambda: desk.receipts(room, sid), [("sent", 0)])
    (body,) = desk.peer.bodies
    assert [part["type"] for part in body["template"]["components"]] == ["body", "button"]


async def test_a_photo_that_ana_sends_is_kept_here(desk: Desk) -> None:
    room = await desk.room(ANA, OURS)
    photo = {"id": desk.peer.keep_file(b"a photo"), "mime_type": "image/jpeg", "caption": "Us"}
    await desk.tell("whatsapp", update(changed(messages=[message("image", photo, at_s=desk.now_s)])))
    await desk.until(lambda: desk.said(room), [(ANA, "Us")])

    (shown,) = (await desk.get(f"/v1/Conversations/{room}/Messages"))["messages"]
    (media,) = shown["media"]
    assert (media["content_type"], media["size"]) == ("image/jpeg", len(b"a photo"))


async def test_a_file_of_ours_is_sent_with_its_words(desk: Desk) -> None:
    room = await desk.room(ANA, OURS)
    await desk.ana_writes("hello")
    service = (await desk.get(f"/v1/Conversations/{room}"))["chat_service_sid"]
    kept = await desk.http.post(
        f"/v1/Services/{service}/Media", content=b"%PDF", headers={"content-type": "application/pdf"}
    )
    sid = await desk.say(room, "Bill", MediaSid=kept.json()["sid"])
    await desk.until(lambda: desk.receipts(room, sid), [("sent", 0)])

    (body,) = desk.peer.bodies
    assert body["document"]["caption"] == "Bill"
    assert desk.peer.files[body["document"]["id"]].content == b"%PDF"


async def test_meta_asking_us_to_wait_is_waited_for(desk: Desk) -> None:
    room = await desk.room(ANA, OURS)
    await desk.ana_writes("hello")
    desk.peer.answer_with(THROTTLED, TAKEN)
    sid = await desk.say(room, "Hello Ana")
    await desk.server.settle_async()
    await desk.server.clock.advance_async(seconds=5)
    await desk.until(lambda: desk.receipts(room, sid), [("sent", 0)])
    assert len(desk.peer.sent) == 1


async def test_a_locked_account_fails_when_the_time_of_the_message_is_over(desk: Desk) -> None:
    room = await desk.room(ANA, OURS)
    await desk.ana_writes("hello")
    desk.peer.answer_with(*[LOCKED] * 1000)
    sid = await desk.say(room, "Hello Ana")
    await desk.server.settle_async()
    for _ in range(5):
        await desk.server.clock.advance_async(hours=1)
    await desk.until(lambda: desk.receipts(room, sid), [("failed", 30410)])


async def test_whoever_cannot_sign_is_not_heard(desk: Desk) -> None:
    room = await desk.room(ANA, OURS)
    desk.peer.app_secret, kept = "another", desk.peer.app_secret
    said = update(changed(messages=[message("text", {"body": "forged"}, at_s=desk.now_s)]))
    assert await desk.tell("whatsapp", said) == [403]
    desk.peer.app_secret = kept
    assert await desk.tell("messenger", said) == [200]  # signed, and none of its business
    assert await desk.said(room) == []


async def test_meta_may_ask_whose_the_url_is(desk: Desk) -> None:
    assert await desk.peer.verify(desk.callbacks["whatsapp"])
    assert await desk.peer.verify(desk.callbacks["messenger"])
    assert not await desk.peer.verify(desk.callbacks["whatsapp"], "another word")


async def test_ben_and_the_account_write_to_each_other_by_messenger(desk: Desk) -> None:
    room = await desk.room(BEN, PAGE)

    async def ben(**happened: Any) -> None:
        told = page_update(page_event(at_s=desk.now_s, **happened), at_s=desk.now_s)
        assert await desk.tell("messenger", told) == [200]

    await ben(message={"mid": "m_1", "text": "hello"})
    await ben(message={"mid": "m_2", "text": "ours", "is_echo": True})
    await desk.until(lambda: desk.said(room), [(BEN, "hello")])
    first = await desk.say(room, "Hello Ben")
    second = await desk.say(room, "Are you there?")
    await desk.until(lambda: desk.receipts(room, second), [("sent", 0)])
    await desk.server.clock.advance_async(seconds=1)
    await ben(delivery={"watermark": int(desk.now_s * 1000)})
    for sid in (first, second):
        await desk.until(lambda sid=sid: desk.receipts(room, sid), [("delivered", 0)])  # type: ignore[misc]
    await ben(read={"watermark": int(desk.now_s * 1000)})
    for sid in (first, second):
        await desk.until(lambda sid=sid: desk.receipts(room, sid), [("read", 0)])  # type: ignore[misc]
    desk.peer.answer_with(OUTSIDE)
    late = await desk.say(room, "Still there?")
    await desk.until(lambda: desk.receipts(room, late), [("failed", 63016)])


async def test_a_stranger_gets_a_conversation_with_the_name_that_he_goes_by(desk: Desk) -> None:
    form = {"Type": "whatsapp", "Address": OURS, "AutoCreation.Enabled": "true", "AutoCreation.Type": "default"}
    await desk.post("/v1/Configuration/Addresses", **form)
    await desk.ana_writes("is anybody there?")

    (room,) = (await desk.get("/v1/Conversations"))["conversations"]
    await desk.until(lambda: desk.said(room["sid"]), [(ANA, "is anybody there?")])
    (ana,) = (await desk.get(f"/v1/Conversations/{room['sid']}/Participants"))["participants"]
    assert json.loads(ana["attributes"])["name"] == "Ana"


async def test_check_says_what_meta_says(desk: Desk) -> None:
    checked = await desk.post("/channels/Gateways/whatsapp/Check")
    first, last = checked["findings"]
    assert first["is_good"] and NUMBER in first["what"]
    assert not last["is_good"] and "server.public_url" in last["remedy"]
    assert (await desk.get("/channels/Gateways/whatsapp"))["settings"]["app_secret"] == "***"


async def test_within_the_window_a_template_that_nobody_has_approved_has_its_buttons(desk: Desk) -> None:
    room = await desk.room(ANA, OURS)
    await desk.ana_writes("hello")
    made = await desk.http.post(
        "/v1/Content",
        json={
            "friendly_name": "question",
            "language": "en",
            "variables": {"1": "friend"},
            "types": {"twilio/quick-reply": {"body": "Come, {{1}}?", "actions": [{"title": "Yes", "id": "yes"}]}},
        },
    )
    question = made.json()["sid"]
    asked = await desk.say(room, "", ContentSid=question)
    await desk.until(lambda: desk.receipts(room, asked), [("sent", 0)])
    (body,) = desk.peer.bodies
    assert body["interactive"]["body"]["text"] == "Come, friend?"
    await desk.server.clock.advance_async(hours=25)
    late = await desk.say(room, "", ContentSid=question)
    await desk.until(lambda: desk.receipts(room, late), [("failed", 63016)])
