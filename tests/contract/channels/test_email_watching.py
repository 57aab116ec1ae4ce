"""A mailbox is read as mail comes, and nothing of it is marked before it is kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tertulia.server.channels.email import watching
from tertulia.server.clock import ManualClock
from tertulia.server.domain.channels import Incoming, Report
from tests.contract.channels.email_cases import FAILED, HEAD, dsn, mail
from tests.contract.channels.email_stage import NOW, Box, channel_with, running
from tests.peers.authority import Authority
from tests.peers.mail import PASSWORD, USERNAME, ImapPeer

pytestmark = [pytest.mark.node, pytest.mark.asyncio(loop_scope="module")]

TODAY = "15-Jan-2027 07:00:00 +0000"
LAST_YEAR = "15-Jan-2026 07:00:00 +0000"
SEEN = "\\Seen"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "FIRST_WAIT_S", 0.01)
    monkeypatch.setattr(watching, "LAST_WAIT_S", 0.05)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared() -> AsyncIterator[ImapPeer]:
    async with ImapPeer() as peer:
        yield peer


@pytest_asyncio.fixture(loop_scope="module")
async def peer(shared: ImapPeer) -> ImapPeer:
    return await shared.begin()


@pytest.fixture
def box() -> Box:
    return Box()


def reading(peer: ImapPeer, **settings: Any) -> dict[str, Any]:
    known = {"imap_host": "127.0.0.1", "imap_port": peer.port, "imap_security": "none", "username": USERNAME}
    return {**known, "password": PASSWORD, "clock": ManualClock(NOW), **settings}


def one(number: int, body: str = "Hello") -> bytes:
    return mail(head=HEAD.replace("1@home", f"{number}@home"), body=f"{body} {number}")


async def until_marked(peer: ImapPeer, count: int, flag: str = SEEN) -> None:
    """What is done after a mail was kept has been done."""
    async with asyncio.timeout(20):
        while sum(flag in flags for flags in await peer.flags()) < count:
            pass


async def test_mail_is_read_when_it_comes(peer: ImapPeer, box: Box) -> None:
    await peer.bring(one(1), date=TODAY)
    async with channel_with(**reading(peer)) as channel, running(channel, box):
        await box.has(1)
        await until_marked(peer, 1)
        await peer.bring(one(2), one(3), date=TODAY)
        await box.has(3)
        await until_marked(peer, 3)
    assert box.texts == ["Hello 1", "Hello 2", "Hello 3"]


async def test_what_was_read_is_not_read_again(peer: ImapPeer, box: Box) -> None:
    await peer.bring(one(1), date=TODAY)
    async with channel_with(**reading(peer)) as channel, running(channel, box):
        await box.has(1)
        await until_marked(peer, 1)
    await peer.bring(one(2), date=TODAY)
    async with channel_with(**reading(peer)) as channel, running(channel, box):
        await box.has(2)
    assert box.texts == ["Hello 1", "Hello 2"]


async def test_what_cannot_be_kept_stays_unread_and_comes_again(peer: ImapPeer, box: Box) -> None:
    box.refusals = 2
    await peer.bring(one(1), one(2), date=TODAY)
    async with channel_with(**reading(peer)) as channel, running(channel, box):
        await box.until(lambda: box.refused > 0)
        await box.has(2)
        await until_marked(peer, 2)
    assert sorted(text or "" for text in box.texts) == ["Hello 1", "Hello 2"]


async def test_one_that_cannot_be_kept_does_not_hold_up_the_others(peer: ImapPeer) -> None:
    class Picky(Box):
        async def put(self, *events: Incoming | Report) -> None:
            self.refusals = sum(isinstance(event, Incoming) and event.text == "Hello 1" for event in events)
            await super().put(*events)

    picky = Picky()
    await peer.bring(one(1), one(2), one(3), date=TODAY)
    async with channel_with(**reading(peer)) as channel, running(channel, picky):
        await picky.has(2)
        await picky.until(lambda: picky.refused > 2)
        await until_marked(peer, 2)
    assert picky.texts == ["Hello 2", "Hello 3"]
    assert [SEEN in flags for flags in await peer.flags()] == [False, True, True]


async def test_a_lost_connection_is_made_again(peer: ImapPeer, box: Box) -> None:
    async with channel_with(**reading(peer)) as channel, running(channel, box):
        await peer.until(lambda: len(peer.told("connected")) == 1)
        await peer.cut()
        await peer.until(lambda: len(peer.told("connected")) == 2)
        await peer.bring(one(1), date=TODAY)
        await box.has(1)
    assert box.texts == ["Hello 1"]


async def test_other_uids_are_other_mail(peer: ImapPeer, box: Box) -> None:
    """Of a folder without keywords what was read is known by its UID alone, and only as long as that is its own."""
    async with channel_with(**reading(peer, imap_mark="keyword")) as channel, running(channel, box):
        await peer.bring(one(1), date=TODAY)
        await box.has(1)
        await until_marked(peer, 1, "$Tertulia")
        await peer.begin_anew(7, first=1)
        await peer.bring(one(2), date=TODAY)
        await peer.cut()
        await box.has(2)
    assert box.texts == ["Hello 1", "Hello 2"]


async def test_a_server_that_tells_of_nothing_is_asked(box: Box) -> None:
    async with (
        ImapPeer(plugins=()) as peer,
        channel_with(**reading(peer, poll_s=1.0)) as channel,
        running(channel, box),
    ):
        await peer.until(lambda: len(peer.told("connected")) == 1)
        await peer.bring(one(1), date=TODAY)
        await box.has(1)
    assert box.texts == ["Hello 1"]


async def test_a_keyword_leaves_mail_unread(peer: ImapPeer, box: Box) -> None:
    await peer.bring(one(1), date=TODAY)
    async with channel_with(**reading(peer, imap_mark="keyword")) as channel, running(channel, box):
        await box.has(1)
        await until_marked(peer, 1, "$Tertulia")
    assert [SEEN in flags for flags in await peer.flags()] == [False]


async def test_what_was_taken_can_be_deleted(peer: ImapPeer, box: Box) -> None:
    await peer.bring(one(1), date=TODAY)
    async with channel_with(**reading(peer, imap_mark="delete")) as channel, running(channel, box):
        await box.has(1)
        async with asyncio.timeout(20):
            while any("\\Deleted" not in flags for flags in await peer.flags()):
                pass
    assert box.texts == ["Hello 1"]


async def test_old_mail_is_left_alone(peer: ImapPeer, box: Box) -> None:
    await peer.bring(one(1), date=LAST_YEAR)
    await peer.bring(one(2), date=TODAY)
    async with channel_with(**reading(peer)) as channel, running(channel, box):
        await box.has(1)
        await until_marked(peer, 1)
    assert box.texts == ["Hello 2"]


async def test_another_folder(peer: ImapPeer, box: Box) -> None:
    await peer.bring(one(1), date=TODAY, folder="Tickets")
    async with channel_with(**reading(peer, imap_folder="Tickets")) as channel, running(channel, box):
        await box.has(1)
    assert box.texts == ["Hello 1"]


async def test_reports_and_what_is_nobodys(peer: ImapPeer, box: Box) -> None:
    automatic = mail("Auto-Submitted: auto-replied\n")
    await peer.bring(automatic, dsn(FAILED.format(status="5.1.1")), one(2), date=TODAY)
    async with channel_with(**reading(peer)) as channel, running(channel, box):
        await box.has(2)
        await until_marked(peer, 3)
    assert [type(event) for event in box.events] == [Report, Incoming]


async def test_of_a_mail_that_is_too_large_its_beginning(peer: ImapPeer, box: Box) -> None:
    await peer.bring(one(1, "Hello\n" + "x" * 100_000), date=TODAY)
    async with channel_with(**reading(peer, received_bytes=1 << 16)) as channel, running(channel, box):
        [event] = await box.has(1)
    assert isinstance(event, Incoming)
    assert event.is_incomplete
    assert event.text is not None
    assert event.text.startswith("Hello\nxxx")


@pytest.mark.parametrize("plugins", [("IDLE",), ("IDLE", "AUTH-PLAIN")])
@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_login_over_tls(security: str, plugins: tuple[str, ...], tmp_path: Path, box: Box) -> None:
    authority = Authority(tmp_path)
    plugins = (*plugins, "STARTTLS") if security == "starttls" else plugins
    async with ImapPeer(security, authority.issue("localhost"), plugins=plugins) as peer:
        known = reading(peer, imap_host="localhost", imap_security=security, authorities=authority.file.read_text())
        await peer.bring(one(1), date=TODAY)
        async with channel_with(**known) as channel, running(channel, box):
            await box.has(1)
        async with channel_with(**{**known, "authorities": ""}) as channel:
            assert "certificate" in (await channel.check())[1].what


async def test_what_a_look_at_a_mailbox_finds(peer: ImapPeer) -> None:
    async def found(**settings: Any) -> list[tuple[bool, str]]:
        async with channel_with(**reading(peer, **settings)) as channel:
            return [(finding.is_good, finding.what) for finding in await channel.check()]

    good = await found()
    assert (True, f"127.0.0.1:{peer.port} lets us read the folder") in good
    assert any("SPF" in what for _, what in good)
    assert (False, f"127.0.0.1:{peer.port}: the server does not believe us (the server says NO)") in await found(
        imap_password="another"
    )
    assert any("the folder cannot be opened" in what for _, what in await found(imap_folder="Nowhere"))
    assert (False, "it serves no address of ours: nothing that comes is for us") in await found(senders=())


async def test_what_comes_while_another_is_kept_is_not_left_until_later(peer: ImapPeer) -> None:
    """The server tells of it in between, and not again when we ask to be told."""

    class Slow(Box):
        async def put(self, *events: Incoming | Report) -> None:
            if not self.events:
                await peer.bring(one(2), date=TODAY)
            await super().put(*events)

    slow = Slow()
    await peer.bring(one(1), date=TODAY)
    async with channel_with(**reading(peer)) as channel, running(channel, slow):
        await slow.has(2)
    assert slow.texts == ["Hello 1", "Hello 2"]


async def test_what_comes_just_before_the_server_listens_is_not_left_until_later(box: Box) -> None:
    """It tells of it between our wish to be told and its yes, as servers do that keep news until a command comes."""
    brought = one(1)
    answers = {
        "CAPABILITY": "* CAPABILITY IMAP4rev1 IDLE\r\n",
        "SELECT": "* 0 EXISTS\r\n* OK [UIDVALIDITY 1]\r\n",
        "UID FETCH": f"* 1 FETCH (UID 1 BODY[]<0> {{{len(brought)}}}\r\n{brought.decode()})\r\n",
    }
    found = iter(("", " 1"))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"* OK\r\n")
        while line := (await reader.readline()).decode():
            tag, _, command = line.strip().partition(" ")
            if command == "IDLE":
                writer.write(b"* 1 EXISTS\r\n+ idling\r\n")
                await reader.readline()
            said = next((answers[name] for name in answers if command.startswith(name)), "")
            if command.startswith("UID SEARCH"):
                said = f"* SEARCH{next(found, '')}\r\n"
            writer.write(f"{said}{tag} OK\r\n".encode())
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        known = {"imap_host": "127.0.0.1", "imap_port": port, "imap_security": "none", "username": USERNAME}
        async with channel_with(**known, password=PASSWORD, clock=ManualClock(NOW)) as channel, running(channel, box):
            await box.has(1)
    assert box.texts == ["Hello 1"]
