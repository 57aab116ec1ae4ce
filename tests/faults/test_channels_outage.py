"""Carriers that are away, full, or gone in the middle: what waits is sent once, and in order, or its time is over."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx
import pytest

from tertulia.testing import LocalServer
from tests.client.proxy import Proxy
from tests.peers.smpp import PASSWORD, SYSTEM_ID, SmppPeer
from tests.peers.twilio_messages import TwilioMessages

from .carrying import OURS, SENT, TWILIO, UNKNOWN, Outgoing, are_in_order, number, submitted, taken

pytestmark = [pytest.mark.faults, pytest.mark.node]

WITHIN_S: Final = 20.0
EXPIRED: Final = ("failed", 30410)
FULL: Final = {"status": 0x14}
THROTTLED: Final = {"status": 0x58}
SLOW: Final[dict[str, Any]] = {"delay_ms": 30}
DROPPED: Final[dict[str, Any]] = {"drop": True}
PEOPLE: Final = 10
WINDOW: Final = 10
OTHER: Final = "+15550001112"
AN_HOUR: Final = (5,) * 12


class Desk:
    """An account in a server whose time can be moved, and the road to its carrier."""

    def __init__(self, server: LocalServer, road: Proxy, http: httpx.AsyncClient) -> None:
        self.server = server
        self.road = road
        self._http = http
        self._written: list[str] = []
        self._room = ""

    async def post(self, path: str, **form: Any) -> Any:
        answer = await self._http.post(path, data=form)
        assert answer.is_success, answer.text
        return answer.json()

    async def open(self, adapter: str, settings: dict[str, Any]) -> None:
        """A conversation with people whom a gateway serves."""
        form = {"Name": "carrier", "Adapter": adapter, "Settings": json.dumps(settings)}
        await self.post("/channels/Gateways", **form)
        await self.post("/channels/Senders", Address=OURS, Gateway="carrier", PerMinute=1_000_000)
        self._room = (await self.post("/v1/Conversations"))["sid"]
        for person in range(PEOPLE):
            binding = {"MessagingBinding.Address": number(person), "MessagingBinding.ProxyAddress": OURS}
            await self.post(f"/v1/Conversations/{self._room}/Participants", **binding)

    async def write(self, count: int) -> None:
        """Messages to everybody; their texts are numbers."""
        for _ in range(count):
            body = len(self._written)
            made = await self.post(f"/v1/Conversations/{self._room}/Messages", Body=body)
            self._written.append(made["sid"])

    async def outcomes(self) -> Counter[tuple[str, int]]:
        """How many receipts say what, of those that are past the queue."""
        found: Counter[tuple[str, int]] = Counter()
        for sid in self._written:
            listed = await self._http.get(f"/v1/Conversations/{self._room}/Messages/{sid}/Receipts")
            found.update((one["status"], one["error_code"]) for one in listed.json()["delivery_receipts"])
        return found

    async def pass_minutes(self, *steps: int) -> None:
        for minutes in steps:
            await self.server.clock.advance_async(minutes=minutes)

    async def ended(self) -> Counter[tuple[str, int]]:
        """``outcomes``, once there is one for everybody; time passes meanwhile as waits ask for it."""
        async with asyncio.timeout(WITHIN_S):
            while (found := await self.outcomes()).total() < len(self._written) * PEOPLE:
                await self.server.clock.advance_async(seconds=10)
                await asyncio.sleep(0.05)
        return found


@asynccontextmanager
async def by_smpp() -> AsyncIterator[tuple[Desk, SmppPeer]]:
    async with SmppPeer() as smsc, desk(smsc.port) as one:
        known = {"host": "127.0.0.1", "port": one.road.port, "system_id": SYSTEM_ID, "password": PASSWORD}
        await one.open("smpp", {**known, "window": WINDOW})
        await smsc.until(lambda: len(smsc.bound) == 1)
        yield one, smsc


@asynccontextmanager
async def by_http() -> AsyncIterator[tuple[Desk, TwilioMessages]]:
    async with TwilioMessages() as twilio, desk(int(twilio.url.rpartition(":")[2])) as one:
        await one.open("twilio", {**TWILIO, "base_url": f"http://127.0.0.1:{one.road.port}"})
        yield one, twilio


@asynccontextmanager
async def desk(port: int) -> AsyncIterator[Desk]:
    road = Proxy(port)
    await road.open()
    try:
        async with LocalServer() as server:
            credentials = (server.account_sid, server.auth_token)
            async with httpx.AsyncClient(base_url=server.base_url, auth=credentials, trust_env=False) as http:
                yield Desk(server, road, http)
    finally:
        await road.close()


async def test_an_smsc_that_is_away_for_an_hour_gets_everything_once_and_in_order() -> None:
    async with by_smpp() as (one, smsc):
        await one.road.close()
        await one.write(5)
        await one.pass_minutes(*AN_HOUR)
        assert await one.outcomes() == {}
        await one.road.open()
        assert await one.ended() == {SENT: 5 * PEOPLE}
        sent = submitted(smsc)
        assert max(Counter(sent).values()) == 1
        are_in_order(sent)


async def test_a_provider_that_is_away_for_an_hour_gets_everything_once_and_in_order() -> None:
    async with by_http() as (one, twilio):
        await one.road.close()
        await one.write(5)
        await one.pass_minutes(*AN_HOUR)
        assert await one.outcomes() == {}
        await one.road.open()
        assert await one.ended() == {SENT: 5 * PEOPLE}
        sent = [Outgoing(form["To"][0], form["Body"][0]) for form in twilio.messages.values()]
        assert len(sent) == 5 * PEOPLE
        are_in_order(sent)


async def test_what_nobody_has_taken_in_its_time_has_failed_and_is_not_sent_later() -> None:
    async with by_smpp() as (one, smsc):
        await one.road.close()
        await one.write(2)
        await one.pass_minutes(239)
        assert await one.outcomes() == {}
        await one.write(1)
        await one.pass_minutes(7)
        assert await one.outcomes() == {EXPIRED: 2 * PEOPLE}
        await one.road.open()
        assert await one.ended() == {EXPIRED: 2 * PEOPLE, SENT: PEOPLE}
        assert {message.body for message in submitted(smsc)} == {"2"}


@pytest.mark.parametrize("busy", [FULL, THROTTLED], ids=["full", "throttled"])
async def test_an_smsc_that_has_no_room_again_and_again_gets_everything_once_and_in_order(busy: dict[str, int]) -> None:
    async with by_smpp() as (one, smsc):
        await smsc.answer_with(*[busy, {}, busy, busy] * 20, {})
        await one.write(5)
        assert await one.ended() == {SENT: 5 * PEOPLE}
        assert max(Counter(taken(smsc)).values()) == 1
        assert len(smsc.submitted) == 5 * PEOPLE + 60, "it is not hammered: one attempt after each refusal"
        are_in_order(taken(smsc))


async def test_what_has_no_answer_when_a_connection_ends_has_failed_and_all_else_is_sent() -> None:
    async with by_smpp() as (one, smsc):
        await smsc.answer_with(*[*[SLOW] * 25, DROPPED] * 2, SLOW)
        await one.write(10)
        found = await one.ended()
        assert found.keys() == {SENT, UNKNOWN}
        assert 2 <= found[UNKNOWN] <= 2 * WINDOW
        sent = submitted(smsc)
        assert max(Counter(sent).values()) == 1
        # Some were on the road when it was gone.
        assert 10 * PEOPLE - found[UNKNOWN] <= len(sent) <= 10 * PEOPLE
        are_in_order(sent)


async def test_an_smsc_that_says_nothing_has_no_more_than_its_window_and_the_others_wait() -> None:
    async with by_smpp() as (one, smsc):
        await smsc.answer_with({"stall": True})
        await one.write(10)
        await smsc.until(lambda: len(smsc.submitted) == WINDOW)
        await asyncio.sleep(0.2)
        assert len(smsc.submitted) == WINDOW
        await smsc.answer_with({})
        one.road.reset()
        assert await one.ended() == {UNKNOWN: WINDOW, SENT: 10 * PEOPLE - WINDOW}
        assert max(Counter(submitted(smsc)).values()) == 1
        are_in_order(submitted(smsc))


async def test_what_is_under_way_when_the_clock_leaps_ahead_comes_to_its_end() -> None:
    async with by_smpp() as (one, smsc):
        await smsc.answer_with({"delay_ms": 300})
        await one.write(1)
        await smsc.until(lambda: len(smsc.submitted) == PEOPLE)
        await one.server.clock.advance_async(hours=1)
        assert await one.ended() == {SENT: PEOPLE}
        assert len(smsc.submitted) == PEOPLE


async def test_an_smsc_that_says_nothing_keeps_no_other_waiting() -> None:
    async with by_smpp() as (one, silent), SmppPeer() as other:
        await silent.answer_with({"stall": True})
        await one.write(5)
        await silent.until(lambda: len(silent.submitted) == WINDOW)
        known = {"host": other.host, "port": other.port, "system_id": SYSTEM_ID, "password": PASSWORD}
        form = {"Name": "other", "Adapter": "smpp", "Settings": json.dumps(known)}
        await one.post("/channels/Gateways", **form)
        await one.post("/channels/Senders", Address=OTHER, Gateway="other", PerMinute=1_000_000)
        room = (await one.post("/v1/Conversations"))["sid"]
        binding = {"MessagingBinding.Address": number(0), "MessagingBinding.ProxyAddress": OTHER}
        await one.post(f"/v1/Conversations/{room}/Participants", **binding)
        for body in range(20):
            await one.post(f"/v1/Conversations/{room}/Messages", Body=body)
        await other.until(lambda: len(other.submitted) == 20)
        assert len(silent.submitted) == WINDOW, "it has not been given up meanwhile"
        are_in_order(submitted(other))
        await silent.answer_with({})
        one.road.reset()
        await one.ended()
