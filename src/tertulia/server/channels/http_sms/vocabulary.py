"""Words of templates and mappings."""

from __future__ import annotations

from typing import Final

from tertulia.server.domain.receipts import ReceiptStatus

MESSAGE_WORDS: Final = frozenset(
    (
        "to",
        "to_list",
        "group_list",
        "from",
        "text",
        "sid",
        "callback",
        "media_url",
        "media_urls",
        "media_type",
        "valid_s",
        "valid_min",
        "coding",
        "alphabet",
    )
)
"""What templates say of a message: the person (or all, as a list; in a group also with the further numbers of ours
that belong to it, so that every telephone shows one thread), our number, the words, our SID, where reports go, where
files can be fetched, how long it is of use, and what its words need: ``0`` and ``gsm7``, or ``2`` and ``ucs2``."""

MESSAGE_FIELDS: Final = (
    "id",
    "sender",
    "recipient",
    "others",
    "text",
    "subject",
    "media_url",
    "media_type",
    "media_name",
    "name",
)
REPORT_FIELDS: Final = ("id", "status", "code", "recipient", "each")

STATUSES: Final = tuple(
    status.value
    for status in (
        ReceiptStatus.SENT,
        ReceiptStatus.DELIVERED,
        ReceiptStatus.READ,
        ReceiptStatus.UNDELIVERED,
        ReceiptStatus.FAILED,
    )
)

UNKNOWN_ERROR: Final = 30008
MEDIA_FETCH: Final = 11200
FILE_TOO_LARGE: Final = 50512
MOST_FILES: Final = 10


def is_our_code(code: int) -> bool:
    return 0 < code < 100_000
