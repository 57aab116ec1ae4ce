"""Files that came with messages: fetched from where their provider keeps them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Final
from urllib.parse import urljoin, urlsplit

from tertulia.server.outgoing import Answer, Call, CallFailed

from ..base import Ask, NotNow, Refused
from .calling import NEVER_CALLED, passes, retry_after, unreached
from .vocabulary import FILE_TOO_LARGE, MEDIA_FETCH

PIECE_BYTES: Final = 64 << 10
AT_ONCE: Final = 4
"""Files of one gateway that are in memory at a time."""
FETCH_S: Final = 25.0
SILENCE_S: Final = 10.0
MOST_REDIRECTS: Final = 3
Headers = tuple[tuple[str, str], ...]
_REDIRECTS: Final = (301, 302, 303, 307, 308)


class Files:
    """The files of one gateway, a few at a time.

    ``headers`` prove who we are; they go to the origin of ``api`` alone, and not where that sends us. What is not
    https is fetched only where the API itself is plain, in a laboratory.
    """

    def __init__(self, ask: Ask, api: str, headers: Callable[[], Headers], limit_bytes: int, name: str) -> None:
        self._ask = ask
        self._origin = _origin(api)
        self._headers = headers
        self._limit_bytes = limit_bytes
        self._name = name
        self._coming = asyncio.Semaphore(AT_ONCE)

    async def fetch(self, reference: str | None) -> AsyncIterator[bytes]:
        """The bytes. Raises ``Refused`` and ``NotNow``."""
        if reference is None:
            raise Refused(MEDIA_FETCH, "nothing says where the file is")
        async with self._coming:
            content = await self._content(reference)
        for start in range(0, len(content), PIECE_BYTES):
            yield content[start : start + PIECE_BYTES]

    async def _content(self, url: str) -> bytes:
        try:
            async with asyncio.timeout(FETCH_S):
                answer = await self._followed(url)
        except TimeoutError:
            raise NotNow(f"a file of {self._name}'s does not come") from None
        if answer.is_truncated or len(answer.body) > self._limit_bytes:
            raise Refused(FILE_TOO_LARGE, "the file is larger than may be taken")
        return answer.body

    async def _followed(self, url: str) -> Answer:
        for hop in range(MOST_REDIRECTS + 1):
            # Where a redirect leads to has a proof of its own in the URL, and wants no other.
            answer = await self._answer(url, self._headers() if not hop and _origin(url) == self._origin else ())
            if answer.status == 200:
                return answer
            if answer.status not in _REDIRECTS:
                why = f"a file of {self._name}'s is answered with {answer.status}"
                if passes(answer.status):
                    raise NotNow(why, retry_after(answer))
                raise Refused(MEDIA_FETCH, why)
            try:
                url = urljoin(url, answer.header("location") or "")
            except ValueError:
                break
        raise Refused(MEDIA_FETCH, f"a file of {self._name}'s is nowhere to be found")

    async def _answer(self, url: str, headers: Headers) -> Answer:
        origin = _origin(url)
        if origin is None or not (origin.startswith("https:") or (self._origin or "").startswith("http:")):
            raise Refused(MEDIA_FETCH, f"{self._name} names a URL that is not https")
        call = Call(
            method="GET",
            url=url,
            headers=headers,
            read_s=SILENCE_S,
            total_s=FETCH_S,
            answer_limit_bytes=self._limit_bytes + 1,
        )
        try:
            return await self._ask(call)
        except CallFailed as failed:
            if failed.kind in NEVER_CALLED:
                raise Refused(MEDIA_FETCH, f"{self._name} names a URL that is never called") from None
            raise unreached(failed, self._name) from None


def _origin(url: str) -> str | None:
    """Scheme, host and port; None for what has none of them, or has credentials of its own."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        return None
    return f"{parts.scheme}://{parts.hostname}:{port}"
