"""A whole server, and mail servers that are not ours: people by e-mail in a conversation (gateways 8.6)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from email.message import EmailMessage
from typing import Any, Final

import aiosmtplib
import httpx
import pytest
import pytest_asyncio

from tertulia.server.channels.email.mailboxes import named
from tertulia.server.channels.email.mime import read
from tertulia.server.settings import ChannelsSettings, OutgoingSettings, Settings
from tertulia.testing import LocalServer
from tests.contract.channels.email_cases import FAILED, RETURNED, dsn
from tests.contract.channels.email_stage import IM, free_port
from tests.peers.mail import SmtpPeer

WITHIN_S: Final = 20.0
SUPPORT: Final = "support@shop.example"
SALES: Final = "sales@shop.example"
ANNA: Final = "anna@home.example"

Json = dict[str, Any]


class Desk:
    """An account holder with two mailboxes, whose server takes mail itself."""

    def __init__(self, server: LocalServer, http: httpx.AsyncClient) -> None:
        self.server = server
        self.http = http
        self.port = free_port()

    async def post(self, path: str, **form: Any) -> Json:
        answer = await self.http.post(path, data=form)
        assert answer.is_success, answer.text
        made: Json = answer.json()
        return made

    async def get(self, path: str) -> Json:
        answer = await self.http.get(path)
        assert answer.is_success, answer.text
        shown: Json = answer.json()
        return shown

    async def open(self, sends_by: int = 9, **settings: Any) -> None:
        """Makes the gateway and its senders."""
        known = {"host": "127.0.0.1", "port": sends_by, "security": "none", "listen_port": self.port, **settings}
        await self.post("/channels/Gateways", Name="mail", Adapter="email", Settings=json.dumps(known))
        for address in (SUPPORT, SALES):
            await self.post("/channels/Senders", Address=address, Gateway="mail")

    async def room(self, ours: str) -> str:
        """A conversation with Anna."""
        room = str((await self.post("/v1/Conversations"))["sid"])
        binding = {"MessagingBinding.Address": ANNA, "MessagingBinding.ProxyAddress": ours}
        await self.post(f"/v1/Conversations/{room}/Participants", **binding)
        return room

    async def bring(self, mail: EmailMessage | bytes, *recipients: str) -> None:
        """As mail servers do it, once ours listens."""
        data = mail if isinstance(mail, bytes) else mail.as_bytes()
        async with asyncio.timeout(WITHIN_S):
            while True:
                client = aiosmtplib.SMTP(hostname="127.0.0.1", port=self.port, start_tls=False, timeout=WITHIN_S)
                try:
                    await client.connect()
                except aiosmtplib.SMTPConnectError:
                    await asyncio.sleep(0.02)
                    continue
                async with client:
                    await client.sendmail(ANNA, list(recipients or (SUPPORT,)), data)
                    return

    async def messages(self, room: str) -> list[Json]:
        listed: list[Json] = (await self.get(f"/v1/Conversations/{room}/Messages"))["messages"]
        return listed

    async def bodies(self, room: str) -> list[str]:
        return [one["body"] for one in await self.messages(room)]

    async def files(self, message: Json) -> list[tuple[str, str, bytes]]:
        """The category of each of its files, type and bytes, as anybody gets them by their temporary URLs."""
        service = (await self.get(f"/v1/Conversations/{message['conversation_sid']}"))["chat_service_sid"]
        found = []
        async with httpx.AsyncClient(base_url=self.server.base_url, trust_env=False) as anybody:
            for one in message["media"]:
                shown = await self.get(f"/v1/Services/{service}/Media/{one['sid']}")
                content = (await anybody.get(shown["links"]["content_direct_temporary"])).content
                found.append((shown["category"], shown["content_type"], content))
        return sorted(found)

    async def until(self, ask: Callable[[], Awaitable[Any]], wanted: Any) -> None:
        """Until this is the answer."""
        seen: Any = None
        try:
            async with asyncio.timeout(WITHIN_S):
                while (seen := await ask()) != wanted:
                    await self.server.settle_async()
                    await asyncio.sleep(0.02)
        except TimeoutError:
            assert seen == wanted


@pytest_asyncio.fixture
async def desk() -> AsyncIterator[Desk]:
    settings = Settings(channels=ChannelsSettings(may_listen=True), outgoing=OutgoingSettings(allow_private=True))
    async with LocalServer(settings) as server:
        credentials = (server.account_sid, server.auth_token)
        async with httpx.AsyncClient(base_url=server.base_url, auth=credentials, trust_env=False) as http:
            yield Desk(server, http)


def from_anna(text: str, to: str = SUPPORT, number: int = 1, **headers: str) -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = f"Anna <{ANNA}>", to, "Your order"
    mail["Message-ID"] = f"<{number}@home.example>"
    for name, value in headers.items():
        mail[name.replace("_", "-")] = value
    mail.set_content(text)
    return mail


async def test_a_mail_is_a_message_with_its_bodies_and_files(desk: Desk) -> None:
    await desk.open()
    room = await desk.room(SUPPORT)
    mail = from_anna("Thanks!\n\nOn 15 Jan 2027 the shop wrote:\n> Here it is\n")
    mail.add_alternative("<p>Thanks!</p>", subtype="html")
    mail.add_attachment(b"a picture", maintype="image", subtype="png", filename="a.png")
    await desk.bring(mail)
    await desk.bring(mail)  # a server that has not heard our answer
    await desk.until(lambda: desk.bodies(room), ["Thanks!"])
    [message] = await desk.messages(room)
    assert (message["author"], message["attributes"]) == (ANNA, "{}")
    quoted = "On 15 Jan 2027 the shop wrote:\n> Here it is"
    assert await desk.files(message) == [
        ("body", "text/html", b"<p>Thanks!</p>\n"),
        ("body", "text/plain", f"Thanks!\n\n{quoted}".encode()),
        ("history", "text/plain", quoted.encode()),
        ("media", "image/png", b"a picture"),
    ]


async def test_a_mail_to_two_mailboxes_is_in_both_conversations(desk: Desk) -> None:
    await desk.open()
    rooms = [await desk.room(ours) for ours in (SUPPORT, SALES)]
    await desk.bring(from_anna("To all of you", f"{SUPPORT}, {SALES}"), SUPPORT, SALES)
    for room in rooms:
        await desk.until(lambda room=room: desk.bodies(room), ["To all of you"])  # type: ignore[misc]


async def test_what_a_trusted_server_says_of_the_sender_is_in_the_message(desk: Desk) -> None:
    await desk.open(trusted_authserv_id="mx.shop.example")
    room = await desk.room(SUPPORT)
    await desk.bring(from_anna("It is me", Authentication_Results="mx.shop.example; dmarc=fail"))
    await desk.until(lambda: desk.bodies(room), ["It is me"])
    [message] = await desk.messages(room)
    assert json.loads(message["attributes"]) == {"email": {"dmarc": "fail"}}


@pytest.mark.node
async def test_a_thread_goes_on_and_its_reports_find_it(desk: Desk) -> None:
    """What we answer names the mail that it answers, and what Anna answers then is in the same conversation."""
    async with SmtpPeer() as peer:
        await desk.open(sends_by=peer.port)
        room = await desk.room(SUPPORT)
        await desk.bring(from_anna("Where is it?"))
        await desk.until(lambda: desk.bodies(room), ["Where is it?"])
        said = await desk.post(f"/v1/Conversations/{room}/Messages", Body="On its way")
        await desk.until(lambda: _count(peer), 1)
        [sent] = await peer.taken(1)
        mail, name = read(sent["mail"]), named(said["sid"], SUPPORT)
        assert mail.header("in-reply-to") == mail.header("references") == "<1@home.example>"
        assert (mail.header("message-id"), mail.header("subject")) == (f"<{name}@shop.example>", "Re: Your order")
        await desk.bring(dsn(FAILED.format(status="5.2.2"), returned=RETURNED.replace(IM, name)))
        receipts = f"/v1/Conversations/{room}/Messages/{said['sid']}/Receipts"

        async def outcome() -> list[tuple[str, int]]:
            return [(one["status"], one["error_code"]) for one in (await desk.get(receipts))["delivery_receipts"]]

        await desk.until(outcome, [("undelivered", 30003)])


@pytest.mark.node
async def test_a_message_that_servers_like_ours_pass_on_says_how_often(desk: Desk) -> None:
    async with SmtpPeer() as peer:
        await desk.open(sends_by=peer.port)
        room = await desk.room(SUPPORT)
        binding = {"MessagingBinding.Address": "berta@home.example", "MessagingBinding.ProxyAddress": SALES}
        await desk.post(f"/v1/Conversations/{room}/Participants", **binding)
        await desk.bring(from_anna("Round and round", X_Tertulia_Hops="4"))
        await desk.until(lambda: _count(peer), 1)
        [sent] = await peer.taken(1)
        assert read(sent["mail"]).header("x-tertulia-hops") == "5"


async def _count(peer: SmtpPeer) -> int:
    return len(peer.mails)
