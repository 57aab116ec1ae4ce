"""Approved templates: their name, and for each component the parameters that its placeholders stand for.

The texts themselves are with WhatsApp; what is sent is what differs. A template is expected to be registered there as
the hosted service registers its content: media above, title or body, subtitle or footer below, then the buttons.
UNVERIFIED where that service does it differently.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import UNSET, UnsetType

from tertulia.server.domain import content_types as contents

from ..base import MessageTemplate, Refused
from ..graph.client import JSON
from ..graph.codes import NOT_ACCEPTED, OUTSIDE_WINDOW, PARAMETERS
from ..graph.files import type_at
from .placeholders import fill, names_in, parameters

Variables = Mapping[str, str]


def template_body(template: MessageTemplate) -> JSON:
    """What is posted for an approved template. Refused for types that WhatsApp has no templates of."""
    components = components_of(template)
    return {
        "type": "template",
        "template": {
            "name": template.name,
            "language": {"code": template.language.replace("-", "_")},
            **({"components": components} if components else {}),
        },
    }


def components_of(template: MessageTemplate) -> list[JSON]:
    make = _MAKERS.get(template.type)
    if make is None:
        if template.type == "twilio/list-picker":
            raise Refused(OUTSIDE_WINDOW, "WhatsApp has no templates with lists: they go within the window alone")
        raise Refused(NOT_ACCEPTED, f"templates of type {template.type} cannot be sent")
    return make(template)


def part_of(template: MessageTemplate, kind: type[Any]) -> Any:
    """The content as the type it is. Refused where it is none: it was approved, and changed since."""
    try:
        return msgspec.convert(template.content, kind)
    except msgspec.ValidationError:
        raise Refused(NOT_ACCEPTED, f"the template's content is no {template.type}") from None


def shown(text: str | UnsetType) -> str:
    return "" if text is UNSET else text


# --- one component


def _body(text: str, variables: Variables) -> list[JSON]:
    values = parameters(text, variables)
    return [{"type": "body", "parameters": values}] if values else []


def _text_header(text: str, variables: Variables) -> list[JSON]:
    values = parameters(text, variables)
    return [{"type": "header", "parameters": values}] if values else []


def _media_header(urls: Sequence[str], variables: Variables) -> list[JSON]:
    """A file is named at every sending, also one that never changes."""
    if not urls:
        return []
    url = fill(urls[0], variables)
    kind = media_kind(url)
    return [{"type": "header", "parameters": [{"type": kind, kind: {"link": url}}]}]


def media_kind(url: str) -> str:
    """What the file at a URL is shown as. UNVERIFIED: by its ending; a picture where that says nothing."""
    category = type_at(url, "image/").partition("/")[0]
    return category if category in ("image", "video") else "document"


def _buttons(actions: Sequence[Any], variables: Variables) -> list[JSON]:
    """Parameters of the buttons that take some; each is known by its place among all of them."""
    made: list[JSON] = []
    for index, action in enumerate(actions):
        kind = action.type if action.type is not UNSET else "QUICK_REPLY"
        parameter = _button(kind, action, variables)
        if parameter is not None:
            sub_type = {"QUICK_REPLY": "quick_reply", "URL": "url", "COPY_CODE": "copy_code"}[kind]
            made.append({"type": "button", "sub_type": sub_type, "index": str(index), "parameters": [parameter]})
    return made


def _button(kind: str, action: Any, variables: Variables) -> JSON | None:
    if kind == "QUICK_REPLY":
        payload = fill(shown(action.id), variables)
        return {"type": "payload", "payload": payload} if payload else None
    if kind == "URL":
        return _url_parameter(shown(action.url), variables)
    if kind == "COPY_CODE":
        return {"type": "coupon_code", "coupon_code": fill(shown(action.code), variables)}
    return None


def _url_parameter(url: str, variables: Variables) -> JSON | None:
    names = names_in(url)
    if not names:
        return None
    if len(names) > 1 or not variables.get(names[0]):
        raise Refused(PARAMETERS, "a link of a template has one placeholder, and a value for it")
    return {"type": "text", "text": variables[names[0]]}


# --- the types


def _of_text(template: MessageTemplate) -> list[JSON]:
    return _body(part_of(template, contents.Text).body, template.variables)


def _of_media(template: MessageTemplate) -> list[JSON]:
    part = part_of(template, contents.MediaContent)
    return [*_media_header(part.media, template.variables), *_body(shown(part.body), template.variables)]


def _of_quick_reply(template: MessageTemplate) -> list[JSON]:
    part = part_of(template, contents.QuickReply)
    return [*_body(part.body, template.variables), *_buttons(part.actions, template.variables)]


def _of_call_to_action(template: MessageTemplate) -> list[JSON]:
    part = part_of(template, contents.CallToAction)
    return [*_body(part.body, template.variables), *_buttons(part.actions, template.variables)]


def _of_card(template: MessageTemplate) -> list[JSON]:
    """The title is the body, the subtitle the footer, which takes no parameters."""
    part, variables = part_of(template, contents.Card), template.variables
    return [
        *_media_header(() if part.media is UNSET else part.media, variables),
        *_body(shown(part.title), variables),
        *_buttons(() if part.actions is UNSET else part.actions, variables),
    ]


def _of_whatsapp_card(template: MessageTemplate) -> list[JSON]:
    part, variables = part_of(template, contents.WhatsappCard), template.variables
    return [
        *_media_header(() if part.media is UNSET else part.media, variables),
        *_text_header(shown(part.header_text), variables),
        *_body(part.body, variables),
        *_buttons(() if part.actions is UNSET else part.actions, variables),
    ]


def _of_location(template: MessageTemplate) -> list[JSON]:
    place = location_of(template)
    return [{"type": "header", "parameters": [{"type": "location", "location": place}]}]


def _of_authentication(template: MessageTemplate) -> list[JSON]:
    """Its text is Meta's own; the code goes into it, and behind its button."""
    code = template.variables.get("1")
    if not code:
        raise Refused(PARAMETERS, "a template for a code has the placeholder 1, and a value for it")
    value: JSON = {"type": "text", "text": code}
    button: JSON = {"type": "button", "sub_type": "url", "index": "0", "parameters": [value]}
    return [{"type": "body", "parameters": [value]}, button]


def location_of(template: MessageTemplate) -> JSON:
    """A place as WhatsApp takes it, in a template or by itself."""
    part = part_of(template, contents.Location)
    named = {
        "name": fill(shown(part.label), template.variables),
        "address": fill(shown(part.address), template.variables),
    }
    return {
        "latitude": part.latitude,
        "longitude": part.longitude,
        **{name: value for name, value in named.items() if value},
    }


_MAKERS: Final[Mapping[str, Callable[[MessageTemplate], list[JSON]]]] = {
    "twilio/text": _of_text,
    "twilio/media": _of_media,
    "twilio/quick-reply": _of_quick_reply,
    "twilio/call-to-action": _of_call_to_action,
    "twilio/card": _of_card,
    "twilio/location": _of_location,
    "whatsapp/card": _of_whatsapp_card,
    "whatsapp/authentication": _of_authentication,
}
