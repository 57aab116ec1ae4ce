"""A mailbox of a mail server that has grown for twenty years: Dovecot, as it comes from Debian."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tertulia.server.channels.email import watching
from tertulia.server.domain.channels import Incoming
from tests.contract.channels.email_cases import HEAD, mail
from tests.contract.channels.email_stage import Box, channel_with, running
from tests.peers.authority import Authority
from tests.peers.dovecot import PASSWORD, USERNAME, DovecotPeer


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "FIRST_WAIT_S", 0.01)


@pytest.fixture
async def peer(tmp_path: Path) -> AsyncIterator[DovecotPeer]:
    authority = Authority(tmp_path)
    async with DovecotPeer(authority.issue("localhost")) as peer:
        yield peer


def reading(peer: DovecotPeer, folder: Path, **settings: Any) -> dict[str, Any]:
    known = {"imap_host": "localhost", "imap_port": peer.port, "imap_security": "starttls"}
    login = {"username": USERNAME, "password": PASSWORD, "authorities": (folder / "authority.pem").read_text()}
    return {**known, **login, **settings}


def one(number: int, body: str = "Hello") -> bytes:
    return mail(head=HEAD.replace("1@home", f"{number}@home"), body=f"{body} {number}")


async def until_flags(peer: DovecotPeer, wanted: list[set[str]], folder: str = "INBOX") -> None:
    async with asyncio.timeout(20):
        while await peer.flags(folder) != wanted:
            pass


async def test_mail_comes_is_kept_and_marked(peer: DovecotPeer, tmp_path: Path) -> None:
    box = Box()
    await peer.bring(one(1), one(2))
    async with channel_with(**reading(peer, tmp_path)) as channel, running(channel, box):
        await box.has(2)
        await peer.bring(one(3, "Grüße\n" + "x" * 200_000))
        await box.has(3)
        await until_flags(peer, [{"\\Seen"}] * 3)
        findings = await channel.check()
    assert [text and text[:5] for text in box.texts] == ["Hello", "Hello", "Grüße"]
    assert all(isinstance(event, Incoming) and not event.is_incomplete for event in box.events)
    assert (True, f"localhost:{peer.port} lets us read the folder") in [(one.is_good, one.what) for one in findings]


async def test_keywords_and_folders_with_names_of_the_world(peer: DovecotPeer, tmp_path: Path) -> None:
    box = Box()
    folder = "Anfragen &APw-ber alles"
    await peer.make(f'"{folder}"')
    known = reading(peer, tmp_path, imap_folder="Anfragen über alles", imap_mark="keyword")
    async with channel_with(**known) as channel, running(channel, box):
        await peer.bring(one(1), folder=f'"{folder}"')
        await box.has(1)
        await until_flags(peer, [{"$Tertulia"}], f'"{folder}"')
        assert all(finding.is_good for finding in (await channel.check())[1:])
    # The folder is made anew: what is in it then has the UIDs of other mail.
    await peer.make(f'"{folder}"')
    async with channel_with(**known) as channel, running(channel, box):
        await peer.bring(one(2), folder=f'"{folder}"')
        await box.has(2)
    assert box.texts == ["Hello 1", "Hello 2"]


async def test_what_was_taken_is_deleted_and_nothing_else(peer: DovecotPeer, tmp_path: Path) -> None:
    box = Box()
    await peer.bring(one(1), one(2))
    async with channel_with(**reading(peer, tmp_path, imap_mark="delete")) as channel, running(channel, box):
        await box.has(2)
        async with asyncio.timeout(20):
            while await peer.flags():
                pass
    assert box.texts == ["Hello 1", "Hello 2"]
