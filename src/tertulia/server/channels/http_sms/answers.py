"""What a provider's answer comes to: taken, refused, not now, or nobody knows."""

from __future__ import annotations

import re
from typing import Any, Final, NoReturn

from tertulia.server.outgoing import Answer

from ..base import Accepted, ChannelMessage, NotNow, Refused, Unsure
from . import paths
from .asking import segments_of
from .calling import MENDED_AFTER_S, document_in, is_broken, passes, retry_after
from .settings import HttpSmsSettings
from .vocabulary import UNKNOWN_ERROR

MOST_HANDLES: Final = 32
HANDLE_CHARS: Final = 200
MOST_SEGMENTS: Final = 255
_NUMBER: Final = re.compile(r"[0-9]{1,6}", re.ASCII)
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z_.-]{1,39}", re.ASCII)


def outcome(answer: Answer | None, message: ChannelMessage, settings: HttpSmsSettings, name: str) -> Accepted:
    """What the provider calls the message it has taken. Raises ``Refused``, ``NotNow``, ``Unsure``."""
    if answer is None:
        return Accepted(handles=(message.sid,) if settings.id_is_ours else (), segments=segments_of(message, settings))
    document = document_of(answer)
    if not 200 <= answer.status < 300:
        refuse(answer, document, settings, name)
    if settings.accepted_when and not paths.holds(document, settings.accepted_when):
        if document is None or answer.is_truncated:
            raise Unsure(f"{name} answers what nobody can read")
        _refuse_with(paths.code(document, settings.code_path), answer, settings, name)
    said = paths.text(document, settings.segments_path or None) or ""
    is_number = said.isascii() and said.isdecimal() and len(said) < 4
    count = int(said) if is_number else 0
    return Accepted(
        handles=_handles(document, message, settings),
        segments=count if 0 < count <= MOST_SEGMENTS else segments_of(message, settings),
    )


def refuse(answer: Answer, document: Any, settings: HttpSmsSettings, name: str) -> NoReturn:
    """What an answer comes to that is no success. Raises ``Refused`` or ``NotNow``."""
    code = paths.code(document, settings.code_path)
    if passes(answer.status):
        raise NotNow(f"{name} answers {answer.status}", retry_after(answer), is_broken=is_broken(answer.status))
    if answer.status < 400:
        raise NotNow(f"{name} answers {answer.status}: it is somewhere else", MENDED_AFTER_S, is_alarming=True)
    is_known = code is not None and (code in settings.codes or code in settings.retry_codes)
    if answer.status in settings.alarm_statuses and not is_known:
        raise NotNow(f"{name} answers {answer.status}", retry_after(answer) or MENDED_AFTER_S, is_alarming=True)
    _refuse_with(code, answer, settings, name)


def document_of(answer: Answer) -> Any:
    """JSON, or plain words as ``text``; None for what is cut off, or neither."""
    if answer.is_truncated:
        return None
    document = document_in(answer.body)
    if isinstance(document, dict | list):
        return document
    try:
        words = answer.body.decode().strip()
    except UnicodeDecodeError:
        return None
    return {"text": words} if words else None


def _refuse_with(code: str | None, answer: Answer, settings: HttpSmsSettings, name: str) -> NoReturn:
    # A short number or a name of the provider's own; what is longer, or has more, may be what was sent.
    is_name = code is not None and (_NUMBER.fullmatch(code) or _NAME.fullmatch(code))
    why = f"{name} answers {answer.status}" + (f" with error {code}" if is_name else "")
    if code is not None and code in settings.retry_codes:
        raise NotNow(why, retry_after(answer))
    raise Refused(settings.codes.get(code or "", UNKNOWN_ERROR), why)


def _handles(document: Any, message: ChannelMessage, settings: HttpSmsSettings) -> tuple[str, ...]:
    if settings.id_is_ours:
        return (message.sid,)
    if settings.id_after:
        _, mark, after = (paths.text(document, "text") or "").partition(settings.id_after)
        found = after.split()[:1] if mark else []
    else:
        found = paths.texts(document, settings.id_path) if settings.id_path else []
    return tuple(dict.fromkeys(one for one in found[:MOST_HANDLES] if 0 < len(one) <= HANDLE_CHARS))
