"""A world whose messages go out: by a channel that says what the test says, and remembers what it was given."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import msgspec

from tertulia.server.blobs.base import Blobs
from tertulia.server.channels.base import Capabilities
from tertulia.server.domain import callers
from tertulia.server.domain.channel_messages import ChannelRecord, RecordReports
from tertulia.server.domain.channels import Report
from tertulia.server.domain.messages import Message, SendMessage
from tertulia.server.domain.participants import AddParticipant, Participant
from tertulia.server.domain.receipts import Receipt, ReceiptStatus
from tertulia.server.engine.channel_queries import ChannelQueries
from tertulia.server.engine.engine import Engine
from tertulia.server.engine.gateway_directory import simulator_of
from tertulia.server.engine.media_links import MediaLinks
from tertulia.server.engine.media_store import MediaStore
from tertulia.server.jobs.channels import channel_performers
from tertulia.server.jobs.worker import Worker
from tertulia.server.outgoing import Outgoing
from tertulia.server.settings import ChannelsSettings, JobsSettings, MediaSettings, Settings
from tertulia.server.storage.channel_messages import CHANNEL_MESSAGES
from tertulia.server.storage.outbox_entries import OutboxEntries, OutboxEntry
from tertulia.server.storage.receipts import RECEIPTS
from tests.peers.recording import PHONES, Opened, Recording

from .world import BASE_URL, World

PROXY = "+12025559990"
OTHER_PROXY = "+12025559991"


def number(n: int) -> str:
    """Of somebody on a phone."""
    return f"+1202555{n:04}"


class Sending:
    """A world, the one channel of its account, and who performs what people on channels are owed."""

    def __init__(
        self,
        world: World,
        channel: Recording | None = None,
        engine: Engine | None = None,
        blobs: Blobs | None = None,
        outgoing: Outgoing | None = None,
        **settings: Any,
    ) -> None:
        self.blobs = blobs
        self.outgoing = outgoing or Outgoing(Settings())
        self.world = world
        self.engine = engine or world.engine
        self.channel = channel or Recording()
        self.opened = Opened(self.channel)
        self.settings = ChannelsSettings(**settings)
        self.gateway = simulator_of(world.account.account_sid)
        self._people = 0
        self.performers = self._performers()

    def _performers(self) -> Any:
        world = self.world
        store = MediaStore(
            self.engine,
            world.queries.media,
            MediaLinks(world.sealer, world.clock),
            self.blobs,
            None,
            world.new_sid,
            MediaSettings(),
            "test",
        )
        return channel_performers(
            self.engine,
            ChannelQueries(world.database),
            self.opened,
            store,
            world.clock,
            self.settings,
            BASE_URL,
            self.outgoing,
        )

    def restart(self) -> None:
        """What was remembered of rates is forgotten."""
        self.performers = self._performers()

    # --- who

    async def person(self, room: str, proxy: str | None = PROXY, **fields: Any) -> Participant:
        """Somebody new on a phone, unless the test says where."""
        self._people += 1
        given = {"address": number(self._people), "proxy_address": proxy, **fields}
        return await self.world.do(AddParticipant, conversation=room, **given)

    async def room(self, people: int = 1, *identities: str) -> str:
        room = await self.world.conversation(*identities)
        for _ in range(people):
            await self.person(room.sid)
        return room.sid

    async def group(self) -> str:
        """Two phones, and two users with numbers of ours."""
        room = (await self.world.conversation()).sid
        for identity, projected in (("ana", PROXY), ("ben", OTHER_PROXY)):
            await self.world.do(AddParticipant, conversation=room, identity=identity, projected_address=projected)
        await self.person(room, None)
        await self.person(room, None)
        return room

    async def sender(self, address: str = PROXY, gateway_sid: str = "GW" + "1" * 32, **fields: Any) -> str:
        """An address of ours; from the first on there are no others."""
        given = {"kind": "sms", "pool": None, "per_minute": None, **fields}
        await self.world.sql(
            "INSERT INTO senders (account_sid, address, kind, gateway_sid, pool, per_minute, created_at, updated_at)"
            " VALUES ($1, $2, $3, $4, $5, $6, 0, 0)",
            self.world.account.account_sid,
            address,
            given["kind"],
            gateway_sid,
            given["pool"],
            given["per_minute"],
        )
        return gateway_sid

    async def opt_out(self, address: str, key: str = PROXY) -> None:
        await self.world.sql(
            "INSERT INTO opt_outs (account_sid, pool, address, created_at) VALUES ($1, $2, $3, 0)",
            self.world.account.account_sid,
            key,
            address,
        )

    async def heard(self, address: str, sender: str = PROXY) -> None:
        """He has written to us just now."""
        await self.world.sql(
            "INSERT INTO last_heard (account_sid, sender, address, heard_at) VALUES ($1, $2, $3, $4)"
            " ON CONFLICT (account_sid, sender, address) DO UPDATE SET heard_at = excluded.heard_at",
            self.world.account.account_sid,
            sender,
            address,
            self.world.clock.now(),
        )

    # --- what

    async def send(self, room: str, body: str | None = "hello", **fields: Any) -> Message:
        return await self.world.do(SendMessage, conversation=room, body=body, **fields)

    def worker(self, grace_s: float = 5.0) -> Worker:
        world = self.world
        return Worker(world.database, world.clock, self.performers, JobsSettings(), grace_s=grace_s)

    async def perform(self) -> int:
        """Whatever is owed by now; how many attempts that were."""
        return await self.worker().run_due()

    async def perform_all(self, most: int = 200) -> None:
        """Let time go on until nothing is owed."""
        for _ in range(most):
            await self.perform()
            waiting = await self.jobs()
            if not waiting:
                return
            await self.until_due()
        raise AssertionError("it is owed still")

    async def until_due(self) -> None:
        """Let time go on to the next attempt."""
        async with self.world.database.snapshot() as connection:
            due_at = await connection.value("SELECT min(due_at) FROM outbox WHERE state = 'waiting' AND NOT behind")
        self.world.clock.advance(timedelta(microseconds=max(due_at - self.world.clock.now(), 0)))

    async def report(self, handle: str | None = None, status: str = "delivered", **fields: Any) -> int:
        given = Report(status=ReceiptStatus(status), handle=handle, **fields)
        return await self.reports(given)

    async def reports(self, *given: Report, gateway: str | None = None) -> int:
        system = callers.system(self.world.account.account_sid)
        return await self.world.do(RecordReports, by=system, gateway=gateway or self.gateway, reports=given)

    # --- what became of it

    async def jobs(self) -> Sequence[OutboxEntry]:
        async with self.world.database.snapshot() as connection:
            entries = await OutboxEntries(connection).page(limit=1000)
        return [entry for entry in entries if entry.kind == "SendOnChannel" and entry.state != "dead"]

    async def records(self) -> list[ChannelRecord]:
        async with self.world.database.snapshot() as connection:
            return CHANNEL_MESSAGES.entities(
                await connection.rows(
                    f"SELECT {CHANNEL_MESSAGES.columns} FROM channel_messages ORDER BY created_at, sid"
                )
            )

    async def states(self) -> list[str]:
        return [record.state for record in await self.records()]

    async def receipts(self) -> list[Receipt]:
        async with self.world.database.snapshot() as connection:
            return RECEIPTS.entities(await connection.rows(f"SELECT {RECEIPTS.columns} FROM receipts ORDER BY sid"))

    async def outcomes(self) -> list[tuple[str, int]]:
        """Status and code of every receipt, by age."""
        return [(receipt.status, receipt.error_code) for receipt in await self.receipts()]

    async def delivery(self, message: Message) -> dict[str, Any] | None:
        now = await self.world.queries.message(
            self.world.account, self.world.service, message.conversation_sid, message.sid
        )
        return None if now.delivery is None else msgspec.json.decode(now.delivery)


def phones(**capabilities: Any) -> Capabilities:
    return msgspec.structs.replace(PHONES, **capabilities)
