"""Whom we do not call: addresses behind the firewall that a stranger's URL must not reach through us.

The rules are our own table, not ``ipaddress.is_global``, whose answers differ between releases of Python. Source: the
special-purpose registries of IANA, and the clouds' documents for the addresses of their metadata services.
"""

from __future__ import annotations

from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address


class Reach(StrEnum):
    """How far an address is from being anybody's business."""

    PUBLIC = "public"
    PRIVATE = "private"
    """This machine, its network, or nobody's: called only where that is allowed."""
    NEVER = "never"
    """No receiver lives there, and credentials may."""


def reach(address: Address) -> Reach:
    """Where an address leads. One that carries an IPv4 address inside (mapped, NAT64, 6to4) leads where that leads."""
    carried = _carried(address) if isinstance(address, IPv6Address) else None
    if carried is not None:
        return reach(carried)
    if isinstance(address, IPv4Address):
        if _is_in(address, _NEVER_4):
            return Reach.NEVER
        return Reach.PRIVATE if _is_in(address, _PRIVATE_4) else Reach.PUBLIC
    if _is_in(address, _NEVER_6):
        return Reach.NEVER
    is_public = address in _UNICAST_6 and not _is_in(address, _PRIVATE_6)
    return Reach.PUBLIC if is_public else Reach.PRIVATE


def callable_among(addresses: list[str], *, allow_private: bool) -> list[str]:
    """The addresses that may be called, in their order. Raises ValueError for a text that is no address."""
    allowed = {Reach.PUBLIC, Reach.PRIVATE} if allow_private else {Reach.PUBLIC}
    return [address for address in addresses if reach(ip_address(address)) in allowed]


def _carried(address: IPv6Address) -> IPv4Address | None:
    if _is_in(address, _TAIL_4):
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.sixtofour


def _is_in(address: Address, networks: tuple[IPv4Network | IPv6Network, ...]) -> bool:
    return any(address in network for network in networks)


def _networks_4(*texts: str) -> tuple[IPv4Network, ...]:
    return tuple(IPv4Network(text) for text in texts)


def _networks_6(*texts: str) -> tuple[IPv6Network, ...]:
    return tuple(IPv6Network(text) for text in texts)


_NEVER_4 = _networks_4(
    "169.254.0.0/16",  # link-local; 169.254.169.254 is the metadata service of most clouds
    "100.100.100.200/32",  # metadata: Alibaba
    "168.63.129.16/32",  # metadata: Azure; looks public
    "192.0.0.192/32",  # metadata: Oracle
    "224.0.0.0/4",  # multicast
    "240.0.0.0/4",  # reserved, broadcast
)
_PRIVATE_4 = _networks_4(
    "0.0.0.0/8",  # "this host": systems take it for loopback
    "10.0.0.0/8",
    "100.64.0.0/10",  # carrier-grade NAT
    "127.0.0.0/8",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",  # documentation, as two below
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",  # benchmarks
    "198.51.100.0/24",
    "203.0.113.0/24",
)
_TAIL_4 = _networks_6("::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96")
_UNICAST_6 = IPv6Network("2000::/3")
_NEVER_6 = _networks_6(
    "fe80::/10",  # link-local
    "fd00:ec2::/32",  # metadata: Amazon
    "fd20:ce::/32",  # metadata: Google
    "ff00::/8",  # multicast
)
_PRIVATE_6 = _networks_6("2001::/23", "2001:db8::/32", "3fff::/20")
