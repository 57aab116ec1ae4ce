"""A scripted server that a whole client can start against, and that says what the real one never does."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import msgspec

from tertulia.client.configuration import Configuration
from tertulia.wire import requests
from tertulia.wire.frames import Frame
from tertulia.wire.requests import Reply

from .sync_script import SyncScript

SID = "CH" + "1" * 32


class WholeScript(SyncScript):
    """Has one user, and one conversation that he is in."""

    def __init__(self) -> None:
        super().__init__()
        self.configuration: Configuration
        self.reports: list[int | None] = []
        """The read horizons that came."""
        self.contents.update(
            {
                "a": {SID: (1, {"channel": f"{SID}.channel", "status": "joined"})},
                "b": {"friendlyName": (1, {"value": "Ana"}), "attributes": (2, {"value": "{}"})},
                f"{SID}.channel": {"sid": SID, "messages": f"{SID}.messages", "roster": f"{SID}.roster"},
                f"{SID}.messages": {},
                f"{SID}.roster": {},
            }
        )

    def _answer(self, frame: Frame) -> bytes | None:
        wrapped = frame.header.http_request
        if frame.header.method == "message" and wrapped is not None:
            parts = [unquote(part) for part in wrapped.path.split("/")]
            if parts[-1] == "Configuration":
                return self._says(frame, msgspec.to_builtins(self.configuration))
            if parts[-2] == "mine":
                self.reports.append(msgspec.json.decode(frame.payload)["last_read_message_index"])
                return self._says(frame, {"unread_messages_count": 0})
        return super()._answer(frame)

    def _root(self, kind: Any, name: str) -> dict[str, Any]:
        return {**super()._root(kind, name), **({} if name != "b" else self._items(name, {}))}

    def _says(self, frame: Frame, body: object) -> bytes:
        return requests.tunnelled(frame.header.id, Reply(200, msgspec.json.encode(body)))
