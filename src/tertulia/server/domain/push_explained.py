"""Why devices were woken or not: what can be said of it afterwards, for everybody concerned (semantics 7.2 to 7.4).

A *reason* is a sentence for people, always one of these or of ``SkipReason``, or what a push service said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final

from .base import Entity
from .notices import Delivery, DeliveryState, Notice
from .push_content import PushKind


class WhyNot(StrEnum):
    """Why somebody concerned had no device that could have been told."""

    AUTHOR = "he is the author"
    JOINED_LATER = "he joined after the message"
    NO_DEVICE = "he had no device registered then"
    NOT_IN_CHAT = "he is reached by an address, and has no devices"
    PLANNED = "planned, but not yet looked at"


OFF: Final[Mapping[PushKind, str]] = {
    PushKind.NEW_MESSAGE: "notifications of new messages are off in the service",
    PushKind.ADDED: "notifications of being added are off in the service",
    PushKind.REMOVED: "notifications of being removed are off in the service",
}
"""Nothing was planned, and the present settings say why."""

NOT_PLANNED: Final[Mapping[PushKind, str]] = {
    PushKind.NEW_MESSAGE: "nothing was planned: notifications of new messages were off in the service then",
    PushKind.ADDED: "nothing was planned: he joined by himself, or notifications of being added were off then",
    PushKind.REMOVED: "nothing was planned: he left by himself, or notifications of being removed were off then",
}
"""Nothing was planned, though the present settings would have it planned."""

_WORDS: Final[Mapping[str, str]] = {
    DeliveryState.WAITING: "not yet sent",
    DeliveryState.GONE: "its push service knows the device no more",
    DeliveryState.FAILED: "refused",
    DeliveryState.EXPIRED: "given up",
}
"""What stands before the answer; the other states' answers say all."""


def nothing_known(log_days: int) -> str:
    """The reason for what is older than the log."""
    return f"nothing is known: the log is kept for {log_days} days"


class Explanation(Entity, frozen=True):
    """Whether the devices of somebody rang because of one thing that happened, and if not, why."""

    identity: str | None
    """None: of somebody without one, or whose name nothing tells any more."""
    participant_sid: str | None
    """None: he is no member any more."""
    kind: PushKind
    notice: Notice | None
    why_not: str | None
    """None: a push service has taken it for at least one of his devices."""
    devices: Sequence[Delivery] = ()

    @property
    def rang(self) -> bool:
        return self.why_not is None


def why_not(devices: Sequence[Delivery]) -> str | None:
    """Why none of these devices rang, each reason once; None when one did. There is one device at least."""
    if any(device.state == DeliveryState.SENT for device in devices):
        return None
    return "; ".join(dict.fromkeys(map(reason_of, devices)))


def reason_of(device: Delivery) -> str:
    """Why this device has not rung."""
    word, answer = _WORDS.get(device.state, ""), device.answer or ""
    if answer.startswith(word):
        return answer or device.state
    return f"{word}: {answer}" if answer else word
