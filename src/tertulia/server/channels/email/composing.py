"""A message as a mail: its head, its body as it is sent piece by piece, and whom it is for (gateways 8.6)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Final

import msgspec

from tertulia.server.channels.base import ChannelMessage, MessageMedia, Refused
from tertulia.server.domain.channels import Envelope
from tertulia.server.domain.mail_threads import automatic_envelope
from tertulia.wire.sids import MESSAGE, is_sid

from . import headers
from .html_text import text_of
from .mailboxes import Unspeakable, is_message_id, message_id, named, on_wire, with_plus
from .settings import EmailSettings

NO_SUBJECT: Final = "(no subject)"
INVALID_RECIPIENT: Final = 63024
INVALID_SENDER: Final = 21212
CHANGED_FILE: Final = 11200
LOOP: Final = "X-Loop"
"""Names the mailbox that a mail was sent from: one that comes back is not taken for an answer."""
HOPS: Final = "X-Tertulia-Hops"
"""How many servers like this one have passed the message on: two that mirror each other would never end."""

_LINE_BYTES: Final = 57
_TYPE: Final = re.compile(r"\s*([A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+)\s*(?:;.*)?", re.DOTALL)
_CHARSET: Final = re.compile(r";\s*charset=\"?([A-Za-z0-9._-]+)", re.IGNORECASE)
_UNKNOWN_TYPE: Final = "application/octet-stream"


class Composed(msgspec.Struct, frozen=True, kw_only=True):
    """A mail. Printed without addresses and content."""

    name: str
    """What its reports name: the SID of the message, or of the channel message where there is none, with a tag."""
    return_path: str
    recipients: Mapping[str, str]
    """As they are said to a server, to what they are called here."""
    unspeakable: tuple[str, ...]
    """Recipients that no server can be told."""
    head: tuple[str, ...]
    """Headers in their order, folded, without the ends of their lines."""
    body: Callable[[], AsyncIterator[bytes]]
    """Its bytes, as often as they are asked for. Raises what reading a file raises."""
    size: int
    """Of it all."""
    needs_utf8: bool
    """An address is spelled in other characters than ASCII (RFC 6531)."""

    def __repr__(self) -> str:
        return f"Composed({self.name}, {self.size} bytes, ***)"


class _File(msgspec.Struct, frozen=True):
    media: MessageMedia

    @property
    def size(self) -> int:
        """In base64, with the ends of its lines."""
        full, rest = divmod(self.media.size, _LINE_BYTES)
        return full * 78 + (((rest + 2) // 3 * 4 + 2) if rest else 0)


def name_of(message: ChannelMessage) -> str | None:
    """What those who report of the mail will call it; None where its sender cannot be said to a mail server."""
    sid = (message.envelope or automatic_envelope()).message_sid or message.sid
    try:
        return named(sid, on_wire(message.sender))
    except Unspeakable:
        return None


def composed(message: ChannelMessage, settings: EmailSettings, now: int) -> Composed:
    """The mail. Raises ``Refused`` where it has no sender or no recipient that can be said."""
    envelope = message.envelope or automatic_envelope()
    sid = envelope.message_sid or message.sid
    try:
        sender = on_wire(message.sender)
    except Unspeakable as why:
        raise Refused(INVALID_SENDER, f"its sender cannot be said to a mail server: {why}") from None
    spoken: dict[str, str] = {}
    unspeakable: list[str] = []
    for address in dict.fromkeys((*message.recipients, *envelope.copies)):
        try:
            spoken.setdefault(on_wire(address), address)
        except Unspeakable:
            unspeakable.append(address)
    if not spoken:
        raise Refused(INVALID_RECIPIENT, "none of its recipients can be said to a mail server")
    type_headers, parts = _body(message, envelope)
    head = (*_head(message, envelope, settings, sid, sender, spoken, now), *type_headers)
    size = sum(len(line.encode()) + 2 for line in head) + 2
    size += sum(len(part) if isinstance(part, bytes) else part.size for part in parts)
    name = named(sid, sender)
    return_path = with_plus(on_wire(settings.bounce_mailbox), name) if settings.bounce_mailbox else sender
    return Composed(
        name=name,
        return_path=return_path,
        recipients=spoken,
        unspeakable=tuple(unspeakable),
        head=head,
        body=lambda: _pieces(parts),
        size=size,
        needs_utf8=not all(address.isascii() for address in (return_path, sender, *spoken)),
    )


def _head(
    message: ChannelMessage,
    envelope: Envelope,
    settings: EmailSettings,
    sid: str,
    sender: str,
    spoken: Mapping[str, str],
    now: int,
) -> list[str]:
    to = [one for one, address in spoken.items() if address in message.recipients]
    copies = [one for one, address in spoken.items() if address not in message.recipients]
    head = [
        f"Date: {format_datetime(datetime.fromtimestamp(now // 1_000_000, UTC))}",
        headers.folded("From", headers.mailbox(sender, envelope.from_name).split(" ")),
    ]
    if to:
        head.append(headers.addresses("To", to))
    if copies:
        head.append(headers.addresses("Cc", copies))
    if settings.reply_mailbox and envelope.conversation_sid:
        head.append(f"Reply-To: {with_plus(on_wire(settings.reply_mailbox), envelope.conversation_sid)}")
    head.append(headers.unstructured("Subject", envelope.subject or NO_SUBJECT))
    head.append(f"Message-ID: {message_id(sid, sender)}")
    chain = [one for one in (_named(name, sender) for name in envelope.chain) if one]
    answered = _named(envelope.answered_id or "", sender) or _named(envelope.answers or "", sender)
    if answered:
        head.append(headers.folded("In-Reply-To", [answered]))
        chain = [*(one for one in chain if one != answered), answered]
    if chain:
        head.append(headers.folded("References", chain))
    if envelope.conversation_sid:
        head.append(f"List-Id: <{envelope.conversation_sid}.{sender.rpartition('@')[2]}>")
    head.append(headers.folded(LOOP, [sender]))
    head.append(f"{HOPS}: {envelope.hops + 1}")
    if envelope.is_automatic:
        head += ["Auto-Submitted: auto-generated", "X-Auto-Response-Suppress: All"]
    if settings.asks_read and not envelope.is_automatic:
        head.append(headers.folded("Disposition-Notification-To", [sender]))
    head.append("MIME-Version: 1.0")
    return head


def _named(name: str, sender: str) -> str | None:
    """A message before it as headers name it: by its own id, or by that which its SID makes. None: it has none."""
    if is_message_id(name):
        return name if len(name) < headers.LONGEST - 2 else None
    made = f"<{name}>" if "@" in name else message_id(name, sender) if is_sid(name, MESSAGE) else ""
    return made if is_message_id(made) and len(made) < headers.LONGEST - 2 else None


# --- the body


def _body(message: ChannelMessage, envelope: Envelope) -> tuple[list[str], list[bytes | _File]]:
    """Its headers, and what follows the empty line after the head."""
    text = message.text
    if envelope.html is not None and text is None:
        text = text_of(envelope.html)
    headers_of, parts = _text("plain", text or "")
    if envelope.html is not None:
        headers_of, parts = _together(
            "alternative", f"=_a{message.sid}", [(headers_of, parts), _text("html", envelope.html)]
        )
    if message.media:
        files = [_attached(media, number) for number, media in enumerate(message.media, 1)]
        headers_of, parts = _together("mixed", f"=_m{message.sid}", [(headers_of, parts), *files])
    return headers_of, parts


def _text(kind: str, text: str) -> tuple[list[str], list[bytes | _File]]:
    data = "\r\n".join(re.split(r"\r\n|\r|\n", text)).encode("utf-8", "replace")
    if data and not data.endswith(b"\r\n"):
        data += b"\r\n"
    is_foreign = sum(byte > 0x7E for byte in data) * 6 > len(data)
    if is_foreign:
        lines = (data[start : start + _LINE_BYTES] for start in range(0, len(data), _LINE_BYTES))
        encoded = b"".join(base64.b64encode(line) + b"\r\n" for line in lines)
    else:
        encoded = binascii.b2a_qp(data, istext=True)
    encoding = "base64" if is_foreign else "quoted-printable"
    return [f"Content-Type: text/{kind}; charset=utf-8", f"Content-Transfer-Encoding: {encoding}"], [encoded]


def _attached(media: MessageMedia, number: int) -> tuple[list[str], list[bytes | _File]]:
    found = _TYPE.fullmatch(media.content_type)
    bare = found[1].lower() if found else _UNKNOWN_TYPE
    if bare.startswith(("multipart/", "message/")):  # these may not be encoded, and would be read as part of ours
        bare = _UNKNOWN_TYPE
    name = media.filename or f"file-{number}"
    charset = _CHARSET.search(media.content_type)
    typed = bare + (f"; charset={charset[1]}" if charset and bare.startswith("text/") else "")
    return [
        f"Content-Type: {typed}{headers.parameter('name', name)}",
        "Content-Transfer-Encoding: base64",
        f"Content-Disposition: attachment{headers.parameter('filename', name)}",
    ], [_File(media)]


def _together(
    kind: str, boundary: str, members: list[tuple[list[str], list[bytes | _File]]]
) -> tuple[list[str], list[bytes | _File]]:
    """Several parts as one; no encoded text holds the boundary, which begins as none of its lines can."""
    parts: list[bytes | _File] = []
    for headers_of, content in members:
        head = "\r\n".join([f"--{boundary}", *headers_of, "", ""])
        parts += [(b"\r\n" if parts else b"") + head.encode(), *content]
    parts.append(f"\r\n--{boundary}--\r\n".encode())
    return [f'Content-Type: multipart/{kind};\r\n boundary="{boundary}"'], parts


async def _pieces(parts: list[bytes | _File]) -> AsyncIterator[bytes]:
    for part in parts:
        if isinstance(part, bytes):
            yield part
        else:
            async for piece in _encoded(part.media):
                yield piece


async def _encoded(media: MessageMedia) -> AsyncIterator[bytes]:
    """A file in base64; raises ``Refused`` for one that is not as long as it was said to be."""
    rest, total = b"", 0
    async for piece in media.read():
        total += len(piece)
        if total > media.size:
            break
        rest += piece
        whole = len(rest) - len(rest) % _LINE_BYTES
        if whole:
            yield _lines(rest[:whole])
            rest = rest[whole:]
    if total != media.size:
        raise Refused(CHANGED_FILE, "a file of it is not as long as it was")
    if rest:
        yield _lines(rest)


def _lines(data: bytes) -> bytes:
    return b"".join(
        base64.b64encode(data[start : start + _LINE_BYTES]) + b"\r\n" for start in range(0, len(data), _LINE_BYTES)
    )
