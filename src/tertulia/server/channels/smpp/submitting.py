"""A message as the SMSC is given it: the bodies of one ``submit_sm`` for each part."""

from __future__ import annotations

import binascii
from datetime import UTC, datetime
from typing import Final

import msgspec

from tertulia.server.channels.base import ChannelMessage, Refused
from tertulia.server.domain.sms_text import SEGMENT, parts, plain, segments, units

from . import numbers
from .pdus import HAS_HEADER, PAYLOAD, SAR_NUMBER, SAR_REFERENCE, SAR_TOTAL, Sms, submit_body
from .settings import LongText, SmppSettings, Validity
from .statuses import UNKNOWN_ERROR
from .wording import Wording, wording_of

TOO_LONG: Final = 21617
_HEADERS: Final = {LongText.UDH8: 6, LongText.UDH16: 7}
"""Bytes that the header takes from each part: 153 and 152 septets are left, 67 and 66 code units."""
_USUAL: Final = 6
_SECOND_US: Final = 1_000_000
_MOST_RELATIVE_DAYS: Final = 30


class Submission(msgspec.Struct, frozen=True):
    """What is submitted, in order. Printed without content."""

    bodies: tuple[bytes, ...]
    segments: int

    def __repr__(self) -> str:
        return f"Submission({len(self.bodies)} parts, ***)"


def submission(message: ChannelMessage, settings: SmppSettings, now: int) -> Submission:
    """The message cut and encoded. Raises ``Refused`` for one that SMPP cannot carry.

    Pure, and the same at every attempt, the reference of the parts included: a handset puts together what came twice.
    """
    if len(message.recipients) != 1:
        raise Refused(UNKNOWN_ERROR, "SMPP has no group texts")
    if not message.text:
        raise Refused(UNKNOWN_ERROR, "SMPP carries nothing but text")
    text = plain(message.text) if settings.smart_encoding else message.text
    if not text:
        raise Refused(UNKNOWN_ERROR, "SMPP carries nothing but text")
    wording = wording_of(text, settings)
    try:
        cut = parts(text, wording.alphabet, _HEADERS.get(settings.long_text, _USUAL))
        count = segments(text, wording.alphabet)
        whole = _addressed(message, settings, wording, now)
    except UnicodeEncodeError:
        raise Refused(UNKNOWN_ERROR, "an address has letters that SMPP does not know") from None
    except ValueError:
        raise Refused(TOO_LONG, "it has too many parts") from None
    if settings.long_text is LongText.PAYLOAD and units(text, wording.alphabet) > SEGMENT[wording.alphabet]:
        return Submission((submit_body(_with_payload(whole, wording.bytes_of(text))),), count)
    if len(cut) == 1:
        return Submission((submit_body(msgspec.structs.replace(whole, text=wording.bytes_of(text))),), 1)
    reference = binascii.crc_hqx(message.sid.encode(), 0)
    bodies = [
        submit_body(_part(whole, wording, settings.long_text, part, reference, number, len(cut)))
        for number, part in enumerate(cut, start=1)
    ]
    return Submission(tuple(bodies), max(count, len(cut)))


def _addressed(message: ChannelMessage, settings: SmppSettings, wording: Wording, now: int) -> Sms:
    source = numbers.ours(message.sender, settings)
    destination = numbers.theirs(message.recipients[0], settings)
    for address in (source, destination):
        address.text.encode("latin-1")
    return Sms(
        source=source.text,
        source_ton=source.ton,
        source_npi=source.npi,
        destination=destination.text,
        destination_ton=destination.ton,
        destination_npi=destination.npi,
        service_type=settings.service_type,
        validity=validity(settings.validity, message.valid_until, now),
        registered_delivery=1 if settings.receipts else 0,
        data_coding=wording.data_coding,
    )


def _with_payload(whole: Sms, text: bytes) -> Sms:
    return msgspec.structs.replace(whole, tlvs={PAYLOAD: text})


def _part(whole: Sms, wording: Wording, way: LongText, text: str, reference: int, number: int, total: int) -> Sms:
    if way is LongText.SAR:
        return msgspec.structs.replace(
            whole,
            text=wording.bytes_of(text),
            tlvs={
                SAR_REFERENCE: reference.to_bytes(2, "big"),
                SAR_TOTAL: bytes([total]),
                SAR_NUMBER: bytes([number]),
            },
        )
    if way is LongText.UDH16:
        header = bytes([6, 8, 4, reference >> 8, reference & 0xFF, total, number])
    else:
        header = bytes([5, 0, 3, reference & 0xFF, total, number])
    return msgspec.structs.replace(
        whole, esm_class=whole.esm_class | HAS_HEADER, text=header + wording.bytes_of(text, len(header))
    )


def validity(how: Validity, until: int, now: int) -> str:
    """``YYMMDDhhmmsstnnp``: a span of at least a second and at most thirty days, or a moment; empty for none."""
    if how is Validity.NONE:
        return ""
    if how is Validity.ABSOLUTE:
        # Half-open as the clock is: a moment is told in whole seconds.
        return datetime.fromtimestamp(until // _SECOND_US, UTC).strftime("%y%m%d%H%M%S000+")
    left_s = max((until - now) // _SECOND_US, 1)
    left_s = min(left_s, _MOST_RELATIVE_DAYS * 86400)
    days, rest = divmod(left_s, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, seconds = divmod(rest, 60)
    return f"0000{days:02d}{hours:02d}{minutes:02d}{seconds:02d}000R"
