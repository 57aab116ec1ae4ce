"""Configuration of a service: the roles people get, and reachability (rest 4.2)."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from tertulia.server.domain.services import ConfigureService, Service
from tertulia.server.web.forms import Form
from tertulia.server.web.operations import Call, Operations

from .views import FACE, PREFIX

OPERATIONS = Operations(FACE, PREFIX)


class ServiceConfigurationLinks(msgspec.Struct, frozen=True):
    notifications: str
    webhooks: str


class ServiceConfigurationView(msgspec.Struct, frozen=True):
    chat_service_sid: str
    default_conversation_creator_role_sid: str
    default_conversation_role_sid: str
    default_chat_service_role_sid: str
    reachability_enabled: bool
    url: str
    links: ServiceConfigurationLinks

    @classmethod
    def of(cls, service: Service, root: str) -> ServiceConfigurationView:
        url = f"{root}/Services/{service.sid}/Configuration"
        return cls(
            chat_service_sid=service.sid,
            default_conversation_creator_role_sid=service.default_creator_role_sid,
            default_conversation_role_sid=service.default_participant_role_sid,
            default_chat_service_role_sid=service.default_user_role_sid,
            reachability_enabled=service.reachability_enabled,
            url=url,
            links=ServiceConfigurationLinks(notifications=f"{url}/Notifications", webhooks=f"{url}/Webhooks"),
        )


class UpdateServiceConfiguration(Form, frozen=True, kw_only=True):
    default_conversation_creator_role_sid: str | UnsetType = UNSET
    default_conversation_role_sid: str | UnsetType = UNSET
    default_chat_service_role_sid: str | UnsetType = UNSET
    reachability_enabled: bool | UnsetType = UNSET


@OPERATIONS.operation("GET", "/Services/{service}/Configuration")
async def fetch_service_configuration(call: Call) -> ServiceConfigurationView:
    """The configuration of one service."""
    return ServiceConfigurationView.of(await call.queries.service(call.caller, call.path["service"]), call.root)


@OPERATIONS.operation("POST", "/Services/{service}/Configuration", UpdateServiceConfiguration)
async def update_service_configuration(call: Call, form: UpdateServiceConfiguration) -> ServiceConfigurationView:
    """Change the roles that new users and participants get, or whether reachability is shown."""
    service = await call.execute(
        ConfigureService(
            service=call.path["service"],
            default_creator_role_sid=form.default_conversation_creator_role_sid,
            default_participant_role_sid=form.default_conversation_role_sid,
            default_user_role_sid=form.default_chat_service_role_sid,
            reachability_enabled=form.reachability_enabled,
        )
    )
    return ServiceConfigurationView.of(service, call.root)
