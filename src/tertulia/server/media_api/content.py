"""The bytes of a file: whole, or one part of them (rest 13.1; RFC 9110, 13 and 14)."""

from __future__ import annotations

import contextlib
import re
from typing import Final, NamedTuple

from tertulia.server import observe
from tertulia.server.domain.errors import BAD_PARAMETER
from tertulia.server.domain.media import Media
from tertulia.server.web.operations import Call, Operations
from tertulia.server.web.streams import Outgoing
from tertulia.wire.requests import Reply, error_reply

from .headers import ALWAYS, entity_tag, headers_of
from .views import FACE, ONE, PREFIX, store_of

OPERATIONS = Operations(FACE, PREFIX)

_RANGE: Final = re.compile(r"bytes=\s*(\d{0,19})\s*-\s*(\d{0,19})\s*", re.ASCII)
_TAGS: Final = re.compile(r'(?:W/)?("[^"]*")')
_REVALIDATED: Final = "private, no-cache"
_UNSATISFIABLE: Final = 416


class Part(NamedTuple):
    start: int
    length: int
    is_range: bool = True


@OPERATIONS.operation("GET", f"{ONE}/Content")
async def fetch_content(call: Call) -> Reply:
    """The bytes of a file, for those who see it, and for whoever has a temporary URL of it."""
    media, cache = await _media(call)
    headers = call.request.headers
    if _is_fresh(headers.get("if-none-match"), media):
        return Reply(304, headers=(("ETag", entity_tag(media)), ("Cache-Control", cache), *ALWAYS))
    part = _part(headers.get("range"), headers.get("if-range"), media)
    if part is None:
        refusal = error_reply(_UNSATISFIABLE, BAD_PARAMETER.code, f"The file has {media.size} bytes")
        return Reply(refusal.status, refusal.body, (("Content-Range", f"bytes */{media.size}"),))
    stack = contextlib.AsyncExitStack()
    pieces = await stack.enter_async_context(store_of(call).content(media, part.start, part.length))
    observe.MEDIA_SERVED.count += 1
    end = part.start + part.length - 1
    return Outgoing(
        206 if part.is_range else 200,
        headers=(
            *headers_of(media, cache),
            *((("Content-Range", f"bytes {part.start}-{end}/{media.size}"),) if part.is_range else ()),
        ),
        length=part.length,
        pieces=pieces,
        close=stack.aclose,
    )


async def _media(call: Call) -> tuple[Media, str]:
    """The file, and how long whoever asks may keep what he gets."""
    store, service, sid = store_of(call), call.service_sid, call.path["media"]
    if not call.caller.is_link_holder:
        return await store.queries.file(call.caller, service, sid), _REVALIDATED
    link = store.links.read(service, sid, call.request.query)
    media = await store.queries.linked(link.account_sid, service, sid)
    return media, f"private, max-age={link.seconds_left}"


def _is_fresh(if_none_match: str | None, media: Media) -> bool:
    if if_none_match is None:
        return False
    return if_none_match.strip() == "*" or entity_tag(media) in _TAGS.findall(if_none_match)


def _part(wanted: str | None, if_range: str | None, media: Media) -> Part | None:
    """What to send: the one range that is asked for, everything when none is or several are; None: it has none such."""
    whole = Part(0, media.size, is_range=False)
    if wanted is None or (if_range is not None and if_range.strip() != entity_tag(media)):
        return whole
    found = _RANGE.fullmatch(wanted.strip())
    if found is None or found[1] == found[2] == "":
        return whole
    if not found[1]:
        length = min(int(found[2]), media.size)
        return Part(media.size - length, length) if length else None
    start, last = int(found[1]), int(found[2] or media.size - 1)
    if start >= media.size:
        return None
    if last < start:
        return whole
    return Part(start, min(last, media.size - 1) - start + 1)
