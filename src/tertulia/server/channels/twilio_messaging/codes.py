"""What Twilio's own error codes say of an attempt. They are ours already: a receipt has them as they come.

UNVERIFIED: the numbers (gateways 8.2, semantics 4.11). The settings ``retry_codes`` and ``alarm_codes`` change them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tertulia.server.domain.receipts import ReceiptStatus

UNKNOWN_ERROR: Final = 30008

LATER: Final = (
    14107,  # sent too fast
    20429,  # too many requests
    21611,  # the sender's queue is full
    30001,
    63018,
)
"""The same may succeed at another time."""
TO_BE_MENDED: Final = (
    10001,  # the account is not active
    20003,  # the credentials
    20005,  # the account is suspended
    20006,
    20008,  # test credentials
    20404,  # there is no such account
    30002,
)
"""Nothing can be sent until somebody does something."""

STATUSES: Final[Mapping[str, ReceiptStatus]] = {
    "sent": ReceiptStatus.SENT,
    "delivered": ReceiptStatus.DELIVERED,
    "read": ReceiptStatus.READ,
    "undelivered": ReceiptStatus.UNDELIVERED,
    "failed": ReceiptStatus.FAILED,
    "canceled": ReceiptStatus.FAILED,
}
"""``MessageStatus``. Of those before ``sent`` a receipt says nothing."""
EXTRAS: Final[Mapping[str, str]] = {
    "ButtonText": "button_text",
    "ButtonPayload": "button_payload",
    "ListId": "list_id",
    "ListTitle": "list_title",
    "Latitude": "latitude",
    "Longitude": "longitude",
    "Address": "address",
    "Label": "label",
    "ReferralHeadline": "referral_headline",
    "ReferralSourceUrl": "referral_source_url",
    "OriginalRepliedMessageSid": "replied_to",
}
"""Fields of inbound messages that conversations have no words for."""
