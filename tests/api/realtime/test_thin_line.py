"""A client behind 100 kbit/s with a fifth of a second to the server and back: it comes up, and is not cut off."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from .client import Peer, path_of, wish
from .conftest import Here

BYTES_PER_S = 100_000 / 8
DELAY_S = 0.1
PIECE = 1024
CONVERSATIONS = 30


class ThinLine:
    """Carries connections to a port, slowly and late."""

    def __init__(self, port: int) -> None:
        self.target = port
        self.port = 0
        self.up = self.down = self.connections = 0
        self._ways: set[asyncio.Task[None]] = set()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        for way in (self._carry(reader, far_writer, "up"), self._carry(far_reader, writer, "down")):
            task = asyncio.create_task(way)
            self._ways.add(task)
            task.add_done_callback(self._ways.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: str) -> None:
        loop = asyncio.get_running_loop()
        free_at = 0.0
        with contextlib.suppress(ConnectionError):
            while piece := await reader.read(PIECE):
                setattr(self, way, getattr(self, way) + len(piece))
                free_at = max(free_at, loop.time()) + len(piece) / BYTES_PER_S
                # What is under way travels meanwhile; the line takes the next piece when this one has left.
                loop.call_at(free_at + DELAY_S, writer.write, piece)
                await asyncio.sleep(free_at - loop.time())
        loop.call_at(free_at + DELAY_S + 0.01, writer.close)

    async def end(self) -> None:
        for way in tuple(self._ways):
            way.cancel()
        await asyncio.gather(*self._ways, return_exceptions=True)


@asynccontextmanager
async def thin_line(port: int) -> AsyncIterator[ThinLine]:
    line = ThinLine(port)
    listening = await asyncio.start_server(line.accept, "127.0.0.1", 0)
    line.port = listening.sockets[0].getsockname()[1]
    try:
        yield line
    finally:
        listening.close()
        await line.end()


@pytest.mark.owner_demand(26)
async def test_a_client_comes_up_over_a_thin_line(here: Here) -> None:
    """What it is sent is so little that thirty conversations take three seconds: 1.2 KiB for each on the page."""
    rooms = [(await here.world.conversation("ana")).sid for _ in range(CONVERSATIONS)]
    for number in range(5):
        await here.world.send(rooms[0], f"before {number}")
    async with thin_line(here.port) as line:
        peer = await Peer.open(f"ws://127.0.0.1:{line.port}/v3/wsconnect")
        assert (await peer.init(here.token("ana"))).status == 200
        told = (await peer.get("/Client/v2/Configuration")).json
        page = (await peer.get(path_of(told["links"]["my_conversations"]))).json
        assert {entry["conversation_sid"] for entry in page["conversations"]} == set(rooms)
        assert page["meta"]["next_token"] is None
        names = [f"{rooms[0]}.{part}" for part in ("channel", "messages", "roster")]
        roots = await asyncio.gather(*(peer.root(name) for name in names))
        settled = await peer.establish(*(wish(root["sid"], root["last_event_id"]) for root in roots))
        assert {one.how for one in settled.values()} == {"established"}
        sent = await peer.send_message(rooms[0], "through the eye of a needle")
        assert sent.http_status == 201
        await peer.until(lambda: peer.texts(roots[1]["sid"]) == ["through the eye of a needle"])
        assert line.connections == 1
        # Eight replies and two notifications: that they are settled, and the message. No byte beside them that counts.
        assert len(peer.frames) == 10
        assert line.up < 8_000
        assert line.down < 50_000
        await peer.close()
