"""Ana has SMS by an SMSC, Berta WhatsApp by Meta, Clara e-mail by mail servers; none of them is ours."""

from __future__ import annotations

import asyncio
import smtplib
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, Final

import httpx

from tertulia.testing import running_server
from tertulia.testing.official import twilio_client
from tests.peers.graph import NUMBER, NUMBER_ID, PERSON, GraphPeer, changed, message, status, update
from tests.peers.mail import PASSWORD as MAIL_PASSWORD
from tests.peers.mail import USERNAME, ImapPeer, SmtpPeer
from tests.peers.smpp import PASSWORD, SYSTEM_ID, SmppPeer

from .desk import Desk, Json

TEXTS: Final = "+15550001111"
ANA: Final = "+15550002222"
WHATSAPP: Final = f"whatsapp:+{NUMBER}"
BERTA: Final = f"whatsapp:+{PERSON}"
MAILBOX: Final = "support@shop.example"
CLARA: Final = "clara@home.example"

REPORT: Final = """\
From: Mail Delivery System <MAILER-DAEMON@home.example>
To: {to}
Subject: Successful Mail Delivery Report
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

It has been delivered.
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; home.example

Final-Recipient: rfc822; {recipient}
Action: delivered
Status: 2.0.0

--b--
"""


class FourChannels(Desk):
    """Everybody but the one with the SDK."""

    sms: SmppPeer
    meta: GraphPeer
    mails: SmtpPeer
    mail_port: int
    mailbox: ImapPeer | None = None
    callback_url: str

    @property
    def now_s(self) -> float:
        return self.server.clock.now() / 1e6

    # --- Ana

    async def ana_has(self) -> list[str]:
        """All texts on her telephone, in the order in which they came."""
        return [str(one["text"]) for one in self.sms.submitted]

    async def ana_writes(self, text: str) -> None:
        numbers = {"source_addr": ANA[1:], "source_addr_ton": 1, "destination_addr": TEXTS[1:], "dest_addr_ton": 1}
        brought = await self.sms.bring({**numbers, "short_message": text})
        assert await self.sms.answers_to(brought) == [0]

    # --- Berta

    async def berta_has(self) -> list[str]:
        """The words of all that came; of a file its caption and, in brackets, how many bytes it has."""
        return [self._shown(one.body) for one in self.meta.sent]

    def _shown(self, body: Json) -> str:
        if body["type"] == "text":
            return str(body["text"]["body"])
        file = body[body["type"]]
        return f"{file.get('caption', '')} [{len(self.meta.files[file['id']].content)}]"

    async def berta_writes(self, text: str) -> None:
        name = f"wamid.in{self.now_s}"
        await self._meta_tells(messages=[message("text", {"body": text}, at_s=self.now_s, name=name)])

    async def berta_sends_a_photo(self, caption: str, content: str) -> None:
        photo = {"id": self.meta.keep_file(content.encode()), "mime_type": "image/jpeg", "caption": caption}
        await self._meta_tells(messages=[message("image", photo, at_s=self.now_s, name=f"wamid.in{self.now_s}")])

    async def berta_reads(self) -> None:
        """All that came: it was delivered, then read; told twice, and backwards."""
        for one in self.meta.sent:
            states = [status(state, name=one.name, at_s=self.now_s) for state in ("delivered", "read")]
            await self._meta_tells(statuses=states[::-1])
            await self._meta_tells(statuses=states)

    async def _meta_tells(self, **happened: Any) -> None:
        assert await self.meta.tell(self.callback_url, update(changed(**happened)), times=2) == [200, 200]

    # --- Clara

    async def clara_has(self) -> list[Json]:
        """The mails that came: words, subject, from whom, and names and sizes of files."""
        shown = []
        for one in self.mails.mails:
            mail = message_from_bytes(one["mail"], policy=policy.default)
            words = mail.get_body(("plain",))
            files = [[part.get_filename(), len(part.get_content())] for part in mail.iter_attachments()]
            assert words is not None
            assert one["to"] == [CLARA]
            shown.append(
                {
                    "text": str(words.get_content()).strip(),
                    "subject": str(mail["subject"]),
                    "from": str(mail["from"]),
                    "files": files,
                }
            )
        return shown

    async def clara_writes(
        self, text: str, html: str | None = None, subject: str = "", file: list[str] | None = None
    ) -> None:
        """An answer to the newest mail if she has one, with all of it quoted."""
        mail = EmailMessage()
        mail["From"] = f"Clara <{CLARA}>"
        mail["To"] = MAILBOX
        mail["Message-ID"] = f"<{len(text)}.{self.now_s}@home.example>"
        if self.mails.mails:
            last = message_from_bytes(self.mails.mails[-1]["mail"], policy=policy.default)
            mail["In-Reply-To"] = str(last["message-id"])
            quoted = last.get_body(("plain",))
            assert quoted is not None
            text += "\n\nOn Monday the shop wrote:\n" + "".join(
                f"> {line}\n" for line in quoted.get_content().split("\n")
            )
        mail["Subject"] = subject or "Re: your order"
        mail.set_content(text)
        if html is not None:
            mail.add_alternative(html, subtype="html")
        if file is not None:
            name, content = file
            mail.add_attachment(content.encode(), maintype="application", subtype="pdf", filename=name)
        await self._bring(CLARA, MAILBOX, mail.as_bytes())

    async def claras_server_reports(self) -> None:
        """Each mail has been delivered."""
        for one in self.mails.mails:
            told = REPORT.format(to=one["from"], recipient=CLARA)
            await self._bring("", one["from"], told.replace("\n", "\r\n").encode())

    async def _bring(self, sender: str, recipient: str, mail: bytes) -> None:
        """To our mailbox, or to our own server as other mail servers do it."""
        if self.mailbox is not None:
            await self.mailbox.bring(mail, date=datetime.now(UTC).strftime("%d-%b-%Y %H:%M:%S +0000"))
            return

        def bring() -> None:
            with smtplib.SMTP("127.0.0.1", self.mail_port, timeout=20) as ours:
                ours.sendmail(sender, [recipient], mail)

        await asyncio.to_thread(bring)


@asynccontextmanager
async def four_channels(*, has_mailbox: bool) -> AsyncIterator[FourChannels]:
    """A server with a gateway for each, and those beyond; mail comes to a mailbox elsewhere, or to a port of ours."""
    async with (
        AsyncExitStack() as more,
        running_server({"channels.may_listen": True}) as server,
        SmppPeer() as sms,
        GraphPeer(now=lambda: server.clock.now() / 1e6) as meta,
        SmtpPeer() as mails,
        httpx.AsyncClient(
            base_url=server.base_url, auth=(server.account_sid, server.auth_token), trust_env=False
        ) as http,
    ):
        with twilio_client(server) as library:
            world = FourChannels(server, library, http)
            world.sms, world.meta, world.mails = sms, meta, mails
            if has_mailbox:
                world.mailbox = await more.enter_async_context(ImapPeer())
                login = {"imap_username": USERNAME, "imap_password": MAIL_PASSWORD}
                comes = {"imap_host": "127.0.0.1", "imap_port": world.mailbox.port, "imap_security": "none", **login}
            else:
                world.mail_port = _free_port()
                comes = {"listen_port": world.mail_port}
            await sms.answer_with({"receipt": {"stat": "DELIVRD"}})
            await world.gateway("smpp", TEXTS, host=sms.host, port=sms.port, system_id=SYSTEM_ID, password=PASSWORD)
            made = await world.gateway(
                "whatsapp",
                WHATSAPP,
                access_token=meta.token,
                app_secret=meta.app_secret,
                verify_token=meta.verify_token,
                base_url=meta.url,
                phone_number_id=NUMBER_ID,
            )
            world.callback_url = str(made["callback_url"])
            await world.gateway(
                "email",
                MAILBOX,
                host=mails.host,
                port=mails.port,
                security="none",
                asks_delivered=True,
                bounce_mailbox="bounces@shop.example",
                **comes,
            )
            yield world


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
