"""A user for an identity that is new here: by REST, by a first connection, or by being added (semantics 3.3)."""

from __future__ import annotations

from tertulia.server.domain.services import Service
from tertulia.server.domain.users import (
    ATTRIBUTES_ITEM,
    FRIENDLY_NAME_ITEM,
    INFO_CREATED,
    REACHABILITY_ITEM,
    User,
    UserCreated,
)

from .unit import Unit


async def make_user(
    unit: Unit,
    service: Service,
    identity: str,
    *,
    friendly_name: str | None = None,
    attributes: str = "{}",
    role_sid: str | None = None,
) -> User:
    """Keep a new user; the caller has made sure that there is none of this identity."""
    user = User(
        sid=unit.new_sid("US"),
        account_sid=service.account_sid,
        service_sid=service.sid,
        identity=identity,
        friendly_name=friendly_name,
        attributes=attributes,
        role_sid=role_sid or service.default_user_role_sid,
        created_at=unit.now,
        updated_at=unit.now,
        conversations_event=-1,
        info_event=max(INFO_CREATED.values()),
        friendly_name_event=INFO_CREATED[FRIENDLY_NAME_ITEM],
        attributes_event=INFO_CREATED[ATTRIBUTES_ITEM],
        reachability_event=INFO_CREATED[REACHABILITY_ITEM],
    )
    await unit.users.add(user)
    unit.record(UserCreated(user=user))
    return user
