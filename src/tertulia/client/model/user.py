"""A user: who somebody is, and whether he is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from tertulia.client import arguments
from tertulia.client.attributes import Json, attributes_of, attributes_text
from tertulia.client.dispatch import Emitter, Hub
from tertulia.client.errors import InvalidArgumentError
from tertulia.client.events import UserUpdated
from tertulia.client.states import UserField
from tertulia.client.sync import Copy, How, ItemFollower

from .answers import Stamped
from .payloads import reachability_data, value_data
from .snapshots import UserSnapshot, changed
from .waiting import Watch

if TYPE_CHECKING:
    from tertulia.client.session import Session


class User(ItemFollower, Emitter):
    """A user of the service. Lives with the events of his profile while he is subscribed to (object-model A.7)."""

    __slots__ = ("_copy", "_session", "_state", "_watch")

    def __init__(self, session: Session, state: UserSnapshot) -> None:
        super().__init__()
        self._session = session
        self._state = state
        self._copy: Copy | None = None
        self._watch = Watch()

    def __repr__(self) -> str:
        return f"<User {'subscribed' if self.is_subscribed else 'not subscribed'}>"

    @property
    def identity(self) -> str:
        return self._state.identity

    @property
    def friendly_name(self) -> str | None:
        return self._state.friendly_name

    @property
    def attributes(self) -> Json:
        return self._state.attributes

    @property
    def is_online(self) -> bool | None:
        """Whether a client of his is connected; None unless the service tells."""
        return self._state.is_online

    @property
    def is_notifiable(self) -> bool | None:
        """Whether a device of his takes notifications; None unless the service tells."""
        return self._state.is_notifiable

    @property
    def is_subscribed(self) -> bool:
        """Whether the values follow his profile."""
        return self._copy is not None

    def snapshot(self) -> UserSnapshot:
        """What is known of him now, as a value."""
        return self._state

    async def update(
        self,
        *,
        friendly_name: str | msgspec.UnsetType | None = msgspec.UNSET,
        attributes: Json | msgspec.UnsetType = msgspec.UNSET,
        wait: bool = True,
    ) -> None:
        """Change his profile, in one command; ``friendly_name=None`` takes his name away.

        With ``wait`` the values are there when it returns (object-model D.5).
        """
        body: dict[str, object] = {}
        wanted: dict[str, object] = {}
        if friendly_name is not msgspec.UNSET:
            arguments.words(friendly_name, "friendly_name")
            # As of conversations, an empty text takes the name away.
            body["friendly_name"], wanted["friendly_name"] = friendly_name or "", friendly_name or None
        if attributes is not msgspec.UNSET:
            body["attributes"] = text = attributes_text(attributes)
            wanted["attributes"] = attributes_of(text)
        if not body:
            raise InvalidArgumentError("nothing to update: give friendly_name or attributes")
        command = self._session.calls.post(self._session.user_url(self.identity), body, Stamped)
        await self._watch.visible(
            command,
            lambda _: all(getattr(self._state, name) == value for name, value in wanted.items()),
            self._session.config.visibility_timeout,
            wait=wait and self.is_subscribed,
        )

    async def unsubscribe(self) -> None:
        """Follow his profile no more. The user of this client himself is always followed."""
        self._session.users.unsubscribe(self)

    # --- what happens to it

    def item_changed(self, key: str | int, data: msgspec.Raw, at: str, how: How) -> None:
        match key:
            case "friendlyName":
                self._become(friendly_name=value_data(data).value or None)
            case "attributes":
                self._become(attributes=attributes_of(value_data(data).value))
            case "reachability":
                reachability = reachability_data(data)
                self._become(is_online=reachability.online, is_notifiable=reachability.notifiable)
            case _:
                return

    def item_removed(self, key: str | int) -> None:
        if key == "reachability":
            self._become(is_online=None, is_notifiable=None)

    def object_removed(self) -> None:
        self._session.users.unsubscribe(self, gone=True)

    def _become(self, **values: Any) -> None:
        previous, self._state = self._state, msgspec.structs.replace(self._state, **values)
        reasons = changed(previous, self._state, UserField)
        if not reasons:
            return
        self._watch.changed()
        if self._copy is not None:
            self._emit(UserUpdated(self, reasons, previous))

    def _parent(self) -> Emitter:
        return self._session.emitter

    def _hub(self) -> Hub:
        return self._session

    def _end(self) -> None:
        self._watch.end()
        self._let_go()
