"""What other mail servers report: delivered, came back (RFC 3464); and programs: was read (RFC 8098). Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from tertulia.server.domain.channels import Report
from tertulia.server.domain.receipts import ReceiptStatus

from . import codes
from .address_lists import shown
from .mailboxes import name_of, without_plus
from .mime import Part, head_of

GROUPS: Final = 100
"""Recipients of one report that are looked at."""
REPORT_BYTES: Final = 256 << 10
_DELIVERY: Final = ("message/delivery-status", "message/global-delivery-status")
_DISPOSITION: Final = ("message/disposition-notification", "message/global-disposition-notification")
_RETURNED: Final = (
    "message/rfc822", "message/global", "text/rfc822-headers", "message/global-headers", "text/global-headers",
)  # fmt: skip
_ACTIONS: Final = {
    "failed": ReceiptStatus.UNDELIVERED,
    "delivered": ReceiptStatus.DELIVERED,
    "relayed": ReceiptStatus.SENT,
    "expanded": ReceiptStatus.SENT,
}
"""What is delayed is on its way still: nothing is reported of it."""


def is_report(mail: Part) -> bool:
    return mail.type == "multipart/report"


def reports_in(mail: Part, recipients: Sequence[str], by: codes.Codes) -> tuple[Report, ...]:
    """What it says of messages of ours; ``recipients`` are the addresses that it came to, ``by`` gives the codes."""
    leaves = list(mail.leaves())
    for leaf in leaves:
        if leaf.type in _DELIVERY:
            return tuple(_deliveries(leaf, leaves, recipients, by))
        if leaf.type in _DISPOSITION:
            return tuple(_dispositions(leaf, leaves, recipients))
    return ()


def _deliveries(leaf: Part, leaves: Sequence[Part], recipients: Sequence[str], by: codes.Codes) -> Iterator[Report]:
    whole, *groups = _groups(leaf.data)
    sid = _named([whole.header("original-envelope-id"), whole.header("original-message-id")], leaves, recipients)
    if sid is None:
        return
    for group in groups:
        status = _ACTIONS.get(group.header("action").partition("(")[0].strip().lower())
        if status is None:
            continue
        said = codes.status_in(group.header("status"))
        failed = status is ReceiptStatus.UNDELIVERED
        yield Report(
            status=status,
            handle=sid,
            error_code=by.of(None, said) if failed else 0,
            recipient=_recipient(group),
        )


def _dispositions(leaf: Part, leaves: Sequence[Part], recipients: Sequence[str]) -> Iterator[Report]:
    fields = head_of(leaf.data)
    sid = _named([fields.header("original-message-id")], leaves, recipients)
    kind = fields.header("disposition").rpartition(";")[2].partition("/")[0].strip().lower()
    if sid is not None and kind == "displayed":
        yield Report(status=ReceiptStatus.READ, handle=sid, recipient=_recipient(fields))


def _groups(data: bytes) -> list[Part]:
    """The fields of the mail, and those of each recipient."""
    found: list[Part] = []
    rest = data[:REPORT_BYTES].strip(b"\r\n")
    while rest and len(found) <= GROUPS:
        group = head_of(rest)
        found.append(group)
        rest = group.content.lstrip(b"\r\n")
    return found or [head_of(b"")]


def _named(given: Sequence[str], leaves: Sequence[Part], recipients: Sequence[str]) -> str | None:
    """The name of the mail that it is about: by the address it came to, by what it says, by what it returns."""
    for address in recipients:
        _, sid = without_plus(address)
        if sid is not None and sid[:2] in ("IM", "EM"):
            return sid
    for name in given:
        sid = name_of(name) or name_of(f"{name.strip()}@envelope")
        if sid is not None:
            return sid
    for leaf in leaves:
        if leaf.type in _RETURNED:
            sid = name_of(head_of(leaf.data).header("message-id"))
            if sid is not None:
                return sid
    return None


def _recipient(fields: Part) -> str | None:
    """Whom it is about, as we named him if the server says so."""
    for name in ("original-recipient", "final-recipient"):
        kind, _, address = fields.header(name).partition(";")
        if kind.strip().lower() in ("rfc822", "utf-8") and "@" in address:
            return shown(address.strip().strip("<>"))
    return None
