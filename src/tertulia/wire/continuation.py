"""Continuation tokens: what a client brings back to be recognised as the same endpoint.

A signed note of who the endpoint is; nothing else depends on it (realtime 5). Opaque to clients, and not a
credential: what a connection may do is what its access token says.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Final

import msgspec

from tertulia.wire import base64url
from tertulia.wire.frames import ContinuationStatus

Sign = Callable[[bytes], bytes]
"""Signs bytes with a key that all nodes of a deployment share."""

_PURPOSE: Final = b"continuation token\0"

_REASONS: Final = {
    "MISSING": "Continuation token is not provided",
    "INVALID": "Continuation token is not one of this service",
    "DIFFERENT_IDENTITY": "Continuation token belongs to another identity",
    "DIFFERENT_SERVICE": "Continuation token belongs to another service",
    "DIFFERENT_ENDPOINT": "The access token names another endpoint",
}


class Endpoint(msgspec.Struct, frozen=True, array_like=True):
    """One client object on one device, as the service it speaks to knows it."""

    endpoint_id: str
    identity: str
    service_sid: str


class Settled(msgspec.Struct, frozen=True):
    """The token a client has from now on, who its endpoint is, and whether the token is a new one."""

    token: str
    endpoint_id: str
    status: ContinuationStatus


_decode: Final = msgspec.json.Decoder(Endpoint).decode


def issue(sign: Sign, endpoint: Endpoint) -> str:
    """The token for an endpoint: URL-safe text, the same each time."""
    note = msgspec.json.encode(endpoint)
    return f"{base64url.encode(note)}.{base64url.encode(sign(_PURPOSE + note))}"


def read(sign: Sign, token: str) -> Endpoint | None:
    """The endpoint a token names; None if we did not sign it."""
    try:
        note, signature = (base64url.decode(part) for part in token.split("."))
        return _decode(note) if hmac.compare_digest(signature, sign(_PURPOSE + note)) else None
    except ValueError:
        return None


def settle(
    sign: Sign, token: str | None, *, identity: str, service_sid: str, endpoint_id: str | None, fresh_id: str
) -> Settled:
    """Keeps the token a client brought if it fits the client, else issues another; never a reason to refuse anybody.

    ``endpoint_id`` is the one named by the access token, if any; ``fresh_id`` is taken when nothing names one.
    """
    known = read(sign, token) if token else None
    reason = _misfit(token, known, identity, service_sid, endpoint_id)
    if reason is None and token and known:
        return Settled(token, known.endpoint_id, ContinuationStatus(reissued=False))
    endpoint = Endpoint(endpoint_id or fresh_id, identity, service_sid)
    status = ContinuationStatus(True, reason, _REASONS.get(reason or ""))
    return Settled(issue(sign, endpoint), endpoint.endpoint_id, status)


def _misfit(
    token: str | None, known: Endpoint | None, identity: str, service_sid: str, endpoint_id: str | None
) -> str | None:
    if not token:
        return "MISSING"
    if known is None:
        return "INVALID"
    if known.identity != identity:
        return "DIFFERENT_IDENTITY"
    if known.service_sid != service_sid:
        return "DIFFERENT_SERVICE"
    return None if endpoint_id in (None, known.endpoint_id) else "DIFFERENT_ENDPOINT"
