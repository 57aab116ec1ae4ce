from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.engine.world import World, new_world

from .sdk import Face, Sdk


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with new_world() as world:
        yield world


@pytest.fixture
def face(world: World) -> Face:
    return Face(world)


@pytest.fixture
async def ana(face: Face) -> Sdk:
    return await face.sdk("ana")


@pytest.fixture
async def ben(face: Face) -> Sdk:
    return await face.sdk("ben")
