"""What a client keeps between two runs, as a seam: ``SqliteStore`` has a file for it, an application may bring its own.

A store holds, per server and identity: copies of the objects the client follows, some facts, and the messages that wait
in the outbox. The copies may be lost at any time, which costs requests; messages that wait may not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from .sync import SyncStore


class OutboxRow(msgspec.Struct, frozen=True):
    """A message that waits. Printed, it does not show what it says."""

    id: str
    place: int
    """The order: smaller ones were written earlier."""
    content: bytes
    """As the outbox writes it; the store does not look inside."""

    def __repr__(self) -> str:
        return f"<OutboxRow {self.id}, {len(self.content)} bytes>"


class OutboxStore(Protocol):
    """The messages that wait. Whatever a call has done is on the disk when it returns, also if the power fails.

    Every method raises ``StoreError`` when that cannot be done.
    """

    def rows(self) -> list[OutboxRow]:
        """All of them, in order; read at once."""
        ...

    async def add(self, row: OutboxRow, files: Sequence[bytes] = ()) -> None:
        """Keep a new one, with the files it brings."""
        ...

    async def change(self, row: OutboxRow) -> None:
        """Keep it as it is now; its files stay as they are."""
        ...

    async def remove(self, id: str, fact: tuple[str, bytes] | None = None) -> None:
        """Keep it, and its files, no longer, and remember a fact in the same breath: both or neither."""
        ...

    async def file(self, id: str, number: int) -> bytes:
        """A file it brought, counted from 0."""
        ...

    def recall(self, name: str) -> bytes | None:
        """The fact that was remembered under this name."""
        ...


class Store(SyncStore, OutboxStore, Protocol):
    """What is kept of one user of one server at a time: the one it was opened for.

    What is told in one go (without an await in between) is kept together or not at all, and in the order in which it
    was told. It reaches the disk soon, not at once. While the store is not open nothing is found, and nothing is kept.
    """

    async def open(self, server_url: str, identity: str | None = None, *, owner: object = None) -> str | None:
        """What follows is about this user; without an identity, about the one who was here last. Returns whose it is.

        None means that nobody was. Who has it open may open it again, for another user. Raises ``StoreInUseError``
        while somebody else has it open (another ``owner``, as which a client names itself), ``StoreError`` when it
        cannot be had.
        """
        ...

    def remember(self, name: str, value: bytes) -> None:
        """Keep a fact, for ``recall``, in place of the one of before."""
        ...

    async def erase(self) -> None:
        """Nothing is kept of the user who is open, and nothing further will be: what follows a logout."""
        ...

    async def close(self, *, owner: object = None) -> None:
        """Everything told is on the disk, and somebody else may open it. May be called again.

        With an ``owner`` nothing happens while it is another who has it open.
        """
        ...
