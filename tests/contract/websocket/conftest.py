"""Tells each story on both event loops."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import uvloop

from tests.contract.websocket.serving import Run, Story


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Tells a story on one kind of event loop, in bounded time; nothing may have gone wrong in the loop itself."""

    def run_story(story: Story) -> None:
        async def bounded() -> None:
            troubles: list[dict[str, Any]] = []
            asyncio.get_running_loop().set_exception_handler(lambda _, context: troubles.append(context))
            await asyncio.wait_for(story(), 20)
            assert troubles == []

        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(bounded())

    return run_story
