"""Whatever happens, what clients hold of the five Sync objects is what the server has (realtime 9.6, 9.7).

Commands at random in a small world. At every pause: the copies made at the beginning, plus the live events, are the
present snapshots; and every earlier copy, plus the replay from its number, is the present snapshot, however few events
are replayed at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tertulia.server.bus.base import EventPublished, UserGone
from tertulia.server.domain import callers
from tertulia.server.domain.base import Command
from tertulia.server.domain.callers import Caller
from tertulia.server.domain.conversations import (
    Conversation,
    CreateConversation,
    DeleteConversation,
    UpdateConversation,
)
from tertulia.server.domain.credentials import CreateCredential, Secrets
from tertulia.server.domain.errors import TertuliaError
from tertulia.server.domain.memberships import LeaveConversation, UpdateMembership
from tertulia.server.domain.messages import DeleteMessage, SendMessage, UpdateMessage
from tertulia.server.domain.participants import (
    AddParticipant,
    JoinConversation,
    Participant,
    RemoveParticipant,
    UpdateParticipant,
)
from tertulia.server.domain.presence import ArriveUser, DepartUser
from tertulia.server.domain.push import RegisterPush, RemovePush
from tertulia.server.domain.receipts import ExpectReceipts, Receipt, ReceiptStatus, RecordReceipt
from tertulia.server.domain.services import ConfigureService
from tertulia.server.domain.sync import ObjectKind, object_sid, parse_object_sid
from tertulia.server.domain.users import DeleteUser, UpdateUser
from tertulia.server.engine.sync.catalogue import Catalogue
from tertulia.server.engine.sync.views import View
from tertulia.server.jobs.presence import PresenceSweep
from tertulia.server.storage.conversations import ConversationFilter
from tertulia.server.storage.database import Connection
from tertulia.server.storage.paging import Page
from tertulia.server.storage.presence import Nodes
from tertulia.wire.sync import live_body
from tests.engine.uploads import upload
from tests.engine.world import BASE_URL, World, new_world

from .mirror import Mirror, read_mirror

IDENTITIES = ("ana", "ben", "eve")
ROOMS = 2
NODES = ("one node", "another")
OF_CONVERSATION = (ObjectKind.DOCUMENT, ObjectKind.MESSAGES, ObjectKind.ROSTER)
OF_USER = (ObjectKind.CONVERSATIONS, ObjectKind.USER_INFO)
EVERYTHING = Page(10_000)

Step = tuple[int, int, int, int]
"""What, by or to whom, where, and a number for the details."""

PROLOGUE: list[Step] = [(0, 0, 0, 3), (3, 0, 0, 1), (3, 1, 0, 1), (1, 0, 0, 1)]
"""A room that ana has made, with two members and a message."""


class Story:
    """One sequence of commands in a service of its own, and what a client of everything holds."""

    def __init__(self, world: World, credential: str) -> None:
        self.world = world
        self.rooms: list[str] = []
        self.messages: list[tuple[str, str]] = []
        self.outsiders: list[tuple[str, str]] = []
        self.receipts: list[Receipt] = []
        self.mirrors: dict[str, Mirror] = {}
        self.copies: list[dict[str, Mirror]] = []
        self.maps: dict[str, str] = {}
        """The conversations map of each identity."""
        self.creators: dict[str, str] = {}
        self.came: set[tuple[str, str]] = set()
        self.credential = credential
        self.sweep = PresenceSweep(world.database, world.engine, world.bus, world.clock)

    # --- commands

    def plan(self, step: Step) -> tuple[Caller, Command[Any]] | None:
        """The command a step stands for; None where the world has nothing to do it with."""
        what, who, where, detail = step
        world, service = self.world, self.world.service
        identity = IDENTITIES[who % len(IDENTITIES)]
        caller = world.user(identity) if detail % 3 == 0 else world.account
        if what == 0 or not self.rooms:
            return caller, CreateConversation(service=service, unique_name=f"room-{where}" if detail % 5 == 0 else None)
        room = self.rooms[where % len(self.rooms)]
        here: dict[str, Any] = {"service": service, "conversation": room}
        simple: list[Callable[[], Command[Any]]] = [
            lambda: SendMessage(**here, body=f"text {detail}"),
            lambda: SendMessage(**here, body="imported", created_at=world.clock.now() - detail * 1_000_000),
            lambda: AddParticipant(**here, identity=identity),
            lambda: JoinConversation(**here),
            lambda: RemoveParticipant(**here, participant=identity),
            lambda: LeaveConversation(**here, user=identity),
            lambda: UpdateMembership(**here, user=identity, last_read_index=None if detail == 7 else detail),
            lambda: UpdateMembership(**here, user=identity, notification_level=("muted", "default")[detail % 2]),
            lambda: UpdateParticipant(**here, participant=identity, attributes=f'{{"n":{detail}}}'),
            lambda: AddParticipant(**here, address=f"+1555000{detail:04}", proxy_address=f"+1555100{where:04}"),
            lambda: AddParticipant(**here, projected_address=f"+1555200{detail:04}"),
            lambda: UpdateConversation(**here, friendly_name=f"name {detail}"),
            lambda: UpdateConversation(**here, state=("active", "inactive")[detail % 2], inactive_timer="PT5M"),
            lambda: UpdateUser(service=service, user=identity, friendly_name=f"name {detail}"),
            lambda: UpdateUser(
                service=service, user=identity, friendly_name=f"name {detail}", attributes=f'{{"n":{detail}}}'
            ),
        ]
        if what <= len(simple):
            return caller, simple[what - 1]()
        what -= len(simple)
        if what <= 3 and self.messages:
            at, message = self.messages[detail % len(self.messages)]
            there: dict[str, Any] = {"service": service, "conversation": at, "message": message}
            return caller, (
                UpdateMessage(**there, body=f"edited {where} {who}"),
                UpdateMessage(**there, attributes=f'{{"n":{detail}}}', created_at=world.clock.now()),
                DeleteMessage(**there),
            )[what - 1]
        if what == 4 and self.outsiders:
            at, outsider = self.outsiders[detail % len(self.outsiders)]
            wish: dict[str, Any] = {"service": service, "conversation": at, "participant": outsider}
            return world.account, UpdateParticipant(**wish, identity=identity) if who else RemoveParticipant(**wish)
        if what == 5:
            return world.account, UpdateConversation(**here, state="closed")
        if what == 6:
            return caller, DeleteConversation(**here)
        if what == 7:
            return world.account, DeleteUser(service=service, user=identity)
        if what == 8 and self.messages and self.outsiders:
            at, message = self.messages[detail % len(self.messages)]
            there = {"service": service, "conversation": at, "message": message}
            here_too = tuple(sid for room, sid in self.outsiders if room == at)
            return world.account, ExpectReceipts(**there, participants=here_too)
        if what == 9 and self.receipts:
            receipt = self.receipts[where % len(self.receipts)]
            return world.account, RecordReceipt(
                service=service,
                conversation=receipt.conversation_sid,
                message=receipt.message_sid,
                receipt=receipt.sid,
                status=[*ReceiptStatus][detail % len(ReceiptStatus)],
            )
        return self.plan_reachability(what - 9, identity, where, detail)

    def plan_reachability(
        self, what: int, identity: str, where: int, detail: int
    ) -> tuple[Caller, Command[Any]] | None:
        account, service = self.world.account.account_sid, self.world.service
        if what == 1:
            said = DepartUser if detail > 5 else ArriveUser
            return callers.system(account), said(service=service, identity=identity, node=NODES[detail % 2])
        if what == 2:
            caller = callers.identity(account, service, identity, push_credential_sid=self.credential)
            device = f"device-{where}"
            keep = detail <= 5
            return caller, (RegisterPush if keep else RemovePush)(kind="fcm", address=device)
        if what == 3:
            return self.world.account, ConfigureService(service=service, reachability_enabled=detail > 2)
        return None

    async def perform(self, step: Step) -> None:
        """Do it, if it may be done, and hand its events to whoever follows."""
        planned = self.plan(step)
        if planned is None:
            return
        caller, command = planned
        self.world.clock.advance(timedelta(seconds=1))
        if isinstance(command, SendMessage) and command.body == "imported":
            media = await upload(self.world, caller)
            command = msgspec.structs.replace(command, body=None, media_sids=(media.sid,))
        try:
            answer = await self.world.engine.execute(caller, command)
        except TertuliaError as refusal:
            if refusal.status >= 500 or self.world.bus.heard:
                raise
            return
        if isinstance(command, CreateConversation):
            self.rooms = [*self.rooms, answer.sid][-ROOMS:]
            self.creators[answer.sid] = answer.created_by
        elif isinstance(command, SendMessage):
            self.messages = [*self.messages, (answer.conversation_sid, answer.sid)][-6:]
        elif isinstance(command, AddParticipant) and answer.identity is None:
            self.outsiders = [*self.outsiders, (answer.conversation_sid, answer.sid)][-4:]
        elif isinstance(command, ExpectReceipts):
            self.receipts = [*self.receipts, *answer][-4:]
        if isinstance(command, ConfigureService):
            await self.sweep.sweep()
        events, self.world.bus.heard = self.world.bus.heard, []
        known = set(self.mirrors)
        await self.open_new(answer)
        for event in events:
            if isinstance(event, UserGone):
                self.mirrors.pop(self.maps[event.identity])  # his connections end, and with them the copies
            elif isinstance(event, EventPublished):
                if event.object_sid in known:
                    self.mirrors[event.object_sid].apply_live(event.message_type, event.body)
                else:
                    assert event.number == 0, "an object that nobody knew begins with its first event"

    async def open_new(self, answer: Any) -> None:
        """Clients open what a command has made; its first events they have with the snapshot."""
        made = [(kind, answer.sid) for kind in OF_CONVERSATION if isinstance(answer, Conversation)]
        made += [(kind, answer.user_sid) for kind in OF_USER if isinstance(answer, Participant) and answer.user_sid]
        if isinstance(answer, Participant) and answer.identity and answer.user_sid:
            self.came.add((answer.conversation_sid, answer.identity))
            self.maps[answer.identity] = object_sid(ObjectKind.CONVERSATIONS, answer.user_sid)
        missing = [object_sid(*each) for each in made if object_sid(*each) not in self.mirrors]
        if missing:
            async with self.world.database.snapshot() as connection:
                for sid in missing:
                    view = await opened(connection, sid)
                    assert view is not None
                    self.mirrors[sid] = await read_mirror(connection, view)

    # --- what must hold

    async def pause(self, limit: int, connection: Connection) -> None:
        """Compare every copy, live or old, with what is there now; then keep the present as one more old copy."""
        present = await self.present(connection)
        for sid, mirror in present.items():
            assert self.mirrors[sid] == mirror, f"kept by live events is not what is there: {sid}"
        for sid, mirror in self.mirrors.items():
            assert mirror.is_gone or sid in present, "an object went without a word"
        for copies in self.copies:
            for sid, old in copies.items():
                now = present.get(sid)
                if now is not None and now.last > old.last:
                    assert await self.caught_up(connection, old, limit) == now
                    assert await self.caught_up(connection, old, limit, cut_after=limit) == now
        await self.require_privacy(connection, present)
        self.copies.append({sid: mirror.copy() for sid, mirror in present.items()})

    async def require_privacy(self, connection: Connection, present: dict[str, Mirror]) -> None:
        """Each user may follow the objects of what he is in, and only those."""
        sids = [sid for sid in (*self.mirrors, *present) if sid[:2] in set(OF_CONVERSATION)]
        for identity in IDENTITIES:
            visible = await Catalogue(connection, self.world.user(identity), BASE_URL).open_many(sids)
            for sid in sids:
                roster = present.get(ObjectKind.ROSTER + sid[2:])
                members = {item.data["identity"] for item in roster.items.values()} if roster else set()
                waits = sid.startswith(ObjectKind.DOCUMENT) and roster is not None and self.is_waiting(identity, sid)
                assert (sid in visible) == (identity in members or waits)

    def is_waiting(self, identity: str, sid: str) -> bool:
        """He has made it and has never been a participant."""
        conversation_sid = "CH" + sid[2:]
        return self.creators.get(conversation_sid) == identity and (conversation_sid, identity) not in self.came

    async def present(self, connection: Connection) -> dict[str, Mirror]:
        """Every object there is, by SID."""
        conversations = await self.world.queries.conversations(self.world.service, ConversationFilter(), EVERYTHING)
        users = await self.world.queries.users(self.world.service, EVERYTHING)
        owners = [(kind, one.sid) for one in conversations for kind in OF_CONVERSATION]
        owners += [(kind, one.sid) for one in users for kind in OF_USER]
        found: dict[str, Mirror] = {}
        for kind, owner in owners:
            sid = object_sid(kind, owner)
            view = await opened(connection, sid)
            if view is not None:
                found[sid] = await read_mirror(connection, view)
        for one in conversations:
            if one.is_listed:
                messages, roster = (found[object_sid(kind, one.sid)] for kind in OF_CONVERSATION[1:])
                assert one.message_count == len(messages.items)
                assert one.newest_index == max(messages.items, default=None)
                assert one.participant_count == len(roster.items)
        return found

    async def caught_up(
        self, connection: Connection, old: Mirror, limit: int, *, cut_after: int | None = None
    ) -> Mirror:
        """The copy after a replay from its number, in as many rounds as it takes.

        ``cut_after``: the client is cut off after so many events, and begins again with the number of the last.
        """
        mirror, view = old.copy(), await opened(connection, old.sid)
        assert view is not None
        after, is_complete, rounds = old.last, False, 0
        while not is_complete:
            replay = await view.replay(connection, after, limit)
            assert replay.complete or replay.last > after, "a replay gets nowhere"
            received = replay.events[:cut_after]
            for event in received:
                assert event.number <= replay.last
                mirror.apply_replayed(event.message_type, live_body(event))
            if len(received) == len(replay.events):
                after, is_complete = replay.last, replay.complete
            else:
                after = mirror.last
            rounds += 1
            assert rounds < 1000
        mirror.last = after
        return mirror


async def opened(connection: Connection, sid: str) -> View | None:
    name = parse_object_sid(sid)
    assert name is not None
    return await Catalogue.open_for_system(connection, name, BASE_URL)


class Stage:
    """One database for all stories of this module; each plays in a service of its own."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self._stack = AsyncExitStack()
        self._world = self._runner.run(self._stack.enter_async_context(new_world()))
        self._credential = ""

    def play(self, steps: list[Step], pauses: set[int], limit: int) -> None:
        self._runner.run(self._play(steps, pauses, limit))

    async def _play(self, steps: list[Step], pauses: set[int], limit: int) -> None:
        self._world.bus.heard.clear()
        if not self._credential:
            await self._make_nodes()
        story = Story(await self._world.in_new_service(), self._credential)
        await story.world.do(ConfigureService, reachability_enabled=limit > 1)
        await story.sweep.sweep()
        self._world.bus.heard.clear()
        await story.world.connect("ana")
        for step in PROLOGUE:
            await story.perform(step)
        for number, step in enumerate(steps):
            await story.perform(step)
            if number in pauses or number == len(steps) - 1:
                async with self._world.database.snapshot() as connection:
                    await story.pause(limit, connection)

    async def _make_nodes(self) -> None:
        """They live as long as the stage, and its users have devices under one credential."""
        made = await self._world.do(CreateCredential, kind="fcm", secrets=Secrets(secret="of a test"))
        self._credential = made.sid
        async with self._world.database.transaction() as connection:
            for name in NODES:
                await Nodes(connection).add(name, 1 << 60)

    def close(self) -> None:
        self._runner.run(self._stack.aclose())
        self._runner.close()


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    stage = Stage()
    yield stage
    stage.close()


# Small numbers, so that the same things are met again; what ends things is rare, so that there is something to end.
_WHAT = st.sampled_from(
    [0, *range(1, 16), *range(1, 16), *(16, 17, 18) * 3, 19, 19, 20, 21, 22, *(23, 24) * 2, *(25,) * 4, 26, 26, 27]
)
_steps = st.lists(st.tuples(_WHAT, st.integers(0, 2), st.integers(0, 1), st.integers(0, 9)), min_size=5, max_size=24)


@settings(max_examples=2_000)
@given(steps=_steps, pauses=st.sets(st.integers(0, 12), max_size=3), limit=st.sampled_from([1, 2, 3, 500]))
def test_copies_and_events_are_the_present_state(stage: Stage, steps: list[Step], pauses: set[int], limit: int) -> None:
    stage.play(steps, pauses, limit)
