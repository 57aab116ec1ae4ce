"""What an account holder sets of a gateway to WhatsApp."""

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
from .limits import FILE_BYTES, TEXT_CHARS, WINDOW_H

_NUMBER: Final = re.compile(r"\+[1-9][0-9]{4,14}", re.ASCII)
_ID: Final = re.compile(r"[0-9]{1,30}", re.ASCII)


class WhatsAppSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Printed without secrets."""

    phone_number_id: Annotated[
        str, Meta(description="Meta's id of the number, not the number itself.", pattern=r"^[0-9]{1,30}\Z")
    ]
    phone_number: Annotated[
        str | None,
        Meta(
            description="The number itself, as +15550100. Given, nothing is sent from an address whose id is not known"
            " here; without it, everything that is not from one of `more_numbers` goes out from this one."
        ),
    ] = None
    access_token: Annotated[
        str,
        Meta(
            description="Token of a system user that may send for the number.",
            pattern=IN_HEADER,
            max_length=1000,
            extra=SECRET,
        ),
    ]
    app_secret: AppSecret
    verify_token: VerifyToken
    more_numbers: Annotated[
        dict[str, str],
        Meta(
            description="Further numbers of the same application that this gateway serves, each with its id: a JSON"
            ' object, as {"+15550100": "1068"}.'
        ),
    ] = {}
    business_account_id: Annotated[
        str | None,
        Meta(
            description="Id of the WhatsApp Business account; with it the check can see whether Meta tells us anything."
        ),
    ] = None
    base_url: BaseUrl = BASE_URL
    version: Version = VERSION
    appsecret_proof: AppSecretProof = False
    media: Annotated[
        Literal["auto", "link", "upload"],
        Meta(
            description="How files go: `link`, Meta fetches them here; `upload`, they are sent to it first; `auto`, by"
            " link where this server is known by https."
        ),
    ] = "auto"
    mark_read: Annotated[
        bool, Meta(description="Whether messages are marked as read on the person's phone when they arrive.")
    ] = False
    preview_urls: Annotated[bool, Meta(description="Whether a text shows what its first link leads to.")] = False
    templates_in_window: Annotated[
        Literal["template", "free_form"],
        Meta(
            description="Within the window an approved template is sent as a template, or in free form, with the"
            " buttons and lists of ordinary messages."
        ),
    ] = "template"
    heeds_keywords: Keywords = True
    text_chars: Annotated[int, Meta(description="Longest text.", ge=1, le=4096)] = TEXT_CHARS
    media_bytes: Annotated[int, Meta(description="Largest file, each way.", ge=1, le=100 << 20)] = FILE_BYTES
    window_h: Annotated[
        int, Meta(description="For so many hours after a person's message he may be written to freely.", ge=1, le=720)
    ] = WINDOW_H
    codes: ErrorCodes = {}

    def __post_init__(self) -> None:
        Codes(self.codes)
        if self.phone_number is not None and not _NUMBER.fullmatch(self.phone_number):
            raise ValueError("phone_number: expected a number as +15550100")
        if not all(_NUMBER.fullmatch(number) and _ID.fullmatch(name) for number, name in self.more_numbers.items()):
            raise ValueError("more_numbers: expected numbers as +15550100, and the digits of an id for each")

    def __repr__(self) -> str:
        return f"WhatsAppSettings({self.phone_number_id}, ***)"
