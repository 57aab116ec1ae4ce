"""Roles of a service (rest 10)."""

from __future__ import annotations

from typing import Annotated

import msgspec

from tertulia.server.domain import roles as domain
from tertulia.server.domain.permissions import RoleKind
from tertulia.server.domain.roles import Role
from tertulia.server.domain.values import second
from tertulia.server.web.forms import Folded, Form, one_of
from tertulia.server.web.operations import BOTH, Call, Operations
from tertulia.server.web.paging import ListRule, Meta, PageQuery, Paging

from .views import FACE, PREFIX

OPERATIONS = Operations(FACE, PREFIX)
LIST = ListRule("roles", size=50, most=50)


class RoleView(msgspec.Struct, frozen=True):
    sid: str
    account_sid: str
    chat_service_sid: str
    friendly_name: str
    type: str
    permissions: list[str]
    date_created: str
    date_updated: str
    url: str

    @classmethod
    def of(cls, role: Role, root: str) -> RoleView:
        return cls(
            sid=role.sid,
            account_sid=role.account_sid,
            chat_service_sid=role.service_sid,
            friendly_name=role.friendly_name,
            type=role.kind,
            permissions=role.names,
            date_created=second(role.created_at),
            date_updated=second(role.updated_at),
            url=f"{root}/Roles/{role.sid}",
        )


class RoleList(msgspec.Struct, frozen=True):
    meta: Meta
    roles: list[RoleView]


class CreateRole(Form, frozen=True, kw_only=True):
    friendly_name: str
    type: Annotated[Folded, one_of(*RoleKind)]
    permission: list[str]


class UpdateRole(Form, frozen=True, kw_only=True):
    permission: list[str]


@OPERATIONS.operation("POST", "/Roles", CreateRole, status=201, scopes=BOTH)
async def create_role(call: Call, form: CreateRole) -> RoleView:
    """Make a role with a set of permissions of its type."""
    role = await call.execute(
        domain.CreateRole(
            service=call.service_sid,
            friendly_name=form.friendly_name,
            kind=form.type,
            permissions=tuple(form.permission),
        )
    )
    return RoleView.of(role, call.root)


@OPERATIONS.operation("GET", "/Roles", query=PageQuery, scopes=BOTH)
async def list_roles(call: Call) -> RoleList:
    """The roles of a service, by age."""
    paging: Paging[Role] = Paging(call, LIST, call.query)
    read = await call.queries.roles(call.service_sid, paging.page)
    root = call.root
    return RoleList(paging.meta(read, _key), [RoleView.of(one, root) for one in paging.cut(read)])


@OPERATIONS.operation("GET", "/Roles/{role}", scopes=BOTH)
async def fetch_role(call: Call) -> RoleView:
    """One role."""
    return RoleView.of(await call.queries.role(call.service_sid, call.path["role"]), call.root)


@OPERATIONS.operation("POST", "/Roles/{role}", UpdateRole, scopes=BOTH)
async def update_role(call: Call, form: UpdateRole) -> RoleView:
    """Replace the whole set of permissions."""
    wish = domain.UpdateRole(service=call.service_sid, role=call.path["role"], permissions=tuple(form.permission))
    return RoleView.of(await call.execute(wish), call.root)


@OPERATIONS.operation("DELETE", "/Roles/{role}", status=204, scopes=BOTH)
async def delete_role(call: Call) -> None:
    """Remove a role that nobody has and that is no default."""
    await call.execute(domain.DeleteRole(service=call.service_sid, role=call.path["role"]))


def _key(role: Role) -> str:
    return role.sid
