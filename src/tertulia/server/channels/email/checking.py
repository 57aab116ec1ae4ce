"""Whether mail can be sent and read: the servers are asked, and no mail is sent."""

from __future__ import annotations

from typing import Final

from tertulia.server.channels.base import Finding
from tertulia.server.outgoing import CallFailed, FailureKind, Outgoing

from . import dialogue, imap
from .dialogue import Unwelcome
from .imap import Refusal
from .lines import Broken
from .links import trouble_of
from .settings import EmailSettings, Mark

ANSWER_S: Final = 5.0

TROUBLES: Final = (Unwelcome, Broken, Refusal, CallFailed, ValueError)

RECORDS: Final = Finding(
    is_good=True,
    what="the records of the domain (SPF, DKIM, DMARC) are not looked at: whether receivers believe us, they know",
)


async def look_at_sending(settings: EmailSettings, outgoing: Outgoing, hello: str) -> Finding:
    """Connects, begins TLS, logs in."""
    place = f"{settings.host}:{settings.smtp_port}"
    try:
        opened = await dialogue.opened(settings, outgoing, settings.hello or hello, ANSWER_S)
    except TROUBLES as error:
        return Finding(is_good=False, what=f"{place}: {_why(error)}", remedy=_remedy(error))
    await opened.leave()
    return Finding(is_good=True, what=f"{place} takes our mail" + (" after our login" if settings.username else ""))


async def look_at_mailbox(settings: EmailSettings, outgoing: Outgoing) -> list[Finding]:
    """Connects, logs in, opens the folder."""
    place = f"{settings.imap_host}:{settings.mailbox_port}"
    try:
        opened = await imap.opened(settings, outgoing, ANSWER_S)
    except TROUBLES as error:
        return [Finding(is_good=False, what=f"{place}: {_why(error)}", remedy=_remedy(error))]
    try:
        folder = await opened.select(settings.imap_folder)
    except (Broken, Refusal) as error:
        return [
            Finding(
                is_good=False,
                what=f"{place}: the folder cannot be opened: {error}",
                remedy="imap_folder names a folder as the server does, INBOX for the first one",
            )
        ]
    finally:
        await opened.leave()
    findings = [Finding(is_good=True, what=f"{place} lets us read the folder")]
    if settings.imap_mark is Mark.KEYWORD and not folder.keeps_keywords:
        findings.append(
            Finding(
                is_good=False,
                what="the folder keeps no keywords: after a restart mail of the last days is read again, and known",
                remedy="set imap_mark to seen",
            )
        )
    if "IDLE" not in opened.can:
        what = f"the server does not tell of new mail: it is looked for every {settings.poll_s:g} s"
        findings.append(Finding(is_good=True, what=what))
    return findings


def look_at_listening(settings: EmailSettings, *, is_listening: bool) -> Finding:
    place = f"{settings.listen_host}:{settings.listen_port}"
    if is_listening:
        return Finding(is_good=True, what=f"our mail server listens on {place}")
    return Finding(
        is_good=False,
        what=f"our mail server does not listen on {place}, as far as this process knows",
        remedy="look into the log of the server for email.not_listening: the port may be another program's",
    )


def look_at_senders(count: int) -> Finding:
    if count:
        return Finding(is_good=True, what=f"it serves {count} address{'es' if count > 1 else ''} of ours")
    return Finding(
        is_good=False,
        what="it serves no address of ours: nothing that comes is for us",
        remedy="tertulia channels sender adds one",
    )


def _why(error: Exception) -> str:
    return str(error) if isinstance(error, Refusal) else trouble_of(error).why


def _remedy(error: Exception) -> str:
    if isinstance(error, Unwelcome):
        return "compare user name and password; some providers want one made for programs, or SMTP and IMAP switched on"
    if isinstance(error, ValueError):
        return "authorities are certificates in PEM"
    if isinstance(error, CallFailed):
        if error.kind is FailureKind.TLS:
            return "compare port and security (starttls or tls); authorities if its authority is not a public one"
        if error.kind is FailureKind.REFUSED_ADDRESS:
            return "outgoing.allow_private lets the server reach private networks"
        return "compare host and port; a firewall may be in between, and many providers of machines close port 25"
    return "compare port and security (starttls or tls): what answers there speaks something else"
