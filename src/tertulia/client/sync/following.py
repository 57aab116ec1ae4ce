"""Following objects: opens them, reads their items, hears of their changes, over whatever connection there is."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from tertulia.client.connection import ClientRequest
from tertulia.client.errors import (
    ClientShutDownError,
    ConversationsError,
    ForbiddenError,
    NotFoundError,
    SyncObjectError,
)
from tertulia.wire.sync import REPLAY_EVENT

from .copies import Copy, Follower, Key, Kind
from .kept import StoredItem, StoredObject, SyncStore
from .shapes import NOTHING, Accepted, EventShape, ItemsAnswer, ItemShape, Root, decode_notice
from .subscriptions import Batch, Subscriptions

if TYPE_CHECKING:
    from tertulia.client.calls import Calls

log = logging.getLogger(__name__)

Order = Literal["asc", "desc"]
PATHS: Final = {Kind.DOCUMENT: "Documents", Kind.MAP: "Maps", Kind.LIST: "Lists"}
JSON: Final = "application/json"


class Item(msgspec.Struct, frozen=True):
    """An item that was read."""

    key: Key
    data: msgspec.Raw
    number: int
    at: str


class ItemsPage(msgspec.Struct, frozen=True):
    """Items in the order that was asked for, and whether that was the first or last of them."""

    items: list[Item]
    is_first: bool
    is_last: bool


class Following:
    """The objects one client follows. One task says to the server what is to be said, whatever their number."""

    def __init__(
        self, calls: Calls, store: SyncStore | None, spawn: Callable[[Coroutine[Any, Any, None]], object]
    ) -> None:
        self.sync_url = ""
        """What the paths of Sync are appended to."""
        self.store = store
        self._calls = calls
        self._spawn = spawn
        self._by_sid: dict[str, Copy] = {}
        self._by_name: dict[str, Copy] = {}
        self._opening: dict[str, tuple[Follower, asyncio.Future[Copy]]] = {}
        self._subscriptions = Subscriptions(int(time.time() * 1000))
        self._news = asyncio.Event()
        self._is_pumping = False
        self._is_stopped = False

    def __len__(self) -> int:
        return len(self._by_sid)

    # --- opening

    async def open(self, name: str, kind: Kind, follower: Follower, *, include_items: bool = False) -> Copy:
        """Follows an object from what it is now, or from what is kept of it.

        A document's content is told at once, and so are the items with ``include_items``. Opening again for the same
        follower gives the same copy. Raises ``SyncObjectError`` when it does not exist or may not be seen, or is
        followed by somebody else.
        """
        if self._is_stopped:
            raise ClientShutDownError
        known = self._by_name.get(name)
        if known is not None:
            if known.follower is follower:
                return known
            raise SyncObjectError("the object is followed already")
        opening = self._opening.get(name)
        if opening is not None:
            if opening[0] is follower:
                return await asyncio.shield(opening[1])
            raise SyncObjectError("the object is being opened already")
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
        from tertulia.client.calls import segment

        url = f"{self.sync_url}/v3/{PATHS[kind]}/{segment(name)}"
        try:
            root = await self._calls.get(url, Root, {"Include": "items"} if include_items else {})
        except (NotFoundError, ForbiddenError) as error:
            raise SyncObjectError(f"there is no such {kind}, or it may not be seen") from error
        if self._is_stopped:
            raise ClientShutDownError
        copy = Copy(name, kind, root.sid, root.last_event_id, root.links.items, follower)
        self._keep(copy, root.data, root.date_updated)
        if kind is Kind.DOCUMENT:
            follower.document_changed(root.data, root.date_updated)
        for item in root.items or ():
            self._load(copy, item)
        self._follow(copy)
        return copy

    def _from_store(self, name: str, kind: Kind, follower: Follower) -> Copy | None:
        found = None if self.store is None else self.store.load(name)
        if found is None or found[0].kind is not kind:
            return None
        stored, items = found
        copy = Copy(name, kind, stored.sid, stored.last_event_id, stored.items_url, follower)
        if kind is Kind.DOCUMENT:
            follower.document_changed(msgspec.Raw(stored.data or NOTHING), stored.at)
        for item in items:
            key, index = (None, int(item.key)) if kind is Kind.LIST else (str(item.key), None)
            copy.load(ItemShape(msgspec.Raw(item.data), item.number, item.at, key, index))
        self._follow(copy)
        return copy

    def _follow(self, copy: Copy) -> None:
        self._by_name[copy.name] = self._by_sid[copy.sid] = copy
        self._subscriptions.follow(copy, self._now())
        self._pump_on()

    def close(self, copy: Copy) -> None:
        """Follow it no more; nothing is told of it any more."""
        if self._by_sid.get(copy.sid) is not copy:
            return
        del self._by_sid[copy.sid], self._by_name[copy.name]
        self._subscriptions.unfollow(copy)
        if self.store is not None:
            self.store.forget(copy.name)
        self._pump_on()

    # --- reading

    async def read_all(self, copy: Copy, page_size: int = 100) -> None:
        """All items, page by page; those that are known already in this state are not told again."""
        params: dict[str, str] = {"PageSize": str(page_size), "Order": "asc"}
        copy.began_reading()
        try:
            while True:
                answer = await self._read(copy, params)
                for item in answer.items:
                    self._load(copy, item)
                if not answer.meta.next_token:
                    return
                params = {"PageToken": answer.meta.next_token}
        finally:
            copy.ended_reading()

    async def page(
        self, copy: Copy, *, start: Key | None = None, order: Order = "asc", limit: int = 50, inclusive: bool = True
    ) -> ItemsPage:
        """Items from ``start`` on in this order; what is news is told to the follower before this returns."""
        wanted = limit if inclusive or start is None else limit + 1
        params = {"PageSize": str(min(wanted, 100)), "Order": order}
        if start is not None:
            params["From"] = str(start)
        copy.began_reading()
        try:
            answer = await self._read(copy, params)
            items = [self._load(copy, item) for item in answer.items]
        finally:
            copy.ended_reading()
        if not inclusive:
            items = [item for item in items if item.key != start][:limit]
        return ItemsPage(items, answer.meta.previous_token is None, answer.meta.next_token is None)

    async def item(self, copy: Copy, key: Key) -> Item | None:
        """One item, as the server has it; what is news is told to the follower."""
        copy.began_reading()
        try:
            answer = await self._read(copy, {"Index" if copy.kind is Kind.LIST else "Key": str(key)})
            return self._load(copy, answer.items[0]) if answer.items else None
        finally:
            copy.ended_reading()

    async def _read(self, copy: Copy, params: Mapping[str, str]) -> ItemsAnswer:
        if copy.items_url is None:
            raise SyncObjectError("a document has no items")
        try:
            return await self._calls.get(copy.items_url, ItemsAnswer, params)
        except (NotFoundError, ForbiddenError) as error:
            raise SyncObjectError(f"the {copy.kind} is gone, or may not be seen any more") from error

    def _load(self, copy: Copy, item: ItemShape) -> Item:
        key: Key = item.index if item.index is not None else item.key or ""
        is_news = copy.load(item)
        if is_news and self.store is not None and self._by_sid.get(copy.sid, copy) is copy:
            number = item.last_event_id
            self.store.save_item(
                copy.name, StoredItem(key=key, number=number, data=bytes(item.data), at=item.date_updated)
            )
        return Item(key, item.data, item.last_event_id, item.date_updated)

    # --- what the connection tells

    def connected(self) -> None:
        """There is a connection: everything is followed on it from where it stood."""
        self._subscriptions.connected(self._now())
        self._pump_on()

    def lost(self) -> None:
        """There is none."""
        self._subscriptions.lost()
        self._news.set()

    def notified(self, message_type: str, payload: bytes) -> None:
        """A notification of Sync; others, and what cannot be read, are passed over."""
        try:
            notice = decode_notice(payload)
        except (msgspec.DecodeError, UnicodeDecodeError):
            log.warning("sync.not_readable", extra={"message_type": message_type[:40], "bytes": len(payload)})
            return
        kind = notice.event_type
        if kind.startswith("subscription_"):
            for event in notice.all():
                self._subscription(kind, event, notice.correlation_id)
            self._news.set()
            return
        for event in notice.all():
            self._event(kind, event, replayed=message_type == REPLAY_EVENT)

    def _subscription(self, kind: str, event: EventShape, correlation_id: float | None) -> None:
        match kind:
            case "subscription_established":
                copy = self._subscriptions.established(event)
                if copy is not None:
                    self._keep(copy)
            case "subscription_failed":
                gone = self._subscriptions.failed(event, self._now())
                if gone is not None:
                    self._gone(gone)
            case "subscription_canceled":
                self._subscriptions.cancelled(int(correlation_id or 0))

    def _event(self, kind: str, event: EventShape, *, replayed: bool) -> None:
        copy = self._by_sid.get(event.document_sid or event.list_sid or event.map_sid or "")
        if copy is None:
            return
        if kind in ("document_removed", "map_removed", "list_removed"):
            self._gone(copy)
            return
        before = copy.last_event_id
        changed = copy.apply(kind, event, replayed=replayed)
        if self.store is not None and self._by_sid.get(copy.sid) is copy:
            self._keep_event(copy, kind, event, changed, before)

    def _gone(self, copy: Copy) -> None:
        if self._by_sid.get(copy.sid) is copy:
            del self._by_sid[copy.sid], self._by_name[copy.name]
            self._subscriptions.unfollow(copy)
            if self.store is not None:
                self.store.forget(copy.name)
            copy.follower.object_removed()

    # --- keeping

    def _keep(self, copy: Copy, data: msgspec.Raw | None = None, at: str = "") -> None:
        if self.store is None:
            return
        if copy.kind is Kind.DOCUMENT and data is None:
            return  # its content and its number are kept together
        self.store.save(
            StoredObject(
                name=copy.name,
                kind=copy.kind,
                sid=copy.sid,
                items_url=copy.items_url,
                last_event_id=copy.last_event_id,
                data=bytes(data) if copy.kind is Kind.DOCUMENT and data is not None else None,
                at=at,
            )
        )

    def _keep_event(self, copy: Copy, kind: str, event: EventShape, changed: bool, before: int) -> None:
        assert self.store is not None
        if copy.kind is Kind.DOCUMENT:
            if changed:
                self._keep(copy, event.document_data, event.date_created)
            return
        key: Key = event.item_index if copy.kind is Kind.LIST and event.item_index is not None else event.item_key or ""
        if kind.endswith("_removed"):
            self.store.remove_item(copy.name, key)
        elif changed and key in copy.numbers:
            self.store.save_item(
                copy.name, StoredItem(key=key, number=event.id, data=bytes(event.item_data), at=event.date_created)
            )
        if copy.last_event_id != before:
            self._keep(copy)

    # --- saying

    def stop(self) -> None:
        """Nothing is followed any more."""
        self._is_stopped = True
        self._subscriptions.lost()
        self._by_sid.clear()
        self._by_name.clear()
        self._news.set()

    def _pump_on(self) -> None:
        self._news.set()
        if not self._is_pumping and not self._is_stopped:
            self._is_pumping = True
            self._spawn(self._pump())

    async def _pump(self) -> None:
        while not self._is_stopped:
            self._news.clear()
            batch = self._subscriptions.next_batch(self._now())
            if batch is not None:
                await self._say(batch)
                continue
            deadline = self._subscriptions.deadline
            try:
                async with asyncio.timeout(None if deadline is None else max(0.0, deadline - self._now())):
                    await self._news.wait()
            except TimeoutError:
                continue

    async def _say(self, batch: Batch) -> None:
        request = ClientRequest(
            method="POST", url=f"{self.sync_url}/v4/Subscriptions", body=batch.body, content_type=JSON
        )
        try:
            reply = await self._calls.send(request)
            if not 200 <= reply.status < 300:
                raise SyncObjectError(f"subscribing was answered with {reply.status}")
            answer = msgspec.json.decode(reply.body or b"{}", type=Accepted)
        except ClientShutDownError:
            return
        except (ConversationsError, msgspec.DecodeError) as error:
            log.info("sync.not_subscribed", extra={"error": type(error).__name__})
            if batch.action == "establish":
                self._subscriptions.not_accepted(batch.correlation_id, self._now())
            return
        if batch.action == "establish":
            self._subscriptions.accepted(batch.correlation_id, answer, self._now())

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
