"""What is set for Kannel's smsbox, and what that comes to as settings of an HTTP API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from tertulia.server.settings.units import SECRET

from ..http_sms.numbers import Spelling
from ..http_sms.proving import Proof
from ..http_sms.settings import (
    AnswerTime,
    BaseUrl,
    Codes,
    CountryCode,
    HeedsKeywords,
    HttpSmsSettings,
    SmartEncoding,
    TextChars,
)

ALL_REPORTS: Final = 31
FINAL_REPORTS: Final = 19

STATUSES: Final[Mapping[str, str]] = {
    "1": "delivered",
    "2": "undelivered",
    "8": "sent",
    "16": "failed",
}
"""Kannel's numbers of a report; 4, that an SMSC has queued it, says nothing new."""


class KannelSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One ``sendsms-user`` of a smsbox. Printed without its password."""

    base_url: BaseUrl
    username: Annotated[str, Meta(description="Of the group `sendsms-user`.", min_length=1, max_length=100)]
    password: Annotated[
        str,
        Meta(description="Its password. Kannel wants it in the URL.", min_length=1, max_length=100, extra=SECRET),
    ]
    callback_secret: Annotated[
        str,
        Meta(
            description="What callbacks prove to know: `key` in their query. Choose a long one.",
            min_length=16,
            max_length=200,
            extra=SECRET,
        ),
    ]
    path: Annotated[str, Meta(description="Of `sendsms`.", pattern=r"^(?=[\x21-\x7e]*\Z)/[^?#\s{}]*\Z")] = (
        "/cgi-bin/sendsms"
    )
    smsc: Annotated[str, Meta(description="The SMSC to send through, where there are several.", max_length=100)] = ""
    account: Annotated[str, Meta(description="What Kannel writes into its logs beside messages.", max_length=100)] = ""
    dlr_mask: Annotated[
        int,
        Meta(
            description="Which reports Kannel makes: the sum of 1 delivered, 2 not delivered, 4 queued, 8 with the"
            " SMSC, 16 refused by it; 0 for none.",
            ge=0,
            le=ALL_REPORTS,
        ),
    ] = ALL_REPORTS
    number_format: Annotated[
        Spelling, Meta(description="How numbers go out: `plus`, `digits` or `zeros`, as the SMSC behind it wants.")
    ] = Spelling.PLUS
    country_code: CountryCode = ""
    smart_encoding: SmartEncoding = False
    text_chars: TextChars = 1600
    heeds_keywords: HeedsKeywords = True
    codes: Codes = {}
    answer_s: AnswerTime = 15.0

    def __post_init__(self) -> None:
        described(self)

    def __repr__(self) -> str:
        return f"KannelSettings({self.base_url}, ***)"


def described(settings: KannelSettings) -> HttpSmsSettings:
    """What they come to. The words with ``%`` in the URL of reports are Kannel's: it puts values in their place."""
    optional = {
        **({"smsc": "{smsc}"} if settings.smsc else {}),
        **({"account": "{account}"} if settings.account else {}),
        **({"dlr-mask": str(settings.dlr_mask)} if settings.dlr_mask else {}),
        **({"dlr-url": "{callback}&id={sid}&status=%d&to=%p&from=%P"} if settings.dlr_mask else {}),
    }
    return HttpSmsSettings(
        base_url=settings.base_url,
        credentials={
            "username": settings.username,
            "password": settings.password,
            **({"smsc": settings.smsc} if settings.smsc else {}),
            **({"account": settings.account} if settings.account else {}),
        },
        method="GET",
        path=settings.path,
        query={
            "username": "{username}",
            "password": "{password}",
            "from": "{from}",
            "to": "{to}",
            "text": "{text}",
            "charset": "UTF-8",
            "coding": "{coding}",
            "validity": "{valid_min}",
            **optional,
        },
        number_format=settings.number_format,
        country_code=settings.country_code,
        smart_encoding=settings.smart_encoding,
        text_chars=settings.text_chars,
        heeds_keywords=settings.heeds_keywords,
        answer_s=settings.answer_s,
        id_is_ours=True,
        codes=settings.codes,
        proof=Proof.QUERY,
        callback_secret=settings.callback_secret,
        message={"id": "id", "sender": "from", "recipient": "to", "text": "text"},
        report={"id": "id", "status": "status"},
        statuses=dict(STATUSES),
    )
