"""Pages of a list: how many, from where, and the ``meta`` block that leads on (rest 1.6)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Generic, TypeVar
from urllib.parse import quote

import msgspec
from msgspec import UNSET, UnsetType

from tertulia.server.domain.errors import BAD_PARAMETER
from tertulia.server.storage.paging import Page

from .forms import Form, described
from .operations import Call
from .page_tokens import Key, Place

E = TypeVar("E")


class PageQuery(Form, frozen=True, kw_only=True):
    """What every list takes."""

    page_size: Annotated[str, described({"type": "integer", "minimum": 1})] | UnsetType = UNSET
    page: Annotated[str, described({"type": "integer", "minimum": 0})] | UnsetType = UNSET
    page_token: str | UnsetType = UNSET


class Meta(msgspec.Struct, frozen=True):
    """Where a page stands, and the way to its neighbours."""

    page: int
    page_size: int
    first_page_url: str
    previous_page_url: str | None
    url: str
    next_page_url: str | None
    key: str


class ListRule(msgspec.Struct, frozen=True):
    """How one list is paged."""

    key: str
    """The member of the answer that holds the records."""
    size: int
    """How many records a page has when the request does not say."""
    most: int
    """A request for more gets this many."""


class Paging(Generic[E]):
    """One page that was asked for: ``page`` is what to read, ``cut`` and ``meta`` make the answer of what was read.

    One row more than the page holds is read, to know whether it is the last.
    """

    __slots__ = ("_call", "_context", "_filters", "_number", "_place", "_rows", "_rule", "_size", "page")

    def __init__(
        self,
        call: Call,
        rule: ListRule,
        query: PageQuery,
        *,
        filters: tuple[tuple[str, str], ...] = (),
        descending: bool = False,
    ) -> None:
        self._call = call
        self._rule = rule
        self._size = min(_number(query.page_size, "PageSize", rule.size, least=1), rule.most)
        self._number = _number(query.page, "Page", 0, least=0)
        self._filters = "".join(f"{name}={quote(value, safe='')}&" for name, value in filters)
        self._context = "\n".join(
            (call.caller.account_sid, call.service_sid, call.operation.name, *call.path.values(), self._filters)
        ).encode()
        token = query.page_token
        self._place = call.page_tokens.read(token, self._context) if token is not UNSET else None
        place = self._place or Place("")
        self.page = Page(
            limit=self._size + 1,
            after=None if self._place is None else place.key,
            descending=descending,
            backward=place.backward,
            inclusive=place.inclusive,
        )

    def cut(self, rows: list[E]) -> list[E]:
        """The rows of the page itself."""
        if len(rows) <= self._size:
            return rows
        return rows[1:] if self.page.backward else rows[:-1]

    def meta(self, read: list[E], key: Callable[[E], Key]) -> Meta:
        """The block for what ``page`` made one read; ``key`` is the key of a row."""
        shown, more = self.cut(read), len(read) > self._size
        following = before = None
        if shown:
            if more or self.page.backward:
                following = Place(key(shown[-1]))
            if more or not self.page.backward:
                before = Place(key(shown[0]), backward=True)
        elif self._place is not None:
            # Beyond one of the ends; the other way lies what the token came from.
            back = Place(self._place.key, backward=not self.page.backward, inclusive=not self._place.inclusive)
            before, following = (None, back) if self.page.backward else (back, None)
        token = self._call.request.query.get("PageToken")
        return Meta(
            page=self._number,
            page_size=self._size,
            first_page_url=self._url(0),
            previous_page_url=self._previous(before),
            url=self._url(self._number, token[-1] if token else None),
            next_page_url=self._url(self._number + 1, self._token(following)) if following else None,
            key=self._rule.key,
        )

    def _previous(self, before: Place | None) -> str | None:
        if self._number == 0 or self._place is None or before is None:
            return None
        # The first page is found without a token, so it begins at the beginning whatever came in since.
        return self._url(0) if self._number == 1 else self._url(self._number - 1, self._token(before))

    def _token(self, place: Place) -> str:
        return self._call.page_tokens.make(place, self._context)

    def _url(self, number: int, token: str | None = None) -> str:
        start = f"{self._call.base_url}{self._call.request.path}?{self._filters}PageSize={self._size}&Page={number}"
        return f"{start}&PageToken={token}" if token else start


def _number(text: str | UnsetType, name: str, default: int, *, least: int) -> int:
    if text is UNSET:
        return default
    number = int(text[:12]) if text.isascii() and text.isdigit() else -1
    if number < least:
        raise BAD_PARAMETER(f"{name} is not a number of {least} or more")
    return number
