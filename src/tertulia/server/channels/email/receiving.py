"""A conversation with whoever brings mail: SMTP (RFC 5321) or LMTP (RFC 2033), as much of them as it takes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Final

from tertulia.server.channels.base import InboxClosed
from tertulia.server.domain.room import Room, Share

from .lines import Lines, Pace
from .reading import MAILBOXES, Delivered, Ours
from .settings import Protocol

COMMAND_BYTES: Final = 2048
COMMANDS: Final = 2000
MISTAKES: Final = 20
SILENCE_S: Final = 120.0
GRACE_S: Final = 30.0
LEAST_RATE: Final = 4096.0
"""Bytes of a mail in a second, after ``GRACE_S``."""
TLS_S: Final = 10.0

_PATH: Final = re.compile(r"(?:FROM|TO):\s*<([^<>\x00-\x1f]{0,320})>((?: +[!-~]+)*) *", re.IGNORECASE)
_SIZE: Final = re.compile(r" SIZE=(\d{1,12})\b", re.IGNORECASE)

Keep = Callable[[Delivered], Awaitable[None]]
"""Keeps a mail for good; raises ``InboxClosed`` and ``Unwanted``."""


class Unwanted(Exception):
    """The mail is not taken, now or later. The text says why, without anything of it."""


class Visit:
    """One connection, from greeting to goodbye."""

    def __init__(
        self,
        lines: Lines,
        protocol: Protocol,
        most: int,
        at_once: asyncio.Semaphore,
        room: Room,
        ours: Callable[[], Awaitable[Ours]],
        keep: Keep,
        secure: Callable[[], Awaitable[None]] | None,
    ) -> None:
        """``at_once`` are the mails that are read and kept at a time, ``room`` is where those on their way have theirs.

        ``secure`` says that it may begin, and goes on over TLS; None: it is not offered, or has been done."""
        self._lines = lines
        self._protocol = protocol
        self._most = most
        self._at_once = at_once
        self._room = room
        self._find_ours = ours
        self._keep = keep
        self._secure = secure
        self._is_greeted = False
        self._ours: Ours | None = None
        """While a mail is on its way."""
        self._sender = ""
        self._recipients: list[str] = []

    async def serve(self) -> None:
        """Until one of both ends it. Raises ``Broken``, and ``OSError`` where TLS fails."""
        await self._say("220 Tertulia")
        mistakes = 0
        for _ in range(COMMANDS):
            line = await self._lines.line(SILENCE_S)
            if len(line) > COMMAND_BYTES:
                answer = "500 5.5.2 too long"
            else:
                verb, _, rest = line.decode("utf-8", "replace").strip().partition(" ")
                if verb.upper() == "QUIT":
                    break
                answer = await self._answer(verb.upper(), rest)
            mistakes += answer.startswith("5")
            if mistakes > MISTAKES:
                await self._say("421 4.7.0 too many mistakes")
                return
            if answer:
                await self._say(answer)
        await self._say("221 2.0.0 goodbye")

    async def _answer(self, verb: str, rest: str) -> str:
        """What is said; nothing where it has been said."""
        match verb:
            case "EHLO" | "LHLO" | "HELO":
                return self._hello(verb)
            case "STARTTLS" if self._secure is not None:
                secure, self._secure = self._secure, None
                await secure()
                self._forget()
                self._is_greeted = False
                return ""
            case "MAIL":
                return await self._mail(rest)
            case "RCPT":
                return self._recipient(rest)
            case "DATA":
                return await self._data()
            case "RSET":
                self._forget()
                return "250 2.0.0 forgotten"
            case "NOOP":
                return "250 2.0.0 here"
            case "VRFY":
                return "252 2.1.5 send it and see"
            case _:
                return "502 5.5.1 not known here"

    def _hello(self, verb: str) -> str:
        if (verb == "LHLO") != (self._protocol is Protocol.LMTP):
            return f"500 5.5.1 this is {self._protocol.upper()}"
        self._forget()
        self._is_greeted = True
        if verb == "HELO":
            return "250 Tertulia"
        offers = ["Tertulia", "PIPELINING", f"SIZE {self._most}", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES"]
        if self._secure is not None:
            offers.append("STARTTLS")
        return "\r\n".join([*(f"250-{one}" for one in offers[:-1]), f"250 {offers[-1]}"])

    async def _mail(self, rest: str) -> str:
        found = _PATH.fullmatch(rest)
        if not self._is_greeted or self._ours is not None:
            return "503 5.5.1 not now"
        if found is None or rest[:4].upper() != "FROM":
            return "501 5.5.4 MAIL FROM:<somebody>"
        size = _SIZE.search(found[2])
        if size is not None and int(size[1]) > self._most:
            return f"552 5.3.4 {self._most} bytes are taken"
        self._ours = await self._find_ours()
        self._sender = found[1].strip()
        return "250 2.1.0 well"

    def _recipient(self, rest: str) -> str:
        found = _PATH.fullmatch(rest)
        if self._ours is None:
            return "503 5.5.1 not now"
        if found is None or rest[:2].upper() != "TO":
            return "501 5.5.4 RCPT TO:<somebody>"
        if len(self._recipients) == MAILBOXES:  # whoever brings it comes again, for the others
            return "452 4.5.3 no more recipients"
        if not self._ours.takes(found[1]):
            return "550 5.1.1 nobody of that name here"
        self._recipients.append(found[1].strip())
        return "250 2.1.5 well"

    async def _data(self) -> str:
        if not self._recipients:
            return "503 5.5.1 for whom?"
        count = len(self._recipients) if self._protocol is Protocol.LMTP else 1
        try:
            with self._room.share() as share:
                answer = await self._taken(share)
        finally:
            self._forget()
        # By LMTP each recipient has an answer of his own.
        return "\r\n".join([answer] * count)

    async def _taken(self, share: Share) -> str:
        await self._say("354 go ahead")
        pace = Pace(silence_s=SILENCE_S, grace_s=GRACE_S, least_rate=LEAST_RATE)
        data = await self._lines.until_dot(self._most, pace, share.holds)
        if isinstance(data, int):
            return f"552 5.3.4 {self._most} bytes are taken" if data > self._most else "452 4.3.1 too much at once"
        async with self._at_once:
            return await self._kept(data)

    async def _kept(self, data: bytes) -> str:
        mail = Delivered(data=data, sender=self._sender, recipients=tuple(self._recipients))
        try:
            await self._keep(mail)
        except InboxClosed:
            return "451 4.3.0 it cannot be kept now"
        except Unwanted as why:
            return f"550 5.7.1 {why}"
        return "250 2.0.0 kept"

    def _forget(self) -> None:
        self._ours, self._sender, self._recipients = None, "", []

    async def _say(self, text: str) -> None:
        await self._lines.write(f"{text}\r\n".encode(), SILENCE_S)
