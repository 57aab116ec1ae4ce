"""Says to the server what is to be said about subscriptions: one task, however many objects there are."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final

from tertulia.client.connection import ClientRequest
from tertulia.client.decoding import decoder
from tertulia.client.errors import ClientShutDownError, ConversationsError
from tertulia.client.reasons import reason

from .shapes import Accepted
from .subscriptions import Batch, Subscriptions

if TYPE_CHECKING:
    from tertulia.client.calls import Calls

log = logging.getLogger(__name__)

JSON: Final = "application/json"
_accepted: Final = decoder(Accepted)


class Speaker:
    """Posts the batches of ``Subscriptions`` when their time has come."""

    def __init__(
        self, calls: Calls, subscriptions: Subscriptions, spawn: Callable[[Coroutine[Any, Any, None]], object]
    ) -> None:
        self.sync_url = ""
        self._calls = calls
        self._subscriptions = subscriptions
        self._spawn = spawn
        self._news = asyncio.Event()
        self._runs = False
        self._is_stopped = False

    def go_on(self) -> None:
        """Something has changed: look again what is to be said."""
        self._news.set()
        if not self._runs and not self._is_stopped:
            self._spawn(self._run())
            self._runs = True

    def stop(self) -> None:
        """Say nothing any more."""
        self._is_stopped = True
        self._news.set()

    async def _run(self) -> None:
        try:
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
        finally:
            # If it should end before its time, the next news begin it anew.
            self._runs = False

    async def _say(self, batch: Batch) -> None:
        request = ClientRequest(
            method="POST", url=f"{self.sync_url}/v4/Subscriptions", body=batch.body, content_type=JSON
        )
        try:
            reply = await self._calls.send(request)
        except ClientShutDownError:
            self._is_stopped = True
            return
        except ConversationsError as error:
            log.info("sync.not_subscribed: %s", reason(error), extra={"why": reason(error)})
            self._subscriptions.not_accepted(batch.correlation_id, self._now())
            return
        if not 200 <= reply.status < 300:
            log.info("sync.not_subscribed: %s", reply.status, extra={"why": f"status {reply.status}"})
            self._subscriptions.not_accepted(batch.correlation_id, self._now(), reply.status)
        elif batch.action == "establish":
            self._subscriptions.accepted(batch.correlation_id, _terms(reply.body), self._now())

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


def _terms(body: bytes) -> Accepted:
    try:
        return _accepted(body or b"{}")
    except ValueError:
        return Accepted()  # taken it is
