"""What follows objects, without the client around it: a connection, its calls, and followers that write down."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import msgspec

from tertulia.client import ClientConfig
from tertulia.client.calls import Calls
from tertulia.client.connection import Connection
from tertulia.client.sync import Copy, Following, How, Key, Kind, SyncStore
from tertulia.client.tokens import TokenKeeper
from tertulia.client.urls import base_url

from .scripted import Ear


class Desk(Ear):
    """Follows objects over one connection."""

    def __init__(self, config: ClientConfig, store: SyncStore | None = None) -> None:
        super().__init__()
        self.tokens = TokenKeeper(config)
        self.connection = Connection(config, self.tokens.get, self)
        self.following = Following(Calls(self.connection, config), store, self.spawn)
        self.following.sync_url = base_url(config.server_url)
        self.tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    async def start(self) -> None:
        async with asyncio.timeout(10):
            await self.connection.start()

    async def close(self) -> None:
        self.following.stop()
        await self.connection.close()
        await self.tokens.close()
        tasks = list(self.tasks)
        for task in tasks:
            task.cancel()
        # Whoever was stopped ends by himself, without an error.
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            assert outcome is None or isinstance(outcome, asyncio.CancelledError), outcome

    async def open(self, name: str, kind: Kind, *, include_items: bool = False) -> Heard:
        """Followed, and live."""
        heard = Heard()
        heard.copy = await self.following.open(name, kind, heard, include_items=include_items)
        assert await self.following.settled(heard.copy, 10)
        return heard

    def connected(self) -> None:
        super().connected()
        self.following.connected()

    def lost(self) -> None:
        super().lost()
        self.following.lost()

    def notified(self, message_type: str, payload: bytes) -> None:
        super().notified(message_type, payload)
        self.following.notified(message_type, payload)


class Heard:
    """A follower that writes down what it is told. One that ``forgets`` holds what is new or was read, as messages are.

    What it holds is decoded; what it was told is in order.
    """

    def __init__(self, *, forgets: bool = False) -> None:
        self.items: dict[Key, Any] = {}
        self.told: list[tuple[How | None, Key]] = []
        self.contents: list[Any] = []
        self.is_gone = False
        self.copy: Copy
        self._forgets = forgets

    @property
    def added(self) -> list[Key]:
        return [key for how, key in self.told if how is How.ADDED]

    def item_changed(self, key: Key, data: msgspec.Raw, at: str, how: How) -> None:
        assert not self.is_gone
        self.told.append((how, key))
        if self._forgets and how is How.UPDATED and key not in self.items:
            self.copy.forget(key)
        else:
            self.items[key] = msgspec.json.decode(data)

    def item_removed(self, key: Key) -> None:
        assert not self.is_gone
        self.items.pop(key, None)
        self.told.append((None, key))

    def document_changed(self, data: msgspec.Raw, at: str) -> None:
        assert not self.is_gone
        self.contents.append(msgspec.json.decode(data))

    def object_removed(self) -> None:
        assert not self.is_gone
        self.is_gone = True
