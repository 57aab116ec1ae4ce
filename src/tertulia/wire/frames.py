"""Twilsock frames: what one WebSocket message carries, read and written, for both sides.

    TWILSOCK V3.0 <header-bytes>\\r\\n<header JSON>\\r\\n<payload>[\\r\\n]

``parse`` reads; the functions named after methods write: first what a server says (``reply``, ``initialised``,
``tunnelled_reply``, ``notification``, ``client_update``, ``ping``), then what a client says (``init``, ``update``,
``request``, ``acknowledgement``); ``close`` is said by both. All lengths are bytes of UTF-8. Source: realtime 3.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from tertulia.wire import redaction

JSON_TYPE: Final = "application/json"

_MAGIC: Final = b"TWILSOCK V3.0 "
_START: Final = len(_MAGIC)
_LINE_END: Final = re.compile(rb"(\d{1,9})\r\n").match


class Limits(msgspec.Struct, frozen=True):
    """How large a frame may be; what is larger is malformed."""

    max_header_bytes: int = 65_536
    max_payload_bytes: int = 1_048_576


DEFAULT_LIMITS: Final = Limits()


class Status(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """How something went: an HTTP-like code, a word, and perhaps a sentence and a public error code (realtime 3.1)."""

    code: int
    status: str = ""
    description: str | None = None
    error_code: int | None = msgspec.field(name="errorCode", default=None)


OK: Final = Status(200, "OK")


class Backoff(msgspec.Struct, frozen=True, gc=False):
    """When a client is to come back: it waits the minimum, or anything between the two."""

    reconnect_min_ms: int
    reconnect_max_ms: int

    def payload(self) -> bytes:
        """The payload of a ``close`` 308 or of a 429 to ``init`` or ``update``."""
        return _encode({"backoff_policy": self})


class Registration(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Which notifications a client wants; the server's echo adds ``notification_ctx_id``."""

    product: str = ""
    type: str = ""
    notification_protocol_version: int | None = None
    message_types: tuple[str, ...] = ()
    notification_ctx_id: str | None = None


class ContinuationStatus(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Whether the client's continuation token was kept, and if not why it got another."""

    reissued: bool
    reissue_reason: str | None = None
    reissue_message: str | None = None


class HttpRequest(msgspec.Struct, frozen=True, gc=False):
    """A request as the client spelled it: path and parameter values still percent-encoded (realtime 8)."""

    method: str
    path: str
    host: str = ""
    params: dict[str, str | list[str] | None] | None = None
    headers: dict[str, str | list[str] | None] | None = None


_NO_METADATA: Final = msgspec.Raw(b"null")


class Header(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The header of any frame: the members that either side reads. Unknown members are left out."""

    method: str
    id: str
    status: Status | None = None
    http_status: Status | None = None
    http_headers: dict[str, str | list[str]] | None = None
    http_request: HttpRequest | None = None
    active_grant: str | None = None
    message_type: str | None = None
    client_update_type: str | None = None
    token: str | None = None
    continuation_token: str | None = None
    continuation_token_status: ContinuationStatus | None = None
    capabilities: tuple[str, ...] | None = None
    registrations: tuple[Registration, ...] | None = None
    init_registrations: tuple[Registration, ...] | None = None
    metadata: msgspec.Raw = _NO_METADATA
    payload_type: str | None = None
    payload_size: int | None = None

    def __repr__(self) -> str:
        return f"<{_summary(self)}>"


class Frame(msgspec.Struct, frozen=True, gc=False):
    """One frame. Printed, it shows what it is about, never a token, a payload or a chosen name."""

    header: Header
    payload: bytes = b""

    def __str__(self) -> str:
        size = f", {len(self.payload)} bytes" if self.payload else ""
        return f"<{_summary(self.header)}{size}>"

    __repr__ = __str__


class MalformedFrame(Exception):
    """The message is not a frame, or a frame with a header nobody can use.

    ``frame_id`` and ``method`` are known if the frame can still be answered: then only a member or the
    payload is wrong, and ``status`` is the code to answer with. Never quotes what the message held.
    """

    def __init__(
        self, reason: str, *, frame_id: str | None = None, method: str | None = None, status: int = 400
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.frame_id = frame_id
        self.method = method
        self.status = status


class _Envelope(msgspec.Struct, gc=False):
    method: str
    id: str


_decode_header = msgspec.json.Decoder(Header).decode
_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_encode = msgspec.json.Encoder().encode


def parse(message: bytes | bytearray | memoryview, limits: Limits = DEFAULT_LIMITS) -> Frame:
    """The frame in one WebSocket message.

    Exactly ``payload_size`` bytes are the payload; what follows them is ignored, as is every unknown member of the
    header. Raises ``MalformedFrame`` and nothing else, whatever the message.
    """
    if not isinstance(message, bytes):
        message = bytes(message)
    if not message.startswith(_MAGIC):
        raise MalformedFrame("does not begin with 'TWILSOCK V3.0 '")
    line_end = _LINE_END(message, _START)
    if line_end is None:
        raise MalformedFrame("the first line does not end with the length of the header")
    size = int(line_end[1])
    if size > limits.max_header_bytes:
        raise MalformedFrame(f"a header of {size} bytes, {limits.max_header_bytes} are allowed")
    start = line_end.end()
    end = start + size
    if message[end : end + 2] != b"\r\n":
        raise MalformedFrame(f"no line ends {size} bytes after the first one")
    header = _read_header(message[start:end])
    wanted = header.payload_size
    if not wanted:
        return Frame(header)
    if wanted < 0:
        raise MalformedFrame("a negative payload_size", frame_id=header.id, method=header.method)
    if wanted > limits.max_payload_bytes:
        reason = f"a payload of {wanted} bytes, {limits.max_payload_bytes} are allowed"
        raise MalformedFrame(reason, frame_id=header.id, method=header.method, status=413)
    payload = message[end + 2 : end + 2 + wanted]
    if len(payload) < wanted:
        reason = f"a payload of {len(payload)} bytes, announced were {wanted}"
        raise MalformedFrame(reason, frame_id=header.id, method=header.method)
    return Frame(header, payload)


def _read_header(text: bytes) -> Header:
    try:
        return _decode_header(text)
    except msgspec.ValidationError as error:
        # Says which member is wrong and of which type it is, not its value.
        reason = f"the header does not fit: {error}"
    except (ValueError, RecursionError):
        raise MalformedFrame("the header is not JSON") from None
    try:
        envelope = _decode_envelope(text)
    except (ValueError, RecursionError):
        raise MalformedFrame(reason) from None
    raise MalformedFrame(reason, frame_id=envelope.id, method=envelope.method)


_is_acknowledgement = re.compile(
    rb'TWILSOCK V3\.0 \d{1,9}\r\n\{(?:"id":"[^"\\]{0,200}",)?"method":"reply"[,}]',
).match

# How the official JavaScript SDK begins the acknowledgement of a frame whose id is ours: 34 letters and digits.
_SDK_HEAD: Final = b'TWILSOCK V3.0 147\r\n{"id":"'
_SDK_NEXT: Final = b'","method":"reply",'


def is_acknowledgement(message: bytes) -> bool:
    """Whether the message is a ``reply`` in one of the spellings clients use, told without decoding it.

    Looks only at the place where the header's own ``method`` stands, first or behind the ``id``: no text further on,
    in members, nested objects or payload, can make it true. A reply spelled otherwise is left to ``parse``.
    """
    # Most of what a server receives; the comparison costs a third of the expression.
    if message[:26] == _SDK_HEAD and message[60:79] == _SDK_NEXT and message[26:60].isalnum():
        return True
    return _is_acknowledgement(message) is not None


def build(header: Header, payload: bytes = b"") -> bytes:
    """The WebSocket message for a header, whose ``payload_size`` must be that of the payload.

    A payload is followed by one line end that is not counted: native clients want it, the others do not mind.
    """
    text = _encode(header)
    if payload:
        return b"TWILSOCK V3.0 %d\r\n%b\r\n%b\r\n" % (len(text), text, payload)
    return b"TWILSOCK V3.0 %d\r\n%b\r\n" % (len(text), text)


def new_id(randomness: bytes) -> str:
    """The id of a new frame, from 16 random bytes."""
    return f"TM{randomness.hex()}"


# --- what a server says -----------------------------------------------------------------------------------------


def reply(frame_id: str, status: Status = OK, payload: bytes = b"") -> bytes:
    """The answer to a frame that is not a tunnelled request; a payload is JSON."""
    payload_type = JSON_TYPE if payload else None
    header = Header(method="reply", id=frame_id, status=status, payload_type=payload_type, payload_size=len(payload))
    return build(header, payload)


def initialised(
    frame_id: str,
    *,
    capabilities: Sequence[str],
    continuation_token: str,
    continuation_status: ContinuationStatus,
    registrations: Sequence[Registration],
) -> bytes:
    """The answer to an ``init`` that succeeded (realtime 5)."""
    return build(
        Header(
            method="reply",
            id=frame_id,
            status=OK,
            capabilities=tuple(capabilities),
            continuation_token=continuation_token,
            continuation_token_status=continuation_status,
            init_registrations=tuple(registrations),
            payload_size=0,
        )
    )


def tunnelled_reply(
    frame_id: str,
    http_status: Status,
    http_headers: Mapping[str, str],
    payload: bytes = b"",
    payload_type: str = JSON_TYPE,
) -> bytes:
    """The answer to a tunnelled request: the transport was fine, ``http_status`` says how the request went."""
    return build(
        Header(
            method="reply",
            id=frame_id,
            status=OK,
            http_status=http_status,
            http_headers=dict(http_headers),
            payload_type=payload_type if payload else None,
            payload_size=len(payload),
        ),
        payload,
    )


def notification(frame_id: str, message_type: str, payload: bytes) -> bytes:
    """An event for the client; the payload is JSON. The same bytes may go to every connection that wants it."""
    return build(
        Header(
            method="notification",
            id=frame_id,
            message_type=message_type,
            payload_type=JSON_TYPE,
            payload_size=len(payload),
        ),
        payload,
    )


def client_update(frame_id: str, update_type: str) -> bytes:
    """Something about the connection itself; clients know ``token_about_to_expire`` only."""
    return build(Header(method="client_update", id=frame_id, client_update_type=update_type, payload_size=0))


def ping(frame_id: str) -> bytes:
    """Asks for an acknowledgement, nothing else."""
    return build(Header(method="ping", id=frame_id, payload_size=0))


def close(frame_id: str, status: Status | None = None, payload: bytes = b"") -> bytes:
    """The end of the connection: a server says why (realtime 7), a client does not."""
    payload_type = JSON_TYPE if payload else None
    header = Header(method="close", id=frame_id, status=status, payload_type=payload_type, payload_size=len(payload))
    return build(header, payload)


# --- what a client says -----------------------------------------------------------------------------------------


def init(
    frame_id: str,
    token: str,
    *,
    continuation_token: str | None = None,
    registrations: Sequence[Registration] = (),
    capabilities: Sequence[str] = ("client_update",),
    metadata: Mapping[str, str | int] | None = None,
) -> bytes:
    """The first frame of a connection."""
    return build(
        Header(
            method="init",
            id=frame_id,
            token=token,
            continuation_token=continuation_token,
            registrations=tuple(registrations),
            capabilities=tuple(capabilities),
            metadata=msgspec.Raw(_encode(metadata)) if metadata else _NO_METADATA,
            payload_size=0,
        )
    )


def update(frame_id: str, token: str) -> bytes:
    """A new token for a live connection."""
    return build(Header(method="update", id=frame_id, token=token, payload_size=0))


def request(frame_id: str, http_request: HttpRequest, payload: bytes = b"", payload_type: str = JSON_TYPE) -> bytes:
    """A tunnelled HTTP request (realtime 8)."""
    return build(
        Header(
            method="message",
            id=frame_id,
            active_grant="ip_messaging",
            http_request=http_request,
            payload_type=payload_type,
            payload_size=len(payload),
        ),
        payload,
    )


def acknowledgement(frame_id: str) -> bytes:
    """Tells the server that its frame arrived, spelled as the official JavaScript SDK does."""
    # Our server knows that spelling at a glance. A template does if the id needs no escaping, as no server's does.
    if frame_id.isascii() and frame_id.isalnum():
        return _ACKNOWLEDGED % (_ACKNOWLEDGED_SIZE + len(frame_id), frame_id.encode())
    return reply(frame_id)


_ACKNOWLEDGED: Final = (
    b'TWILSOCK V3.0 %d\r\n{"id":"%b","method":"reply","payload_type":"application/json",'
    b'"status":{"code":200,"status":"OK"},"payload_size":0}\r\n'
)
_ACKNOWLEDGED_SIZE: Final = len(_ACKNOWLEDGED) - len(b"TWILSOCK V3.0 %d\r\n%b\r\n")


def _summary(header: Header) -> str:
    parts = [redaction.word(header.method), redaction.word(header.id)]
    if header.http_request is not None:
        parts += [redaction.word(header.http_request.method), redaction.path(header.http_request.path)]
    status = header.http_status or header.status
    if status is not None:
        parts.append(f"{status.code}" if status.error_code is None else f"{status.code}/{status.error_code}")
    parts += [redaction.word(text, 40) for text in (header.message_type, header.client_update_type) if text is not None]
    return " ".join(parts)
