"""Steps: what the link tells the connection to do, in order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from tertulia.wire.requests import Reply

from .errors import ConversationsError
from .states import ConnectionState, TokenReason

START: Final = "start"
"""The id under which the first connection is settled."""


class Connect(msgspec.Struct, frozen=True):
    """Get a token for this reason, open a socket, then say ``opened``, ``not_opened`` or ``refused_token``."""

    reason: TokenReason


class Send(msgspec.Struct, frozen=True):
    """Send this WebSocket message, as binary. Printed without it: it may hold a token."""

    frame: bytes

    def __repr__(self) -> str:
        return f"<Send {len(self.frame)} bytes>"


class Probe(msgspec.Struct, frozen=True):
    """Ask the socket for a sign of life; if one comes, say ``heard``."""


class Drop(msgspec.Struct, frozen=True):
    """Give up the socket, or the attempt to open one; nothing that comes from it counts any more."""

    is_dead: bool = False
    """Nobody is there who could be told goodbye."""


class Settle(msgspec.Struct, frozen=True):
    """What became of a request, an update, or the start: an answer (None of the latter two), or an error."""

    id: str
    outcome: Reply | ConversationsError | None


class Notify(msgspec.Struct, frozen=True):
    """The server tells something. Printed without it."""

    message_type: str
    payload: bytes

    def __repr__(self) -> str:
        return f"<Notify {len(self.payload)} bytes>"


class StateChanged(msgspec.Struct, frozen=True):
    """The connection does something else than before."""

    state: ConnectionState
    previous: ConnectionState


class Connected(msgspec.Struct, frozen=True):
    """Requests are served, and notifications come."""


class Lost(msgspec.Struct, frozen=True):
    """They are not any more."""


class Problem(msgspec.Struct, frozen=True):
    """Something failed; the application is told."""

    terminal: bool
    message: str
    http_status: int | None = None
    code: int | None = None


class AboutToExpire(msgspec.Struct, frozen=True):
    """The token ends soon."""


class Expired(msgspec.Struct, frozen=True):
    """It has ended."""


class NeedsToken(msgspec.Struct, frozen=True):
    """There is no way on without another token: get one for this reason, then ``update``."""

    reason: TokenReason


Step = (
    Connect
    | Send
    | Probe
    | Drop
    | Settle
    | Notify
    | StateChanged
    | Connected
    | Lost
    | Problem
    | AboutToExpire
    | Expired
    | NeedsToken
)
Steps = Sequence[Step]
