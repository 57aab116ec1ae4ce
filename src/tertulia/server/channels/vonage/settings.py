"""What is set for Vonage Messages, and what that comes to as settings of an HTTP API.

UNVERIFIED: its limits, and which of its codes is which of ours (gateways 8.3). The setting ``codes`` goes before them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from tertulia.server.domain.channels import MEDIA_OF_PHONES
from tertulia.server.settings.units import SECONDS, SECRET

from ..http_sms.kinds import WHATSAPP_BYTES, WINDOW_H, WhatsAppBytes, WindowHours
from ..http_sms.numbers import Spelling
from ..http_sms.proving import Proof
from ..http_sms.settings import (
    AnswerTime,
    BaseUrl,
    Codes,
    HeedsKeywords,
    HttpSmsSettings,
    MediaBytes,
    SmartEncoding,
    TextChars,
)

BASE_URL: Final = "https://api.nexmo.com"
REPLAY_S: Final = 300

CODES: Final[Mapping[str, int]] = {
    "1020": 21211,  # a parameter does not fit
    "1022": 21211,
    "1050": 30004,  # the number is barred
    "1080": 21211,  # a test account knows its recipients
    "1120": 21212,  # the sender
    "1170": 21211,
    "1210": 30007,
    "1240": 21610,
    "1241": 30007,
    "1260": 30005,
    "1290": 30003,  # nobody answers there
    "1300": 30003,
    "1310": 30003,  # expired
    "1320": 30008,
    "1330": 30008,
    "1340": 63016,
    "1360": 30410,
    "1370": 21212,
    "1400": 21614,
    "1410": 21614,
    "1420": 21212,
    "1430": 21211,
    "1450": 30007,
    "1460": 30007,
    "1470": 63003,
}
LATER: Final = ("1000", "1030", "1350")
STATUSES: Final[Mapping[str, str]] = {
    "submitted": "sent",
    "delivered": "delivered",
    "read": "read",
    "rejected": "failed",
    "undeliverable": "undelivered",
}


class VonageSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One application. Printed without its keys."""

    api_key: Annotated[str, Meta(description="The account's API key, with `api_secret`.", max_length=100)] = ""
    api_secret: Annotated[
        str,
        Meta(description="Its secret, for HTTP Basic; not needed with a private key.", max_length=200, extra=SECRET),
    ] = ""
    application_id: Annotated[
        str, Meta(description="The application's id, with `private_key`.", pattern=r"^[0-9a-fA-F-]{0,64}\Z")
    ] = ""
    private_key: Annotated[
        str,
        Meta(description="The application's private key, as PEM: requests carry a token signed with it.", extra=SECRET),
    ] = ""
    signature_secret: Annotated[
        str,
        Meta(
            description="The account's signature secret: callbacks carry a token signed with it.",
            min_length=1,
            max_length=200,
            extra=SECRET,
        ),
    ]
    base_url: BaseUrl = BASE_URL
    smart_encoding: SmartEncoding = False
    text_chars: TextChars = 1600
    media_bytes: MediaBytes = 5 << 20
    whatsapp_media_bytes: WhatsAppBytes = WHATSAPP_BYTES
    window_h: WindowHours = WINDOW_H
    replay_s: Annotated[
        int,
        Meta(description="A callback whose time is further away is a replay.", ge=10, le=86_400, extra=SECONDS),
    ] = REPLAY_S
    heeds_keywords: HeedsKeywords = True
    codes: Codes = {}
    answer_s: AnswerTime = 15.0

    def __post_init__(self) -> None:
        if not (self.api_key and self.api_secret) and not (self.application_id and self.private_key):
            raise ValueError("expected application_id and private_key, or api_key and api_secret")
        described(self)

    def __repr__(self) -> str:
        return f"VonageSettings({self.base_url}, ***)"

    @property
    def has_key(self) -> bool:
        return bool(self.application_id and self.private_key)


def described(settings: VonageSettings) -> HttpSmsSettings:
    """What they come to. The body of a message is made by the channel: each kind of message has another."""
    return HttpSmsSettings(
        base_url=settings.base_url,
        credentials={} if settings.has_key else {"user": settings.api_key, "password": settings.api_secret},
        path="/v1/messages",
        headers={"Accept": "application/json"},
        basic="" if settings.has_key else "{user}:{password}",
        json={"to": "{to}", "from": "{from}", "text": "{text}", "url": "{media_url}"},
        number_format=Spelling.DIGITS,
        smart_encoding=settings.smart_encoding,
        text_chars=settings.text_chars,
        media_types=tuple(sorted(MEDIA_OF_PHONES)),
        media_bytes=settings.media_bytes,
        heeds_keywords=settings.heeds_keywords,
        answer_s=settings.answer_s,
        id_path="message_uuid",
        code_path="type",
        codes={**CODES, **settings.codes},
        retry_codes=tuple(code for code in LATER if code not in settings.codes),
        proof=Proof.JWT,
        callback_secret=settings.signature_secret,
        replay_s=settings.replay_s,
        message_when={"message_type": ("*",)},
        message={
            "id": "message_uuid",
            "sender": "sender",
            "recipient": "recipient",
            "text": "text | image.caption | video.caption | file.caption | reply.title | button.text",
            "media_url": "image.url | video.url | audio.url | file.url | vcard.url | sticker.url | content[].url",
            "media_name": "image.name | video.name | audio.name | file.name",
            "name": "profile.name",
        },
        report_when={"status": ("*",)},
        report={"id": "message_uuid", "status": "status", "code": "error.type | error.title"},
        statuses=dict(STATUSES),
        fetch_authorized=True,
    )
