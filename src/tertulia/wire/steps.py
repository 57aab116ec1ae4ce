"""Steps: what the state machine of a connection tells its shell to do, in order."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Literal

import msgspec

from tertulia.wire.frames import Frame
from tertulia.wire.tokens import Claims


class Ending(StrEnum):
    """Why a connection ended."""

    LEFT = "left"
    LOST = "lost"
    REFUSED = "refused"
    EXPIRED = "expired"
    REVOKED = "revoked"
    REPLACED = "replaced"
    OFFLOADED = "offloaded"
    MALFORMED = "malformed"
    SILENT = "silent"
    NO_INIT = "no_init"


class Send(msgspec.Struct, frozen=True, gc=False):
    """Send this WebSocket message, as binary."""

    frame: bytes
    refusal: str | None = None
    """When it refuses what the client sent: why. For logs."""


class VerifyToken(msgspec.Struct, frozen=True, gc=False):
    """Judge this token, then call ``accept`` or ``refuse``. Printed without the token."""

    token: str
    reason: Literal["init", "update"]

    def __repr__(self) -> str:
        return f"<VerifyToken for {self.reason}>"


class Ready(msgspec.Struct, frozen=True, gc=False):
    """The connection is somebody's: serve it."""

    claims: Claims
    endpoint_id: str
    message_types: frozenset[str]
    """Which notifications the client takes."""
    client: dict[str, str]
    """What it says about itself; for logs."""


class RequestReceived(msgspec.Struct, frozen=True, gc=False):
    """Answer this ``message`` frame with one reply; its header has an ``http_request``."""

    frame: Frame


class TokenUpdated(msgspec.Struct, frozen=True, gc=False):
    """The same somebody, with a newer token."""

    claims: Claims


class Goodbye(msgspec.Struct, frozen=True, gc=False):
    """Serve the connection no longer."""

    ending: Ending


class Drop(msgspec.Struct, frozen=True, gc=False):
    """Close the WebSocket with this code, behind everything that was sent."""

    code: int
    reason: str


Step = Send | VerifyToken | Ready | RequestReceived | TokenUpdated | Goodbye | Drop
Steps = Sequence[Step]
