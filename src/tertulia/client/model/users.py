"""The users a client follows: himself, and those last asked for (object-model B.3)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from tertulia.client.attributes import attributes_of
from tertulia.client.errors import ClientNotReadyError, SyncObjectError
from tertulia.client.events import UserSubscribed, UserUnsubscribed
from tertulia.client.sync import Kind

from .answers import UserAnswer
from .snapshots import UserSnapshot
from .user import User

if TYPE_CHECKING:
    from tertulia.client.session import Session


class Users:
    """One object per identity. As many as the service allows are followed; the one asked for first is let go first."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._subscribed: dict[str, User] = {}
        self._known: WeakValueDictionary[str, User] = WeakValueDictionary()
        self._subscribing: dict[str, asyncio.Task[None]] = {}
        self._me: User | None = None

    @property
    def subscribed(self) -> Mapping[str, User]:
        """Those that are followed, by identity; the client's own user first."""
        return MappingProxyType(self._subscribed)

    @property
    def me(self) -> User:
        self._session.configuration  # noqa: B018 (raises before the start and after the end)
        if self._me is None:
            raise ClientNotReadyError
        return self._me

    async def open_me(self) -> None:
        """The client's own user, followed for as long as the client lives."""
        self._me = self._object(self._session.identity)
        await self._follow(self._me, self._session.configuration.sync_objects.my_user_info)

    async def get(self, identity: str, *, map_name: str | None = None, subscribe: bool = True) -> User:
        """The user of this identity, followed from now on unless not wanted. Raises ``NotFoundError``."""
        user = self._object(identity)
        if user.is_subscribed:
            return user
        if not subscribe:
            self._tell(user, await self._ask(identity))
            return user
        task = self._subscribing.get(identity)
        if task is None:
            task = self._subscribing[identity] = self._session.spawn(self._subscribe(user, map_name))
            task.add_done_callback(lambda _: self._subscribing.pop(identity, None))
        await asyncio.shield(task)
        return user

    def unsubscribe(self, user: User, *, gone: bool = False) -> None:
        """Follow no more; the client's own user stays unless he is gone."""
        if user._copy is None or (user is self._me and not gone):
            return
        copy, user._copy = user._copy, None
        self._subscribed.pop(user.identity, None)
        if not gone:
            self._session.following.close(copy)
        user._emit(UserUnsubscribed(user))

    async def _subscribe(self, user: User, map_name: str | None) -> None:
        if map_name is None:
            answer = await self._ask(user.identity)
            self._tell(user, answer)
            map_name = answer.sync_objects.user_info_map
            if map_name is None:
                return
        await self._follow(user, map_name)
        others = [known for known in self._subscribed.values() if known is not self._me]
        for former in others[: max(0, len(others) - self._session.configuration.options.user_infos_to_subscribe)]:
            self.unsubscribe(former)

    async def _follow(self, user: User, map_name: str) -> None:
        copy = await self._session.following.open(map_name, Kind.MAP, user, include_items=True)
        if not copy.numbers:
            self._session.following.close(copy)
            raise SyncObjectError("a user's profile is empty")
        user._copy = copy
        self._subscribed[user.identity] = user
        user._emit(UserSubscribed(user))

    async def _ask(self, identity: str) -> UserAnswer:
        session = self._session
        return await session.calls.get(session.user_url(identity), UserAnswer, max_age=session.configuration.cache_s)

    def _tell(self, user: User, answer: UserAnswer) -> None:
        user._become(friendly_name=answer.friendly_name, attributes=attributes_of(answer.attributes))

    def _object(self, identity: str) -> User:
        user = self._known.get(identity)
        if user is None:
            user = self._known[identity] = User(self._session, UserSnapshot(identity=identity))
        return user

    def let_go(self) -> None:
        """These are users of somebody who is not here any more."""
        for task in tuple(self._subscribing.values()):
            task.cancel()
        for user in tuple(self._subscribed.values()):
            self.unsubscribe(user, gone=True)
        self.end()

    def end(self) -> None:
        for user in list(self._known.values()):
            user._end()
            user._copy = None
        self._subscribed.clear()
        self._known.clear()
        self._me = None
