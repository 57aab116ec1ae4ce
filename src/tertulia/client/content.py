"""Content templates, and the rich content of messages made from them (client-commands 4.9, object-model A.8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from .decoding import decoded
from .errors import MediaError
from .moments import moment
from .paging import Trail
from .receipts import PageMeta

if TYPE_CHECKING:
    from .media import Media, MediaService
    from .session import Session

KEPT_S: Final = 5.0
RICH: Final = "application/x-vnd.com.twilio.rich."
MAX_CONTENT: Final = 1_048_576
MOST_PAGES: Final = 100


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """What a button does: ``URL``, ``PHONE_NUMBER``, ``QUICK_REPLY``, or another type."""

    type: str
    title: str = ""
    url: str | None = None
    phone: str | None = None
    id: str | None = None
    index: int | None = None
    raw_data: Any = None


class ListItem(msgspec.Struct, frozen=True):
    """A line of a list to pick from."""

    id: str
    item: str
    description: str | None = None


class ContentData(msgspec.Struct, frozen=True, kw_only=True):
    """Rich content. ``raw_data`` is what the server has of it."""

    raw_data: Any


class Text(ContentData, frozen=True, kw_only=True):
    body: str


class MediaContent(ContentData, frozen=True, kw_only=True):
    media: tuple[str, ...]
    """URLs."""
    body: str | None = None


class Location(ContentData, frozen=True, kw_only=True):
    latitude: float
    longitude: float
    label: str | None = None


class QuickReply(ContentData, frozen=True, kw_only=True):
    body: str
    replies: tuple[Action, ...]


class CallToAction(ContentData, frozen=True, kw_only=True):
    body: str
    actions: tuple[Action, ...]


class ListPicker(ContentData, frozen=True, kw_only=True):
    body: str
    button: str
    items: tuple[ListItem, ...]


class Card(ContentData, frozen=True, kw_only=True):
    title: str
    subtitle: str | None = None
    media: tuple[str, ...] = ()
    actions: tuple[Action, ...] = ()


class Other(ContentData, frozen=True, kw_only=True):
    """Of a type this library does not know, or not as that type should be."""


class ContentVariable(msgspec.Struct, frozen=True):
    """A variable of a template, with its example value."""

    name: str
    value: str


class ContentTemplate(msgspec.Struct, frozen=True, kw_only=True):
    """A template of the account."""

    sid: str
    friendly_name: str
    variables: tuple[ContentVariable, ...]
    variants: Mapping[str, ContentData]
    """By type, ``twilio/text`` and so on."""
    date_created: datetime | None
    date_updated: datetime | None


class _Template(msgspec.Struct):
    sid: str
    friendly_name: str = ""
    variables: str | dict[str, Any] | None = None
    variants: dict[str, Any] = {}
    date_created: datetime | None = None
    date_updated: datetime | None = None


class _Page(msgspec.Struct):
    templates: list[_Template]
    meta: PageMeta = PageMeta()


class Templates:
    """The content templates of the account."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def all(self) -> Sequence[ContentTemplate]:
        """All of them, up to 10 000; what was fetched in the last five seconds is given again."""
        url = f"{self._session.base_url}/Client/v2/ContentTemplates"
        found: list[ContentTemplate] = []
        params = {"PageSize": "100"}
        trail = Trail(MOST_PAGES)
        while True:
            page = await self._session.calls.get(url, _Page, params, max_age=KEPT_S)
            found += [_template(told) for told in page.templates]
            if not trail.leads_on(page.meta.next_token):
                return found
            params = {"PageSize": "100", "PageToken": page.meta.next_token or ""}


async def rich_content(bodies: Sequence[Media], service: MediaService) -> ContentData | None:
    """The rich content among a message's long bodies; None when there is none. Raises ``MediaError``."""
    for body in bodies:
        if body.content_type.startswith(RICH):
            kind = body.content_type.removeprefix(RICH).replace(".", "/", 1)
            told = await service.fetch(await body.temporary_url(), MAX_CONTENT)
            try:
                return parse_content(kind, decoded(told, dict[str, Any])["data"])
            except (ValueError, KeyError):
                raise MediaError("the rich content cannot be read") from None
    return None


def parse_content(kind: str, data: Any) -> ContentData:
    """Rich content of a type, from its JSON; what does not fit is ``Other``."""
    shape = _SHAPES.get(kind)
    if shape is None or not isinstance(data, dict):
        return Other(raw_data=data)
    told = {**_given(data), "raw_data": data}
    if shape is QuickReply and "replies" not in told:
        # Templates call them actions, rich content of messages calls them replies.
        told["replies"] = told.get("actions")
    for name in ("actions", "replies"):
        if isinstance(told.get(name), list):
            default = {"type": "QUICK_REPLY"} if name == "replies" else {}
            told[name] = [
                {**default, **_given(each), "raw_data": each} for each in told[name] if isinstance(each, dict)
            ]
    try:
        return msgspec.convert(told, shape, strict=False)
    except (ValueError, OverflowError, RecursionError):
        return Other(raw_data=data)


def _given(data: dict[str, Any]) -> dict[str, Any]:
    """What is null counts as absent."""
    return {name: value for name, value in data.items() if value is not None}


_SHAPES: Final[dict[str, type[ContentData]]] = {
    "twilio/text": Text,
    "twilio/media": MediaContent,
    "twilio/location": Location,
    "twilio/quick-reply": QuickReply,
    "twilio/call-to-action": CallToAction,
    "twilio/list-picker": ListPicker,
    "twilio/card": Card,
}


def _template(told: _Template) -> ContentTemplate:
    variables: Any = told.variables
    if isinstance(variables, str):
        try:
            variables = decoded(variables.encode(), object)
        except ValueError:
            variables = {}
    return ContentTemplate(
        sid=told.sid,
        friendly_name=told.friendly_name,
        variables=tuple(
            ContentVariable(str(name), str(value))
            for name, value in (variables.items() if isinstance(variables, dict) else ())
        ),
        variants={kind: parse_content(kind, data) for kind, data in told.variants.items()},
        date_created=moment(told.date_created),
        date_updated=moment(told.date_updated),
    )
