"""kill -9 in the middle of a burst: what was acknowledged is there, once; clients return and have missed nothing."""

from __future__ import annotations

import asyncio
import itertools
import random
from pathlib import Path

import httpx
import pytest

from .process import Device, ServerProcess, served

pytestmark = pytest.mark.faults

ROUNDS = 4
BURST_S = 0.4


class Senders:
    """Some who send without a pause, and what they were told."""

    def __init__(self, server: ServerProcess, room: str) -> None:
        self.server = server
        self.room = room
        self.acknowledged: dict[str, int] = {}
        """Text to index."""
        self.unsure: set[str] = set()
        """Sent by REST, which cannot ask again."""
        self.owed: dict[str, list[str]] = {}
        """Sent over a socket and not answered: they are sent again by the same one, with the same mutation id."""
        self._numbers = itertools.count()

    async def over_socket(self, identity: str) -> None:
        peer = await self.server.peer(identity)
        owed = self.owed.setdefault(identity, [])

        async def one() -> None:
            while True:
                text = owed.pop() if owed else f"socket {next(self._numbers)}"
                try:
                    answer = await peer.send_message(self.room, text, mutation_id=f"mutation of {text}")
                except Exception:
                    owed.append(text)
                    raise
                assert answer.http_status == 201, answer.payload
                self.acknowledged[text] = answer["index"]

        await asyncio.gather(*(one() for _ in range(5)), return_exceptions=True)
        peer.cut()

    async def over_rest(self) -> None:
        async with self.server.rest() as rest:
            while True:
                text = f"rest {next(self._numbers)}"
                self.unsure.add(text)
                try:
                    made = await rest.post(f"/Conversations/{self.room}/Messages", data={"Body": text})
                except httpx.HTTPError:
                    return
                assert made.status_code == 201
                self.unsure.discard(text)
                self.acknowledged[text] = made.json()["index"]


@pytest.mark.owner_demand(2)
async def test_every_acknowledged_message_is_there_once_and_clients_miss_nothing(tmp_path: Path) -> None:
    async with served(tmp_path) as server:
        room = await server.room("ana", "ben")
        sid = "ES" + room[2:]
        senders = Senders(server, room)
        devices = [Device(server, identity, sid, "ET" + room[2:]) for identity in ("ana", "ben", "ben")]
        for _ in range(ROUNDS):
            await asyncio.gather(*(device.connect() for device in devices))
            work = [asyncio.create_task(senders.over_socket(identity)) for identity in ("ana", "ben")]
            work += [asyncio.create_task(senders.over_rest()) for _ in range(2)]
            await asyncio.sleep(BURST_S * random.uniform(0.5, 1))
            await server.kill()
            await asyncio.gather(*work)
            for device in devices:
                device.forget_peer()
            await server.start()

        # What was owed is sent again; it is there once, whether or not it had been done.
        for identity, owed in senders.owed.items():
            peer = await server.peer(identity)
            for text in owed:
                answer = await peer.send_message(room, text, mutation_id=f"mutation of {text}")
                senders.acknowledged[text] = answer["index"]
            await peer.close()

        stored = await server.messages(room)
        assert len(senders.acknowledged) > 100
        assert [index for index, _ in stored] == list(range(len(stored)))
        texts = [text for _, text in stored]
        assert len(set(texts)) == len(texts)
        assert {text: index for index, text in stored if text not in senders.unsure} == senders.acknowledged

        await asyncio.gather(*(device.connect() for device in devices))
        for device in devices:
            await device.heard(sid, len(stored) - 1)
            assert device.messages[sid] == stored


async def test_a_mutation_that_was_done_before_the_kill_gets_the_same_answer_after_it(tmp_path: Path) -> None:
    async with served(tmp_path) as server:
        room = await server.room("ana")
        peer = await server.peer("ana")
        first = (await peer.send_message(room, "once", mutation_id="M1")).json
        await server.kill()
        await peer.end()
        await server.start()
        peer = await server.peer("ana")
        assert (await peer.send_message(room, "once", mutation_id="M1"))["sid"] == first["sid"]
        assert await server.messages(room) == [(0, "once")]
        await peer.close()
