"""What the answers of a server come to."""

from __future__ import annotations

from typing import Final

import msgspec

from tertulia.wire.frames import Header, Status
from tertulia.wire.requests import Reply

from .decoding import decoder
from .errors import ConversationsError, TokenExpiredError, TokenRejectedError

EXPIRED: Final = 20104
LONGEST_AWAY_S: Final = 600.0
"""A server may keep us away for so long at most."""


class _Policy(msgspec.Struct, frozen=True):
    reconnect_min_ms: float = 0
    reconnect_max_ms: float = 0


class _Directed(msgspec.Struct):
    backoff_policy: _Policy = _Policy()


_directed: Final = decoder(_Directed)


def time_away(payload: bytes, random: float) -> float:
    """How long the server wants us to stay away, in seconds: anything between its two figures (realtime 5.3)."""
    policy = _policy(payload)
    least = min(max(policy.reconnect_min_ms / 1000, 0.0), LONGEST_AWAY_S)
    most = min(max(policy.reconnect_max_ms / 1000, least), LONGEST_AWAY_S)
    return least + (most - least) * random


def outcome(header: Header, status: Status, payload: bytes) -> Reply:
    """The answer to a request; when it could not be carried, what a server would answer to that."""
    if not 200 <= status.code < 300:
        refusal = {"status": status.code, "message": words(status), "code": status.error_code}
        seconds = time_away(payload, 0)
        return Reply(status.code, msgspec.json.encode(refusal), (("Retry-After", f"{seconds:g}"),) if seconds else ())
    if header.http_status is None:
        return Reply(502, msgspec.json.encode({"status": 502, "message": "the answer has no status"}))
    told = header.http_headers
    if not told:
        return Reply(header.http_status.code, payload)
    headers = tuple((name, value if isinstance(value, str) else ", ".join(value)) for name, value in told.items())
    return Reply(header.http_status.code, payload, headers)


def words(status: Status) -> str:
    """What to tell the application."""
    return status.description or status.status or f"status {status.code}"


def token_error(status: Status) -> ConversationsError:
    """Why a token was not taken."""
    if status.error_code == EXPIRED:
        return TokenExpiredError(words(status))
    return TokenRejectedError(words(status), status=status.code, code=status.error_code)


def _policy(payload: bytes) -> _Policy:
    try:
        return _directed(payload).backoff_policy if payload else _Policy()
    except ValueError:
        return _Policy()
