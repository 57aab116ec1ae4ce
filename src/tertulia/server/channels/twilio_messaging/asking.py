"""A message as a request to Programmable Messaging, and what its answer comes to."""

from __future__ import annotations

from typing import Any, Final, NoReturn
from urllib.parse import urlencode

import msgspec

from tertulia.server.domain.addresses import SMS, kind_of
from tertulia.server.domain.sms_text import segments
from tertulia.server.outgoing import Answer, Call

from ..base import Accepted, ChannelMessage, NotNow, Refused
from ..http_sms.calling import ANSWER_BYTES, FORM, MENDED_AFTER_S, basic, document_in, is_broken, passes, retry_after
from .codes import UNKNOWN_ERROR
from .settings import TwilioSettings

NAME: Final = "Twilio"
LONGEST_VALID_S: Final = 36_000
SECOND_US: Final = 1_000_000
MOST_FILES: Final = 10
HANDLE_CHARS: Final = 64
MOST_SEGMENTS: Final = 255
_UNAUTHENTICATED: Final = (401, 404)
_FAILED: Final = ("failed", "undelivered", "canceled")


def credentials(settings: TwilioSettings) -> tuple[str, str]:
    """The header that requests prove themselves with."""
    if settings.api_key_sid:
        return basic(settings.api_key_sid, settings.api_key_secret)
    return basic(settings.account_sid, settings.auth_token)


def call_of(message: ChannelMessage, settings: TwilioSettings, callback_url: str, now_us: int) -> Call:
    """The request. Raises ``Refused`` for a template that the other account has not, and that says nothing itself."""
    return Call(
        method="POST",
        url=f"{settings.base_url.rstrip('/')}/2010-04-01/Accounts/{settings.account_sid}/Messages.json",
        headers=(credentials(settings), FORM, ("Accept", "application/json")),
        body=urlencode(fields_of(message, settings, callback_url, now_us)).encode(),
        read_s=settings.answer_s,
        total_s=settings.answer_s,
        answer_limit_bytes=ANSWER_BYTES,
    )


def fields_of(
    message: ChannelMessage, settings: TwilioSettings, callback_url: str, now_us: int
) -> list[tuple[str, str]]:
    """The form."""
    is_sms = kind_of(message.recipients[0]) == SMS
    fields = [("To", message.recipients[0])]
    if not settings.service_chooses_sender:
        fields.append(("From", message.sender))
    if settings.messaging_service_sid:
        fields.append(("MessagingServiceSid", settings.messaging_service_sid))
    fields += _content(message, settings) or _words(message, settings, is_sms=is_sms)
    if settings.status_callbacks:
        fields.append(("StatusCallback", callback_url))
    valid_s = (message.valid_until - now_us) // SECOND_US
    fields.append(("ValidityPeriod", str(min(max(valid_s, 1), LONGEST_VALID_S))))
    if is_sms and settings.smart_encoding:
        fields.append(("SmartEncoded", "true"))
    return fields


def outcome(answer: Answer | None, message: ChannelMessage, settings: TwilioSettings) -> Accepted:
    """What Twilio calls the message. Raises ``Refused`` and ``NotNow``."""
    if answer is None:
        return Accepted(segments=_segments(message))
    said = document_in(answer.body)
    document: dict[str, Any] = said if isinstance(said, dict) else {}
    if not 200 <= answer.status < 300:
        refuse(answer, document, settings)
    if document.get("status") in _FAILED:
        code = document.get("error_code")
        raise Refused(_code(code) or UNKNOWN_ERROR, f"{NAME} has refused it")
    handle = document.get("sid")
    is_named = isinstance(handle, str) and 0 < len(handle) <= HANDLE_CHARS
    count = _code(document.get("num_segments"))
    return Accepted(
        handles=(str(handle),) if is_named else (),
        segments=count if 0 < count <= MOST_SEGMENTS else _segments(message),
    )


def refuse(answer: Answer, document: dict[str, Any], settings: TwilioSettings) -> NoReturn:
    """What an answer comes to that is no success. Raises ``Refused`` or ``NotNow``."""
    code = _code(document.get("code"))
    why = f"{NAME} answers {answer.status}" + (f" with error {code}" if code else "")
    if code in settings.alarm_codes or (answer.status in _UNAUTHENTICATED and not code):
        raise NotNow(why, retry_after(answer) or MENDED_AFTER_S, is_alarming=True)
    if code in settings.retry_codes or passes(answer.status):
        raise NotNow(why, retry_after(answer), is_broken=is_broken(answer.status))
    if answer.status < 400:
        raise NotNow(f"{why}: it is somewhere else", MENDED_AFTER_S, is_alarming=True)
    raise Refused(code or UNKNOWN_ERROR, why)


def _content(message: ChannelMessage, settings: TwilioSettings) -> list[tuple[str, str]]:
    """A template of that account's."""
    template = message.template
    sid = None if template is None else settings.contents.get(template.name)
    if template is None or sid is None:
        return []
    variables = msgspec.json.encode(dict(template.variables)).decode()
    return [("ContentSid", sid), *([("ContentVariables", variables)] if template.variables else [])]


def _words(message: ChannelMessage, settings: TwilioSettings, *, is_sms: bool) -> list[tuple[str, str]]:
    if not message.text and not message.media:
        raise Refused(UNKNOWN_ERROR, "the setting contents names no template of that account for it")
    # Telephones take several files at a time; the others one.
    most = min(settings.media_count, MOST_FILES) if is_sms else 1
    files = [("MediaUrl", file.url) for file in message.media[:most]]
    return [*([("Body", message.text)] if message.text else []), *files]


def _segments(message: ChannelMessage) -> int:
    return 1 if message.media or not message.text else segments(message.text)


def _code(said: object) -> int:
    """A number, written as one or as words; 0 for what is none."""
    text = str(said) if isinstance(said, int | str) and not isinstance(said, bool) else ""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 6 else 0
