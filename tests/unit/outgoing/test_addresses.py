"""Which addresses lead where."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tertulia.server.outgoing import allows_private
from tertulia.server.outgoing.addresses import Reach, callable_among, reach
from tertulia.server.settings import OutgoingSettings, ServerSettings, Settings

PRIVATE_4 = ["0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/13", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"]
NEVER_4 = ["169.254.0.0/16", "100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32", "224.0.0.0/4", "240.0.0.0/4"]
PRIVATE_6 = ["::/128", "::1/128", "fc00::/8", "fec0::/10", "2001:db8::/32", "2001::/32", "100::/64", "64:ff9b:1::/48"]
NEVER_6 = ["fe80::/10", "ff00::/8", "fd00:ec2::/32", "fd20:ce::/32"]
CARRIERS = [
    IPv6Network("::ffff:0:0/96"),
    IPv6Network("64:ff9b::/96"),
    IPv6Network("::ffff:0:0:0/96"),
]


def within(*texts: str) -> st.SearchStrategy[IPv4Address | IPv6Address]:
    networks = [IPv6Network(text) if ":" in text else IPv4Network(text) for text in texts]
    return st.sampled_from(networks).flatmap(lambda network: st.ip_addresses(network=network))


@given(within(*PRIVATE_4, *PRIVATE_6))
def test_private_networks_are_private(address: IPv4Address | IPv6Address) -> None:
    assert reach(address) is Reach.PRIVATE


@given(within(*NEVER_4, *NEVER_6))
def test_link_local_multicast_and_metadata_are_never_called(address: IPv4Address | IPv6Address) -> None:
    assert reach(address) is Reach.NEVER
    assert callable_among([str(address)], allow_private=True) == []


@given(st.ip_addresses())
def test_what_is_not_global_is_not_public(address: IPv4Address | IPv6Address) -> None:
    carries = isinstance(address, IPv6Address) and (address.ipv4_mapped or address.sixtofour)
    if not carries and not address.is_global:
        assert reach(address) is not Reach.PUBLIC


@given(st.ip_addresses(v=4), st.sampled_from(CARRIERS))
def test_an_address_within_an_address_is_what_counts(address: IPv4Address, carrier: IPv6Network) -> None:
    assert reach(IPv6Address(int(carrier.network_address) | int(address))) is reach(address)
    assert reach(IPv6Address((0x2002 << 112) | (int(address) << 80))) is reach(address)


@pytest.mark.parametrize("text", ["1.1.1.1", "8.8.8.8", "93.184.216.34", "172.15.0.1", "172.32.0.1", "2606:4700::1111"])
def test_public_addresses_are_public(text: str) -> None:
    assert reach(ip_address(text)) is Reach.PUBLIC
    assert callable_among([text], allow_private=False) == [text]


@pytest.mark.parametrize("text", ["fe80::1%eth0", "fe80::1%0"])
def test_a_zone_changes_nothing(text: str) -> None:
    assert reach(ip_address(text)) is Reach.NEVER


@given(st.lists(st.ip_addresses().map(str)))
def test_those_that_may_be_called_keep_their_order(addresses: list[str]) -> None:
    public = callable_among(addresses, allow_private=False)
    private = callable_among(addresses, allow_private=True)
    assert public == [address for address in private if address in public]
    assert private == [address for address in addresses if address in private]


@pytest.mark.parametrize(
    ("host", "choice", "allowed"),
    [
        ("127.0.0.1", None, True),
        ("127.9.9.9", None, True),
        ("::1", None, True),
        ("Localhost", None, True),
        ("0.0.0.0", None, False),
        ("::", None, False),
        ("192.168.1.1", None, False),
        ("chat.example", None, False),
        ("0.0.0.0", True, True),
        ("127.0.0.1", False, False),
    ],
)
def test_private_receivers_may_be_called_where_the_setting_says_so_or_only_this_machine_reaches_the_server(
    host: str, choice: bool | None, allowed: bool
) -> None:
    settings = Settings(server=ServerSettings(host=host), outgoing=OutgoingSettings(allow_private=choice))
    assert allows_private(settings) is allowed


def test_a_server_behind_a_proxy_calls_nobody_private_unless_it_is_told_to() -> None:
    proxied = ServerSettings(host="127.0.0.1", public_url="https://chat.example")
    assert not allows_private(Settings(server=proxied))
    assert allows_private(Settings(server=proxied, outgoing=OutgoingSettings(allow_private=True)))
