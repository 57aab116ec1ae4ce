"""Push registrations: devices that want to be woken (client-commands 4.11, semantics 7.2).

The account API calls them bindings.
"""

from __future__ import annotations

import re
from typing import Final

from .base import Change, Command, Entity
from .errors import BAD_PARAMETER, BINDING_TYPE_UNKNOWN
from .subscriptions import NotASubscription, read_subscription

PUSH_KINDS: Final = ("apn", "gcm", "fcm", "webpush")
"""What a device may be registered as. ``webpush`` is of ours."""

FAMILIES: Final = {"fcm": ("fcm", "gcm"), "gcm": ("fcm", "gcm")}
"""Kinds that are one: ``gcm`` is the old name (semantics 7.1)."""

LISTED_KINDS: Final = (*PUSH_KINDS, "twilsock")
"""What lists may be asked for. ``twilsock`` is published, and nothing ever registers as it (client-commands 4.11)."""

MESSAGE_TYPES: Final = ("new_message", "added_to_conversation", "removed_from_conversation")
"""What a device may be woken for (semantics 7.3)."""

_HEXADECIMAL: Final = re.compile("[0-9A-Fa-f]+")
_LONG_FORM: Final = "twilio.conversations."
_LOST_DAYS: Final = 365

UNUSED_US: Final = _LOST_DAYS * 24 * 3600 * 1_000_000
"""How long a registration lives that is of no use: neither renewed, nor connected, nor reached."""

USE_NOTED_US: Final = 24 * 3600 * 1_000_000
"""Use is noted once a day: a write for each connection would be too many."""


def device_of(kind: str, address: str) -> tuple[str, str]:
    """What is the same of one device, however its kind and address are spelled.

    ``gcm`` is an old name of ``fcm``; hexadecimal digits have no case; a browser is where it is reached.
    """
    if kind == "webpush":
        try:
            return kind, read_subscription(address).place
        except NotASubscription:
            return kind, address
    return FAMILIES.get(kind, (kind,))[0], _lower(kind, address)


def spelled(kind: str, address: str) -> str:
    """An address as it is kept: by what it begins with, or by all of it, its device is found."""
    if kind == "webpush":
        return read_subscription(address).text
    return _lower(kind, address)


def _lower(kind: str, address: str) -> str:
    return address.lower() if kind == "apn" and _HEXADECIMAL.fullmatch(address) else address


def message_types(wanted: tuple[str, ...] | None) -> str:
    """Those of 7.3 among the wanted, by their short names; all of them when the device does not say.

    Clients send further ones, of an older product, which mean nothing here.
    """
    if wanted is None:
        return " ".join(MESSAGE_TYPES)
    named = {name.removeprefix(_LONG_FORM) for name in wanted}
    return " ".join(name for name in MESSAGE_TYPES if name in named)


class PushRegistration(Entity, frozen=True):
    sid: str
    account_sid: str
    service_sid: str
    identity: str
    kind: str
    """One of ``PUSH_KINDS``."""
    address: str
    """The device token; of a browser, its subscription as JSON; as ``spelled`` gives it, but for old ones."""
    endpoint: str | None
    credential_sid: str | None
    """Under which it was made. It is active while that one is there and of a kind that fits."""
    message_types: str
    """Names joined by spaces."""
    created_at: int
    updated_at: int
    used_at: int
    """Last renewed, connected or reached; gone a year later."""

    @property
    def types(self) -> list[str]:
        return [name for name in self.message_types.split() if name in MESSAGE_TYPES]

    def __repr__(self) -> str:
        # Who holds the token of a device may be able to wake it.
        return f"PushRegistration({self.sid}, {self.kind}, ***)"


class RegisterPush(Command[PushRegistration], frozen=True, kw_only=True):
    """Keep a device; registering the same device again renews it, under another identity moves it (7.2)."""

    kind: str
    address: str
    message_types: tuple[str, ...] | None = None
    """None: all."""

    def check(self) -> None:
        if self.kind not in PUSH_KINDS:
            raise BAD_PARAMETER(f"channel_type is one of {', '.join(PUSH_KINDS)}")
        if not 0 < len(self.address) <= 4096:
            raise BAD_PARAMETER("data.registration_id is missing or too long")
        if self.kind == "webpush":
            try:
                read_subscription(self.address)
            except NotASubscription as error:
                raise BAD_PARAMETER(f"data.registration_id is no subscription of a browser: {error}") from None

    def __repr__(self) -> str:
        return f"RegisterPush({self.kind[:16]}, ***)"


class RemovePush(Command[None], frozen=True, kw_only=True):
    """Forget a device of the caller's, by SID or by kind and address; an unknown one is forgotten already."""

    sid: str | None = None
    kind: str | None = None
    address: str | None = None

    def __repr__(self) -> str:
        return f"RemovePush({self.sid}, ***)"


class DeletePush(Command[None], frozen=True, kw_only=True):
    """Forget a device of any user of the service; an unknown one is an error."""

    service: str
    registration: str


class NotePushUse(Command[None], frozen=True, kw_only=True):
    """The caller's device has connected: its registrations live for another year (semantics 7.2)."""


class ForgetUnusedPush(Command[int], frozen=True, kw_only=True):
    """Forget registrations of the account that have been of no use since ``before``, so many at most; says how many."""

    before: int
    limit: int


class PushRegistered(Change, frozen=True, kw_only=True):
    """A device can be woken that could not before, or by other means."""

    registration: PushRegistration


class PushRegistrationRemoved(Change, frozen=True, kw_only=True):
    """Not recorded for what goes together with its user or its service."""

    registration: PushRegistration


def check_listed_kinds(kinds: tuple[str, ...]) -> None:
    """Raise 50209 for what no list can be asked for."""
    if not set(kinds) <= set(LISTED_KINDS):
        raise BINDING_TYPE_UNKNOWN()
