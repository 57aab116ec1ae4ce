"""Delivery receipts: what an SMSC says has become of a message, in TLVs or in a text (SMPP 3.4, appendix B)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from tertulia.server.domain.channels import Report
from tertulia.server.domain.receipts import ReceiptStatus

from .ids import MessageIds
from .pdus import NETWORK_ERROR, RECEIPTED_ID, STATE, Sms
from .statuses import STATES, WORDS, outcome

_KEY: Final = re.compile(r"(?i)(?:^|(?<=\s))(id|sub|dlvrd|submit[ _]?date|done[ _]?date|stat|err|text)\s*:")
_WORD_CHARS: Final = 7


def fields(text: str) -> dict[str, str]:
    """``id``, ``stat``, ``err`` and whatever else a receipt's text says, by key; of keys that come twice the first."""
    found: dict[str, str] = {}
    keys = list(_KEY.finditer(text))
    for number, key in enumerate(keys):
        name = key[1].lower().replace("_", " ")
        if name == "text":
            break  # what follows are words of the message, not of the SMSC
        end = keys[number + 1].start() if number + 1 < len(keys) else len(text)
        found.setdefault(name, text[key.end() : end].strip())
    return found


def report_of(
    sms: Sms, text: str, ids: MessageIds, receipt_codes: Mapping[str, int], *, is_final: bool = True
) -> Report | None:
    """What a receipt says; None for one that names no message or nothing that is known.

    TLVs are believed before the text. One that is not final never says that a message has failed.
    """
    said = fields(text)
    name = sms.tlvs.get(RECEIPTED_ID, b"").rstrip(b"\0").decode("latin-1").strip() or said.get("id", "")
    if not name:
        return None
    state = _state(sms.tlvs.get(STATE), said.get("stat", ""))
    known = None if state is None else outcome(state, _err(sms, said), receipt_codes)
    if known is None:
        return None
    status, code = known
    if not is_final and status is not ReceiptStatus.DELIVERED:
        status, code = ReceiptStatus.SENT, 0
    handle, alias = ids.reported(name)
    return Report(status=status, handle=handle, alias=alias, error_code=code)


def _state(tlv: bytes | None, word: str) -> int | None:
    if tlv and tlv[0] in STATES:
        return tlv[0]
    return WORDS.get(word.upper()[:_WORD_CHARS])


def _err(sms: Sms, said: Mapping[str, str]) -> str | None:
    if said.get("err"):
        return said["err"]
    # The kind of network, and its number of the cause.
    network = sms.tlvs.get(NETWORK_ERROR)
    return str(int.from_bytes(network[1:3], "big")) if network is not None and len(network) >= 3 else None
