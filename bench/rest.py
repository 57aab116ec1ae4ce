"""Account requests over a few kept connections, pipelined: to set scenes up quickly, and to read history."""

from __future__ import annotations

import asyncio
import re
from base64 import b64encode
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any, cast
from urllib.parse import urlencode

import msgspec

from .server import ACCOUNT_SID, AUTH_TOKEN, Server

_CREDENTIALS = b64encode(f"{ACCOUNT_SID}:{AUTH_TOKEN}".encode()).decode()
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_ANSWER_S = 30.0


class RequestFailed(Exception):
    """The server refused what a scenario needs."""


class Answer(msgspec.Struct, frozen=True):
    status: int
    body: bytes


class Keeping(asyncio.Protocol):
    """One kept connection; requests may be written before earlier ones are answered."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[Answer]] = deque()
        self._buffer = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        for future in self._waiting:
            if not future.done():
                future.set_exception(ConnectionResetError("the server closed a connection with requests on it"))

    def ask(self, request: bytes) -> asyncio.Future[Answer]:
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        self._transport.write(request)
        return future

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data if self._buffer else data
        while (head_end := buffer.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(buffer, 0, head_end + 2)
            end = head_end + 4 + (int(length[1]) if length else 0)
            if len(buffer) < end:
                break
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(Answer(int(buffer[9:12]), buffer[head_end + 4 : end]))
            buffer = buffer[end:]
        self._buffer = buffer

    def close(self) -> None:
        self._transport.close()


class Rest:
    """The account's API."""

    def __init__(self, server: Server, connections: list[Keeping]) -> None:
        self._host = server.url.removeprefix("http://")
        self.connections = connections
        self._next = 0

    @classmethod
    async def connect(cls, server: Server, count: int = 8) -> Rest:
        loop = asyncio.get_running_loop()
        made = [await loop.create_connection(Keeping, *server.address) for _ in range(count)]
        return cls(server, [protocol for _, protocol in made])

    def close(self) -> None:
        for connection in self.connections:
            connection.close()

    def request(self, method: str, path: str, form: Mapping[str, str] | None = None) -> bytes:
        """The bytes of a request."""
        kind = "application/x-www-form-urlencoded"
        return self._request(
            method, path, f"Authorization: Basic {_CREDENTIALS}", kind, urlencode(form).encode() if form else b""
        )

    async def call(self, method: str, path: str, form: Mapping[str, str] | None = None) -> Any:
        """The answer's JSON. Raises ``RequestFailed`` unless it is a success."""
        body = await self._ask(f"{method} {path}", self.request(method, path, form))
        return msgspec.json.decode(body) if body else None

    async def register(self, token: str, kind: str, address: str) -> None:
        """A device of whom the token is for."""
        path, body = "/v1/registrations", {"channel_type": kind, "version": "2", "data": {"registration_id": address}}
        await self._ask(
            f"POST {path}",
            self._request("POST", path, f"X-Twilio-Token: {token}", "application/json", msgspec.json.encode(body)),
        )

    async def metrics(self) -> str:
        """What the server tells Prometheus."""
        return (await self._ask("GET /metrics", self.request("GET", "/metrics"))).decode()

    def _request(self, method: str, path: str, proof: str, kind: str, body: bytes) -> bytes:
        head = f"{method} {path} HTTP/1.1\r\nHost: {self._host}\r\n{proof}\r\n"
        if body:
            head += f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
        return head.encode() + b"\r\n" + body

    async def _ask(self, what: str, request: bytes) -> bytes:
        self._next += 1
        connection = self.connections[self._next % len(self.connections)]
        answer = await asyncio.wait_for(connection.ask(request), _ANSWER_S)
        if not 200 <= answer.status < 300:
            raise RequestFailed(f"{what}: {answer.status} {answer.body.decode(errors='replace')}")
        return answer.body

    async def conversation(self, name: str) -> str:
        """The SID of a new conversation."""
        made = await self.call("POST", "/v1/Conversations", {"FriendlyName": name})
        return str(made["sid"])

    async def add(self, conversation: str, identities: Iterable[str]) -> None:
        """Make them participants, some at a time."""
        path = f"/v1/Conversations/{conversation}/Participants"
        await together([self.call("POST", path, {"Identity": identity}) for identity in identities])

    async def send(self, conversation: str, bodies: Iterable[str]) -> None:
        """Write messages, some at a time."""
        path = f"/v1/Conversations/{conversation}/Messages"
        await together([self.call("POST", path, {"Author": "system", "Body": body}) for body in bodies])


async def together(work: list[Any], at_once: int = 200) -> list[Any]:
    """The results, with a bounded number under way."""
    turns = asyncio.Semaphore(at_once)

    async def one(each: Any) -> Any:
        async with turns:
            return await each

    return await asyncio.gather(*(one(each) for each in work))
