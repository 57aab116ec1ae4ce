"""Addresses of people on channels: their kinds, forms and pairs (semantics 4.1, 4.6)."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from .errors import (
    ADDRESS_EMPTY,
    ADDRESS_IS_PROXY,
    BAD_ADDRESS,
    BAD_PROXY_ADDRESS,
    CHANNELS_DIFFER,
    GROUP_REFUSED,
    GROUP_WITHOUT_PROJECTED,
    PROXY_EMPTY,
    PROXY_NEEDS_ADDRESS,
    Row,
)
from .limits import ADDRESS_CHARS

_E164 = re.compile(r"\+[1-9][0-9]{4,14}")
_SHORT_CODE = re.compile(r"[0-9]{3,8}")
_GROUP_NUMBER = re.compile(r"\+1(?!8(?:00|33|44|55|66|77|88))[0-9]{10}")
"""A long code of the United States or Canada: neither toll-free nor short."""
_PREFIX = re.compile(r"([a-z][a-z0-9]*):(.+)", re.DOTALL)
_E_MAIL = re.compile(r"[^@\s]+@[^@\s]+")

LEAST = 3
"""Numbers of a group text."""
SMS = "sms"
EMAIL = "email"


def kind_of(address: str) -> str:
    """The channel an address belongs to: its prefix, else ``email`` for a mailbox, else ``sms``."""
    match = _PREFIX.fullmatch(address)
    if match:
        return match.group(1)
    return EMAIL if _E_MAIL.fullmatch(address) else SMS


def canonical(address: str) -> str:
    """The one spelling that an address is kept and compared in: a mailbox in lower case, all others as they are.

    Mail servers may tell ``Anna`` from ``anna`` by the standard; none does, and people write what they like.
    """
    return address.lower() if kind_of(address) == EMAIL else address


def keep_canonical(given: msgspec.Struct, *names: str) -> None:
    """What a command, newly made, names by these fields is named in its one spelling."""
    for name in names:
        address = getattr(given, name)
        if isinstance(address, str):
            msgspec.structs.force_setattr(given, name, canonical(address))


def check_address(address: str, empty: Row, malformed: Row) -> str:
    """The channel of a well-formed address. E.164 is demanded without a prefix and after ``whatsapp:`` (rest 8)."""
    if not address:
        raise empty()
    if len(address) > ADDRESS_CHARS:
        raise malformed(f"The address has {len(address)} characters, {ADDRESS_CHARS} are allowed")
    kind = kind_of(address)
    number = address.removeprefix("whatsapp:") if kind == "whatsapp" else address
    if kind in (SMS, "whatsapp") and not _E164.fullmatch(number):
        raise malformed()
    return kind


def check_ours(address: str, empty: Row, malformed: Row) -> str:
    """The channel of an address that may be ours: a short code, too, which people can write to as to a number."""
    return SMS if _SHORT_CODE.fullmatch(address) else check_address(address, empty, malformed)


def check_pair(address: str, proxy: str | None) -> str:
    """The channel of a person's address and ours; 50407 to 50414 when they do not fit."""
    kind = check_address(address, ADDRESS_EMPTY, BAD_ADDRESS)
    if proxy is None:
        return kind
    if check_ours(proxy, PROXY_EMPTY, BAD_PROXY_ADDRESS) != kind:
        raise CHANNELS_DIFFER()
    if proxy == address:
        raise ADDRESS_IS_PROXY()
    return kind


class MessagingBinding(msgspec.Struct, frozen=True):
    """A participant's place on a channel, as columns of his row."""

    address: str | None
    proxy_address: str | None
    projected_address: str | None

    @property
    def kind(self) -> str | None:
        """The channel; None for a participant who only chats."""
        known = self.address or self.projected_address or self.proxy_address
        return None if known is None else kind_of(known)

    def check(self) -> None:
        """The addresses have the right form, and fit each other."""
        if self.address is None and self.proxy_address is not None:
            raise PROXY_NEEDS_ADDRESS()
        if self.address is not None:
            check_pair(self.address, self.proxy_address)
        if self.projected_address is not None:
            check_address(self.projected_address, ADDRESS_EMPTY, BAD_ADDRESS)


class GroupMember(msgspec.Struct, frozen=True):
    """What the rules of group texting look at in a participant."""

    is_chat: bool
    binding: MessagingBinding

    @property
    def number(self) -> str | None:
        """What the others see of him: a number of ours where he has one."""
        return self.binding.projected_address or self.binding.proxy_address or self.binding.address

    @property
    def own(self) -> str | None:
        """What nobody else in the group has: several may be seen as one number, by which each is written to alone."""
        return self.binding.projected_address or self.binding.address


def is_group_text(members: Sequence[GroupMember]) -> bool:
    """Three bindings or more, somebody by an address alone, and a number of ours (semantics 4.6)."""
    bound = [member.binding for member in members if member.binding.kind is not None]
    return (
        len(bound) >= LEAST
        and any(b.address is not None and b.proxy_address is None for b in bound)
        and any(b.projected_address is not None or b.proxy_address is not None for b in bound)
    )


def group_key(members: Sequence[GroupMember]) -> str | None:
    """The sorted set of the numbers that the phones of a group text show, None when the members are no group text.

    Whoever talks to a number of ours alone is seen as that number. Raises 50434 when a chat participant
    has no projected address, 50435 when a number cannot take part, or there are not three of them: what is written to
    one number alone is no message to a group.
    """
    if not is_group_text(members):
        return None
    numbers: set[str] = set()
    for member in members:
        number = member.number
        if number is None:
            raise GROUP_WITHOUT_PROJECTED()
        if not all(_GROUP_NUMBER.fullmatch(one) for one in (number, member.own or number)):
            raise GROUP_REFUSED()
        numbers.add(number)
    if len(numbers) < LEAST:
        raise GROUP_REFUSED(f"{GROUP_REFUSED.text}: its phones would show {len(numbers)} numbers, no group")
    return " ".join(sorted(numbers))
