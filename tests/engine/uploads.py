"""Files as the media service records them, and what is owed to their bytes."""

from __future__ import annotations

from typing import Any

import msgspec

from tertulia.server.domain.attachments import parts_of
from tertulia.server.domain.callers import Caller
from tertulia.server.domain.media import KeepMedia, Media, MediaPart, RemoveBlob
from tertulia.server.domain.messages import Message, SendMessage

from .world import World

_remove_blob = msgspec.json.Decoder(RemoveBlob).decode


async def upload(world: World, by: Caller | None = None, **fields: Any) -> Media:
    """A small picture that the account has uploaded; another caller, or another file, where one is given."""
    sid = world.new_sid("ME")
    given: dict[str, Any] = {
        "service": world.service,
        "sid": sid,
        "category": "media",
        "filename": "cat.png",
        "content_type": "image/png",
        "size": 3,
        "sha256": "0" * 64,
        "blob": f"{world.service}/{sid}",
    }
    return await world.engine.execute(by or world.account, msgspec.convert({**given, **fields}, KeepMedia))


async def send(world: World, room: str, *files: Media, by: Caller | None = None, **fields: Any) -> Message:
    """A message with these files, and nothing else unless ``fields`` say."""
    sids = tuple(media.sid for media in files)
    wish = SendMessage(service=world.service, conversation=room, media_sids=sids, **fields)
    return await world.engine.execute(by or world.account, wish)


def parts(message: Message) -> tuple[MediaPart, ...]:
    return parts_of(message.media)


async def to_be_removed(world: World) -> list[str]:
    """The blobs whose removal is promised, in the order of the promises."""
    async with world.database.snapshot() as connection:
        rows = await connection.rows("SELECT payload FROM outbox WHERE kind = 'RemoveBlob' ORDER BY id")
    return [_remove_blob(payload).blob for (payload,) in rows]


async def rows_of_media(world: World) -> dict[str, str | None]:
    """The files there are: of which message, by SID."""
    async with world.database.snapshot() as connection:
        return dict(await connection.rows("SELECT sid, message_sid FROM media"))
