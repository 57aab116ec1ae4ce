"""Records of files: one, a set, none any more (rest 13.1, client-commands 4.10)."""

from __future__ import annotations

from typing import Final, Literal

import msgspec
from msgspec import UNSET, UnsetType

from tertulia.server.domain.errors import BAD_PARAMETER, MEDIA_UNKNOWN
from tertulia.server.domain.limits import MEDIA_OF_A_SET
from tertulia.server.web.operations import Call, Operations

from .views import FACE, ONE, PREFIX, SERVICE, MediaView, media_view, store_of

OPERATIONS = Operations(FACE, PREFIX)

_FOUND: Final = 200
_ABSENT: Final = 404


class Wanted(msgspec.Struct, frozen=True):
    media_sid: str


class MediaSetQuery(msgspec.Struct, frozen=True):
    wanted: list[Wanted] = msgspec.field(name="list")
    command: Literal["get"] = "get"


class MissingMedia(msgspec.Struct, frozen=True):
    sid: str
    """Clients name it in their error."""


class MediaSetItem(msgspec.Struct, frozen=True):
    code: int
    media_record: MediaView | MissingMedia
    error: int | UnsetType = UNSET


@OPERATIONS.operation("GET", ONE)
async def fetch_media(call: Call) -> MediaView:
    """A file's record, with a fresh temporary URL."""
    return media_view(call, await store_of(call).queries.file(call.caller, call.service_sid, call.path["media"]))


@OPERATIONS.operation("DELETE", ONE, status=204)
async def delete_media(call: Call) -> None:
    """Remove a file: any of the account's, or an upload of one's own that is attached to nothing."""
    await store_of(call).delete(call.caller, call.service_sid, call.path["media"])


@OPERATIONS.operation("POST", f"{SERVICE}/MediaSet", MediaSetQuery, body="json")
async def fetch_media_set(call: Call, form: MediaSetQuery) -> list[MediaSetItem]:
    """Records of several files, in the order in which they are asked for; of those that are not there their SID."""
    if len(form.wanted) > MEDIA_OF_A_SET:
        raise BAD_PARAMETER(f"The list has {len(form.wanted)} elements, {MEDIA_OF_A_SET} are allowed")
    sids = [one.media_sid for one in form.wanted]
    found = await store_of(call).queries.files(call.caller, call.service_sid, tuple(dict.fromkeys(sids)))
    return [
        MediaSetItem(_FOUND, media_view(call, media))
        if (media := found.get(sid)) is not None
        else MediaSetItem(_ABSENT, MissingMedia(sid), MEDIA_UNKNOWN.code)
        for sid in sids
    ]
