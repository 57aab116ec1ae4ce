"""HTTP under uvicorn, as we want it: one write per answer, nothing lost at an upgrade, signals left to us.

What is used of uvicorn beyond its settings is here and in ``realtime.socket``; none of it is a promise of uvicorn's,
so its minor version is pinned and tests cover the contract.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import Iterator
from typing import Any, cast

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class JoinedWrites:
    """A transport whose writes of one tick leave together.

    uvicorn writes the head of an answer and its body apart: two system calls, of which the first wakes the reader for
    nothing. It was a fifth of the time of a page of history.
    """

    __slots__ = ("_inner", "_waiting")

    def __init__(self, inner: asyncio.Transport) -> None:
        self._inner = inner
        self._waiting: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    @property
    def inner(self) -> asyncio.Transport:
        """The transport itself, with nothing left waiting here."""
        self._flush()
        return self._inner

    def write(self, data: bytes) -> None:
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._flush)
        self._waiting.append(data)

    def close(self) -> None:
        self.inner.close()

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        if waiting and not self._inner.is_closing():
            self._inner.write(waiting[0] if len(waiting) == 1 else b"".join(waiting))


class Http(HttpToolsProtocol):
    """For uvicorn's ``http=``: joins writes, and keeps frames that came in the segment of the upgrade request.

    No client may send them that early (RFC 6455, 4.1), and uvicorn drops them without a word, which would leave the
    rest of the stream without its beginning.
    """

    _segment = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(cast(asyncio.Transport, JoinedWrites(transport)))

    def data_received(self, data: bytes) -> None:
        self._segment = data
        super().data_received(data)
        self._segment = b""

    def handle_websocket_upgrade(self) -> None:
        upgrade = sys.exception()
        self.transport = cast(JoinedWrites, self.transport).inner
        super().handle_websocket_upgrade()
        if isinstance(upgrade, httptools.HttpParserUpgrade) and (early := self._segment[upgrade.args[0] :]):
            cast(asyncio.Protocol, self.transport.get_protocol()).data_received(early)
        # The parser and this object hold each other; nobody needs them any more.
        self.parser = None  # type: ignore[assignment]


class Gateway(uvicorn.Server):
    """uvicorn, with signals left to us: it would stop before clients were asked to come back."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listens = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listens.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
