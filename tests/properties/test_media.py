"""Whatever happens to files and to what holds them, every blob has a row, or its removal is promised; never both."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from tertulia.server.domain import callers
from tertulia.server.domain.conversations import DeleteConversation, RemoveConversationRemains
from tertulia.server.domain.errors import NotFound, TertuliaError
from tertulia.server.domain.media import DeleteMedia, ForgetOrphans, Media
from tertulia.server.domain.messages import DeleteMessage, Message
from tertulia.server.domain.retention import ForgetOldMessages
from tertulia.server.domain.services import DeleteService, RemoveServiceRemains
from tertulia.server.domain.users import DeleteUser
from tertulia.server.engine.unit import Policy
from tests.engine.uploads import rows_of_media, send, to_be_removed, upload
from tests.engine.world import BASE_URL, World, new_world

QUOTA = 20

Step = tuple[str, int, int]
"""What, on which of several, and a number for the details."""
DEEDS = (
    "upload",
    "upload",
    "upload",
    "quarantine",
    "send",
    "send",
    "send again",
    "delete media",
    "delete message",
    "delete conversation",
    "delete user",
    "delete service",
    "forget orphans",
    "forget old",
    "sweep a little",
    "sweep",
)
STORIES = st.lists(st.tuples(st.sampled_from(DEEDS), st.integers(0, 3), st.integers(0, 4)), min_size=15, max_size=50)


@contextmanager
def gone_is_fine() -> Iterator[None]:
    try:
        yield
    except NotFound:
        return


class Story:
    """Two services of one account, the second of which may be deleted."""

    def __init__(self, worlds: list[World], rooms: list[list[str]]) -> None:
        self.worlds = worlds
        self.rooms = rooms
        self.gone: list[str] = []
        """Conversations."""
        self.uploads: list[list[Media]] = [[], []]
        self.messages: list[tuple[int, Message]] = []
        self.blobs: set[str] = set()

    async def perform(self, what: str, which: int, detail: int) -> None:
        at = which % 2
        world, rooms, uploads = self.worlds[at], self.rooms[at], self.uploads[at]
        system, now = callers.system(world.account.account_sid), world.clock.now()
        if what in ("upload", "quarantine"):
            by = world.user("ana") if detail else None
            media = await upload(world, by, size=1 + detail, quarantined=what == "quarantine")
            assert media.blob is not None
            self.blobs.add(media.blob)
            uploads.append(media)
        elif what in ("send", "send again") and uploads:
            files = uploads[-1 - detail :] if what == "send" else uploads[:1]
            room = rooms[detail % 2]
            self.messages.append((at, await send(world, room, *files, by=world.user("ana") if which > 1 else None)))
            if what == "send":
                del uploads[-1 - detail :]
        elif what == "delete media" and uploads:
            await world.do(DeleteMedia, media=uploads.pop(detail % len(uploads)).sid)
        elif what == "delete message" and self.messages:
            place, message = self.messages[detail % len(self.messages)]
            where = {"conversation": message.conversation_sid, "message": message.sid}
            await self.worlds[place].do(DeleteMessage, **where)
        elif what == "delete conversation":
            self.gone.append(rooms[detail % 2])
            await world.do(DeleteConversation, conversation=rooms[detail % 2])
        elif what == "delete user":
            await world.do(DeleteUser, user="ana")
        elif what == "delete service":
            await self.worlds[1].do(DeleteService)
        elif what == "forget orphans":
            world.clock.advance(timedelta(minutes=detail))
            wish = ForgetOrphans(before=now, quarantined_before=now - detail, most=1 + detail)
            await world.engine.execute(system, wish)
        elif what == "forget old":
            await world.engine.execute(system, ForgetOldMessages(conversation=rooms[0], before=now, most=1 + detail))
        elif what == "sweep a little":
            wishes = [RemoveConversationRemains(conversation=sid, most=1 + detail, goes_on=False) for sid in self.gone]
            for one in wishes:
                await world.engine.execute(system, one)
            of_service = RemoveServiceRemains(service_sid=self.worlds[1].service, most=1 + detail, goes_on=False)
            await world.engine.execute(system, of_service)
        elif what == "sweep":
            await world.run_due()

    async def must_hold(self) -> None:
        """Nothing leaks, and nothing that is needed goes."""
        world = self.worlds[0]
        async with world.database.snapshot() as connection:
            kept = [blob for (blob,) in await connection.rows("SELECT blob FROM media WHERE blob IS NOT NULL")]
            messages = {sid for (sid,) in await connection.rows("SELECT sid FROM messages")}
            rooms = {
                sid
                for (sid,) in await connection.rows(
                    "SELECT sid FROM conversations WHERE service_sid IN (SELECT sid FROM services)"
                )
            }
            of_messages = await connection.rows(
                "SELECT message_sid, conversation_sid FROM media WHERE message_sid IS NOT NULL"
            )
        promised = await to_be_removed(world)
        assert sorted(kept + promised) == sorted(self.blobs)
        for message, room in of_messages:
            assert message in messages or room not in rooms, "a message's files go with it"

    async def end(self) -> None:
        """All is deleted and swept: no file is left, and every blob is to be removed."""
        with gone_is_fine():
            await self.worlds[1].do(DeleteService)
        for room in self.rooms[0]:
            with gone_is_fine():
                await self.worlds[0].do(DeleteConversation, conversation=room)
        world = self.worlds[0]
        await world.run_due()
        now = world.clock.now() + 1
        wish = ForgetOrphans(before=now, quarantined_before=now, most=1000)
        await world.engine.execute(callers.system(world.account.account_sid), wish)
        assert await rows_of_media(world) == {}
        assert sorted(await to_be_removed(world)) == sorted(self.blobs)


async def live(story: list[Step]) -> None:
    async with new_world() as world:
        world.engine = world.engine_with(Policy(base_url=BASE_URL, media_quota_bytes=QUOTA))
        worlds = [world, await world.in_new_service()]
        rooms = [[(await one.conversation("ana")).sid for _ in range(2)] for one in worlds]
        one = Story(worlds, rooms)
        for step in story:
            world.clock.advance(timedelta(seconds=1))
            try:
                await one.perform(*step)
            except TertuliaError as refusal:
                if refusal.status >= 500:
                    raise
            await one.must_hold()
        await one.end()


@given(STORIES)
@settings(max_examples=100)
def test_every_blob_without_a_row_is_promised_for_removal(story: list[Step]) -> None:
    asyncio.run(live(story))
