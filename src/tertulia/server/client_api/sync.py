"""Sync objects as clients read them: opening one, and its items by pages (realtime 9.1, 9.2).

Clients never write here, so whatever else is asked of these paths is refused in one way (realtime 9).
"""

from __future__ import annotations

import re
from typing import Final

from msgspec import UNSET, UnsetType, field

from tertulia.server.domain.errors import BAD_PARAMETER, SYNC_READ_ONLY
from tertulia.server.engine.sync.catalogue import MISSING
from tertulia.server.engine.sync.reads import ItemsWanted, Key, ObjectAddress
from tertulia.server.engine.windows import Cut
from tertulia.server.web.forms import Form
from tertulia.server.web.operations import Call, Operations
from tertulia.wire.sync import ItemPage, ObjectRoot, PageMeta

from .paging import LARGEST_INDEX, read_size, read_token, token_for

OPERATIONS = Operations("client")

_TOPS: Final = ("/v3", "/v3/Services/{service}")
_OBJECT: Final = "/{type}/{name}"
_ITEMS: Final = f"{_OBJECT}/Items"
_SHAPES: Final = (
    "/{type}",
    _OBJECT,
    _ITEMS,
    f"{_ITEMS}/{{item}}",
    f"{_OBJECT}/{{part}}",
    f"{_OBJECT}/{{part}}/{{item}}",
)
_TYPES: Final = {"Documents": "document", "Lists": "list", "Maps": "map"}
_DEFAULT_ITEMS: Final = 50
_INTEGER: Final = re.compile(r"-?[0-9]{1,40}")


class RootQuery(Form, frozen=True, kw_only=True):
    include: str | UnsetType = UNSET


class ItemsQuery(Form, frozen=True, kw_only=True):
    """``HideExpired`` comes along and means nothing: no item of ours expires."""

    order: str | UnsetType = UNSET
    page_size: str | UnsetType = UNSET
    start: str | UnsetType = field(name="From", default=UNSET)
    bounds: str | UnsetType = UNSET
    page_token: str | UnsetType = UNSET
    key: str | UnsetType = UNSET
    index: str | UnsetType = UNSET


@OPERATIONS.operation("GET", _TOPS[0] + _OBJECT, query=RootQuery)
@OPERATIONS.operation("GET", _TOPS[1] + _OBJECT, query=RootQuery)
async def open_object(call: Call) -> ObjectRoot:
    query: RootQuery = call.query
    return await call.queries.sync.root(call.caller, _address(call), with_items=query.include == "items")


@OPERATIONS.operation("GET", _TOPS[0] + _ITEMS, query=ItemsQuery)
@OPERATIONS.operation("GET", _TOPS[1] + _ITEMS, query=ItemsQuery)
async def list_items(call: Call) -> ItemPage:
    """An item that is asked for by its key or index and is not there is an empty page, not a 404 (realtime 15.16)."""
    address, query = _address(call), call.query
    if address.type == "document":
        raise SYNC_READ_ONLY("A document has no items")
    key = query.key if address.type == "map" else query.index
    if key is not UNSET:
        item = await call.queries.sync.item(call.caller, address, _key(key, address, "Index"))
        return ItemPage([] if item is None else [item], PageMeta(None, None, 1))
    wanted = _wanted(query, address)
    found = await call.queries.sync.items(call.caller, address, wanted)
    size, descending = wanted.limit, wanted.descending
    meta = PageMeta(
        previous_token=token_for(found.previous, size, descending=descending, backward=True),
        next_token=token_for(found.next, size, descending=descending, backward=False),
        page_size=size,
    )
    return ItemPage(found.rows, meta)


async def refuse(call: Call) -> None:
    """Writing, and objects of kinds that conversations do not use."""
    raise SYNC_READ_ONLY()


for _method in ("GET", "POST", "PUT", "DELETE"):
    for _shape in _SHAPES:
        if _method != "GET" or _shape not in (_OBJECT, _ITEMS):
            for _top in _TOPS:
                OPERATIONS.operation(_method, _top + _shape, name="refuse_sync")(refuse)


def _address(call: Call) -> ObjectAddress:
    type_ = _TYPES.get(call.path["type"])
    if type_ is None:
        raise SYNC_READ_ONLY()
    if call.path.get("service", call.service_sid) != call.service_sid:
        # Another service's objects are as absent as any.
        raise MISSING[type_]()
    return ObjectAddress(type=type_, name=call.path["name"], base_url=call.base_url)


def _wanted(query: ItemsQuery, address: ObjectAddress) -> ItemsWanted:
    if query.page_token is not UNSET:
        place = read_token(query.page_token)
        if isinstance(place.key, str) != (address.type == "map"):
            raise BAD_PARAMETER("PageToken is not one of this object")
        return ItemsWanted(
            limit=place.size,
            descending=place.descending,
            start=Cut(place.key, place.after),
            backward=place.backward,
        )
    if query.order not in (UNSET, "asc", "desc"):
        raise BAD_PARAMETER("Order is asc or desc")
    if query.bounds not in (UNSET, "inclusive", "exclusive"):
        raise BAD_PARAMETER("Bounds is inclusive or exclusive")
    start = None
    if query.start is not UNSET:
        start = Cut(_key(query.start, address, "From"), query.bounds == "exclusive")
    return ItemsWanted(limit=read_size(query.page_size, _DEFAULT_ITEMS), descending=query.order == "desc", start=start)


def _key(text: str, address: ObjectAddress, name: str) -> Key:
    """A map's key as it is; a list's index as a number, cut to what a column can hold."""
    if address.type == "map":
        return text
    if not _INTEGER.fullmatch(text):
        raise BAD_PARAMETER(f"{name} is an index, a whole number")
    return max(-LARGEST_INDEX, min(int(text), LARGEST_INDEX))
