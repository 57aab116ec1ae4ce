"""Which files a message may have, and how its row remembers them (semantics 4.8, 9; client-commands 4.3)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

import msgspec

from tertulia.wire.sids import is_sid

from . import limits
from .errors import MEDIA_MALFORMED, MEDIA_MISSING, MEDIA_SIZE, MEDIA_TYPE, MEDIA_USED
from .media import Media, MediaCategory, MediaPart, read_parts

EMAIL_TYPES: Final = ("text/plain", "text/html")
"""Content types of an e-mail's body, and of what it quotes, as they are kept; a message has at most one of each."""
MOST_FILES: Final = limits.MEDIA_OF_A_MESSAGE + 2 * len(EMAIL_TYPES)
"""Of all categories together."""


def check_media_sids(sids: Sequence[str]) -> None:
    """SIDs of media, no more than any message has, and none twice; else 50506, 50510, 50512, 50508."""
    if "" in sids:
        raise MEDIA_MISSING()
    if not all(is_sid(sid, "ME") for sid in sids):
        raise MEDIA_MALFORMED()
    if len(sids) > MOST_FILES:
        raise MEDIA_SIZE(f"{len(sids)} media, a message has at most {limits.MEDIA_OF_A_MESSAGE} files")
    if len(set(sids)) < len(sids):
        raise MEDIA_USED("A media is named twice")


def check_files(files: Collection[Media]) -> None:
    """They may be those of one message, which a caller puts together; 50511, 50512.

    UNVERIFIED: too many files have the code of too many bytes. What only the server makes, the rich content of a
    template, has a type that is not allowed here.
    """
    count = sum(media.category == MediaCategory.MEDIA for media in files)
    if count > limits.MEDIA_OF_A_MESSAGE:
        raise MEDIA_SIZE(f"{count} files, {limits.MEDIA_OF_A_MESSAGE} are allowed")
    size = sum(media.size for media in files)
    if size > limits.MEDIA_BYTES:
        raise MEDIA_SIZE(f"The files have {size} bytes together, {limits.MEDIA_BYTES} are allowed")
    for category in (MediaCategory.BODY, MediaCategory.HISTORY):
        types = [media.content_type for media in files if media.category == category]
        for content_type in types:
            if content_type not in EMAIL_TYPES:
                raise MEDIA_TYPE(f"An e-mail's {category} is {' or '.join(EMAIL_TYPES)}")
        if len(set(types)) < len(types):
            raise MEDIA_TYPE(f"An e-mail has one {category} of each type")


def parts_text(files: Sequence[Media]) -> str | None:
    """What the row of their message says of the files, in this order; None for none."""
    if not files:
        return None
    parts = [MediaPart(media.sid, media.category, media.filename, media.content_type, media.size) for media in files]
    return msgspec.json.encode(parts).decode()


def parts_of(text: str | None) -> tuple[MediaPart, ...]:
    """The files that a message's ``media`` names, in its order."""
    return () if text is None else read_parts(text)
