"""One server for all tests here: nothing that is refused changes anything, and what is done is done to things apart."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.engine.world import new_world

from .stage import Stage, make_server


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def stage() -> AsyncIterator[Stage]:
    async with new_world() as world:
        stage = Stage(world, make_server(world))
        async with stage.http:
            await stage.set()
            await stage.connect("guest")
            try:
                yield stage
            finally:
                await stage.server.switchboard.stop()
