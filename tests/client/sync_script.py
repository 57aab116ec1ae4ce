"""A server of Sync objects that does what the real one never does."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import msgspec

from tertulia.client.sync.copies import Kind
from tertulia.wire import frames, requests
from tertulia.wire.frames import Frame
from tertulia.wire.requests import Reply
from tertulia.wire.sync import REPLAY_EVENT

from .scripted import Scripted

KINDS = {"Documents": Kind.DOCUMENT, "Maps": Kind.MAP, "Lists": Kind.LIST}


class SyncScript(Scripted):
    """Objects come to be when they are asked for, under a SID that is their name; all of them can be followed."""

    def __init__(self) -> None:
        super().__init__()
        self.lasts: dict[str, int] = {}
        self.contents: dict[str, Any] = {}
        """Of documents: the content; of maps and lists: the items, by key, as number and data."""
        self.batches: list[dict[str, Any]] = []
        self.refusals_of_batches: list[int] = []
        """Statuses with which the next batches are refused."""
        self.whims: dict[str, list[dict[str, Any]]] = {}
        """What becomes of the next subscriptions to an object, instead of what should."""
        self.terms: dict[str, Any] = {"estimated_delivery_in_ms": 10_000, "max_batch_size": 1000}
        self.gets: list[str] = []
        self.rounds: Iterator[str] | None = None
        """Where one page leads after the other, for ever."""
        self._tasks: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        await asyncio.gather(*self._tasks)
        await super().close()

    def _answer(self, frame: Frame) -> bytes | None:
        wrapped = frame.header.http_request
        if frame.header.method != "message" or wrapped is None:
            return super()._answer(frame)
        parts = [unquote(part) for part in wrapped.path.split("/")]
        if parts[-1] == "Subscriptions":
            return self._batch(frame)
        self.gets.append(wrapped.path)
        params = {name: unquote(str(value)) for name, value in (wrapped.params or {}).items()}
        answer = self._items(parts[-2], params) if parts[-1] == "Items" else self._root(KINDS[parts[-2]], parts[-1])
        return requests.tunnelled(frame.header.id, Reply(200, msgspec.json.encode(answer)))

    def _root(self, kind: Kind, name: str) -> dict[str, Any]:
        root: dict[str, Any] = {"sid": name, "last_event_id": self.lasts.setdefault(name, 0), "date_updated": "then"}
        if kind is Kind.DOCUMENT:
            return {**root, "data": self.contents.get(name, {})}
        key = "key" if kind is Kind.MAP else "index"
        return {**root, "links": {"items": f"http://any/{key}/{name}/Items"}}

    def _items(self, name: str, params: dict[str, str]) -> dict[str, Any]:
        items = self.contents.get(name, {})
        start = params.get("From")
        found = [
            {"index" if isinstance(key, int) else "key": key, "last_event_id": number, "data": data}
            for key, (number, data) in sorted(items.items())
            if start is None or key >= type(key)(start)
        ]
        return {"items": found, "meta": {} if self.rounds is None else {"next_token": next(self.rounds)}}

    def _batch(self, frame: Frame) -> bytes:
        if self.refusals_of_batches:
            return requests.tunnelled(frame.header.id, Reply(self.refusals_of_batches.pop(0), b"{}"))
        batch = msgspec.json.decode(frame.payload)
        self.batches.append(batch)
        told: dict[str, list[dict[str, Any]]] = {}
        for request in batch["requests"]:
            what, event = self._fate(batch["action"], request)
            told.setdefault(what, []).append(event)
        answer = requests.tunnelled(frame.header.id, Reply(202, msgspec.json.encode(self.terms)))
        for what, events in told.items():
            if what:
                self.later(
                    {"event_type": f"subscription_{what}", "correlation_id": batch["correlation_id"], "events": events}
                )
        return answer

    def _fate(self, action: str, request: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        sid = request["object_sid"]
        event = {"object_sid": sid, "object_type": request["object_type"]}
        if action == "cancel":
            return "canceled", event
        whims = self.whims.get(sid)
        if whims:
            whim = whims.pop(0)
            for body in whim.pop("before", ()):
                self.later(body)
            return whim.pop("what"), {**event, **whim}
        return "established", {**event, "replay_status": "completed", "last_event_id": self.lasts[sid]}

    def later(self, body: dict[str, Any], message_type: str = REPLAY_EVENT) -> None:
        """A notification, behind the answer that is being given."""
        payload = msgspec.json.encode({"event_protocol_version": 4, **body})
        task = asyncio.get_running_loop().create_task(self.say(frames.notification("TM1", message_type, payload)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
