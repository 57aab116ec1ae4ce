"""Bindings: the devices of a service's users that want to be woken (rest 4.5). Clients make them, not this API."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from tertulia.server.domain.push import LISTED_KINDS, DeletePush, PushRegistration, check_listed_kinds
from tertulia.server.domain.values import second
from tertulia.server.storage.push import RegistrationFilter
from tertulia.server.web.forms import one_of
from tertulia.server.web.operations import Call, Operations
from tertulia.server.web.paging import ListRule, Meta, PageQuery, Paging

from .views import FACE, PREFIX

OPERATIONS = Operations(FACE, PREFIX)
LIST = ListRule("bindings", size=50, most=100)

_ALL = "/Services/{service}/Bindings"


class BindingView(msgspec.Struct, frozen=True):
    sid: str
    account_sid: str
    chat_service_sid: str
    credential_sid: str | None
    date_created: str
    date_updated: str
    endpoint: str | None
    identity: str
    binding_type: str
    message_types: list[str]
    url: str

    @classmethod
    def of(cls, registration: PushRegistration, root: str) -> BindingView:
        return cls(
            sid=registration.sid,
            account_sid=registration.account_sid,
            chat_service_sid=registration.service_sid,
            credential_sid=registration.credential_sid,
            date_created=second(registration.created_at),
            date_updated=second(registration.updated_at),
            endpoint=registration.endpoint,
            identity=registration.identity,
            binding_type=registration.kind,
            message_types=registration.types,
            url=f"{root}/Services/{registration.service_sid}/Bindings/{registration.sid}",
        )


class BindingList(msgspec.Struct, frozen=True):
    meta: Meta
    bindings: list[BindingView]


class ListBindings(PageQuery, frozen=True, kw_only=True):
    binding_type: list[Annotated[str, one_of(*LISTED_KINDS)]] | UnsetType = UNSET
    """Any of them; in any case."""
    identity: list[str] | UnsetType = UNSET


@OPERATIONS.operation("GET", _ALL, query=ListBindings)
async def list_bindings(call: Call) -> BindingList:
    """The registered devices of a service, by age; of some types or identities alone where the query names any."""
    query: ListBindings = call.query
    kinds = tuple(dict.fromkeys(kind.lower() for kind in query.binding_type or ()))
    check_listed_kinds(kinds)
    only = RegistrationFilter(kinds, tuple(dict.fromkeys(query.identity or ())))
    filters = (*(("BindingType", kind) for kind in only.kinds), *(("Identity", name) for name in only.identities))
    paging: Paging[PushRegistration] = Paging(call, LIST, query, filters=filters)
    read = await call.queries.of_account.registrations(call.caller, call.path["service"], only, paging.page)
    root = call.root
    return BindingList(paging.meta(read, _key), [BindingView.of(one, root) for one in paging.cut(read)])


@OPERATIONS.operation("GET", _ALL + "/{binding}")
async def fetch_binding(call: Call) -> BindingView:
    """One registered device."""
    found = await call.queries.of_account.registration(call.caller, call.path["service"], call.path["binding"])
    return BindingView.of(found, call.root)


@OPERATIONS.operation("DELETE", _ALL + "/{binding}", status=204)
async def delete_binding(call: Call) -> None:
    """Forget a device at once; what is still on its way to it is dropped."""
    await call.execute(DeletePush(service=call.path["service"], registration=call.path["binding"]))


def _key(registration: PushRegistration) -> str:
    return registration.sid
