"""Receivers that speak HTTP/2 on loopback, by the library's other half, and do what a script says."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple, TypeVar

import h2.config
import h2.connection
import h2.events
import h2.settings
from hyperframe.frame import GoAwayFrame

from tertulia.server.outgoing import Answer, Call, CallFailed, Multiplexed
from tests.contract.outgoing.receivers import OPEN, Peer, Receiver, Script, call_to, calling, receiver

STREAMS = h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS
WINDOW = h2.settings.SettingCodes.INITIAL_WINDOW_SIZE

Event = TypeVar("Event", bound=h2.events.Event)


class Request(NamedTuple):
    stream_id: int
    headers: dict[str, str]
    body: bytes


class Line:
    """One connection, as the receiver sees it. It opens its windows as wide as it can, unless told otherwise."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.http = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        self.seen: list[h2.events.Event] = []
        self.acknowledges = True
        self._requests: list[Request] = []
        self._open: dict[int, tuple[dict[str, str], bytearray]] = {}

    async def greet(self, settings: Mapping[int, int] | None = None) -> None:
        self.http.local_settings.update(settings or {})
        self.http.local_settings.acknowledge()
        self.http.initiate_connection()
        await self.flush()

    async def flush(self) -> None:
        await self.peer.say(self.http.data_to_send())

    async def hear(self) -> None:
        """The next that comes; raises ``EOFError`` at the end."""
        data = await self.peer.reader.read(65536)
        if not data:
            raise EOFError
        for event in self.http.receive_data(data):
            self.seen.append(event)
            if isinstance(event, h2.events.RequestReceived):
                self._open[event.stream_id] = dict(event.headers), bytearray()  # type: ignore[arg-type]
            elif isinstance(event, h2.events.DataReceived):
                self._open[event.stream_id][1].extend(event.data)
                if self.acknowledges:
                    self.http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded):
                headers, body = self._open.pop(event.stream_id)
                self._requests.append(Request(event.stream_id, headers, bytes(body)))
        await self.flush()

    async def request(self) -> Request:
        """The next request that has come whole."""
        while not self._requests:
            await self.hear()
        return self._requests.pop(0)

    async def until(self, kind: type[Event]) -> Event:
        """Until something of this kind has come."""
        while True:
            for event in self.seen:
                if isinstance(event, kind):
                    return event
            await self.hear()

    async def answer(self, stream_id: int, status: int = 200, body: bytes = b"", **headers: str) -> None:
        fields = [(":status", str(status)), *((name.replace("_", "-"), value) for name, value in headers.items())]
        self.http.send_headers(stream_id, fields, end_stream=not body)
        while body:
            if any(isinstance(event, h2.events.StreamReset) and event.stream_id == stream_id for event in self.seen):
                return  # the caller has had enough of it
            room = min(self.http.local_flow_control_window(stream_id), self.http.max_outbound_frame_size)
            if not room:
                await self.flush()
                await self.hear()
                continue
            self.http.send_data(stream_id, body[:room], end_stream=len(body) <= room)
            body = body[room:]
        await self.flush()

    async def until_left(self) -> None:
        """Until the caller has dropped the connection."""
        with contextlib.suppress(EOFError, ConnectionError):
            while True:
                await self.hear()

    async def serve(self) -> None:
        """Answers all requests with their bodies until the caller leaves."""
        with contextlib.suppress(EOFError, ConnectionError):
            while True:
                request = await self.request()
                await self.answer(request.stream_id, body=request.body)


def leaving_after(stream_id: int) -> bytes:
    """A ``GOAWAY``, after which the library would not go on."""
    return GoAwayFrame(0, last_stream_id=stream_id, additional_data=b"bye").serialize()


def speaking(*scripts: Callable[[Line], Awaitable[None]], settings: Mapping[int, int] | None = None) -> Script:
    """Does to the first connection what the first script says, and so on; the last one to all that follow."""
    waiting = list(scripts)

    async def script(peer: Peer) -> None:
        todo = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        line = Line(peer)
        await line.greet(settings)
        await todo(line)

    return script


@contextlib.asynccontextmanager
async def sharing(place: Receiver) -> AsyncIterator[Multiplexed]:
    """Calls to a receiver that share connections, with the library loaded."""
    async with calling(OPEN) as outgoing:
        calls = outgoing.multiplexed(f"http://127.0.0.1:{place.port}")
        with contextlib.suppress(CallFailed):
            await calls.call(Call(method="GET", url="none"))
        yield calls
        await calls.close()


@contextlib.asynccontextmanager
async def shared(script: Script) -> AsyncIterator[tuple[Receiver, Multiplexed]]:
    """A receiver, and calls to it."""
    async with receiver(script) as place, sharing(place) as calls:
        yield place, calls


def together(calls: Multiplexed, place: Receiver, number: int, **fields: object) -> list[asyncio.Task[Answer]]:
    """So many calls under way, with their numbers as bodies."""
    return [
        asyncio.create_task(calls.call(call_to(place.url, **{"body": str(one).encode(), **fields})))
        for one in range(number)
    ]


def kinds(results: Sequence[object]) -> list[object]:
    """Of calls that ended together: how they failed, and the answers of the others."""
    return [result.kind if isinstance(result, CallFailed) else result for result in results]


async def echoing(line: Line) -> None:
    await line.serve()


async def silent(line: Line) -> None:
    await line.until_left()
