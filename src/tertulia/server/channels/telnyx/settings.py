"""What is set for Telnyx, and what that comes to as settings of an HTTP API.

UNVERIFIED: its limits, and which of its codes is which of ours (gateways 8.3). The setting ``codes`` goes before them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from tertulia.server.domain.channels import MEDIA_OF_PHONES
from tertulia.server.settings.units import SECONDS, SECRET

from ..http_sms.proving import Encoding, Proof, is_public_key
from ..http_sms.settings import (
    AnswerTime,
    BaseUrl,
    Codes,
    HeedsKeywords,
    HttpSmsSettings,
    MediaBytes,
    MediaCount,
    SmartEncoding,
    TextChars,
)

BASE_URL: Final = "https://api.telnyx.com"
REPLAY_S: Final = 300
GROUP_SIZE: Final = 8

CODES: Final[Mapping[str, int]] = {
    "10015": 21211,  # the request does not fit
    "40001": 30006,  # a landline
    "40002": 30007,
    "40003": 30007,
    "40004": 30004,
    "40005": 30003,  # expired on the way
    "40006": 30003,
    "40008": 30003,
    "40009": 30008,
    "40010": 30007,  # the sender is not registered for 10DLC
    "40012": 21211,
    "40013": 21212,
    "40014": 30410,
    "40015": 30007,
    "40016": 30001,
    "40017": 30007,
    "40018": 30001,
    "40100": 21212,
    "40300": 21610,
    "40302": 21617,
    "40305": 21212,
    "40306": 21212,
    "40308": 21212,
    "40309": 21211,
    "40310": 21211,
    "40313": 21212,
    "40317": 50511,
    "40319": 21614,
    "40322": 30007,
    "40328": 21617,
    "40329": 30007,
    "40331": 30007,
    "40333": 30001,
}
LATER: Final = ("10011", "40011", "40318", "40320", "40321")
"""Too many, a queue that is full, a number that cannot be used for the moment."""
STATUSES: Final[Mapping[str, str]] = {
    "sent": "sent",
    "delivered": "delivered",
    "delivery_unconfirmed": "sent",
    "sending_failed": "failed",
    "delivery_failed": "undelivered",
    "expired": "undelivered",
}


class TelnyxSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One messaging profile. Printed without its keys."""

    api_key: Annotated[
        str, Meta(description="An API key (v2): begins with `KEY`.", min_length=1, max_length=200, extra=SECRET)
    ]
    public_key: Annotated[
        str, Meta(description="The account's public key, in base64: callbacks are signed with its other half.")
    ]
    messaging_profile_id: Annotated[
        str, Meta(description="The profile that messages belong to; unset, that of the number.", max_length=100)
    ] = ""
    base_url: BaseUrl = BASE_URL
    groups: Annotated[
        bool,
        Meta(description="Group messages go to `/v2/messages/group_mms`: numbers of the United States and Canada."),
    ] = True
    group_size: Annotated[int, Meta(description="Most recipients of one.", ge=2, le=50)] = GROUP_SIZE
    smart_encoding: SmartEncoding = False
    text_chars: TextChars = 1600
    media_bytes: MediaBytes = 5 << 20
    media_count: MediaCount = 10
    replay_s: Annotated[
        int,
        Meta(description="A callback whose time is further away is a replay.", ge=10, le=86_400, extra=SECONDS),
    ] = REPLAY_S
    heeds_keywords: HeedsKeywords = False
    codes: Codes = {}
    answer_s: AnswerTime = 15.0

    def __post_init__(self) -> None:
        if not is_public_key(self.public_key):
            raise ValueError("public_key: expected 32 bytes in base64")
        described(self)

    def __repr__(self) -> str:
        return f"TelnyxSettings({self.base_url}, ***)"


def described(settings: TelnyxSettings) -> HttpSmsSettings:
    """What they come to."""
    message: dict[str, Any] = {
        "from": "{from}",
        "to": "{to}",
        "text": "{text}",
        "media_urls": "{media_urls}",
        "webhook_url": "{callback}",
        "use_profile_webhooks": False,
        **({"messaging_profile_id": "{profile}"} if settings.messaging_profile_id else {}),
    }
    group = {name: value for name, value in message.items() if name != "messaging_profile_id"}
    profile = {"profile": settings.messaging_profile_id} if settings.messaging_profile_id else {}
    return HttpSmsSettings(
        base_url=settings.base_url,
        credentials={"api_key": settings.api_key, **profile},
        path="/v2/messages",
        headers={"Authorization": "Bearer {api_key}", "Accept": "application/json"},
        json=message,
        media_json={**message, "type": "MMS"},
        group_path="/v2/messages/group_mms",
        group_json={**group, "to": "{group_list}"} if settings.groups else {},
        group_size=settings.group_size,
        smart_encoding=settings.smart_encoding,
        text_chars=settings.text_chars,
        media_types=tuple(sorted(MEDIA_OF_PHONES)),
        media_bytes=settings.media_bytes,
        media_count=settings.media_count,
        heeds_keywords=settings.heeds_keywords,
        answer_s=settings.answer_s,
        id_path="data.id",
        segments_path="data.parts",
        code_path="errors[0].code",
        codes={**CODES, **settings.codes},
        retry_codes=tuple(code for code in LATER if code not in settings.codes),
        proof=Proof.ED25519,
        public_key=settings.public_key,
        proof_name="telnyx-signature-ed25519",
        proof_encoding=Encoding.BASE64,
        signed="{timestamp}|{body}",
        timestamp_name="telnyx-timestamp",
        replay_s=settings.replay_s,
        events_path="data",
        message_when={"event_type": ("message.received",)},
        message={
            "id": "payload.id",
            "sender": "payload.from.phone_number",
            "recipient": "payload.to[].phone_number",
            "others": "payload.cc[].phone_number",
            "text": "payload.text",
            "subject": "payload.subject",
            "media_url": "payload.media[].url",
            "media_type": "payload.media[].content_type",
        },
        report_when={"event_type": ("message.sent", "message.finalized")},
        report={
            "id": "payload.id",
            "each": "payload.to[]",
            "status": "each.status",
            "code": "each.errors[0].code | payload.errors[0].code",
            "recipient": "each.phone_number",
        },
        statuses=dict(STATUSES),
        check_path="/v2/messaging_profiles",
    )
