"""The channel: SMS, MMS and WhatsApp by one API, each kind of message with a body of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

import msgspec

from tertulia.server.domain.addresses import SMS, kind_of
from tertulia.server.domain.channels import IncomingMedia
from tertulia.server.outgoing import Call
from tertulia.wire.requests import Request

from ..base import (
    Accepted,
    Adapter,
    Capabilities,
    ChannelMessage,
    Finding,
    NotNow,
    Refused,
    Surroundings,
    Unsure,
)
from ..http_sms import kinds
from ..http_sms.asking import text_of, valid_s_of
from ..http_sms.calling import ANSWER_BYTES, JSON
from ..http_sms.channel import HttpChannel
from ..http_sms.hearing import document_in_request
from ..http_sms.kinds import WHATSAPP
from ..http_sms.numbers import address_of
from ..http_sms.vocabulary import UNKNOWN_ERROR
from .settings import VonageSettings, described
from .tokens import Tokens

NAME: Final = "Vonage"
SEND_S: Final = 28.0
"""All that an attempt may take."""
CLIENT_REF_CHARS: Final = 40
_CAPTIONED: Final = ("image", "video", "file")


class VonageChannel(HttpChannel):
    """One application."""

    def __init__(self, settings: VonageSettings, surroundings: Surroundings) -> None:
        self._tokens = (
            Tokens(settings.application_id, settings.private_key, surroundings.clock) if settings.has_key else None
        )
        largest = max(settings.media_bytes, settings.whatsapp_media_bytes)
        super().__init__(described(settings), surroundings, NAME, incoming_bytes=largest)
        self._whatsapp = kinds.whatsapp(
            settings.whatsapp_media_bytes,
            settings.window_h,
            has_templates=False,
            has_opt_out=settings.heeds_keywords,
        )

    def capabilities_of(self, kind: str) -> Capabilities:
        return self._whatsapp if kind == WHATSAPP else self.capabilities

    async def send(self, message: ChannelMessage) -> Accepted:
        """One call; two where a file cannot have the words that it comes with.

        Raises ``Refused``, ``NotNow``, ``Unsure``.
        """
        until = asyncio.get_running_loop().time() + SEND_S
        await self._authorize()
        taken = await super().send(message)
        if not message.media or not message.text or _sort_of(message.media[0].content_type) in _CAPTIONED:
            return taken
        try:
            async with asyncio.timeout_at(until):
                words = await super().send(msgspec.structs.replace(message, media=()))
        except (Refused, NotNow, Unsure, TimeoutError) as trouble:
            # Another attempt would send the file again.
            code = trouble.code if isinstance(trouble, Refused) else UNKNOWN_ERROR
            return msgspec.structs.replace(taken, lost=code)
        return msgspec.structs.replace(
            taken, handles=(*taken.handles, *words.handles), segments=taken.segments + words.segments
        )

    async def fetch(self, media: IncomingMedia) -> AsyncIterator[bytes]:
        await self._authorize()
        async for piece in super().fetch(media):
            yield piece

    async def check(self) -> Sequence[Finding]:
        try:
            await self._authorize()
        except NotNow as trouble:
            looked = Finding(
                is_good=False, what=trouble.why, remedy="Paste the whole file, with its first and last line."
            )
            return (looked, self._called_at())
        return await super().check()

    async def _authorize(self) -> None:
        if self._tokens is not None:
            await self._tokens.renew()

    def _headers(self) -> tuple[tuple[str, str], ...]:
        own = super()._headers()
        return own if self._tokens is None else (*own, ("Authorization", f"Bearer {self._tokens.current}"))

    def _call(self, message: ChannelMessage) -> Call:
        settings = self._settings
        return Call(
            method="POST",
            url=settings.base_url.rstrip("/") + settings.path,
            headers=(*self._headers(), JSON),
            body=msgspec.json.encode(self._body(message)),
            read_s=settings.answer_s,
            total_s=settings.answer_s,
            answer_limit_bytes=ANSWER_BYTES,
        )

    def _body(self, message: ChannelMessage) -> dict[str, Any]:
        text = text_of(message, self._settings)
        kind = kind_of(message.recipients[0])
        body: dict[str, Any] = {
            "to": _bare(message.recipients[0]),
            "from": _bare(message.sender),
            "channel": kind,
            "client_ref": message.sid[:CLIENT_REF_CHARS],
            "webhook_url": self.reports_url(),
            "webhook_version": "v1",
        }
        if not message.media:
            # UNVERIFIED: that this is how long it is tried to be delivered; of WhatsApp the provider decides.
            life = {"ttl": valid_s_of(message, self._surroundings.clock.now())} if kind == SMS else {}
            return {**body, **life, "message_type": "text", "text": text}
        file = message.media[0]
        sort = _sort_of(file.content_type)
        caption = {"caption": text} if text and sort in _CAPTIONED else {}
        return {
            **body,
            "channel": "mms" if kind == SMS else kind,
            "message_type": sort,
            sort: {"url": file.url, **caption},
        }

    def _document(self, request: Request) -> Any:
        """What came, with addresses as conversations spell them."""
        document = document_in_request(request)
        if not isinstance(document, dict):
            return None
        prefix = f"{WHATSAPP}:" if document.get("channel") == WHATSAPP else ""
        for name, said in (("sender", document.get("from")), ("recipient", document.get("to"))):
            if isinstance(said, str | int) and not isinstance(said, bool):
                document[name] = prefix + address_of(str(said))
        return document


def _bare(address: str) -> str:
    return address.removeprefix(f"{WHATSAPP}:").removeprefix("+")


def _sort_of(content_type: str) -> str:
    sort = content_type.partition("/")[0]
    return sort if sort in ("image", "audio", "video") else "file"


ADAPTER: Final = Adapter(name="vonage", kinds=frozenset({SMS, WHATSAPP}), settings=VonageSettings, open=VonageChannel)
