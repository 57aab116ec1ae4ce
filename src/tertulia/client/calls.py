"""Requests with typed answers: what is repeated, what is remembered for a moment, what an error becomes."""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeVar

import msgspec

from tertulia.wire.requests import Reply, phrase

from .attributes import json_of
from .config import ClientConfig
from .connection import ClientRequest, Connection
from .decoding import decoded
from .errors import (
    ApiError,
    CommandTimeoutError,
    ConnectionLostError,
    InvalidArgumentError,
    NotConnectedError,
    ServerError,
    ThrottledError,
    TransportError,
    api_error,
)
from .recent import Question, RecentAnswers
from .urls import base_url, is_text

T = TypeVar("T")

JSON: Final = "application/json; charset=utf-8"
FORM: Final = "application/x-www-form-urlencoded"
MUTATION_ID: Final = "X-Twilio-Mutation-Id"
UNDECIDED: Final = frozenset((502, 503, 504))
"""Answers that another moment may change, and that leave open whether a change was made."""
PASSING: Final = UNDECIDED | {429}
FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 8.0
LONGEST_RETRY_S: Final = 86_400.0
"""However long a server wants to be left alone."""


class Calls:
    """What a client asks of its server, over its connection.

    Reads are repeated after a lost connection and after answers that pass (429, 502 to 504, heeding ``Retry-After``),
    changes with the same mutation id, and only while the server is known to recognise it; all within
    ``command_timeout``. Every other answer that is no success is an ``ApiError``.
    """

    def __init__(
        self, connection: Connection, config: ClientConfig, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.replays_mutations_s = 0.0
        """How long the server recognises a mutation id, as its configuration says; 0 when it does not."""
        self._connection = connection
        self._base_url = base_url(config.server_url)
        self._timeout = config.command_timeout
        self._clock = clock
        self._answers = RecentAnswers(clock)
        self._asking: dict[Question, asyncio.Task[bytes]] = {}

    async def get(self, url: str, kind: type[T], params: Mapping[str, str] | None = None, *, max_age: float = 0) -> T:
        """What is there.

        With ``max_age`` an answer of so many seconds ago will do, and who asks meanwhile shares one.
        """
        request = ClientRequest(method="GET", url=self._absolute(url), params=_texts(params or {}), content_type=JSON)
        if max_age <= 0:
            return _decoded(await self._read(request), kind)
        key = (request.url, tuple(sorted(request.params.items())))
        told = self._answers.recall(key, max_age)
        if told is not None:
            return _decoded(told, kind)
        task = self._asking.get(key)
        if task is None:
            task = self._asking[key] = asyncio.get_running_loop().create_task(self._ask(key, request, max_age))
            task.add_done_callback(_seen)
        return _decoded(await asyncio.shield(task), kind)

    async def post(self, url: str, body: Mapping[str, object], kind: type[T], *, mutation_id: str | None = None) -> T:
        """Change something; the answer."""
        reply = await self._change("POST", url, body, mutation_id)
        return _decoded(reply.body or b"{}", kind)

    async def delete(
        self, url: str, body: Mapping[str, object] | None = None, *, mutation_id: str | None = None
    ) -> None:
        """Remove something."""
        await self._change("DELETE", url, body or {}, mutation_id)

    async def post_form(self, url: str, text: str, kind: type[T]) -> T:
        """Say something in passing (typing): not repeated."""
        request = ClientRequest(method="POST", url=self._absolute(url), body=text.encode(), content_type=FORM)
        return _decoded(_checked(await self.send(request)).body or b"{}", kind)

    async def send(self, request: ClientRequest) -> Reply:
        """A request as it is, and its answer whatever it is."""
        return await self._connection.request(request, self._timeout)

    async def _ask(self, key: Question, request: ClientRequest, max_age: float) -> bytes:
        try:
            body = await self._read(request)
            self._answers.keep(key, body, max_age)
            return body
        finally:
            del self._asking[key]

    async def _read(self, request: ClientRequest) -> bytes:
        deadline = self._clock() + self._timeout
        pauses = _pauses()
        while True:
            left = deadline - self._clock()
            try:
                reply = await self._connection.request(request, max(left, 0.001))
            except ConnectionLostError:
                if self._clock() >= deadline:
                    raise
                continue
            if reply.status not in PASSING:
                return _checked(reply).body
            pause = _pause(reply, pauses)
            if self._clock() + pause >= deadline:
                return _checked(reply).body
            await self._connection.pause(pause)

    async def _change(self, method: str, url: str, body: Mapping[str, object], mutation_id: str | None) -> Reply:
        request = ClientRequest(
            method=method,
            url=self._absolute(url),
            headers={MUTATION_ID: mutation_id or str(uuid.uuid4())},
            body=json_of(body, "the command"),
            content_type=JSON,
        )
        # With an id of his own the caller repeats by himself, if he wants to.
        patience = 0.0 if mutation_id is not None else self.replays_mutations_s
        reply = await self._try(request, patience)
        return await self._result(_checked(reply)) if reply.status == 202 else _checked(reply)

    async def _try(self, request: ClientRequest, patience: float) -> Reply:
        """The answer to a change, or the last of them when it is repeated in vain.

        When a repetition does not even get to the server, the error is still that of the attempt that may have.
        """
        until = self._clock() + self._timeout
        # A repetition must not be sent when the server has forgotten the first.
        repeat_until = self._clock() + min(patience, self._timeout)
        pauses = _pauses()
        undecided: TransportError | Reply | None = None
        while True:
            pause = 0.0
            try:
                reply = await self._connection.request(request, max(until - self._clock(), 0.001))
            except (ConnectionLostError, CommandTimeoutError) as error:
                undecided = error
            except NotConnectedError:
                if undecided is None:
                    raise
                return _or_raise(undecided)
            else:
                if reply.status not in UNDECIDED:
                    return reply
                undecided, pause = reply, _pause(reply, pauses)
            if self._clock() + pause >= repeat_until:
                return _or_raise(undecided)
            until = repeat_until
            if pause:
                await self._connection.pause(pause)

    async def _result(self, reply: Reply) -> Reply:
        """What a change came to that is done elsewhere (client-commands 2)."""
        try:
            where = decoded(reply.body, _Elsewhere).resource_url
        except ValueError:
            return reply
        request = ClientRequest(method="GET", url=self._absolute(where), content_type=JSON)
        return Reply(200, await self._read(request))

    def _absolute(self, url: str) -> str:
        """Links may be relative to where the server is (client-commands 1.1)."""
        if url.startswith(("http://", "https://")):
            return url
        return f"{self._base_url}/{url.lstrip('/')}"


class _Elsewhere(msgspec.Struct):
    resource_url: str


def _texts(params: Mapping[str, str]) -> Mapping[str, str]:
    """The same. Raises ``InvalidArgumentError`` for what is no text."""
    for text in params.values():
        if not is_text(text):
            raise InvalidArgumentError("a text has a surrogate in it")
    return params


def _checked(reply: Reply) -> Reply:
    if 200 <= reply.status < 300:
        return reply
    raise error_of(reply)


def error_of(reply: Reply) -> ApiError:
    """What a refusal comes to."""
    try:
        body: Any = decoded(reply.body, object) if reply.body else None
    except ValueError:
        body = None
    error = api_error(reply.status, body, phrase(reply.status))
    if isinstance(error, ThrottledError):
        error.retry_after = _retry_after(reply)
    return error


def _or_raise(undecided: TransportError | Reply) -> Reply:
    if isinstance(undecided, TransportError):
        raise undecided
    return undecided


def _retry_after(reply: Reply) -> float | None:
    for name, value in reply.headers:
        # Not a date: nobody's clock is that good.
        if name.lower() == "retry-after" and value.isascii() and value.replace(".", "", 1).isdigit():
            return min(float(value), LONGEST_RETRY_S)
    return None


def _pause(reply: Reply, pauses: Iterator[float]) -> float:
    """Before the next attempt: as long as the server wants, else longer each time."""
    usual, wanted = next(pauses), _retry_after(reply)
    return usual if wanted is None else max(wanted, 0.05)


def _decoded(body: bytes, kind: type[T]) -> T:
    try:
        return decoded(body, kind)
    except msgspec.DecodeError as error:
        # Says which member is wrong, not its value.
        raise ServerError(502, None, f"the server's answer cannot be read: {error}") from None


def _pauses() -> Iterator[float]:
    """1, 2, 4 and 8 seconds, a fifth more or less."""
    pause = FIRST_PAUSE_S
    while True:
        yield pause * (0.8 + 0.4 * random.random())  # noqa: S311 (spreads load, guards nothing)
        pause = min(pause * 2, LONGEST_PAUSE_S)


def _seen(task: asyncio.Task[bytes]) -> None:
    """Whoever still waits gets the error; if nobody does, it is nobody's."""
    if not task.cancelled():
        task.exception()
