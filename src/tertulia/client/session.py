"""What the objects of one client share: who to ask, where things are, what was configured.

A session begins when the configuration is known and ends for good when the client is shut down.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from .calls import Calls
from .config import ClientConfig
from .configuration import Configuration
from .dispatch import Emitter
from .errors import ClientNotReadyError, ClientShutDownError
from .reasons import reason
from .urls import base_url, segment

if TYPE_CHECKING:
    from .content import Templates
    from .media import MediaService
    from .model.conversations import Conversations
    from .model.users import Users
    from .outbox import Outbox
    from .receipts import Receipts
    from .sync import Following

log = logging.getLogger(__name__)


class Session:
    """The shared part of a client's objects. Printed, it shows no name and no token."""

    following: Following
    conversations: Conversations
    users: Users
    media: MediaService
    templates: Templates
    receipts: Receipts
    outbox: Outbox | None

    def __init__(self, config: ClientConfig, calls: Calls, emitter: Emitter) -> None:
        self.config = config
        self.calls = calls
        self.emitter = emitter
        self.max_event_queue = config.max_event_queue
        self.base_url = base_url(config.server_url)
        self.is_closed = False
        self.outbox = None
        self._configuration: Configuration | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._spared: set[asyncio.Task[Any]] = set()

    @property
    def configuration(self) -> Configuration:
        """Raises ``ClientShutDownError`` after the end, ``ClientNotReadyError`` before the start."""
        if self.is_closed:
            raise ClientShutDownError
        if self._configuration is None:
            raise ClientNotReadyError
        return self._configuration

    def configure(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self.calls.replays_mutations_s = configuration.replay_s

    @property
    def identity(self) -> str:
        return self.configuration.identity

    def conversation_url(self, sid: str, *parts: str) -> str:
        return _join(self.configuration.links.conversations, sid, *parts)

    def my_conversation_url(self, name: str) -> str:
        return _join(self.configuration.links.my_conversations, name)

    def user_url(self, identity: str) -> str:
        return _join(self.configuration.links.users, identity)

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run it beside everything else, until it ends or the client does."""
        if self.is_closed:
            work.close()
            raise ClientShutDownError
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        # Who waits for it gets the error; of one that nobody waits for, at least the reason is in the log.
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, ClientShutDownError):
            log.debug("client.task_failed: %s", reason(error), extra={"why": reason(error)})

    def spare(self, task: asyncio.Task[Any] | None) -> None:
        """Who waits for the end is let finish."""
        if task in self._tasks:
            self._spared.add(task)
            task.add_done_callback(self._spared.discard)

    async def end_tasks(self) -> None:
        """Nothing that was spawned runs on, but for those who are spared."""
        tasks = self._tasks - self._spared
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _join(url: str, *parts: str) -> str:
    return "/".join((url.rstrip("/"), *map(segment, parts)))
