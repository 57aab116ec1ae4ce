"""The channel: sends through connections that are kept, reads a mailbox, listens, and looks whether that works."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from tertulia.server.channels.base import (
    Accepted,
    Adapter,
    Capabilities,
    Channel,
    ChannelMessage,
    Finding,
    Inbox,
    NotNow,
    Refused,
    Surroundings,
)
from tertulia.server.domain import limits
from tertulia.server.domain.addresses import EMAIL

from . import checking, codes
from .composing import composed, name_of
from .links import Links
from .listening import Listener
from .reading import Ours
from .settings import EmailSettings
from .signing import Signer
from .submitting import Split
from .watching import Watch

PATIENCE: Final = 3
"""Attempts that wait for recipients who cannot be taken now, before the others get it without them."""
REMEMBERED: Final = 1000
CHECK_S: Final = 25.0


class EmailChannel(Channel):
    """One mail server, with the mailbox or the listener that its answers come to."""

    def __init__(self, settings: EmailSettings, surroundings: Surroundings) -> None:
        self._settings = settings
        self._outgoing = surroundings.outgoing
        self._clock = surroundings.clock
        self._senders = surroundings.senders
        signer = Signer(settings.dkim_domain, settings.dkim_selector, settings.dkim_key) if settings.dkim_key else None
        self._links = Links(settings, surroundings.outgoing, signer)
        self._watch: Watch | None = None
        self._listener: Listener | None = None
        if settings.imap_host:
            self._watch = Watch(
                settings, surroundings.outgoing, surroundings.clock, surroundings.gateway_sid, self._ours
            )
        if settings.listen_port is not None:
            self._listener = Listener(settings, surroundings.gateway_sid, self._ours)
        self._split: dict[str, int] = {}
        self._running: set[asyncio.Task[None]] = set()
        self.capabilities = Capabilities(
            text_chars=limits.MESSAGE_BODY,
            media_types=frozenset(("*/*",)),
            media_bytes=settings.message_bytes,
            media_count=limits.MEDIA_OF_A_MESSAGE,
            has_captions=True,
            has_groups=True,
        )

    def handle_of(self, message: ChannelMessage) -> str | None:
        return name_of(message)

    async def send(self, message: ChannelMessage) -> Accepted:
        """One mail for all recipients; who of several is refused, the answer says."""
        if sum(media.size for media in message.media) > self._settings.message_bytes:
            raise Refused(codes.TOO_LARGE, f"its files have more than {self._settings.message_bytes} bytes together")
        now = self._clock.now()
        mail = composed(message, self._settings, now)
        try:
            in_part = self._split.get(message.sid, 0) >= PATIENCE
            taken = await self._links.submit(mail, now, in_part=in_part)
        except Split:
            self._split[message.sid] = self._split.pop(message.sid, 0) + 1
            while len(self._split) > REMEMBERED:
                del self._split[next(iter(self._split))]
            raise NotNow("the server cannot take some of its recipients now") from None
        self._split.pop(message.sid, None)
        return Accepted(handles=(mail.name,), refused=taken.refused)

    async def run(self, inbox: Inbox) -> None:
        async with asyncio.TaskGroup() as ways:
            for way in (self._watch, self._listener):
                if way is not None:
                    task = ways.create_task(way.run(inbox))
                    self._running.add(task)
                    task.add_done_callback(self._running.discard)

    async def check(self) -> Sequence[Finding]:
        """Asks both servers at a time."""
        settings = self._settings
        senders = await self._senders()
        hello = next((one.rpartition("@")[2] for one in senders), "localhost")
        try:
            async with asyncio.timeout(CHECK_S), asyncio.TaskGroup() as looks:
                sending = looks.create_task(checking.look_at_sending(settings, self._outgoing, hello))
                mailbox = (
                    looks.create_task(checking.look_at_mailbox(settings, self._outgoing))
                    if settings.imap_host
                    else None
                )
        except TimeoutError:
            return [
                Finding(
                    is_good=False,
                    what=f"a server said nothing for {CHECK_S:g} s",
                    remedy="compare hosts, ports and security",
                )
            ]
        findings = [sending.result(), *(mailbox.result() if mailbox else [])]
        if self._listener is not None:
            findings.append(checking.look_at_listening(settings, is_listening=self._listener.is_listening))
        return [*findings, checking.look_at_senders(len(senders)), checking.RECORDS]

    async def close(self) -> None:
        self._links.close()
        for task in self._running:
            task.cancel()
        if self._running:
            await asyncio.wait(set(self._running))

    async def _ours(self) -> Ours:
        return Ours(
            senders=tuple(await self._senders()),
            reply_mailbox=self._settings.reply_mailbox,
            bounce_mailbox=self._settings.bounce_mailbox,
            codes=self._settings.codes,
            trusted_server=self._settings.trusted_authserv_id,
            on_failure=self._settings.on_dmarc_fail,
        )


ADAPTER: Final = Adapter(
    name="email",
    kinds=frozenset({EMAIL}),
    settings=EmailSettings,
    open=EmailChannel,
    is_called=False,
    listens_by="listen_port",
)
