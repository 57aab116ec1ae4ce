"""Address configurations of the account (rest 3.3)."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType, field

from tertulia.server.domain import address_configurations as domain
from tertulia.server.domain.address_configurations import ADDRESS_KINDS, AddressConfiguration, AutoCreation
from tertulia.server.domain.values import second
from tertulia.server.web.forms import Folded, Form, one_of
from tertulia.server.web.operations import Call, Operations
from tertulia.server.web.paging import ListRule, Meta, PageQuery, Paging

from .views import FACE, PREFIX

OPERATIONS = Operations(FACE, PREFIX)
LIST = ListRule("address_configurations", size=50, most=50)

_ALL = "/Configuration/Addresses"
_ONE = _ALL + "/{configuration}"

Kind = Annotated[Folded, one_of(*ADDRESS_KINDS)]
AutoKind = Annotated[Folded, one_of(*AutoCreation)]
Method = Annotated[Folded, one_of("get", "post")]


class AutoCreationView(msgspec.Struct, frozen=True):
    """With the members that belong to its type, and no other."""

    enabled: bool
    type: str
    conversation_service_sid: str | None
    webhook_url: str | UnsetType = UNSET
    webhook_method: str | UnsetType = UNSET
    webhook_filters: list[str] | UnsetType = UNSET
    studio_flow_sid: str | UnsetType = UNSET
    studio_retry_count: int | UnsetType | None = UNSET

    @classmethod
    def of(cls, one: AddressConfiguration) -> AutoCreationView:
        common = (one.auto_enabled, one.auto_kind.value, one.auto_service_sid)
        if one.auto_kind is AutoCreation.WEBHOOK:
            return cls(*common, one.webhook_url or "", one.webhook_method or "POST", one.events)
        if one.auto_kind is AutoCreation.STUDIO:
            return cls(*common, studio_flow_sid=one.flow_sid or "", studio_retry_count=one.retry_count)
        return cls(*common)


class AddressConfigurationView(msgspec.Struct, frozen=True):
    sid: str
    account_sid: str
    type: str
    address: str
    friendly_name: str | None
    auto_creation: AutoCreationView
    address_country: str | None
    date_created: str
    date_updated: str
    url: str

    @classmethod
    def of(cls, one: AddressConfiguration, root: str) -> AddressConfigurationView:
        return cls(
            sid=one.sid,
            account_sid=one.account_sid,
            type=one.kind,
            address=one.address,
            friendly_name=one.friendly_name,
            auto_creation=AutoCreationView.of(one),
            address_country=one.address_country,
            date_created=second(one.created_at),
            date_updated=second(one.updated_at),
            url=f"{root}{_ALL}/{one.sid}",
        )


class AddressConfigurationList(msgspec.Struct, frozen=True):
    meta: Meta
    address_configurations: list[AddressConfigurationView]


class UpdateAddressConfiguration(Form, frozen=True, kw_only=True):
    """What does not belong to the type of ``AutoCreation`` is not kept."""

    friendly_name: str | UnsetType = UNSET
    enabled: bool | UnsetType = field(name="AutoCreation.Enabled", default=UNSET)
    auto_kind: AutoKind | UnsetType = field(name="AutoCreation.Type", default=UNSET)
    service: str | UnsetType = field(name="AutoCreation.ConversationServiceSid", default=UNSET)
    webhook_url: str | UnsetType = field(name="AutoCreation.WebhookUrl", default=UNSET)
    webhook_method: Method | UnsetType = field(name="AutoCreation.WebhookMethod", default=UNSET)
    webhook_filters: list[str] | UnsetType = field(name="AutoCreation.WebhookFilters", default=UNSET)
    flow_sid: str | UnsetType = field(name="AutoCreation.StudioFlowSid", default=UNSET)
    retry_count: int | UnsetType = field(name="AutoCreation.StudioRetryCount", default=UNSET)

    def fields(self) -> dict[str, Any]:
        """What both commands take."""
        return {
            "friendly_name": self.friendly_name,
            "auto_enabled": self.enabled,
            "auto_kind": self.auto_kind,
            "auto_service": self.service,
            "webhook_url": self.webhook_url,
            "webhook_method": UNSET if self.webhook_method is UNSET else self.webhook_method.upper(),
            "webhook_filters": UNSET if self.webhook_filters is UNSET else tuple(self.webhook_filters),
            "flow_sid": self.flow_sid,
            "retry_count": self.retry_count,
        }


class CreateAddressConfiguration(UpdateAddressConfiguration, frozen=True, kw_only=True):
    type: Kind
    address: str
    address_country: str | None = None


class ListAddressConfigurations(PageQuery, frozen=True, kw_only=True):
    type: Kind | UnsetType = UNSET


@OPERATIONS.operation("POST", _ALL, CreateAddressConfiguration, status=201)
async def create_address_configuration(call: Call, form: CreateAddressConfiguration) -> AddressConfigurationView:
    """Say what happens when a stranger writes to an address; there is one configuration of each."""
    made = await call.execute(
        domain.CreateAddressConfiguration(
            kind=form.type,
            address=form.address,
            address_country=form.address_country,
            **form.fields(),
        )
    )
    return AddressConfigurationView.of(made, call.root)


@OPERATIONS.operation("GET", _ALL, query=ListAddressConfigurations)
async def list_address_configurations(call: Call) -> AddressConfigurationList:
    """The configured addresses of the account, by age; of one type where the query names it."""
    query: ListAddressConfigurations = call.query
    kind = query.type or None
    filters = (("Type", kind),) if kind is not None else ()
    paging: Paging[AddressConfiguration] = Paging(call, LIST, query, filters=filters)
    read = await call.queries.of_account.address_configurations(call.caller, kind, paging.page)
    root = call.root
    views = [AddressConfigurationView.of(one, root) for one in paging.cut(read)]
    return AddressConfigurationList(paging.meta(read, _key), views)


@OPERATIONS.operation("GET", _ONE)
async def fetch_address_configuration(call: Call) -> AddressConfigurationView:
    """The configuration of an address, by SID or by the address itself."""
    found = await call.queries.of_account.address_configuration(call.caller, call.path["configuration"])
    return AddressConfigurationView.of(found, call.root)


@OPERATIONS.operation("POST", _ONE, UpdateAddressConfiguration)
async def update_address_configuration(call: Call, form: UpdateAddressConfiguration) -> AddressConfigurationView:
    """Change what happens when a stranger writes to the address."""
    changed = await call.execute(
        domain.UpdateAddressConfiguration(
            configuration=call.path["configuration"],
            **form.fields(),
        )
    )
    return AddressConfigurationView.of(changed, call.root)


@OPERATIONS.operation("DELETE", _ONE, status=204)
async def delete_address_configuration(call: Call) -> None:
    """Forget the configuration; conversations that it made stay."""
    await call.execute(domain.DeleteAddressConfiguration(configuration=call.path["configuration"]))


def _key(one: AddressConfiguration) -> str:
    return one.sid
