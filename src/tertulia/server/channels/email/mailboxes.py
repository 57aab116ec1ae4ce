"""Addresses of mail: their two halves, and what we hide in ours. Pure.

``reply+CH…@example.org`` names a conversation, ``bounces+IM….TAG@example.org`` a mail, and so does a ``Message-ID`` of
ours: ``<IM….TAG@example.org>``. A message that leaves from two mailboxes is two mails: the tag says from which.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Iterable
from typing import Final

import msgspec

from tertulia.wire import sids

ADDRESS_CHARS: Final = 254
_ATOM: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u0080-\U0010ffff-]+"
_LOCAL: Final = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")
_LABEL: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?")
_MESSAGE_ID: Final = re.compile(r"<[^<>@\s\x00-\x1f\x7f-\U0010ffff]+@[^<>@\s\x00-\x1f\x7f-\U0010ffff]+>")
_NAME: Final = rf"(?:{sids.MESSAGE}|{sids.CHANNEL_EMAIL})[0-9a-f]{{32}}(?:\.[0-9a-f]{{8}})?"
_OURS: Final = re.compile(rf"<?({_NAME})@[^<>@\s]+>?", re.IGNORECASE)
_PLUS: Final = re.compile(rf"\+({sids.CONVERSATION}[0-9a-f]{{32}}|{_NAME})$", re.IGNORECASE)


class Unspeakable(Exception):
    """The address cannot be said to a mail server."""


class Known(msgspec.Struct, frozen=True):
    """An address that a mail came to, as far as it is ours."""

    address: str
    """As the sender of ours is spelled."""
    sid: str | None
    """What follows its plus: of a conversation, or of a mail with its tag."""


def on_wire(address: str) -> str:
    """The address with its domain in ASCII; raises ``Unspeakable`` for what is none, or could say more than that."""
    local, _, domain = address.rpartition("@")
    try:
        domain = domain.encode("idna").decode("ascii").lower()
    except UnicodeError:
        raise Unspeakable("its domain is none") from None
    if not _LOCAL.fullmatch(local) or len(local.encode()) > 64 or not is_domain(domain):
        raise Unspeakable("it is no address of a mailbox")
    spoken = f"{local}@{domain}"
    if len(spoken.encode()) > ADDRESS_CHARS:
        raise Unspeakable("it is too long")
    return spoken


def is_domain(text: str) -> bool:
    return 0 < len(text) <= 253 and all(len(label) <= 63 and _LABEL.fullmatch(label) for label in text.split("."))


def spelled(address: str) -> str:
    """An address as it is compared: mailboxes that differ in case alone are one, and domains are read in ASCII."""
    local, at, domain = address.strip().rpartition("@")
    with contextlib.suppress(UnicodeError):
        domain = domain.encode("idna").decode("ascii")
    return f"{local}{at}{domain}".casefold()


def with_plus(mailbox: str, sid: str) -> str:
    local, _, domain = mailbox.rpartition("@")
    return f"{local}+{sid}@{domain}"


def without_plus(address: str) -> tuple[str, str | None]:
    """The mailbox, and the SID after its plus if there is one. Other tags stay where they are."""
    local, at, domain = address.strip().rpartition("@")
    found = _PLUS.search(local)
    if found is None or not at:
        return address.strip(), None
    return f"{local[: found.start()]}@{domain}", canonical(found[1])


def canonical(sid: str) -> str:
    """A SID as we spell it: mail servers change the case of what they take for a name."""
    return sid[:2].upper() + sid[2:].lower()


def known(addresses: Iterable[str], ours: Iterable[str], reply_mailbox: str) -> list[Known]:
    """Those of the addresses that are ours, in their order; one with a SID after its plus before the others."""
    senders = {spelled(one): one for one in ours}
    found: list[Known] = []
    for address in addresses:
        bare, sid = without_plus(address)
        match = senders.get(spelled(address)) or senders.get(spelled(bare))
        if match is None and sid is not None and reply_mailbox and spelled(bare) == spelled(reply_mailbox):
            match = bare
        if match is not None:
            found.append(Known(match, sid))
    return sorted(dict.fromkeys(found), key=lambda one: one.sid is None)


def tag_of(mailbox: str) -> str:
    """What tells mail from this address of ours from that of others."""
    return hashlib.sha256(spelled(mailbox).encode()).hexdigest()[:8]


def named(sid: str, sender: str) -> str:
    """What a message that leaves from this address is called by those who report of it."""
    return f"{sid}.{tag_of(sender)}"


def message_id(sid: str, sender: str) -> str:
    """The ``Message-ID`` of what is sent from this address."""
    return f"<{named(sid, sender)}@{on_wire(sender).rpartition('@')[2]}>"


def message_ids(text: str, most: int) -> list[str]:
    """Those that a header names, in its order; what is none is passed over."""
    return _MESSAGE_ID.findall(text)[-most:]


def is_message_id(text: str) -> bool:
    return _MESSAGE_ID.fullmatch(text) is not None


def name_of(message_id: str) -> str | None:
    """The SID in a ``Message-ID`` of ours, with its tag."""
    found = _OURS.fullmatch(message_id.strip())
    return canonical(found[1]) if found else None
