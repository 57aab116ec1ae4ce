"""A provider with an HTTP API, on loopback: remembers what it is asked, and answers as it is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qsl

from aiohttp import ClientSession, web


class Answered(NamedTuple):
    """An answer."""

    status: int
    body: Any = None
    """JSON, or words; nothing for None."""
    headers: Mapping[str, str] = {}


STALLED = Answered(0)
"""No answer at all."""
DROPPED = Answered(-1)
"""The connection ends instead."""
CUT_OFF = Answered(-2)
"""The connection ends within an answer of 200."""


class Asked(NamedTuple):
    """A request as it came."""

    method: str
    path: str
    """Without query."""
    query: list[tuple[str, str]]
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def form(self) -> list[tuple[str, str]]:
        return parse_qsl(self.body.decode(), keep_blank_values=True, strict_parsing=True)


class HttpProvider:
    """``async with HttpProvider() as provider``: listens at ``provider.url`` until the end of the block.

    What is particular to one provider is in ``judged`` of those made of it.
    """

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[Asked] = []
        self._script: list[Answered] = []
        self._came = asyncio.Condition()
        self._ended = asyncio.Event()
        application = web.Application(client_max_size=1 << 24)
        application.router.add_route("*", "/{path:.*}", self._take)
        self._runner = web.AppRunner(application, shutdown_timeout=1.0)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        await self._runner.cleanup()

    def answer_with(self, *answers: Answered) -> None:
        """What the next requests are answered, one each; after them as usual."""
        self._script = list(answers)

    async def has_been_asked(self, times: int) -> None:
        """Until so many requests have come."""
        async with self._came:
            await self._came.wait_for(lambda: len(self.asked) >= times)

    async def judged(self, asked: Asked) -> Answered:
        """The usual answer."""
        return Answered(200, {"id": f"m{len(self.asked)}"})

    async def call(
        self, url: str, body: bytes = b"", headers: Mapping[str, str] | None = None, method: str = "POST"
    ) -> int:
        """Calls somebody; the status it is answered with."""
        async with ClientSession() as session, session.request(method, url, data=body, headers=headers) as answer:
            return answer.status

    async def _take(self, request: web.Request) -> web.StreamResponse:
        asked = Asked(request.method, request.path, list(request.query.items()), request.headers, await request.read())
        self.asked.append(asked)
        answer = self._script.pop(0) if self._script else await self.judged(asked)
        async with self._came:
            self._came.notify_all()
        if answer == STALLED:
            await self._ended.wait()
        if answer in (DROPPED, CUT_OFF):
            return await self._broken_off(request, is_begun=answer == CUT_OFF)
        words = b"" if answer.body is None else answer.body
        if isinstance(words, str):
            words = words.encode()
        if isinstance(words, bytes):
            return web.Response(status=answer.status, body=words, headers=answer.headers)
        return web.json_response(words, status=answer.status, headers=answer.headers)

    async def _broken_off(self, request: web.Request, *, is_begun: bool) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        if is_begun:
            await response.prepare(request)
            await response.write(b'{"id"')
        assert request.transport is not None
        request.transport.close()
        return response
