"""A client on connections that end in order, or are slow: all of it arrives, once."""

from __future__ import annotations

import asyncio

from tertulia.client import Conversation

from .stage import PATIENCE_S, Stage, until


def bodies(room: Conversation) -> list[str]:
    return [message.body or "" for _, message in sorted(room.loaded_messages.items())]


async def test_a_connection_that_ends_without_a_word_is_replaced(stage: Stage) -> None:
    ana, ben = await stage.in_room("ana", "ben")
    for body in ("one", "two"):
        before = stage.proxy.accepted
        stage.proxy.cut()
        async with asyncio.timeout(PATIENCE_S):
            await ana.send(body)
        await until(lambda: bodies(ben)[-1:] == [body])  # noqa: B023 (asked before the next one is sent)
        assert stage.proxy.accepted > before
    assert bodies(ben) == ["one", "two"]


async def test_everything_works_over_a_long_way(stage: Stage) -> None:
    stage.proxy.delay(0.02)
    ana, ben = await stage.in_room("ana", "ben")
    await asyncio.gather(*(ana.send(f"{number}") for number in range(10)))
    await until(lambda: len(bodies(ben)) == 10)
    assert sorted(bodies(ben)) == [f"{number}" for number in range(10)]
    assert stage.proxy.accepted == 2


async def test_of_a_reset_only_the_connection_knows(stage: Stage) -> None:
    (ana,) = await stage.in_room("ana")
    stage.proxy.reset()
    async with asyncio.timeout(PATIENCE_S):
        assert (await ana.send("after it")).body == "after it"
    assert stage.proxy.open_connections == 1
