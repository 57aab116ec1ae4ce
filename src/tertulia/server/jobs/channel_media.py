"""Files on their way to a channel: where its gateway fetches them, and their bytes for one that is sent them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from tertulia.server.channels.base import MessageMedia, NotNow, Refused
from tertulia.server.domain.channel_messages import MEDIA_FETCH
from tertulia.server.domain.errors import TertuliaError
from tertulia.server.domain.media import Media
from tertulia.server.engine.media_store import MediaStore

HTML_BYTES: Final = 1 << 20
"""Of the body of an e-mail that is a file."""


class ChannelMedia:
    """``base_url`` is where gateways reach this server; the URLs are good for ``seconds``."""

    def __init__(self, store: MediaStore, base_url: str, seconds: int) -> None:
        self._store = store
        self._base_url = base_url.rstrip("/")
        self._seconds = seconds

    def url(self, media: Media) -> str:
        """Where whoever has it may fetch the file for some hours."""
        query = self._store.links.query(media, self._seconds)
        return f"{self._base_url}/v1/Services/{media.service_sid}/Media/{media.sid}/Content?{query}"

    def given(self, media: Media) -> MessageMedia:
        """The file as a channel is given it."""
        return MessageMedia(
            url=self.url(media),
            content_type=media.content_type,
            size=media.size,
            filename=media.filename,
            read=lambda: self._bytes(media),
        )

    async def text(self, media: Media) -> str:
        """What a file says that is text, its first megabyte. Raises ``Refused`` and ``NotNow`` as a channel does."""
        pieces = [piece async for piece in self._bytes(media, min(media.size, HTML_BYTES))]
        return b"".join(pieces).decode(errors="replace")

    async def _bytes(self, media: Media, length: int | None = None) -> AsyncIterator[bytes]:
        try:
            async with self._store.content(media, 0, media.size if length is None else length) as pieces:
                async for piece in pieces:
                    yield piece
        except TertuliaError as trouble:
            if trouble.status >= 500:
                raise NotNow("the store of files is out of reach") from trouble
            raise Refused(MEDIA_FETCH, "the bytes of the file are gone") from trouble
