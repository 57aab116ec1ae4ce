"""Roles: named sets of permissions, of service or conversation kind (semantics 2)."""

from __future__ import annotations

from .base import Change, Command, Entity
from .errors import BAD_PARAMETER, NAME_MISSING, PERMISSION_UNKNOWN, ROLE_TYPE
from .limits import ROLE_NAME_CHARS
from .permissions import GRANTABLE, RoleKind
from .values import check_friendly_name


class Role(Entity, frozen=True):
    sid: str
    account_sid: str
    service_sid: str
    friendly_name: str
    kind: str
    permissions: str
    """Names joined by spaces, in the order given."""
    created_at: int
    updated_at: int

    @property
    def names(self) -> list[str]:
        return self.permissions.split()


def check_permissions(kind: RoleKind, names: tuple[str, ...]) -> None:
    """At least one, each known and of the role's kind; else 50104."""
    if not names:
        raise BAD_PARAMETER("Missing required parameter Permission in the post body")
    for name in names:
        if name not in GRANTABLE[kind]:
            raise PERMISSION_UNKNOWN(f"Permission {name[:64]!r} is not one of a {kind} role")


class CreateRole(Command[Role], frozen=True, kw_only=True):
    service: str
    friendly_name: str
    kind: str
    permissions: tuple[str, ...]

    def check(self) -> None:
        if not self.friendly_name:
            raise NAME_MISSING()
        check_friendly_name(self.friendly_name, ROLE_NAME_CHARS)
        if self.kind not in set(RoleKind):
            raise ROLE_TYPE(f"A role is of type {' or '.join(RoleKind)}")
        check_permissions(RoleKind(self.kind), self.permissions)


class UpdateRole(Command[Role], frozen=True, kw_only=True):
    """Replace the whole set of permissions."""

    service: str
    role: str
    permissions: tuple[str, ...]


class DeleteRole(Command[None], frozen=True, kw_only=True):
    """Remove a role; refused while it is assigned or a default (409/20409)."""

    service: str
    role: str


class RoleCreated(Change, frozen=True, kw_only=True):
    role: Role


class RoleUpdated(Change, frozen=True, kw_only=True):
    role: Role


class RoleDeleted(Change, frozen=True, kw_only=True):
    role: Role
