"""What an account holder sets of a gateway to Messenger."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from ..graph.codes import Codes
from ..graph.settings import (
    BASE_URL,
    IN_HEADER,
    SECRET,
    VERSION,
    AppSecret,
    AppSecretProof,
    BaseUrl,
    ErrorCodes,
    Keywords,
    VerifyToken,
    Version,
)
from .limits import FILE_BYTES, FILES, TEXT_CHARS, WINDOW_H

_TOKEN: Final = re.compile(r"[\x21-\x7e]{1,1000}")
_ID: Final = re.compile(r"[0-9]{1,30}", re.ASCII)


class MessengerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Printed without secrets."""

    page_id: Annotated[str, Meta(description="Id of the page that people write to.", pattern=r"^[0-9]{1,30}\Z")]
    access_token: Annotated[
        str, Meta(description="Access token of the page.", pattern=IN_HEADER, max_length=1000, extra=SECRET)
    ]
    app_secret: AppSecret
    verify_token: VerifyToken
    more_pages: Annotated[
        dict[str, str],
        Meta(
            description="Further pages of the same application that this gateway serves: a JSON object of their ids,"
            " each with the access token of the page.",
            extra=SECRET,
        ),
    ] = {}
    base_url: BaseUrl = BASE_URL
    version: Version = VERSION
    appsecret_proof: AppSecretProof = False
    messaging_type: Annotated[
        Literal["RESPONSE", "UPDATE"],
        Meta(description="What Meta is told a message is: an answer, or something new."),
    ] = "RESPONSE"
    human_agent: Annotated[
        bool,
        Meta(
            description="People answer here, and Meta has granted the tag HUMAN_AGENT: after the window, up to seven"
            " days, messages are sent with it."
        ),
    ] = False
    heeds_keywords: Keywords = False
    text_chars: Annotated[int, Meta(description="Longest text.", ge=1, le=10_000)] = TEXT_CHARS
    media_bytes: Annotated[int, Meta(description="Largest file, each way.", ge=1, le=100 << 20)] = FILE_BYTES
    media_count: Annotated[int, Meta(description="Files of one message; each goes by itself.", ge=1, le=10)] = FILES
    window_h: Annotated[
        int,
        Meta(
            description="For so many hours after a person's message he may be written to without a tag.", ge=1, le=720
        ),
    ] = WINDOW_H
    codes: ErrorCodes = {}

    def __post_init__(self) -> None:
        Codes(self.codes)
        if not all(_ID.fullmatch(page) and _TOKEN.fullmatch(token) for page, token in self.more_pages.items()):
            raise ValueError("more_pages: expected the digits of a page's id, and a token for each")

    def __repr__(self) -> str:
        return f"MessengerSettings({self.page_id}, ***)"
