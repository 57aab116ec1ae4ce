"""What an SMSC brings: messages of people, parts of them, and receipts of ours."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final

import msgspec

from tertulia.server.domain.channels import Incoming, Part, Report

from .ids import MessageIds
from .numbers import address_of
from .pdus import HAS_HEADER, KIND, PAYLOAD, RECEIPTED_ID, SAR_NUMBER, SAR_REFERENCE, SAR_TOTAL, STATE, Malformed, Sms
from .receipts import report_of
from .settings import SmppSettings
from .wording import text_of

MESSAGE: Final = 0x00
RECEIPT: Final = 0x04
INTERMEDIATE: Final = 0x20
UCS2: Final = 0x08
_CONCATENATED_8: Final = 0x00
_CONCATENATED_16: Final = 0x08


class Ignored(msgspec.Struct, frozen=True):
    """Nothing to keep: it is answered as all are, and that is all."""

    why: str
    is_strange: bool = True


def heard(
    sms: Sms, settings: SmppSettings, ids: MessageIds, name_of: Callable[[str], str]
) -> Incoming | Report | Ignored:
    """What a ``deliver_sm`` says. ``name_of`` gives a message its name, from a digest of what it says.

    Raises ``Malformed``.
    """
    kind = sms.esm_class & KIND
    header, data = _split(sms)
    if kind in (RECEIPT, INTERMEDIATE) or (kind == MESSAGE and {RECEIPTED_ID, STATE} <= sms.tlvs.keys()):
        # A receipt is ASCII, which the default alphabet is not: `_` is another byte there.
        text = data.decode("utf-16-be", "replace") if sms.data_coding == UCS2 else data.decode("latin-1")
        report = report_of(sms, text, ids, settings.receipt_codes, is_final=kind != INTERMEDIATE)
        return report or Ignored("a receipt that names no message of ours, or nothing that we know")
    if kind != MESSAGE:
        return Ignored("a handset's own acknowledgement", is_strange=False)
    words = text_of(data, sms.data_coding, settings.default_alphabet, len(header))
    if words is None:
        return Ignored("a message that is no text")
    sender = address_of(sms.source_ton, sms.source, settings.country_code)
    recipient = address_of(sms.destination_ton, sms.destination, settings.country_code)
    return Incoming(
        provider_id=_id(sms, name_of),
        sender=sender,
        recipient=recipient,
        text=words,
        part=_part(header) or _sar(sms),
    )


def digest_of(sms: Sms) -> str:
    """The same for a message that comes again, byte for byte."""
    said = [sms.source, sms.destination, sms.esm_class, sms.data_coding, sms.text, sorted(sms.tlvs.items())]
    return hashlib.sha256(msgspec.msgpack.encode(said)).hexdigest()[:32]


def _id(sms: Sms, name_of: Callable[[str], str]) -> str:
    # Not in the standard; some SMSCs name messages so all the same.
    given = sms.tlvs.get(RECEIPTED_ID, b"").rstrip(b"\0").decode("latin-1").strip()
    return f"id {given}" if given else name_of(digest_of(sms))


def _split(sms: Sms) -> tuple[bytes, bytes]:
    """The header and what is behind it. Raises ``Malformed``."""
    data = sms.text or sms.tlvs.get(PAYLOAD, b"")
    if not sms.esm_class & HAS_HEADER:
        return b"", data
    end = data[0] + 1 if data else 1
    if end > len(data):
        raise Malformed("its header is cut short")
    return data[:end], data[end:]


def _part(header: bytes) -> Part | None:
    """Which part it is, by the header of the text."""
    at = 1
    while at + 2 <= len(header):
        kind, length = header[at], header[at + 1]
        value = header[at + 2 : at + 2 + length]
        if kind == _CONCATENATED_8 and len(value) == 3:
            return _checked(f"8/{value[0]}", value[1], value[2])
        if kind == _CONCATENATED_16 and len(value) == 4:
            return _checked(f"16/{value[0] << 8 | value[1]}", value[2], value[3])
        at += 2 + length
    return None


def _sar(sms: Sms) -> Part | None:
    reference, total, number = (sms.tlvs.get(tag, b"") for tag in (SAR_REFERENCE, SAR_TOTAL, SAR_NUMBER))
    if len(reference) != 2 or len(total) != 1 or len(number) != 1:
        return None
    return _checked(f"sar/{int.from_bytes(reference, 'big')}", total[0], number[0])


def _checked(reference: str, total: int, number: int) -> Part | None:
    """None for a message of one part, and for numbers that no message has: it is then taken as it is."""
    return Part(reference=reference, number=number, total=total) if total > 1 and 1 <= number <= total else None
