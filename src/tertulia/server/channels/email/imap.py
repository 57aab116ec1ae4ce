"""A mailbox's protocol, as much of it as reading takes (RFC 3501, 2177, 4315): bounded, and believed in nothing.

The library that others use may not be linked with ours for its licence, and reads whatever length a server names.
"""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from tertulia.server.outgoing import Outgoing
from tertulia.server.outgoing.trust import trusting_only

from .dialogue import Unwelcome
from .lines import Broken, Lines, Silent, dialled
from .settings import EmailSettings, Mark, Security

KEYWORD: Final = "$Tertulia"
LINE_BYTES: Final = 1 << 20
UNTAGGED: Final = 100_000
"""What a server may say in answer to one command."""
WORDS_BYTES: Final = 4 << 20
_LITERAL: Final = re.compile(rb"\{(\d{1,10})\+?\}$")
_NEWS: Final = re.compile(rb"\* \d+ EXISTS\b", re.IGNORECASE)
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Said(msgspec.Struct, frozen=True):
    """One answer of a server, without its content when it is printed."""

    words: bytes
    literals: tuple[bytes, ...] = ()

    def __repr__(self) -> str:
        return f"Said({len(self.words)} bytes, ***)"


class Refusal(Exception):
    """The server will not do it."""


class Folder(msgspec.Struct, frozen=True):
    validity: int
    """Another one than before: UIDs are those of other mails."""
    keeps_keywords: bool


class Fetched(msgspec.Struct, frozen=True):
    data: bytes
    size: int
    """Of the whole mail."""

    def __repr__(self) -> str:
        return f"Fetched({self.size} bytes, ***)"


class Imap:
    """One connection. Whoever holds it closes it. Everything raises ``Broken`` and ``Refusal``."""

    def __init__(self, lines: Lines, answer_s: float) -> None:
        self._lines = lines
        self._answer_s = answer_s
        self._number = 0
        self._largest = 0
        self.can: frozenset[str] = frozenset()
        self._has_news = False
        """The server has told of new mail since the last search."""

    # --- beginning

    async def begin(self, settings: EmailSettings) -> None:
        """Until a folder can be opened. Raises ``Unwelcome``, ``CallFailed``, ``ValueError`` besides."""
        greeting = (await self._said()).words.upper()
        if not greeting.startswith((b"* OK", b"* PREAUTH")):
            raise Unwelcome("the server does not greet us", is_alarming=False)
        await self._look_around()
        if settings.imap_security is Security.STARTTLS:
            if "STARTTLS" not in self.can:
                raise Unwelcome("the server offers no STARTTLS", is_alarming=True)
            await self.ask("STARTTLS")
            await self._lines.start_tls(await asyncio.to_thread(trusting_only, settings.authorities))
            await self._look_around()
        if greeting.startswith(b"* OK"):
            username = settings.imap_username or settings.username
            await self._log_in(username, settings.imap_password or settings.password)
            await self._look_around()

    async def _look_around(self) -> None:
        said = await self.ask("CAPABILITY")
        lines = (one.words for one in said if one.words.upper().startswith(b"* CAPABILITY "))
        self.can = frozenset(word.decode("ascii", "replace").upper() for line in lines for word in line.split()[2:])

    async def _log_in(self, username: str, password: str) -> None:
        try:
            if "AUTH=PLAIN" in self.can:
                secret = base64.b64encode(f"\0{username}\0{password}".encode()).decode("ascii")
                await self.ask("AUTHENTICATE PLAIN", secret)
            elif "LOGINDISABLED" in self.can:
                raise Unwelcome("the server takes no login", is_alarming=True)
            else:
                await self.ask(f"LOGIN {quoted(username)} {quoted(password)}")
        except (Refusal, ValueError) as why:
            raise Unwelcome(f"the server does not believe us ({why})", is_alarming=True) from None

    # --- a folder

    async def select(self, name: str) -> Folder:
        """Open it."""
        said = await self.ask(f"SELECT {quoted(folder_name(name))}")
        whole = b"\n".join(one.words for one in said)
        validity = re.search(rb"\[UIDVALIDITY (\d{1,10})\]", whole, re.IGNORECASE)
        permanent = re.search(rb"\[PERMANENTFLAGS \(([^)]*)\)\]", whole, re.IGNORECASE)
        keeps = permanent is not None and (b"\\*" in permanent[1] or KEYWORD.encode() in permanent[1])
        return Folder(int(validity[1]) if validity else 0, keeps)

    async def waiting(self, mark: Mark, since: int) -> list[int]:
        """UIDs of mail without the mark that has come since that day (UTC microseconds)."""
        unmarked = {Mark.SEEN: "UNSEEN UNDELETED", Mark.KEYWORD: f"UNKEYWORD {KEYWORD} UNDELETED"}.get(
            mark, "UNDELETED"
        )
        self._has_news = False
        day = datetime.fromtimestamp(since // 1_000_000, UTC)
        said = await self.ask(f"UID SEARCH {unmarked} SINCE {day.day}-{_MONTHS[day.month - 1]}-{day.year}")
        lines = (one.words for one in said if one.words.upper().startswith(b"* SEARCH"))
        return sorted({int(word) for line in lines for word in line.split()[2:] if word.isdigit() and len(word) <= 10})

    async def fetch(self, uid: int, most: int) -> Fetched | None:
        """The first ``most`` bytes of a mail, which stays as unread as it was; None: it is gone."""
        self._largest = most
        try:
            said = await self.ask(f"UID FETCH {uid} (UID RFC822.SIZE BODY.PEEK[]<0.{most}>)")
        finally:
            self._largest = 0
        for one in said:
            found = re.search(rb"\bUID (\d{1,10})\b", one.words, re.IGNORECASE)
            if found is None or int(found[1]) != uid or not re.search(rb"BODY\[\]", one.words, re.IGNORECASE):
                continue
            size = re.search(rb"RFC822\.SIZE (\d{1,12})", one.words, re.IGNORECASE)
            data = one.literals[0] if one.literals else b""
            return Fetched(data[:most], max(int(size[1]) if size else 0, len(data)))
        return None

    async def mark(self, uid: int, mark: Mark) -> None:
        flag = {Mark.SEEN: "\\Seen", Mark.KEYWORD: KEYWORD}.get(mark, "\\Deleted")
        await self.ask(f"UID STORE {uid} +FLAGS.SILENT ({flag})")
        # Without it only all that is marked so could be removed, what people have marked among it.
        if mark is Mark.DELETE and "UIDPLUS" in self.can:
            await self.ask(f"UID EXPUNGE {uid}")

    async def look(self) -> None:
        await self.ask("NOOP")

    async def idle(self, limit_s: float) -> None:
        """Until the server tells of something new, or this time is over; what it has told in between counts."""
        if self._is_told():
            return
        tag = await self._say("IDLE")
        await self._invited(tag)
        loop = asyncio.get_running_loop()
        until = loop.time() + limit_s
        # It may have told of something before its yes.
        while not self._is_told() and (left_s := until - loop.time()) > 0:
            try:
                said = await self._said(left_s)
            except Silent:
                break
            if said.words.upper().startswith(b"* BYE"):
                raise Broken("the server has ended the connection")
        await self._lines.write(b"DONE\r\n", self._answer_s)
        await self._finished(tag)

    def _is_told(self) -> bool:
        return self._has_news

    async def leave(self) -> None:
        """Says goodbye, and hears no answer."""
        try:
            await self._lines.write(b"T0 LOGOUT\r\n", 1.0)
        except Broken:
            return
        finally:
            self.close()

    def close(self) -> None:
        self._lines.close()

    # --- commands and answers

    async def ask(self, command: str, secret: str | None = None) -> Sequence[Said]:
        """What the server says until it is done; ``secret`` is said when it asks for more."""
        tag = await self._say(command)
        if secret is not None:
            await self._invited(tag)
            await self._lines.write(f"{secret}\r\n".encode(), self._answer_s)
        return await self._finished(tag)

    async def _say(self, command: str) -> bytes:
        self._number += 1
        tag = f"T{self._number}"
        await self._lines.write(f"{tag} {command}\r\n".encode(), self._answer_s)
        return tag.encode()

    async def _invited(self, tag: bytes) -> None:
        for _ in range(UNTAGGED):
            words = (await self._said()).words
            if words.startswith(b"+"):
                return
            if words.startswith(tag + b" "):
                raise Refusal(_why(words, tag))
        raise Broken("the server says too much")

    async def _finished(self, tag: bytes) -> Sequence[Said]:
        said: list[Said] = []
        total = 0
        while True:
            one = await self._said()
            if one.words.startswith(tag + b" "):
                if one.words[len(tag) + 1 :].upper().startswith(b"OK"):
                    return [*said, one]
                raise Refusal(_why(one.words, tag))
            said.append(one)
            total += len(one.words)
            if len(said) > UNTAGGED or total > WORDS_BYTES:
                raise Broken("the server says too much")

    async def _said(self, silence_s: float | None = None) -> Said:
        """One answer, with what is in it by its length."""
        silence_s = self._answer_s if silence_s is None else silence_s
        words = await self._lines.line(silence_s)
        literals: list[bytes] = []
        left = max(self._largest, LINE_BYTES)
        while (found := _LITERAL.search(words)) is not None:
            left -= int(found[1])
            if left < 0 or len(words) > LINE_BYTES or len(literals) == 100:
                raise Broken("the server says more than it was asked for")
            literals.append(await self._lines.exactly(int(found[1]), self._answer_s))
            words = words[: found.start()] + b"{}" + await self._lines.line(self._answer_s)
        self._has_news = self._has_news or _NEWS.match(words) is not None
        return Said(words, tuple(literals))


def quoted(text: str) -> str:
    """As a quoted string. Raises ``ValueError`` for what none can hold."""
    if not text.isascii() or any(ord(char) < 0x20 or char == "\x7f" for char in text):
        raise ValueError("it has characters that this server cannot be told")
    return '"{}"'.format(text.replace("\\", "\\\\").replace('"', '\\"'))


def folder_name(name: str) -> str:
    """As servers spell it: in their own kind of UTF-7."""
    pieces = re.split(r"([^ -~]+)", name)
    return "".join(
        f"&{base64.b64encode(piece.encode('utf-16-be')).decode('ascii').rstrip('=').replace('/', ',')}-"
        if number % 2
        else piece.replace("&", "&-")
        for number, piece in enumerate(pieces)
    )


def _why(words: bytes, tag: bytes) -> str:
    """The server's no: its word for it, which says nothing of anybody."""
    word = words[len(tag) + 1 :].split(b" ", 1)[0].upper()
    return "the server says " + (word.decode() if word in (b"NO", b"BAD") else "no")


async def opened(settings: EmailSettings, outgoing: Outgoing, answer_s: float) -> Imap:
    """A connection that is logged in. Raises ``Unwelcome``, ``Broken``, ``Refusal``, ``CallFailed``, ``ValueError``."""
    is_tls = settings.imap_security is Security.TLS
    lines = await dialled(
        outgoing,
        settings.imap_host,
        settings.mailbox_port,
        tls=is_tls,
        authorities=settings.authorities,
        line_bytes=LINE_BYTES,
    )
    imap = Imap(lines, answer_s)
    try:
        await imap.begin(settings)
    except BaseException:
        imap.close()
        raise
    return imap
