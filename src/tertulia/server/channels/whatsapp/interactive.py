"""Templates in free form, within the window: texts, files, places, buttons and lists as ordinary messages have them.

WhatsApp shows up to three buttons, or a list of up to ten rows. What is more, or longer, is refused and says so: a
button that is not there, or cut, would be another question than the one that was asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from msgspec import UNSET

from tertulia.server.domain import content_types as contents

from ..base import MessageTemplate, Refused
from ..graph.bounded import lines
from ..graph.client import JSON
from ..graph.codes import NOT_ACCEPTED
from .components import location_of, media_kind, part_of, shown
from .limits import (
    BODY_CHARS,
    BUTTON_CHARS,
    BUTTON_ID_CHARS,
    BUTTONS,
    CAPTION_CHARS,
    FOOTER_CHARS,
    HEADER_CHARS,
    LIST_BODY_CHARS,
    ROW_CHARS,
    ROW_DETAIL_CHARS,
    ROW_ID_CHARS,
    ROWS,
)
from .placeholders import fill


def free_form(template: MessageTemplate, text_chars: int) -> JSON:
    """What is posted for a template within the window. Refused where WhatsApp cannot show it."""
    make = _MAKERS.get(template.type)
    if make is None:
        raise Refused(NOT_ACCEPTED, f"templates of type {template.type} go as approved ones alone")
    return make(template, text_chars)


def text_body(text: str, *, preview_urls: bool = False) -> JSON:
    return {"type": "text", "text": {"body": text, "preview_url": preview_urls}}


def _fit(text: str, most: int, what: str) -> str:
    if not text:
        raise Refused(NOT_ACCEPTED, f"{what} is empty")
    if len(text) > most:
        raise Refused(NOT_ACCEPTED, f"{what} has more than {most} characters")
    return text


def _of_text(template: MessageTemplate, text_chars: int) -> JSON:
    part = part_of(template, contents.Text)
    return text_body(_fit(fill(part.body, template.variables), text_chars, "the text"))


def _of_media(template: MessageTemplate, text_chars: int) -> JSON:
    part = part_of(template, contents.MediaContent)
    caption = fill(shown(part.body), template.variables)
    if not part.media:
        return text_body(_fit(caption, text_chars, "the text"))
    return _file(fill(part.media[0], template.variables), caption)


def _file(url: str, caption: str) -> JSON:
    kind = media_kind(url)
    words = {"caption": _fit(caption, CAPTION_CHARS, "the caption")} if caption else {}
    return {"type": kind, kind: {"link": url, **words}}


def _of_location(template: MessageTemplate, _text_chars: int) -> JSON:
    return {"type": "location", "location": location_of(template)}


def _of_quick_reply(template: MessageTemplate, _text_chars: int) -> JSON:
    part = part_of(template, contents.QuickReply)
    body = fill(part.body, template.variables)
    if len(part.actions) > BUTTONS:
        rows = [(shown(action.id), action.title, "") for action in part.actions]
        # What the list is opened with; the template names nothing for it.
        return _list(body, "…", rows, template.variables)
    return _interactive("button", body, _replies(part.actions, template.variables), {})


def _of_list_picker(template: MessageTemplate, _text_chars: int) -> JSON:
    part = part_of(template, contents.ListPicker)
    rows = [(item.id, item.item, shown(item.description)) for item in part.items]
    return _list(fill(part.body, template.variables), fill(part.button, template.variables), rows, template.variables)


def _of_call_to_action(template: MessageTemplate, text_chars: int) -> JSON:
    part = part_of(template, contents.CallToAction)
    body = fill(part.body, template.variables)
    return _linked(body, part.actions, template.variables, text_chars, {})


def _linked(
    body: str, actions: Sequence[Any], variables: Mapping[str, str], text_chars: int, around: Mapping[str, JSON]
) -> JSON:
    """One link is a button. Of anything else ordinary messages have none: then it is said below the words."""
    if len(actions) == 1 and actions[0].type == "URL":
        action: JSON = {
            "name": "cta_url",
            "parameters": {
                "display_text": _fit(fill(actions[0].title, variables), BUTTON_CHARS, "a button's title"),
                "url": fill(shown(actions[0].url), variables),
            },
        }
        return _interactive("cta_url", body, action, around)
    header, footer = around.get("header", {}), around.get("footer", {})
    said = [f"{fill(each.title, variables)}: {fill(_target(each), variables)}" for each in actions]
    text = lines(header.get("text"), body, footer.get("text"), *said) or ""
    if header and header["type"] != "text":
        return _file(header[header["type"]]["link"], text)
    return text_body(_fit(text, text_chars, "the text with its links"))


def _target(action: Any) -> str:
    return next((value for value in (shown(action.url), shown(action.phone), shown(action.code)) if value), "")


def _of_card(template: MessageTemplate, text_chars: int) -> JSON:
    part, variables = part_of(template, contents.Card), template.variables
    title, subtitle = fill(shown(part.title), variables), fill(shown(part.subtitle), variables)
    return _card("", title, subtitle, part, variables, text_chars)


def _of_whatsapp_card(template: MessageTemplate, text_chars: int) -> JSON:
    part, variables = part_of(template, contents.WhatsappCard), template.variables
    header, body, footer = (fill(shown(each), variables) for each in (part.header_text, part.body, part.footer))
    return _card(header, body, footer, part, variables, text_chars)


def _card(header: str, body: str, footer: str, part: Any, variables: Mapping[str, str], text_chars: int) -> JSON:
    actions = () if part.actions is UNSET else part.actions
    url = fill(part.media[0], variables) if part.media is not UNSET and part.media else ""
    if not actions:
        words = lines(header, body, footer) or ""
        return _file(url, words) if url else text_body(_fit(words, text_chars, "the text"))
    around: dict[str, JSON] = {}
    if url:
        kind = media_kind(url)
        around["header"] = {"type": kind, kind: {"link": url}}
    elif header:
        around["header"] = {"type": "text", "text": _fit(header, HEADER_CHARS, "the header")}
    if footer:
        around["footer"] = {"text": _fit(footer, FOOTER_CHARS, "the line below")}
    if all(action.type == "QUICK_REPLY" for action in actions):
        return _interactive("button", body, _replies(actions, variables), around)
    return _linked(body, actions, variables, text_chars, around)


# --- what they are made of


def _replies(actions: Sequence[Any], variables: Mapping[str, str]) -> JSON:
    if len(actions) > BUTTONS:
        raise Refused(NOT_ACCEPTED, f"WhatsApp shows {BUTTONS} buttons at most")
    titles = [_fit(fill(action.title, variables), BUTTON_CHARS, "a button's title") for action in actions]
    names = _names([fill(shown(action.id), variables) for action in actions], titles, BUTTON_ID_CHARS)
    return {
        "buttons": [
            {"type": "reply", "reply": {"id": name, "title": title}} for name, title in zip(names, titles, strict=True)
        ]
    }


def _list(body: str, button: str, rows: Sequence[tuple[str, str, str]], variables: Mapping[str, str]) -> JSON:
    if not 0 < len(rows) <= ROWS:
        raise Refused(NOT_ACCEPTED, f"WhatsApp shows lists of 1 to {ROWS} rows")
    titles = [_fit(fill(title, variables), ROW_CHARS, "a row's title") for _, title, _ in rows]
    names = _names([fill(name, variables) for name, _, _ in rows], titles, ROW_ID_CHARS)
    made: list[JSON] = []
    for name, title, (_, _, detail) in zip(names, titles, rows, strict=True):
        told = fill(detail, variables)
        words = {"description": _fit(told, ROW_DETAIL_CHARS, "a row's description")} if told else {}
        made.append({"id": name, "title": title, **words})
    action: JSON = {"button": _fit(button, BUTTON_CHARS, "the list's button"), "sections": [{"rows": made}]}
    return _interactive("list", body, action, {}, LIST_BODY_CHARS)


def _names(given: Sequence[str], titles: Sequence[str], most: int) -> list[str]:
    """What WhatsApp tells when one is chosen: the id, else the title. They have to differ."""
    names = [_fit(name or title, most, "an id") for name, title in zip(given, titles, strict=True)]
    if len(set(names)) < len(names):
        raise Refused(NOT_ACCEPTED, "two choices have the same id")
    return names


def _interactive(kind: str, body: str, action: JSON, around: Mapping[str, JSON], most: int = BODY_CHARS) -> JSON:
    words = {"body": {"text": _fit(body, most, "the body")}}
    return {"type": "interactive", "interactive": {"type": kind, **around, **words, "action": action}}


_MAKERS: Final[Mapping[str, Callable[[MessageTemplate, int], JSON]]] = {
    "twilio/text": _of_text,
    "twilio/media": _of_media,
    "twilio/location": _of_location,
    "twilio/quick-reply": _of_quick_reply,
    "twilio/list-picker": _of_list_picker,
    "twilio/call-to-action": _of_call_to_action,
    "twilio/card": _of_card,
    "whatsapp/card": _of_whatsapp_card,
}
