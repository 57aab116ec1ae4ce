"""What the answers of all push services have in common."""

from __future__ import annotations

import datetime
import logging
import re
import traceback
from collections.abc import Awaitable, Callable
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from tertulia.server import observe
from tertulia.server.outgoing import Answer, CallFailed, FailureKind

from .service import Course, Outcome, Push, Verdict

log = logging.getLogger(__name__)

T = TypeVar("T")

LONGEST_WAIT_S: Final = 3600.0
"""No service keeps us waiting for longer, whatever it asks."""
ANSWER_CHARS: Final = 200
CALL_S: Final = 10.0
"""For one push."""
BATCH_S: Final = 25.0
"""Whom we have not come to by then is told in another attempt."""

UNREACHED: Final = frozenset(
    (FailureKind.UNRESOLVABLE, FailureKind.CONNECT_TIMEOUT, FailureKind.CONNECT_FAILED, FailureKind.TLS)
)
"""Nobody is there: the other pushes of the batch need not find that out for themselves."""

_HOPELESS: Final = frozenset((FailureKind.BAD_REQUEST, FailureKind.REFUSED_ADDRESS))
"""Whom we cannot or will not call, now or later: an address in the settings or a credential is wrong."""
_PASSING: Final = frozenset((408, 425, 429))
"""Of the statuses that blame the request, those that another attempt need not get."""
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,59}")


class Said(msgspec.Struct, frozen=True):
    """What a service said about one push, or about all of a batch: an outcome without its device."""

    verdict: Verdict
    answer: str
    after_s: float | None = None
    gone_since: int | None = None
    is_alarming: bool = False

    def of(self, push: Push) -> Outcome:
        """The same as the outcome of this push."""
        return Outcome(
            registration_sid=push.registration_sid,
            verdict=self.verdict,
            answer=self.answer[:ANSWER_CHARS],
            after_s=self.after_s,
            gone_since=self.gone_since,
            is_alarming=self.is_alarming,
        )


OUT_OF_TIME: Final = Said(Verdict.LATER, "no time left in this attempt")
CUT_OFF: Final = Said(Verdict.LATER, "no answer yet when this attempt ended")
STOPPING: Final = Said(Verdict.LATER, "not sent: the server is stopping")
UNEXPECTED: Final = Said(Verdict.LATER, "not sent: an error of this server, which is in its log")


def late(push: Push, course: Course) -> Said:
    """What becomes of a push that the end of the attempt has overtaken: on its way, or before it was."""
    return CUT_OFF if push.registration_sid in course.asked else OUT_OF_TIME


async def supervised(attempt: Awaitable[Said], push: Push) -> Said:
    """What came of the attempt to tell one device. An error of ours is its own, and no other device's."""
    try:
        return await attempt
    except Exception as error:
        return unexpected(error, push.registration_sid)


def unexpected(error: Exception, registration_sid: str | None = None) -> Said:
    """What becomes of a push, or of a batch, that an error of ours befell. Logged without what the error quotes."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    log.error(
        "push.unexpected",
        extra=observe.fields(registration=registration_sid, error=type(error).__name__, place=place),
    )
    return UNEXPECTED


def read(decode: Callable[[bytes], T], body: bytes, otherwise: T) -> T:
    """What a body says, where it can be read: services, and what stands before them, may answer with anything."""
    try:
        return decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return otherwise


def is_passing(status: int) -> bool:
    """Whether another attempt may be answered otherwise."""
    return status in _PASSING or not 400 <= status < 500


def unusable(why: str) -> Said:
    """What becomes of a push whose credential cannot send."""
    return Said(Verdict.FAILED, why, is_alarming=True)


def unanswered(failed: CallFailed) -> Said:
    """What becomes of a push that got no answer: another attempt, unless this one could not even be made."""
    if failed.kind in _HOPELESS:
        return Said(Verdict.FAILED, f"cannot be called ({failed.kind})", is_alarming=True)
    return Said(Verdict.LATER, f"no answer ({failed.kind})")


def asked_wait_s(answer: Answer, now: int) -> float | None:
    """How long the service asks us to wait (``Retry-After``: seconds, or a date); an hour at most.

    ``now`` is in UTC microseconds. None where it asks nothing that can be read.
    """
    asked = answer.header("retry-after")
    if asked is None:
        return None
    if asked.isascii() and asked.isdigit():
        return min(float(asked), LONGEST_WAIT_S)
    try:
        date = parsedate_to_datetime(asked)
        # Dates of HTTP are in GMT, also one that does not say so.
        until_s = date.replace(tzinfo=date.tzinfo or datetime.UTC).timestamp()
    except (ValueError, OverflowError):
        return None
    return min(max(until_s - now / 1e6, 0.0), LONGEST_WAIT_S)


def name_in(text: str) -> str:
    """The text if it is a name such as services give to reasons, else nothing: it is safe to be shown then."""
    return text if _NAME.fullmatch(text) else ""
