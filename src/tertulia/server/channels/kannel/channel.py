"""The channel: an HTTP API of plain words, whose callbacks are in whatever alphabet a message came in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote_to_bytes, urlsplit

import msgspec

from tertulia.server.domain.addresses import SMS
from tertulia.wire.requests import Request

from ..base import Adapter, Heard, Surroundings
from ..http_sms.channel import HttpChannel
from .settings import KannelSettings, described

NAME: Final = "Kannel"
_CODECS: Final[Mapping[str, str]] = {
    "utf-8": "utf-8",
    "utf-16be": "utf-16-be",
    "iso-10646-ucs-2": "utf-16-be",
    "ucs-2": "utf-16-be",
    "iso-8859-1": "latin-1",
    "latin1": "latin-1",
    "windows-1252": "cp1252",
    "us-ascii": "ascii",
}
_UCS2: Final = "2"


class KannelChannel(HttpChannel):
    """One ``sendsms-user``."""

    def __init__(self, settings: KannelSettings, surroundings: Surroundings) -> None:
        super().__init__(described(settings), surroundings, NAME)

    def hear(self, request: Request, url: str) -> Heard:
        text = _text_in(url, request.query)
        if text is not None:
            request = msgspec.structs.replace(request, query={**request.query, "text": [text]})
        return super().hear(request, url)


def _text_in(url: str, query: Mapping[str, list[str]]) -> str | None:
    """The words of a message, from the bytes that stand in the URL: ``charset`` and ``coding`` tell what they are."""
    said = (query.get("charset") or [""])[0].strip().lower()
    coding = (query.get("coding") or [""])[0]
    codec = _CODECS.get(said) or ("utf-16-be" if coding == _UCS2 and not said else "utf-8")
    for pair in urlsplit(url).query.split("&"):
        name, _, value = pair.partition("=")
        if name == "text":
            raw = unquote_to_bytes(value.replace("+", " "))
            return raw.decode(codec, "replace")
    return None


ADAPTER: Final = Adapter(name="kannel", kinds=frozenset({SMS}), settings=KannelSettings, open=KannelChannel)
