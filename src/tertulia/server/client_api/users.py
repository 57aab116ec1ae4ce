"""Users: oneself and the others of the service (client-commands 4.5)."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from tertulia.server.domain.sync import ObjectKind, user_object_name
from tertulia.server.domain.users import UpdateUser, User
from tertulia.server.domain.values import millisecond
from tertulia.server.web.operations import Call, Operations

from .links import COMMANDS, user_url

OPERATIONS = Operations("client")

_ONE = f"{COMMANDS}/Users/{{identity}}"


class SyncObjects(msgspec.Struct, frozen=True):
    user_info_map: str


class UserView(msgspec.Struct, frozen=True, kw_only=True):
    sid: str
    account_sid: str
    chat_service_sid: str
    role_sid: str
    identity: str
    friendly_name: str | None
    attributes: str
    is_online: bool | None
    is_notifiable: bool | None
    date_created: str
    date_updated: str
    url: str
    sync_objects: SyncObjects

    @classmethod
    def of(cls, user: User, base_url: str) -> UserView:
        return cls(
            sid=user.sid,
            account_sid=user.account_sid,
            chat_service_sid=user.service_sid,
            role_sid=user.role_sid,
            identity=user.identity,
            friendly_name=user.friendly_name,
            attributes=user.attributes,
            is_online=user.is_online,
            is_notifiable=user.is_notifiable,
            date_created=millisecond(user.created_at),
            date_updated=millisecond(user.updated_at),
            url=user_url(base_url, user.identity),
            sync_objects=SyncObjects(user_object_name(ObjectKind.USER_INFO, user.service_sid, user.identity)),
        )


class UpdateBody(msgspec.Struct, frozen=True):
    """An empty friendly name, or null, takes it away."""

    friendly_name: str | UnsetType | None = UNSET
    attributes: str | UnsetType = UNSET


@OPERATIONS.operation("GET", _ONE)
async def fetch_user(call: Call) -> UserView:
    return UserView.of(await call.queries.user(call.service_sid, call.path["identity"]), call.base_url)


@OPERATIONS.operation("POST", _ONE, UpdateBody, body="json")
async def update_user(call: Call, body: UpdateBody) -> UserView:
    wish = UpdateUser(
        service=call.service_sid,
        user=call.path["identity"],
        friendly_name=body.friendly_name,
        attributes=body.attributes,
    )
    return UserView.of(await call.execute(wish), call.base_url)
