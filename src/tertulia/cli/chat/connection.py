"""How the client is connected, in a word or two."""

from __future__ import annotations

import math

from tertulia.cli.plain import plain
from tertulia.client import ConnectionState
from tertulia.client.events import ConnectionErrorOccurred, ConnectionStateChanged, Event


class Connectivity:
    """Hears the client's events and says where it stands."""

    def __init__(self) -> None:
        self.state = ConnectionState.UNKNOWN
        self._was_connected = False
        self._problem: ConnectionErrorOccurred | None = None

    @property
    def is_connected(self) -> bool:
        return self.state is ConnectionState.CONNECTED

    @property
    def is_denied(self) -> bool:
        return self.state in (ConnectionState.DENIED, ConnectionState.DISCONNECTED)

    def hear(self, event: Event) -> None:
        if isinstance(event, ConnectionStateChanged):
            self.state = event.state
            if self.is_connected:
                self._was_connected, self._problem = True, None
        elif isinstance(event, ConnectionErrorOccurred):
            self._problem = event

    def words(self, retry_in_s: float | None) -> str:
        """``retry_in_s`` is how long it is to the next attempt, if none is under way."""
        match self.state:
            case ConnectionState.CONNECTED:
                return "● connected"
            case ConnectionState.DENIED:
                return f"✗ denied{self._reason()}"
            case ConnectionState.DISCONNECTED | ConnectionState.DISCONNECTING:
                return f"✗ disconnected{self._reason()}"
            case _:
                again = self._was_connected or self._problem is not None
                word = "○ reconnecting" if again else "○ connecting"
                return word if not again or not retry_in_s else f"{word} in {math.ceil(retry_in_s)} s"

    def _reason(self) -> str:
        problem = self._problem
        if problem is None:
            return ""
        code = f" ({problem.code})" if problem.code is not None else ""
        return f": {plain(problem.message)}{code}"
