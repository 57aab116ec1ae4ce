"""Whatever happens on the way, a message that was taken appears exactly once, and in its place.

A request is lost, its answer is lost, the process dies before or after anything is written, the server refuses or is
busy, and minutes pass; the device's clock is wrong by anything, and is set to anything at any moment.
"""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from tertulia.client.draft import MessageDraft
from tertulia.client.outbox import PendingState

from .outbox_world import Fate, Process, World


async def live(world: World, to_write: list[tuple[str, str]]) -> None:
    """One process: it takes up what is there, writes what is to be written, and runs until all is sent or it dies."""
    process = Process(world)
    outbox = process.outbox
    outbox.restore()
    outbox.connected()

    async def write_and_wait() -> None:
        while to_write:
            sid, body = to_write.pop(0)
            await outbox.put(sid, MessageDraft(body=body))
        while len(outbox):
            waiting = outbox.pending()
            if all(message.state is PendingState.FAILED for message in waiting):
                for message in waiting:
                    await message.retry()
            await asyncio.sleep(0.0002)

    work = asyncio.ensure_future(write_and_wait())
    death = asyncio.ensure_future(process.died.wait())
    await asyncio.wait({work, death}, return_when=asyncio.FIRST_COMPLETED)
    work.cancel()
    death.cancel()
    await asyncio.gather(work, death, return_exceptions=True)
    await process.end()
    if work.done() and not work.cancelled():
        work.result()


SECOND, MINUTE, HOUR, YEAR = 1.0, 60.0, 3600.0, 365 * 86_400.0
OFF_S = [way * far for far in (SECOND, 90.0, 5 * MINUTE, 12 * MINUTE, HOUR, YEAR) for way in (1, -1)]


@settings(max_examples=400, deadline=None)
@given(
    fates=st.lists(st.sampled_from(Fate), max_size=14),
    deaths=st.lists(st.integers(1, 40), max_size=4, unique=True),
    bodies=st.lists(st.tuples(st.sampled_from(["CHa", "CHb"]), st.sampled_from(["ok", "hm"])), min_size=1, max_size=6),
    are_unlike=st.booleans(),
    ahead_s=st.sampled_from([0.0, *OFF_S]),
    lag=st.none() | st.integers(0, 2),
    clock_settings=st.dictionaries(st.integers(1, 60), st.sampled_from([0.0, *OFF_S]), max_size=5),
    sleeps=st.booleans(),
)
def test_every_message_that_was_taken_arrives_once_and_in_order(
    fates: list[Fate],
    deaths: list[int],
    bodies: list[tuple[str, str]],
    are_unlike: bool,
    ahead_s: float,
    lag: int | None,
    clock_settings: dict[int, float],
    sleeps: bool,
) -> None:
    to_write = [
        (sid, f"{sid} {body} {number}" if are_unlike else f"{sid} {body}") for number, (sid, body) in enumerate(bodies)
    ]
    world = World(fates, deaths, ahead_s, lag, settings=clock_settings, sleeps=sleeps)

    async def lives() -> None:
        for _ in range(len(fates) + len(deaths) + 1):
            await asyncio.wait_for(live(world, to_write), 5)
            if not to_write and not world.disk:
                return
        raise AssertionError("it never ended")

    asyncio.run(lives())
    for sid in ("CHa", "CHb"):
        there = [str(message.body) for message in world.conversations.get(sid, [])]
        taken = [body for body in world.accepted if body.startswith(sid)]
        assert sorted(there) == sorted(taken)
        # Who was refused has lost his place.
        assert [body for body in there if body not in world.refused] == [
            body for body in taken if body not in world.refused
        ]
