"""Connections by themselves, without the client around them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from tertulia.client import ClientConfig
from tertulia.client.connection import ClientRequest, Connection
from tertulia.client.patience import Patience
from tertulia.client.tokens import TokenKeeper

from .scripted import Ear

QUICK = Patience(opening=2, greeting=0.1, silence=0.15, probe=0.1, closing=0.3, pulse=0.02, jump=5)
"""For peers that never answer."""


class Line:
    """A connection, the tokens it uses, and who listens to it."""

    def __init__(self, config: ClientConfig, patience: Patience | None = None) -> None:
        self.ear = Ear()
        self.tokens = TokenKeeper(config)
        self.connection = Connection(config, self.tokens.get, self.ear, patience=patience)

    async def close(self) -> None:
        await self.connection.close()
        await self.tokens.close()
        assert not self.ear.wrong

    async def ask(self, url: str = "http://any/Client/v2/Configuration", timeout: float = 10) -> int:
        """The status of an answer."""
        return (await self.connection.request(ClientRequest(method="GET", url=url), timeout)).status

    def asks(self, url: str = "http://any/Client/v2/Configuration", timeout: float = 10) -> asyncio.Task[int]:
        return asyncio.get_running_loop().create_task(self.ask(url, timeout))


class Lines:
    """Makes lines, and ends them."""

    def __init__(self) -> None:
        self._stack = AsyncExitStack()

    def line(self, config: ClientConfig, patience: Patience | None = None) -> Line:
        line = Line(config, patience)
        self._stack.push_async_callback(line.close)
        return line

    async def connect(self, config: ClientConfig, patience: Patience | None = None) -> Line:
        line = self.line(config, patience)
        async with asyncio.timeout(10):
            await line.connection.start()
        return line

    async def close(self) -> None:
        await self._stack.aclose()


@asynccontextmanager
async def nothing_left() -> AsyncIterator[None]:
    """Fails when a task of the client's is left that was not there before."""
    before = asyncio.all_tasks()
    yield
    left = [task for task in asyncio.all_tasks() - before if _is_of_client(task)]
    assert not left, left


def _is_of_client(task: asyncio.Task[Any]) -> bool:
    code = getattr(task.get_coro(), "cr_code", None)
    return code is not None and ("/tertulia/client/" in code.co_filename or "/asyncio/client.py" in code.co_filename)


def config_of(url: str, **options: Any) -> ClientConfig:
    """For a scripted server."""
    usual: dict[str, Any] = {"server_url": url, "token": "opaque", "reconnect_min": 0.02, "reconnect_max": 0.1}
    return ClientConfig(**{**usual, **options})
