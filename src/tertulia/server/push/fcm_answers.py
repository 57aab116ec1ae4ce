"""What the answers of Google's push service mean (gateways 8.9)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from tertulia.server.outgoing import Answer

from .answers import Said, asked_wait_s, is_passing, name_in, read
from .service import Verdict

QUOTA_WAIT_S: Final = 60.0
"""Where a quota is used up and Google does not say for how long."""


def said_by(answer: Answer, now: int) -> Said | None:
    """What an answer means for its push; None where only the access token was refused.

    ``now`` is in UTC microseconds.
    """
    if answer.status == 200:
        return Said(Verdict.SENT, "200")
    error = _error_in(answer)
    text = f"{answer.status} {error.name}".rstrip()
    match answer.status:
        case 400:
            return Said(Verdict.GONE if error.is_about_the_device else Verdict.FAILED, text)
        case 401 if error.code != "THIRD_PARTY_AUTH_ERROR":
            return None
        case 401:
            why = "the Firebase project has no valid key for Apple's push service or for browsers"
            return Said(Verdict.FAILED, f"{text}: {why}", is_alarming=True)
        case 403 if error.code == "SENDER_ID_MISMATCH":
            return Said(Verdict.GONE, f"{text}: the device belongs to another Firebase project", is_alarming=True)
        case 403:
            return Said(Verdict.FAILED, f"{text}: {_what_to_mend(error)}", is_alarming=True)
        case 404 if error.code == "UNREGISTERED":
            return Said(Verdict.GONE, text)
        case 404:
            why = "Google does not know the project of the service account"
            return Said(Verdict.FAILED, f"{text}: {why}", is_alarming=True)
        case 429:
            wait_s = asked_wait_s(answer, now)
            return Said(Verdict.LATER, text, after_s=QUOTA_WAIT_S if wait_s is None else wait_s)
        case status if not is_passing(status):
            return Said(Verdict.FAILED, text)
    return Said(Verdict.LATER, text, after_s=asked_wait_s(answer, now))


class _Violation(msgspec.Struct, frozen=True):
    field: str = ""


class _Detail(msgspec.Struct, frozen=True, rename="camel"):
    """Of the kinds of details that Google gives, what we read."""

    error_code: str = ""
    """FcmError."""
    field_violations: Sequence[_Violation] = ()
    """BadRequest."""
    reason: str = ""
    """ErrorInfo."""


class _Error(msgspec.Struct, frozen=True):
    status: str = ""
    message: str = ""
    details: Sequence[msgspec.Raw] = ()


class _Body(msgspec.Struct, frozen=True):
    error: _Error = _Error()


class _Read(msgspec.Struct, frozen=True):
    """An error, its details read."""

    code: str
    """What the push service says; empty where it is another of Google's services that answers."""
    name: str
    """What can be shown of it."""
    reason: str
    is_about_the_device: bool


_body = msgspec.json.Decoder(_Body).decode
_detail = msgspec.json.Decoder(_Detail).decode
_NO_BODY: Final = _Body()
_NO_DETAIL: Final = _Detail()


def _error_in(answer: Answer) -> _Read:
    """The error of an answer, as far as it can be read: a proxy on the way may answer with a page."""
    error = read(_body, answer.body, _NO_BODY).error
    details = list(_details(error))
    code = next((name for detail in details if (name := name_in(detail.error_code))), "")
    reason = next((name for detail in details if (name := name_in(detail.reason))), "")
    fields = [violation.field for detail in details for violation in detail.field_violations]
    names_the_token = "message.token" in fields if fields else "registration token" in error.message.lower()
    return _Read(
        code=code,
        name=" ".join(name for name in (code or name_in(error.status), reason) if name),
        reason=reason,
        # Without the push service's own code it is the form of our request that was refused.
        is_about_the_device=code == "INVALID_ARGUMENT" and names_the_token,
    )


def _details(error: _Error) -> Iterator[_Detail]:
    for detail in error.details:
        yield read(_detail, bytes(detail), _NO_DETAIL)


def _what_to_mend(error: _Read) -> str:
    if error.reason == "SERVICE_DISABLED":
        return "switch on the Firebase Cloud Messaging API in the project"
    return "the service account may not send; give it the role Firebase Cloud Messaging API Admin"
