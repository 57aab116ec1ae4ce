"""Files of others that a template names: looked at before they are sent, as nobody has kept them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Final
from urllib.parse import unquote, urlsplit

from tertulia.server.channels.base import Capabilities, MessageMedia
from tertulia.server.domain.channel_rules import carries
from tertulia.server.domain.limits import FILENAME_CHARS
from tertulia.server.outgoing import Call, CallFailed, Outgoing

FETCH_S: Final = 10.0
MOST_BYTES: Final = 5 << 20
"""A larger one is not sent: it is in memory while it is."""


class ForeignMedia:
    """Asks once: who cannot be reached at the moment is named in words."""

    def __init__(self, outgoing: Outgoing) -> None:
        self._outgoing = outgoing

    async def files(
        self, urls: Sequence[str], account_sid: str, capabilities: Capabilities
    ) -> tuple[MessageMedia, ...] | None:
        """All of them; None where one cannot be had, or is none that the channel carries."""
        found: list[MessageMedia] = []
        for url in urls:
            media = await self._file(url, account_sid, capabilities)
            if media is None:
                return None
            found.append(media)
        return tuple(found)

    async def _file(self, url: str, account_sid: str, capabilities: Capabilities) -> MessageMedia | None:
        most = min(capabilities.media_bytes, MOST_BYTES)
        call = Call(method="GET", url=url, account_sid=account_sid, total_s=FETCH_S, answer_limit_bytes=most + 1)
        try:
            answer = await self._outgoing.call(call)
        except CallFailed:
            return None
        content, content_type = answer.body, (answer.header("content-type") or "").partition(";")[0].strip().lower()
        if answer.status != 200 or answer.is_truncated or not 0 < len(content) <= most:
            return None
        if not carries(capabilities, content_type, len(content)):
            return None

        async def read() -> AsyncIterator[bytes]:
            yield content

        return MessageMedia(url=url, content_type=content_type, size=len(content), filename=_filename(url), read=read)


def _filename(url: str) -> str | None:
    name = unquote(urlsplit(url).path.rpartition("/")[2])
    return name[-FILENAME_CHARS:] if name.isprintable() and name else None
