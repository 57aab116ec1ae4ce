"""Services (rest 4.1)."""

from __future__ import annotations

import msgspec

from tertulia.server.domain import services as domain
from tertulia.server.domain.services import Service
from tertulia.server.domain.values import second
from tertulia.server.web.forms import Form
from tertulia.server.web.operations import Call, Operations
from tertulia.server.web.paging import ListRule, Meta, PageQuery, Paging

from .views import FACE, PREFIX

OPERATIONS = Operations(FACE, PREFIX)
LIST = ListRule("services", size=50, most=100)


class ServiceLinks(msgspec.Struct, frozen=True):
    conversations: str
    users: str
    roles: str
    bindings: str
    configuration: str
    participant_conversations: str
    conversation_with_participants: str


class ServiceView(msgspec.Struct, frozen=True):
    account_sid: str
    sid: str
    friendly_name: str
    date_created: str
    date_updated: str
    url: str
    links: ServiceLinks

    @classmethod
    def of(cls, service: Service, root: str) -> ServiceView:
        url = f"{root}/Services/{service.sid}"
        return cls(
            account_sid=service.account_sid,
            sid=service.sid,
            friendly_name=service.friendly_name,
            date_created=second(service.created_at),
            date_updated=second(service.updated_at),
            url=url,
            links=ServiceLinks(
                conversations=f"{url}/Conversations",
                users=f"{url}/Users",
                roles=f"{url}/Roles",
                bindings=f"{url}/Bindings",
                configuration=f"{url}/Configuration",
                participant_conversations=f"{url}/ParticipantConversations",
                conversation_with_participants=f"{url}/ConversationWithParticipants",
            ),
        )


class ServiceList(msgspec.Struct, frozen=True):
    meta: Meta
    services: list[ServiceView]


class CreateService(Form, frozen=True, kw_only=True):
    friendly_name: str


@OPERATIONS.operation("POST", "/Services", CreateService, status=201)
async def create_service(call: Call, form: CreateService) -> ServiceView:
    """Make a service with the four default roles."""
    service = await call.execute(domain.CreateService(friendly_name=form.friendly_name))
    return ServiceView.of(service, call.root)


@OPERATIONS.operation("GET", "/Services", query=PageQuery)
async def list_services(call: Call) -> ServiceList:
    """The services of the account, by age."""
    paging: Paging[Service] = Paging(call, LIST, call.query)
    read = await call.queries.services(call.caller, paging.page)
    return ServiceList(paging.meta(read, _key), [ServiceView.of(one, call.root) for one in paging.cut(read)])


@OPERATIONS.operation("GET", "/Services/{service}")
async def fetch_service(call: Call) -> ServiceView:
    """One service."""
    return ServiceView.of(await call.queries.service(call.caller, call.path["service"]), call.root)


@OPERATIONS.operation("DELETE", "/Services/{service}", status=204)
async def delete_service(call: Call) -> None:
    """Remove a service with everything beneath it."""
    await call.execute(domain.DeleteService(service=call.path["service"]))


def _key(service: Service) -> str:
    return service.sid
