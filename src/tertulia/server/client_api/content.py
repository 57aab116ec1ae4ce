"""Content templates (client-commands 4.9)."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from tertulia.server.domain.content import Content
from tertulia.server.domain.content_types import SHOWN
from tertulia.server.domain.errors import BAD_PARAMETER
from tertulia.server.domain.values import millisecond
from tertulia.server.engine.windows import Cut
from tertulia.server.web.forms import Form
from tertulia.server.web.operations import Call, Operations

from .links import COMMANDS
from .paging import MOST_ITEMS, PageMeta, read_size, read_token, token_for

OPERATIONS = Operations("client")

_encode = msgspec.json.Encoder().encode


class ContentTemplateView(msgspec.Struct, frozen=True):
    sid: str
    account_sid: str
    friendly_name: str
    variables: str
    """JSON text of an object."""
    variants: dict[str, msgspec.Raw]
    """By type; those alone that conversations show."""
    date_created: str
    date_updated: str

    @classmethod
    def of(cls, content: Content) -> ContentTemplateView:
        parts = {name: content.types.get(name) for name in SHOWN}
        return cls(
            sid=content.sid,
            account_sid=content.account_sid,
            friendly_name=content.friendly_name,
            variables=_encode(content.variables).decode(),
            variants={name: msgspec.Raw(_encode(part)) for name, part in parts.items() if part is not None},
            date_created=millisecond(content.created_at),
            date_updated=millisecond(content.updated_at),
        )


class ContentTemplateList(msgspec.Struct, frozen=True):
    templates: tuple[ContentTemplateView, ...]
    meta: PageMeta


class ListQuery(Form, frozen=True, kw_only=True):
    page_size: str | UnsetType = UNSET
    page_token: str | None = None


@OPERATIONS.operation("GET", f"{COMMANDS}/ContentTemplates", query=ListQuery)
async def list_content_templates(call: Call) -> ContentTemplateList:
    """The account's templates, by age, without those of which a conversation can show nothing.

    A page may hold fewer than it was asked for, while there are more.
    """
    query: ListQuery = call.query
    size, backward, start = read_size(query.page_size, MOST_ITEMS), False, None
    if query.page_token:
        place = read_token(query.page_token)
        if not isinstance(place.key, str):
            raise BAD_PARAMETER("PageToken is not one of this list")
        size, backward, start = place.size, place.backward, Cut(place.key, place.after)
    found = await call.queries.contents.shown(call.caller, size, start, backward=backward)
    views = (ContentTemplateView.of(content) for content in found.rows)
    return ContentTemplateList(
        tuple(view for view in views if view.variants),
        PageMeta(
            previous_token=token_for(found.previous, size, descending=False, backward=True),
            next_token=token_for(found.next, size, descending=False, backward=False),
        ),
    )
