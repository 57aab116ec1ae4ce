"""Twilio's callbacks: messages and reports, signed with the account's auth token (semantics 1.7)."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote_plus

from tertulia.server.domain.channels import Incoming, IncomingMedia, Keyword, Report
from tertulia.server.domain.receipts import FAILURES
from tertulia.wire.requests import Reply, Request
from tertulia.wire.signatures import HEADER, Parameters, verify

from ..base import Forged, Heard, Unreadable
from ..graph.bounded import attributes
from .codes import EXTRAS, STATUSES, UNKNOWN_ERROR
from .settings import TwilioSettings

TWIML: Final = Reply(200, b"<Response/>", (("content-type", "text/xml"),))
MOST_FILES: Final = 10
_FORM: Final = "application/x-www-form-urlencoded"
_OCTETS: Final = "application/octet-stream"
_KEYWORDS: Final = {"STOP": Keyword.STOP, "START": Keyword.START, "HELP": Keyword.HELP}


def heard(request: Request, url: str, settings: TwilioSettings) -> Heard:
    """What a callback says; messages are answered with an empty TwiML. Raises ``Forged``, ``Unreadable``."""
    pairs = _proved(request, url, settings)
    # The first of a name that comes twice: Twilio sends none twice.
    form = {name: value for name, value in reversed(pairs)}
    if not hmac.compare_digest(form.get("AccountSid", "").encode(), settings.account_sid.encode()):
        raise Forged("it is about another account")
    sid = form.get("MessageSid") or form.get("SmsSid") or ""
    if not sid or len(sid) > 64:
        raise Unreadable("it names no message")
    if "MessageStatus" in form:
        return Heard(events=_report(form, sid), reply=TWIML)
    if not form.get("From") or not form.get("To"):
        raise Unreadable("it names nobody")
    return Heard(events=(_message(form, sid),), reply=TWIML)


def _proved(request: Request, url: str, settings: TwilioSettings) -> list[tuple[str, str]]:
    """The parameters of a request that Twilio has signed."""
    signature = request.headers.get(HEADER.lower(), "")
    if not signature:
        raise Forged("there is no signature")
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    is_form = request.method == "POST" and content_type == _FORM
    in_body = _pairs(request.body.decode("utf-8", "replace")) if is_form else []
    body = request.body if request.body and not is_form else None
    if not _is_signed(signature, url, in_body, settings.auth_token, body):
        raise Forged("the signature is another")
    if body is not None:
        raise Unreadable("it is no form")
    return in_body if is_form else [(name, value) for name, values in request.query.items() for value in values]


def _is_signed(signature: str, url: str, parameters: Parameters, token: str, body: bytes | None) -> bool:
    try:
        return verify(signature, url, parameters, token, body)
    except UnicodeEncodeError:  # half of a surrogate pair, in a header or a URL
        return False


def _pairs(text: str) -> list[tuple[str, str]]:
    pairs = (pair.partition("=") for pair in text.split("&") if pair)
    return [(unquote_plus(name), unquote_plus(value)) for name, _, value in pairs]


def _report(form: Mapping[str, str], sid: str) -> tuple[Report, ...]:
    status = STATUSES.get(form["MessageStatus"].lower())
    if status is None:
        return ()
    code = form.get("ErrorCode", "")
    is_code = code.isascii() and code.isdecimal() and 0 < len(code) < 6
    failed = (int(code) if is_code else 0) or UNKNOWN_ERROR
    return (Report(status=status, handle=sid, error_code=failed if status in FAILURES else 0),)


def _message(form: Mapping[str, str], sid: str) -> Incoming:
    return Incoming(
        provider_id=sid,
        sender=form["From"],
        recipient=form["To"],
        text=form.get("Body") or None,
        media=tuple(_media(form)),
        profile_name=form.get("ProfileName") or None,
        keyword=_KEYWORDS.get(form.get("OptOutType", "").upper()),
        attributes=attributes("twilio", {ours: form.get(theirs) for theirs, ours in EXTRAS.items()}),
    )


def _media(form: Mapping[str, str]) -> list[IncomingMedia]:
    said = form.get("NumMedia", "")
    count = min(int(said), MOST_FILES) if said.isascii() and said.isdecimal() and len(said) < 4 else 0
    return [
        IncomingMedia(
            content_type=_type(form.get(f"MediaContentType{number}", "")),
            reference=form[f"MediaUrl{number}"],
        )
        for number in range(count)
        if form.get(f"MediaUrl{number}")
    ]


def _type(said: str) -> str:
    bare = said.partition(";")[0].strip().lower()
    return bare if "/" in bare else _OCTETS
