"""Accounts and their API keys: the tenants."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from tertulia.wire.sids import is_sid

from .base import Change, Command, Entity
from .conversations import check_timer
from .errors import (
    CLOSED_TIMER_FORMAT,
    CLOSED_TIMER_SHORT,
    INACTIVE_TIMER_FORMAT,
    INACTIVE_TIMER_SHORT,
    MESSAGING_SERVICE_MALFORMED,
)
from .limits import CLOSED_TIMER_S, INACTIVE_TIMER_S


class Account(Entity, frozen=True):
    sid: str
    friendly_name: str
    auth_token: str
    """Sealed."""
    default_service_sid: str
    default_messaging_service_sid: str | None
    default_inactive_timer: str | None
    """ISO 8601 duration, as given."""
    default_closed_timer: str | None
    created_at: int
    updated_at: int


class ApiKey(Entity, frozen=True):
    sid: str
    account_sid: str
    friendly_name: str
    secret: str
    """Sealed: it signs access tokens, so it must be readable."""
    created_at: int
    revoked_at: int | None


class UpdateAccount(Command[Account], frozen=True, kw_only=True):
    """Change what new conversations of the account get (rest 3.1). An empty timer clears it."""

    default_service: str | UnsetType = UNSET
    default_messaging_service_sid: str | UnsetType | None = UNSET
    default_inactive_timer: str | UnsetType = UNSET
    default_closed_timer: str | UnsetType = UNSET

    def check(self) -> None:
        if self.default_messaging_service_sid and not is_sid(self.default_messaging_service_sid, "MG"):
            raise MESSAGING_SERVICE_MALFORMED()
        if self.default_inactive_timer:
            check_timer(self.default_inactive_timer, INACTIVE_TIMER_S, INACTIVE_TIMER_SHORT, INACTIVE_TIMER_FORMAT)
        if self.default_closed_timer:
            check_timer(self.default_closed_timer, CLOSED_TIMER_S, CLOSED_TIMER_SHORT, CLOSED_TIMER_FORMAT)


class AccountUpdated(Change, frozen=True, kw_only=True):
    account: Account
