"""Calls to a provider's API, and what it comes to when they fail. Used by all channels that are an HTTP API."""

from __future__ import annotations

import base64
from typing import Any, Final

import msgspec

from tertulia.server.outgoing import Answer, Call, CallFailed, FailureKind

from ..base import Ask, NotNow, Unsure

ANSWER_BYTES: Final = 256 << 10
LONGEST_WAIT_S: Final = 3600.0
MENDED_AFTER_S: Final = 300.0
"""When what somebody has to mend is tried again."""
JSON: Final = ("Content-Type", "application/json")
FORM: Final = ("Content-Type", "application/x-www-form-urlencoded")

_TOO_MANY: Final = 429
_TIMEOUT: Final = 408
_SERVER_ERROR: Final = 500
NEVER_CALLED: Final = (FailureKind.BAD_REQUEST, FailureKind.REFUSED_ADDRESS)
"""A URL that somebody else names is not called at any other time either, when a call fails so."""
_TO_BE_MENDED: Final = (FailureKind.BAD_REQUEST, FailureKind.TLS, FailureKind.REFUSED_ADDRESS)


def basic(user: str, password: str) -> tuple[str, str]:
    """The header of HTTP Basic."""
    return ("Authorization", "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode("ascii"))


async def posted(ask: Ask, call: Call, name: str) -> Answer | None:
    """The answer to a message; None: it was taken, and what it is called was lost.

    Raises ``NotNow`` where the provider has certainly seen nothing of it, ``Unsure`` where it may have.
    """
    try:
        return await ask(call)
    except CallFailed as failed:
        if failed.status is not None and 200 <= failed.status < 300:
            return None
        if failed.kind.nothing_sent:
            raise unreached(failed, name) from None
        raise Unsure(f"{name} did not answer: {failed.detail}") from None


async def got(ask: Ask, call: Call, name: str) -> Answer:
    """The answer to what may be asked again. Raises ``NotNow``."""
    try:
        return await ask(call)
    except CallFailed as failed:
        raise unreached(failed, name) from None


def unreached(failed: CallFailed, name: str) -> NotNow:
    return NotNow(f"{name} cannot be reached: {failed.detail}", is_alarming=failed.kind in _TO_BE_MENDED)


def passes(status: int) -> bool:
    """Whether an answer says that the same may succeed at another time."""
    return status in (_TOO_MANY, _TIMEOUT) or status >= _SERVER_ERROR


def is_broken(status: int) -> bool:
    """Whether an answer says that the provider has come to grief."""
    return status >= _SERVER_ERROR


def retry_after(answer: Answer) -> float | None:
    """How long the provider wants to be left alone, where it says so in seconds."""
    text = answer.header("retry-after") or ""
    return min(float(text), LONGEST_WAIT_S) if text.isascii() and text.isdecimal() and len(text) < 10 else None


def document_in(body: bytes) -> Any:
    """The JSON of an answer or a callback; None for what is none, or is ``null``."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
