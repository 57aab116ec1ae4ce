"""The bus of a single node: a table of topics."""

from __future__ import annotations

from collections.abc import Sequence

from .base import Publication, Receive


class InProcessBus:
    """Delivers at once, in order, without loss."""

    reliable = True

    def __init__(self) -> None:
        self._receivers: dict[str, tuple[Receive, ...]] = {}

    async def open(self) -> None:
        """Nothing to connect to."""

    async def close(self) -> None:
        self._receivers.clear()

    def subscribe(self, topic: str, receive: Receive) -> None:
        present = self._receivers.get(topic, ())
        if receive not in present:
            self._receivers[topic] = (*present, receive)

    def unsubscribe(self, topic: str, receive: Receive) -> None:
        rest = tuple(other for other in self._receivers.get(topic, ()) if other != receive)
        if rest:
            self._receivers[topic] = rest
        else:
            self._receivers.pop(topic, None)

    async def publish(self, publications: Sequence[Publication]) -> None:
        for publication in publications:
            for receive in self._receivers.get(publication.topic, ()):
                receive(publication)
