"""The official SDK in a process beside the test: told what to do, asked what it heard."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.cli.command import Credentials, environment

PROGRAM = Path(__file__).parent / "companion.mjs"
PATIENCE_S = 20.0


class Companion:
    """A client of the official SDK. ``heard`` has every event it told, in order."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._news = asyncio.Event()
        self.heard: list[dict[str, Any]] = []

    async def listen(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            told = json.loads(line)
            if told["what"] in ("done", "failed", "ready"):
                self._answers.put_nowait(told)
            else:
                self.heard.append(told)
            self._news.set()

    async def ready(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            told = await self._answers.get()
        assert told["what"] == "ready", told

    async def do(self, deed: str, *args: Any) -> Any:
        """What became of it. Deeds are done one after the other."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"deed": deed, "args": args}).encode() + b"\n")
        async with asyncio.timeout(PATIENCE_S):
            told = await self._answers.get()
        assert told["what"] == "done" and told["deed"] == deed, told
        return told["answer"]

    async def hears(self, what: str, **fields: Any) -> dict[str, Any]:
        """The first event of this name with these members."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                for told in self.heard:
                    if told["what"] == what and all(told.get(name) == value for name, value in fields.items()):
                        return told
                self._news.clear()
                await self._news.wait()


@asynccontextmanager
async def companion(node: str, sdk: str, known: Credentials, token: str) -> AsyncIterator[Companion]:
    """A running companion."""
    process = await asyncio.create_subprocess_exec(
        node,
        str(PROGRAM),
        env=environment(SDK=sdk, TOKEN=token, WS_URL=known.ws_url),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    other = Companion(process)
    listening = asyncio.create_task(other.listen())
    try:
        await other.ready()
        yield other
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 10)
        except TimeoutError:
            process.kill()
            await process.wait()
        await listening
