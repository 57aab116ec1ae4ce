"""Users: a record per identity and service."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from .base import Change, Command, Entity
from .jobs import Job
from .limits import USER_ATTRIBUTES
from .values import check_attributes, check_friendly_name, check_identity

FRIENDLY_NAME_ITEM = "friendlyName"
ATTRIBUTES_ITEM = "attributes"
REACHABILITY_ITEM = "reachability"

INFO_CREATED = {FRIENDLY_NAME_ITEM: 0, ATTRIBUTES_ITEM: 1, REACHABILITY_ITEM: 2}
"""The numbers under which the items of a new user's info map were added."""


class User(Entity, frozen=True):
    sid: str
    account_sid: str
    service_sid: str
    identity: str
    friendly_name: str | None
    attributes: str
    role_sid: str
    created_at: int
    updated_at: int
    conversations_event: int
    """Last number given in the user's conversations map; -1 before the first."""
    info_event: int
    """Last number given in the info map; the three below are those of its items."""
    friendly_name_event: int
    attributes_event: int
    reachability_event: int
    is_online: bool | None
    """Connected, as others are shown it; None before he has ever been, and while reachability is off."""
    is_notifiable: bool | None
    """Has a device that a push is believed to reach; None before he has ever had one, and while reachability is off."""
    reachability_created: int | None
    """The number under which the item was added to the info map; None while there is none.

    Once there it stays, with nulls while reachability is off: clients do not listen to the removal of an item.
    """


class CreateUser(Command[User], frozen=True, kw_only=True):
    service: str
    identity: str
    friendly_name: str | None = None
    attributes: str = "{}"
    role_sid: str | None = None

    def check(self) -> None:
        check_identity(self.identity)
        check_friendly_name(self.friendly_name)
        check_attributes(self.attributes, USER_ATTRIBUTES)


class ConnectUser(Command[User], frozen=True, kw_only=True):
    """The user behind a token, made on his first connection (semantics 3.3).

    ``deployment_role_sid`` is the service role of a user made here; for one that exists it has no effect (2.3).
    """

    service: str
    identity: str
    deployment_role_sid: str | None = None


class UpdateUser(Command[User], frozen=True, kw_only=True):
    service: str
    user: str
    """SID or identity."""
    friendly_name: str | UnsetType | None = UNSET
    attributes: str | UnsetType = UNSET
    role_sid: str | UnsetType = UNSET

    def check(self) -> None:
        if isinstance(self.friendly_name, str):
            check_friendly_name(self.friendly_name)
        if self.attributes is not UNSET:
            check_attributes(self.attributes, USER_ATTRIBUTES)


class DeleteUser(Command[None], frozen=True, kw_only=True):
    """Remove a user with his participants and registrations; his connections end, his messages stay.

    He is gone at once. Who is in many conversations leaves the others in steps.
    """

    service: str
    user: str


class RemoveUserRemains(Command[int], frozen=True, kw_only=True):
    """Take a deleted user out of some of the conversations he is left in; of how many. Of the system."""

    user_sid: str
    most: int
    goes_on: bool = False
    """Promise to go on with it, if he may be left in others."""


class SweepUser(Job, frozen=True, kw_only=True):
    """A deleted user is still a participant somewhere."""

    account_sid: str
    user_sid: str


class UserCreated(Change, frozen=True, kw_only=True):
    user: User


class UserUpdated(Change, frozen=True, kw_only=True):
    user: User
    items: tuple[str, ...]
    """The items of the info map that changed, in the order of their numbers."""


class UserDeleted(Change, frozen=True, kw_only=True):
    user: User
