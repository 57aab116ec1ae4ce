"""What is set for e-mail: a server that sends, a mailbox or a listener that hears. See ``docs/channels/email.md``."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from ipaddress import ip_address
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from tertulia.server.outgoing import ClientCertificate
from tertulia.server.outgoing.trust import serving, trusting_only
from tertulia.server.settings.units import BYTES, DAYS, SECONDS, SECRET

from .codes import Codes

_NAME: Final = r"^[\x21-\x7e]*$"
_MAILBOX: Final = r"^([^@+\s<>]+@[^@+\s<>]+)?$"

Port = Annotated[int, Meta(ge=1, le=65535)]


class Security(StrEnum):
    """How a connection is kept from others' eyes."""

    STARTTLS = "starttls"
    """It begins plain, and goes on over TLS before anything is said."""
    TLS = "tls"
    """TLS from the first byte."""
    NONE = "none"
    """Not at all: only to this machine itself."""


class Mark(StrEnum):
    """What is done to a mail in the mailbox that has been taken."""

    SEEN = "seen"
    KEYWORD = "keyword"
    """It gets the keyword ``$Tertulia``, and stays unread for people."""
    DELETE = "delete"


class Protocol(StrEnum):
    SMTP = "smtp"
    LMTP = "lmtp"


class OnFailure(StrEnum):
    """What becomes of a mail of which a server that we trust says that it is not from whom it says."""

    ACCEPT = "accept"
    MARK = "mark"
    """It is taken, and its message says so."""
    REFUSE = "refuse"


class EmailSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One mail server that sends for us, and where mail comes from. Printed without its secrets."""

    host: Annotated[
        str, Meta(description="The server that sends our mail.", min_length=1, max_length=253, pattern=_NAME)
    ]
    port: Annotated[
        Port | None, Meta(description="Its port. Unset: 587 with `starttls`, 465 with `tls`, 25 with `none`.")
    ] = None
    security: Annotated[
        Security,
        Meta(description="`starttls`, `tls`, or `none`, which is allowed to this machine alone."),
    ] = Security.STARTTLS
    username: Annotated[str, Meta(description="Our name there; empty: it asks for none.", max_length=320)] = ""
    password: Annotated[str, Meta(description="What proves it.", max_length=1000, extra=SECRET)] = ""
    authorities: Annotated[
        str,
        Meta(
            description="Certificates of the authorities to trust, as PEM, in place of the system's.",
            max_length=65_536,
        ),
    ] = ""
    hello: Annotated[
        str,
        Meta(description="The name that we greet with. Empty: the domain of the mail.", max_length=253, pattern=_NAME),
    ] = ""
    connections: Annotated[int, Meta(description="Connections to it at a time.", ge=1, le=20)] = 2
    message_bytes: Annotated[
        int,
        Meta(description="The largest mail that is sent, files as they are.", ge=1 << 16, le=150 << 20, extra=BYTES),
    ] = 25 << 20
    reply_mailbox: Annotated[
        str,
        Meta(
            description="A mailbox of ours that takes plus-addresses, as `reply@example.org`: answers then go to"
            " `reply+CH…@example.org`, which names the conversation. Empty: answers go to the sender's own address.",
            max_length=200,
            pattern=_MAILBOX,
        ),
    ] = ""
    bounce_mailbox: Annotated[
        str,
        Meta(
            description="The same for what cannot be delivered: it comes back to `bounces+IM…@example.org`, which names"
            " the message. Empty: to the sender's own address.",
            max_length=200,
            pattern=_MAILBOX,
        ),
    ] = ""
    asks_delivered: Annotated[
        bool, Meta(description="Ask mail servers to say when a mail has been delivered, where they can (RFC 3461).")
    ] = False
    asks_read: Annotated[bool, Meta(description="Ask people's programs to say when a mail has been read.")] = False
    dkim_domain: Annotated[str, Meta(description="Sign mail (DKIM) in the name of this domain.", max_length=253)] = ""
    dkim_selector: Annotated[str, Meta(description="Which of its keys that is.", max_length=63, pattern=_NAME)] = ""
    dkim_key: Annotated[
        str, Meta(description="The private key, RSA or Ed25519, as PEM.", max_length=16_384, extra=SECRET)
    ] = ""
    imap_host: Annotated[
        str,
        Meta(description="The server with the mailbox to read. Empty: none is read.", max_length=253, pattern=_NAME),
    ] = ""
    imap_port: Annotated[Port | None, Meta(description="Its port. Unset: 993 with `tls`, else 143.")] = None
    imap_security: Annotated[Security, Meta(description="As `security`.")] = Security.TLS
    imap_username: Annotated[str, Meta(description="Our name there. Empty: `username`.", max_length=320)] = ""
    imap_password: Annotated[
        str, Meta(description="What proves it. Empty: `password`.", max_length=1000, extra=SECRET)
    ] = ""
    imap_folder: Annotated[str, Meta(description="The folder that is read.", min_length=1, max_length=200)] = "INBOX"
    imap_mark: Annotated[
        Mark,
        Meta(
            description="What is done to a mail that has been taken: `seen`, `keyword` (`$Tertulia`; it stays unread"
            " for people), or `delete`."
        ),
    ] = Mark.SEEN
    imap_days: Annotated[
        int, Meta(description="How old a mail may be that is taken, by the day it came.", ge=1, le=7, extra=DAYS)
    ] = 7
    poll_s: Annotated[
        float,
        Meta(
            description="How often a mailbox is looked into whose server does not tell of new mail by itself.",
            ge=1,
            le=3600,
            extra=SECONDS,
        ),
    ] = 60.0
    listen_port: Annotated[
        Port | None, Meta(description="The port of our own mail server, if the operator allows it. Unset: none.")
    ] = None
    listen_host: Annotated[str, Meta(description="The address it listens on.", min_length=1, max_length=253)] = (
        "127.0.0.1"
    )
    listen_protocol: Annotated[
        Protocol, Meta(description="What it speaks: `smtp`, or `lmtp` with a mail server of this machine.")
    ] = Protocol.SMTP
    listen_certificate: Annotated[
        str,
        Meta(description="Its certificate with the chain, as PEM: it then offers STARTTLS.", max_length=65_536),
    ] = ""
    listen_key: Annotated[
        str, Meta(description="The key of that certificate, as PEM.", max_length=16_384, extra=SECRET)
    ] = ""
    codes: Annotated[
        Mapping[str, int],
        Meta(
            description="Error codes of receipts, in place of the built-in ones, by what an enhanced status ends with,"
            ' its subject, or the number of an answer: a JSON object, as `{"7.1": 30007, "7": 30007, "550": 63003}`.'
        ),
    ] = {}
    trusted_authserv_id: Annotated[
        str,
        Meta(
            description="The name by which the server that takes mail from the world for us says who has sent it"
            " (`Authentication-Results`). Empty: whoever a mail says it is from is believed.",
            max_length=253,
            pattern=_NAME,
        ),
    ] = ""
    on_dmarc_fail: Annotated[
        OnFailure,
        Meta(
            description="What becomes of mail that is not from whom it says in that server's words (`dmarc=fail`):"
            " `accept`, `mark` (the message's attributes say so), `refuse`."
        ),
    ] = OnFailure.MARK
    visits_per_host: Annotated[
        int, Meta(description="Connections to our own mail server from one host at a time.", ge=1, le=100)
    ] = 20
    received_bytes: Annotated[
        int,
        Meta(
            description="The largest mail that is taken. Of a larger one in a mailbox, so much.",
            ge=1 << 16,
            le=150 << 20,
            extra=BYTES,
        ),
    ] = 25 << 20

    def __post_init__(self) -> None:
        for host, security in ((self.host, self.security), (self.imap_host, self.imap_security)):
            if host and security is Security.NONE and not is_this_machine(host):
                raise ValueError(f"{host} is not this machine: it is spoken to with starttls or tls")
        if bool(self.dkim_domain) != bool(self.dkim_selector) or bool(self.dkim_domain) != bool(self.dkim_key):
            raise ValueError("dkim_domain, dkim_selector and dkim_key are set together")
        if bool(self.listen_certificate) != bool(self.listen_key):
            raise ValueError("listen_certificate and listen_key are set together")
        Codes(self.codes)
        trusting_only(self.authorities)
        if self.certificate is not None:
            serving(self.certificate)

    def __repr__(self) -> str:
        return f"EmailSettings({self.host}, ***)"

    @property
    def certificate(self) -> ClientCertificate | None:
        """What our own mail server proves itself with."""
        if not self.listen_certificate:
            return None
        return ClientCertificate(certificate=self.listen_certificate, private_key=self.listen_key)

    @property
    def smtp_port(self) -> int:
        return self.port or {Security.STARTTLS: 587, Security.TLS: 465, Security.NONE: 25}[self.security]

    @property
    def mailbox_port(self) -> int:
        return self.imap_port or (993 if self.imap_security is Security.TLS else 143)


def is_this_machine(host: str) -> bool:
    """What is said to it leaves the machine by no wire."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"
