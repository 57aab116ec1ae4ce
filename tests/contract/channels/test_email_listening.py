"""Our own mail server: mail for our addresses is taken and kept, everything else is refused."""

from __future__ import annotations

import asyncio
import contextlib
import email.message
import smtplib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiosmtplib
import pytest

from tertulia.server.channels.base import Channel
from tertulia.server.channels.email import listening as listening_module
from tertulia.server.channels.email import receiving
from tertulia.server.channels.email.settings import Security
from tertulia.server.domain.channels import Incoming, Report
from tests.contract.channels.email_cases import FAILED, HEAD, dsn, mail
from tests.contract.channels.email_stage import (
    ANNA,
    CH,
    NAME,
    SUPPORT,
    Box,
    channel_with,
    email_settings,
    file,
    files_of,
    free_port,
    message,
    running,
)
from tests.peers.authority import Authority

SALES = "sales@shop.example"


class Place:
    """Our server, who sends to it, and what it keeps."""

    def __init__(self, channel: Channel, box: Box, port: int) -> None:
        self.channel, self.box, self.port = channel, box, port

    def client(self) -> aiosmtplib.SMTP:
        return aiosmtplib.SMTP(hostname="127.0.0.1", port=self.port, start_tls=False, timeout=20)


@asynccontextmanager
async def listening(**settings: Any) -> AsyncIterator[Place]:
    port, box = free_port(), Box()
    known = {"listen_port": port, "senders": (SUPPORT, SALES), "bounce_mailbox": "bounces@shop.example", **settings}
    async with channel_with(**known) as channel, running(channel, box):
        await is_there(channel)
        yield Place(channel, box, port)


async def is_there(channel: Channel) -> None:
    """Until it says that it listens."""
    async with asyncio.timeout(20):
        while "our mail server listens" not in " ".join(finding.what for finding in await channel.check()):
            pass


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    async with listening() as place:
        yield place


async def test_mail_of_others_is_taken(place: Place) -> None:
    written = email.message.EmailMessage()
    written["From"], written["To"], written["Subject"] = f"Anna <{ANNA}>", SUPPORT, "Grüße"
    written["Message-ID"] = "<9@home.example>"
    written.set_content("Hällo\n.\n..\n")
    written.add_attachment(bytes(range(256)) * 100, maintype="image", subtype="png", filename="ä.png")
    async with place.client() as client:
        await client.send_message(written)
    [event] = place.box.events
    assert isinstance(event, Incoming)
    assert (event.sender, event.recipient, event.subject, event.text) == (ANNA, SUPPORT, "Grüße", "Hällo\n.\n..")
    assert files_of(event) == [("media", "image/png", "ä.png", bytes(range(256)) * 100)]


async def test_a_mail_is_said_to_be_kept_only_when_it_is(place: Place) -> None:
    place.box.refusals = 1
    async with place.client() as client:
        with pytest.raises(aiosmtplib.SMTPDataError) as later:
            await client.sendmail(ANNA, [SUPPORT], mail())
        assert later.value.code == 451
        assert place.box.events == []
        await client.sendmail(ANNA, [SUPPORT], mail())
    assert place.box.texts == ["Hello"]


@pytest.mark.parametrize(
    "address",
    [
        "nobody@shop.example",
        "support@else.example",
        "support@shop.example.evil",
        "bounces@shop.example",
        f"other+{CH}@shop.example",
    ],
)
async def test_nobody_else_is_taken_mail_for(place: Place, address: str) -> None:
    async with place.client() as client:
        with pytest.raises(aiosmtplib.SMTPRecipientsRefused):
            await client.sendmail(ANNA, [address], mail())
        # Of several the others are.
        refused, _ = await client.sendmail(ANNA, [address, SUPPORT], mail())
    assert list(refused) == [address]
    assert place.box.texts == ["Hello"]


async def test_which_address_it_came_to_is_what_the_server_was_told(place: Place) -> None:
    async with place.client() as client:
        await client.sendmail(ANNA, [SALES.upper()], mail(head=HEAD.replace(SUPPORT, "hidden@else.example")))
        await client.sendmail(ANNA, [f"support+{CH}@shop.example"], mail(head=HEAD.replace("1@", "2@")))
    first, second = place.box.events
    assert isinstance(first, Incoming)
    assert isinstance(second, Incoming)
    assert (first.recipient, second.recipient, second.conversation_sid) == (SALES, SUPPORT, CH)


async def test_reports_come_back_to_the_message(place: Place) -> None:
    async with place.client() as client:
        await client.sendmail("", [f"bounces+{NAME}@shop.example"], dsn(FAILED.format(status="5.1.1"), returned=""))
        await client.sendmail("", [SUPPORT], mail())
    [event] = place.box.events
    assert isinstance(event, Report)
    assert (event.handle, event.recipient, event.error_code) == (NAME, ANNA, 63003)


async def test_a_mail_that_is_too_large_is_not_read(place: Place) -> None:
    async with listening(received_bytes=1 << 16) as small, small.client() as client:
        with pytest.raises(aiosmtplib.SMTPResponseException) as said:  # as it tells its size
            await client.sendmail(ANNA, [SUPPORT], mail(body="x" * 100_000))
        await client.execute_command(b"RSET")
        await client.mail(ANNA)
        await client.rcpt(SUPPORT)
        with pytest.raises(aiosmtplib.SMTPDataError) as unsaid:
            await client.data(mail(body=("x" * 70 + "\n") * 2000))
        await client.sendmail(ANNA, [SUPPORT], mail())
        assert (said.value.code, unsaid.value.code) == (552, 552)
        assert small.box.texts == ["Hello"]


async def test_by_lmtp_each_recipient_has_an_answer() -> None:
    async with listening(listen_protocol="lmtp") as place:

        def deliver() -> dict[str, Any]:
            with smtplib.LMTP("127.0.0.1", place.port) as client:
                client.ehlo("mx")  # which says LHLO
                client.mail(ANNA)
                for address in (SUPPORT, SALES):
                    client.rcpt(address)
                answers = [client.data(mail())]
                answers.append(client.getreply())
                assert client.docmd("EHLO", "x")[0] == 500
                return {"codes": [code for code, _ in answers]}

        assert await asyncio.to_thread(deliver) == {"codes": [250, 250]}
        assert [event.recipient for event in place.box.events] == [SUPPORT, SALES]


async def test_starttls(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    issued = authority.issue("localhost")
    async with listening(listen_certificate=issued.certificate, listen_key=issued.private_key) as place:
        client = aiosmtplib.SMTP(
            hostname="localhost", port=place.port, start_tls=True, cert_bundle=str(authority.file), timeout=20
        )
        async with client:
            await client.sendmail(ANNA, [SUPPORT], mail())
        assert place.box.texts == ["Hello"]


async def said(port: int, *pieces: bytes) -> bytes:
    """What the server says to raw bytes, until it ends the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(20):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
            return await reader.read()
    finally:
        writer.transport.abort()


HELLO = b"EHLO x\r\nMAIL FROM:<anna@home.example>\r\nRCPT TO:<support@shop.example>\r\nDATA\r\n"


@pytest.mark.parametrize("end", [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n\x00.\r\n"])
async def test_no_second_mail_within_one(place: Place, end: bytes) -> None:
    smuggled = (
        b"MAIL FROM:<boss@shop.example>\r\nRCPT TO:<support@shop.example>\r\nDATA\r\nFrom: a@b.example\r\n\r\nEvil"
    )
    await said(place.port, HELLO + mail() + end + smuggled + b"\r\n.\r\nQUIT\r\n")
    assert len(place.box.events) == 1


@pytest.mark.parametrize(
    ("lines", "answers"),
    [
        ((b"NOOP", b"RSET", b"VRFY x", b"WHAT"), (b"250", b"250", b"252", b"502")),
        ((b"MAIL FROM:<a@b.example>",), (b"503",)),
        ((b"EHLO x", b"RCPT TO:<support@shop.example>"), (b"503",)),
        ((b"EHLO x", b"MAIL FROM:a@b.example"), (b"501",)),
        ((b"EHLO x", b"MAIL FROM:<a@b.example> SIZE=999999999999"), (b"552",)),
        ((b"EHLO x", b"MAIL TO:<support@shop.example>"), (b"501",)),
        ((b"EHLO x", b"MAIL FROM:<a@b.example>", b"DATA"), (b"250", b"503")),
        ((b"EHLO x", b"MAIL FROM:<>", b"MAIL FROM:<>"), (b"250", b"503")),
        ((b"HELO x", b"MAIL FROM:<a@b.example>", b"RCPT TO:<support@shop.example>"), (b"250", b"250")),
        ((b"LHLO x",), (b"500",)),
        ((b"STARTTLS",), (b"502",)),
        ((b"x" * 3000, b"NOOP"), (b"500", b"250")),
        ((b"\xff\xfe\x00", b"NOOP"), (b"502", b"250")),
    ],
)
async def test_commands(place: Place, lines: tuple[bytes, ...], answers: tuple[bytes, ...]) -> None:
    got = await said(place.port, b"\r\n".join([*lines, b"QUIT", b""]))
    codes = [line[:3] for line in got.split(b"\r\n") if line[3:4] != b"-" and line != b"250 ENHANCEDSTATUSCODES"]
    expected = [b"220", *([b"250"] if lines[0] == b"HELO x" else []), *answers, b"221", b""]
    assert codes == expected


async def test_whoever_makes_mistakes_is_sent_away(place: Place) -> None:
    assert (await said(place.port, b"WHAT\r\n" * 100)).endswith(b"421 4.7.0 too many mistakes\r\n")


async def test_a_line_without_end_is_not_waited_for(place: Place) -> None:
    with contextlib.suppress(ConnectionError):  # what it has not read it throws away
        assert (await said(place.port, b"x" * 200_000)).startswith(b"220")
    async with place.client() as client:
        await client.sendmail(ANNA, [SUPPORT], mail())
    assert place.box.texts == ["Hello"]


@pytest.mark.parametrize("pieces", [1, 2, 3, 4, 5, 7])
async def test_dots_at_the_beginning_of_lines(place: Place, pieces: int) -> None:
    """However the network cuts it."""
    text = ".\n..\n...\n\n.a\n..b\n.\n"
    wire = HELLO + mail(body=text).replace(b"\r\n.", b"\r\n..") + b"\r\n.\r\nQUIT\r\n"
    await said(place.port, *(wire[at : at + pieces] for at in range(0, len(wire), pieces)))
    assert place.box.texts == [text.strip()]


async def slow(port: int, count: int) -> list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Visitors who have been told to go ahead, and say nothing more."""
    there = []
    for _ in range(count):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(HELLO)
        async with asyncio.timeout(20):
            while not (await reader.readline()).startswith(b"354"):
                pass
        there.append((reader, writer))
    return there


async def test_slow_visitors_keep_nobody_out(place: Place) -> None:
    visitors = await slow(place.port, 8)
    async with place.client() as client:
        await client.sendmail(ANNA, [SUPPORT], mail())
    assert place.box.texts == ["Hello"]
    for _, writer in visitors:
        writer.transport.abort()


async def test_a_mail_that_drips_is_not_waited_for(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiving, "GRACE_S", 0.1)
    [(reader, writer)] = await slow(place.port, 1)
    ends = asyncio.create_task(reader.read())
    async with asyncio.timeout(20):
        while not ends.done():
            writer.write(b"x")
            await asyncio.wait([ends], timeout=0.02)
    with contextlib.suppress(ConnectionError):
        assert await ends == b""
    writer.transport.abort()
    assert place.box.events == []


async def test_a_visit_ends(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening_module, "VISIT_S", 0.05)
    assert (await said(place.port, b"EHLO x\r\n")).endswith(b"421 4.4.2 it lasts too long\r\n")


async def test_one_host_has_so_many_visits() -> None:
    async with listening(visits_per_host=2) as place:
        visitors = await slow(place.port, 2)
        assert await said(place.port) == b"421 4.7.0 too many from your host\r\n"
        visitors[0][1].transport.abort()
        async with asyncio.timeout(20):
            while not (await said(place.port, b"QUIT\r\n")).startswith(b"220"):
                pass
        visitors[1][1].transport.abort()


async def test_large_mails_that_have_no_room_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening_module, "MAILS_IN_MEMORY", 1)
    large = mail(body=("x" * 70 + "\n") * 14_000)
    async with listening(received_bytes=1 << 20) as place:
        [(_, writer)] = await slow(place.port, 1)
        writer.write(large)
        await writer.drain()
        async with place.client() as client:
            async with asyncio.timeout(20):
                while await code_of(client, large) != 452:  # until what the other has written has come
                    pass
            assert await code_of(client, mail()) == 250  # small ones have it
            writer.transport.abort()
            async with asyncio.timeout(20):
                while await code_of(client, large) != 250:
                    pass


async def code_of(client: aiosmtplib.SMTP, content: bytes) -> int:
    """What the server answers to it."""
    try:
        await client.sendmail(ANNA, [SUPPORT], content)
    except aiosmtplib.SMTPDataError as refused:
        return refused.code
    return 250


async def test_more_recipients_than_one_mail_has_come_in_another(place: Place) -> None:
    async with place.client() as client:
        await client.ehlo()
        await client.mail(ANNA)
        addresses = [SUPPORT, SALES] * 5
        for address in addresses:
            await client.rcpt(address)
        with pytest.raises(aiosmtplib.SMTPRecipientRefused) as later:
            await client.rcpt(SUPPORT)
        assert later.value.code == 452


async def test_who_is_not_whom_he_says_may_be_refused() -> None:
    forged = mail("Authentication-Results: mx.shop.example; dmarc=fail header.from=home.example\n")
    async with listening(trusted_authserv_id="mx.shop.example", on_dmarc_fail="refuse") as place:
        async with place.client() as client:
            with pytest.raises(aiosmtplib.SMTPDataError) as refused:
                await client.sendmail(ANNA, [SUPPORT], forged)
            assert refused.value.code == 550
            await client.sendmail(ANNA, [SUPPORT], mail())
        assert place.box.texts == ["Hello"]


async def test_a_port_that_is_taken_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tertulia.server.channels.email.watching.FIRST_WAIT_S", 0.01)
    port, box = free_port(), Box()
    other = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", port)
    async with channel_with(listen_port=port) as channel, running(channel, box):
        assert "our mail server does not listen" in " ".join(finding.what for finding in await channel.check())
        other.close()
        await other.wait_closed()
        await is_there(channel)


async def test_what_we_send_is_taken_by_our_own_server() -> None:
    """Both ends together, as two installations would talk to each other."""
    async with (
        listening(senders=(ANNA,), bounce_mailbox="") as there,
        channel_with(port=there.port, senders=(SUPPORT,)) as here,
    ):
        content = b"\r\n.\r\n" * 1000
        accepted = await here.send(
            message("Hello\n.\n", recipients=(ANNA, "nobody@home.example"), media=(file(content),))
        )
        [event] = there.box.events
        assert isinstance(event, Incoming)
        assert accepted.refused == (("nobody@home.example", 63003),)
        assert (event.text, event.subject, event.provider_id) == (
            "Hello\n.",
            "Your order",
            f"<{NAME}@shop.example> {ANNA}",
        )
        assert event.media[0].content == content


def test_settings_that_are_of_no_use() -> None:
    for bad in (
        {"host": "mail.example", "security": Security.NONE},
        {"imap_host": "mail.example", "imap_security": Security.NONE},
        {"dkim_key": "x"},
        {"listen_key": "x"},
        {"listen_certificate": "/etc/ssl/server.pem", "listen_key": "/etc/ssl/server.key"},
        {"authorities": "/etc/passwd"},
    ):
        with pytest.raises(ValueError):
            email_settings(**bad)
    assert "pass" not in repr(email_settings(username="u", password="pass"))
