"""What Messenger tells: messages of people, and how far ours have come.

What cannot be read of a signed request is passed over, or told as a message that cannot be shown: refused, it would
come again and hold up the rest.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any, Final

import msgspec

from tertulia.server.domain.channels import Incoming, IncomingMedia, Report
from tertulia.server.domain.receipts import ReceiptStatus

from ..graph.bounded import attributes, lines
from ..graph.callbacks import is_recent, read
from ..graph.files import OCTETS, type_at
from . import said

KIND: Final = "messenger"
SUBJECT: Final = "page"
UNSHOWN: Final = "(A message that cannot be shown here.)"

_ID: Final = re.compile(r"[0-9A-Za-z_.-]{1,100}", re.ASCII)
_MILLISECOND: Final = 1000
_OTHERWISE: Final = {"image": "image/jpeg", "video": "video/mp4", "audio": "audio/mpeg"}
"""UNVERIFIED: what an attachment is whose URL does not tell."""


class Hearing:
    """Reads for the pages of one gateway."""

    def __init__(self, pages: Collection[str]) -> None:
        self._pages = pages

    def events(self, entries: tuple[msgspec.Raw, ...], now_us: int) -> Iterator[Incoming | Report]:
        """All that is told, in its order."""
        for raw_entry in entries:
            entry = read(raw_entry, said.Entry)
            page = "" if entry is None else str(entry.id)
            if entry is None or page not in self._pages:
                continue  # another gateway's, or nobody's
            for raw in entry.messaging:
                event = read(raw, said.Event)
                person = None if event is None else str(event.sender.id)
                # What the page says itself comes back as an echo: its sender is the page.
                if event is None or not person or person == page or not _ID.fullmatch(person):
                    continue
                yield from _of(event, f"{KIND}:{person}", f"{KIND}:{page}", now_us)


def _of(event: said.Event, person: str, page: str, now_us: int) -> Iterator[Incoming | Report]:
    if event.delivery is not None:
        for mid in event.delivery.mids or ():
            yield Report(status=ReceiptStatus.DELIVERED, handle=mid)
        yield from _until(ReceiptStatus.DELIVERED, event.delivery.watermark, person, page)
    if event.read is not None:
        yield from _until(ReceiptStatus.READ, event.read.watermark, person, page)
    if event.timestamp and not is_recent(event.timestamp * _MILLISECOND, now_us):
        return  # said a week ago it is no news: it is a request of then that somebody has kept
    if bytes(event.message):
        yield from _message(event.message, person, page)
    if event.postback is not None:
        yield from _postback(event.postback, event.timestamp, person, page)
    if event.reaction is not None and event.reaction.action == "react" and event.reaction.emoji:
        yield Incoming(
            # It has no name of its own.
            provider_id=f"reaction:{event.reaction.mid}:{person}:{event.timestamp}",
            sender=person,
            recipient=page,
            text=event.reaction.emoji,
            attributes=attributes(KIND, {"reaction": msgspec.to_builtins(event.reaction)}),
        )


def _until(status: ReceiptStatus, watermark: int, person: str, page: str) -> Iterator[Report]:
    if watermark:
        # All of its millisecond.
        up_to = (watermark + 1) * _MILLISECOND - 1
        yield Report(status=status, up_to=up_to, sender=page, recipient=person)


def _message(raw: msgspec.Raw, person: str, page: str) -> Iterator[Incoming]:
    message = read(raw, said.Message)
    named = message or read(raw, said.Named)
    if named is None or not named.mid or named.is_echo:
        return
    if message is None:
        yield Incoming(provider_id=named.mid, sender=person, recipient=page, text=UNSHOWN)
        return
    if message.is_deleted:
        return  # what was said stays said
    files = tuple(file for file in map(_file, message.attachments) if file is not None)
    shared = [lines(each.title, each.url or _url(each)) for each in message.attachments if _file(each) is None]
    text = message.text or lines(*shared)
    if text is None and not files:
        text = UNSHOWN
    told: dict[str, Any] = {}
    if message.quick_reply is not None:
        told["quick_reply"] = {"payload": message.quick_reply.payload}
    if message.reply_to is not None:
        told["reply_to"] = message.reply_to.mid
    told["attachments"] = [each.type for each in message.attachments[:20] if _file(each) is None or _is_sticker(each)]
    yield Incoming(
        provider_id=message.mid,
        sender=person,
        recipient=page,
        text=text,
        media=files,
        attributes=attributes(KIND, told),
    )


def _postback(postback: said.Postback, timestamp: int, person: str, page: str) -> Iterator[Incoming]:
    told: dict[str, Any] = {"postback": {"payload": postback.payload}}
    if postback.referral is not None:
        told["referral"] = msgspec.to_builtins(postback.referral)
    yield Incoming(
        provider_id=postback.mid or f"postback:{person}:{timestamp}",
        sender=person,
        recipient=page,
        text=postback.title or postback.payload or UNSHOWN,
        attributes=attributes(KIND, told),
    )


def _file(attachment: said.Attachment) -> IncomingMedia | None:
    """The file of an attachment that is one; a shared link or post is none."""
    url = _url(attachment)
    if url is None or attachment.type not in (*_OTHERWISE, "file"):
        return None
    return IncomingMedia(content_type=type_at(url, _OTHERWISE.get(attachment.type, OCTETS)), reference=url)


def _url(attachment: said.Attachment) -> str | None:
    return attachment.payload.url if attachment.payload is not None and attachment.payload.url else None


def _is_sticker(attachment: said.Attachment) -> bool:
    return attachment.payload is not None and attachment.payload.sticker_id is not None
