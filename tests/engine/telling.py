"""A world whose devices are told: by a push service that says what the test says, and remembers what it was given."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from tertulia.server.domain.conversations import Conversation
from tertulia.server.domain.credentials import CreateCredential, Credential, CredentialKind, Secrets
from tertulia.server.domain.jobs import Job
from tertulia.server.domain.notices import Delivery, Notice, SendPushes
from tertulia.server.domain.notifications import ConfigureNotifications
from tertulia.server.domain.push import PushRegistration, RegisterPush
from tertulia.server.domain.push_content import PushContent
from tertulia.server.engine.push_queries import PushQueries
from tertulia.server.jobs.performing import Performer
from tertulia.server.jobs.push import push_performers
from tertulia.server.jobs.stragglers import Stragglers
from tertulia.server.jobs.worker import Worker
from tertulia.server.outgoing import Outgoing
from tertulia.server.push.service import Batch, Course, OpenCredential, Outcome, Push, Verdict
from tertulia.server.push.services import PushServices
from tertulia.server.settings import JobsSettings, PushSettings, Settings
from tertulia.server.storage.notices import DELIVERIES, NOTICES

from .world import World

SECRETS = Secrets(certificate="c", private_key="do-not-log", api_key="do-not-log", secret="do-not-log", public_key="p")


class Scripted:
    """A push service. It takes everything unless the test has it say something else."""

    def __init__(self) -> None:
        self.credentials: list[OpenCredential] = []
        self.batches: list[Batch] = []
        self.said: dict[str, Outcome] = {}
        """By the address."""
        self.prompt: set[str] = set()
        """Devices of which it says at once what became of them, not when all of the batch is known."""
        self.silent: set[str] = set()
        """Devices of which it says nothing before it ``answers``."""
        self.answers = asyncio.Event()
        self.meanwhile: Callable[[], Awaitable[Any]] | None = None
        """What happens once while a batch is on its way."""

    def say(self, address: str, verdict: Verdict, **more: Any) -> None:
        """About this device, from now on."""
        answer = more.pop("answer", f"said {verdict}")
        self.said[address] = Outcome(registration_sid="", verdict=verdict, answer=answer, **more)

    async def send(self, credential: OpenCredential, batch: Batch, course: Course | None = None) -> list[Outcome]:
        course = course or Course()
        self.credentials.append(credential)
        self.batches.append(batch)
        for push in batch.pushes:
            if push.address in self.silent:
                course.asked.add(push.registration_sid)
            elif push.address in self.prompt:
                course.hear(self._outcome(push))
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            await meanwhile()
        if any(push.address in self.silent for push in batch.pushes):
            await self.answers.wait()
        return [self._outcome(push) for push in reversed(batch.pushes)]

    async def close(self) -> None:
        """Nothing is open."""

    def _outcome(self, push: Push) -> Outcome:
        taken = Outcome(registration_sid="", verdict=Verdict.SENT, answer="200")
        return msgspec.structs.replace(self.said.get(push.address, taken), registration_sid=push.registration_sid)

    @property
    def addresses(self) -> list[list[str]]:
        """Who was told, batch by batch."""
        return [sorted(push.address for push in batch.pushes) for batch in self.batches]

    @property
    def told(self) -> list[str]:
        """Who was told, as often as he was."""
        return sorted(address for addresses in self.addresses for address in addresses)

    @property
    def texts(self) -> list[str]:
        return [batch.content.text for batch in self.batches]

    def forget(self) -> None:
        self.credentials.clear()
        self.batches.clear()


class _Services(PushServices):
    """The same service for all kinds."""

    def __init__(self, world: World, service: Scripted, settings: PushSettings) -> None:
        super().__init__(Outgoing(Settings()), world.clock, settings)
        self._service = service

    def of(self, kind: CredentialKind) -> Scripted:
        return self._service


class Telling:
    """A world, its credentials, one for each kind, and who performs what devices are owed."""

    def __init__(self, world: World, push: PushSettings) -> None:
        self.world = world
        self.push = push
        self.service = Scripted()
        self.stragglers = Stragglers()
        self.credentials: dict[str, Credential] = {}

    async def credential(self, kind: str) -> Credential:
        if kind not in self.credentials:
            self.credentials[kind] = await self.world.do(CreateCredential, kind=kind, secrets=SECRETS)
        return self.credentials[kind]

    async def device(
        self,
        identity: str,
        address: str | None = None,
        kind: str = "fcm",
        credential: str | None = "",
        types: tuple[str, ...] | None = None,
    ) -> PushRegistration:
        """A device of the user; under the credential of its kind, another one, or none."""
        if credential == "":
            credential = (await self.credential(kind)).sid
        caller = msgspec.structs.replace(
            self.world.user(identity), push_credential_sid=credential, endpoint_id=address or identity
        )
        return await self.world.do(
            RegisterPush, by=caller, kind=kind, address=address or f"{identity}'s", message_types=types
        )

    async def room(self, *identities: str) -> str:
        """A conversation whose members have a device each."""
        for identity in identities:
            await self.device(identity)
        return (await self.world.conversation(*identities)).sid

    async def quiet_room(self, *identities: str) -> Conversation:
        """Such a conversation, whose members know that they are: nothing is owed, and nothing remembered."""
        room = await self.room(*identities)
        await self.perform()
        self.service.forget()
        for table in ("push_deliveries", "push_notices"):
            await self.world.sql(f"DELETE FROM {table}")
        return await self.world.queries.conversation(self.world.account, self.world.service, room)

    async def configure(self, **settings: Any) -> None:
        await self.world.do(ConfigureNotifications, **settings)

    async def everything_on(self) -> None:
        await self.configure(
            new_message_enabled=True,
            added_enabled=True,
            removed_enabled=True,
            badge_count_enabled=True,
            media_enabled=True,
        )

    def performers(
        self, world: World | None = None, lease_s: float = JobsSettings().lease_s
    ) -> dict[type[Job], Performer[Any]]:
        at = world or self.world
        services = _Services(at, self.service, self.push)
        queries = PushQueries(at.database, at.sealer)
        return push_performers(at.engine, queries, services, at.clock, self.push, self.stragglers, lease_s)

    def worker(self, world: World | None = None, *, grace_s: float = 5.0, **jobs: Any) -> Worker:
        at = world or self.world
        settings = JobsSettings(**jobs)
        return Worker(at.database, at.clock, self.performers(at, settings.lease_s), settings, grace_s=grace_s)

    async def straggled(self) -> None:
        """Wait until nothing is waited for any more without a place."""
        await self.stragglers.end()

    async def perform(self) -> int:
        """Whatever devices are owed by now; how many attempts that were."""
        return await self.worker().run_due()

    async def plan(self) -> None:
        """Decide who is told, and send nothing yet."""
        planning = {kind: one for kind, one in self.performers().items() if kind is not SendPushes}
        await Worker(self.world.database, self.world.clock, planning).run_due()

    async def owed(self, kind: str) -> int:
        async with self.world.database.snapshot() as connection:
            return int(await connection.value("SELECT count(*) FROM outbox WHERE kind = $1", kind))

    async def notices(self) -> list[Notice]:
        async with self.world.database.snapshot() as connection:
            return NOTICES.entities(
                await connection.rows(f"SELECT {NOTICES.columns} FROM push_notices ORDER BY created_at, sid")
            )

    async def deliveries(self) -> list[Delivery]:
        async with self.world.database.snapshot() as connection:
            return DELIVERIES.entities(await connection.rows(f"SELECT {DELIVERIES.columns} FROM push_deliveries"))

    async def states(self) -> dict[str, str]:
        """What became of the last notice, by device's registration SID."""
        last = (await self.notices())[-1].sid
        return {one.registration_sid: one.state for one in await self.deliveries() if one.notice_sid == last}

    async def answers(self) -> dict[str, str | None]:
        """By the identity, of all notices; of several, the last."""
        return {one.identity: one.answer for one in await self.deliveries()}

    @property
    def content(self) -> PushContent:
        """What was said last."""
        return self.service.batches[-1].content
