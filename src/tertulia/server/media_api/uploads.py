"""Uploads: a file's bytes as the body of a request, or as the first file of a form (client-commands 4.10)."""

from __future__ import annotations

from typing import Final

import msgspec

from tertulia.server.domain.media import MediaCategory
from tertulia.server.engine.media_store import Upload
from tertulia.server.web.operations import Call, Operations
from tertulia.server.web.streams import Incoming

from .multipart import first_file
from .views import FACE, MEDIA, PREFIX, MediaView, media_view, store_of

OPERATIONS = Operations(FACE, PREFIX)

_UNKNOWN_TYPE: Final = "application/octet-stream"
_FORM: Final = "multipart/form-data"
_FORM_BYTES: Final = 64 << 10
"""What a form may have beside the bytes of its file."""


class UploadQuery(msgspec.Struct, frozen=True, rename="pascal"):
    category: str = MediaCategory.MEDIA.value
    filename: str | None = None


@OPERATIONS.operation("POST", MEDIA, status=201, body="stream", query=UploadQuery)
async def upload_media(call: Call) -> MediaView:
    """Keep a file until it is attached to a message, for a few minutes.

    The body is the file with its ``Content-Type``, or a form as browsers send it, of which the first file counts.
    """
    incoming, content_type = _incoming(call), call.request.headers.get("content-type", "") or _UNKNOWN_TYPE
    is_form = content_type.partition(";")[0].strip().lower() == _FORM
    length, content = incoming.length, incoming.pieces()
    upload = Upload(
        service=call.service_sid,
        category=call.query.category,
        filename=call.query.filename or None,
        content_type=content_type,
    )
    if is_form:
        length = length and max(length - _FORM_BYTES, 0)
    else:
        upload = upload.checked()  # before anything is read of it
    async with store_of(call).admission(call.caller, call.service_sid, length) as admitted:
        if is_form:
            file = await first_file(content, content_type)
            content = file.content
            upload = msgspec.structs.replace(
                upload,
                filename=upload.filename or file.filename,
                content_type=file.content_type or _UNKNOWN_TYPE,
            )
        media = await admitted.keep(upload, content)
    return media_view(call, media, is_multipart=is_form)


def _incoming(call: Call) -> Incoming:
    if call.incoming is None:
        raise AssertionError("an upload comes over HTTP")
    return call.incoming
