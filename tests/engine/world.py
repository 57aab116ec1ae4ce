"""A whole engine on a database in memory, and the deeds tests repeat."""

from __future__ import annotations

import copy
import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

import msgspec
import pytest

from tertulia.server.bootstrap import Bootstrap
from tertulia.server.bus.base import Bus, EventPublished, Publication
from tertulia.server.bus.inprocess import InProcessBus
from tertulia.server.clock import ManualClock
from tertulia.server.domain import callers
from tertulia.server.domain.base import Command
from tertulia.server.domain.callers import Caller
from tertulia.server.domain.conversations import Conversation, CreateConversation
from tertulia.server.domain.errors import TertuliaError
from tertulia.server.domain.messages import Message, SendMessage
from tertulia.server.domain.participants import AddParticipant, Participant
from tertulia.server.domain.permissions import Permission
from tertulia.server.domain.roles import CreateRole, Role
from tertulia.server.domain.services import CreateService
from tertulia.server.domain.users import ConnectUser, User
from tertulia.server.engine.engine import Engine
from tertulia.server.engine.identities import Identities
from tertulia.server.engine.lanes import Lanes
from tertulia.server.engine.queries import Queries
from tertulia.server.engine.rates import Rates
from tertulia.server.engine.unit import Policy
from tertulia.server.engine.webhook_calls import WebhookCalls
from tertulia.server.first_start import Credentials, first_credentials, make_first_account
from tertulia.server.jobs.lifecycle import lifecycle_performers
from tertulia.server.jobs.worker import Worker
from tertulia.server.outgoing import Outgoing
from tertulia.server.sealing import Sealer
from tertulia.server.settings import Settings
from tertulia.server.storage.database import Database
from tertulia.server.storage.migrate import migrate
from tertulia.server.storage.sqlite import SqliteDatabase
from tertulia.wire.sids import SidSource

R = TypeVar("R")

BASE_URL = "http://chat.test"


class RecordingBus(InProcessBus):
    """The real bus, which also remembers what was said."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[Publication] = []

    async def publish(self, publications: Sequence[Publication]) -> None:
        self.heard.extend(publications)
        await super().publish(publications)

    def events(self) -> list[EventPublished]:
        return [publication for publication in self.heard if isinstance(publication, EventPublished)]


class World:
    """One account with its default service."""

    def __init__(self, database: SqliteDatabase, clock: ManualClock, sealer: Sealer, credentials: Credentials) -> None:
        source = SidSource()
        self.database = database
        self.clock = clock
        self.sealer = sealer
        self.credentials = credentials
        self.bus = RecordingBus()
        self.new_sid: Callable[[str], str] = lambda prefix: source.new(prefix, clock.now(), os.urandom(10))
        self.webhook_calls = WebhookCalls(Outgoing(Settings()), Identities(database, sealer, clock))
        self.engine = self.engine_with(Policy(base_url=BASE_URL))
        self.queries = Queries(database)
        self.account = callers.account(credentials.account_sid)
        self.service = credentials.service_sid

    def engine_with(
        self,
        policy: Policy,
        bus: Bus | None = None,
        *,
        database: Database | None = None,
        rates: Rates | None = None,
        lanes: Lanes | None = None,
    ) -> Engine:
        """An engine on this world's database, with another policy or another bus, or with limits."""
        return Engine(
            database or self.database,
            bus or self.bus,
            self.clock,
            self.new_sid,
            policy,
            self.sealer,
            webhook_calls=self.webhook_calls,
            rates=rates,
            lanes=lanes,
        )

    async def in_new_service(self, name: str = "another") -> World:
        """The same world, seen from a new service of the account; what is heard is shared."""
        made = await self.engine.execute(self.account, CreateService(friendly_name=name))
        other = copy.copy(self)
        other.service = made.sid
        return other

    def user(self, identity: str, mutation_id: str | None = None) -> Caller:
        return callers.identity(self.account.account_sid, self.service, identity, mutation_id=mutation_id)

    async def do(self, command: Callable[..., Command[R]], *, by: Any = None, **fields: Any) -> R:
        """Execute the command with these fields, in this service; by the account unless another caller is named."""
        if "service" in _fields(command) and "service" not in fields:
            fields["service"] = self.service
        return await self.engine.execute(by or self.account, command(**fields))

    async def run_due(self) -> int:
        """Perform what conversations, services and users owe by now; how many attempts that were."""
        return await Worker(self.database, self.clock, lifecycle_performers(self.engine, sweep_pause_s=0)).run_due()

    async def role(self, kind: str, *permissions: str) -> Role:
        """A new role; one without permissions gets the one that nothing asks for."""
        granted = permissions or (Permission.READ_CHANNEL_METADATA,)
        return await self.do(CreateRole, friendly_name="of a test", kind=kind, permissions=tuple(granted))

    async def count(self, table: str) -> int:
        async with self.database.snapshot() as connection:
            return int(await connection.value(f"SELECT count(*) FROM {table}"))

    async def sql(self, statement: str, *parameters: Any) -> None:
        """Bring the world into a state that would take a thousand commands."""
        async with self.database.transaction() as connection:
            await connection.execute(statement, *parameters)

    def told(self) -> list[str]:
        """What was published since the last time, each as one word, in order."""
        heard, self.bus.heard = self.bus.heard, []
        return [_word(publication) for publication in heard]

    async def connect(self, identity: str) -> User:
        return await self.engine.execute(self.user(identity), ConnectUser(service=self.service, identity=identity))

    async def conversation(self, *identities: str) -> Conversation:
        """A conversation made by REST, with these members."""
        made = await self.engine.execute(self.account, CreateConversation(service=self.service))
        for identity in identities:
            await self.add(made.sid, identity)
        return await self.queries.conversation(self.account, self.service, made.sid)

    async def add(self, conversation: str, identity: str, role_sid: str | None = None) -> Participant:
        wish = AddParticipant(service=self.service, conversation=conversation, identity=identity, role_sid=role_sid)
        return await self.engine.execute(self.account, wish)

    async def send(self, conversation: str, body: str = "hello", by: Caller | None = None) -> Message:
        wish = SendMessage(service=self.service, conversation=conversation, body=body)
        return await self.engine.execute(by or self.account, wish)


def _fields(command: Callable[..., Command[R]]) -> set[str]:
    assert isinstance(command, type)
    return {field.name for field in msgspec.structs.fields(command)}


def _word(publication: Publication) -> str:
    """``document_updated MC`` for an event of an object, with its kind's prefix; else the publication's name."""
    if isinstance(publication, EventPublished):
        event_type: str = msgspec.json.decode(publication.body)["event_type"]
        return f"{event_type} {publication.object_sid[:2]}"
    return type(publication).__name__


@contextmanager
def refused(code: int, status: int | None = None, naming: str = "") -> Iterator[None]:
    """What is done inside is refused with this code, the message says the word."""
    with pytest.raises(TertuliaError) as refusal:
        yield
    assert (refusal.value.code, refusal.value.status) == (code, refusal.value.status if status is None else status)
    assert naming in refusal.value.message


@asynccontextmanager
async def new_world() -> AsyncIterator[World]:
    database, clock, sealer = SqliteDatabase(None), ManualClock(), Sealer(b"\x01" * 32)
    await database.open()
    try:
        await migrate(database, clock=clock)
        source = SidSource()
        await make_first_account(
            database, sealer, Bootstrap(), clock, lambda prefix: source.new(prefix, clock.now(), os.urandom(10))
        )
        credentials = await first_credentials(database, sealer)
        assert credentials is not None
        yield World(database, clock, sealer, credentials)
    finally:
        await database.close()
