"""Files: sent with messages, and fetched when somebody wants them (client-commands 4.10).

They travel by plain HTTP beside the socket. What comes from a path or goes to one is never held whole in memory. The
client's token goes to the media service only, temporary URLs need none, and nothing is redirected.
"""

from __future__ import annotations

import asyncio
import contextlib
import mimetypes
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

import msgspec

from .errors import (
    InvalidArgumentError,
    MediaError,
    MediaTooLargeError,
    MediaUploadError,
    MediaUrlError,
    TokenError,
)

if TYPE_CHECKING:
    import httpx

    from .session import Session

Progress = Callable[[int, int | None], None]
"""Told how many bytes have gone out, of how many (None when that is not known)."""

AT_ONCE: Final = 3
CHUNK: Final = 65_536
MAX_IN_MEMORY: Final = 64 * 1_048_576
"""What ``Media.download()`` gives as bytes at most; larger files go to a path, or come as a stream."""
PAUSES_S: Final = (1.0, 2.0)
PASSING: Final = frozenset((429, 502, 503, 504))
_MB: Final = 1_048_576


class FileToSend(msgspec.Struct, frozen=True):
    """A file for a message: bytes, or the path of a file. Printed, it shows neither its name nor what is in it."""

    content: bytes | Path
    content_type: str | None = None
    """Told by the name when not given; else ``application/octet-stream``."""
    filename: str | None = None
    """The path's when not given."""
    progress: Progress | None = None

    def __repr__(self) -> str:
        return f"<FileToSend {self.type}>"

    @property
    def name(self) -> str | None:
        """What the file is called."""
        if self.filename is not None:
            return self.filename
        return self.content.name if isinstance(self.content, Path) else None

    @property
    def type(self) -> str:
        """What it is."""
        if self.content_type is not None:
            return self.content_type
        return mimetypes.guess_type(self.name or "")[0] or "application/octet-stream"

    def size(self) -> int:
        """In bytes. Raises ``InvalidArgumentError`` for a path that cannot be read."""
        if isinstance(self.content, bytes):
            return len(self.content)
        try:
            return self.content.stat().st_size
        except OSError as error:
            raise InvalidArgumentError(f"the file cannot be read: {error.strerror}") from None


class Media:
    """A file of a message (object-model A.8)."""

    __slots__ = ("_service", "category", "content_type", "filename", "sid", "size")

    def __init__(
        self, service: MediaService, sid: str, filename: str | None, content_type: str, size: int, category: str
    ) -> None:
        self._service = service
        self.sid = sid
        self.filename = filename
        self.content_type = content_type
        self.size = size
        """In bytes."""
        self.category = category
        """``media``, or ``body`` and ``history`` of an e-mail."""

    def __repr__(self) -> str:
        return f"<Media {self.sid} {self.content_type} {self.size}>"

    async def temporary_url(self) -> str:
        """A URL that gives the file to whoever has it, for some minutes; a fresh one each time."""
        return await self._service.temporary_url(self.sid)

    def stream(self) -> AsyncIterator[bytes]:
        """The file, piece by piece. Raises ``MediaUrlError``."""
        return self._service.stream(self.sid)

    async def download(self, to: str | os.PathLike[str] | None = None) -> bytes:
        """The file as bytes, or written to a path, where it appears when it is whole (the bytes are then empty).

        Raises ``MediaUrlError``, and ``MediaTooLargeError`` for bytes beyond 64 MiB.
        """
        return await self._service.download(self, to)


class _Links(msgspec.Struct):
    content_direct_temporary: str | None = None


class _Record(msgspec.Struct):
    sid: str
    links: _Links = msgspec.field(default_factory=_Links)


class _SetElement(msgspec.Struct):
    code: int
    media_record: _Record


class MediaService:
    """The files of one client."""

    def __init__(self, session: Session, token: Callable[[], str | None]) -> None:
        self._session = session
        self._token = token
        self._http: httpx.AsyncClient | None = None
        self._places = asyncio.Semaphore(AT_ONCE)

    # --- sending

    async def upload_all(self, parts: Sequence[tuple[FileToSend, str]]) -> Sequence[str]:
        """The SIDs of files and their categories, in this order; a few are on their way at a time.

        When one fails the others are given up. Raises ``MediaTooLargeError`` before anything is sent,
        ``MediaUploadError``.
        """
        self._check(parts)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._upload(file, category)) for file, category in parts]
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None
        return [task.result() for task in tasks]

    async def upload(self, file: FileToSend, category: str = "media") -> str:
        """The SID of an uploaded file. It goes with the first message that names it; without one, soon away."""
        [sid] = await self.upload_all([(file, category)])
        return sid

    def _check(self, parts: Sequence[tuple[FileToSend, str]]) -> None:
        options = self._session.configuration.options
        largest = options.media_attachment_size_limit_in_mb * _MB
        total = 0
        for file, _ in parts:
            size = file.size()
            total += size
            if not size:
                raise InvalidArgumentError("an empty file cannot be sent")
            if size > largest:
                raise MediaTooLargeError(f"a file of {size} bytes; {largest} are allowed")
        if total > options.media_attachments_total_size_limit_in_mb * _MB:
            allowed = options.media_attachments_total_size_limit_in_mb * _MB
            raise MediaTooLargeError(f"files of {total} bytes together; {allowed} are allowed in a message")

    async def _upload(self, file: FileToSend, category: str) -> str:
        import httpx

        async with self._places:
            size = file.size()
            params = {"Category": category} | ({"Filename": file.name} if file.name else {})
            url = f"{self._session.configuration.links.media_service}?{urlencode(params)}"
            headers = {**self._credentials(), "Content-Type": file.type, "Content-Length": str(size)}
            try:
                answer = await self._client().post(url, content=_pieces(file, size), headers=headers)
            except (httpx.HTTPError, OSError) as error:
                raise MediaUploadError(f"the upload failed ({type(error).__name__})") from None
            if answer.status_code >= 400:
                code, message = _said(answer)
                raise MediaUploadError(message, status=answer.status_code, code=code)
            try:
                return msgspec.json.decode(answer.content, type=_Record).sid
            except ValueError:
                raise MediaUploadError("the answer to the upload cannot be read") from None

    # --- fetching

    async def temporary_url(self, sid: str) -> str:
        """Raises ``MediaUrlError``."""
        answer = await self._get(f"{self._session.configuration.links.media_service}/{sid}", self._credentials())
        try:
            url = msgspec.json.decode(answer.content, type=_Record).links.content_direct_temporary
        except ValueError:
            url = None
        if url is None:
            raise MediaUrlError(f"no URL for {sid} came")
        return url

    async def temporary_urls(self, sids: Sequence[str]) -> dict[str, str]:
        """A URL for each file, by SID. Raises ``MediaUrlError``, naming the file that cannot be had."""
        if not sids:
            raise InvalidArgumentError("name one file at least")
        links = self._session.configuration.links
        url = links.media_set_service or f"{links.media_service}Set"
        wanted = msgspec.json.encode({"command": "get", "list": [{"media_sid": sid} for sid in dict.fromkeys(sids)]})
        headers = {**self._credentials(), "Content-Type": "application/json"}
        answer = await self._request("POST", url, headers, wanted)
        try:
            elements = msgspec.json.decode(answer.content, type=list[_SetElement])
        except ValueError:
            raise MediaUrlError("the answer cannot be read") from None
        found: dict[str, str] = {}
        for element in elements:
            given = element.media_record.links.content_direct_temporary
            if element.code != 200 or given is None:
                raise MediaUrlError(f"{element.media_record.sid} cannot be had ({element.code})")
            found[element.media_record.sid] = given
        return found

    async def stream(self, sid: str) -> AsyncIterator[bytes]:
        """Raises ``MediaUrlError``."""
        import httpx

        url = await self.temporary_url(sid)
        try:
            async with self._client().stream("GET", url) as answer:
                if answer.status_code != 200:
                    raise MediaUrlError(f"{sid} cannot be had ({answer.status_code})")
                async for piece in answer.aiter_bytes(CHUNK):
                    yield piece
        except httpx.HTTPError as error:
            raise MediaUrlError(f"{sid} did not come whole ({type(error).__name__})") from None

    async def download(self, media: Media, to: str | os.PathLike[str] | None) -> bytes:
        if to is None:
            if media.size > MAX_IN_MEMORY:
                raise MediaTooLargeError(f"{media.size} bytes; give a path, or use stream()")
            content = bytearray()
            async for piece in self.stream(media.sid):
                content += piece
                if len(content) > MAX_IN_MEMORY:
                    raise MediaTooLargeError(f"more than {MAX_IN_MEMORY} bytes; give a path, or use stream()")
            return bytes(content)
        path = Path(to)
        handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                async for piece in self.stream(media.sid):
                    file.write(piece)
            os.replace(draft, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(draft)
            raise
        return b""

    async def fetch(self, url: str, limit: int) -> bytes:
        """What a temporary URL gives, if it is not more than that. Raises ``MediaUrlError``."""
        answer = await self._get(url, {})
        if len(answer.content) > limit:
            raise MediaUrlError(f"more than {limit} bytes")
        return answer.content

    async def close(self) -> None:
        """No connection is left."""
        http, self._http = self._http, None
        if http is not None:
            await http.aclose()

    async def _get(self, url: str, headers: Mapping[str, str]) -> httpx.Response:
        return await self._request("GET", url, headers)

    async def _request(self, method: str, url: str, headers: Mapping[str, str], body: bytes = b"") -> httpx.Response:
        import httpx

        for pause in (*PAUSES_S, None):
            try:
                answer = await self._client().request(method, url, headers=headers, content=body)
            except httpx.HTTPError as error:
                if pause is None:
                    raise MediaUrlError(f"the media service cannot be reached ({type(error).__name__})") from None
            else:
                if answer.status_code < 400:
                    return answer
                if answer.status_code not in PASSING or pause is None:
                    raise MediaUrlError(f"{_said(answer)[1]} ({answer.status_code})")
            await asyncio.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    def _credentials(self) -> dict[str, str]:
        token = self._token()
        if token is None:
            raise TokenError("there is no token")
        return {"X-Twilio-Token": token}

    def _client(self) -> httpx.AsyncClient:
        self._session.configuration  # noqa: B018 (raises after the end)
        if self._http is None:
            import httpx

            # Files may take long; a server that says nothing for half a minute may not.
            self._http = httpx.AsyncClient(
                timeout=httpx.Timeout(30.0),
                follow_redirects=False,
                trust_env=False,
                verify=self._session.config.ssl or True,
                limits=httpx.Limits(max_connections=2 * AT_ONCE, max_keepalive_connections=AT_ONCE),
            )
        return self._http


async def _pieces(file: FileToSend, size: int) -> AsyncIterator[bytes]:
    sent = 0
    with contextlib.ExitStack() as stack:
        source: Any = None
        if isinstance(file.content, Path):
            try:
                source = stack.enter_context(file.content.open("rb"))
            except OSError as error:
                raise InvalidArgumentError(f"the file cannot be read: {error.strerror}") from None
        while sent < size:
            want = min(CHUNK, size - sent)
            piece = source.read(want) if source is not None else file.content[sent : sent + want]  # type: ignore[index]
            if not piece:
                raise MediaUploadError("the file became shorter while it was sent")
            yield piece
            sent += len(piece)
            if file.progress is not None:
                file.progress(sent, size)


def _said(answer: httpx.Response) -> tuple[int | None, str]:
    """Code and message of a refusal."""
    try:
        body = msgspec.json.decode(answer.content)
    except ValueError:
        body = None
    told: dict[str, Any] = body if isinstance(body, dict) else {}
    code, message = told.get("code"), told.get("message")
    return (code if isinstance(code, int) else None), (message if isinstance(message, str) else "refused")


__all__ = ["FileToSend", "Media", "MediaError", "MediaService", "Progress"]
