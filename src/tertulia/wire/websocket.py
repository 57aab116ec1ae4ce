"""RFC 6455, the server's half, without a network: bytes become events, payloads become frames.

Three parts, in the order a connection meets them: the upgrade (`parse_upgrade`), what the peer sends
(`FrameReader`), what we send (`binary`, `text`, `ping`, `pong`, `close`). No extensions, no subprotocols.
Numbers in comments are sections of RFC 6455.
"""

from __future__ import annotations

import binascii
import re
import struct
import sys
from base64 import b64decode, b64encode
from collections.abc import Iterable
from hashlib import sha1
from http import HTTPStatus
from typing import Final

import msgspec

# 7.4.1, and the IANA registry for 1012 to 1014.
NORMAL: Final = 1000
GOING_AWAY: Final = 1001
PROTOCOL_ERROR: Final = 1002
UNSUPPORTED_DATA: Final = 1003
NO_STATUS: Final = 1005
INVALID_DATA: Final = 1007
TOO_BIG: Final = 1009
INTERNAL_ERROR: Final = 1011

_SENDABLE_CODES: Final = frozenset((*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)))
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_BREAK: Final = re.compile(r"[\0\r\n]")
_FIN: Final = 0x80
_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
_CONTROL_LIMIT: Final = 125


# --- the upgrade -----------------------------------------------------------------------------------------------------


class UpgradeRefused(Exception):
    """The request is not a WebSocket upgrade that can be accepted; ``answer()`` is what to send before closing."""

    def __init__(self, status: int, reason: str, headers: Iterable[tuple[str, str]] = ()) -> None:
        super().__init__(f"{status}: {reason}")
        self.status = status
        self.reason = reason
        self.headers = tuple(headers)

    def answer(self) -> bytes:
        """A whole HTTP response that ends the connection."""
        body = self.reason.encode()
        lines = [
            f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}",
            "content-type: text/plain; charset=utf-8",
            f"content-length: {len(body)}",
            "connection: close",
            *(f"{name}: {value}" for name, value in self.headers),
        ]
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


class Upgrade(msgspec.Struct, frozen=True):
    """An upgrade request that holds all RFC 6455 asks for."""

    path: str
    """As sent: still percent-encoded, begins with "/"."""
    query: str
    """As sent, without the "?"."""
    headers: dict[str, str]
    """Names in lower case; repeated ones joined by ", "."""

    def answer(self) -> bytes:
        """The response after which the connection speaks WebSocket."""
        # 4.2.2: a proof of having read the request, not a secret.
        digest = sha1(self.headers["sec-websocket-key"].encode("latin-1") + _GUID, usedforsecurity=False).digest()
        return (
            b"HTTP/1.1 101 Switching Protocols\r\n"
            b"upgrade: websocket\r\n"
            b"connection: Upgrade\r\n"
            b"sec-websocket-accept: " + b64encode(digest) + b"\r\n\r\n"
        )


def parse_upgrade(head: bytes) -> Upgrade:
    """The upgrade that a request head asks for, with or without the empty line at its end.

    Raises `UpgradeRefused` for everything a server must not accept. Source: 4.2.1.
    """
    request_line, *lines = head.removesuffix(b"\r\n\r\n").decode("latin-1").split("\r\n")
    method, _, rest = request_line.partition(" ")
    target, _, version = rest.partition(" ")
    if method != "GET":
        raise UpgradeRefused(405, "A WebSocket opens with GET", [("allow", "GET")])
    if version != "HTTP/1.1":
        raise UpgradeRefused(505, "A WebSocket opens over HTTP/1.1")
    if not target.startswith("/") or "#" in target:
        raise UpgradeRefused(400, "The request target must be a path")
    headers = _parse_headers(lines)
    _check_upgrade(headers)
    path, _, query = target.partition("?")
    return Upgrade(path, query, headers)


def _parse_headers(lines: list[str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        # White space beside a name is a folded line or smuggling (RFC 9112, 5.1 and 5.2).
        if not colon or not _HEADER_NAME.fullmatch(name) or _HEADER_BREAK.search(value):
            raise UpgradeRefused(400, "A header line is malformed")
        name, value = name.lower(), value.strip(" \t")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _check_upgrade(headers: dict[str, str]) -> None:
    if not headers.get("host"):
        raise UpgradeRefused(400, "Host is missing")
    if "transfer-encoding" in headers or headers.get("content-length", "0") != "0":
        # Its bytes would be read as frames.
        raise UpgradeRefused(400, "An upgrade request has no body")
    if "websocket" not in _tokens(headers, "upgrade"):
        raise UpgradeRefused(426, "Upgrade must be websocket", [("upgrade", "websocket")])
    if "upgrade" not in _tokens(headers, "connection"):
        raise UpgradeRefused(400, "Connection must hold upgrade")
    if "sec-websocket-version" not in headers:
        raise UpgradeRefused(400, "Sec-WebSocket-Version is missing")
    if headers["sec-websocket-version"] != "13":
        raise UpgradeRefused(426, "Sec-WebSocket-Version must be 13", [("sec-websocket-version", "13")])
    # A repeated key has been joined by a comma, which is not base64.
    if not _is_key(headers.get("sec-websocket-key", "")):
        raise UpgradeRefused(400, "Sec-WebSocket-Key must be 16 bytes in base64, once")


def _tokens(headers: dict[str, str], name: str) -> list[str]:
    return [token.strip().lower() for token in headers.get(name, "").split(",")]


def _is_key(value: str) -> bool:
    try:
        return len(value) == 24 and len(b64decode(value, validate=True)) == 16
    except (binascii.Error, ValueError):
        return False


# --- what the peer sends ---------------------------------------------------------------------------------------------


class Message(msgspec.Struct, frozen=True, gc=False):
    """A whole message; that of a text message is valid UTF-8."""

    data: bytes
    binary: bool


class Ping(msgspec.Struct, frozen=True, gc=False):
    """The peer asks for a pong with the same data."""

    data: bytes


class Pong(msgspec.Struct, frozen=True, gc=False):
    """The peer answers a ping, or says on its own that it lives."""

    data: bytes


class Closed(msgspec.Struct, frozen=True, gc=False):
    """The peer's close frame, after which it sends nothing; 1005 stands for a frame without a code."""

    code: int
    reason: str


class Failed(msgspec.Struct, frozen=True, gc=False):
    """The peer broke the protocol: close with this code and reason (7.1.7)."""

    code: int
    reason: str


Event = Message | Ping | Pong | Closed | Failed


def apply_mask_in_python(data: bytes | bytearray | memoryview, mask: bytes | bytearray) -> bytes:
    """``data`` XOR the repeated four bytes of ``mask``: masks and unmasks."""
    size = len(data)
    repeated = (mask * (size // 4 + 1))[:size]
    order = sys.byteorder
    return (int.from_bytes(data, order) ^ int.from_bytes(repeated, order)).to_bytes(size, order)


try:
    # Four to sixty times faster.
    from websockets.speedups import apply_mask as apply_mask
except ImportError:
    apply_mask = apply_mask_in_python


class _Violation(Exception):
    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class FrameReader:
    """The messages in a stream of bytes from a client, however the stream is cut into pieces.

    Nothing raises: a violation becomes `Failed`, once, after the events that came before it. After `Failed` or
    `Closed` everything is swallowed. Memory: at most ``limit`` bytes of one message and one piece of the stream; a
    longer message fails with 1009 as soon as the header of the frame that is too much has arrived.
    """

    __slots__ = ("_buffer", "_is_over", "_limit", "_message", "_need", "_opcode")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        # A frame that has not all arrived, and the length at which it is worth another look: without it a frame
        # sent byte by byte would cost the square of its length.
        self._buffer: bytearray | None = None
        self._need = 0
        # What a fragmented message has so far: one array, because a list of tiny fragments has no bound.
        self._message: bytearray | None = None
        self._opcode = _CONTINUATION
        self._is_over = False

    def feed(self, data: bytes) -> list[Event]:
        """What these bytes complete, in order."""
        if self._is_over:
            return []
        if self._buffer is not None:
            self._buffer += data
            if len(self._buffer) < self._need:
                return []
            data = bytes(self._buffer)
            self._buffer = None
        events: list[Event] = []
        try:
            at = self._read(data, events)
        except _Violation as violation:
            self._is_over = True
            events.append(Failed(violation.code, violation.reason))
        else:
            if at < len(data):
                self._buffer = bytearray(memoryview(data)[at:])
        if self._is_over:
            self._buffer = self._message = None
        return events

    def _read(self, data: bytes, events: list[Event]) -> int:
        """Where the first frame begins that is not all there."""
        at, end = 0, len(data)
        # The second byte of a short masked frame is 128 + its length.
        longest = 128 + min(self._limit, _CONTROL_LIMIT)
        while end - at >= 2:
            first, second = data[at], data[at + 1]
            start = stop = 0
            if first == 0x82 and self._message is None:
                # The fast path: a binary message in one frame, below 64 KiB. Half the cost of the general one.
                if 128 <= second <= longest:
                    start, stop = at + 6, at + second - 122
                elif second == 254 and end - at >= 4:
                    size = data[at + 2] << 8 | data[at + 3]
                    if _CONTROL_LIMIT < size <= self._limit:
                        start, stop = at + 8, at + 8 + size
            if not start:
                start, stop = self._measure(data, at)
            if stop > end:
                self._need = stop - at
                return at
            payload = apply_mask(data[start:stop], data[start - 4 : start])
            at = stop
            if first == 0x82 and self._message is None:
                events.append(Message(payload, True))
                continue
            event = self._accept(first, payload)
            if event is not None:
                events.append(event)
                if self._is_over:
                    return end
        self._need = 2
        return at

    def _measure(self, data: bytes, at: int) -> tuple[int, int]:
        """Where the payload of the frame at ``at`` begins and ends.

        An end behind the data is how far they must reach for another look.
        """
        first, second = data[at], data[at + 1]
        self._check_header(first, second)
        size, start = second & 0x7F, at + 6
        if size > _CONTROL_LIMIT:
            width = 2 if size == 126 else 8
            start += width
            if start - 4 > len(data):
                return start, start - 4
            size = int.from_bytes(data[at + 2 : start - 4], "big")
            # 5.2: the minimal number of bytes, the most significant bit 0.
            if size < (126 if width == 2 else 0x10000) or size >> 63:
                raise _Violation(PROTOCOL_ERROR, "frame length badly written")
        if first & 0x0F < _CLOSE:
            known = 0 if self._message is None else len(self._message)
            if known + size > self._limit:
                raise _Violation(TOO_BIG, f"message longer than {self._limit} bytes")
        return start, start + size

    def _check_header(self, first: int, second: int) -> None:
        opcode = first & 0x0F
        if first & 0x70:
            raise _Violation(PROTOCOL_ERROR, "reserved bit set")
        if not second & 0x80:
            raise _Violation(PROTOCOL_ERROR, "frame not masked")
        if _BINARY < opcode < _CLOSE or opcode > _PONG:
            raise _Violation(PROTOCOL_ERROR, "reserved opcode")
        if opcode >= _CLOSE:
            if not first & _FIN:
                raise _Violation(PROTOCOL_ERROR, "fragmented control frame")
            if second & 0x7F > _CONTROL_LIMIT:
                raise _Violation(PROTOCOL_ERROR, "control frame too long")
        elif opcode == _CONTINUATION:
            if self._message is None:
                raise _Violation(PROTOCOL_ERROR, "continuation of nothing")
        elif self._message is not None:
            raise _Violation(PROTOCOL_ERROR, "new message before the end of the last")

    def _accept(self, first: int, payload: bytes) -> Event | None:
        """The event that a frame with a good header makes, if it makes one."""
        opcode = first & 0x0F
        if opcode == _PING:
            return Ping(payload)
        if opcode == _PONG:
            return Pong(payload)
        if opcode == _CLOSE:
            self._is_over = True
            return _parse_close(payload)
        if self._message is None:
            if first & _FIN:
                return _whole(opcode, payload)
            self._opcode = opcode
            self._message = bytearray(payload)
            return None
        self._message += payload
        if not first & _FIN:
            return None
        payload = bytes(self._message)
        self._message = None
        return _whole(self._opcode, payload)


def _whole(opcode: int, payload: bytes) -> Message:
    if opcode == _TEXT:
        _decode(payload)
    return Message(payload, opcode == _BINARY)


def _parse_close(payload: bytes) -> Closed:
    if not payload:
        return Closed(NO_STATUS, "")
    if len(payload) == 1:
        raise _Violation(PROTOCOL_ERROR, "half a close code")
    code = int.from_bytes(payload[:2], "big")
    if code not in _SENDABLE_CODES:
        raise _Violation(PROTOCOL_ERROR, f"close code {code} may not be sent")
    return Closed(code, _decode(payload[2:]))


def _decode(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise _Violation(INVALID_DATA, "text is not UTF-8") from None


# --- what we send ----------------------------------------------------------------------------------------------------


def binary(payload: bytes) -> bytes:
    """A binary message as one frame."""
    return _frame(_BINARY, payload)


def text(payload: str) -> bytes:
    """A text message as one frame."""
    return _frame(_TEXT, payload.encode())


def ping(data: bytes = b"") -> bytes:
    """A frame that the peer must answer; ValueError beyond 125 bytes."""
    return _control(_PING, data)


def pong(data: bytes = b"") -> bytes:
    """The answer to a ping with the same data; ValueError beyond 125 bytes."""
    return _control(_PONG, data)


def close(code: int = NORMAL, reason: str = "") -> bytes:
    """The last frame of a connection, with the reason cut to fit; 1005 gives a frame without a code.

    ValueError for a code that may not travel (7.4).
    """
    if code == NO_STATUS:
        return _control(_CLOSE, b"")
    if code not in _SENDABLE_CODES:
        raise ValueError(f"close code {code} may not be sent; use 1000 to 1003, 1007 to 1014 or 3000 to 4999")
    # A character that does not fit as a whole goes as a whole.
    room = reason.encode()[: _CONTROL_LIMIT - 2].decode(errors="ignore")
    return _control(_CLOSE, code.to_bytes(2, "big") + room.encode())


def _control(opcode: int, data: bytes) -> bytes:
    if len(data) > _CONTROL_LIMIT:
        raise ValueError(f"control frame with {len(data)} bytes; at most {_CONTROL_LIMIT} are allowed")
    return _frame(opcode, data)


def _frame(opcode: int, payload: bytes) -> bytes:
    size = len(payload)
    if size <= _CONTROL_LIMIT:
        return bytes((_FIN | opcode, size)) + payload
    if size <= 0xFFFF:
        return struct.pack("!BBH", _FIN | opcode, 126, size) + payload
    return struct.pack("!BBQ", _FIN | opcode, 127, size) + payload
