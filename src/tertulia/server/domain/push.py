"""Push registrations: devices that want to be woken (client-commands 4.11, semantics 7.2)."""

from __future__ import annotations

from .base import Command, Entity
from .errors import BAD_PARAMETER


class PushRegistration(Entity, frozen=True):
    sid: str
    account_sid: str
    service_sid: str
    identity: str
    kind: str
    """apn, fcm or gcm."""
    address: str
    """The device token."""
    endpoint: str | None
    credential_sid: str | None
    message_types: str
    """Names joined by spaces."""
    created_at: int
    updated_at: int


class RegisterPush(Command[PushRegistration], frozen=True, kw_only=True):
    """Keep a device; registering the same device again renews it, under another identity moves it (7.2)."""

    kind: str
    address: str
    message_types: tuple[str, ...] = ()

    def check(self) -> None:
        if self.kind not in ("apn", "fcm", "gcm"):
            raise BAD_PARAMETER("channel_type is apn, fcm or gcm")
        if not 0 < len(self.address) <= 4096:
            raise BAD_PARAMETER("data.registration_id is missing or too long")


class RemovePush(Command[None], frozen=True, kw_only=True):
    """Forget a device of the caller's, by SID or by kind and address; an unknown one is forgotten already."""

    sid: str | None = None
    kind: str | None = None
    address: str | None = None
