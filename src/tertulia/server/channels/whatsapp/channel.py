"""The adapter ``whatsapp``: one application of Meta's, and its numbers."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any, Final

import msgspec

from tertulia.server.domain.channels import Incoming, IncomingMedia
from tertulia.wire.requests import Request

from ..base import (
    MEDIA_OF_PHONES,
    Accepted,
    Adapter,
    Capabilities,
    Channel,
    ChannelMessage,
    Finding,
    Heard,
    Inbox,
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
from .bodies import file_body, file_kind, takes_caption
from .components import template_body
from .hearing import KIND, SUBJECT, Hearing
from .interactive import free_form, text_body
from .limits import CAPTION_CHARS, MARKS
from .settings import WhatsAppSettings

NAME: Final = "WhatsApp"
SESSION_ONLY: Final = frozenset(("twilio/list-picker", "twilio/location"))
"""WhatsApp has no templates of them, or none that people know: within the window they go in free form."""
_MARK_AGAIN_S: Final = 1.0


class _Named(msgspec.Struct, frozen=True):
    id: str


class _Taken(msgspec.Struct, frozen=True):
    messages: tuple[_Named, ...] = ()


class _Number(msgspec.Struct, frozen=True):
    display_phone_number: str = ""
    verified_name: str = ""
    quality_rating: str = ""


class _Subscribed(msgspec.Struct, frozen=True):
    data: tuple[msgspec.Raw, ...] = ()


class WhatsApp(Channel):
    """Sends by the Cloud API, and hears its webhooks."""

    def __init__(self, settings: WhatsAppSettings, surroundings: Surroundings) -> None:
        codes = Codes(settings.codes)
        access = Access(
            base_url=settings.base_url,
            version=settings.version,
            token=settings.access_token,
            app_secret=settings.app_secret,
            is_proving=settings.appsecret_proof,
        )
        self._settings = settings
        self._clock = surroundings.clock
        self._graph = Graph(surroundings.call, access, codes, NAME)
        self._files = Files(self._graph, settings.media_bytes)
        self._ids = dict(settings.more_numbers)
        numbers: dict[str, str | None] = {name: number for number, name in self._ids.items()}
        self._hearing = Hearing({**numbers, settings.phone_number_id: settings.phone_number}, codes)
        self._unmarked: deque[tuple[str, str]] = deque(maxlen=MARKS)
        self._is_unmarked = asyncio.Event()
        self.capabilities = Capabilities(
            text_chars=settings.text_chars,
            media_types=MEDIA_OF_PHONES,
            media_bytes=settings.media_bytes,
            has_captions=True,
            has_templates=True,
            has_free_form=True,
            window=timedelta(hours=settings.window_h),
            has_opt_out=settings.heeds_keywords,
        )

    async def send(self, message: ChannelMessage) -> Accepted:
        """One call; two where a file cannot have the words that it comes with."""
        number_id = self._number_id(message.sender)
        to = message.recipients[0].removeprefix(f"{KIND}:+")
        if message.template is not None:
            return Accepted(handles=await self._post(number_id, to, self._of_template(message)))
        if not message.media:
            return Accepted(handles=await self._post(number_id, to, self._text(message)))
        return await self._send_file(number_id, to, message)

    def hear(self, request: Request, url: str) -> Heard:
        if request.path not in ("", "/"):
            raise Unreadable("nothing is heard there")
        if request.method == "GET":
            return Heard(reply=challenge(request, self._settings.verify_token))
        if request.method != "POST":
            raise Unreadable(f"nothing is heard by {request.method} here")
        told = entries(request, self._settings.app_secret, SUBJECT)
        events = tuple(self._hearing.events(told, self._clock.now()))
        if self._settings.mark_read:
            self._note(events)
        return Heard(events=events)

    async def fetch(self, media: IncomingMedia) -> AsyncIterator[bytes]:
        """By the file's id: the URL behind it is good for minutes, and is asked for anew at every attempt."""
        if not media.reference:
            raise Refused(MEDIA_FETCH, "the file has no name")
        async for piece in self._files.by_id(media.reference):
            yield piece

    async def run(self, inbox: Inbox) -> None:
        """Mark what has come as read, where that is wanted; a mark that is not taken is not made again."""
        while self._settings.mark_read:
            await self._is_unmarked.wait()
            self._is_unmarked.clear()
            while self._unmarked:
                number_id, name = self._unmarked.popleft()
                try:
                    await self._graph.post(
                        (number_id, "messages"), {"messaging_product": KIND, "status": "read", "message_id": name}
                    )
                except (Refused, NotNow) as trouble:
                    wait_s = trouble.after_s if isinstance(trouble, NotNow) else None
                    await asyncio.sleep(wait_s or _MARK_AGAIN_S)

    async def check(self) -> Sequence[Finding]:
        looking = [self._check_number(name) for name in (self._settings.phone_number_id, *self._ids.values())]
        if self._settings.business_account_id is not None:
            looking.append(self._check_subscription(self._settings.business_account_id))
        return await asyncio.gather(*looking)

    # --- sending

    def _number_id(self, sender: str) -> str:
        number = sender.removeprefix(f"{KIND}:")
        if self._settings.phone_number not in (None, number) and number not in self._ids:
            raise Refused(NO_SUCH_SENDER, "its number is none of this gateway")
        return self._ids.get(number, self._settings.phone_number_id)

    def _of_template(self, message: ChannelMessage) -> JSON:
        template = message.template
        assert template is not None, "it was looked at"
        is_open = message.is_within_window
        is_approved = bool(template.name)
        if not is_open and not is_approved:
            raise Refused(OUTSIDE_WINDOW, "outside the window only approved templates may be sent")
        prefers_free = self._settings.templates_in_window == "free_form" or template.type in SESSION_ONLY
        if is_open and (prefers_free or not is_approved):
            return free_form(template, self._settings.text_chars)
        return template_body(template)

    def _text(self, message: ChannelMessage) -> JSON:
        if not message.text:
            raise Refused(NOT_ACCEPTED, "it says nothing")
        return text_body(message.text, preview_urls=self._settings.preview_urls)

    async def _send_file(self, number_id: str, to: str, message: ChannelMessage) -> Accepted:
        media = message.media[0]
        kind = file_kind(media)
        words = message.text
        is_one = not words or (takes_caption(kind) and len(words) <= CAPTION_CHARS)
        if self._is_uploaded(media.url):
            source = {"id": await self._files.upload((number_id, "media"), media)}
        else:
            source = {"link": media.url}
        handles = await self._post(number_id, to, file_body(kind, source, media.filename, words if is_one else None))
        if is_one:
            return Accepted(handles=handles)
        try:
            more = await self._post(number_id, to, self._text(message))
        except (Refused, NotNow, Unsure) as trouble:
            # Another attempt would send the file again.
            return Accepted(handles=handles, lost=code_of(trouble))
        return Accepted(handles=(*handles, *more))

    def _is_uploaded(self, url: str) -> bool:
        way = self._settings.media
        return way == "upload" or (way == "auto" and not url.startswith("https://"))

    async def _post(self, number_id: str, to: str, content: JSON) -> tuple[str, ...]:
        body: JSON = {"messaging_product": KIND, "recipient_type": "individual", "to": to, **content}
        taken = await self._graph.send((number_id, "messages"), body, _Taken)
        return () if taken is None else tuple(message.id for message in taken.messages)

    # --- the rest

    def _note(self, events: Sequence[Any]) -> None:
        for event in events:
            if isinstance(event, Incoming):
                self._unmarked.append((self._number_id(event.recipient), event.provider_id))
                self._is_unmarked.set()

    async def _check_number(self, name: str) -> Finding:
        # The proof goes along whatever is set: it is the one way to learn that the secret is the right one.
        number, trouble = await checking.looked_at(
            self._graph.get(
                (name,), _Number, {"fields": "display_phone_number,verified_name,quality_rating"}, is_proving=True
            ),
            f"the number with id {name} cannot be read",
            "Compare phone_number_id, access_token and app_secret with what Meta shows.",
        )
        if number is None:
            assert trouble is not None, "one of both"
            return trouble
        return Finding(
            is_good=True,
            what=f"the token and the secret are good for {number.display_phone_number} ({number.verified_name},"
            f" quality {number.quality_rating or 'unknown'})",
        )

    async def _check_subscription(self, account_id: str) -> Finding:
        subscribed, trouble = await checking.looked_at(
            self._graph.get((account_id, "subscribed_apps"), _Subscribed),
            "who is told of the account's messages cannot be seen",
            "Give the system user the permission whatsapp_business_management.",
        )
        if subscribed is None:
            assert trouble is not None, "one of both"
            return trouble
        if subscribed.data:
            return Finding(is_good=True, what="an application is told of the account's messages")
        return Finding(
            is_good=False,
            what="no application is told of the account's messages",
            remedy="Subscribe yours: POST /{business_account_id}/subscribed_apps with its token.",
        )


def _open(settings: Any, surroundings: Surroundings) -> Channel:
    return WhatsApp(settings, surroundings)


ADAPTER: Final = Adapter(name="whatsapp", kinds=frozenset((KIND,)), settings=WhatsAppSettings, open=_open)
