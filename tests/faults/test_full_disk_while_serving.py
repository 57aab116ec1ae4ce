"""A full disk under a running server: writers are told to come back, readers notice nothing, and it mends itself."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from tests.api.realtime.client import wish

from .process import served, until

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files as Linux does"),
]


async def test_writers_get_503_readers_go_on_and_it_recovers(tmp_path: Path) -> None:
    async with served(tmp_path) as server, server.rest() as rest:
        room = await server.room("ana", "ben")
        sid = "ES" + room[2:]
        ana, ben = await server.peer("ana"), await server.peer("ben")
        await ben.establish(wish(sid, -1))
        assert (await ana.send_message(room, "before")).http_status == 201

        server.limit_files(server.log_of_writes())
        for _ in range(3):
            answers = await asyncio.gather(
                *(ana.send_message(room, f"refused {n}", mutation_id=f"M{n}") for n in range(10))
            )
            assert {answer.failure for answer in answers} == {(503, 20503)}
            made = await rest.post(f"/Conversations/{room}/Messages", data={"Body": "refused"})
            assert (made.status_code, made.json()["code"]) == (503, 20503)
        # Others' reads go on, over both faces and over what is connected already.
        assert (await rest.get(f"/Conversations/{room}")).status_code == 200
        assert [item["data"]["text"] for item in (await ben.get(f"/v3/Lists/{sid}/Items"))["items"]] == ["before"]
        assert (await rest.get(f"{server.url}/healthz")).status_code == 200
        # A user who is known connects and catches up.
        returning = await server.peer("ana")
        await returning.establish(wish(sid, -1))
        assert returning.texts(sid) == ["before"]
        # One who would have to be made is told to come back, not that his token is bad.
        with pytest.raises(AssertionError, match="20503"):
            await server.peer("newcomer")

        server.limit_files(None)
        answer = await ana.send_message(room, "after", mutation_id="M0")
        assert (answer.http_status, answer["index"]) == (201, 1)
        newcomer = await server.peer("newcomer")
        await ben.until(lambda: ben.texts(sid) == ["before", "after"])
        assert ben.numbers(sid) == [0, 1]
        assert await server.messages(room) == [(0, "before"), (1, "after")]
        for peer in (ana, ben, returning, newcomer):
            await peer.close()
        assert server.log.read_text().count("Traceback") == 0


async def test_a_disk_that_fills_and_empties_during_a_burst_acknowledges_only_what_it_keeps(tmp_path: Path) -> None:
    async with served(tmp_path) as server:
        room = await server.room("ana", "ben")
        sid = "ES" + room[2:]
        ana, ben = await server.peer("ana"), await server.peer("ben")
        await ben.establish(wish(sid, -1))
        acknowledged: dict[int, str] = {}
        refused = 0
        stop = asyncio.Event()

        async def send(who: int) -> None:
            nonlocal refused
            number = 0
            while not stop.is_set():
                text = f"{who}.{number} " + "x" * 500
                number += 1
                answer = await ana.send_message(room, text)
                if answer.http_status == 201:
                    acknowledged[answer["index"]] = text
                else:
                    assert answer.failure == (503, 20503)
                    refused += 1

        senders = [asyncio.create_task(send(who)) for who in range(8)]
        for _ in range(6):
            server.limit_files(server.log_of_writes() + 50_000)
            some = refused + 10
            await until(lambda: refused >= some)  # noqa: B023
            server.limit_files(None)
            more = len(acknowledged) + 20
            await until(lambda: len(acknowledged) >= more)  # noqa: B023
        stop.set()
        await asyncio.gather(*senders)
        stored = await server.messages(room)
        assert dict(stored) == acknowledged
        assert [index for index, _ in stored] == list(range(len(stored)))
        await ben.until(lambda: len(ben.numbers(sid)) == len(stored))
        assert list(enumerate(ben.texts(sid))) == stored
        for peer in (ana, ben):
            await peer.close()
