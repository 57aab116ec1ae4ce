"""What is set for an SMSC. Providers name most of it on one page: see ``docs/channels/smpp.md``."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from tertulia.server.outgoing.trust import trusting_only
from tertulia.server.settings.units import SECONDS, SECRET

_ASCII = r"^[\x21-\x7e]*\Z"
Ton = Annotated[int, Meta(ge=0, le=7)]
Npi = Annotated[int, Meta(ge=0, le=18)]
Coding = Annotated[int, Meta(ge=0, le=255)]


class Bind(StrEnum):
    TRANSCEIVER = "transceiver"
    """One connection for both ways."""
    SEPARATE = "separate"
    """A transmitter and a receiver."""
    TRANSMITTER = "transmitter"
    """Nothing is heard: no messages, no receipts."""


class DefaultAlphabet(StrEnum):
    """What an SMSC takes ``data_coding`` 0 for."""

    GSM7 = "gsm7"
    """Seven bits, each in a byte of its own."""
    GSM7_PACKED = "gsm7_packed"
    """Seven bits, eight in seven bytes."""
    LATIN1 = "latin1"


class LongText(StrEnum):
    """How the parts of a long text say that they belong together."""

    UDH8 = "udh8"
    UDH16 = "udh16"
    SAR = "sar"
    PAYLOAD = "payload"
    """Not at all: the SMSC gets the text whole."""


class Validity(StrEnum):
    RELATIVE = "relative"
    ABSOLUTE = "absolute"
    NONE = "none"


class ReceiptIds(StrEnum):
    """How receipts spell the id that the SMSC gave when it took the message."""

    AUTO = "auto"
    """As it was given, or hexadecimal for decimal, or the other way round."""
    SAME = "same"


class SmppSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One account with one provider. Printed without its password."""

    host: Annotated[str, Meta(description="The SMSC's name or address.", min_length=1, max_length=253)]
    port: Annotated[int, Meta(description="Its port; with TLS often 3550.", ge=1, le=65535)] = 2775
    system_id: Annotated[str, Meta(description="Our name there.", min_length=1, max_length=15, pattern=_ASCII)]
    password: Annotated[
        str, Meta(description="What proves it; at most 8 characters.", max_length=8, pattern=_ASCII, extra=SECRET)
    ] = ""
    system_type: Annotated[
        str,
        Meta(description="What kind of client we are, where the provider asks for it.", max_length=12, pattern=_ASCII),
    ] = ""
    bind: Annotated[
        Bind,
        Meta(
            description="`transceiver`: one connection for both ways; `separate`: a transmitter and a receiver;"
            " `transmitter`: only to send, without receipts."
        ),
    ] = Bind.TRANSCEIVER
    address_range: Annotated[
        str,
        Meta(
            description="Which numbers' messages we want, where the provider asks for it.",
            max_length=40,
            pattern=_ASCII,
        ),
    ] = ""
    tls: Annotated[bool, Meta(description="Speak over TLS, with whoever proves to be `host`.")] = False
    authorities: Annotated[
        str,
        Meta(
            description="Certificates of the authorities to trust, as PEM, in place of the system's.",
            max_length=65_536,
        ),
    ] = ""
    window: Annotated[
        int, Meta(description="Messages that may be on their way without an answer, on each connection.", ge=1, le=1000)
    ] = 10
    answer_s: Annotated[
        float,
        Meta(
            description="How long an answer is waited for. A message without one has failed with an unknown outcome.",
            gt=0,
            le=20,
            extra=SECONDS,
        ),
    ] = 10.0
    enquire_link_s: Annotated[
        float,
        Meta(
            description="After so much silence the SMSC is asked whether it is there; after two questions without an"
            " answer the connection is made anew.",
            gt=0,
            le=600,
            extra=SECONDS,
        ),
    ] = 30.0
    default_alphabet: Annotated[
        DefaultAlphabet,
        Meta(
            description="What the SMSC takes `data_coding` 0 for: `gsm7` (a byte for each septet), `gsm7_packed`, or"
            " `latin1`."
        ),
    ] = DefaultAlphabet.GSM7
    data_coding: Annotated[Coding, Meta(description="The `data_coding` of texts in the default alphabet.")] = 0x00
    data_coding_ucs2: Annotated[Coding, Meta(description="The `data_coding` of UCS-2.")] = 0x08
    data_coding_latin1: Annotated[Coding, Meta(description="The `data_coding` of Latin-1.")] = 0x03
    uses_latin1: Annotated[
        bool,
        Meta(
            description="Texts that need more than GSM-7, and no more than Latin-1, go as Latin-1: 140 to a segment,"
            " not 70."
        ),
    ] = False
    smart_encoding: Annotated[
        bool,
        Meta(
            description="Curly quotes, long dashes and odd spaces are sent as plain ones: one of them alone leaves"
            " room for 70 characters in place of 160."
        ),
    ] = False
    long_text: Annotated[
        LongText,
        Meta(
            description="How a long text is cut: `udh8` and `udh16` (a header in the text with a reference of 8 or 16"
            " bits), `sar` (TLVs), or `payload` (not at all: the SMSC does it)."
        ),
    ] = LongText.UDH8
    source_ton: Annotated[
        Ton | None,
        Meta(
            description="Type of our numbers. Unset: 1 for `+…`, 3 for a short code, 5 for a name of letters.",
        ),
    ] = None
    source_npi: Annotated[Npi | None, Meta(description="Their numbering plan. Unset: 1 for `+…`, else 0.")] = None
    destination_ton: Annotated[Ton, Meta(description="Type of the numbers that are written to.")] = 1
    destination_npi: Annotated[Npi, Meta(description="Their numbering plan.")] = 1
    keeps_plus: Annotated[bool, Meta(description="Numbers are sent with their `+`, which most SMSCs do not want.")] = (
        False
    )
    country_code: Annotated[
        str,
        Meta(
            description="What numbers begin with that come in without it, as `49`; a leading 0 of theirs is dropped.",
            pattern=r"^([1-9][0-9]{0,3})?\Z",
        ),
    ] = ""
    service_type: Annotated[
        str, Meta(description="The SMSC's service, if it has several.", max_length=5, pattern=_ASCII)
    ] = ""
    receipts: Annotated[bool, Meta(description="Ask for delivery receipts.")] = True
    receipt_ids: Annotated[
        ReceiptIds,
        Meta(
            description="`auto`: receipts may spell an id in decimal that was given in hexadecimal, and the other way"
            " round; `same`: they never do."
        ),
    ] = ReceiptIds.AUTO
    validity: Annotated[
        Validity,
        Meta(
            description="How the SMSC is told how long a message is of use: `relative` (four hours from now),"
            " `absolute` (until a moment, in UTC), `none`."
        ),
    ] = Validity.RELATIVE
    heeds_keywords: Annotated[
        bool, Meta(description="STOP, START and HELP are ours to heed. Off: the provider does it.")
    ] = True
    retry_statuses: Annotated[
        tuple[Annotated[int, Meta(ge=1, le=0xFFFF_FFFF)], ...],
        Meta(description="Values of `command_status` after which a message is sent again later."),
    ] = (0x14, 0x58)
    status_codes: Annotated[
        Mapping[str, int],
        Meta(
            description='Error codes for other values of `command_status`, as `{"0x0400": 30007}`; what is not named'
            " there or in our own table is 30008."
        ),
    ] = {}
    receipt_codes: Annotated[
        Mapping[str, int],
        Meta(
            description='Error codes for the `err` of receipts that say `UNDELIV`, as `{"006": 30005}`; what is not'
            " named there or in our own table is 30003."
        ),
    ] = {}

    def __post_init__(self) -> None:
        trusting_only(self.authorities)
        try:
            self.coded_statuses  # noqa: B018 - what is no number raises
        except ValueError:
            raise ValueError("status_codes: its names are numbers, as 0x0400") from None

    def __repr__(self) -> str:
        return f"SmppSettings({self.host}:{self.port}, ***)"

    @property
    def coded_statuses(self) -> Mapping[int, int]:
        return {int(name, 0): code for name, code in self.status_codes.items()}
