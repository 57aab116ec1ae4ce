"""WhatsApp: files that are fetched, marks that are made, and the check."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tertulia.server.channels.base import NotNow, Refused
from tertulia.server.channels.graph.client import Access, Graph
from tertulia.server.channels.graph.codes import Codes
from tertulia.server.clock import ManualClock
from tertulia.server.domain.channels import Incoming, Report
from tertulia.server.outgoing import Outgoing
from tertulia.server.settings import OutgoingSettings, Settings
from tests.contract.channels.graph_stage import (
    OPEN,
    channel_to,
    fetched,
    heard,
    now_s,
)
from tests.peers.graph import (
    ACCOUNT_ID,
    GraphPeer,
    Reply,
    changed,
    message,
    update,
)

JSON = dict[str, Any]
NOW = now_s(ManualClock())
PHOTO = {"id": "77", "mime_type": "image/jpeg", "sha256": "0"}


async def test_a_file_is_fetched_by_its_id() -> None:
    content = bytes(range(256)) * 1000
    async with GraphPeer() as peer, channel_to(peer, "whatsapp") as channel:
        name = peer.keep_file(content)
        assert await fetched(channel, name) == content

    assert peer.fetched == [(name, f"Bearer {peer.token}")]


@pytest.mark.parametrize("size", [1000, 1001])
async def test_a_file_that_is_too_large_is_not_fetched(size: int) -> None:
    async with GraphPeer() as peer, channel_to(peer, "whatsapp", media_bytes=1000) as channel:
        name = peer.keep_file(b"x" * size)
        if size > 1000:
            with pytest.raises(Refused) as refused:
                await fetched(channel, name)
            assert (refused.value.code, peer.fetched) == (50512, [])
        else:
            assert len(await fetched(channel, name)) == size


async def test_a_file_larger_than_it_was_said_to_be_is_not_read_to_its_end() -> None:
    async with GraphPeer() as peer, channel_to(peer, "whatsapp", media_bytes=1000) as channel:
        name = peer.keep_file(b"x")
        peer.answer_files_with(Reply(200, "y" * 100_000))
        with pytest.raises(Refused) as refused:
            await fetched(channel, name)

    assert refused.value.code == 50512


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply(404, ""), Refused),
        (Reply(403, ""), Refused),
        (Reply(302, "", {"Location": "http://127.0.0.1/"}), Refused),
        (Reply(429, ""), NotNow),
        (Reply(503, ""), NotNow),
    ],
)
async def test_a_file_that_cannot_be_had_says_whether_to_come_again(reply: Reply, kind: type[Exception]) -> None:
    async with GraphPeer() as peer, channel_to(peer, "whatsapp") as channel:
        peer.answer_files_with(reply)
        with pytest.raises(kind):
            await fetched(channel, peer.keep_file(b"x"))


@pytest.mark.parametrize(
    "reference", [None, "", "no-such-file", "../106540352242922", "a/b?c#d", "\N{SNOWMAN}", "x" * 3000]
)
async def test_a_reference_that_is_none_brings_no_file(reference: str | None) -> None:
    async with GraphPeer() as peer, channel_to(peer, "whatsapp") as channel:
        with pytest.raises(Refused) as refused:
            await fetched(channel, reference)

    assert (refused.value.code, peer.fetched) == (11200, [])


@pytest.mark.parametrize("url", ["{}", "file:///etc/passwd", "HTTP://x.example/a", "//x.example/a", "http://[", ""])
async def test_the_token_goes_to_nobody_over_plain_http(url: str) -> None:
    """The API says where a file is; where that itself is asked over TLS, so is the file."""
    outgoing = Outgoing(OPEN)
    async with GraphPeer() as peer:
        access = Access(base_url="https://graph.example", version="v1.0", token="t", app_secret="s")
        graph = Graph(outgoing.call, access, Codes({}), "WhatsApp")
        with pytest.raises(Refused):
            await graph.download(url.format(peer.link(peer.keep_file(b"x"))), 10, 1.0, has_token=True)
    await outgoing.close()

    assert peer.fetched == []


async def test_a_private_machine_is_not_asked_for_a_file_because_the_api_names_it() -> None:
    async def elsewhere(host: str, port: int) -> list[str]:
        return {"graph.example": ["93.184.216.34"], "inside.example": ["127.0.0.1", "10.0.0.1"]}[host]

    outgoing = Outgoing(Settings(outgoing=OutgoingSettings(allow_private=False)), resolve=elsewhere)
    async with GraphPeer() as peer:
        port = peer.url.rpartition(":")[2]
        access = Access(base_url="http://graph.example", version="v1.0", token="t", app_secret="s")
        graph = Graph(outgoing.call, access, Codes({}), "WhatsApp")
        with pytest.raises(Refused) as refused:
            await graph.download(f"http://inside.example:{port}/file/x", 10, 1.0, has_token=True)
    await outgoing.close()

    assert (refused.value.code, peer.fetched) == (11200, [])


# --- marks


async def test_what_has_come_is_marked_as_read_where_that_is_wanted() -> None:
    class Nowhere:
        async def put(self, *events: Incoming | Report) -> None:
            raise AssertionError("nothing comes by a connection")

    told = update(changed(messages=[message("text", {"body": str(n)}, at_s=NOW, name=f"wamid.{n}") for n in range(3)]))
    async with GraphPeer() as peer:
        async with channel_to(peer, "whatsapp") as quiet:
            heard(quiet, peer, told)
            await quiet.run(Nowhere())
        assert peer.marked == []
        async with channel_to(peer, "whatsapp", mark_read=True) as channel:
            running = asyncio.create_task(channel.run(Nowhere()))
            heard(channel, peer, told)
            await peer.has_marked(3)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running

    assert peer.marked == ["wamid.0", "wamid.1", "wamid.2"]


# --- the check


async def test_the_check_reads_the_number_and_who_is_told() -> None:
    async with GraphPeer() as peer, channel_to(peer, "whatsapp", business_account_id=ACCOUNT_ID) as channel:
        findings = await channel.check()
        peer.subscribed = False
        after = await channel.check()

    assert [one.is_good for one in findings] == [True, True]
    assert [one.is_good for one in after] == [True, False]
    assert not [one for one in findings if peer.token in one.what or peer.app_secret in one.what]


@pytest.mark.parametrize(
    "wrong",
    [
        {"access_token": "old"},
        {"app_secret": "another"},
        {"phone_number_id": "5"},
        {"base_url": "http://127.0.0.1:9"},
        {"business_account_id": "5"},
    ],
)
async def test_the_check_finds_what_is_wrong_and_says_what_to_do(wrong: JSON) -> None:
    async with GraphPeer() as peer, channel_to(peer, "whatsapp", **wrong) as channel:
        findings = await channel.check()

    bad = [one for one in findings if not one.is_good]
    assert len(bad) == 1 and bad[0].remedy
    assert not [secret for secret in ("old", "another", peer.token) if secret in bad[0].what.split()]
