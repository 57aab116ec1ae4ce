"""A stage for each test: the real server, a proxy, and clients."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.engine.world import World, new_world

from .connecting import Lines
from .scripted import Scripted
from .stage import Stage


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with new_world() as world:
        yield world


@pytest.fixture
async def stage(world: World, tmp_path: Path) -> AsyncIterator[Stage]:
    stage = Stage(world, tmp_path / "blobs")
    await stage.open()
    try:
        yield stage
    finally:
        await stage.close()


@pytest.fixture
async def server() -> AsyncIterator[Scripted]:
    server = Scripted()
    await server.open()
    yield server
    await server.close()


@pytest.fixture
async def lines() -> AsyncIterator[Lines]:
    lines = Lines()
    yield lines
    await lines.close()
