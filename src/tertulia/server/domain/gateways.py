"""Gateways and senders: by whom our messages leave, and which addresses are ours (gateways 8.0, semantics 4.1).

Not published: the hosted service has messaging services and numbers of its own in their place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from msgspec import UNSET, UnsetType

from tertulia.wire.sids import GATEWAY, is_sid

from .addresses import check_ours, keep_canonical
from .base import Change, Command, Entity
from .errors import ADDRESS_EMPTY, BAD_ADDRESS, BAD_PARAMETER

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
MOST_PER_MINUTE: Final = 1_000_000
POOL_CHARS: Final = 64


class Gateway(Entity, frozen=True):
    """Somebody who takes our messages to a network, and how he is reached. Printed without its settings."""

    sid: str
    account_sid: str
    name: str
    """Unique in the account."""
    adapter: str
    """One of those installed, as ``smpp``."""
    settings: str
    """A JSON object, sealed for this SID."""
    created_at: int
    updated_at: int

    def __repr__(self) -> str:
        return f"Gateway({self.sid}, {self.name}, {self.adapter}, ***)"


class Sender(Entity, frozen=True):
    """An address of ours: what people see, and write to."""

    account_sid: str
    address: str
    kind: str
    gateway_sid: str
    pool: str | None
    """Who opts out of one sender of a pool has opted out of all."""
    per_minute: int | None
    """Messages a minute; None is what its kind of number may send (gateways 8.0)."""
    created_at: int
    updated_at: int

    @property
    def opt_out_key(self) -> str:
        """What people who opt out are remembered under."""
        return f"pool {self.pool}" if self.pool is not None else self.address


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise BAD_PARAMETER("Name is 1 to 64 letters, digits, dots, dashes and underscores, a letter or digit first")
    if is_sid(name, GATEWAY):
        raise BAD_PARAMETER("Name must not look like the SID of a gateway")


def _check_way(pool: str | UnsetType | None, per_minute: int | UnsetType | None) -> None:
    if isinstance(pool, str) and not 1 <= len(pool) <= POOL_CHARS:
        raise BAD_PARAMETER(f"Pool has 1 to {POOL_CHARS} characters")
    if isinstance(per_minute, int) and not 1 <= per_minute <= MOST_PER_MINUTE:
        raise BAD_PARAMETER(f"PerMinute is 1 to {MOST_PER_MINUTE}")


class AddGateway(Command[Gateway], frozen=True, kw_only=True):
    """Make a gateway; its settings are checked by its adapter. 409/20409 for one more than an account may have."""

    name: str
    adapter: str
    settings: Mapping[str, Any]
    """As given, texts or what they stand for; secrets among them are sealed and never come back."""

    def check(self) -> None:
        _check_name(self.name)


class UpdateGateway(Command[Gateway], frozen=True, kw_only=True):
    """Change a gateway. Settings not named stay, one of None goes back to its default."""

    gateway: str
    """SID or name."""
    name: str | UnsetType = UNSET
    settings: Mapping[str, Any] = {}

    def check(self) -> None:
        if self.name is not UNSET:
            _check_name(self.name)


class RemoveGateway(Command[None], frozen=True, kw_only=True):
    """Forget a gateway that no sender uses any more; else 409/20409."""

    gateway: str


class AddSender(Command[Sender], frozen=True, kw_only=True):
    """An address of ours, served by a gateway; 409/20409 for one that is ours already, or is one too many.

    From the first one on an account has no addresses but these.
    """

    address: str
    gateway: str
    """SID or name."""
    pool: str | None = None
    per_minute: int | None = None

    def __post_init__(self) -> None:
        keep_canonical(self, "address")

    def check(self) -> None:
        check_ours(self.address, ADDRESS_EMPTY, BAD_ADDRESS)
        _check_way(self.pool, self.per_minute)


class UpdateSender(Command[Sender], frozen=True, kw_only=True):
    """Change what serves an address, or how."""

    address: str
    gateway: str | UnsetType = UNSET
    pool: str | UnsetType | None = UNSET
    per_minute: int | UnsetType | None = UNSET

    def __post_init__(self) -> None:
        keep_canonical(self, "address")

    def check(self) -> None:
        _check_way(self.pool, self.per_minute)


class RemoveSender(Command[None], frozen=True, kw_only=True):
    """An address is ours no more; its configuration goes with it (semantics 4.4)."""

    address: str

    def __post_init__(self) -> None:
        keep_canonical(self, "address")


class GatewayChanged(Change, frozen=True, kw_only=True):
    """Newly there, or otherwise than before."""

    gateway: Gateway


class GatewayRemoved(Change, frozen=True, kw_only=True):
    gateway: Gateway


class SenderChanged(Change, frozen=True, kw_only=True):
    """Newly there, or otherwise than before."""

    sender: Sender


class SenderRemoved(Change, frozen=True, kw_only=True):
    sender: Sender
