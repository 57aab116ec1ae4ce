"""A mail handed to a server: whom it takes it for, and what its answers mean (RFC 5321, 3461)."""

from __future__ import annotations

from typing import Final

import msgspec

from tertulia.server.channels.base import NotNow, Refused, Unsure

from . import codes
from .composing import INVALID_RECIPIENT, INVALID_SENDER, Composed
from .dialogue import Dialogue, Phase, Reply
from .lines import Broken
from .settings import EmailSettings
from .signing import BodyHash, Signer

LAST_ANSWER_S: Final = 20.0
"""How long the server may take to say that it has the mail; whoever does not know then never will."""
BUSY: Final = 421


class Taken(msgspec.Struct, frozen=True):
    """The server has it, for all recipients but these."""

    refused: tuple[tuple[str, int], ...] = ()
    """Address and code."""


class Split(Exception):
    """Some recipients are taken now, others perhaps later. Nothing has been sent."""


async def submitted(
    mail: Composed, dialogue: Dialogue, settings: EmailSettings, signer: Signer | None, now: int, *, in_part: bool
) -> Taken:
    """Returns when the server has it. ``in_part``: who cannot be taken now is given up.

    Raises ``Refused``, ``NotNow``, ``Unsure``, ``Split``, and ``Broken`` while nothing but the sender has been said.
    """
    _check(mail, dialogue)
    by, head = codes.Codes(settings.codes), list(mail.head)
    if signer is not None:
        digest = BodyHash()
        async for piece in mail.body():
            digest.feed(piece)
        head.insert(0, signer.signature(head, digest.result(), now))
    reply = await dialogue.ask(_mail_from(mail, dialogue, settings))
    if not reply.is_good:
        raise _of_sender(reply, by)
    try:
        refused = await _recipients(mail, dialogue, settings, by, in_part=in_part)
        reply = await dialogue.ask("DATA")
        if reply.code != 354:
            raise _of_mail(reply, by)
        await _data(mail, dialogue, head)
    except Broken as why:
        raise NotNow(str(why)) from None
    try:
        # From here on the server may have it whole.
        dialogue.phase = Phase.COMMITTING
        await dialogue.put(b".\r\n")
        reply = await dialogue.answer(LAST_ANSWER_S)
    except Broken as why:
        raise Unsure(f"the server did not say whether it has it: {why}") from None
    dialogue.phase = Phase.BETWEEN
    if not reply.is_good:
        raise _of_mail(reply, by)
    dialogue.sent += 1
    return Taken((*refused, *((address, INVALID_RECIPIENT) for address in mail.unspeakable)))


def _check(mail: Composed, dialogue: Dialogue) -> None:
    largest = dialogue.offers.get("SIZE", "").strip()
    if largest.isdecimal() and len(largest) < 20 and 0 < int(largest) < mail.size:
        raise Refused(codes.TOO_LARGE, "it is larger than the server takes")
    if mail.needs_utf8 and "SMTPUTF8" not in dialogue.offers:
        raise Refused(INVALID_RECIPIENT, "an address of it has characters that the server cannot be told")


def _mail_from(mail: Composed, dialogue: Dialogue, settings: EmailSettings) -> str:
    said = f"MAIL FROM:<{mail.return_path}>"
    if "SIZE" in dialogue.offers:
        said += f" SIZE={mail.size}"
    if "8BITMIME" in dialogue.offers:
        said += " BODY=8BITMIME"
    if mail.needs_utf8:
        said += " SMTPUTF8"
    if "DSN" in dialogue.offers:
        said += f" RET=HDRS ENVID={mail.name}"
    return said


async def _recipients(
    mail: Composed, dialogue: Dialogue, settings: EmailSettings, by: codes.Codes, *, in_part: bool
) -> list[tuple[str, int]]:
    """Names them; who is refused, with a code. Raises ``Refused``, ``NotNow``, ``Split``, ``Broken``."""
    asked = ""
    if "DSN" in dialogue.offers:
        asked = " NOTIFY=SUCCESS,FAILURE,DELAY" if settings.asks_delivered else " NOTIFY=FAILURE,DELAY"
    refused: list[tuple[str, int]] = []
    later: list[tuple[str, Reply]] = []
    last: Reply | None = None
    for spoken, address in mail.recipients.items():
        original = f" ORCPT={_original(spoken)}" if asked else ""
        reply = await dialogue.ask(f"RCPT TO:<{spoken}>{asked}{original}")
        if reply.is_good:
            continue
        last = reply
        if reply.code == BUSY or reply.code in codes.NEED_LOGIN:
            raise _of_mail(reply, by)
        if reply.is_final:
            refused.append((address, by.of(reply.code, reply.status)))
        else:
            later.append((address, reply))
    if len(refused) == len(mail.recipients):
        assert last is not None, "it has recipients"
        raise Refused(refused[0][1], f"the server refuses its recipients with {last}")
    if later and not (in_part and len(refused) + len(later) < len(mail.recipients)):
        if len(refused) + len(later) == len(mail.recipients):
            raise NotNow(f"the server answers its recipients with {later[0][1]}")
        raise Split
    return [*refused, *((address, by.of(None, reply.status)) for address, reply in later)]


def _original(spoken: str) -> str:
    """The address as reports shall name it (RFC 3461, 6533)."""
    kind = "rfc822" if spoken.isascii() else "utf-8"
    escaped = "".join(
        char
        if char not in "+=" and "!" <= char <= "~"
        else f"\\x{{{ord(char):X}}}"
        if ord(char) > 0x7E
        else f"+{ord(char):02X}"
        for char in spoken
    )
    return f"{kind};{escaped}"


async def _data(mail: Composed, dialogue: Dialogue, head: list[str]) -> None:
    """All of it but the last line."""
    dialogue.phase = Phase.IN_DATA
    stuffing = _Stuffing()
    await dialogue.put(stuffing.of(("\r\n".join(head) + "\r\n\r\n").encode()))
    async for piece in mail.body():
        await dialogue.put(stuffing.of(piece))


class _Stuffing:
    """A line that begins with a dot begins with two of them; the pieces may be cut anywhere."""

    def __init__(self) -> None:
        self._last = b"\r\n"

    def of(self, piece: bytes) -> bytes:
        before, self._last = self._last, (self._last + piece)[-2:]
        # What went before is there to be seen, and has gone out already.
        return (before + piece).replace(b"\r\n.", b"\r\n..")[len(before) :]


def _of_sender(reply: Reply, by: codes.Codes) -> NotNow | Refused:
    if reply.is_final and reply.code not in codes.NEED_LOGIN:
        return Refused(INVALID_SENDER, f"the server takes no mail from its sender: {reply}")
    return _of_mail(reply, by)


def _of_mail(reply: Reply, by: codes.Codes) -> NotNow | Refused:
    if reply.code in codes.NEED_LOGIN:
        return NotNow(f"the server does not believe us: {reply}", is_alarming=True)
    if reply.is_final:
        return Refused(by.of(reply.code, reply.status), f"the server refuses it with {reply}")
    return NotNow(f"the server answers with {reply}")
