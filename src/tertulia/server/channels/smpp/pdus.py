"""The bytes of SMPP: a header of four numbers, a body of fields in a fixed order, and optional parameters (TLVs).

The fields of bodies are smpplib's. It reads past the end of what it is given, and stops at parameters it does not
expect: bodies that are cut short are refused here, and parameters are read here.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from smpplib import command

HEADER: Final = struct.Struct(">IIII")
_TLV: Final = struct.Struct(">HH")
LARGEST: Final = 80_000
"""Bytes of a PDU: a payload of 64 KiB and room for the rest."""

GENERIC_NACK: Final = 0x8000_0000
BIND_RECEIVER: Final = 0x01
BIND_TRANSMITTER: Final = 0x02
BIND_TRANSCEIVER: Final = 0x09
SUBMIT_SM: Final = 0x04
DELIVER_SM: Final = 0x05
UNBIND: Final = 0x06
OUTBIND: Final = 0x0B
ENQUIRE_LINK: Final = 0x15
ALERT: Final = 0x0102
DATA_SM: Final = 0x0103
RESPONSE: Final = 0x8000_0000

SAR_REFERENCE: Final = 0x020C
SAR_TOTAL: Final = 0x020E
SAR_NUMBER: Final = 0x020F
RECEIPTED_ID: Final = 0x001E
NETWORK_ERROR: Final = 0x0423
PAYLOAD: Final = 0x0424
STATE: Final = 0x0427

HAS_HEADER: Final = 0x40
"""In ``esm_class``: the text begins with a header (UDH)."""
KIND: Final = 0x3C
"""The bits of ``esm_class`` that say what it is."""


class Malformed(Exception):
    """What came is not SMPP."""


class Pdu(msgspec.Struct, frozen=True):
    """One PDU as it came. Printed without its body."""

    command: int
    status: int
    sequence: int
    body: bytes = b""

    @property
    def is_response(self) -> bool:
        return bool(self.command & RESPONSE)

    def __repr__(self) -> str:
        return f"Pdu(0x{self.command:08x}, 0x{self.status:x}, {self.sequence}, {len(self.body)} bytes)"


class Sms(msgspec.Struct, frozen=True, kw_only=True):
    """The body of ``submit_sm``, ``deliver_sm`` and ``data_sm``. Printed without content."""

    source: str
    destination: str
    source_ton: int = 0
    source_npi: int = 0
    destination_ton: int = 0
    destination_npi: int = 0
    service_type: str = ""
    esm_class: int = 0
    validity: str = ""
    registered_delivery: int = 0
    data_coding: int = 0
    text: bytes = b""
    tlvs: Mapping[int, bytes] = {}

    def __repr__(self) -> str:
        return f"Sms(0x{self.esm_class:02x}, {len(self.text)} bytes, ***)"


class _Body:
    """What is laid over smpplib's commands: their mandatory fields, read strictly."""

    params: Mapping[str, Any]
    rest = b""

    def _parse_string(self, field: str, data: bytes, pos: int, length: int | None = None) -> tuple[bytes, int]:
        end = data.find(b"\0", pos)
        if end < 0:
            raise Malformed(f"{field} does not end")
        setattr(self, field, data[pos:end])
        return data, end + 1

    def _parse_ostring(self, field: str, data: bytes, pos: int, length: int | None = None) -> tuple[bytes, int]:
        end = pos + int(getattr(self, self.params[field].len_field))
        if end > len(data):
            raise Malformed(f"{field} is cut short")
        setattr(self, field, data[pos:end])
        return data, end

    def parse_optional_params(self, data: bytes) -> None:
        self.rest = data


def _mandatory(base: Any, last: str) -> dict[str, Any]:
    order = base.params_order[: base.params_order.index(last) + 1]
    # Those left out are many, and smpplib looks at each of them each time.
    return {"params_order": order, "params": {name: base.params[name] for name in order}}


_SubmitSm: Any = type("_SubmitSm", (_Body, command.SubmitSM), _mandatory(command.SubmitSM, "short_message"))
_DeliverSm: Any = type("_DeliverSm", (_Body, command.DeliverSM), _mandatory(command.DeliverSM, "short_message"))
_DataSm: Any = type("_DataSm", (_Body, command.DataSM), _mandatory(command.DataSM, "data_coding"))
_Bind: Any = command.BindTransceiver


def header_of(data: bytes | bytearray, at: int = 0) -> tuple[int, int, int, int]:
    """Length, command, status and sequence number of the PDU there. Raises ``Malformed`` for an impossible length."""
    length, what, status, sequence = HEADER.unpack_from(data, at)
    if not HEADER.size <= length <= LARGEST:
        raise Malformed(f"a length of {length}")
    return length, what, status, sequence


def taken(buffer: bytearray) -> list[Pdu]:
    """The whole PDUs at the front of what was received, which are taken from it. Raises ``Malformed``."""
    found: list[Pdu] = []
    at = 0
    while len(buffer) - at >= HEADER.size:
        length, what, status, sequence = header_of(buffer, at)
        if len(buffer) - at < length:
            break
        found.append(Pdu(what, status, sequence, bytes(buffer[at + HEADER.size : at + length])))
        at += length
    del buffer[:at]
    return found


def pdu(what: int, sequence: int, body: bytes = b"", status: int = 0) -> bytes:
    """A whole PDU."""
    return HEADER.pack(HEADER.size + len(body), what, status, sequence) + body


def bind_body(system_id: str, password: str, system_type: str, address_range: str) -> bytes:
    body: bytes = _Bind(
        "bind_transceiver",
        sequence=0,
        system_id=system_id,
        password=password,
        system_type=system_type,
        address_range=address_range,
    ).generate_params()
    return body


def submit_body(sms: Sms) -> bytes:
    """Of ``submit_sm``. A text in a TLV leaves ``text`` empty."""
    body: bytes = _SubmitSm(
        "submit_sm",
        sequence=0,
        service_type=sms.service_type,
        source_addr_ton=sms.source_ton,
        source_addr_npi=sms.source_npi,
        source_addr=sms.source,
        dest_addr_ton=sms.destination_ton,
        dest_addr_npi=sms.destination_npi,
        destination_addr=sms.destination,
        esm_class=sms.esm_class,
        validity_period=sms.validity,
        registered_delivery=sms.registered_delivery,
        data_coding=sms.data_coding,
        short_message=sms.text,
    ).generate_params()
    return body + b"".join(_TLV.pack(tag, len(value)) + value for tag, value in sms.tlvs.items())


def sms_of(pdu: Pdu) -> Sms:
    """The body of ``deliver_sm`` or ``data_sm``. Raises ``Malformed``."""
    is_data = pdu.command == DATA_SM
    read = _DataSm("data_sm", sequence=0) if is_data else _DeliverSm("deliver_sm", sequence=0)
    read.sm_length = None  # it is 0 where none was read
    try:
        read.parse_params(pdu.body)
        if read.data_coding is None or not (is_data or len(read.short_message or b"") == read.sm_length):
            raise Malformed("it is cut short")
        return Sms(
            source=read.source_addr.decode("latin-1"),
            destination=read.destination_addr.decode("latin-1"),
            source_ton=read.source_addr_ton,
            source_npi=read.source_addr_npi,
            destination_ton=read.dest_addr_ton,
            destination_npi=read.dest_addr_npi,
            esm_class=read.esm_class,
            data_coding=read.data_coding,
            text=b"" if is_data else read.short_message or b"",
            tlvs=tlvs(read.rest),
        )
    except struct.error:
        raise Malformed("it is cut short") from None


def tlvs(data: bytes) -> dict[int, bytes]:
    """Optional parameters by their tags, the first of each. Raises ``Malformed``."""
    found: dict[int, bytes] = {}
    at = 0
    while at < len(data):
        if len(data) - at < _TLV.size:
            raise Malformed("a parameter is cut short")
        tag, length = _TLV.unpack_from(data, at)
        at += _TLV.size
        if len(data) - at < length:
            raise Malformed("a parameter is cut short")
        found.setdefault(tag, data[at : at + length])
        at += length
    return found


def message_id(body: bytes) -> str:
    """What ``submit_sm_resp`` says; empty for none."""
    return body.partition(b"\0")[0].decode("latin-1").strip()
