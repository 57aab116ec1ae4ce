"""Files: which kind of message each makes, how one is sent to the API, and how one is fetched from it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from pathlib import PurePosixPath
from typing import Final, NoReturn
from urllib.parse import urlsplit

import msgspec

from tertulia.server.outgoing import Answer

from ..base import MessageMedia, NotNow, Refused
from .client import UPLOAD_S, Graph
from .codes import MEDIA_FETCH

PIECE_BYTES: Final = 64 << 10
AT_ONCE: Final = 4
"""Files of one gateway that are in memory at a time, each way."""
FETCH_S: Final = 25.0
WAIT_S: Final = 3.0
"""For others that are on their way, and for the bytes themselves."""
TOO_LARGE: Final = 50512
OCTETS: Final = "application/octet-stream"

TYPES: Final = {
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "gif": "image/gif",
    "webp": "image/webp",
    "mp4": "video/mp4",
    "3gp": "video/3gpp",
    "mov": "video/quicktime",
    "mp3": "audio/mpeg",
    "m4a": "audio/mp4",
    "aac": "audio/aac",
    "amr": "audio/amr",
    "ogg": "audio/ogg",
    "wav": "audio/wav",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "zip": "application/zip",
}
"""By the ending of a name, where nothing else tells."""


class Uploaded(msgspec.Struct, frozen=True):
    id: str


class _Found(msgspec.Struct, frozen=True):
    url: str
    file_size: int | None = None


class Files:
    """The files of one gateway, a few at a time."""

    def __init__(self, graph: Graph, limit_bytes: int) -> None:
        self._graph = graph
        self._limit_bytes = limit_bytes
        self._going = asyncio.Semaphore(AT_ONCE)
        self._coming = asyncio.Semaphore(AT_ONCE)

    async def upload(self, path: tuple[str, ...], media: MessageMedia) -> str:
        """What the API calls the file from now on, for 30 days. Raises ``Refused`` and ``NotNow``."""
        try:
            async with asyncio.timeout(UPLOAD_S + WAIT_S), self._going:
                return await self._upload(path, media)
        except TimeoutError:
            raise NotNow("the file could not be sent in time; others may be on their way") from None

    async def _upload(self, path: tuple[str, ...], media: MessageMedia) -> str:
        content = await self._bytes(media)
        content_type = media.content_type.partition(";")[0].strip()
        form, boundary = multipart(
            {"messaging_product": "whatsapp", "type": content_type},
            media.filename or f"file.{ending_of(content_type)}",
            content_type,
            content,
        )
        uploaded = await self._graph.upload(path, form, f"multipart/form-data; boundary={boundary}", Uploaded)
        return uploaded.id

    async def by_id(self, name: str) -> AsyncIterator[bytes]:
        """The bytes of a file that has a name: the API says where it is for the next minutes, and wants the token."""
        async with self._coming:
            found = await self._graph.get((name,), _Found, missing=MEDIA_FETCH)
            if found.file_size is not None and found.file_size > self._limit_bytes:
                raise Refused(TOO_LARGE, "the file is larger than may be taken")
            content = await self._content(found.url, has_token=True)
        for start in range(0, len(content), PIECE_BYTES):
            yield content[start : start + PIECE_BYTES]

    async def by_url(self, url: str) -> AsyncIterator[bytes]:
        """The bytes at a URL that is good by itself."""
        async with self._coming:
            content = await self._content(url, has_token=False)
        for start in range(0, len(content), PIECE_BYTES):
            yield content[start : start + PIECE_BYTES]

    async def _content(self, url: str, *, has_token: bool) -> bytes:
        answer = await self._graph.download(url, self._limit_bytes + 1, FETCH_S, has_token=has_token)
        if answer.status != 200:
            _unfetched(answer)
        if answer.is_truncated or len(answer.body) > self._limit_bytes:
            raise Refused(TOO_LARGE, "the file is larger than may be taken")
        return answer.body

    async def _bytes(self, media: MessageMedia) -> bytes:
        content = bytearray()
        async for piece in media.read():
            content += piece
            if len(content) > self._limit_bytes:
                raise Refused(TOO_LARGE, "the file is larger than may be sent")
        return bytes(content)


def multipart(fields: dict[str, str], filename: str, content_type: str, content: bytes) -> tuple[bytes, str]:
    """A form with one file (RFC 7578), and the boundary of its parts."""
    boundary = secrets.token_hex(16)
    safe = "".join("_" if char in '"\\' or not char.isprintable() else char for char in filename)
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{safe}"\r\n'
        f"Content-Type: {content_type}\r\n\r\n"
    )
    return b"".join((*parts, head.encode("utf-8", "replace"), content, f"\r\n--{boundary}--\r\n".encode())), boundary


def type_at(url: str, otherwise: str = OCTETS) -> str:
    """The content type that the ending of a URL's path tells."""
    try:
        ending = PurePosixPath(urlsplit(url).path).suffix
    except ValueError:
        return otherwise
    return TYPES.get(ending[1:].lower(), otherwise)


def ending_of(content_type: str) -> str:
    return next((ending for ending, known in TYPES.items() if known == content_type), "bin")


def _unfetched(answer: Answer) -> NoReturn:
    if answer.status == 429 or answer.status >= 500:
        raise NotNow(f"its file is answered with {answer.status}")
    raise Refused(MEDIA_FETCH, f"its file is answered with {answer.status}")
