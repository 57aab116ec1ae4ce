"""A conversation under test, with its three objects and what account holders do to it."""

from __future__ import annotations

from tertulia.server.domain.conversations import Conversation, UpdateConversation
from tertulia.server.domain.messages import DeleteMessage, UpdateMessage
from tertulia.server.domain.sync import ObjectKind, object_sid

from .conftest import Here


class Room:
    """A conversation with its three objects."""

    def __init__(self, here: Here, made: Conversation) -> None:
        self.here = here
        self.sid = made.sid
        self.document, self.messages, self.roster = (
            object_sid(kind, made.sid) for kind in (ObjectKind.DOCUMENT, ObjectKind.MESSAGES, ObjectKind.ROSTER)
        )

    async def say(self, *texts: str) -> list[str]:
        """The SIDs of new messages."""
        return [(await self.here.world.send(self.sid, text)).sid for text in texts]

    async def remove(self, message: str) -> None:
        world = self.here.world
        await world.engine.execute(
            world.account, DeleteMessage(service=world.service, conversation=self.sid, message=message)
        )

    async def edit(self, message: str, body: str) -> None:
        world = self.here.world
        await world.engine.execute(
            world.account, UpdateMessage(service=world.service, conversation=self.sid, message=message, body=body)
        )

    async def rename(self, name: str) -> None:
        world = self.here.world
        await world.engine.execute(
            world.account, UpdateConversation(service=world.service, conversation=self.sid, friendly_name=name)
        )
