"""A message as the request that its provider wants."""

from __future__ import annotations

from typing import Final

import msgspec

from tertulia.server.domain.sms_text import Alphabet, alphabet_of, plain, segments
from tertulia.server.outgoing import Call

from ..base import ChannelMessage
from .calling import ANSWER_BYTES, FORM, JSON, basic
from .numbers import Spelling, spelled
from .settings import HttpSmsSettings
from .templates import Value, Values, in_fields, in_json, in_path, in_text

SECOND_US: Final = 1_000_000
LEAST_VALID_S: Final = 60
_CODINGS: Final = {Alphabet.GSM7: "0", Alphabet.UCS2: "2"}


def text_of(message: ChannelMessage, settings: HttpSmsSettings) -> str:
    """What is said."""
    text = message.text or ""
    return plain(text) if settings.smart_encoding else text


def segments_of(message: ChannelMessage, settings: HttpSmsSettings) -> int:
    """What a network will count, where the provider does not say."""
    return 1 if message.media else segments(text_of(message, settings))


def valid_s_of(message: ChannelMessage, now_us: int) -> int:
    """How long the message is of use, in seconds; a minute at least, which is what most providers want."""
    return max((message.valid_until - now_us) // SECOND_US, LEAST_VALID_S)


def values_of(message: ChannelMessage, settings: HttpSmsSettings, callback: str, now_us: int) -> dict[str, Value]:
    """What the words of templates stand for."""
    spelling = settings.number_format or Spelling.PLUS
    text = text_of(message, settings)
    alphabet = alphabet_of(text)
    valid_s = valid_s_of(message, now_us)
    files = message.media[: settings.media_count]
    return {
        **settings.credentials,
        "to": spelled(message.recipients[0], spelling),
        "to_list": tuple(spelled(one, spelling) for one in message.recipients),
        "group_list": tuple(spelled(one, spelling) for one in (*message.recipients, *message.others)),
        "from": spelled(message.sender, spelling),
        "text": text,
        "sid": message.sid,
        "callback": callback,
        "media_url": files[0].url if files else None,
        "media_urls": tuple(one.url for one in files),
        "media_type": files[0].content_type if files else None,
        "valid_s": valid_s,
        "valid_min": -(-valid_s // 60),
        "coding": _CODINGS[alphabet],
        "alphabet": alphabet.value,
    }


def is_group(message: ChannelMessage) -> bool:
    return len(message.recipients) > 1 or bool(message.others)


def call_of(message: ChannelMessage, settings: HttpSmsSettings, callback: str, now_us: int) -> Call:
    """The request."""
    values = values_of(message, settings, callback, now_us)
    path, json, form = settings.path, settings.json, settings.form
    if is_group(message):
        path, json, form = settings.group_path or path, settings.group_json, {}
    elif message.media:
        has_own = settings.media_json or settings.media_form
        path = settings.media_path or path
        json, form = (settings.media_json, settings.media_form) if has_own else (json, form)
    headers, body = headers_of(settings), b""
    if json:
        headers, body = (*headers, JSON), msgspec.json.encode(in_json(json, values))
    elif form:
        headers, body = (*headers, FORM), in_fields(form, values).encode()
    return Call(
        method=settings.method,
        url=url_of(settings, path, values),
        headers=headers,
        body=body,
        read_s=settings.answer_s,
        total_s=settings.answer_s,
        answer_limit_bytes=ANSWER_BYTES,
    )


def url_of(settings: HttpSmsSettings, path: str, values: Values) -> str:
    query = in_fields(settings.query, values)
    return settings.base_url.rstrip("/") + in_path(path, values) + (f"?{query}" if query else "")


def headers_of(settings: HttpSmsSettings) -> tuple[tuple[str, str], ...]:
    """Those of every request."""
    own = tuple((name, in_text(template, settings.credentials)) for name, template in settings.headers.items())
    if not settings.basic:
        return own
    user, _, password = settings.basic.partition(":")
    return (*own, basic(in_text(user, settings.credentials), in_text(password, settings.credentials)))
