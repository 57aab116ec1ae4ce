"""Messages that may come twice: an SMSC gives them no names, and brings again what it has not seen answered.

What is known is the order of things on a connection. An answer of the SMSC to a question of ours that was asked after
its message was answered proves that it has seen that. Without the proof the message is doubtful when the connection
ends: the next one that is the same, byte for byte, gets its name, and is then known already.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from typing import Final

DOUBTFUL_US: Final = 10 * 60 * 1_000_000
MOST: Final = 10_000
"""Messages that are remembered, on a connection and after it; the oldest are forgotten first."""


class Unproven:
    """Messages of one connection whose answers may not have been seen yet."""

    def __init__(self) -> None:
        self._answered: deque[tuple[int, str, str]] = deque(maxlen=MOST)

    def answered(self, sequence: int, digest: str, name: str) -> None:
        """The message is answered; the last question of ours before that has this number."""
        self._answered.append((sequence, digest, name))

    def proven(self, sequence: int) -> None:
        """The question of this number has an answer."""
        while self._answered and self._answered[0][0] < sequence:
            self._answered.popleft()

    def left(self) -> list[tuple[str, str]]:
        """Digests and names of those without a proof."""
        return [(digest, name) for _, digest, name in self._answered]


class Doubts:
    """Messages of connections that have ended, by digest."""

    def __init__(self, now: Callable[[], int], new_name: Callable[[], str]) -> None:
        self._now = now
        self._new_name = new_name
        self._names: OrderedDict[tuple[str, str], int] = OrderedDict()
        """Digest and name, and until when it is doubtful."""
        self._by_digest: dict[str, deque[str]] = {}

    def add(self, doubtful: Iterable[tuple[str, str]]) -> None:
        """Digests and names of messages that may come again."""
        until = self._now() + DOUBTFUL_US
        for digest, name in doubtful:
            self._names[digest, name] = until
            self._by_digest.setdefault(digest, deque()).append(name)
        while len(self._names) > MOST:
            self._forget()

    def name_of(self, digest: str) -> str:
        """The name of a message that comes again; else a new one. Each doubtful one is recognised once."""
        now = self._now()
        while self._names and next(iter(self._names.values())) <= now:
            self._forget()
        names = self._by_digest.get(digest)
        if not names:
            return self._new_name()
        name = names.popleft()
        if not names:
            del self._by_digest[digest]
        del self._names[digest, name]
        return name

    def _forget(self) -> None:
        (digest, name), _ = self._names.popitem(last=False)
        names = self._by_digest[digest]
        names.remove(name)
        if not names:
            del self._by_digest[digest]
