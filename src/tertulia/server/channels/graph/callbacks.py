"""Requests that come from Meta: they are signed with the application's secret, or know the word we chose."""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Final, TypeVar

import msgspec

from tertulia.wire.requests import Reply, Request

from ..base import Forged, Unreadable

_T = TypeVar("_T", bound=msgspec.Struct)

SIGNATURE: Final = "x-hub-signature-256"
OLDEST_US: Final = 7 * 24 * 3600 * 1_000_000
"""Meta comes again for so long; what is older was recorded by somebody, and is played back after we forgot it."""

_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_.-]{1,256}", re.ASCII)
_PREFIX: Final = "sha256="


class Posted(msgspec.Struct, frozen=True):
    """One request, its parts unread."""

    object: str = ""
    entry: tuple[msgspec.Raw, ...] = ()


_HALF: Final = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\.", re.DOTALL
)
"""A character that is written as two, half of one, anything else that is escaped."""


def signature_of(body: bytes, app_secret: str) -> str:
    """What Meta writes beside a body."""
    return _PREFIX + hmac.new(app_secret.encode(), body, hashlib.sha256).hexdigest()


def challenge(request: Request, verify_token: str) -> Reply:
    """The answer to Meta asking whether this URL is ours; raises ``Forged`` for one who does not know the word."""
    asked = {name: values[0] for name, values in request.query.items() if values}
    said = asked.get("hub.verify_token", "")
    if asked.get("hub.mode") != "subscribe" or not hmac.compare_digest(
        said.encode("utf-8", "surrogatepass"), verify_token.encode()
    ):
        raise Forged("the verify token is another")
    text = asked.get("hub.challenge", "")
    if not _CHALLENGE.fullmatch(text):
        raise Unreadable("the challenge is none")
    return Reply(200, text.encode(), (("content-type", "text/plain"), ("x-content-type-options", "nosniff")))


def entries(request: Request, app_secret: str, subject: str) -> tuple[msgspec.Raw, ...]:
    """What a signed request tells of this kind of object, each still to be read. Raises ``Forged``, ``Unreadable``."""
    given = request.headers.get(SIGNATURE, "")
    if not hmac.compare_digest(given.encode("utf-8", "surrogatepass"), signature_of(request.body, app_secret).encode()):
        raise Forged("the signature is another" if given else "there is no signature")
    posted = read(request.body, Posted) or read(_HALF.sub(_mended, request.body), Posted)
    if posted is None:
        raise Unreadable("the body is no update")
    return posted.entry if posted.object == subject else ()


def is_recent(at_us: int, now_us: int) -> bool:
    """Whether something that happened then can still be told for the first time."""
    return now_us - at_us < OLDEST_US


def _mended(found: re.Match[bytes]) -> bytes:
    """Half a character is what is left where a text was cut in the middle of one: no JSON, but no reason either to
    hold up a whole request for a week."""
    return rb"\ufffd" if found[1] else found[0]


def read(raw: msgspec.Raw | bytes, kind: type[_T]) -> _T | None:
    """The part as what it should be; None where it is not."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
