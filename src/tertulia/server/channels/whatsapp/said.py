"""What WhatsApp's webhooks have in them, as far as it is read."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, field

Word = Annotated[str, Meta(max_length=1000)]


class Metadata(msgspec.Struct, frozen=True):
    display_phone_number: Word = ""
    phone_number_id: Word = ""


class Profile(msgspec.Struct, frozen=True):
    name: str = ""


class Contact(msgspec.Struct, frozen=True):
    """The person who writes."""

    wa_id: str = ""
    profile: Profile = Profile()


class Value(msgspec.Struct, frozen=True):
    """What has happened to one number."""

    metadata: Metadata = Metadata()
    contacts: tuple[msgspec.Raw, ...] = ()
    messages: tuple[msgspec.Raw, ...] = ()
    statuses: tuple[msgspec.Raw, ...] = ()


class Change(msgspec.Struct, frozen=True):
    field: str = ""
    value: msgspec.Raw = msgspec.Raw(b"{}")


class Entry(msgspec.Struct, frozen=True):
    changes: tuple[msgspec.Raw, ...] = ()


class Error(msgspec.Struct, frozen=True):
    code: int = 0


class Text(msgspec.Struct, frozen=True):
    body: str = ""


class File(msgspec.Struct, frozen=True):
    id: Word
    mime_type: str = "application/octet-stream"
    caption: str | None = None
    filename: str | None = None
    file_size: int | None = None
    animated: bool = False
    voice: bool = False


class Pressed(msgspec.Struct, frozen=True):
    """A button of a template."""

    text: str = ""
    payload: str = ""


class Choice(msgspec.Struct, frozen=True):
    id: str = ""
    title: str = ""
    description: str = ""


class FlowReply(msgspec.Struct, frozen=True):
    name: str = ""
    body: str = ""
    response_json: str = ""


class Chosen(msgspec.Struct, frozen=True):
    type: str = ""
    button_reply: Choice | None = None
    list_reply: Choice | None = None
    nfm_reply: FlowReply | None = None


class Reaction(msgspec.Struct, frozen=True):
    message_id: str = ""
    emoji: str | None = None
    """None, or nothing: it was taken back."""


class Place(msgspec.Struct, frozen=True):
    latitude: float
    longitude: float
    name: str = ""
    address: str = ""
    url: str = ""


class CardName(msgspec.Struct, frozen=True):
    formatted_name: str = ""
    first_name: str = ""
    last_name: str = ""


class CardPhone(msgspec.Struct, frozen=True):
    phone: str = ""
    type: str = ""
    wa_id: str = ""


class CardEmail(msgspec.Struct, frozen=True):
    email: str = ""
    type: str = ""


class Card(msgspec.Struct, frozen=True):
    """Somebody whom the person tells of."""

    name: CardName = CardName()
    phones: tuple[CardPhone, ...] = ()
    emails: tuple[CardEmail, ...] = ()


class Item(msgspec.Struct, frozen=True):
    product_retailer_id: str = ""
    quantity: float | str = 0
    item_price: float | str = 0
    currency: str = ""


class Order(msgspec.Struct, frozen=True):
    catalog_id: str = ""
    text: str = ""
    product_items: tuple[Item, ...] = ()


class System(msgspec.Struct, frozen=True):
    body: str = ""
    type: str = ""
    wa_id: str = ""
    new_wa_id: str = ""


class Context(msgspec.Struct, frozen=True):
    """What a message answers, or where it was taken from."""

    id: str = ""
    forwarded: bool = False
    frequently_forwarded: bool = False


class Referral(msgspec.Struct, frozen=True):
    """The advertisement that brought the person."""

    source_url: str = ""
    source_type: str = ""
    source_id: str = ""
    headline: str = ""
    body: str = ""
    ctwa_clid: str = ""


class Head(msgspec.Struct, frozen=True):
    """What every message has."""

    id: str
    sender: str = field(name="from")
    timestamp: str | int = ""
    type: str = "unknown"


class Message(Head, frozen=True):
    """A message; of its parts there is the one that its type names."""

    text: Text | None = None
    image: File | None = None
    video: File | None = None
    audio: File | None = None
    document: File | None = None
    sticker: File | None = None
    button: Pressed | None = None
    interactive: Chosen | None = None
    reaction: Reaction | None = None
    location: Place | None = None
    contacts: tuple[Card, ...] = ()
    order: Order | None = None
    system: System | None = None
    context: Context | None = None
    referral: Referral | None = None
    errors: tuple[Error, ...] = ()

    @property
    def file(self) -> File | None:
        return self.image or self.video or self.audio or self.document or self.sticker


class Status(msgspec.Struct, frozen=True):
    id: str
    status: str
    recipient_id: str = ""
    errors: tuple[Error, ...] = ()
