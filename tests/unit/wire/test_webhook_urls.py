"""Webhook URLs: what their fragment overrides, and the form in which they are requested."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tertulia.wire.webhook_urls import Overrides, RetryOn, read_webhook_url

URL = "https://hooks.example/x"


def overrides(fragment: str) -> Overrides:
    url, read = read_webhook_url(f"{URL}#{fragment}")
    assert url == URL
    return read


def test_a_url_without_fragment_overrides_nothing() -> None:
    assert read_webhook_url(URL) == (URL, Overrides())


def test_every_key_is_read() -> None:
    assert overrides("ct=2000&rt=3000&tt=4000&rc=3&rp=ct,5xx&e=dublin&sni=y") == Overrides(
        connect_ms=2000,
        read_ms=3000,
        total_ms=4000,
        retries=3,
        policy=frozenset({RetryOn.CONNECT_TIMEOUT, RetryOn.SERVER_ERROR}),
    )


@pytest.mark.parametrize(
    ("fragment", "expected"),
    [
        ("ct=1&rt=99&tt=0", Overrides(connect_ms=100, read_ms=100, total_ms=100)),
        ("ct=10001&rt=15001&tt=99999", Overrides(connect_ms=10_000, read_ms=15_000, total_ms=15_000)),
        ("rc=6", Overrides(retries=5)),
        ("rc=0", Overrides(retries=0)),
        ("rc=" + "9" * 5000, Overrides(retries=5)),
    ],
)
def test_a_number_beyond_its_range_is_the_nearest_in_it(fragment: str, expected: Overrides) -> None:
    assert overrides(fragment) == expected


@pytest.mark.parametrize("fragment", ["ct=", "ct", "ct=-5", "ct=1.5", "ct=²", "rc= 3", "CT=2000", "section-2", "&&=&"])
def test_what_cannot_be_read_overrides_nothing(fragment: str) -> None:
    assert overrides(fragment) == Overrides()


def test_all_stands_for_every_policy_and_unknown_ones_are_passed_over() -> None:
    assert overrides("rp=all").policy == frozenset(RetryOn)
    assert overrides("rp=RT, x").policy == frozenset({RetryOn.READ_TIMEOUT})
    assert overrides("rp=ct%2C4xx").policy == frozenset({RetryOn.CONNECT_TIMEOUT, RetryOn.CLIENT_ERROR})
    assert overrides("rp=never").policy is None


def test_the_last_of_two_counts() -> None:
    assert overrides("rc=1&rc=2").retries == 2


@pytest.mark.parametrize(
    ("url", "requested"),
    [
        ("https://hooks.example", "https://hooks.example/"),
        ("https://hooks.example?a=1", "https://hooks.example/?a=1"),
        ("https://Hooks.Example:443/X", "https://Hooks.Example:443/X"),
        ("https://user:p%40ss@hooks.example/x", "https://user:p%40ss@hooks.example/x"),
        ("https://hooks.example/a%20b?c=%C3%A9&d=e+f", "https://hooks.example/a%20b?c=%C3%A9&d=e+f"),
        ("https://hooks.example/ü?q=ñ o", "https://hooks.example/%C3%BC?q=%C3%B1%20o"),
        ("https://bücher.example:8443/x", "https://xn--bcher-kva.example:8443/x"),
        ("https://[2001:db8::1]:8443/x", "https://[2001:db8::1]:8443/x"),
    ],
)
def test_a_url_is_requested_as_http_sends_it(url: str, requested: str) -> None:
    assert read_webhook_url(url)[0] == requested
    assert read_webhook_url(requested)[0] == requested


@given(st.text())
def test_no_text_is_refused(text: str) -> None:
    read_webhook_url(text)
    read_webhook_url(f"https://hooks.example/#{text}")
    read_webhook_url(f"https://{text}")
