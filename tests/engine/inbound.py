"""A world with gateways: what people write to it, and what becomes of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec

from tertulia.server.blobs.folder import FolderBlobs
from tertulia.server.callbacks.face import Callbacks
from tertulia.server.callbacks.inbox import GatewayInbox
from tertulia.server.channels.opening import Channels
from tertulia.server.domain.address_configurations import CreateAddressConfiguration
from tertulia.server.domain.arrivals import Arrival
from tertulia.server.domain.channels import Incoming, Report
from tertulia.server.domain.conversations import Conversation
from tertulia.server.domain.gateways import AddGateway, AddSender
from tertulia.server.domain.jobs import Job
from tertulia.server.domain.media import RemoveBlob
from tertulia.server.domain.messages import Message
from tertulia.server.domain.participants import AddParticipant, Participant
from tertulia.server.engine.arrival_store import ArrivalStore
from tertulia.server.engine.gateway_directory import GatewayDirectory
from tertulia.server.engine.identities import Identities
from tertulia.server.engine.inbound_queries import InboundQueries
from tertulia.server.engine.media_links import MediaLinks
from tertulia.server.engine.media_store import MediaStore
from tertulia.server.engine.typing import Typing
from tertulia.server.engine.unit import Policy
from tertulia.server.jobs.arrivals import arrival_performers
from tertulia.server.jobs.media import BlobRemover
from tertulia.server.jobs.performing import Performer
from tertulia.server.jobs.worker import Worker
from tertulia.server.outgoing import Outgoing
from tertulia.server.settings import Settings
from tertulia.server.storage.arrivals import ARRIVALS
from tertulia.server.storage.paging import Page
from tertulia.server.web.asgi import HttpApp
from tertulia.server.web.dispatch import Dispatcher
from tertulia.server.web.faces import RestFace
from tertulia.server.web.operations import Services
from tertulia.server.web.page_tokens import PageTokens
from tests.contract.channels.heard import NAME, Said, signed

from .world import BASE_URL, World

OURS = "+15550001000"
OURS_TOO = "+15550002000"
ANA = "+15551110001"
BEN = "+15551110002"
FOLDER = "tests"
HEEDED = frozenset(("sms", "whatsapp"))


class Inbound:
    """A world whose gateway speaks as these tests like."""

    def __init__(self, world: World, blobs: FolderBlobs, gateway_sid: str, channels: Channels, **more: Any) -> None:
        self.world = world
        self.blobs = blobs
        self.gateway = gateway_sid
        self.channels = channels
        self.store: ArrivalStore = more["store"]
        self.application: HttpApp = more["application"]
        self.queries: InboundQueries = more["queries"]
        self.performers: Mapping[Any, Any] = more["performers"]
        self._numbers = iter(range(1, 1_000_000))

    # --- what the provider does

    def incoming(self, text: str | None = "hello", **fields: Any) -> Incoming:
        """From Ana to our number, under a new name, unless the test says otherwise."""
        given = {"provider_id": f"wire-{next(self._numbers)}", "sender": ANA, "recipient": OURS, "text": text}
        return Incoming(**{**given, **fields})

    async def hear(self, *events: Incoming | Report, heeds: bool = True) -> None:
        """The channel has heard this, and it is kept."""
        await self.store.keep(
            self.world.account.account_sid, self.gateway, events, heeded=HEEDED if heeds else frozenset()
        )

    async def hears(self, text: str | None = "hello", **fields: Any) -> Incoming:
        one = self.incoming(text, **fields)
        await self.hear(one)
        return one

    def body(self, *events: Incoming | Report) -> bytes:
        return msgspec.json.encode(
            Said(
                messages=tuple(one for one in events if isinstance(one, Incoming)),
                reports=tuple(one for one in events if isinstance(one, Report)),
            )
        )

    async def call(
        self,
        body: bytes = b"{}",
        *,
        method: str = "POST",
        tail: str = "",
        gateway: str | None = None,
        signature: str | None = None,
        **more: Any,
    ) -> httpx.Response:
        """The provider's request, signed unless a signature is given."""
        url = f"{BASE_URL}/callbacks/{gateway or self.gateway}{tail}"
        headers = {b"x-signature": (signed(url, body) if signature is None else signature).encode("latin-1")}
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=self.application)) as http:
            return await http.request(method, url, content=body, headers=headers, **more)

    # --- what happens then

    def worker(self) -> Worker:
        return Worker(self.world.database, self.world.clock, self.performers)

    async def settle(self) -> int:
        """Perform what is owed and can be; how many attempts that took."""
        return await self.worker().run_due()

    async def arrivals(self) -> list[Arrival]:
        async with self.world.database.snapshot() as connection:
            return ARRIVALS.entities(await connection.rows(f"SELECT {ARRIVALS.columns} FROM arrivals ORDER BY sid"))

    async def states(self) -> list[str]:
        return [arrival.state.value for arrival in await self.arrivals()]

    async def messages(self, conversation: str, service: str | None = None) -> list[Message]:
        world = self.world
        return await world.queries.messages(world.account, service or world.service, conversation, Page(1000))

    async def bodies(self, conversation: str) -> list[str | None]:
        return [message.body for message in await self.messages(conversation)]

    async def conversations(self) -> list[tuple[str, str, str | None, str]]:
        """SID, service, name, state of each, oldest first."""
        async with self.world.database.snapshot() as connection:
            return [
                (row[0], row[1], row[2], row[3])
                for row in await connection.rows(
                    "SELECT sid, service_sid, friendly_name, state FROM conversations ORDER BY sid"
                )
            ]

    async def replies(self) -> list[str]:
        """The texts of what is sent outside of conversations, in the order of the promises."""
        async with self.world.database.snapshot() as connection:
            rows = await connection.rows("SELECT payload FROM outbox WHERE kind = 'SendOnChannel' ORDER BY id")
        jobs = [msgspec.json.decode(payload) for (payload,) in rows]
        return [job["text"] for job in jobs if job.get("text") is not None]

    async def owed(self, kind: str) -> int:
        async with self.world.database.snapshot() as connection:
            return int(await connection.value("SELECT count(*) FROM outbox WHERE kind = $1", kind))

    async def spooled(self) -> list[str]:
        return [blob.key async for blob in self.blobs.list(f"{FOLDER}/arrivals/")]

    # --- what account holders do

    async def pair(
        self, *identities: str, address: str = ANA, proxy: str = OURS, world: World | None = None
    ) -> tuple[Conversation, Participant]:
        """A conversation with somebody outside, and these users."""
        world = world or self.world
        room = await world.conversation(*identities)
        person = await world.do(AddParticipant, conversation=room.sid, address=address, proxy_address=proxy)
        return room, person

    async def group(self, *people: str, ours: tuple[str, ...] = (OURS,)) -> Conversation:
        """A group text of these people and our numbers, one of which is Zoe's."""
        room = await self.world.conversation()
        for number, projected in enumerate(ours):
            who = {"identity": "zoe"} if number == 0 else {}
            await self.world.do(AddParticipant, conversation=room.sid, projected_address=projected, **who)
        for address in people:
            await self.world.do(AddParticipant, conversation=room.sid, address=address)
        return room

    async def serve(self, address: str, gateway: str | None = None) -> str:
        """The address is one of ours, served by another gateway if that is named; the gateway's SID."""
        if gateway is None:
            await self.world.do(AddSender, address=address, gateway=self.gateway)
            return self.gateway
        made = await self.world.do(AddGateway, name=gateway, adapter=NAME, settings={})
        await self.world.do(AddSender, address=address, gateway=made.sid)
        return made.sid

    async def hear_by(self, gateway: str, *events: Incoming | Report) -> None:
        """Another gateway has heard this."""
        await self.store.keep(self.world.account.account_sid, gateway, events, heeded=HEEDED)

    async def welcome(self, address: str = OURS, kind: str = "sms", **fields: Any) -> None:
        """Strangers who write to this address get a conversation."""
        await self.world.do(CreateAddressConfiguration, kind=kind, address=address, auto_enabled=True, **fields)


@asynccontextmanager
async def inbound_of(
    world: World, folder: Path, policy: Policy | None = None, **performing: Any
) -> AsyncIterator[Inbound]:
    """Everything between a provider's request and the conversation, on the world's database and a folder of files."""
    settings = Settings()
    if policy is not None:
        world.engine = world.engine_with(policy)
    blobs = FolderBlobs(folder)
    await blobs.open()
    outgoing = Outgoing(settings)
    queries = InboundQueries(world.database)
    store = ArrivalStore(world.engine, queries, blobs, world.new_sid, FOLDER)
    channels = Channels(
        GatewayDirectory(world.database, world.sealer),
        outgoing,
        world.clock,
        world.new_sid,
        BASE_URL,
        inbox=lambda gateway: GatewayInbox(channels, store, gateway),
    )
    links = MediaLinks(world.sealer, world.clock)
    media = MediaStore(world.engine, world.queries.media, links, blobs, None, world.new_sid, settings.media, FOLDER)
    services = Services(
        world.engine, world.queries, Typing(world.database, world.bus, 5), settings, PageTokens(world.sealer)
    )
    nothing = Dispatcher(RestFace(Identities(world.database, world.sealer, world.clock)), [], services)

    async def is_ready() -> bool:
        return True

    application = HttpApp(
        nothing,
        nothing,
        callbacks=Callbacks(channels, store),
        is_ready=is_ready,
        document=bytes,
        body_limit_bytes=settings.server.body_limit_bytes,
    )
    performers: dict[type[Job], Performer[Any]] = {
        **arrival_performers(world.engine, queries, channels, media, blobs, **performing),
        RemoveBlob: BlobRemover(blobs),
    }
    made = await world.do(AddGateway, name="wire", adapter=NAME, settings={})
    for address in (OURS, OURS_TOO):
        await world.do(AddSender, address=address, gateway=made.sid)
    try:
        yield Inbound(
            world,
            blobs,
            made.sid,
            channels,
            store=store,
            application=application,
            queries=queries,
            performers=performers,
        )
    finally:
        await channels.close()
        await outgoing.close()
        await blobs.close()
