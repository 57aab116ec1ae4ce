"""A realtime client that costs as little as it can, so that the server is what is measured.

``Client`` speaks the whole protocol: it sets a connection up and makes requests. ``Listener`` takes its connection over
for the hot part of a scenario: it counts events without decoding them and acknowledges as the official SDK does.

Frames are masked as RFC 6455 demands of a client. The mask is the same four equal bytes each time, which makes masking
one table look-up here; the server cannot know, and unmasks like any other.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import struct
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal, cast

import msgspec

from tertulia.wire import frames, sync
from tertulia.wire.frames import HttpRequest, Registration

WAIT_S = 30.0
"""How long the official SDK waits for a reply."""

_MASK = b"\x5a\x5a\x5a\x5a"
_MASKED = bytes(byte ^ 0x5A for byte in range(256))
_UPGRADE = (
    "GET /v3/wsconnect HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
# The registrations and metadata of SDK 3.0.1 (realtime 5).
_WANTED = (sync.TYPING, sync.REPLAY_EVENT, sync.DOCUMENT_EVENT, sync.LIST_EVENT, sync.MAP_EVENT)
_REGISTRATIONS = (Registration("ip_messaging", "ers", 0, _WANTED),)
_METADATA = {"ver": "1.0.2", "env": "Node.js", "envv": "20.20.2", "os": "Linux", "type": "conversations", "sdk": "JS"}
_CAPABILITIES = ("client_update", "offline_storage", "telemetry.v1")

MESSAGE_ADDED = b"list_ite"
"""In each event that adds a message, once; and in no other that these scenarios cause."""
_PUSHED = b'"id":"TM'
"""In the header of each pushed frame, once; as long as the other, so that one rest serves both."""
SENT_AT = re.compile(rb"@@(\d{19})")
"""The moment of sending that ``stamped`` bodies carry."""

Acknowledge = Literal["joined", "each"] | None
"""All frames of one read with one write; each frame with a system call of its own; not at all."""

# The acknowledgement of the official SDK, byte for byte around the id (realtime 3.3).
_ACK_HEAD = b'TWILSOCK V3.0 147\r\n{"id":"'
_ACK_TAIL = (
    b'","method":"reply","payload_type":"application/json","status":{"code":200,"status":"OK"},"payload_size":0}\r\n'
)
_ID_SIZE = 34


def masked(message: bytes) -> bytes:
    """A binary message as a client's frame."""
    size = len(message)
    if size < 126:
        head = bytes((0x82, 0x80 | size))
    elif size < 65_536:
        head = struct.pack("!BBH", 0x82, 0xFE, size)
    else:
        head = struct.pack("!BBQ", 0x82, 0xFF, size)
    return head + _MASK + message.translate(_MASKED)


def _acknowledgement_parts() -> tuple[bytes, bytes]:
    text = _ACK_HEAD + b"x" * _ID_SIZE + _ACK_TAIL
    header_size = len(text) - len(b"TWILSOCK V3.0 147\r\n") - 2
    frame = masked(text.replace(b"147", b"%d" % header_size, 1))
    start = frame.index((b"x" * _ID_SIZE).translate(_MASKED))
    return frame[:start], frame[start + _ID_SIZE :]


_ACK_BEFORE, _ACK_AFTER = _acknowledgement_parts()


def acknowledgement(frame_id: bytes) -> bytes:
    """What the SDK sends when a frame with this id (34 bytes) has come, as a whole WebSocket frame."""
    return _ACK_BEFORE + frame_id.translate(_MASKED) + _ACK_AFTER


def stamped(text: str) -> str:
    """A body that says when it was written; the clock is the same in all processes of the machine."""
    return f"{text} @@{time.monotonic_ns():019d}"


class Refused(Exception):
    """The server did not do what a scenario needs."""


class Client(asyncio.Protocol):
    """One connection: set up, requests, events. Acknowledges everything, joined."""

    _ids = itertools.count()

    def __init__(self, host: str) -> None:
        self._host = host
        self._buffer = b""
        self._waiting: dict[bytes, Callable[[bytes], None]] = {}
        self._upgraded: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport
        self.is_lost = False
        self.on_event: Callable[[bytes], None] | None = None
        """Gets each pushed frame, undecoded."""

    @classmethod
    async def connect(cls, address: tuple[str, int]) -> Client:
        loop = asyncio.get_running_loop()
        _, client = await loop.create_connection(lambda: cls(f"{address[0]}:{address[1]}"), *address)
        await asyncio.wait_for(client._upgraded, WAIT_S)
        return client

    # --- asking

    async def init(self, token: str, continuation_token: str | None = None) -> str:
        """Log in; the continuation token for the next time."""
        frame_id = self._new_id()
        frame = frames.init(
            frame_id,
            token,
            continuation_token=continuation_token,
            registrations=_REGISTRATIONS,
            capabilities=_CAPABILITIES,
            metadata=_METADATA,
        )
        header = frames.parse(await self._exchange(frame_id, frame)).header
        if header.status is None or header.status.code != 200:
            raise Refused(f"init: {header.status}")
        return header.continuation_token or ""

    async def get(self, url: str, params: dict[str, str | list[str] | None] | None = None) -> Any:
        """The answer to a tunnelled GET of a path or URL."""
        return await self.ask("GET", url, params=params)

    async def ask(
        self,
        method: str,
        url: str,
        body: object = None,
        *,
        params: dict[str, str | list[str] | None] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """The JSON that a tunnelled request is answered with. Raises ``Refused`` unless it is a success."""
        frame_id, frame = self.request(method, url, body, params=params, headers=headers)
        answer = frames.parse(await self._exchange(frame_id, frame))
        status = answer.header.http_status
        if status is None or not 200 <= status.code < 300:
            raise Refused(f"{method} {url}: {status} {answer.payload.decode(errors='replace')}")
        return msgspec.json.decode(answer.payload) if answer.payload else None

    def request(
        self,
        method: str,
        url: str,
        body: object = None,
        *,
        params: dict[str, str | list[str] | None] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[str, bytes]:
        """A tunnelled request and its id."""
        path = "/" + url.partition("://")[2].partition("/")[2] if "://" in url else url
        frame_id = self._new_id()
        fields: dict[str, str | list[str] | None] = {
            "Content-Type": "application/json; charset=utf-8",
            **(headers or {}),
        }
        wrapped = HttpRequest(method, path, self._host, params or {}, fields)
        return frame_id, frames.request(frame_id, wrapped, msgspec.json.encode(body) if body is not None else b"")

    def send_message(self, url: str, body: str, on_reply: Callable[[bytes], None]) -> None:
        """Write a message as the SDK does, with a mutation id; ``on_reply`` gets the answer's frame."""
        number = next(self._ids)
        mutation = f"{number:08x}-0000-4000-8000-{os.getpid():012x}"
        frame_id, frame = self.request(
            "POST", url, {"body": body, "attributes": "{}"}, headers={"X-Twilio-Mutation-Id": mutation}
        )
        self._waiting[frame_id.encode()] = on_reply
        self.transport.write(masked(frame))

    async def _exchange(self, frame_id: str, frame: bytes) -> bytes:
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[frame_id.encode()] = lambda reply: None if future.done() else future.set_result(reply)
        self.transport.write(masked(frame))
        try:
            return await asyncio.wait_for(future, WAIT_S)
        except TimeoutError:
            raise Refused(f"no reply within {WAIT_S} s") from None

    def _new_id(self) -> str:
        # Unlike any id of the server's, so that a listener cannot take a reply for an event.
        return f"RQ{next(self._ids):032x}"

    # --- for the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(_UPGRADE.format(host=self._host).encode())

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost = True
        if not self._upgraded.done():
            self._upgraded.set_exception(Refused("the connection was closed during its upgrade"))

    def data_received(self, data: bytes) -> None:
        if self._buffer:
            data = self._buffer + data
        at = 0
        if not self._upgraded.done():
            head_end = data.find(b"\r\n\r\n")
            if head_end < 0:
                self._buffer = data
                return
            if not data.startswith(b"HTTP/1.1 101 "):
                self._upgraded.set_exception(Refused(data[:head_end].decode("latin-1")))
                return
            self._upgraded.set_result(None)
            at = head_end + 4
        end = len(data)
        pushed: list[bytes] = []
        while end - at >= 2:
            size, start = data[at + 1], at + 2
            if size == 126:
                size, start = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
            elif size == 127:
                size, start = int.from_bytes(data[at + 2 : at + 10], "big"), at + 10
            if start + size > end:
                break
            if data[at] == 0x82:
                self._take(data[start : start + size], pushed)
            at = start + size
        self._buffer = data[at:]
        if pushed and not self.transport.is_closing():
            self.transport.write(b"".join([acknowledgement(frame_id) for frame_id in pushed]))

    def _take(self, message: bytes, pushed: list[bytes]) -> None:
        header = message.index(b"\r\n", 14) + 2
        if message.startswith(b'{"method":"reply","id":"', header):
            start = header + 24
            on_reply = self._waiting.pop(message[start : message.index(b'"', start)], None)
            if on_reply is not None:
                on_reply(message)
            return
        start = message.index(b'"id":"', header) + 6
        pushed.append(message[start : start + _ID_SIZE])
        if self.on_event is not None:
            self.on_event(message)


class Listener(asyncio.Protocol):
    """Takes a quiet client's connection over and only listens, as cheaply as can be.

    Counts what it is sent by looking for the event's name; finds the ids to acknowledge by their own look.
    """

    __slots__ = (
        "_acknowledge",
        "_rest",
        "_sample",
        "_socket",
        "bytes",
        "events",
        "frames",
        "is_lost",
        "reads",
        "transport",
    )

    def __init__(self, client: Client, acknowledge: Acknowledge, sample: list[int] | None = None) -> None:
        assert not client._buffer, "the client must be quiet"
        self.transport = client.transport
        self._acknowledge = acknowledge
        self._sample = sample
        self._socket: int = self.transport.get_extra_info("socket").fileno()
        self._rest = b""
        self.events = self.frames = self.reads = self.bytes = 0
        self.is_lost = False
        self.transport.set_protocol(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost = True

    def data_received(self, data: bytes) -> None:
        self.reads += 1
        self.bytes += len(data)
        if self._rest:
            data = self._rest + data
        self.events += data.count(MESSAGE_ADDED)
        if self._sample is not None:
            now = time.monotonic_ns()
            self._sample.extend(now - int(sent_at) for sent_at in SENT_AT.findall(data))
        if self._acknowledge is None:
            self.frames += data.count(_PUSHED)
            # Shorter than what is counted, so nothing is counted twice.
            self._rest = data[1 - len(_PUSHED) :]
            return
        before, *parts = data.split(_PUSHED)
        if parts and len(parts[-1]) < _ID_SIZE - 2:
            self._rest = _PUSHED + parts.pop()
        else:
            self._rest = (parts[-1] if parts else before)[1 - len(_PUSHED) :]
        self._answer([b"TM" + part[: _ID_SIZE - 2] for part in parts])

    def _answer(self, ids: list[bytes]) -> None:
        self.frames += len(ids)
        if not ids:
            return
        if self._acknowledge == "joined":
            self.transport.write(b"".join([acknowledgement(frame_id) for frame_id in ids]))
            return
        for number, frame_id in enumerate(ids):
            frame = acknowledgement(frame_id)
            try:
                # Past the transport, which would join them.
                written = os.write(self._socket, frame)
            except BlockingIOError:
                written = 0
            if written < len(frame):
                rest = [acknowledgement(later) for later in ids[number + 1 :]]
                self.transport.write(frame[written:] + b"".join(rest))
                return
