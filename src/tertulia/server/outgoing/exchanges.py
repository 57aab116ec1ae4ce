"""A request and its answer on a connection, in HTTP/1.1. Imports the HTTP library: loaded by the first call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import h11

from tertulia.server.outgoing.calls import Answer, Call, FailureKind, NoAnswer
from tertulia.server.outgoing.streams import Stream, broken
from tertulia.server.outgoing.targets import Target

HEAD_LIMIT_BYTES = 64 << 10
"""Largest head of an answer, and largest line between chunks."""
MOST_INFORMATIONAL: Final = 20
"""Answers before the answer; nobody needs more than one or two."""
MOST_CRUMBS: Final = 1_000
"""Chunks of a body that are smaller than ``CRUMB_BYTES``: each costs as much work as a whole packet."""
CRUMB_BYTES: Final = 256
TURN: Final = 32
"""Pieces of an answer that are read before others have their turn: a receiver must not stop the server by sending."""


class Connection:
    """Carries one exchange after the other, not two at a time."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_LIMIT_BYTES)

    @property
    def is_usable(self) -> bool:
        """Whether another exchange may begin: both sides are done with the last, and want to go on."""
        return self._http.our_state is h11.IDLE and self._stream.is_quiet

    def close(self) -> None:
        """Drop the connection at once; an exchange on it fails."""
        self._stream.close()

    async def exchange(self, call: Call, target: Target, limit: int, on_head: Callable[[int], None]) -> Answer:
        """The answer, its body read up to ``limit`` bytes; ``on_head`` hears the status when the head has arrived.

        A body that comes in a thousand crumbs is read no further, as one that is too long. Raises ``NoAnswer``. Keeps
        the limit of silence, not that of the total time.
        """
        try:
            await self._stream.write(self._request(call, target), call.read_s)
            return await self._answer(call, limit, on_head)
        except h11.RemoteProtocolError:
            raise broken() from None

    def _request(self, call: Call, target: Target) -> bytes:
        events: list[h11.Event] = [h11.EndOfMessage()]
        if call.body:
            events.insert(0, h11.Data(data=call.body))
        try:
            events.insert(0, h11.Request(method=call.method, target=target.path, headers=target.headers))
            return b"".join(self._http.send(event) or b"" for event in events)
        except h11.LocalProtocolError:
            raise NoAnswer(FailureKind.BAD_REQUEST, "the method or a header is not HTTP") from None

    async def _answer(self, call: Call, limit: int, on_head: Callable[[int], None]) -> Answer:
        head = await self._event(call.read_s)
        informational = 0
        while not isinstance(head, h11.Response):  # informational: another one follows
            informational += 1
            if informational > MOST_INFORMATIONAL:
                raise broken()
            head = await self._event(call.read_s)
        on_head(head.status_code)
        body, pieces, is_whole = bytearray(), 0, True
        while isinstance(event := await self._event(call.read_s), h11.Data):
            body += event.data
            pieces += 1
            if len(body) > limit or pieces > MOST_CRUMBS + len(body) // CRUMB_BYTES:
                is_whole = False
                break
            if pieces % TURN == 0:
                await asyncio.sleep(0)
        else:
            self._prepare_for_next()
        return Answer(
            status=head.status_code,
            headers=tuple((name.decode("ascii"), value.decode("latin-1")) for name, value in head.headers),
            body=bytes(body[:limit]),
            is_truncated=not is_whole,
        )

    async def _event(self, silence_s: float) -> h11.Event:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._http.receive_data(await self._stream.read(silence_s))
        if not isinstance(event, h11.Event) or isinstance(event, h11.ConnectionClosed):
            raise broken()
        return event

    def _prepare_for_next(self) -> None:
        is_done = self._http.our_state is h11.DONE and self._http.their_state is h11.DONE
        if is_done and not self._http.trailing_data[0]:
            self._http.start_next_cycle()
