"""However commits, subscriptions and a bad bus interleave: each copy is what is there, in the end (architecture 6)."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tertulia.server.bus.base import EventPublished
from tertulia.server.domain.conversations import UpdateConversation
from tertulia.server.domain.errors import TertuliaError
from tertulia.server.domain.messages import DeleteMessage, UpdateMessage
from tertulia.server.domain.participants import RemoveParticipant, UpdateParticipant
from tertulia.server.domain.sync import ObjectKind, object_sid
from tertulia.server.domain.users import UpdateUser
from tests.engine.world import World, new_world

from .following import DELIVER, HOLD, LOSE, REPEAT, Node, Reader

MEMBERS = ("ana", "ben")
FATES = (DELIVER, DELIVER, LOSE, REPEAT, HOLD)

Step = tuple[str, int]

_steps = st.lists(
    st.tuples(
        st.sampled_from(
            [
                *("send", "send", "send", "edit", "remove", "rename", "join", "leave", "profile", "read"),
                *("open", "open", "subscribe", "subscribe", "cancel", "reconnect", "release", "wait", "settle"),
            ]
        ),
        st.integers(0, 11),
    ),
    min_size=4,
    max_size=40,
)


class Story:
    """One room, a few readers, and what happens to them."""

    def __init__(self, world: World, fates: list[int], delays: list[int]) -> None:
        self.node = Node(world)
        self.messages: list[str] = []
        chosen, self._delays = itertools.cycle(fates), itertools.cycle(delays)
        self._fate = lambda event: self._of(event, FATES[next(chosen)])
        self.node.database.delays = lambda: next(self._delays)
        self.subscribing: set[asyncio.Task[None]] = set()

    @staticmethod
    def _of(event: EventPublished, fate: str) -> str:
        # The end of an object is the one thing that no later number repairs.
        return DELIVER if event.ends_object else fate

    async def begin(self) -> None:
        world = self.node.world
        self.room = (await world.conversation(*MEMBERS)).sid
        self.users = [(await world.queries.user(world.service, identity)).sid for identity in MEMBERS]
        self.objects = [
            object_sid(kind, self.room) for kind in (ObjectKind.MESSAGES, ObjectKind.DOCUMENT, ObjectKind.ROSTER)
        ]
        self.objects += [object_sid(ObjectKind.USER_INFO, sid) for sid in self.users]
        self.objects.append(object_sid(ObjectKind.CONVERSATIONS, self.users[0]))
        self.readers: list[Reader] = [self.node.reader("ana") for _ in range(3)]
        self.node.bus.fate = self._fate

    async def perform(self, step: Step) -> None:
        what, detail = step
        world = self.node.world
        here: dict[str, Any] = {"service": world.service, "conversation": self.room}
        reader, sid = self.readers[detail % 3], self.objects[detail % len(self.objects)]
        try:
            if what == "send":
                self.messages.append((await world.send(self.room, f"text {detail}")).sid)
            elif what in ("edit", "remove") and self.messages:
                message = self.messages[detail % len(self.messages)]
                if what == "edit":
                    wish = UpdateMessage(**here, message=message, body=f"edited {detail}")
                    await world.engine.execute(world.account, wish)
                else:
                    await world.engine.execute(world.account, DeleteMessage(**here, message=message))
            elif what == "rename":
                await world.engine.execute(world.account, UpdateConversation(**here, friendly_name=f"name {detail}"))
            elif what == "join":
                await world.add(self.room, f"guest-{detail % 3}")
            elif what == "leave":
                wish_leave = RemoveParticipant(**here, participant=f"guest-{detail % 3}")
                await world.engine.execute(world.account, wish_leave)
            elif what == "profile":
                user = MEMBERS[detail % 2]
                await world.engine.execute(
                    world.account, UpdateUser(service=world.service, user=user, friendly_name=f"name {detail}")
                )
            elif what == "read":
                wish_read = UpdateParticipant(**here, participant="ana", attributes=f'{{"n":{detail}}}')
                await world.engine.execute(world.account, wish_read)
            elif what == "open":
                self.begin_to(reader, [each for each in self.objects[detail % 5 :] if each not in reader.mirrors])
            elif what == "subscribe":
                self.begin_to(reader, [sid])
            elif what == "cancel":
                self.cancel(reader, sid)
            elif what == "reconnect":
                self.reconnect(detail % 3)
            elif what == "release":
                await self.node.bus.release()
            elif what == "wait":
                for _ in range(detail):
                    await asyncio.sleep(0)
            elif what == "settle":
                await self.settle()
        except TertuliaError as refusal:
            if refusal.status >= 500:
                raise

    def begin_to(self, reader: Reader, sids: list[str]) -> None:
        """As a connection does it: one batch at a time."""
        if sids and not any(getattr(task, "reader", None) is reader for task in self.subscribing):
            task = asyncio.create_task(reader.subscribe(*sids))
            task.reader = reader  # type: ignore[attr-defined]
            self.subscribing.add(task)
            task.add_done_callback(self.subscribing.discard)

    def cancel(self, reader: Reader, sid: str) -> None:
        if not any(getattr(task, "reader", None) is reader for task in self.subscribing):
            reader.cancel(sid)

    def reconnect(self, index: int) -> None:
        """He is cut off, comes back with what he has, and goes on from there."""
        old = self.readers[index]
        old.leave()
        new = self.readers[index] = self.node.reader(old.identity)
        new.mirrors = {sid: mirror.copy() for sid, mirror in old.mirrors.items()}
        self.begin_to(new, list(new.mirrors))

    async def settle(self) -> None:
        self.node.database.hurry()
        while self.subscribing:
            await asyncio.gather(*self.subscribing)
        await self.node.settle()
        self.node.database.delays = lambda: next(self._delays)

    async def end(self) -> None:
        """One last publication of each object, which is delivered; then all agree."""
        await self.settle()
        self.node.database.hurry()
        self.node.bus.fate = lambda event: DELIVER
        for step in (("send", 1), ("profile", 0), ("profile", 1), ("read", 3)):
            await self.perform(step)
        world = self.node.world
        await world.engine.execute(
            world.account, UpdateUser(service=world.service, user="ana", friendly_name="the last")
        )
        await world.engine.execute(
            world.account, UpdateUser(service=world.service, user="ben", friendly_name="the last")
        )
        await world.conversation("ana")
        await world.engine.execute(
            world.account,
            UpdateConversation(service=world.service, conversation=self.room, friendly_name="the last"),
        )
        await world.engine.execute(
            world.account,
            UpdateParticipant(
                service=world.service, conversation=self.room, participant="ana", attributes='{"the":"last"}'
            ),
        )
        await self.settle()
        await self.node.bus.release()
        await self.settle()
        for reader in self.readers:
            assert reader.established == reader.followed
            for sid in reader.established:
                assert reader.mirrors[sid] == await self.node.present(sid)
        for reader in self.readers:
            reader.leave()
        await self.settle()
        assert self.node.is_empty


class Stage:
    """One database for all stories of this module; each plays in a service of its own."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self._stack = AsyncExitStack()
        self._world = self._runner.run(self._stack.enter_async_context(new_world()))

    def play(self, steps: list[Step], fates: list[int], delays: list[int]) -> None:
        self._runner.run(self._play(steps, fates, delays))

    async def _play(self, steps: list[Step], fates: list[int], delays: list[int]) -> None:
        story = Story(await self._world.in_new_service(), fates, delays)
        try:
            await story.begin()
            for step in steps:
                await story.perform(step)
                story.node.database.step()
            await story.end()
        finally:
            await story.node.close()

    def close(self) -> None:
        self._runner.run(self._stack.aclose())
        self._runner.close()


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    stage = Stage()
    yield stage
    stage.close()


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    steps=_steps,
    fates=st.lists(st.integers(0, 4), min_size=1, max_size=12),
    delays=st.lists(st.integers(0, 4), min_size=1, max_size=7),
)
def test_copies_agree_with_the_database_whatever_the_bus_does(
    stage: Stage, steps: list[Step], fates: list[int], delays: list[int]
) -> None:
    stage.play(steps, fates, delays)
