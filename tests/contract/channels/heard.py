"""An adapter of these tests: what its provider sends is JSON, signed, and says what it should be read as."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, ClassVar

import msgspec
import pytest
from msgspec import Meta

from tertulia.server.channels.base import (
    Accepted,
    Adapter,
    Capabilities,
    Channel,
    ChannelMessage,
    Forged,
    Heard,
    Inbox,
    Surroundings,
    Unreadable,
)
from tertulia.server.domain.channels import Incoming, IncomingMedia, Report
from tertulia.wire.requests import Reply, Request

from .distribution import install

SECRET = "not a secret, but signed with"
NAME = "heard"


class Settings(msgspec.Struct, frozen=True):
    secret: Annotated[str, Meta(description="Signs requests.", extra={"secret": True})] = SECRET
    heeds: Annotated[bool, Meta(description="Whether STOP is left to us.")] = True


class Said(msgspec.Struct, frozen=True):
    """What the provider sends."""

    messages: tuple[Incoming, ...] = ()
    reports: tuple[Report, ...] = ()


Files = dict[str, bytes | Exception]


class HeardChannel(Channel):
    """What it fetches, sends, and has put into its inbox, is in reach of the test that runs it."""

    files: ClassVar[Files] = {}
    sent: ClassVar[list[ChannelMessage]] = []
    inbox: ClassVar[Inbox | None] = None

    def __init__(self, settings: Settings, surroundings: Surroundings) -> None:
        self._settings = settings
        self._surroundings = surroundings
        self.capabilities = Capabilities(has_opt_out=settings.heeds)

    async def send(self, message: ChannelMessage) -> Accepted:
        self.sent.append(message)
        return Accepted(handles=(message.sid,))

    def hear(self, request: Request, url: str) -> Heard:
        signature = request.headers.get("x-signature", "")
        ours = signed(url, request.body, self._settings.secret)
        if not hmac.compare_digest(signature.encode(), ours.encode()):
            raise Forged("the signature is another")
        if request.path == "/crash":
            raise KeyError(request.body.decode())
        try:
            said = msgspec.json.decode(request.body, type=Said)
        except msgspec.MsgspecError:
            raise Unreadable("no JSON of ours") from None
        return Heard(
            events=(*said.messages, *said.reports),
            reply=Reply(200, f"{request.method} {request.path}".encode(), (("content-type", "text/plain"),)),
        )

    async def fetch(self, media: IncomingMedia) -> AsyncIterator[bytes]:
        content = self.files[media.reference or ""]
        if isinstance(content, Exception):
            raise content
        for start in range(0, len(content), 1 << 16):
            yield content[start : start + (1 << 16)]

    async def run(self, inbox: Inbox) -> None:
        HeardChannel.inbox = inbox


def _open(settings: Any, surroundings: Surroundings) -> Channel:
    return HeardChannel(settings, surroundings)


ADAPTER = Adapter(
    name=NAME,
    kinds=frozenset(("sms", "whatsapp", "messenger", "email")),
    settings=Settings,
    open=_open,
)


def signed(url: str, body: bytes, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), url.encode() + b"\n" + body, hashlib.sha256).hexdigest()


@contextmanager
def installed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The adapter is found as those of others are: by an entry point of an installed distribution."""
    install(folder, monkeypatch, **{NAME: f"{__name__}:ADAPTER"})
    monkeypatch.setattr(HeardChannel, "files", {})
    monkeypatch.setattr(HeardChannel, "sent", [])
    monkeypatch.setattr(HeardChannel, "inbox", None)
    yield
