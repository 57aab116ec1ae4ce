"""`@twilio/conversations`, untouched, among people without an SDK: the stories play with both versions and end well."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from .worlds.four_channels import four_channels
from .worlds.phones import simulated_phones, telnyx_phones
from .worlds.playing import SDKS, played

pytestmark = pytest.mark.node


@pytest.mark.parametrize(
    ("version", "has_mailbox"), [("3.0.1", False), ("2.6.5", True)], ids=["3.0.1-listener", "2.6.5-mailbox"]
)
async def test_four_people_on_four_channels_talk(node: str, version: str, has_mailbox: bool) -> None:
    async with four_channels(has_mailbox=has_mailbox) as world:
        await played(node, "four_people_on_four_channels_talk", version, world.server, world)


@pytest.mark.parametrize("version", SDKS)
@pytest.mark.parametrize("network", [simulated_phones, telnyx_phones], ids=["simulator", "telnyx"])
@pytest.mark.parametrize("story", ["two_phones_talk_by_a_number_of_ours", "a_group_of_phones_and_users_is_one_thread"])
async def test_people_with_phones(node: str, version: str, network: Callable[[], Any], story: str) -> None:
    async with network() as world:
        await played(node, story, version, world.server, world)
