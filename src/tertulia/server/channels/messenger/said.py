"""What Messenger's webhooks have in them, as far as it is read."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

Moment = Annotated[int, Meta(ge=0, le=1 << 48)]
"""Milliseconds since 1970."""


class Entry(msgspec.Struct, frozen=True):
    """What happened to one page."""

    id: str | int = ""
    messaging: tuple[msgspec.Raw, ...] = ()


class Party(msgspec.Struct, frozen=True):
    id: str | int = ""


class Payload(msgspec.Struct, frozen=True):
    url: str | None = None
    sticker_id: int | None = None
    title: str | None = None


class Attachment(msgspec.Struct, frozen=True):
    type: str = ""
    payload: Payload | None = None
    title: str | None = None
    url: str | None = None


class QuickReply(msgspec.Struct, frozen=True):
    payload: str = ""


class ReplyTo(msgspec.Struct, frozen=True):
    mid: str = ""


class Message(msgspec.Struct, frozen=True):
    mid: str
    text: str | None = None
    attachments: tuple[Attachment, ...] = ()
    quick_reply: QuickReply | None = None
    reply_to: ReplyTo | None = None
    is_echo: bool = False
    is_deleted: bool = False


class Delivery(msgspec.Struct, frozen=True):
    mids: tuple[str, ...] | None = None
    watermark: Moment = 0


class Read(msgspec.Struct, frozen=True):
    watermark: Moment = 0


class Referral(msgspec.Struct, frozen=True):
    """What brought the person."""

    ref: str = ""
    source: str = ""
    type: str = ""
    ad_id: str = ""


class Postback(msgspec.Struct, frozen=True):
    """A button that was pressed."""

    title: str = ""
    payload: str = ""
    mid: str = ""
    referral: Referral | None = None


class Reaction(msgspec.Struct, frozen=True):
    mid: str = ""
    action: str = ""
    emoji: str = ""
    reaction: str = ""


class Event(msgspec.Struct, frozen=True):
    """One thing that happened; of its members there is one."""

    sender: Party = Party()
    recipient: Party = Party()
    timestamp: Moment = 0
    message: msgspec.Raw = msgspec.Raw()
    """Unread, so that one that is odd does not hide whom it is from; empty where there is none."""
    delivery: Delivery | None = None
    read: Read | None = None
    postback: Postback | None = None
    reaction: Reaction | None = None


class Named(msgspec.Struct, frozen=True):
    """Of a message that cannot be read."""

    mid: str
    is_echo: bool = False
