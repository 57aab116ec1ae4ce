"""One connection to a server that sends mail: greeting, TLS, login, and commands with their answers (RFC 5321)."""

from __future__ import annotations

import asyncio
import base64
import hmac
import re
from collections.abc import Mapping
from enum import Enum, auto
from typing import Final

import msgspec

from tertulia.server.outgoing import Outgoing
from tertulia.server.outgoing.trust import trusting_only

from . import codes
from .lines import Broken, Lines, dialled
from .settings import EmailSettings, Security

REPLY_LINES: Final = 100
_REPLY: Final = re.compile(rb"(\d{3})(?:([ -])(.*))?", re.DOTALL)


class Reply(msgspec.Struct, frozen=True):
    """What a server says to one command. Printed without its words, which may hold addresses."""

    code: int
    lines: tuple[str, ...]

    @property
    def is_good(self) -> bool:
        return 200 <= self.code < 400

    @property
    def is_final(self) -> bool:
        """It says no for good."""
        return self.code >= 500

    @property
    def status(self) -> str | None:
        return codes.status_in(self.lines[0]) if self.lines else None

    def __repr__(self) -> str:
        return f"Reply({self.code})"

    def __str__(self) -> str:
        status = self.status
        return f"{self.code} {status}" if status else str(self.code)


class Unwelcome(Exception):
    """The server will not have us, now or at all: its greeting, its TLS or its answer to our name says so."""

    def __init__(self, why: str, *, is_alarming: bool) -> None:
        super().__init__(why)
        self.is_alarming = is_alarming


class Phase(Enum):
    """Where in a mail a connection is."""

    BETWEEN = auto()
    IN_DATA = auto()
    COMMITTING = auto()
    """All has been said, and the server has not answered yet."""


class Dialogue:
    """A connection that is logged in. Whoever holds it closes it."""

    def __init__(self, lines: Lines, answer_s: float) -> None:
        self._lines = lines
        self._answer_s = answer_s
        self.offers: Mapping[str, str] = {}
        """What the server can do beyond the least, in capitals, and what it says of it."""
        self.sent = 0
        """Mails, so far."""
        self.phase = Phase.BETWEEN

    @property
    def is_fresh(self) -> bool:
        return self._lines.is_fresh

    async def ask(self, command: str, limit_s: float | None = None) -> Reply:
        """Say it, and hear the answer. Raises ``Broken``."""
        await self._lines.write(f"{command}\r\n".encode(), self._answer_s)
        return await self.answer(limit_s)

    async def put(self, data: bytes) -> None:
        """Part of a mail. Raises ``Broken``."""
        await self._lines.write(data, self._answer_s)

    async def answer(self, limit_s: float | None = None) -> Reply:
        """Raises ``Broken``."""
        said: list[str] = []
        while len(said) < REPLY_LINES:
            found = _REPLY.fullmatch(await self._lines.line(self._answer_s if limit_s is None else limit_s))
            if found is None:
                raise Broken("what the server says is not SMTP")
            said.append((found[3] or b"").decode("utf-8", "replace"))
            if found[2] != b"-":
                return Reply(int(found[1]), tuple(said))
        raise Broken("the server's answer has too many lines")

    async def begin(self, settings: EmailSettings, hello: str) -> None:
        """Until mail can be given. Raises ``Unwelcome``, ``Broken``, ``CallFailed``, ``ValueError``."""
        greeting = await self.answer()
        if greeting.code != 220:
            raise Unwelcome(f"the server greets us with {greeting}", is_alarming=greeting.is_final)
        await self._hello(hello)
        if settings.security is Security.STARTTLS:
            if "STARTTLS" not in self.offers:
                raise Unwelcome("the server offers no STARTTLS", is_alarming=True)
            reply = await self.ask("STARTTLS")
            if reply.code != 220:
                raise Unwelcome(f"the server answers STARTTLS with {reply}", is_alarming=reply.is_final)
            await self._lines.start_tls(await asyncio.to_thread(trusting_only, settings.authorities))
            await self._hello(hello)
        if settings.username:
            await self._log_in(settings.username, settings.password)

    async def leave(self) -> None:
        """Says goodbye, and hears no answer."""
        try:
            await self._lines.write(b"QUIT\r\n", 1.0)
        except Broken:
            return
        finally:
            self.close()

    def close(self) -> None:
        self._lines.close()

    async def _hello(self, hello: str) -> None:
        reply = await self.ask(f"EHLO {hello}")
        if not reply.is_good and reply.is_final:
            reply = await self.ask(f"HELO {hello}")
        if not reply.is_good:
            raise Unwelcome(f"the server answers our name with {reply}", is_alarming=reply.is_final)
        said = (line.partition(" ") for line in reply.lines[1:])
        self.offers = {name.upper(): rest for name, _, rest in said}

    async def _log_in(self, username: str, password: str) -> None:
        ways = self.offers.get("AUTH", "").upper().split()
        if "CRAM-MD5" in ways and "PLAIN" not in ways and "LOGIN" not in ways:
            reply = await self.ask("AUTH CRAM-MD5")
            if reply.code == 334:
                challenge = _decoded(reply)
                proof = hmac.new(password.encode(), challenge, "md5").hexdigest()
                reply = await self.ask(_encoded(f"{username} {proof}"))
        elif "PLAIN" in ways or "LOGIN" not in ways:
            if not ways:
                raise Unwelcome("the server takes no login", is_alarming=True)
            reply = await self.ask(f"AUTH PLAIN {_encoded(f'{chr(0)}{username}{chr(0)}{password}')}")
        else:
            reply = await self.ask("AUTH LOGIN")
            for secret in (username, password):
                if reply.code == 334:
                    reply = await self.ask(_encoded(secret))
        if reply.code != 235:
            raise Unwelcome(f"the server answers our login with {reply}", is_alarming=reply.is_final)


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode("ascii")


def _decoded(reply: Reply) -> bytes:
    try:
        return base64.b64decode(reply.lines[0].encode(), validate=True)
    except ValueError:
        raise Broken("what the server says is not SMTP") from None


async def opened(settings: EmailSettings, outgoing: Outgoing, hello: str, answer_s: float) -> Dialogue:
    """A connection that mail can be given. Raises ``Unwelcome``, ``Broken``, ``CallFailed``, ``ValueError``."""
    lines = await dialled(
        outgoing,
        settings.host,
        settings.smtp_port,
        tls=settings.security is Security.TLS,
        authorities=settings.authorities,
    )
    dialogue = Dialogue(lines, answer_s)
    try:
        await dialogue.begin(settings, hello)
    except BaseException:
        dialogue.close()
        raise
    return dialogue
