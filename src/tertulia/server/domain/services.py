"""Services: the chat services of an account, each with users, roles and conversations of its own."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from .base import Change, Command, Entity
from .errors import NAME_MISSING
from .jobs import Job
from .values import check_friendly_name


class Service(Entity, frozen=True):
    sid: str
    account_sid: str
    friendly_name: str
    default_user_role_sid: str
    """The service role of new users (API: default_chat_service_role_sid)."""
    default_participant_role_sid: str
    """The conversation role of new chat participants (API: default_conversation_role_sid)."""
    default_creator_role_sid: str
    """The conversation role of the user who created the conversation."""
    reachability_enabled: bool
    created_at: int
    updated_at: int


class CreateService(Command[Service], frozen=True, kw_only=True):
    """Make a service with the four default roles (semantics 2.3)."""

    friendly_name: str

    def check(self) -> None:
        if not self.friendly_name:
            raise NAME_MISSING()
        check_friendly_name(self.friendly_name)


class ConfigureService(Command[Service], frozen=True, kw_only=True):
    """Change default roles and reachability of a service (rest 4.2)."""

    service: str
    default_user_role_sid: str | UnsetType = UNSET
    default_participant_role_sid: str | UnsetType = UNSET
    default_creator_role_sid: str | UnsetType = UNSET
    reachability_enabled: bool | UnsetType = UNSET


class DeleteService(Command[None], frozen=True, kw_only=True):
    """Remove a service with everything beneath; refused for the default service (409/20409).

    Nothing beneath can be reached any more; it is removed in steps.
    """

    service: str


class RemoveServiceRemains(Command[int], frozen=True, kw_only=True):
    """Remove some of what was beneath a deleted service; how much that was. Of the system."""

    service_sid: str
    most: int
    goes_on: bool = False
    """Promise to go on with it, if something may be left."""


class SweepService(Job, frozen=True, kw_only=True):
    """A deleted service has left what was beneath it."""

    account_sid: str
    service_sid: str


class ServiceCreated(Change, frozen=True, kw_only=True):
    service: Service


class ServiceConfigured(Change, frozen=True, kw_only=True):
    service: Service
    before: Service


class ServiceDeleted(Change, frozen=True, kw_only=True):
    service: Service
