"""HTTP requests and replies as values, whether they came over HTTP or inside a frame."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final
from urllib.parse import unquote

import msgspec

from tertulia.wire import frames

_PHRASES: Final = {status.value: status.phrase for status in HTTPStatus}
_MORE_INFO: Final = "https://www.twilio.com/docs/errors/"


class Request(msgspec.Struct, frozen=True):
    """One request, from wherever it came. Printed, it does not show query, headers or body.

    The headers are the client's word: who asks is known from the connection or its credentials, never from here.
    """

    method: str
    path: str
    """Still percent-encoded; starts with a slash."""
    query: dict[str, list[str]]
    """Decoded."""
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes

    def __repr__(self) -> str:
        return f"<Request {self.method}, {len(self.body)} bytes>"


class Reply(msgspec.Struct, frozen=True):
    """The answer to a request. A body is JSON unless a content-type header says otherwise. Printed without its body."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()

    def __repr__(self) -> str:
        return f"<Reply {self.status}, {len(self.body)} bytes>"


def phrase(status: int) -> str:
    """The words for an HTTP status: what an application sees as the message of its error."""
    return _PHRASES.get(status) or ("OK" if 200 <= status < 300 else f"Status {status}")


def segments(path: str) -> list[str]:
    """The decoded parts of a path: split at slashes first, so that an encoded slash stays inside its part.

    A plus stays a plus. The path ``/`` has no parts; a slash at the end gives an empty last one.
    """
    if path in ("", "/"):
        return []
    return [_decode(part) for part in path.removeprefix("/").split("/")]


def parse_query(text: str) -> dict[str, list[str]]:
    """The fields of a query string or form: a plus is a space, repeated names keep their order."""
    query: dict[str, list[str]] = {}
    for pair in text.split("&"):
        if pair:
            name, _, value = pair.replace("+", " ").partition("=")
            query.setdefault(_decode(name), []).append(_decode(value))
    return query


def from_http_request(wrapped: frames.HttpRequest, payload: bytes = b"", payload_type: str | None = None) -> Request:
    """The request inside a ``message`` frame.

    Parameter values are percent-decoded once, and only that: a plus stays a plus (realtime 8). The body is left as it
    came, also a form's and a ``DELETE``'s. A body without a content type has the frame's ``payload_type``.
    """
    # Clients cut the query off; one that did not would otherwise ask for a path that does not exist.
    path, _, tail = wrapped.path.partition("?")
    query = parse_query(tail)
    for name, value in (wrapped.params or {}).items():
        values = [value] if isinstance(value, str) else value or ()
        query.setdefault(_decode(name), []).extend(_decode(each) for each in values)
    headers = _lower(wrapped.headers or {})
    if payload and payload_type and "content-type" not in headers:
        headers["content-type"] = payload_type
    return Request(
        method=wrapped.method.upper(),
        path=path if path.startswith("/") else f"/{path}",
        query={name: values for name, values in query.items() if values},
        headers=headers,
        body=payload,
    )


def tunnelled(frame_id: str, reply: Reply) -> bytes:
    """The frame that answers a ``message`` frame: the transport went well, the request went as the reply says."""
    headers: dict[str, str] = {}
    for name, value in reply.headers:
        key = name.lower()
        headers[key] = f"{headers[key]}, {value}" if key in headers else value
    if reply.body:
        headers.setdefault("content-type", frames.JSON_TYPE)
    status = frames.Status(reply.status, phrase(reply.status))
    return frames.tunnelled_reply(frame_id, status, headers, reply.body, headers.get("content-type", frames.JSON_TYPE))


def error_reply(status: int, code: int, message: str) -> Reply:
    """An error as every API of ours spells it (rest 5, client-commands 1.4)."""
    body = {"code": code, "message": message, "more_info": f"{_MORE_INFO}{code}", "status": status}
    return Reply(status, msgspec.json.encode(body))


def _lower(headers: Mapping[str, str | list[str] | None]) -> dict[str, str]:
    lower: dict[str, str] = {}
    for name, value in headers.items():
        if value is not None:
            lower[name.lower()] = value if isinstance(value, str) else ", ".join(value)
    return lower


def _decode(text: str) -> str:
    return unquote(text) if "%" in text else text
