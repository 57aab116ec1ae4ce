"""What the tests of channels with an HTTP API share: an opened channel, and an ear that its provider can call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from tertulia.server.channels.base import (
    Channel,
    ChannelMessage,
    Forged,
    Heard,
    MessageMedia,
    NotNow,
    Refused,
    Surroundings,
    Unreadable,
    Unsure,
)
from tertulia.server.channels.registry import adapter_of, settings_of
from tertulia.server.clock import Clock, ManualClock
from tertulia.server.domain.channels import Incoming, IncomingMedia, Report
from tertulia.server.outgoing import Outgoing
from tertulia.server.settings import OutgoingSettings, Settings
from tertulia.wire.requests import Request, parse_query

OPEN = Settings(outgoing=OutgoingSettings(allow_private=True))
GATEWAY = "GW" + "1" * 32
OURS = "+15550100"
THEIRS = "+15550101"
NOW_US = 1_735_689_600_000_000
FOUR_HOURS_US = 4 * 3600 * 1_000_000
WITHIN_S = 20.0
CALLBACK = f"https://chat.example/callbacks/{GATEWAY}"


class Ear:
    """``async with Ear() as ear``: what is called at ``ear.url`` is heard by ``ear.channel``, and kept."""

    def __init__(self) -> None:
        self.url = ""
        self.channel: Channel | None = None
        self.events: list[Incoming | Report] = []
        self._came = asyncio.Condition()
        application = web.Application()
        application.router.add_route("*", f"/callbacks/{GATEWAY}{{tail:.*}}", self._hear)
        self._runner = web.AppRunner(application, shutdown_timeout=1.0)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/callbacks/{GATEWAY}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    async def has_heard(self, times: int) -> list[Incoming | Report]:
        """What it was told, once it was told so many things."""
        async with asyncio.timeout(WITHIN_S), self._came:
            await self._came.wait_for(lambda: len(self.events) >= times)
        return self.events

    async def _hear(self, request: web.Request) -> web.Response:
        assert self.channel is not None
        url = self.url.partition("/callbacks/")[0] + request.raw_path
        tail, _, query = request.raw_path.partition(f"/callbacks/{GATEWAY}")[2].partition("?")
        headers = {name.lower(): value for name, value in request.headers.items()}
        try:
            heard = self.channel.hear(
                Request(request.method, tail, parse_query(query), headers, await request.read()), url
            )
        except Forged:
            return web.Response(status=403)
        except Unreadable:
            return web.Response(status=400)
        async with self._came:
            self.events += heard.events
            self._came.notify_all()
        return web.Response(status=heard.reply.status, body=heard.reply.body, headers=dict(heard.reply.headers))


def surroundings(outgoing: Outgoing, clock: Clock, callback_url: str) -> Surroundings:
    return Surroundings(
        gateway_sid=GATEWAY,
        account_sid="AC" + "1" * 32,
        callback_url=callback_url,
        outgoing=outgoing,
        clock=clock,
        new_sid=lambda prefix: prefix + "9" * 32,
    )


@asynccontextmanager
async def opened(
    adapter: str,
    settings: Mapping[str, Any],
    clock: Clock | None = None,
    callback_url: str = CALLBACK,
    server: Settings = OPEN,
) -> AsyncIterator[Channel]:
    """The channel of an adapter that is found as any is, with settings as an account holder gives them."""
    found = adapter_of(adapter)
    outgoing = Outgoing(server)
    channel = found.open(
        settings_of(found, settings), surroundings(outgoing, clock or ManualClock(NOW_US), callback_url)
    )
    try:
        yield channel
    finally:
        await channel.close()
        await outgoing.close()


def a_channel(adapter: str, settings: Mapping[str, Any], clock: Clock | None = None) -> Channel:
    """One that is only asked to read what comes."""
    found = adapter_of(adapter)
    return found.open(
        settings_of(found, settings), surroundings(Outgoing(OPEN), clock or ManualClock(NOW_US), CALLBACK)
    )


def a_message(text: str | None = "hello", **changed: Any) -> ChannelMessage:
    message: dict[str, Any] = {
        "sid": "SM" + "2" * 32,
        "sender": OURS,
        "recipients": (THEIRS,),
        "text": text,
        "valid_until": NOW_US + FOUR_HOURS_US,
        **changed,
    }
    return ChannelMessage(**message)


def a_file(url: str = "https://chat.example/files/one?t=1&s=2", content_type: str = "image/png") -> MessageMedia:
    async def read() -> AsyncIterator[bytes]:
        yield b"bytes"

    return MessageMedia(url=url, content_type=content_type, size=5, filename=None, read=read)


def a_request(
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    *,
    path: str = "",
    query: str = "",
    method: str = "POST",
) -> tuple[Request, str]:
    """A callback, and the URL that it came to."""
    lower = {name.lower(): value for name, value in (headers or {}).items()}
    url = CALLBACK + path + (f"?{query}" if query else "")
    return Request(method, path, parse_query(query), lower, body), url


def verdict(channel: Channel, request: Request, url: str) -> str | Heard:
    """What is heard, or the name of why not."""
    try:
        return channel.hear(request, url)
    except (Forged, Unreadable) as refusal:
        return type(refusal).__name__


async def sent(channel: Channel, message: ChannelMessage) -> str:
    """How an attempt went, in a few words."""
    try:
        accepted = await channel.send(message)
    except Refused as refused:
        return f"refused {refused.code}"
    except NotNow as later:
        after = "" if later.after_s is None else f" {later.after_s:g}s"
        return f"not now{after}{' alarm' if later.is_alarming else ''}"
    except Unsure:
        return "unsure"
    return f"accepted {' '.join(accepted.handles)} x{accepted.segments}"


async def fetched(channel: Channel, reference: str) -> bytes | str:
    """The bytes of a file, or why not."""
    try:
        media = IncomingMedia(content_type="image/png", reference=reference)
        return b"".join([piece async for piece in channel.fetch(media)])
    except Refused as refused:
        return f"refused {refused.code}"
    except NotNow:
        return "not now"
