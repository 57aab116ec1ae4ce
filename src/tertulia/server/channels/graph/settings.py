"""Types of settings that the channels of the Graph API share."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta

SECRET: Final = {"secret": True}
IN_HEADER: Final = r"^[\x21-\x7e]+\Z"
"""What a header can carry."""
BASE_URL: Final = "https://graph.facebook.com"
VERSION: Final = "v25.0"
"""UNVERIFIED: Meta retires a version two years after it came (gateways 8.4)."""

BaseUrl = Annotated[
    str,
    Meta(
        description="Where the Graph API is.",
        pattern=r"^(?=[\x21-\x7e]*\Z)https?://[^/?#@\s]+(/[^?#@\s]*)?\Z",
        max_length=300,
    ),
]
Version = Annotated[str, Meta(description="Version of the Graph API.", pattern=r"^v[0-9]{1,3}\.[0-9]{1,2}\Z")]
AppSecret = Annotated[
    str,
    Meta(
        description="Secret of the Meta application: its requests are signed with it.",
        min_length=1,
        max_length=200,
        extra=SECRET,
    ),
]
VerifyToken = Annotated[
    str,
    Meta(
        description="A word of yours; Meta says it when it asks whether the callback URL is yours.",
        min_length=8,
        max_length=200,
        extra=SECRET,
    ),
]
AppSecretProof = Annotated[
    bool,
    Meta(
        description="Calls prove that they know the application's secret. Needed where the application demands it"
        " (*Require app secret*)."
    ),
]
ErrorCodes = Annotated[
    dict[str, int],
    Meta(
        description="Error codes of receipts, by Meta's code or code/subcode, in place of the built-in ones: a JSON"
        ' object, as {"131026": 63003}. What is named here is never tried again.'
    ),
]
Keywords = Annotated[bool, Meta(description="Whether STOP, START and HELP are heeded here.")]
