"""Files: sent with messages, and fetched when somebody wants them (client-commands 4.10).

They travel by plain HTTP beside the socket. What comes from a path, a file object or a stream, and what goes to a path,
is never held whole in memory. The client's token goes to the media service only, temporary URLs need none, and nothing
is redirected.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

import msgspec

from . import arguments
from .arriving import arriving
from .bodies import pieces_of, whole
from .decoding import decoded
from .errors import (
    InvalidArgumentError,
    MediaError,
    MediaTooLargeError,
    MediaUploadError,
    MediaUrlError,
    TokenError,
)
from .files import FileToSend, Progress, pieces
from .urls import segment

if TYPE_CHECKING:
    import httpx

    from .session import Session

AT_ONCE: Final = 3
MAX_IN_MEMORY: Final = 64 * 1_048_576
"""What ``Media.download()`` gives as bytes at most; larger files go to a path, or come as a stream."""
PAUSES_S: Final = (1.0, 2.0)
PASSING: Final = frozenset((429, 502, 503, 504))
LONGEST_PAUSE_S: Final = 30.0
"""However long the server wants to be left alone."""
IN_A_SET: Final = 100
"""Of how many files the server gives URLs in one answer."""
MAX_ANSWER: Final = 4 * 1_048_576
_MB: Final = 1_048_576


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
        """In bytes; 0 when that was not told."""
        self.category = category
        """``media``, or ``body`` and ``history`` of an e-mail."""

    def __repr__(self) -> str:
        return f"<Media {self.sid} {self.content_type} {self.size}>"

    async def temporary_url(self) -> str:
        """A URL that gives the file to whoever has it, for some minutes; a fresh one each time."""
        return await self._service.temporary_url(self.sid)

    def stream(self) -> AsyncIterator[bytes]:
        """The file, piece by piece. Raises ``MediaUrlError``, at its end also for one of another size than was told."""
        return self._service.stream(self)

    async def download(self, to: str | os.PathLike[str] | None = None) -> bytes:
        """The file as bytes, or written to a path, where it appears when it is whole (the bytes are then empty).

        A new file has the mode that the user's files have (``umask``); one that is replaced keeps its own. Raises
        ``InvalidArgumentError`` for a path that cannot be written to, ``MediaError`` when a disk fails later (it is
        full); ``MediaUrlError``, also for a file of another size than was told, or of which hardly anything comes for
        half a minute; ``MediaTooLargeError`` for bytes beyond 64 MiB.
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
        await self._check(parts)
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

    async def _check(self, parts: Sequence[tuple[FileToSend, str]]) -> None:
        options = self._session.configuration.options
        largest = options.media_attachment_size_limit_in_mb * _MB
        total = 0
        for file, _ in parts:
            size = await file.size()
            if not (file.type.isascii() and file.type.isprintable()):
                raise InvalidArgumentError("a content type has ASCII characters only")
            if size is None:
                continue
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
            size = await file.size()
            params = {"Category": category} | ({"Filename": file.name} if file.name else {})
            url = f"{self._session.configuration.links.media_service}?{urlencode(params)}"
            headers = {**self._credentials(url), "Content-Type": file.type}
            if size is not None:
                headers["Content-Length"] = str(size)
            largest = self._session.configuration.options.media_attachment_size_limit_in_mb * _MB
            content = pieces(file, size, largest)
            try:
                async with (
                    contextlib.aclosing(content),
                    self._client().stream("POST", url, content=content, headers=headers) as answer,
                ):
                    body = await whole(answer, MAX_ANSWER)
            except MediaUrlError as error:
                raise MediaUploadError(str(error)) from None
            except (httpx.HTTPError, httpx.InvalidURL, UnicodeError, OSError) as error:
                self._require_open()
                raise MediaUploadError(f"the upload failed ({type(error).__name__})") from None
            if answer.status_code >= 400:
                code, message = _said(body)
                raise MediaUploadError(message, status=answer.status_code, code=code)
            try:
                return decoded(body, _Record).sid
            except ValueError:
                raise MediaUploadError("the answer to the upload cannot be read") from None

    # --- fetching

    async def temporary_url(self, sid: str) -> str:
        """Raises ``MediaUrlError``."""
        url = f"{self._session.configuration.links.media_service}/{segment(sid)}"
        return self._url_of(await self._read("GET", url, self._credentials(url)), sid)

    async def temporary_urls(self, sids: Sequence[str]) -> dict[str, str]:
        """A URL for each file, by SID. Raises ``MediaUrlError``, naming the file that cannot be had."""
        if not sids:
            raise InvalidArgumentError("name one file at least")
        links = self._session.configuration.links
        url = links.media_set_service or f"{links.media_service}Set"
        wanted = list(dict.fromkeys(sids))
        found: dict[str, str] = {}
        for first in range(0, len(wanted), IN_A_SET):
            named = [{"media_sid": sid} for sid in wanted[first : first + IN_A_SET]]
            headers = {**self._credentials(url), "Content-Type": "application/json"}
            told = await self._read("POST", url, headers, msgspec.json.encode({"command": "get", "list": named}))
            try:
                elements = decoded(told, list[_SetElement])
            except ValueError:
                raise MediaUrlError("the answer cannot be read") from None
            for element in elements:
                given = element.media_record.links.content_direct_temporary
                if element.code != 200 or given is None:
                    raise MediaUrlError(f"{element.media_record.sid} cannot be had ({element.code})")
                found[element.media_record.sid] = given
        for sid in wanted:
            if sid not in found:
                raise MediaUrlError(f"no URL for {sid} came")
        return found

    async def stream(self, media: Media) -> AsyncIterator[bytes]:
        """Raises ``MediaUrlError``."""
        url = await self.temporary_url(media.sid)
        async with (
            self._asked("GET", url, what=media.sid) as answer,
            contextlib.aclosing(pieces_of(answer, media.size or None)) as pieces,
        ):
            async for piece in pieces:
                yield piece

    async def download(self, media: Media, to: str | os.PathLike[str] | None) -> bytes:
        if to is None:
            if media.size > MAX_IN_MEMORY:
                raise MediaTooLargeError(f"{media.size} bytes; give a path, or use stream()")
            content = bytearray()
            async for piece in self.stream(media):
                content += piece
                if len(content) > MAX_IN_MEMORY:
                    raise MediaTooLargeError(f"more than {MAX_IN_MEMORY} bytes; give a path, or use stream()")
            return bytes(content)
        async with arriving(arguments.path(to, "where a file goes")) as write:
            async for piece in self.stream(media):
                await write(piece)
        return b""

    async def fetch(self, url: str, limit: int) -> bytes:
        """What a temporary URL gives, if it is not more than that. Raises ``MediaUrlError``."""
        return await self._read("GET", url, {}, limit=limit)

    async def close(self) -> None:
        """No connection is left."""
        http, self._http = self._http, None
        if http is not None:
            await http.aclose()

    # --- asking

    async def _read(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes = b"", *, limit: int = MAX_ANSWER
    ) -> bytes:
        async with self._asked(method, url, headers, body) as answer:
            return await whole(answer, limit)

    @contextlib.asynccontextmanager
    async def _asked(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        *,
        what: str = "the answer",
    ) -> AsyncIterator[httpx.Response]:
        """An answer that is a success, before its body is read; asked for again where another moment may help."""
        import httpx

        try:
            answer = await self._answer(method, url, headers or {}, body)
            try:
                yield answer
            finally:
                await answer.aclose()
        except (httpx.HTTPError, httpx.StreamError) as error:
            self._require_open()
            raise MediaUrlError(f"{what} did not come whole ({type(error).__name__})") from None

    async def _answer(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> httpx.Response:
        import httpx

        for usual in (*PAUSES_S, None):
            pause = usual
            try:
                http = self._client()
                answer = await http.send(http.build_request(method, url, headers=headers, content=body), stream=True)
            except (httpx.InvalidURL, UnicodeError):
                raise MediaUrlError("the server gave a URL that is none") from None
            except httpx.HTTPError as error:
                self._require_open()
                if pause is None:
                    raise MediaUrlError(f"the media service cannot be reached ({type(error).__name__})") from None
            else:
                if answer.status_code == 200:
                    return answer
                try:
                    told = await whole(answer, MAX_ANSWER)
                finally:
                    await answer.aclose()
                if answer.status_code not in PASSING or pause is None:
                    raise MediaUrlError(f"{_said(told)[1]} ({answer.status_code})")
                pause = max(pause, _wanted_pause(answer))
            await asyncio.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    @staticmethod
    def _url_of(told: bytes, sid: str) -> str:
        try:
            url = decoded(told, _Record).links.content_direct_temporary
        except ValueError:
            url = None
        if url is None:
            raise MediaUrlError(f"no URL for {sid} came")
        return url

    def _require_open(self) -> None:
        """Raises ``ClientShutDownError`` when that is why something broke off."""
        self._session.configuration  # noqa: B018 (raises after the end)

    def _credentials(self, url: str) -> dict[str, str]:
        if self._session.base_url.startswith("https:") and not url.lower().startswith("https:"):
            raise MediaError("the server names a media service without TLS; the token is not sent there")
        token = self._token()
        if token is None:
            raise TokenError("there is no token")
        if not (token.isascii() and token.isprintable()):
            raise TokenError("the token has characters that no token has")
        return {"X-Twilio-Token": token}

    def _client(self) -> httpx.AsyncClient:
        self._require_open()
        if self._http is None:
            import httpx

            from .discreet import DiscreetTransport

            transport = DiscreetTransport(
                trust_env=False,
                verify=self._session.config.ssl or True,
                limits=httpx.Limits(max_connections=2 * AT_ONCE, max_keepalive_connections=AT_ONCE),
            )
            # Files may take long; a server that says nothing for half a minute may not.
            self._http = httpx.AsyncClient(
                transport=transport,
                timeout=httpx.Timeout(30.0),
                headers={"Accept-Encoding": "identity"},
                follow_redirects=False,
                trust_env=False,
            )
        return self._http


def _wanted_pause(answer: httpx.Response) -> float:
    """How long the server wants to be left alone, in seconds."""
    wanted = answer.headers.get("Retry-After", "")
    return min(float(wanted), LONGEST_PAUSE_S) if wanted.isascii() and wanted.isdigit() else 0.0


def _said(told: bytes) -> tuple[int | None, str]:
    """Code and message of a refusal."""
    try:
        body: Any = decoded(told, object)
    except ValueError:
        body = None
    known: dict[str, Any] = body if isinstance(body, dict) else {}
    code, message = known.get("code"), known.get("message")
    return (code if isinstance(code, int) else None), (message if isinstance(message, str) else "refused")


__all__ = ["FileToSend", "Media", "MediaError", "MediaService", "Progress"]
