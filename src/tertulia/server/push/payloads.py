"""What devices get to read (semantics 7.5): the keys of the hosted service, in the shape that each service wants."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from tertulia.server.domain.push_content import PushContent, PushKind

PAYLOAD_BYTES: Final = 4096
"""What Apple's and Google's services take."""

_DISPENSABLE: Final = ("media", "conversation_title", "author")
"""What goes first where something has to, in this order; then the end of the text; then what is left of words."""
_LAST: Final = ("title", "sound")
_NUMBERS: Final = ("message_index", "media_count")
_TEXTS: Final = ("conversation_sid", "conversation_title", "author", "message_sid", "media")


def apns_payload(content: PushContent, notice_sid: str, badge: int | None) -> bytes:
    """The body for Apple's service, as JSON of at most ``PAYLOAD_BYTES``. A badge is told alone: no text, no keys."""
    if content.kind is PushKind.BADGE:
        return msgspec.json.encode({"aps": {"badge": badge or 0}})
    return _fitted(content, lambda fitting: _apns(fitting, notice_sid, badge))[1]


def data_of(content: PushContent, notice_sid: str, limit: int = PAYLOAD_BYTES) -> dict[str, str]:
    """A data message for Google's service and for browsers: texts only, and only keys that have a value.

    Its JSON has at most ``limit`` bytes.
    """
    fitting, _ = _fitted(content, lambda fitting: msgspec.json.encode(_data(fitting, notice_sid)), limit)
    return _data(fitting, notice_sid)


def _apns(content: PushContent, notice_sid: str, badge: int | None) -> bytes:
    alert: Any = content.text if not content.title else {"title": content.title, "body": content.text}
    aps: dict[str, Any] = {"alert": alert}
    if content.sound:
        aps["sound"] = content.sound
    if badge is not None:
        aps["badge"] = badge
    keys = {"twi_message_type": content.message_type, "twi_message_id": notice_sid}
    return msgspec.json.encode({"aps": aps, **keys, **_given(content, _TEXTS), **_given(content, _NUMBERS)})


def _data(content: PushContent, notice_sid: str) -> dict[str, str]:
    keys = {
        "twi_message_type": content.message_type,
        "twi_message_id": notice_sid,
        "twi_body": content.text,
        "twi_title": content.title,
        "twi_sound": content.sound,
        **_given(content, _TEXTS),
    }
    data = {name: value for name, value in keys.items() if value}
    return data | {name: str(value) for name, value in _given(content, _NUMBERS).items()}


def _given(content: PushContent, names: tuple[str, ...]) -> dict[str, Any]:
    found = ((name, getattr(content, name)) for name in names)
    return {name: value for name, value in found if value is not None and value != ""}


def _fitted(
    content: PushContent, encode: Callable[[PushContent], bytes], limit: int = PAYLOAD_BYTES
) -> tuple[PushContent, bytes]:
    """As much of the content as fits, and how it is encoded."""
    body = encode(content)
    if len(body) <= limit:
        return content, body
    for name in _DISPENSABLE:
        content = msgspec.structs.replace(content, **{name: None})
        body = encode(content)
        if len(body) <= limit:
            return content, body
    if len(encode(msgspec.structs.replace(content, text=""))) > limit:
        content = msgspec.structs.replace(content, **dict.fromkeys(_LAST))
    # How long a character gets depends on the character, so the longest beginning that fits is looked for.
    fits, too_long = 0, len(content.text) + 1
    while too_long - fits > 1:
        middle = (fits + too_long) // 2
        if len(encode(msgspec.structs.replace(content, text=content.text[:middle]))) <= limit:
            fits = middle
        else:
            too_long = middle
    content = msgspec.structs.replace(content, text=content.text[:fits])
    return content, encode(content)
