"""What SMSCs say and are told, as tables (gateways 8.1)."""

from __future__ import annotations

from typing import Any, Final

from tertulia.server.domain.receipts import ReceiptStatus

SENT: Final = (ReceiptStatus.SENT, 0)
DELIVERED: Final = (ReceiptStatus.DELIVERED, 0)


def lost(code: int) -> tuple[ReceiptStatus, int]:
    return ReceiptStatus.UNDELIVERED, code


WORDS: Final = [
    ("ENROUTE", "000", SENT),
    ("ACCEPTD", "000", SENT),
    ("DELIVRD", "000", DELIVERED),
    ("EXPIRED", "000", lost(30003)),
    ("DELETED", "000", lost(30008)),
    ("UNDELIV", "000", lost(30003)),
    ("UNDELIV", "001", lost(30005)),
    ("UNDELIV", "009", lost(30005)),
    ("UNDELIV", "012", lost(30005)),
    ("UNDELIV", "013", lost(30004)),
    ("UNDELIV", "021", lost(30006)),
    ("UNDELIV", "777", lost(30003)),
    ("REJECTD", "000", lost(30007)),
    ("UNKNOWN", "000", lost(30008)),
    ("DELIVERED", "000", DELIVERED),
    ("delivrd", "000", DELIVERED),
    ("UNDELIVERABLE", "001", lost(30005)),
]
"""``stat`` and ``err`` of a receipt, and what became of the message."""

STATES: Final = [
    (1, SENT),
    (6, SENT),
    (2, DELIVERED),
    (3, lost(30003)),
    (4, lost(30008)),
    (5, lost(30003)),
    (8, lost(30007)),
    (7, lost(30008)),
]
"""``message_state``, the same."""

RECEIPT_TEXTS: Final = [
    "id:1a2b sub:001 dlvrd:001 submit date:2601010000 done date:2601010001 stat:DELIVRD err:000 text:Hi",
    "id:1A2B sub:1 dlvrd:1 submit date:260101000000 done date:260101000100 stat:DELIVRD err:0 Text:",
    "ID: 1a2b SUB: 001 DLVRD: 001 SUBMIT DATE: 2601010000 DONE DATE: 2601010001 STAT: DELIVRD ERR: 000 TEXT: ",
    "id:1a2b submit_date:2601010000 done_date:2601010001 stat:DELIVRD err:000",
    "stat:DELIVRD err:000 id:00001a2b",
    "id : 1a2b\nstat : DELIVRD\nerr : 0",
    "id:1a2b stat:DELIVRD text:id:ffff stat:REJECTD",
]
"""Receipts that all say the same."""

UNREADABLE_RECEIPTS: Final = ["", "stat:DELIVRD", "id:1a2b", "id:1a2b stat:PERHAPS", "text:id:1a2b stat:DELIVRD"]

IDS: Final = [
    # what was given, what receipts name
    ("1a2b", "1a2b"),
    ("1A2B", "1a2b"),
    ("00001A2B", "6699"),
    ("1a2b", "0000006699"),
    ("1000", "4096"),
    ("6699", "1a2b"),
    ("6699", "00001A2B"),
    ("6699", "6699"),
    ("0000006699", "6699"),
    ("d3f0c1aa-5c1e-4a57-9c4e-0a1f2e3d4c5b", "D3F0C1AA-5C1E-4A57-9C4E-0A1F2E3D4C5B"),
    ("0", "0"),
    ("msg:77", "msg:77"),
]

REFUSALS: Final = [
    (0x0B, {}, 21211),
    (0x0A, {}, 21212),
    (0x01, {}, 21617),
    (0x08, {}, 30008),
    (0x45, {}, 30008),
    (0x0400, {}, 30008),
    (0x0400, {"status_codes": {"0x0400": 30007}}, 30007),
    (0x0B, {"status_codes": {"11": 30006}}, 30006),
]
"""``command_status`` of an answer, settings, and the code of the failure."""

NOT_NOW: Final[list[tuple[int, dict[str, Any]]]] = [(0x58, {}), (0x14, {}), (0x08, {"retry_statuses": (0x08,)})]

NUMBERS: Final = [
    # ours: ton, npi, text
    ("+15550001111", {}, (1, 1, "15550001111")),
    ("+15550001111", {"keeps_plus": True}, (1, 1, "+15550001111")),
    ("12345", {}, (3, 0, "12345")),
    ("Tertulia", {}, (5, 0, "Tertulia")),
    ("12345", {"source_ton": 6, "source_npi": 1}, (6, 1, "12345")),
    ("+15550001111", {"source_ton": 0, "source_npi": 0}, (0, 0, "15550001111")),
]

INCOMING_NUMBERS: Final = [
    # ton, as it came, the country's code, the address
    (1, "15550002222", "", "+15550002222"),
    (1, "+15550002222", "", "+15550002222"),
    (0, "15550002222", "", "+15550002222"),
    (0, "0015550002222", "", "+15550002222"),
    (3, "12345", "", "12345"),
    (0, "12345", "", "12345"),
    (2, "01701234567", "49", "+491701234567"),
    (0, "01701234567", "49", "+491701234567"),
    (2, "1701234567", "49", "+491701234567"),
    (5, "Post", "", "Post"),
    (5, "12345678901", "", "12345678901"),
]

WORDINGS: Final = [
    # text, settings, data_coding, bytes
    ("Hi @€", {}, 0, b"Hi \x00\x1be"),
    ("Hi @€", {"data_coding": 1}, 1, b"Hi \x00\x1be"),
    ("hellohello", {"default_alphabet": "gsm7_packed"}, 0, bytes.fromhex("E8329BFD4697D9EC37")),
    ("Zoë", {}, 8, "Zoë".encode("utf-16-be")),
    ("Zoë", {"uses_latin1": True}, 3, "Zoë".encode("latin-1")),
    ("Zoë", {"default_alphabet": "latin1"}, 0, "Zoë".encode("latin-1")),
    ("Привет", {"default_alphabet": "latin1"}, 8, "Привет".encode("utf-16-be")),
    ("Hi 😀", {}, 8, "Hi 😀".encode("utf-16-be")),
    ("“Hi”", {}, 8, "“Hi”".encode("utf-16-be")),
    ("“Hi”", {"smart_encoding": True}, 0, b'"Hi"'),
    ("Привет", {"data_coding_ucs2": 24}, 24, "Привет".encode("utf-16-be")),
]

INCOMING_WORDS: Final[list[tuple[int, bytes, dict[str, Any], str | None]]] = [
    # data_coding, bytes, settings, text
    (0x00, b"Hi \x00\x1be", {}, "Hi @€"),
    (0x00, b"Zo\xeb", {"default_alphabet": "latin1"}, "Zoë"),
    (0x00, bytes.fromhex("E8329BFD4697D9EC37"), {"default_alphabet": "gsm7_packed"}, "hellohello"),
    (0x01, b"Hi_@", {}, "Hi_@"),
    (0x01, b"Hi\x11\x00\x1be", {}, "Hi_@€"),
    (0x03, b"Zo\xeb", {}, "Zoë"),
    (0x06, "Привет".encode("iso8859-5"), {}, "Привет"),
    (0x07, "שלום".encode("iso8859-8"), {}, "שלום"),
    (0x08, "Привет 😀".encode("utf-16-be"), {}, "Привет 😀"),
    (0x08, "Привет".encode("utf-16-be") + b"\0", {}, "Привет"),
    (0x0E, "안녕".encode("euc_kr"), {}, "안녕"),
    (0x10, b"Hi \x00", {}, "Hi @"),
    (0x18, "Привет".encode("utf-16-be"), {}, "Привет"),
    (0xF0, b"Hi \x00", {}, "Hi @"),
    (0xE0, "Привет".encode("utf-16-be"), {}, "Привет"),
    (0x02, b"\x01\x02", {}, None),
    (0x04, b"\x01\x02", {}, None),
    (0xF4, b"\x01\x02", {}, None),
    (0x14, b"\x01\x02", {}, None),
]
