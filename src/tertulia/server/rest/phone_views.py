"""How simulated phones, and what is on them, look in answers."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import field

from tertulia.server.channels.simulator.media import PhoneMedia
from tertulia.server.channels.simulator.phones import Phone, PhoneMessage
from tertulia.server.domain.values import second


class PhoneView(msgspec.Struct, frozen=True):
    address: str
    gateway_sid: str
    outcome: str
    """Of messages to it: ``delivered``, ``undelivered``, ``refused``, ``lost``, ``busy``, ``unanswered``."""
    error_code: int
    """Of what is undelivered or refused; 0: the usual one."""
    delay_s: float | None
    """How long they are on their way; null: as the simulator is set."""
    loss: float | None
    """Part of them that nobody hears of again; null: as the simulator is set."""
    reads_after_s: float | None
    """So long after it got one it reads it by itself; null: it does not."""
    duplicates: int
    """How often more than once the server is told everything about it."""
    is_reordered: bool
    """The server is told in the wrong order."""
    opted_out_of: list[str]
    """Addresses that its carrier lets nothing through from."""
    unread: int
    messages: int

    @classmethod
    def of(cls, phone: Phone, gateway_sid: str) -> PhoneView:
        behaviour = phone.behaviour
        return cls(
            address=phone.address,
            gateway_sid=gateway_sid,
            outcome=behaviour.outcome,
            error_code=behaviour.error_code,
            delay_s=behaviour.delay_s,
            loss=behaviour.loss,
            reads_after_s=behaviour.reads_after_s,
            duplicates=behaviour.duplicates,
            is_reordered=behaviour.is_reordered,
            opted_out_of=list(phone.stopped),
            unread=sum(phone.is_unread(message) for message in phone.messages),
            messages=len(phone.messages),
        )


class PhoneList(msgspec.Struct, frozen=True):
    phones: list[PhoneView]


class PhoneMediaView(msgspec.Struct, frozen=True):
    sid: str
    content_type: str
    filename: str | None
    size: int
    url: str
    """Its bytes, as long as there is room for them."""

    @classmethod
    def of(cls, media: PhoneMedia, phone: str) -> PhoneMediaView:
        return cls(media.sid, media.content_type, media.filename, media.size, f"{phone}/Media/{media.sid}")


class TemplateView(msgspec.Struct, frozen=True):
    name: str
    language: str
    type: str
    content: dict[str, Any]
    """Its members, placeholders still in them."""
    variables: dict[str, str]


class PhoneMessageView(msgspec.Struct, frozen=True):
    sid: str
    is_mine: bool
    """The phone wrote it."""
    is_unread: bool
    sender: str = field(name="from")
    recipients: list[str] = field(name="to")
    """All that have it but its sender; in a group several."""
    ours: list[str]
    """Who of them, or the sender, is an address of the account."""
    text: str | None
    subject: str | None
    media: list[PhoneMediaView]
    template: TemplateView | None
    date_created: str

    @classmethod
    def of(cls, message: PhoneMessage, phone: Phone, url: str) -> PhoneMessageView:
        template = message.template
        return cls(
            sid=message.sid,
            is_mine=message.sender == phone.address,
            is_unread=phone.is_unread(message),
            sender=message.sender,
            recipients=list(message.recipients),
            ours=sorted(message.ours),
            text=message.text,
            subject=message.subject,
            media=[PhoneMediaView.of(media, url) for media in message.media],
            template=None
            if template is None
            else TemplateView(
                template.name, template.language, template.type, dict(template.content), dict(template.variables)
            ),
            date_created=second(message.at),
        )


class PhoneMessageList(msgspec.Struct, frozen=True):
    messages: list[PhoneMessageView]


class ReadView(msgspec.Struct, frozen=True):
    read: int
    """How many it had not read before."""
