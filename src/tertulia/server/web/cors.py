"""What browsers want to know before they let a page read an answer (rest 1.4, client-commands 0.1)."""

from __future__ import annotations

from typing import Final

from tertulia.wire.requests import Reply

_REQUEST_HEADERS: Final = (
    "Accept, Authorization, Content-Type, If-Match, If-Modified-Since, If-None-Match, If-Range, If-Unmodified-Since,"
    " Idempotency-Key, Range, X-Twilio-Mutation-Id, X-Twilio-Token, X-Twilio-Webhook-Enabled"
)

HEADERS: Final = (
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, DELETE, OPTIONS"),
    ("Access-Control-Allow-Headers", _REQUEST_HEADERS),
    (
        "Access-Control-Expose-Headers",
        "Accept-Ranges, Content-Disposition, Content-Length, Content-Range, ETag, Retry-After, Twilio-Request-Id",
    ),
)
"""On every answer. Credentials are never taken from cookies, so any page may read what it has the token for."""

PREFLIGHT: Final = Reply(204, headers=(*HEADERS, ("Access-Control-Max-Age", "86400")))
"""The answer to every ``OPTIONS``."""
