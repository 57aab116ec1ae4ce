"""What a message of an e-mail thread says of those before it, and of its own way."""

from __future__ import annotations

import pytest

from tertulia.server.domain.mail_threads import envelope_of, message_id_of, provider_name

from .test_channel_rules import message


@pytest.mark.parametrize(
    ("attributes", "hops"),
    [
        ("{}", 0),
        ('{"email": {"dmarc": "pass"}}', 0),
        ('{"email": {"hops": 3}}', 3),
        ('{"email": {"hops": 1000000}}', 100),
        ('{"email": {"hops": -1}}', 0),
        ('{"email": {"hops": true}}', 0),
        ('{"email": {"hops": "3"}}', 0),
        ('{"email": 3}', 0),
        ('["email"]', 0),
        ('"email"', 0),
    ],
)
def test_how_often_a_message_was_passed_on(attributes: str, hops: int) -> None:
    """Whatever account holders write there."""
    assert envelope_of(message(attributes=attributes), None, (), ()).hops == hops


def test_the_name_of_an_arrival_holds_its_message_id() -> None:
    name = provider_name("<1@home.example>", "support@shop.example")
    assert name != provider_name("<1@home.example>", "sales@shop.example")
    assert message_id_of(name) == message_id_of("<1@home.example>") == "<1@home.example>"
    assert message_id_of(None) is None
