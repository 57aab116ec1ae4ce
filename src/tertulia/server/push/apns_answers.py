"""What Apple's answers mean (gateways 8.8)."""

from __future__ import annotations

from typing import Final

import msgspec

from tertulia.server.outgoing import Answer

from .answers import Said, asked_wait_s, is_passing, name_in, read
from .service import Verdict

OLDEST_MS: Final = 1_000_000_000_000
NEWEST_MS: Final = 10_000_000_000_000
"""Between these a number can be a time in milliseconds."""

_OF_OTHERS: Final = {
    "BadDeviceToken": "the device is none of this environment: see whether `sandbox` is right",
    "DeviceTokenNotForTopic": "the device belongs to another application",
}
_TO_MEND: Final = {
    "BadTopic": "the topic of the credential is not right",
    "MissingTopic": "the credential needs a topic: the bundle id of the application",
    "TopicDisallowed": "the credential is not for this topic",
    "BadCertificate": "Apple does not accept the certificate",
    "BadCertificateEnvironment": "the certificate is for the other environment: see whether `sandbox` is right",
    "Forbidden": "Apple does not accept the credential",
    "InvalidProviderToken": "the key, its key id and the team id do not belong together",
    "MissingProviderToken": "Apple wants a token: the credential needs a .p8 key, or another certificate",
    "UnrelatedKeyIdInToken": "the key id is not that of this team",
    "BadEnvironmentKeyIdInToken": "the key is for the other environment: see whether `sandbox` is right",
}

EXPIRED: Final = "ExpiredProviderToken"
TOO_MANY_TOKENS: Final = "TooManyProviderTokenUpdates"


class _Body(msgspec.Struct, frozen=True):
    reason: str = ""
    timestamp: float | None = None


_decode = msgspec.json.Decoder(_Body).decode
_NO_BODY: Final = _Body()


def reason_of(answer: Answer) -> str:
    """The name that Apple gives to a refusal; empty for none."""
    return name_in(_body(answer).reason)


def said_by(answer: Answer, now: int) -> Said:
    """What becomes of the push; ``now`` is in UTC microseconds. All but an expired token, which is the caller's."""
    if answer.status == 200:
        return Said(Verdict.SENT, "200")
    status, reason = answer.status, reason_of(answer)
    text = f"{status} {reason}".strip()
    if status == 410:
        return Said(Verdict.GONE, text, gone_since=_gone_since(answer))
    if status == 400 and reason in _OF_OTHERS:
        return Said(Verdict.GONE, f"{text}: {_OF_OTHERS[reason]}", is_alarming=True)
    if reason in _TO_MEND or status == 403:
        return Said(Verdict.FAILED, f"{text}: {_TO_MEND.get(reason, _TO_MEND['Forbidden'])}", is_alarming=True)
    if is_passing(status):
        return Said(Verdict.LATER, text, after_s=asked_wait_s(answer, now))
    return Said(Verdict.FAILED, text)


def is_of_all(said: Said, answer: Answer) -> bool:
    """Whether it is said of the credential, so that the other pushes of the batch need not ask for themselves."""
    return reason_of(answer) == TOO_MANY_TOKENS or (said.verdict is Verdict.FAILED and said.is_alarming)


def _gone_since(answer: Answer) -> int | None:
    stamp_ms = _body(answer).timestamp
    return None if stamp_ms is None or not OLDEST_MS <= stamp_ms < NEWEST_MS else int(stamp_ms) * 1_000


def _body(answer: Answer) -> _Body:
    return read(_decode, answer.body, _NO_BODY)
