"""Following objects: opens them, reads their items, hears of their changes, over whatever connection there is."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tertulia.client.errors import ClientShutDownError, ConversationsError, SyncObjectError
from tertulia.client.reasons import reason
from tertulia.wire.sync import REPLAY_EVENT

from .copies import Copy, Follower, Key, Kind
from .keeping import Keeper
from .kept import SyncStore
from .reading import Item, ItemsPage, Order, Reading
from .shapes import NOTHING, EventShape, ItemShape, decode_notice, items_of
from .speaking import Speaker
from .subscriptions import Subscriptions

if TYPE_CHECKING:
    from tertulia.client.calls import Calls

log = logging.getLogger(__name__)

LARGEST_NOTICE: Final = 1_048_576
"""In bytes; the whole of what a server tells at a time is far less."""
READ_AGAIN_AFTER_S: Final = 5.0
"""Between attempts to read what a server has lost."""


class Following:
    """The objects one client follows. One task says to the server what is to be said, whatever their number."""

    def __init__(
        self, calls: Calls, store: SyncStore | None, spawn: Callable[[Coroutine[Any, Any, None]], object]
    ) -> None:
        self._spawn = spawn
        self._by_sid: dict[str, Copy] = {}
        self._by_name: dict[str, Copy] = {}
        self._opening: dict[str, tuple[Follower, asyncio.Future[Copy]]] = {}
        self._waiting: dict[str, asyncio.Future[None]] = {}
        """Who waits for what becomes of an object, by its SID."""
        self._doubtful: deque[Copy] = deque()
        self._reads_again = False
        self._keeper = Keeper(store)
        self._reading = Reading(calls, self._keeper, self._is_open)
        self._subscriptions = Subscriptions(int(time.time() * 1000))
        self._speaker = Speaker(calls, self._subscriptions, spawn)
        self._is_stopped = False

    def __len__(self) -> int:
        return len(self._by_sid)

    @property
    def sync_url(self) -> str:
        """What the paths of Sync are appended to."""
        return self._reading.sync_url

    @sync_url.setter
    def sync_url(self, url: str) -> None:
        self._reading.sync_url = self._speaker.sync_url = url.rstrip("/")

    @property
    def store(self) -> SyncStore | None:
        """What keeps the copies between two runs."""
        return self._keeper.store

    @store.setter
    def store(self, store: SyncStore | None) -> None:
        self._keeper.store = store

    # --- opening

    async def open(self, name: str, kind: Kind, follower: Follower, *, include_items: bool = False) -> Copy:
        """Follows an object from what it is now, or from what is kept of it.

        A document's content is told at once, and so are the items with ``include_items``. Opening again for the same
        follower gives the same copy. Raises ``SyncObjectError`` when it does not exist or may not be seen, or is
        followed by somebody else.
        """
        while True:
            if self._is_stopped:
                raise ClientShutDownError
            known = self._by_name.get(name)
            if known is not None:
                if known.follower is follower:
                    return known
                raise SyncObjectError("the object is followed already")
            opening = self._opening.get(name)
            if opening is None:
                return await self._open(name, kind, follower, include_items)
            if opening[0] is not follower:
                raise SyncObjectError("the object is being opened already")
            await asyncio.wait((opening[1],))
            # Who was cancelled opens it for nobody; then it is the turn of this one.
            if not opening[1].cancelled():
                return opening[1].result()

    async def _open(self, name: str, kind: Kind, follower: Follower, include_items: bool) -> Copy:
        future: asyncio.Future[Copy] = asyncio.get_running_loop().create_future()
        self._opening[name] = (follower, future)
        try:
            copy = self._from_store(name, kind, follower)
            if copy is None:
                copy = await self._from_server(name, kind, follower, include_items)
        except BaseException as error:
            if isinstance(error, Exception):
                future.set_exception(error)
                future.exception()  # who opened hears of it; perhaps nobody else waits
            else:
                future.cancel()
            raise
        else:
            future.set_result(copy)
            return copy
        finally:
            del self._opening[name]

    async def _from_server(self, name: str, kind: Kind, follower: Follower, include_items: bool) -> Copy:
        root = await self._reading.root(name, kind, include_items=include_items)
        if self._is_stopped:
            raise ClientShutDownError
        copy = Copy(name, kind, root.sid, root.last_event_id, root.links.items, follower)
        self._require_single(copy)
        if kind is Kind.DOCUMENT:
            try:
                copy.load_document(root.data, root.last_event_id, root.date_updated)
            except msgspec.MsgspecError as error:
                raise SyncObjectError(f"the document cannot be read: {error}") from None
        self._keeper.opened(copy, root.data, root.date_updated)
        for item in items_of(root.items or ()):
            self._reading.load(copy, item)
        if include_items:
            self._is_known(copy)
        self._follow(copy)
        return copy

    def _from_store(self, name: str, kind: Kind, follower: Follower) -> Copy | None:
        found = self._keeper.load(name, kind)
        if found is None:
            return None
        stored, items = found
        copy = Copy(name, kind, stored.sid, stored.last_event_id, stored.items_url, follower)
        self._require_single(copy)
        try:
            if kind is Kind.DOCUMENT:
                copy.load_document(msgspec.Raw(stored.data or NOTHING), stored.last_event_id, stored.at)
            for item in items:
                key, index = (None, int(item.key)) if kind is Kind.LIST else (str(item.key), None)
                copy.load(ItemShape(msgspec.Raw(item.data), item.number, item.at, key, index))
        except ConversationsError:
            raise
        except Exception as error:
            # What another version has kept, or a bad disk, is read anew.
            why = str(error) if isinstance(error, msgspec.MsgspecError) else type(error).__name__
            log.warning("sync.kept_not_readable: %s", why, extra={"object": stored.sid, "why": why})
            self._keeper.forget(copy)
            return None
        copy.is_whole = True
        self._follow(copy)
        return copy

    def _is_known(self, copy: Copy) -> None:
        copy.is_whole = True
        self._keeper.whole(copy)

    def _require_single(self, copy: Copy) -> None:
        if copy.sid in self._by_sid:
            raise SyncObjectError("the object is followed already, by another name")

    def _follow(self, copy: Copy) -> None:
        self._by_name[copy.name] = self._by_sid[copy.sid] = copy
        self._subscriptions.follow(copy, _now())
        self._speaker.go_on()

    def close(self, copy: Copy) -> None:
        """Follow it no more; nothing is told of it any more."""
        if self._drop(copy):
            self._keeper.forget(copy)

    def let_go(self) -> None:
        """Follow none of them any more; what is kept of them stays."""
        for copy in tuple(self._by_sid.values()):
            self._drop(copy)

    async def settled(self, copy: Copy, timeout: float | None = None) -> bool:
        """Returns when its events come as they happen, True, or when it is not followed any more, False.

        Raises ``TimeoutError``, ``ClientShutDownError``.
        """
        async with asyncio.timeout(timeout):
            while self._is_open(copy) and not copy.is_established:
                await self._change_of(copy)
        if self._is_stopped:
            raise ClientShutDownError
        return self._is_open(copy)

    async def live(self, copy: Copy) -> None:
        """Returns when its events come as they happen, or cannot: without a connection, or followed no more."""
        while self._subscriptions.is_connected and self._is_open(copy) and not copy.is_established:
            await self._change_of(copy)

    async def _change_of(self, copy: Copy) -> None:
        future = self._waiting.get(copy.sid)
        if future is None:
            future = self._waiting[copy.sid] = asyncio.get_running_loop().create_future()
        await asyncio.shield(future)

    def _wake_all(self) -> None:
        for sid in tuple(self._waiting):
            self._tell_waiting(sid)

    def _is_open(self, copy: Copy) -> bool:
        return self._by_sid.get(copy.sid) is copy

    def _drop(self, copy: Copy) -> bool:
        if not self._is_open(copy):
            return False
        del self._by_sid[copy.sid], self._by_name[copy.name]
        self._subscriptions.unfollow(copy)
        self._tell_waiting(copy.sid)
        self._speaker.go_on()
        return True

    def _tell_waiting(self, sid: str) -> None:
        future = self._waiting.pop(sid, None)
        if future is not None:
            future.set_result(None)

    # --- reading

    async def read_all(self, copy: Copy, page_size: int = 100) -> None:
        """All items, page by page; those that are known already in this state are not told again.

        Of a map that is known whole nothing is asked: what has changed since comes with its events.

        This and the other reads raise ``SyncObjectError`` of an object that is gone, hidden, or closed meanwhile.
        """
        if not copy.is_whole:
            await self._reading.read_all(copy, page_size)
            self._is_known(copy)

    async def page(
        self, copy: Copy, *, start: Key | None = None, order: Order = "asc", limit: int = 50, inclusive: bool = True
    ) -> ItemsPage:
        """At most ``limit`` items (and never more than 100) from ``start`` on in this order, without it if not
        ``inclusive``; what is news is told to the follower before this returns.

        Items are given as they are by now: one that was removed while they were read is not among them.
        """
        return await self._reading.page(copy, start, order, limit, inclusive)

    async def item(self, copy: Copy, key: Key) -> Item | None:
        """One item, as it is by now; what is news is told to the follower."""
        return await self._reading.item(copy, key)

    # --- what the connection tells

    def connected(self) -> None:
        """There is a connection: everything is followed on it from where it stood."""
        self._subscriptions.connected(_now())
        self._speaker.go_on()

    def lost(self) -> None:
        """There is none."""
        self._subscriptions.lost()
        self._speaker.go_on()
        self._wake_all()

    def notified(self, message_type: str, payload: bytes) -> None:
        """A notification of Sync; others, and what cannot be read, are passed over."""
        try:
            if len(payload) > LARGEST_NOTICE:
                raise ValueError("it is too large")
            notice = decode_notice(payload)
        except ValueError as error:
            told = {"message_type": message_type[:40], "bytes": len(payload), "why": str(error)}
            log.warning("sync.not_readable: %s", error, extra=told)
            return
        kind, replayed = notice.event_type, message_type == REPLAY_EVENT
        is_about_subscriptions = kind.startswith("subscription_")
        for event in notice.all():
            if is_about_subscriptions:
                self._subscription(kind, event, notice.correlation_id)
            else:
                self._event(kind, event, replayed=replayed)
        if is_about_subscriptions:
            self._speaker.go_on()

    def _subscription(self, kind: str, event: EventShape, correlation_id: float | None) -> None:
        match kind:
            case "subscription_established":
                copy = self._subscriptions.established(event, correlation_id, _now())
                if copy is not None:
                    self._went_live(copy, event.last_event_id)
            case "subscription_failed":
                gone = self._subscriptions.failed(event, correlation_id, _now())
                if gone is not None:
                    self._gone(gone)
            case "subscription_canceled":
                self._subscriptions.cancelled(event)

    def _event(self, kind: str, event: EventShape, *, replayed: bool) -> None:
        copy = self._by_sid.get(event.document_sid or event.list_sid or event.map_sid or "")
        if copy is None:
            return
        if kind in ("document_removed", "map_removed", "list_removed"):
            self._gone(copy)
            return
        before = copy.last_event_id
        try:
            was_news = copy.apply(kind, event, replayed=replayed)
        except Exception as error:
            # Whatever its follower makes of one event, the others of this notification are told.
            log.error("sync.follower_failed", extra={"object": copy.sid}, exc_info=error)
            was_news = True
        if self._is_open(copy):
            self._keeper.happened(copy, kind, event, was_news=was_news, advanced=copy.last_event_id != before)

    def _went_live(self, copy: Copy, last_event_id: int | None) -> None:
        for key in copy.went_live(last_event_id):
            self._keeper.remove_item(copy, key)
        self._keeper.went_live(copy)
        self._tell_waiting(copy.sid)
        if copy.is_doubtful:
            self._doubtful.append(copy)
            if not self._reads_again:
                self._spawn(self._read_again())
                self._reads_again = True

    def _gone(self, copy: Copy) -> None:
        if self._drop(copy):
            self._keeper.forget(copy)
            copy.follower.object_removed()

    async def _read_again(self) -> None:
        """What a server that went back in time has lost, object by object."""
        try:
            while self._doubtful:
                copy = self._doubtful[0]
                try:
                    if self._is_open(copy):
                        await self._reading.read_again(copy)
                        copy.is_doubtful = False
                except ClientShutDownError:
                    return
                except ConversationsError as error:
                    told = {"object": copy.sid, "why": reason(error)}
                    log.info("sync.not_read_again: %s", reason(error), extra=told)
                    if self._is_open(copy):
                        await asyncio.sleep(READ_AGAIN_AFTER_S)
                        continue
                except Exception as error:
                    # It stays as it is; the others are read all the same.
                    log.error("sync.follower_failed", extra={"object": copy.sid}, exc_info=error)
                self._doubtful.popleft()
        finally:
            self._reads_again = False

    # --- the end

    def stop(self) -> None:
        """Nothing is followed any more."""
        self._is_stopped = True
        self._speaker.stop()
        self._subscriptions.lost()
        self._doubtful.clear()
        self._by_sid.clear()
        self._by_name.clear()
        self._wake_all()


def _now() -> float:
    return asyncio.get_running_loop().time()
