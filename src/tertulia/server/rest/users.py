"""Users of a service (rest 11.1)."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from tertulia.server.domain import users as domain
from tertulia.server.domain.users import User
from tertulia.server.domain.values import second
from tertulia.server.web.forms import Form
from tertulia.server.web.operations import BOTH, Call, Operations
from tertulia.server.web.paging import ListRule, Meta, PageQuery, Paging

from .views import FACE, PREFIX

OPERATIONS = Operations(FACE, PREFIX)
LIST = ListRule("users", size=50, most=50)


class UserLinks(msgspec.Struct, frozen=True):
    user_conversations: str


class UserView(msgspec.Struct, frozen=True):
    sid: str
    account_sid: str
    chat_service_sid: str
    role_sid: str
    identity: str
    friendly_name: str | None
    attributes: str
    date_created: str
    date_updated: str
    url: str
    links: UserLinks
    is_online: bool | None = None
    """Null in lists, and while reachability is off."""
    is_notifiable: bool | None = None

    @classmethod
    def of(cls, user: User, root: str, *, is_listed: bool = False) -> UserView:
        url = f"{root}/Users/{user.sid}"
        return cls(
            sid=user.sid,
            account_sid=user.account_sid,
            chat_service_sid=user.service_sid,
            role_sid=user.role_sid,
            identity=user.identity,
            friendly_name=user.friendly_name,
            attributes=user.attributes,
            date_created=second(user.created_at),
            date_updated=second(user.updated_at),
            url=url,
            links=UserLinks(f"{url}/Conversations"),
            is_online=None if is_listed else user.is_online,
            is_notifiable=None if is_listed else user.is_notifiable,
        )


class UserList(msgspec.Struct, frozen=True):
    meta: Meta
    users: list[UserView]


class CreateUser(Form, frozen=True, kw_only=True):
    identity: str
    friendly_name: str | None = None
    attributes: str = "{}"
    role_sid: str | None = None


class UpdateUser(Form, frozen=True, kw_only=True):
    friendly_name: str | UnsetType = UNSET
    """An empty one clears it, unlike a conversation's."""
    attributes: str | UnsetType = UNSET
    role_sid: str | UnsetType = UNSET


@OPERATIONS.operation("POST", "/Users", CreateUser, status=201, scopes=BOTH, hooks=True)
async def create_user(call: Call, form: CreateUser) -> UserView:
    """Make a user."""
    user = await call.execute(
        domain.CreateUser(
            service=call.service_sid,
            identity=form.identity,
            friendly_name=form.friendly_name,
            attributes=form.attributes,
            role_sid=form.role_sid,
        )
    )
    return UserView.of(user, call.root)


@OPERATIONS.operation("GET", "/Users", query=PageQuery, scopes=BOTH)
async def list_users(call: Call) -> UserList:
    """The users of a service, by age."""
    paging: Paging[User] = Paging(call, LIST, call.query)
    read = await call.queries.users(call.service_sid, paging.page)
    root = call.root
    return UserList(paging.meta(read, _key), [UserView.of(one, root, is_listed=True) for one in paging.cut(read)])


@OPERATIONS.operation("GET", "/Users/{user}", scopes=BOTH)
async def fetch_user(call: Call) -> UserView:
    """One user, by SID or identity."""
    return UserView.of(await call.queries.user(call.service_sid, call.path["user"]), call.root)


@OPERATIONS.operation("POST", "/Users/{user}", UpdateUser, scopes=BOTH, hooks=True)
async def update_user(call: Call, form: UpdateUser) -> UserView:
    """Change a user's name, attributes or role."""
    user = await call.execute(
        domain.UpdateUser(
            service=call.service_sid,
            user=call.path["user"],
            friendly_name=form.friendly_name,
            attributes=form.attributes,
            role_sid=form.role_sid,
        )
    )
    return UserView.of(user, call.root)


@OPERATIONS.operation("DELETE", "/Users/{user}", status=204, scopes=BOTH, hooks=True)
async def delete_user(call: Call) -> None:
    """Remove a user from the service and from every conversation."""
    await call.execute(domain.DeleteUser(service=call.service_sid, user=call.path["user"]))


def _key(user: User) -> str:
    return user.sid
