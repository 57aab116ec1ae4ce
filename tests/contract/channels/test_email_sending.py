"""Mail is handed to a server: whom it takes it for, what its answers mean, and that connections are kept."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import dkim
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from tertulia.server.channels.base import Accepted, Channel, NotNow, Refused, Unsure
from tertulia.server.channels.email import links
from tertulia.server.channels.email.mailboxes import named
from tertulia.server.channels.email.mime import read
from tertulia.server.channels.email.settings import Security
from tertulia.server.settings import OutgoingSettings, Settings
from tests.contract.channels.email_stage import (
    ANNA,
    BERTA,
    EM,
    IM,
    NAME,
    NOW,
    SUPPORT,
    channel_with,
    envelope,
    file,
    incoming,
    mail_of,
    message,
)
from tests.peers.authority import Authority
from tests.peers.mail import PASSWORD, USERNAME, SmtpPeer, says

pytestmark = [pytest.mark.node, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared() -> AsyncIterator[SmtpPeer]:
    async with SmtpPeer() as peer:
        yield peer


@pytest_asyncio.fixture(loop_scope="module")
async def peer(shared: SmtpPeer) -> SmtpPeer:
    return await shared.begin()


@pytest_asyncio.fixture(loop_scope="module")
async def channel(peer: SmtpPeer) -> AsyncIterator[Channel]:
    async with channel_with(port=peer.port) as channel:
        yield channel


async def test_a_mail_arrives_as_it_was_composed(peer: SmtpPeer, channel: Channel) -> None:
    lines = "A line\n.\n..dots\nGrüße\n" + "x" * 3000
    content = bytes(range(256)) * 300
    sent = message(lines, envelope=envelope(html="<p>Grüße</p>"), media=(file(content),))
    assert await channel.send(sent) == Accepted(handles=(NAME,))
    [got] = await peer.taken(1)
    assert got["from"] == SUPPORT
    assert got["to"] == [ANNA]
    assert got["hello"] == "shop.example"
    arrived = incoming(got["mail"], ANNA)
    assert arrived.text == lines
    assert [media.content for media in arrived.media] == [b"<p>Gr\xc3\xbc\xc3\x9fe</p>\n", content]


async def test_several_recipients_get_one_mail(peer: SmtpPeer, channel: Channel) -> None:
    await channel.send(message(recipients=(ANNA, "carl@home.example"), envelope=envelope(copies=(BERTA,))))
    [got] = await peer.taken(1)
    assert got["to"] == [ANNA, "carl@home.example", BERTA]
    mail = read(got["mail"])
    assert (mail.header("to"), mail.header("cc")) == (f"{ANNA}, carl@home.example", BERTA)


async def test_connections_are_kept(peer: SmtpPeer, channel: Channel) -> None:
    for _ in range(3):
        await channel.send(message())
    assert len(await peer.taken(0)) == 3
    assert len(peer.told("connected")) == 1


async def test_no_more_connections_than_may_be(peer: SmtpPeer) -> None:
    async with channel_with(port=peer.port, connections=2) as channel:
        await asyncio.gather(*(channel.send(message()) for _ in range(6)))
    assert len(await peer.taken(0)) == 6
    assert len({got["connection"] for got in await peer.taken(0)}) == 2


async def test_a_connection_that_has_gone_stale_costs_no_mail(peer: SmtpPeer, channel: Channel) -> None:
    await channel.send(message())
    await peer.cut()
    await channel.send(message())
    assert len(await peer.taken(0)) == 2


async def test_a_new_connection_after_many_mails(
    peer: SmtpPeer, channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links, "MAILS", 2)
    for _ in range(3):
        await channel.send(message())
    assert len(peer.told("connected")) == 2


@pytest.mark.parametrize("security", ["starttls", "tls"])
@pytest.mark.parametrize("methods", [["PLAIN", "LOGIN"], ["LOGIN"], ["CRAM-MD5"]])
async def test_a_login_over_tls(security: str, methods: list[str], tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with SmtpPeer(security, authority.issue("localhost"), asks_login=True, methods=methods) as peer:
        known: dict[str, Any] = {
            "host": "localhost",
            "port": peer.port,
            "security": security,
            "authorities": authority.file.read_text(),
            "username": USERNAME,
        }
        async with channel_with(password=PASSWORD, **known) as channel:
            await channel.send(message())
            assert all(finding.is_good for finding in await channel.check())
        assert (await peer.taken(1))[0]["secure"]
        assert peer.told("login")[0] == methods[0]
        async with channel_with(password="another", **known) as channel:
            with pytest.raises(NotNow, match="login with 535") as refused:
                await channel.send(message())
            assert refused.value.is_alarming
            assert "another" not in repr(channel) + str(refused.value)
            assert not next(finding.is_good for finding in await channel.check())


async def test_no_word_without_tls_where_it_is_wanted(peer: SmtpPeer) -> None:
    async with channel_with(port=peer.port, security=Security.STARTTLS, username=USERNAME) as channel:
        with pytest.raises(NotNow, match="offers no STARTTLS") as refused:
            await channel.send(message())
    assert refused.value.is_alarming
    assert peer.told("login") == []


async def test_a_server_that_nobody_vouches_for_gets_nothing(tmp_path: Path) -> None:
    async with (
        SmtpPeer("starttls", Authority(tmp_path).issue("localhost")) as peer,
        channel_with(host="localhost", port=peer.port, security=Security.STARTTLS) as channel,
    ):
        with pytest.raises(NotNow, match="certificate") as refused:
            await channel.send(message())
        assert await peer.taken(0) == []
    assert refused.value.is_alarming


async def test_a_private_network_is_not_called_where_that_is_not_allowed(peer: SmtpPeer) -> None:
    closed = Settings(outgoing=OutgoingSettings(allow_private=False))
    async with channel_with(port=peer.port, outgoing=closed) as channel:
        with pytest.raises(NotNow, match="may not be called") as refused:
            await channel.send(message())
        remedies = [finding.remedy for finding in await channel.check() if not finding.is_good]
    assert refused.value.is_alarming
    assert remedies == ["outgoing.allow_private lets the server reach private networks"]
    assert peer.told("connected") == []


# Where the server says it, what it says, and our code; None: another attempt may be made.
ANSWERS = [
    ("mail", says(451, "4.3.2 later"), None),
    ("mail", says(550, "5.7.60 not your address"), 21212),
    ("mail", says(530, "5.7.0 who are you"), None),
    (ANNA, says(550, "5.1.1 no such user"), 63003),
    (ANNA, says(550, "no such user"), 63003),
    (ANNA, says(553, "5.1.3 malformed"), 63024),
    (ANNA, says(552, "5.2.2 full"), 30003),
    (ANNA, says(550, "5.1.2 no such domain"), 30005),
    (ANNA, says(554, "5.7.1 we know you"), 30007),
    (ANNA, says(450, "4.2.0 come back"), None),
    (ANNA, says(421, "4.3.2 leaving"), None),
    ("data", says(554, "5.6.0 what is this"), 30007),
    ("data", says(552, "5.3.4 too big"), 50512),
    ("data", says(550, "5.7.1 spam"), 30007),
    ("data", says(571, "what is this"), 30008),
    ("data", says(451, "4.7.1 not yet"), None),
]


@pytest.mark.parametrize(("at", "answer", "code"), ANSWERS)
async def test_what_a_server_says_no_with(
    peer: SmtpPeer, channel: Channel, at: str, answer: dict[str, Any], code: int | None
) -> None:
    await peer.answer_with(at, answer, None)
    with pytest.raises(NotNow if code is None else Refused) as no:
        await channel.send(message())
    if isinstance(no.value, Refused):
        assert no.value.code == code
    assert answer["text"].partition(" ")[2] not in str(no.value)
    assert await peer.taken(0) == []
    # What was begun is forgotten: the next one is a mail of its own.
    await channel.send(message("Another", recipients=(BERTA,)))
    assert [got["to"] for got in await peer.taken(0)] == [[BERTA]]


async def test_a_server_that_greets_nobody_is_asked_later(peer: SmtpPeer, channel: Channel) -> None:
    await peer.answer_with("connect", says(421, "busy"))
    with pytest.raises(NotNow, match="greets us with 421") as busy:
        await channel.send(message())
    assert not busy.value.is_alarming


async def test_who_is_refused_of_several_is_named(peer: SmtpPeer, channel: Channel) -> None:
    await peer.answer_with(BERTA, says(550, "5.1.1 no such user"))
    accepted = await channel.send(message(recipients=(ANNA, BERTA, "nobody")))
    assert accepted.refused == ((BERTA, 63003), ("nobody", 63024))
    assert [got["to"] for got in await peer.taken(0)] == [[ANNA]]


@pytest.mark.parametrize(
    ("answer", "changed", "code"),
    [
        (says(550, "5.1.1 no such user"), {"1.1": 30005}, 30005),
        (says(550, "5.1.1 no such user"), {"1": 30005, "550": 30006}, 63003),
        (says(550, "5.1.9 no such user"), {"1": 30005}, 30005),
        (says(550, "5.5.1 whatever"), {"550": 30006}, 30006),
        (says(550, "no such user"), {"550": 30006}, 30006),
    ],
)
async def test_what_the_numbers_mean_can_be_set(
    peer: SmtpPeer, answer: dict[str, Any], changed: dict[str, int], code: int
) -> None:
    await peer.answer_with(ANNA, answer)
    async with channel_with(port=peer.port, codes=changed) as channel:
        with pytest.raises(Refused) as no:
            await channel.send(message())
    assert no.value.code == code


async def test_all_refused_is_a_refusal(peer: SmtpPeer, channel: Channel) -> None:
    for address in (ANNA, BERTA):
        await peer.answer_with(address, says(550, "5.1.1 no such user"))
    with pytest.raises(Refused) as no:
        await channel.send(message(recipients=(ANNA, BERTA)))
    assert no.value.code == 63003


async def test_who_cannot_be_taken_now_is_waited_for_and_then_given_up(peer: SmtpPeer, channel: Channel) -> None:
    await peer.answer_with(BERTA, says(450, "4.2.2 full"))
    both = message(recipients=(ANNA, BERTA))
    for _ in range(3):
        with pytest.raises(NotNow, match="some of its recipients"):
            await channel.send(both)
    assert await peer.taken(0) == []
    assert (await channel.send(both)).refused == ((BERTA, 30003),)
    assert [got["to"] for got in await peer.taken(0)] == [[ANNA]]


async def test_silence_after_the_last_line_leaves_us_unsure(
    peer: SmtpPeer, channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tertulia.server.channels.email.submitting.LAST_ANSWER_S", 0.2)
    await peer.answer_with("data", {"stall": True})
    with pytest.raises(Unsure):
        await channel.send(message())


async def test_a_connection_lost_after_the_last_line_leaves_us_unsure(peer: SmtpPeer, channel: Channel) -> None:
    await peer.answer_with("data", {"drop": True})
    with pytest.raises(Unsure):
        await channel.send(message())


@pytest.mark.parametrize(
    ("media", "error", "code"),
    [
        (file(b"x" * 5000, trouble=NotNow("the store is away")), NotNow, None),
        (file(b"x" * 5000, trouble=Refused(11200, "gone")), Refused, 11200),
        (file(b"x" * 5000, size=4000), Refused, 11200),
        (file(b"x" * 5000, size=6000), Refused, 11200),
    ],
)
async def test_a_file_that_cannot_be_had_sends_nothing(
    peer: SmtpPeer, channel: Channel, media: Any, error: type[Exception], code: int | None
) -> None:
    with pytest.raises(error) as trouble:
        await channel.send(message(media=(media,)))
    assert getattr(trouble.value, "code", None) == code
    await channel.send(message("Another"))
    assert [incoming(got["mail"], ANNA).text for got in await peer.taken(0)] == ["Another"]


async def test_what_is_too_large_is_not_sent() -> None:
    async with SmtpPeer(size=20_000) as peer, channel_with(port=peer.port, message_bytes=1 << 16) as channel:
        with pytest.raises(Refused) as theirs:
            await channel.send(message(media=(file(b"x" * 30_000),)))
        with pytest.raises(Refused) as ours:
            await channel.send(message(media=(file(b"x" * 40_000), file(b"x" * 40_000))))
        assert await peer.taken(0) == []
    assert (theirs.value.code, ours.value.code) == (50512, 50512)


async def test_where_reports_come_back_to(peer: SmtpPeer) -> None:
    async with channel_with(port=peer.port, bounce_mailbox="bounces@shop.example") as channel:
        await channel.send(message())
        await channel.send(message(envelope=None))
    assert [got["from"] for got in await peer.taken(0)] == [
        f"bounces+{NAME}@shop.example",
        f"bounces+{named(EM, SUPPORT)}@shop.example",
    ]


async def test_domains_and_names_of_the_world(peer: SmtpPeer, channel: Channel) -> None:
    await channel.send(message(sender="hallo@bücher.example", recipients=("jörg@münchen.example",)))
    [got] = await peer.taken(1)
    assert read(got["mail"]).header("from") == "The shop <hallo@xn--bcher-kva.example>"
    assert read(got["mail"]).header("to") == "jörg@xn--mnchen-3ya.example"
    assert got["options"]["SMTPUTF8"] is True
    arrived = incoming(got["mail"], "jörg@münchen.example")
    assert (arrived.sender, arrived.recipient) == ("hallo@bücher.example", "jörg@münchen.example")


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
async def test_a_signature_that_others_believe(kind: str) -> None:
    key = rsa.generate_private_key(65537, 2048) if kind == "rsa" else ed25519.Ed25519PrivateKey.generate()
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    shown = key.public_key()
    if kind == "rsa":
        public = shown.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    else:
        public = shown.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    record = f"v=DKIM1; k={kind}; p={base64.b64encode(public).decode()}".encode()

    def ask_dns(name: bytes, timeout: int = 5) -> bytes:
        assert name == b"here._domainkey.shop.example."
        return record

    known: dict[str, Any] = {"dkim_domain": "shop.example", "dkim_selector": "here", "dkim_key": pem}
    async with SmtpPeer() as peer, channel_with(port=peer.port, **known) as channel:
        lines = "Hello  there \n\n.\n\n\n"
        await channel.send(message(lines, media=(file(b"x" * 100_000),), envelope=envelope(subject="Grüße " * 30)))
        await channel.send(message(lines))
        mails = await peer.taken(2)
    for got in mails:
        assert dkim.verify(got["mail"], dnsfunc=ask_dns)
        assert not dkim.verify(got["mail"].replace(b"To: anna", b"To: berta"), dnsfunc=ask_dns)
        assert not dkim.verify(got["mail"].replace(b"Hello", b"HellO"), dnsfunc=ask_dns)


async def test_closing_ends_what_is_under_way(peer: SmtpPeer, channel: Channel) -> None:
    await peer.answer_with("data", {"stall": True})
    sending = asyncio.create_task(channel.send(message()))
    await peer.until(lambda: bool(peer.told("stalled")))
    await channel.close()
    with pytest.raises(Unsure):
        await sending
    with pytest.raises(NotNow):
        await channel.send(message())


async def test_heads_of_mail_that_nobody_wrote() -> None:
    automatic = read(await mail_of(message(envelope=None)))
    assert automatic.header("auto-submitted") == "auto-generated"
    assert automatic.header("message-id") == f"<{named(EM, SUPPORT)}@shop.example>"
    written = read(await mail_of(message(), reply_mailbox="reply@shop.example", asks_read=True))
    assert written.header("auto-submitted") == ""
    assert written.header("reply-to") == "reply+CH" + "a" * 32 + "@shop.example"
    assert written.header("list-id") == "<CH" + "a" * 32 + ".shop.example>"
    assert written.header("disposition-notification-to") == SUPPORT
    assert written.header("from") == f"The shop <{SUPPORT}>"
    assert written.header("date") == "Fri, 15 Jan 2027 08:00:00 +0000" if NOW == 1_800_000_000_000_000 else None


async def test_a_page_alone_has_words_beside_it() -> None:
    mail = read(await mail_of(message(None, envelope=envelope(html="<p>Hello <b>you</b></p>"))))
    assert [(leaf.type, leaf.text(1000).strip()) for leaf in mail.leaves()] == [
        ("text/plain", "Hello you"),
        ("text/html", "<p>Hello <b>you</b></p>"),
    ]


@pytest.mark.parametrize(
    ("given", "carried"),
    [
        ("multipart/mixed; boundary=x", "application/octet-stream"),
        ("message/rfc822", "application/octet-stream"),
        ('text/csv; charset="utf-8"', "text/csv"),
        ("image/jpeg\r\nX: y", "application/octet-stream"),
    ],
)
async def test_files_are_of_types_that_can_be_attached(given: str, carried: str) -> None:
    leaves = list(read(await mail_of(message(media=(file(b"content", given),)))).leaves())
    assert (leaves[1].type, leaves[1].data) == (carried, b"content")


async def test_messages_before_it_are_named_as_far_as_they_have_names() -> None:
    there = envelope(
        answers=IM,
        answered_id="sha256:" + "0" * 64,
        chain=(
            "<a@home.example>",
            "b@home.example",
            "sha256:" + "1" * 64,
            "<c d@home.example>",
            "x\r\nBcc: y@z.example",
        ),
    )
    mail = read(await mail_of(message(envelope=there)))
    assert mail.header("in-reply-to") == f"<{NAME}@shop.example>"
    assert mail.header("references") == f"<a@home.example> <b@home.example> <{NAME}@shop.example>"
    assert mail.header("bcc") == ""
