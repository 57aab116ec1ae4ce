"""Failures as replies. Faces choose code and sentence; the shape is one for all (rest 1.5)."""

from __future__ import annotations

import logging

from tertulia.server import observe
from tertulia.server.domain.errors import INTERNAL, RESOURCE_NOT_FOUND, UNAVAILABLE, TertuliaError, TooMany
from tertulia.server.storage.database import Retryable, StorageUnavailable
from tertulia.wire.requests import Reply, error_reply

log = logging.getLogger(__name__)

_SHOWN_CHARS = 1024
"""No path of ours is longer; what is, is not sent back in full."""

_BASIC = (("WWW-Authenticate", 'Basic realm="Twilio API"'),)


def known(error: Exception, request_id: str) -> TertuliaError:
    """The failure to tell the caller. What we did not foresee is logged, and told only by its reference."""
    if isinstance(error, TertuliaError):
        return error
    if isinstance(error, StorageUnavailable | Retryable):
        log.error("request.unavailable", extra=observe.fields(why=str(error)))
        return UNAVAILABLE()
    log.error("request.failed", exc_info=error)
    return INTERNAL(f"Internal server error, reference {request_id}")


def rest_failure(error: TertuliaError, method: str, path: str) -> Reply:
    """As account holders read it: what the URL names and is not there is 20404, with the path (rest 1.5)."""
    if error.status == 404 and error.addressed:
        return error_reply(404, RESOURCE_NOT_FOUND.code, f"{_resource(path)} was not found")
    if error.status == 405:
        return error_reply(405, error.code, f"{_resource(path)} does not support the attempted HTTP method {method}")
    if error.status == 401:
        reply = error_reply(401, error.code, error.message)
        return Reply(reply.status, reply.body, _BASIC)
    return client_failure(error)


def client_failure(error: TertuliaError) -> Reply:
    """As client libraries read it: every code as it was raised; with ``Retry-After`` when it is a matter of rate."""
    reply = error_reply(error.status, error.code, error.message)
    if isinstance(error, TooMany):
        return Reply(reply.status, reply.body, (("Retry-After", str(error.retry_after_s)),))
    return reply


def _resource(path: str) -> str:
    shown = path.removeprefix("/v1") or "/"
    return f"The requested resource {shown if len(shown) <= _SHOWN_CHARS else shown[:_SHOWN_CHARS] + '...'}"
