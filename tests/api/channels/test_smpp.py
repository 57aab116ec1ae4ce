"""A whole server and an SMSC that is not ours: people by SMS in a conversation (gateways 8.1)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

import httpx
import pytest
import pytest_asyncio

from tertulia.testing import LocalServer
from tests.peers.smpp import PASSWORD, SYSTEM_ID, SmppPeer

pytestmark = pytest.mark.node

WITHIN_S: Final = 20.0
OURS: Final = "+15550001111"
ANA: Final = "+15550002222"

Json = dict[str, Any]


class Desk:
    """An account holder whose number the SMSC serves."""

    def __init__(self, server: LocalServer, peer: SmppPeer, http: httpx.AsyncClient) -> None:
        self.server = server
        self.peer = peer
        self.http = http

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

    async def open(self, **settings: Any) -> str:
        """Makes the gateway and its sender, and a conversation with Ana; the conversation's SID."""
        given = {"host": self.peer.host, "port": self.peer.port, "system_id": SYSTEM_ID, "password": PASSWORD}
        await self.post(
            "/channels/Gateways", Name="carrier", Adapter="smpp", Settings=json.dumps({**given, **settings})
        )
        await self.post("/channels/Senders", Address=OURS, Gateway="carrier")
        room = str((await self.post("/v1/Conversations"))["sid"])
        binding = {"MessagingBinding.Address": ANA, "MessagingBinding.ProxyAddress": OURS}
        await self.post(f"/v1/Conversations/{room}/Participants", **binding)
        return room

    async def say(self, room: str, body: str) -> str:
        return str((await self.post(f"/v1/Conversations/{room}/Messages", Body=body))["sid"])

    async def said(self, room: str) -> list[tuple[str, str]]:
        listed = (await self.get(f"/v1/Conversations/{room}/Messages"))["messages"]
        return [(one["author"], one["body"]) for one in listed]

    async def receipts(self, room: str, message: str) -> list[tuple[str, int]]:
        listed = (await self.get(f"/v1/Conversations/{room}/Messages/{message}/Receipts"))["delivery_receipts"]
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
    async with SmppPeer() as peer, LocalServer() as server:
        credentials = (server.account_sid, server.auth_token)
        async with httpx.AsyncClient(base_url=server.base_url, auth=credentials, trust_env=False) as http:
            yield Desk(server, peer, http)


def from_ana(text: str, **fields: Any) -> Json:
    numbers = {"source_addr": ANA[1:], "source_addr_ton": 1, "destination_addr": OURS[1:], "dest_addr_ton": 1}
    return {**numbers, "short_message": text, **fields}


async def test_a_message_goes_out_and_its_receipt_comes_back(desk: Desk) -> None:
    await desk.peer.answer_with({"form": "hex", "receipt": {"stat": "DELIVRD", "form": "decimal"}})
    room = await desk.open()
    message = await desk.say(room, "Hello Ana")
    await desk.until(lambda: desk.receipts(room, message), [("delivered", 0)])
    assert [(one["destination_addr"], one["text"]) for one in desk.peer.submitted] == [(ANA[1:], "Hello Ana")]


async def test_a_receipt_that_comes_before_the_answer_is_not_lost(desk: Desk) -> None:
    await desk.peer.answer_with({"receipt": {"stat": "DELIVRD", "before": True}, "delay_ms": 300})
    room = await desk.open()
    message = await desk.say(room, "Hello Ana")
    await desk.until(lambda: desk.receipts(room, message), [("delivered", 0)])


async def test_a_long_message_is_as_far_as_its_worst_part(desk: Desk) -> None:
    await desk.peer.answer_with({"receipt": {"stat": "DELIVRD"}}, {"receipt": {"stat": "UNDELIV", "err": "001"}})
    room = await desk.open()
    message = await desk.say(room, "a" * 200)
    await desk.until(lambda: desk.receipts(room, message), [("undelivered", 30005)])


async def test_what_the_smsc_refuses_has_failed(desk: Desk) -> None:
    await desk.peer.answer_with({"status": 0x0B})
    room = await desk.open()
    message = await desk.say(room, "Hello Ana")
    await desk.until(lambda: desk.receipts(room, message), [("failed", 21211)])


async def test_what_may_have_left_is_not_sent_twice(desk: Desk) -> None:
    await desk.peer.answer_with({"drop": True}, {})
    room = await desk.open()
    message = await desk.say(room, "Hello Ana")
    await desk.until(lambda: desk.receipts(room, message), [("failed", 30008)])
    await desk.peer.until(lambda: len(desk.peer.bound) == 2)
    await desk.server.settle_async()
    assert len(desk.peer.submitted) == 1


async def test_an_smsc_without_room_gets_it_later(desk: Desk) -> None:
    await desk.peer.answer_with({"status": 0x58}, {})
    room = await desk.open()
    message = await desk.say(room, "Hello Ana")
    await desk.until(lambda: desk.receipts(room, message), [("sent", 0)])
    assert len(desk.peer.submitted) == 2


async def test_what_ana_writes_is_in_her_conversation(desk: Desk) -> None:
    room = await desk.open()
    await desk.peer.until(lambda: len(desk.peer.bound) == 1)
    assert await desk.peer.answers_to(await desk.peer.bring(from_ana("Привет 😀", data_coding=8))) == [0]
    await desk.until(lambda: desk.said(room), [(ANA, "Привет 😀")])


async def test_what_ana_writes_in_parts_is_one_message(desk: Desk) -> None:
    room = await desk.open()
    await desk.peer.until(lambda: len(desk.peer.bound) == 1)
    words = "one and a half 😀".encode("utf-16-be")
    middle = len(words) - 2  # in the middle of the last character
    parts = [
        from_ana("", esm_class=0x40, data_coding=8, udh=f"050003a702{number:02x}", octets=piece.hex())
        for number, piece in ((2, words[middle:]), (1, words[:middle]))
    ]
    assert await desk.peer.answers_to(await desk.peer.bring(*parts)) == [0, 0]
    await desk.until(lambda: desk.said(room), [(ANA, "one and a half 😀")])


async def test_half_of_a_message_is_shown_after_ten_minutes(desk: Desk) -> None:
    room = await desk.open()
    await desk.peer.until(lambda: len(desk.peer.bound) == 1)
    half = from_ana("", esm_class=0x40, udh="050003a70201", octets=b"the first half, ".hex())
    assert await desk.peer.answers_to(await desk.peer.bring(half)) == [0]
    await desk.server.settle_async()
    assert await desk.said(room) == []
    await desk.server.clock.advance_async(minutes=10)
    await desk.until(lambda: desk.said(room), [(ANA, "the first half, […]")])


async def test_what_comes_again_after_the_connection_broke_is_there_once(desk: Desk) -> None:
    room = await desk.open()
    for count in (1, 2):
        await desk.peer.until(lambda count=count: len(desk.peer.bound) == count)  # type: ignore[misc]
        assert await desk.peer.answers_to(await desk.peer.bring(from_ana("ok"))) == [0]
        await desk.peer.cut()
    await desk.server.settle_async()
    await desk.until(lambda: desk.said(room), [(ANA, "ok")])


async def test_check_says_what_the_smsc_says(desk: Desk) -> None:
    await desk.open(password="wrong")
    checked = await desk.post("/channels/Gateways/carrier/Check")
    (finding,) = checked["findings"]
    assert not finding["is_good"]
    assert "the password is wrong" in finding["what"]
    shown = await desk.get("/channels/Gateways/carrier")
    assert shown["settings"]["password"] == "***"


async def test_other_settings_are_bound_with_at_once(desk: Desk) -> None:
    await desk.open(system_type="first")
    await desk.peer.until(lambda: len(desk.peer.bound) == 1)
    await desk.post("/channels/Gateways/carrier", Settings=json.dumps({"system_type": "second"}))
    await desk.peer.until(lambda: len(desk.peer.bound) == 2)
    assert [bind["system_type"] for bind in desk.peer.bound] == ["first", "second"]
    await desk.peer.until(lambda: desk.peer.unbound == [1])
