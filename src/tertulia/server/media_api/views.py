"""What a file looks like to those who may see it (rest 13.1, client-commands 4.10)."""

from __future__ import annotations

from typing import Final

import msgspec

from tertulia.server.domain.media import Media
from tertulia.server.domain.values import millisecond
from tertulia.server.engine.media_store import MediaStore
from tertulia.server.web.operations import Call

FACE: Final = "media"
PREFIX: Final = "/v1"
SERVICE: Final = "/Services/{service}"
MEDIA: Final = f"{SERVICE}/Media"
ONE: Final = f"{MEDIA}/{{media}}"


class MediaLinksView(msgspec.Struct, frozen=True):
    content: str
    """Relative."""
    content_direct_temporary: str
    """Absolute; a bare GET fetches the file, for some minutes."""


class MediaView(msgspec.Struct, frozen=True, kw_only=True):
    sid: str
    service_sid: str
    date_created: str
    date_upload_updated: str
    date_updated: str
    size: int
    content_type: str
    filename: str | None
    author: str
    category: str
    message_sid: str | None
    channel_sid: str | None
    """Of its conversation."""
    url: str
    """Relative."""
    links: MediaLinksView
    is_multipart_upstream: bool


def store_of(call: Call) -> MediaStore:
    if call.media is None:
        raise AssertionError("the media face has no store of files")
    return call.media


def media_view(call: Call, media: Media, *, is_multipart: bool = False) -> MediaView:
    """With a fresh temporary URL. UNVERIFIED: that an upload came as a form is told in its own answer alone."""
    path = f"{PREFIX}/Services/{media.service_sid}/Media/{media.sid}"
    query = store_of(call).links.query(media, call.settings.media.temporary_url_s)
    created = _date(media.created_at)
    return MediaView(
        sid=media.sid,
        service_sid=media.service_sid,
        date_created=created,
        date_upload_updated=created,
        date_updated=_date(media.updated_at),
        size=media.size,
        content_type=media.content_type,
        filename=media.filename,
        author=media.author,
        category=media.category,
        message_sid=media.message_sid,
        channel_sid=media.conversation_sid,
        url=path,
        links=MediaLinksView(f"{path}/Content", f"{call.base_url}{path}/Content?{query}"),
        is_multipart_upstream=is_multipart,
    )


def _date(us: int) -> str:
    """With fractions and an offset, unlike everywhere else (rest 13.1)."""
    return f"{millisecond(us)[:-1]}+00:00"
