"""Files as WhatsApp's messages have them."""

from __future__ import annotations

from collections.abc import Mapping

from ..base import MessageMedia
from ..graph.client import JSON
from .limits import AUDIO, IMAGE_BYTES, IMAGES, VIDEOS


def file_kind(media: MessageMedia) -> str:
    """What a file is shown as; what WhatsApp would not show goes as a document."""
    bare = media.content_type.partition(";")[0].strip().lower()
    if bare in IMAGES and media.size <= IMAGE_BYTES:
        return "image"
    if bare in VIDEOS:
        return "video"
    return "audio" if bare in AUDIO else "document"


def takes_caption(kind: str) -> bool:
    return kind != "audio"


def file_body(kind: str, source: Mapping[str, str], filename: str | None, caption: str | None) -> JSON:
    """``source`` is its ``id`` with WhatsApp, or a ``link``."""
    named = {"filename": filename} if kind == "document" and filename else {}
    words = {"caption": caption} if caption else {}
    return {"type": kind, kind: {**source, **named, **words}}
