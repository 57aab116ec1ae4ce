"""Channels that choose what a message is called say so before it is sent, and mean the name that reports bear."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.channels.email_stage import ANNA, channel_with, message
from tests.contract.channels.providers import a_message, opened, sent
from tests.peers.http_provider import Answered, HttpProvider
from tests.peers.mail import SmtpPeer

HTTP: dict[str, Any] = {
    "path": "/send",
    "json": {"to": "{to}", "text": "{text}"},
    "callback_secret": "a long enough secret",
}


@pytest.mark.parametrize(
    ("adapter", "settings", "is_ours"),
    [
        ("kannel", {"username": "us", "password": "pass", "callback_secret": "a long enough secret"}, True),
        ("http-sms", {**HTTP, "id_is_ours": True}, True),
        ("http-sms", {**HTTP, "id_path": "id"}, False),
    ],
)
async def test_a_provider_that_takes_our_names(adapter: str, settings: dict[str, Any], is_ours: bool) -> None:
    async with HttpProvider() as peer, opened(adapter, {"base_url": peer.url, **settings}) as channel:
        peer.answer_with(Answered(202, '{"id": "theirs"}' if adapter == "http-sms" else "0: Accepted for delivery"))
        name = channel.handle_of(a_message())
        assert await sent(channel, a_message()) == f"accepted {name if is_ours else 'theirs'} x1"
        assert (name is not None) == is_ours


@pytest.mark.node
async def test_a_mail_has_the_name_that_it_bears() -> None:
    async with SmtpPeer() as peer, channel_with(port=peer.port) as channel:
        assert (await channel.send(message())).handles == (channel.handle_of(message()),)


async def test_a_mail_without_an_address_to_send_it_from_has_no_name() -> None:
    async with channel_with(port=1) as channel:
        assert channel.handle_of(message(sender="nobody", recipients=(ANNA,))) is None
