"""The server's way in for providers, over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.contract.channels.heard import installed
from tests.engine.inbound import Inbound, inbound_of
from tests.engine.world import World, new_world


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with new_world() as world:
        yield world


@pytest.fixture
async def inbound(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Inbound]:
    """The world, with a gateway whose provider may call."""
    with installed(tmp_path / "installed", monkeypatch):
        async with inbound_of(world, tmp_path / "blobs") as inbound:
            yield inbound
