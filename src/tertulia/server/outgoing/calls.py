"""A call to another machine: what is asked, what comes back, and every way it can fail."""

from __future__ import annotations

import os
from enum import StrEnum
from urllib.parse import urlsplit

from msgspec import Struct

MALFORMED = "(malformed URL)"


class FailureKind(StrEnum):
    """Why there is no answer. ``nothing_sent`` tells whether the receiver can have seen the request."""

    BAD_REQUEST = "bad_request"
    """The URL or a header cannot be sent: not http or https, no host, characters that HTTP does not know. Or the
    certificate that we should prove ourselves with cannot be used."""
    BUSY = "busy"
    """Our own limit: no slot came free within the total time."""
    UNRESOLVABLE = "unresolvable"
    """The host has no address."""
    REFUSED_ADDRESS = "refused_address"
    """The host has only addresses that we do not call."""
    CONNECT_TIMEOUT = "connect_timeout"
    """No connection, TLS included, within ``connect_s``."""
    CONNECT_FAILED = "connect_failed"
    """The connection was refused, or there is no way to the host."""
    TLS = "tls"
    """The receiver does not prove who it is, or speaks no TLS we accept."""
    READ_TIMEOUT = "read_timeout"
    """Silence of ``read_s`` while we sent or waited for the answer."""
    TOTAL_TIMEOUT = "total_timeout"
    """The answer was not complete within ``total_s``."""
    BROKEN = "broken"
    """The connection ended before the answer did, or what came is not HTTP."""

    @property
    def nothing_sent(self) -> bool:
        """Whether the receiver has certainly seen nothing of the request."""
        return self in _NOTHING_SENT


_NOTHING_SENT = frozenset(
    {
        FailureKind.BAD_REQUEST,
        FailureKind.BUSY,
        FailureKind.UNRESOLVABLE,
        FailureKind.REFUSED_ADDRESS,
        FailureKind.CONNECT_TIMEOUT,
        FailureKind.CONNECT_FAILED,
        FailureKind.TLS,
    }
)


class CallFailed(Exception):
    """No whole answer. The text names scheme, host and port of the receiver, never more of the URL.

    ``status`` is that of an answer whose head arrived and whose body did not.
    """

    def __init__(self, kind: FailureKind, receiver: str, detail: str, status: int | None = None) -> None:
        super().__init__(f"{receiver}: {detail}")
        self.kind = kind
        self.receiver = receiver
        self.detail = detail
        self.status = status


class NoAnswer(Exception):
    """A failure inside this package, on its way to become a ``CallFailed``, which knows the receiver."""

    def __init__(self, kind: FailureKind, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail


class Call(Struct, frozen=True, kw_only=True):
    """One request. ``user:password@`` in the URL becomes HTTP Basic; a fragment is not sent.

    ``Host`` and ``Content-Length`` follow from the call, so ``headers`` may not name them; ``User-Agent``, ``Accept``
    and ``Accept-Encoding`` are added where it does not. The default limits are those of the platform's webhooks
    (semantics 1.8).
    """

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    account_sid: str | None = None
    """In whose name, where accounts have to share."""
    connect_s: float = 5.0
    """For the name, the connection and TLS together; nothing is spent when a connection is reused."""
    read_s: float = 5.0
    """Longest silence while sending and receiving."""
    total_s: float = 5.0
    """For everything, waiting for a slot included."""
    answer_limit_bytes: int | None = None
    """How much of the answer's body is read; None: the setting ``outgoing.answer_limit_bytes``. A longer one costs the
    connection."""

    @property
    def receiver(self) -> str:
        """Scheme, host and port: what may be said about the URL in logs and errors."""
        return receiver_of(self.url)

    def __repr__(self) -> str:
        return f"Call({self.method} {self.receiver}, {len(self.body)} bytes)"


class ClientCertificate(Struct, frozen=True, kw_only=True):
    """What we prove ourselves with to a receiver that asks for it. Printed without any of it."""

    certificate: str
    """As PEM; intermediate ones may follow it."""
    private_key: str
    """As PEM, not encrypted."""

    def __repr__(self) -> str:
        return "ClientCertificate(***)"


class Answer(Struct, frozen=True, kw_only=True):
    """What the receiver said. Redirects are answers too: nothing is followed."""

    status: int
    headers: tuple[tuple[str, str], ...]
    """In the order received, names in lower case."""
    body: bytes
    is_truncated: bool = False
    """Whether the body went on beyond the limit, or came in crumbs; ``body`` is then its beginning."""

    def header(self, name: str) -> str | None:
        """The first header of that name (lower case)."""
        return next((value for known, value in self.headers if known == name), None)

    def __repr__(self) -> str:
        return f"Answer({self.status}, {len(self.body)} bytes{' of more' if self.is_truncated else ''})"


def reason_of(error: OSError) -> str:
    """What the system says, without what it says it of."""
    return os.strerror(error.errno) if error.errno else "no connection"


def receiver_of(url: str) -> str:
    """Scheme, host and port of a URL, without anything that could be secret."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises where the port is no number: it may be a password then
    except ValueError:
        return MALFORMED
    place = parts.netloc.rpartition("@")[2]
    is_fit = parts.scheme in ("http", "https") and place.isascii() and place.isprintable()
    return f"{parts.scheme}://{place}" if is_fit else MALFORMED
