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
    NAME_MISSING,
)
from .limits import CLOSED_TIMER_S, INACTIVE_TIMER_S
from .secrets import Secret
from .values import check_friendly_name


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
    suspended_at: int | None = None
    """Since then nothing of it is served, to account holders and clients alike."""


class ApiKey(Entity, frozen=True):
    sid: str
    account_sid: str
    friendly_name: str
    secret: str
    """Sealed: it signs access tokens, so it must be readable."""
    created_at: int
    revoked_at: int | None
    """Since then it signs nothing; it is never used again."""


class CreateAccount(Command[Account], frozen=True, kw_only=True):
    """Make an account with a default service and its four roles (semantics 2.3). It has no API key yet."""

    friendly_name: str
    auth_token: Secret

    def check(self) -> None:
        check_name(self.friendly_name)
        self.auth_token.check()


class SuspendAccount(Command[Account], frozen=True, kw_only=True):
    """Serve the account no longer: REST 403/20005, access tokens 403/20403, open connections end. Keeps its data."""

    account: str


class ReinstateAccount(Command[Account], frozen=True, kw_only=True):
    """Serve a suspended account again. Its keys that were revoked stay so."""

    account: str


class CreateKey(Command[ApiKey], frozen=True, kw_only=True):
    """Give an account one more API key."""

    account: str
    friendly_name: str
    secret: Secret

    def check(self) -> None:
        check_name(self.friendly_name)
        self.secret.check()


class RevokeKey(Command[ApiKey], frozen=True, kw_only=True):
    """End an API key for good, and all access tokens that it signed (semantics 3.1)."""

    key: str


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


class AccountCreated(Change, frozen=True, kw_only=True):
    account: Account


class AccountSuspended(Change, frozen=True, kw_only=True):
    account: Account


class AccountReinstated(Change, frozen=True, kw_only=True):
    account: Account


class KeyCreated(Change, frozen=True, kw_only=True):
    key: ApiKey


class KeyRevoked(Change, frozen=True, kw_only=True):
    key: ApiKey


def check_name(friendly_name: str) -> None:
    """Raise unless it is a name for an account or a key."""
    if not friendly_name:
        raise NAME_MISSING()
    check_friendly_name(friendly_name)
