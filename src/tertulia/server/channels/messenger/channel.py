"""The adapter ``messenger``: one application of Meta's, and its pages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any, Final

import msgspec

from tertulia.server.domain.channels import IncomingMedia
from tertulia.wire.requests import Request

from ..base import (
    Accepted,
    Adapter,
    Capabilities,
    Channel,
    ChannelMessage,
    Finding,
    Heard,
    MessageMedia,
    NotNow,
    Refused,
    Surroundings,
    Unreadable,
    Unsure,
)
from ..graph import checking
from ..graph.callbacks import challenge, entries
from ..graph.client import JSON, Access, Graph
from ..graph.codes import MEDIA_FETCH, NO_SUCH_SENDER, NOT_ACCEPTED, OUTSIDE_WINDOW, Codes, code_of
from ..graph.files import Files
from .hearing import KIND, SUBJECT, Hearing
from .limits import AGENT_WINDOW_H, CATEGORIES
from .settings import MessengerSettings

NAME: Final = "Messenger"
SEND_S: Final = 28.0
FIELDS: Final = frozenset(("messages", "messaging_postbacks", "message_deliveries", "message_reads"))
"""What the application has to be told of."""


class _Taken(msgspec.Struct, frozen=True):
    message_id: str = ""


class _Page(msgspec.Struct, frozen=True):
    name: str = ""


class _App(msgspec.Struct, frozen=True):
    subscribed_fields: tuple[str, ...] = ()


class _Subscribed(msgspec.Struct, frozen=True):
    data: tuple[_App, ...] = ()


class Messenger(Channel):
    """Sends by the pages' API, and hears their webhooks."""

    def __init__(self, settings: MessengerSettings, surroundings: Surroundings) -> None:
        codes = Codes(settings.codes)
        self._settings = settings
        self._clock = surroundings.clock
        self._pages = {
            page: Graph(
                surroundings.call,
                Access(
                    base_url=settings.base_url,
                    version=settings.version,
                    token=token,
                    app_secret=settings.app_secret,
                    is_proving=settings.appsecret_proof,
                ),
                codes,
                NAME,
            )
            for page, token in {**settings.more_pages, settings.page_id: settings.access_token}.items()
        }
        self._files = Files(self._pages[settings.page_id], settings.media_bytes)
        self._hearing = Hearing(self._pages.keys())
        window_h = max(settings.window_h, AGENT_WINDOW_H) if settings.human_agent else settings.window_h
        self.capabilities = Capabilities(
            text_chars=settings.text_chars,
            media_types=frozenset(("*/*",)),
            media_bytes=settings.media_bytes,
            media_count=settings.media_count,
            has_captions=True,
            window=timedelta(hours=window_h),
            has_opt_out=settings.heeds_keywords,
        )

    async def send(self, message: ChannelMessage) -> Accepted:
        """One call for each file, and one for the words: Messenger shows them below each other."""
        page = message.sender.removeprefix(f"{KIND}:")
        graph = self._pages.get(page)
        if graph is None:
            raise Refused(NO_SUCH_SENDER, "its page is none of this gateway")
        contents = [_attachment(media) for media in message.media]
        if message.text:
            contents.append({"text": message.text})
        if not contents:
            raise Refused(NOT_ACCEPTED, "it says nothing")
        try:
            async with asyncio.timeout(SEND_S):
                return await self._post_all(graph, page, message.recipients[0], contents)
        except TimeoutError:
            raise Unsure("Messenger takes too long") from None

    def hear(self, request: Request, url: str) -> Heard:
        if request.path not in ("", "/"):
            raise Unreadable("nothing is heard there")
        if request.method == "GET":
            return Heard(reply=challenge(request, self._settings.verify_token))
        if request.method != "POST":
            raise Unreadable(f"nothing is heard by {request.method} here")
        told = entries(request, self._settings.app_secret, SUBJECT)
        return Heard(events=tuple(self._hearing.events(told, self._clock.now())))

    async def fetch(self, media: IncomingMedia) -> AsyncIterator[bytes]:
        """By a URL that is good by itself, for some time: the token stays here."""
        if not media.reference:
            raise Refused(MEDIA_FETCH, "the file has no URL")
        async for piece in self._files.by_url(media.reference):
            yield piece

    async def check(self) -> Sequence[Finding]:
        looking = [
            look(page, graph)
            for page, graph in self._pages.items()
            for look in (self._check_page, self._check_subscription)
        ]
        return await asyncio.gather(*looking)

    # --- sending

    async def _post_all(self, graph: Graph, page: str, recipient: str, contents: Sequence[JSON]) -> Accepted:
        """What follows a part that is not taken stays here: another attempt would send again what was."""
        handles: list[str] = []
        for number, content in enumerate(contents):
            try:
                handles += await self._post(graph, page, recipient, content)
            except (Refused, NotNow, Unsure) as trouble:
                if not number:
                    raise
                return Accepted(handles=tuple(handles), lost=code_of(trouble))
        return Accepted(handles=tuple(handles))

    async def _post(self, graph: Graph, page: str, recipient: str, content: JSON) -> tuple[str, ...]:
        to: JSON = {"recipient": {"id": recipient.removeprefix(f"{KIND}:")}, "message": content}
        try:
            taken = await graph.send(
                (page, "messages"), {**to, "messaging_type": self._settings.messaging_type}, _Taken
            )
        except Refused as refused:
            if refused.code != OUTSIDE_WINDOW or not self._settings.human_agent:
                raise
            tagged = {**to, "messaging_type": "MESSAGE_TAG", "tag": "HUMAN_AGENT"}
            taken = await graph.send((page, "messages"), tagged, _Taken)
        return (taken.message_id,) if taken is not None and taken.message_id else ()

    # --- the rest

    async def _check_page(self, page: str, graph: Graph) -> Finding:
        # The proof goes along whatever is set: it is the one way to learn that the secret is the right one.
        known, trouble = await checking.looked_at(
            graph.get((page,), _Page, {"fields": "name"}, is_proving=True),
            f"the page {page} cannot be read",
            "Compare page_id, access_token and app_secret with what Meta shows.",
        )
        if known is None:
            assert trouble is not None, "one of both"
            return trouble
        return Finding(is_good=True, what=f"the token and the secret are good for the page {known.name} ({page})")

    async def _check_subscription(self, page: str, graph: Graph) -> Finding:
        subscribed, trouble = await checking.looked_at(
            graph.get((page, "subscribed_apps"), _Subscribed),
            f"who is told of the messages to page {page} cannot be seen",
            "Give the token the permission pages_manage_metadata.",
        )
        if subscribed is None:
            assert trouble is not None, "one of both"
            return trouble
        told = {field for app in subscribed.data for field in app.subscribed_fields}
        missing = sorted(FIELDS - told)
        if not missing:
            return Finding(is_good=True, what=f"an application is told of the messages to page {page}")
        return Finding(
            is_good=False,
            what=f"no application is told of {', '.join(missing)} of page {page}",
            remedy="Subscribe yours to the page's fields: POST /{page_id}/subscribed_apps.",
        )


def _attachment(media: MessageMedia) -> JSON:
    category = media.content_type.partition("/")[0].lower()
    kind = category if category in CATEGORIES else "file"
    return {"attachment": {"type": kind, "payload": {"url": media.url, "is_reusable": False}}}


def _open(settings: Any, surroundings: Surroundings) -> Channel:
    return Messenger(settings, surroundings)


ADAPTER: Final = Adapter(name="messenger", kinds=frozenset((KIND,)), settings=MessengerSettings, open=_open)
