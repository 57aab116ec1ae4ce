"""What the tests of WhatsApp and Messenger share: channels that talk to our double of Meta, and values for them."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

from tertulia.server.channels import registry
from tertulia.server.channels.base import (
    Channel,
    ChannelMessage,
    Heard,
    MessageMedia,
    MessageTemplate,
    Surroundings,
)
from tertulia.server.clock import ManualClock
from tertulia.server.domain.channels import IncomingMedia
from tertulia.server.outgoing import Outgoing
from tertulia.server.settings import OutgoingSettings, Settings
from tertulia.wire.requests import Request, parse_query
from tests.peers.graph import NUMBER, NUMBER_ID, PAGE_ID, PERSON, PSID, GraphPeer

OPEN = Settings(outgoing=OutgoingSettings(allow_private=True))
OURS = f"whatsapp:+{NUMBER}"
THEIRS = f"whatsapp:+{PERSON}"
PAGE = f"messenger:{PAGE_ID}"
READER = f"messenger:{PSID}"
CALLBACK = "https://tertulia.example/callbacks/GW" + "1" * 32
LATER = 4_000_000_000_000_000


def now_s(clock: ManualClock) -> float:
    return clock.now() / 1e6


@contextlib.asynccontextmanager
async def channel_to(
    peer: GraphPeer,
    adapter: str,
    *,
    clock: ManualClock | None = None,
    outgoing: Settings = OPEN,
    **settings: Any,
) -> AsyncIterator[Channel]:
    """A channel as a gateway with these settings has it."""
    usual: dict[str, Any] = {
        "access_token": peer.token,
        "app_secret": peer.app_secret,
        "verify_token": peer.verify_token,
        "base_url": peer.url,
        **({"phone_number_id": NUMBER_ID} if adapter == "whatsapp" else {"page_id": PAGE_ID}),
    }
    known = registry.adapter_of(adapter)
    calls = Outgoing(outgoing)
    channel = known.open(
        registry.settings_of(known, {**usual, **settings}),
        Surroundings(
            gateway_sid="GW" + "1" * 32,
            account_sid="AC" + "1" * 32,
            callback_url=CALLBACK,
            outgoing=calls,
            clock=clock or ManualClock(),
            new_sid=lambda prefix: prefix + "0" * 32,
        ),
    )
    try:
        yield channel
    finally:
        await channel.close()
        await calls.close()


def outgoing_message(
    text: str | None = None,
    *,
    media: Sequence[MessageMedia] = (),
    template: MessageTemplate | None = None,
    is_within_window: bool = True,
    sender: str = OURS,
    recipient: str = THEIRS,
) -> ChannelMessage:
    return ChannelMessage(
        sid="WA" + "5" * 32,
        sender=sender,
        recipients=(recipient,),
        text=text,
        media=tuple(media),
        template=template,
        valid_until=LATER,
        is_within_window=is_within_window,
    )


def to_reader(text: str | None = None, *, media: Sequence[MessageMedia] = (), page: str = PAGE) -> ChannelMessage:
    """The same by Messenger."""
    return outgoing_message(text, media=media, sender=page, recipient=READER)


def file(
    content: bytes = b"bytes of a file",
    content_type: str = "image/jpeg",
    *,
    filename: str | None = "a.jpg",
    url: str = "https://tertulia.example/Media/ME1",
    size: int | None = None,
) -> MessageMedia:
    async def read() -> AsyncIterator[bytes]:
        yield content[:3]
        yield content[3:]

    return MessageMedia(
        url=url,
        content_type=content_type,
        size=len(content) if size is None else size,
        filename=filename,
        read=read,
    )


def template(kind: str, content: dict[str, Any], *, name: str = "invitation", **variables: str) -> MessageTemplate:
    """Of a template's placeholders the numbers are written ``v1``, ``v2``."""
    values = {key.removeprefix("v") if key[1:].isdecimal() else key: value for key, value in variables.items()}
    return MessageTemplate(name=name, language="en", type=kind, content=content, variables=values)


def posted(peer: GraphPeer, body: bytes, *, signature: str | None = None, path: str = "") -> Request:
    """A request as Meta makes it; ``signature`` instead of the right one."""
    headers = {"x-hub-signature-256": peer.signature(body) if signature is None else signature}
    return Request("POST", path, {}, headers, body)


def asked(query: str) -> Request:
    return Request("GET", "", parse_query(query), {}, b"")


def heard(channel: Channel, peer: GraphPeer, update: Any) -> Heard:
    """What a signed update is read as."""
    body = update if isinstance(update, bytes) else json.dumps(update).encode()
    return channel.hear(posted(peer, body), CALLBACK)


async def fetched(channel: Channel, reference: str | None, content_type: str = "image/jpeg") -> bytes:
    """The bytes of a file that came."""
    pieces = channel.fetch(IncomingMedia(content_type=content_type, reference=reference))
    return b"".join([piece async for piece in pieces])
