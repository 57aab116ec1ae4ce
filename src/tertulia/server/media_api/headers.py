"""What browsers are told of a file, so that they take it for nothing but that.

Names and types are what somebody wrote: shown in a page are only those that no browser runs, everything else is
saved; nothing is guessed from the bytes (``nosniff``); and a document that is opened after all is in a sandbox.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote

from tertulia.server.domain.media import Media

_INLINE: Final = frozenset(
    {
        *("image/apng", "image/avif", "image/bmp", "image/gif", "image/jpeg", "image/png", "image/webp"),
        *("audio/aac", "audio/amr", "audio/flac", "audio/mp4", "audio/mpeg", "audio/ogg", "audio/wav", "audio/webm"),
        *("video/3gpp", "video/mp4", "video/mpeg", "video/ogg", "video/quicktime", "video/webm"),
        "text/plain",
    }
)
"""Types that are shown where they are. Not SVG and HTML, which run scripts, nor PDF, which some viewers let."""

# Separators of paths, what reverses the direction of writing, and what no header or file system takes.
_ODD: Final = re.compile('[\x00-\x1f\x7f-\x9f/\\\\:*?"<>|\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]')
_NOT_ASCII: Final = re.compile(r"[^ -~]|[%\"\\]")
_NAME_CHARS: Final = 200

_CONTENT_SECURITY: Final = (
    "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'"
)

ALWAYS: Final = (
    ("X-Content-Type-Options", "nosniff"),
    ("Content-Security-Policy", _CONTENT_SECURITY),
    # The URL is as good as a key: pages that are reached from here do not hear of it.
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "cross-origin"),
    ("Accept-Ranges", "bytes"),
)


def entity_tag(media: Media) -> str:
    return f'"{media.sha256[:32]}"'


def headers_of(media: Media, cache: str) -> tuple[tuple[str, str], ...]:
    """All but what says which part of it is sent."""
    return (
        ("Content-Type", media.content_type),
        ("Content-Disposition", disposition(media)),
        ("ETag", entity_tag(media)),
        ("Cache-Control", cache),
        *ALWAYS,
    )


def disposition(media: Media) -> str:
    """How it is offered, and under which name (RFC 6266, RFC 8187): the last part of a path, without odd characters."""
    bare = media.content_type.partition(";")[0].strip()
    kind = "inline" if bare in _INLINE else "attachment"
    name = safe_name(media.filename)
    if name is None:
        return kind
    plain = _NOT_ASCII.sub("_", name)
    return f'{kind}; filename="{plain}"' + ("" if plain == name else f"; filename*=UTF-8''{quote(name, safe='')}")


def safe_name(filename: str | None) -> str | None:
    """A name that is one in every file system; None when nothing is left of it."""
    if filename is None:
        return None
    last = re.split(r"[/\\]", filename)[-1]
    name = _ODD.sub("_", last).strip(" .")
    if len(name) > _NAME_CHARS:
        stem, dot, ending = name.rpartition(".")
        name = f"{stem[: _NAME_CHARS - len(ending) - 1]}.{ending}" if dot and len(ending) < 20 else name[:_NAME_CHARS]
    return name or None
