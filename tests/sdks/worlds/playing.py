"""A story of the official SDK in Node, and a world that does what the story asks for, by lines of JSON."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any, Final

from tertulia.testing import LocalServer
from tests.cli.command import environment

STORIES: Final = Path(__file__).parents[1] / "stories/channels"
SDKS: Final = {"3.0.1": "@twilio/conversations", "2.6.5": "conversations-2"}
TOLD_WITHIN_S: Final = 120.0
LINE_BYTES: Final = 16 << 20


async def played(node: str, story: str, version: str, server: LocalServer, world: object) -> None:
    """Plays a story to its good end. What it asks for are coroutines of ``world``, whose answers are JSON."""
    known = {name.lower(): value for name, value in server.environment().items()}
    process = await asyncio.create_subprocess_exec(
        node,
        str(STORIES / f"{story}.mjs"),
        env=environment(SDK=SDKS[version], SERVER=json.dumps(known)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=LINE_BYTES,
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(TOLD_WITHIN_S), asyncio.TaskGroup() as both:
            told = both.create_task(_answer(process, world))
            complaints = both.create_task(process.stderr.read())
            code = await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert code == 0, f"{told.result()}\n{complaints.result().decode()}"


async def _answer(process: asyncio.subprocess.Process, world: object) -> str:
    """Until the story is over; what it printed beside its questions."""
    assert process.stdin is not None
    assert process.stdout is not None
    printed = ""
    while line := await process.stdout.readline():
        if not line.startswith(b'{"number":'):
            printed += line.decode()
            continue
        asked = json.loads(line)
        try:
            answer: dict[str, Any] = {"answer": await getattr(world, asked["call"])(**asked["values"])}
        except Exception as trouble:  # the story fails by it, and shows where it was
            answer = {"trouble": f"{asked['call']}: {trouble!r}"}
        process.stdin.write(json.dumps({"number": asked["number"], **answer}).encode() + b"\n")
    return printed
