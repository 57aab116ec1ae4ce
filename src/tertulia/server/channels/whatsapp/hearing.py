"""What WhatsApp tells: messages of people, and how far ours have come.

What cannot be read of a signed request is passed over, or told as a message that cannot be shown: refused, it would
come again for a week and hold up the rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from tertulia.server.domain.channels import Incoming, IncomingMedia, Report
from tertulia.server.domain.receipts import ReceiptStatus

from ..graph.bounded import attributes, lines
from ..graph.callbacks import is_recent, read
from ..graph.codes import Codes
from . import said

KIND: Final = "whatsapp"
SUBJECT: Final = "whatsapp_business_account"
UNSHOWN: Final = "(A message that cannot be shown here.)"

_DIGITS: Final = re.compile(r"[1-9][0-9]{4,14}", re.ASCII)
_SECONDS: Final = re.compile(r"[0-9]{1,11}", re.ASCII)
_STATES: Final = {
    "sent": ReceiptStatus.SENT,
    "delivered": ReceiptStatus.DELIVERED,
    "read": ReceiptStatus.READ,
    "played": ReceiptStatus.READ,
    "failed": ReceiptStatus.FAILED,
}


class Hearing:
    """Reads for the numbers of one gateway; ``numbers`` has their addresses by id, None: as Meta writes it."""

    def __init__(self, numbers: Mapping[str, str | None], codes: Codes) -> None:
        self._numbers = numbers
        self._codes = codes

    def events(self, entries: tuple[msgspec.Raw, ...], now_us: int) -> Iterator[Incoming | Report]:
        """All that is told, in its order."""
        for value in _values(entries):
            number_id = value.metadata.phone_number_id
            if number_id not in self._numbers:
                continue  # another gateway's, or nobody's
            ours = address_of(self._numbers[number_id] or value.metadata.display_phone_number)
            if ours is not None:
                names = _names(value)
                for raw in value.messages:
                    incoming = self._message(raw, ours, names, now_us)
                    if incoming is not None:
                        yield incoming
            for raw in value.statuses:
                report = self._status(raw)
                if report is not None:
                    yield report

    def _message(self, raw: msgspec.Raw, ours: str, names: Mapping[str, str], now_us: int) -> Incoming | None:
        message = read(raw, said.Message)
        head = message or read(raw, said.Head)
        if head is None:
            return None
        sender = address_of(head.sender)
        if not head.id or sender is None or not _is_told_in_time(head.timestamp, now_us):
            return None
        text, told = (UNSHOWN, {"type": head.type}) if message is None else _content(message)
        media = () if message is None or message.file is None else (_media(message.file),)
        if text is None and not media:
            return None
        return Incoming(
            provider_id=head.id,
            sender=sender,
            recipient=ours,
            text=text,
            media=media,
            profile_name=names.get(head.sender) or None,
            attributes=attributes(KIND, told),
        )

    def _status(self, raw: msgspec.Raw) -> Report | None:
        status = read(raw, said.Status)
        state = None if status is None else _STATES.get(status.status)
        if status is None or state is None or not status.id:
            return None
        if state is not ReceiptStatus.FAILED:
            return Report(status=state, handle=status.id)
        meaning = self._codes.meaning(status.errors[0].code if status.errors else -1)
        return Report(
            status=ReceiptStatus.UNDELIVERED if meaning.is_undelivered else state,
            handle=status.id,
            error_code=meaning.code,
        )


def address_of(number: str) -> str | None:
    """``whatsapp:+1…`` of a number in any spelling; None where it is none."""
    digits = re.sub(r"[ ()+.-]", "", number)
    return f"{KIND}:+{digits}" if _DIGITS.fullmatch(digits) else None


def _values(entries: tuple[msgspec.Raw, ...]) -> Iterator[said.Value]:
    for raw_entry in entries:
        entry = read(raw_entry, said.Entry)
        for raw_change in () if entry is None else entry.changes:
            change = read(raw_change, said.Change)
            value = read(change.value, said.Value) if change is not None and change.field == "messages" else None
            if value is not None:
                yield value


def _names(value: said.Value) -> dict[str, str]:
    contacts = [read(raw, said.Contact) for raw in value.contacts]
    return {contact.wa_id: contact.profile.name for contact in contacts if contact is not None}


def _is_told_in_time(timestamp: str | int, now_us: int) -> bool:
    """What was said a week ago is no news: it is a request of then that somebody has kept."""
    seconds = str(timestamp)
    return not _SECONDS.fullmatch(seconds) or is_recent(int(seconds) * 1_000_000, now_us)


def _media(file: said.File) -> IncomingMedia:
    return IncomingMedia(
        content_type=file.mime_type, filename=file.filename or None, reference=file.id, size=file.file_size
    )


def _content(message: said.Message) -> tuple[str | None, dict[str, Any]]:
    """Its words, and what has none; neither: there is nothing to show."""
    text, told = _said(message)
    if message.context is not None:
        told["reply_to"] = message.context.id
        told["forwarded"] = message.context.forwarded or message.context.frequently_forwarded or None
    if message.referral is not None:
        told["referral"] = msgspec.to_builtins(message.referral)
    return text, told


def _said(message: said.Message) -> tuple[str | None, dict[str, Any]]:
    match message:
        case said.Message(type="text", text=said.Text(body=body)) if body:
            return body, {}
        case said.Message(type="image" | "video" | "audio" | "document" | "sticker") if message.file is not None:
            kinds = {"type": message.type if message.type == "sticker" else None, "voice": message.file.voice or None}
            return message.file.caption or None, kinds
        case said.Message(type="button", button=said.Pressed() as pressed):
            return pressed.text or pressed.payload or UNSHOWN, {"button": {"payload": pressed.payload}}
        case said.Message(type="interactive", interactive=said.Chosen() as chosen):
            return _chosen(chosen)
        case said.Message(type="reaction", reaction=said.Reaction() as reaction):
            # Taken back it says nothing, and what it said stays.
            return reaction.emoji or None, {"reaction": msgspec.to_builtins(reaction)}
        case said.Message(type="location", location=said.Place() as place):
            where = f"{place.latitude}, {place.longitude}"
            return lines(place.name, place.address, where), {"location": msgspec.to_builtins(place)}
        case said.Message(type="contacts", contacts=cards) if cards:
            return _cards(cards), {"contacts": [_card(card) for card in cards[:10]]}
        case said.Message(type="order", order=said.Order() as order):
            items = [f"{item.quantity} x {item.product_retailer_id}" for item in order.product_items[:50]]
            return lines(order.text, *items) or UNSHOWN, {"order": msgspec.to_builtins(order)}
        case said.Message(type="system", system=said.System() as system):
            return system.body or None, {"system": msgspec.to_builtins(system)}
        case _:
            codes = [error.code for error in message.errors[:5]]
            return UNSHOWN, {"type": message.type, "errors": codes}


def _chosen(chosen: said.Chosen) -> tuple[str | None, dict[str, Any]]:
    reply = chosen.button_reply or chosen.list_reply
    if reply is not None:
        return reply.title or reply.id or UNSHOWN, {"interactive": {"type": chosen.type, **msgspec.to_builtins(reply)}}
    if chosen.nfm_reply is not None:
        flow = chosen.nfm_reply
        return flow.body or UNSHOWN, {"interactive": {"type": chosen.type, **msgspec.to_builtins(flow)}}
    return UNSHOWN, {"type": f"interactive/{chosen.type}"}


def _cards(cards: tuple[said.Card, ...]) -> str:
    told: list[str | None] = []
    for card in cards:
        told += [card.name.formatted_name, *(each.phone for each in card.phones), *(each.email for each in card.emails)]
    return lines(*told) or UNSHOWN


def _card(card: said.Card) -> dict[str, Any]:
    return {
        "name": card.name.formatted_name,
        "phones": [each.phone for each in card.phones[:5]],
        "emails": [each.email for each in card.emails[:5]],
    }
