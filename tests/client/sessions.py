"""What a client's objects share, over a scripted server and without the client around it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from tertulia.client.calls import Calls
from tertulia.client.configuration import Configuration, Links, Options, SyncNames
from tertulia.client.dispatch import Emitter
from tertulia.client.session import Session
from tertulia.wire.requests import Reply

from .connecting import Lines, config_of
from .scripted import Scripted


def configuration(base: str, *, media: str | None = None, options: Options | None = None) -> Configuration:
    """Of a user ``ana``; everything is at ``base``, files are where ``media`` says."""
    links = Links(
        my_conversations=f"{base}/mine",
        conversations=f"{base}/Conversations",
        users=f"{base}/Users",
        typing=f"{base}/typing",
        media_service=f"{media or base}/Media",
        messages_receipts=f"{base}/Conversations/%s/Messages/%s/Receipts",
        media_set_service=f"{media or base}/MediaSet",
    )
    return Configuration(identity="ana", links=links, sync_objects=SyncNames("a", "b"), options=options or Options())


class Talk:
    """A session that is answered what a test wants, and what it has asked."""

    def __init__(self, session: Session, server: Scripted) -> None:
        self.session = session
        self._server = server

    def answers(self, *bodies: object, status: int = 200) -> None:
        self._server.answers.extend(Reply(status, msgspec.json.encode(body)) for body in bodies)

    def asked(self) -> list[tuple[str, dict[str, str]]]:
        """Paths and parameters since the last time."""
        found: list[tuple[str, dict[str, str]]] = []
        for frame in self._server.said("message"):
            wrapped = frame.header.http_request
            assert wrapped is not None
            found.append((wrapped.path, {name: str(value) for name, value in (wrapped.params or {}).items()}))
        self._server.heard.clear()
        return found


@asynccontextmanager
async def talking() -> AsyncIterator[Talk]:
    server, lines = Scripted(), Lines()
    await server.open()
    try:
        config = config_of(server.url)
        line = await lines.connect(config)
        session = Session(config, Calls(line.connection, config), Emitter())
        session.configure(configuration(server.url))
        yield Talk(session, server)
        session.is_closed = True
        await session.end_tasks()
    finally:
        await lines.close()
        await server.close()
