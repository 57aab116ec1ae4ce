"""Files and their messages: found, attached, let go (semantics 4.8). What the rules are stands in the domain."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tertulia.server.domain.attachments import check_files
from tertulia.server.domain.callers import Caller
from tertulia.server.domain.errors import MEDIA_UNKNOWN, MEDIA_USED
from tertulia.server.domain.media import Media, MediaRemoved, RemoveBlob
from tertulia.server.domain.messages import Message
from tertulia.server.storage.database import Retryable

from .unit import Unit


async def attachable(unit: Unit, service_sid: str, sids: Sequence[str]) -> tuple[Media, ...]:
    """The uploads of these SIDs, in this order, that the caller may make the files of one message.

    One statement. Raises 50507 for one that is not there or not his, 50508 for one that has a message,
    50511 and 50512 when they do not go together.
    """
    found = await unit.media.find_many(service_sid, sids)
    files: list[Media] = []
    for sid in sids:
        media = found.get(sid)
        if media is None or media.quarantined_at is not None or not _is_his(media, unit.caller):
            raise MEDIA_UNKNOWN(f"The media {sid} was not found")
        if media.message_sid is not None:
            raise MEDIA_USED(f"The media {sid} belongs to a message already")
        files.append(media)
    check_files(files)
    return tuple(files)


def _is_his(media: Media, caller: Caller) -> bool:
    """UNVERIFIED: the account may attach what users of its services have uploaded and not attached."""
    return not caller.is_identity or media.author == caller.identity


async def attach(unit: Unit, files: Sequence[Media], message: Message) -> None:
    """They belong to the message from now on. Raises ``Retryable`` when another message was quicker."""
    sids = [media.sid for media in files]
    attached = await unit.media.attach_many(sids, message.conversation_sid, message.sid, unit.now)
    if attached < len(files):
        raise Retryable("a file was attached by another transaction meanwhile")


def let_go(unit: Unit, files: Iterable[Media]) -> None:
    """Their rows are gone; so will their bytes be."""
    for media in files:
        if media.blob is not None:
            unit.enqueue(RemoveBlob(blob=media.blob))
        unit.record(MediaRemoved(media=media))
