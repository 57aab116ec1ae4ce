"""The types that a content template may have, as they are published: members, which of them are needed, what they hold.

A type of the published description is a struct of the same members. What it says in sentences alone ("at least one
additional field", "up to 10 options") is checked too. A member that is null is absent: the helper libraries send every
member they know.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType, field

from . import limits
from .errors import BAD_PARAMETER, TertuliaError

Latitude = Annotated[float, Meta(ge=-90, le=90)]
Longitude = Annotated[float, Meta(ge=-180, le=180)]


class Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An object in a template. What it does not have is not shown, either."""


class ListItem(Part, frozen=True, kw_only=True):
    id: str
    item: str
    description: str | UnsetType = UNSET


class CallToActionAction(Part, frozen=True, kw_only=True):
    type: Literal["URL", "PHONE_NUMBER", "COPY_CODE", "VOICE_CALL", "VOICE_CALL_REQUEST"]
    title: str
    url: str | UnsetType = UNSET
    phone: str | UnsetType = UNSET
    code: str | UnsetType = UNSET
    id: str | UnsetType = UNSET


class QuickReplyAction(Part, frozen=True, kw_only=True):
    type: Literal["QUICK_REPLY"] | UnsetType = UNSET
    title: str
    id: str | UnsetType = UNSET


class CardAction(Part, frozen=True, kw_only=True):
    type: Literal["URL", "PHONE_NUMBER", "QUICK_REPLY", "COPY_CODE", "VOICE_CALL"]
    title: str
    url: str | UnsetType = UNSET
    phone: str | UnsetType = UNSET
    id: str | UnsetType = UNSET
    code: str | UnsetType = UNSET
    webview_size: Literal["TALL", "FULL", "HALF", "NONE"] | UnsetType = UNSET


class CarouselAction(Part, frozen=True, kw_only=True):
    type: Literal["URL", "PHONE_NUMBER", "QUICK_REPLY"]
    title: str
    url: str | UnsetType = UNSET
    phone: str | UnsetType = UNSET
    id: str | UnsetType = UNSET


class AuthenticationAction(Part, frozen=True, kw_only=True):
    type: Literal["COPY_CODE"]
    copy_code_text: str


class CatalogItem(Part, frozen=True, kw_only=True):
    id: str | UnsetType = UNSET
    section_title: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    media_url: str | UnsetType = UNSET
    price: float | UnsetType = UNSET
    description: str | UnsetType = UNSET


class CarouselCard(Part, frozen=True, kw_only=True):
    title: str | UnsetType = UNSET
    body: str
    media: str
    actions: tuple[CarouselAction, ...]


class FlowsPageComponent(Part, frozen=True, kw_only=True):
    label: str | UnsetType = UNSET
    type: str


class FlowsPage(Part, frozen=True, kw_only=True):
    id: str
    next_page_id: str | UnsetType = UNSET
    title: str
    subtitle: str | UnsetType = UNSET
    layout: tuple[FlowsPageComponent, ...]


# --- the types themselves


class Text(Part, frozen=True, kw_only=True):
    body: str


class MediaContent(Part, frozen=True, kw_only=True):
    body: str | UnsetType = UNSET
    media: tuple[str, ...]
    """URLs."""

    def __post_init__(self) -> None:
        if not self.body and not self.media:
            raise ValueError("a body or media is needed")


class Location(Part, frozen=True, kw_only=True):
    latitude: Latitude
    longitude: Longitude
    label: str | UnsetType = UNSET
    id: str | UnsetType = UNSET
    address: str | UnsetType = UNSET


class ListPicker(Part, frozen=True, kw_only=True):
    body: str
    button: str
    items: Annotated[tuple[ListItem, ...], Meta(max_length=limits.CONTENT_OPTIONS)]


class CallToAction(Part, frozen=True, kw_only=True):
    body: str
    actions: tuple[CallToActionAction, ...]


class QuickReply(Part, frozen=True, kw_only=True):
    body: str
    actions: tuple[QuickReplyAction, ...]


class Card(Part, frozen=True, kw_only=True):
    title: str | UnsetType = UNSET
    subtitle: str | UnsetType = UNSET
    media: tuple[str, ...] | UnsetType = UNSET
    actions: tuple[CardAction, ...] | UnsetType = UNSET

    def __post_init__(self) -> None:
        if not self.title:
            raise ValueError("a title is needed")
        if not (self.subtitle or self.media or self.actions):
            raise ValueError("a subtitle, media or actions are needed beside the title")


class Catalog(Part, frozen=True, kw_only=True):
    title: str | UnsetType = UNSET
    body: str
    subtitle: str | UnsetType = UNSET
    id: str | UnsetType = UNSET
    items: tuple[CatalogItem, ...] | UnsetType = UNSET
    dynamic_items: str | UnsetType = UNSET


class Carousel(Part, frozen=True, kw_only=True):
    body: str
    cards: Annotated[tuple[CarouselCard, ...], Meta(max_length=limits.CONTENT_OPTIONS)]


class Flows(Part, frozen=True, kw_only=True):
    body: str
    button_text: str
    subtitle: str | UnsetType = UNSET
    media_url: str | UnsetType = UNSET
    pages: tuple[FlowsPage, ...]
    type: str


class Schedule(Part, frozen=True, kw_only=True):
    id: str
    title: str
    slots: str = field(name="timeSlots")


class WhatsappCard(Part, frozen=True, kw_only=True):
    body: str
    footer: str | UnsetType = UNSET
    media: tuple[str, ...] | UnsetType = UNSET
    header_text: str | UnsetType = UNSET
    actions: tuple[CardAction, ...] | UnsetType = UNSET

    def __post_init__(self) -> None:
        if not (self.footer or self.media or self.header_text or self.actions):
            raise ValueError("a footer, media, header_text or actions are needed beside the body")


class WhatsappAuthentication(Part, frozen=True, kw_only=True):
    add_security_recommendation: bool | UnsetType = UNSET
    code_expiration_minutes: float | UnsetType = UNSET
    actions: tuple[AuthenticationAction, ...]


class WhatsappFlows(Part, frozen=True, kw_only=True):
    body: str
    button_text: str
    subtitle: str | UnsetType = UNSET
    media_url: str | UnsetType = UNSET
    flow_id: str
    flow_token: str | UnsetType = UNSET
    flow_first_page_id: str | UnsetType = UNSET
    is_flow_first_page_endpoint: bool | UnsetType = UNSET


class Types(Part, frozen=True, kw_only=True):
    """What one template says, in one or several types."""

    text: Text | UnsetType = field(name="twilio/text", default=UNSET)
    media: MediaContent | UnsetType = field(name="twilio/media", default=UNSET)
    location: Location | UnsetType = field(name="twilio/location", default=UNSET)
    list_picker: ListPicker | UnsetType = field(name="twilio/list-picker", default=UNSET)
    call_to_action: CallToAction | UnsetType = field(name="twilio/call-to-action", default=UNSET)
    quick_reply: QuickReply | UnsetType = field(name="twilio/quick-reply", default=UNSET)
    card: Card | UnsetType = field(name="twilio/card", default=UNSET)
    catalog: Catalog | UnsetType = field(name="twilio/catalog", default=UNSET)
    carousel: Carousel | UnsetType = field(name="twilio/carousel", default=UNSET)
    flows: Flows | UnsetType = field(name="twilio/flows", default=UNSET)
    schedule: Schedule | UnsetType = field(name="twilio/schedule", default=UNSET)
    whatsapp_card: WhatsappCard | UnsetType = field(name="whatsapp/card", default=UNSET)
    whatsapp_authentication: WhatsappAuthentication | UnsetType = field(name="whatsapp/authentication", default=UNSET)
    whatsapp_flows: WhatsappFlows | UnsetType = field(name="whatsapp/flows", default=UNSET)

    @property
    def names(self) -> tuple[str, ...]:
        """The types it has, in the order of the description."""
        return tuple(name for name, own in _NAMES.items() if getattr(self, own) is not UNSET)

    @property
    def richest(self) -> str:
        """Of those that conversations show the richest; where there is none, the first of the others."""
        return next((name for name in SHOWN if self.get(name) is not None), self.names[0])

    def get(self, name: str) -> Part | None:
        """The object of a type; None where there is none."""
        part = getattr(self, _NAMES[name])
        return part if isinstance(part, Part) else None


_NAMES: Final = {info.encode_name: info.name for info in msgspec.structs.fields(Types)}

TYPES: Final = tuple(_NAMES)
"""The names of all published types."""

SHOWN: Final = (
    "twilio/card",
    "twilio/list-picker",
    "twilio/quick-reply",
    "twilio/call-to-action",
    "twilio/location",
    "twilio/media",
    "twilio/text",
)
"""Those that conversations show, the richest first; a message of a template without any is refused with 50542."""


def read_types(text: bytes) -> Types:
    """The types of a template, out of JSON; raises 20001 that says where something is wrong with them."""
    if len(text) > limits.CONTENT_TYPES:
        raise BAD_PARAMETER(f"types has {len(text)} bytes, {limits.CONTENT_TYPES} are allowed")
    try:
        given = _without_nulls(msgspec.json.decode(text))
        if not isinstance(given, dict):
            raise BAD_PARAMETER("types is no JSON object")
        unknown = next((name for name in given if name not in _NAMES), None)
        if unknown is not None:
            raise BAD_PARAMETER(f"types: {unknown[:64]!r} is no content type; there are {', '.join(TYPES)}")
        types = msgspec.convert(given, Types)
    except msgspec.ValidationError as error:
        raise _unfit(error) from None
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise BAD_PARAMETER("types is no JSON object") from None
    if not types.names:
        raise BAD_PARAMETER(f"types is empty; name at least one of {', '.join(TYPES)}")
    return types


def _without_nulls(value: Any) -> Any:
    """Members that are null are gone; what is in a list stays."""
    if isinstance(value, dict):
        return {name: _without_nulls(member) for name, member in value.items() if member is not None}
    return [_without_nulls(each) for each in value] if isinstance(value, list) else value


_TOLD_CHARS: Final = 200
"""Names that were sent may be part of a sentence, and long."""


def _unfit(error: msgspec.ValidationError) -> TertuliaError:
    why, _, where = str(error).partition(" - at `$")
    path = where.rstrip("`")[:_TOLD_CHARS]
    return BAD_PARAMETER(f"types{path}: {why[:_TOLD_CHARS]}")
