"""The connections of a process: made when needed, kept a while for the next call to the same place."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tertulia.server.outgoing.calls import Answer, Call
from tertulia.server.outgoing.exchanges import Connection
from tertulia.server.outgoing.opening import Opener
from tertulia.server.outgoing.resolving import Resolve
from tertulia.server.outgoing.targets import Target
from tertulia.server.outgoing.trust import HTTP_1, trusting

KEEP_ALIVE_S = 4.0
"""How long an unused connection is kept: below the five seconds after which the most common receivers hang up, since
a request sent into their hanging up is lost."""

Place = tuple[str, str, int]


class Pool:
    """How many connections are in use is up to the caller; as many again may wait for their next use."""

    def __init__(self, resolve: Resolve, *, allow_private: bool, kept: int) -> None:
        self._opener = Opener(resolve, trusting(HTTP_1), allow_private=allow_private)
        self._limit = kept
        self._in_use: set[Connection] = set()
        self._kept: dict[Connection, tuple[Place, asyncio.TimerHandle]] = {}
        self._by_place: dict[Place, list[Connection]] = {}

    async def exchange(self, call: Call, target: Target, limit: int, on_head: Callable[[int], None]) -> Answer:
        """``Connection.exchange`` on a connection to the target. However it ends, the connection is kept or closed."""
        place = (target.scheme, target.host, target.port)
        connection = self._taken(place)
        if connection is None:
            connection = Connection(await self._opener.open(target, call.connect_s, call.account_sid))
        self._in_use.add(connection)
        try:
            answer = await connection.exchange(call, target, limit, on_head)
        except BaseException:
            connection.close()
            raise
        finally:
            self._in_use.discard(connection)
        self._keep(place, connection)
        return answer

    def close(self) -> None:
        """Drop all connections; exchanges under way fail."""
        self._limit = 0
        for connection in [*self._in_use, *self._kept]:
            self._drop(connection)

    def _taken(self, place: Place) -> Connection | None:
        """The connection to a place that was used last, if it still can be."""
        while place in self._by_place:
            connection = self._by_place[place][-1]
            self._forget(connection)
            if connection.is_usable:
                return connection
            connection.close()
        return None

    def _keep(self, place: Place, connection: Connection) -> None:
        if not self._limit or not connection.is_usable:
            connection.close()
            return
        if len(self._kept) >= self._limit:
            self._drop(next(iter(self._kept)))
        expiry = asyncio.get_running_loop().call_later(KEEP_ALIVE_S, self._drop, connection)
        self._kept[connection] = place, expiry
        self._by_place.setdefault(place, []).append(connection)

    def _drop(self, connection: Connection) -> None:
        self._forget(connection)
        connection.close()

    def _forget(self, connection: Connection) -> None:
        if connection in self._kept:
            place, expiry = self._kept.pop(connection)
            expiry.cancel()
            self._by_place[place].remove(connection)
            if not self._by_place[place]:
                del self._by_place[place]
