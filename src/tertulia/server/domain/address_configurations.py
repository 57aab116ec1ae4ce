"""Address configurations: what happens when a stranger writes to an address of ours (rest 3.3, semantics 4.4)."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

from msgspec import UNSET, UnsetType

from tertulia.wire.sids import ADDRESS_CONFIGURATION, FLOW, is_sid

from .addresses import EMAIL, SMS, check_address, keep_canonical, kind_of
from .base import Change, Command, Entity
from .errors import (
    ADDRESS_EMPTY,
    BAD_ADDRESS,
    BAD_FLOW_SID,
    BAD_PARAMETER,
    BAD_RETRY_COUNT,
    BAD_WEBHOOK_PARAMETER,
    MISSING_WEBHOOK_FILTER,
    MISSING_WEBHOOK_URL,
    WEBHOOK_URL_TOO_LONG,
)
from .limits import ADDRESS_CHARS, FLOW_RETRIES, WEBHOOK_URL_CHARS
from .values import check_friendly_name
from .webhooks import check_filters, check_method, check_webhook_url

ADDRESS_KINDS: Final = ("sms", "whatsapp", "messenger", "gbm", "email", "rcs", "apple", "chat")

_SHORT_CODE: Final = re.compile(r"[0-9]{3,8}")
_COUNTRY: Final = re.compile(r"[A-Z]{2}")


def label_of(kind: str) -> str:
    """What metrics call a kind of address: strangers can write prefixes of their own."""
    return kind if kind in ADDRESS_KINDS else "other"


class AutoCreation(StrEnum):
    """What a conversation made for a stranger gets."""

    DEFAULT = "default"
    """Nothing more."""
    WEBHOOK = "webhook"
    """A webhook of its own."""
    STUDIO = "studio"
    """A flow."""


class AddressConfiguration(Entity, frozen=True):
    sid: str
    account_sid: str
    kind: str
    """One of ``ADDRESS_KINDS``."""
    address: str
    """Unique in the account."""
    friendly_name: str | None
    address_country: str | None
    """Of a short code: two letters."""
    auto_enabled: bool
    auto_kind: AutoCreation
    auto_service_sid: str | None
    """Where conversations are made; None: in the account's default service."""
    webhook_url: str | None
    """This and the next two are a webhook's, the last two a flow's; None otherwise."""
    webhook_method: str | None
    """GET or POST."""
    webhook_filters: str | None
    """Names joined by spaces."""
    flow_sid: str | None
    retry_count: int | None
    created_at: int
    updated_at: int

    @property
    def events(self) -> list[str]:
        return (self.webhook_filters or "").split()

    def require_complete(self) -> None:
        """Raise unless what new conversations are to get can be made: a webhook's URL and events, a flow's SID."""
        if self.auto_kind is AutoCreation.WEBHOOK:
            if not self.webhook_url:
                raise MISSING_WEBHOOK_URL("AutoCreation.WebhookUrl is missing")
            if not self.webhook_filters:
                raise MISSING_WEBHOOK_FILTER("AutoCreation.WebhookFilters is missing")
        elif self.auto_kind is AutoCreation.STUDIO and not self.flow_sid:
            raise BAD_FLOW_SID("AutoCreation.StudioFlowSid is missing")


def check_configured_address(kind: str, address: str) -> None:
    """Raise unless the address has the form of its kind; 50407 and 50411."""
    if not address:
        raise ADDRESS_EMPTY()
    if is_sid(address, ADDRESS_CONFIGURATION):
        raise BAD_ADDRESS("The address looks like the SID of a configuration")
    if kind == SMS and _SHORT_CODE.fullmatch(address):
        return
    if len(address) > ADDRESS_CHARS:
        raise BAD_ADDRESS(f"The address has {len(address)} characters, {ADDRESS_CHARS} are allowed")
    named = kind_of(address)
    if kind in (SMS, "whatsapp", EMAIL):
        if named != kind:
            raise BAD_ADDRESS(f"The address is none of type {kind}")
        check_address(address, ADDRESS_EMPTY, BAD_ADDRESS)
    elif named != kind and named in ADDRESS_KINDS and named not in (SMS, EMAIL):
        # Any text is an address of the other kinds, but not one that says of itself that it is of another.
        raise BAD_ADDRESS(f"The address is one of type {named}")


class AddressFields(Command[AddressConfiguration], frozen=True, kw_only=True):
    """What creating and updating share; an absent parameter leaves the value alone, an empty one removes it."""

    friendly_name: str | UnsetType | None = UNSET
    auto_enabled: bool | UnsetType = UNSET
    auto_kind: str | UnsetType = UNSET
    auto_service: str | UnsetType = UNSET
    webhook_url: str | UnsetType = UNSET
    webhook_method: str | UnsetType = UNSET
    webhook_filters: tuple[str, ...] | UnsetType = UNSET
    flow_sid: str | UnsetType = UNSET
    retry_count: int | UnsetType = UNSET

    def check(self) -> None:
        if self.friendly_name is not UNSET:
            check_friendly_name(self.friendly_name)
        if self.auto_kind is not UNSET and self.auto_kind not in set(AutoCreation):
            raise BAD_PARAMETER(f"AutoCreation.Type is {', '.join(AutoCreation)}")
        if self.webhook_url:
            if len(self.webhook_url) > WEBHOOK_URL_CHARS:
                raise WEBHOOK_URL_TOO_LONG()
            check_webhook_url(self.webhook_url, BAD_WEBHOOK_PARAMETER)
        if self.webhook_method is not UNSET:
            check_method(self.webhook_method)
        if self.webhook_filters is not UNSET:
            check_filters(self.webhook_filters)
        if self.flow_sid and not is_sid(self.flow_sid, FLOW):
            raise BAD_FLOW_SID()
        if self.retry_count is not UNSET and not 0 <= self.retry_count <= FLOW_RETRIES:
            raise BAD_RETRY_COUNT()


class CreateAddressConfiguration(AddressFields, frozen=True, kw_only=True):
    """Configure an address of the account that is not yet configured; else 409/20409."""

    kind: str
    address: str
    address_country: str | None = None

    def __post_init__(self) -> None:
        keep_canonical(self, "address")

    def check(self) -> None:
        if self.kind not in ADDRESS_KINDS:
            raise BAD_PARAMETER(f"Type is one of {', '.join(ADDRESS_KINDS)}")
        check_configured_address(self.kind, self.address)
        if self.address_country and not _COUNTRY.fullmatch(self.address_country.upper()):
            raise BAD_PARAMETER("AddressCountry is two letters (ISO 3166-1)")
        super().check()


class UpdateAddressConfiguration(AddressFields, frozen=True, kw_only=True):
    configuration: str
    """SID or address."""

    def __post_init__(self) -> None:
        keep_canonical(self, "configuration")


class DeleteAddressConfiguration(Command[None], frozen=True, kw_only=True):
    configuration: str
    """SID or address."""

    def __post_init__(self) -> None:
        keep_canonical(self, "configuration")


class AddressConfigured(Change, frozen=True, kw_only=True):
    """Newly, or otherwise than before."""

    configuration: AddressConfiguration


class AddressConfigurationDeleted(Change, frozen=True, kw_only=True):
    configuration: AddressConfiguration
