"""What is set for an account with Twilio."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from tertulia.server.domain.channels import MEDIA_OF_PHONES
from tertulia.server.settings.units import SECRET

from ..http_sms.kinds import (
    MESSENGER_BYTES,
    RCS_BYTES,
    WHATSAPP_BYTES,
    WINDOW_H,
    MessengerBytes,
    RcsBytes,
    WhatsAppBytes,
    WindowHours,
)
from ..http_sms.settings import AnswerTime, BaseUrl, HeedsKeywords, MediaBytes, MediaCount, MediaTypes, TextChars
from .codes import LATER, TO_BE_MENDED

BASE_URL: Final = "https://api.twilio.com"
CONTENT_SID: Final = r"^HX[0-9a-fA-F]{32}\Z"


class TwilioSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One account of theirs. Printed without what it proves itself with."""

    account_sid: Annotated[
        str, Meta(description="The account at Twilio that sends, or a sub-account.", pattern=r"^AC[0-9a-fA-F]{32}\Z")
    ]
    auth_token: Annotated[
        str,
        Meta(
            description="That account's auth token: Twilio signs callbacks with it, and files are fetched with it.",
            min_length=1,
            max_length=200,
            extra=SECRET,
        ),
    ]
    api_key_sid: Annotated[
        str,
        Meta(
            description="An API key (`SK…`) to send with, in place of the auth token.",
            pattern=r"^(SK[0-9a-fA-F]{32})?\Z",
        ),
    ] = ""
    api_key_secret: Annotated[str, Meta(description="Its secret.", max_length=200, extra=SECRET)] = ""
    messaging_service_sid: Annotated[
        str,
        Meta(
            description="A messaging service whose features messages have; our number has to be one of its senders.",
            pattern=r"^(MG[0-9a-fA-F]{32})?\Z",
        ),
    ] = ""
    service_chooses_sender: Annotated[
        bool,
        Meta(
            description="The messaging service chooses which of its numbers sends, in place of our number. Answers"
            " then come to another number than the conversation knows, unless the service is sticky."
        ),
    ] = False
    contents: Annotated[
        dict[str, Annotated[str, Meta(pattern=CONTENT_SID)]],
        Meta(
            description="Templates of that account: for the name of a template here its `HX…` there, as"
            ' `{"order_ready": "HX…"}`.'
        ),
    ] = {}
    base_url: BaseUrl = BASE_URL
    smart_encoding: Annotated[
        bool, Meta(description="Twilio replaces characters that make an SMS longer: `SmartEncoded`.")
    ] = False
    status_callbacks: Annotated[bool, Meta(description="Ask for reports of messages: `StatusCallback`.")] = True
    heeds_keywords: HeedsKeywords = False
    text_chars: TextChars = 1600
    whatsapp_media_bytes: WhatsAppBytes = WHATSAPP_BYTES
    messenger_media_bytes: MessengerBytes = MESSENGER_BYTES
    rcs_media_bytes: RcsBytes = RCS_BYTES
    window_h: WindowHours = WINDOW_H
    media_types: MediaTypes = tuple(sorted(MEDIA_OF_PHONES))
    media_bytes: MediaBytes = 5 << 20
    media_count: MediaCount = 1
    incoming_media_bytes: MediaBytes = 16 << 20
    retry_codes: Annotated[
        tuple[int, ...], Meta(description="Twilio's error codes after which a message is tried again.")
    ] = LATER
    alarm_codes: Annotated[
        tuple[int, ...], Meta(description="Those that stop everything until somebody mends something.")
    ] = TO_BE_MENDED
    answer_s: AnswerTime = 15.0

    def __post_init__(self) -> None:
        if bool(self.api_key_sid) != bool(self.api_key_secret):
            raise ValueError("api_key_sid and api_key_secret belong together")
        if self.service_chooses_sender and not self.messaging_service_sid:
            raise ValueError("service_chooses_sender needs messaging_service_sid")
        if not self.base_url:
            raise ValueError("base_url is missing")

    def __repr__(self) -> str:
        return f"TwilioSettings({self.account_sid}, ***)"
