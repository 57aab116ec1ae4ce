"""Where files are handed in and out: requests of account holders and users, over a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx

from tertulia.server.blobs.base import Blobs
from tertulia.server.domain.media import RemoveBlob
from tertulia.server.domain.messages import Message, SendMessage
from tertulia.server.engine.media_queries import MediaQueries
from tertulia.server.jobs.media import BlobRemover, OrphanRemover
from tertulia.server.jobs.worker import Worker
from tests.api.realtime.conftest import Here
from tests.engine.world import World

Start = Callable[..., Any]
ACCOUNT = None
"""Who is no user."""


class Desk:
    """A running server, and its callers."""

    def __init__(self, here: Here, http: httpx.AsyncClient, blobs: Blobs, folder: Path) -> None:
        self.here = here
        self.http = http
        self.blobs = blobs
        self.folder = folder
        self.world: World = here.world
        self.service = here.world.service
        self.media = f"/v1/Services/{self.service}/Media"
        self.port = here.port

    def as_(self, who: str | None) -> dict[str, str]:
        """The headers by which the server knows a user, or the account."""
        if who is not None:
            return {"X-Twilio-Token": self.here.token(who)}
        known = self.world.credentials
        request = httpx.Request("GET", "http://x/")
        flow = httpx.BasicAuth(known.account_sid, known.auth_token).auth_flow(request)
        return {"Authorization": next(flow).headers["Authorization"]}

    async def ask(self, method: str, url: str, by: str | None = ACCOUNT, **how: Any) -> httpx.Response:
        headers = {**self.as_(by), **how.pop("headers", {})}
        return await self.http.request(method, url, headers=headers, **how)

    async def send(
        self,
        content: Any = b"hello",
        by: str | None = "ana",
        *,
        type: str | None = "text/plain",
        headers: Mapping[str, str] | None = None,
        **query: str,
    ) -> httpx.Response:
        """An upload; ``Category`` and ``Filename`` as they are given."""
        sent = {**({"Content-Type": type} if type is not None else {}), **(headers or {})}
        return await self.ask("POST", self.media, by, content=content, headers=sent, params=query)

    async def upload(self, content: Any = b"hello", by: str | None = "ana", **how: Any) -> dict[str, Any]:
        """The record of an upload that succeeds."""
        answer = await self.send(content, by, **how)
        assert answer.status_code == 201, answer.text
        record: dict[str, Any] = answer.json()
        return record

    async def message(self, media: str, *members: str, by: str = "ana") -> Message:
        """A message with this file, in a new conversation."""
        room = await self.world.conversation(by, *members)
        wish = SendMessage(service=self.service, conversation=room.sid, media_sids=(media,))
        return await self.world.engine.execute(self.world.user(by), wish)

    async def stored(self) -> list[str]:
        """The keys of all blobs."""
        return [blob.key async for blob in self.blobs.list()]

    async def rows(self) -> int:
        return await self.world.count("media")

    async def perform(self) -> None:
        """What is owed to the store of blobs, until it is: the server's own worker may be at it already."""
        worker = Worker(self.world.database, self.world.clock, {RemoveBlob: BlobRemover(self.blobs)})
        async with asyncio.timeout(10):
            while await self.world.count("outbox"):
                await worker.run_due()
                await asyncio.sleep(0.01)

    async def forget_orphans(self) -> int:
        remover = OrphanRemover(self.queries, self.world.engine, self.world.clock, self.here.server.settings.media)
        return await remover.forget()

    @property
    def queries(self) -> MediaQueries:
        return self.world.queries.media


def refusal(answer: httpx.Response) -> tuple[int, int]:
    """Status and code, spelled as everywhere."""
    body = answer.json()
    assert body["status"] == answer.status_code
    assert body["message"] and body["more_info"]
    return answer.status_code, body["code"]
