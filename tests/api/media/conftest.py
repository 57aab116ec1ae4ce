"""The whole server on a free port, with its files in a folder of the test's own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from tertulia.server.blobs.folder import FolderBlobs
from tertulia.server.settings import JobsSettings, MediaSettings, Settings
from tests.api.realtime.conftest import running
from tests.engine.world import World, new_world

from .desk import Desk, Start


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with new_world() as world:
        yield world


@pytest.fixture
async def start(world: World, tmp_path: Path) -> AsyncIterator[Start]:
    """Starts a server with settings of the test's own; those of ``media`` by their names."""
    async with AsyncExitStack() as stack:

        async def start(settings: Settings | None = None, **media: Any) -> Desk:
            blobs = FolderBlobs(tmp_path / "blobs")
            await blobs.open()
            stack.push_async_callback(blobs.close)
            settings = settings or Settings(jobs=JobsSettings(poll_s=60), media=MediaSettings(**media))
            here = await stack.enter_async_context(running(world, settings, blobs))
            http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{here.port}", trust_env=False, timeout=30)
            await stack.enter_async_context(http)
            return Desk(here, http, blobs, tmp_path / "blobs")

        yield start


@pytest.fixture
async def desk(start: Start) -> Desk:
    return cast(Desk, await start())
