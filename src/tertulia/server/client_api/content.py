"""Content templates (client-commands 4.9)."""

from __future__ import annotations

import msgspec

from tertulia.server.web.operations import Call, Operations

from .links import COMMANDS
from .paging import PageMeta

OPERATIONS = Operations("client")


class ContentTemplateView(msgspec.Struct, frozen=True):
    sid: str
    account_sid: str
    friendly_name: str
    variables: str
    """JSON text of an object."""
    variants: dict[str, msgspec.Raw]
    date_created: str
    date_updated: str


class ContentTemplateList(msgspec.Struct, frozen=True):
    templates: tuple[ContentTemplateView, ...]
    meta: PageMeta


@OPERATIONS.operation("GET", f"{COMMANDS}/ContentTemplates")
async def list_content_templates(call: Call) -> ContentTemplateList:
    """An account has none yet."""
    return ContentTemplateList((), PageMeta())
