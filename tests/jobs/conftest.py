"""A world whose new messages are told."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tertulia.server.settings import PushSettings
from tests.engine.telling import Telling
from tests.engine.world import World, new_world


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with new_world() as world:
        yield world


@pytest.fixture
async def telling(world: World) -> Telling:
    """New messages are told."""
    telling = Telling(world, PushSettings(give_up_after_s=4 * 3600))
    await telling.configure(new_message_enabled=True)
    return telling
