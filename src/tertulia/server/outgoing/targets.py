"""What of a call goes over the wire: where to connect, the request's path, and its headers."""

from __future__ import annotations

from base64 import b64encode
from urllib.parse import unquote_to_bytes, urlsplit

from msgspec import Struct

from tertulia import __version__
from tertulia.server.outgoing.calls import Call, FailureKind, NoAnswer

_PORTS = {"http": 80, "https": 443}
OURS = frozenset({"connection", "content-length", "host", "transfer-encoding"})
"""Headers that follow from the call."""
_WITHOUT_BODY = frozenset({"GET", "HEAD", "DELETE"})


class Target(Struct, frozen=True):
    """A call, taken apart."""

    scheme: str
    host: str
    port: int
    path: str
    """With the query."""
    headers: list[tuple[bytes, bytes]]


def target_of(call: Call) -> Target:
    """Where a call goes; raises ``NoAnswer`` (bad request) for one that cannot be sent."""
    if not (call.url.isascii() and call.url.isprintable()) or " " in call.url:
        raise _unfit("the URL has characters that must be encoded")
    try:
        parts = urlsplit(call.url)
        port = parts.port
    except ValueError:  # its text quotes the URL
        raise _unfit("the URL is malformed") from None
    if parts.scheme not in _PORTS:
        raise _unfit("the URL is neither http nor https")
    if not parts.hostname:
        raise _unfit("the URL has no host")
    return Target(
        scheme=parts.scheme,
        host=parts.hostname,
        port=_PORTS[parts.scheme] if port is None else port,
        path=(parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
        headers=_headers(call, parts.netloc),
    )


def _headers(call: Call, authority: str) -> list[tuple[bytes, bytes]]:
    given = {name.lower() for name, _ in call.headers}
    if given & OURS:
        raise _unfit(f"{', '.join(sorted(given & OURS))} follows from the call itself")
    credentials, at, place = authority.rpartition("@")
    usual = [("User-Agent", f"Tertulia/{__version__}"), ("Accept", "*/*"), ("Accept-Encoding", "identity")]
    if at:
        usual.append(("Authorization", _basic(credentials)))
    if call.body or call.method not in _WITHOUT_BODY:
        usual.append(("Content-Length", str(len(call.body))))
    chosen = [("Host", place), *(header for header in usual if header[0].lower() not in given), *call.headers]
    try:
        return [(name.encode("ascii"), value.encode("utf-8")) for name, value in chosen]
    except UnicodeError:
        raise _unfit("a header cannot be encoded") from None


def _basic(credentials: str) -> str:
    user, _, password = credentials.partition(":")
    return "Basic " + b64encode(unquote_to_bytes(user) + b":" + unquote_to_bytes(password)).decode("ascii")


def _unfit(detail: str) -> NoAnswer:
    return NoAnswer(FailureKind.BAD_REQUEST, detail)
