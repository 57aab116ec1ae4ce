"""How much of the socket one account may use: connections, and requests over them (semantics 9.3)."""

from __future__ import annotations

from tertulia.server import observe
from tertulia.server.clock import Clock
from tertulia.server.domain.buckets import SECOND, Bucket, Buckets
from tertulia.server.domain.errors import TOO_MANY_SESSIONS, TooMany, too_many

_WHEN_FULL_US = 5 * SECOND
"""When to come back if all connections are taken: nobody knows when one ends."""


class Allowance:
    """The limits of one node; each node counts for itself. 0 is no limit."""

    def __init__(
        self,
        clock: Clock,
        *,
        connections: int = 0,
        connections_per_s: int = 0,
        requests_per_s_of_connection: int = 0,
        requests_per_s: int = 0,
    ) -> None:
        self._clock = clock
        self._connections = connections
        self._new = Buckets(connections_per_s) if connections_per_s else None
        self._per_connection = requests_per_s_of_connection
        self._requests = Buckets(requests_per_s) if requests_per_s else None
        self._here: dict[str, int] = {}

    @property
    def is_limited(self) -> bool:
        """Whether there is any limit to keep."""
        per_account = self._new is not None or self._requests is not None
        return per_account or self._connections > 0 or self._per_connection > 0

    def let_in(self, account_sid: str) -> Place:
        """A place for a new connection of the account. Raises 51202, with when to come back."""
        here = self._here.get(account_sid, 0)
        if self._connections and here >= self._connections:
            raise _refused("connections", _WHEN_FULL_US)
        if self._new is not None and (wait := self._new.take(account_sid, self._clock.now())):
            raise _refused("new_connections", wait)
        self._here[account_sid] = here + 1
        return Place(self, account_sid, Bucket(self._per_connection) if self._per_connection else None)

    def wait_us(self, place: Place) -> int:
        """0 when a request of this connection may be answered now, else the microseconds until one may."""
        now = self._clock.now()
        if place.requests is not None and (wait := place.requests.take(now)):
            observe.refused_by("connection_requests")
            return wait
        if self._requests is not None and (wait := self._requests.take(place.account_sid, now)):
            observe.refused_by("account_requests")
            return wait
        return 0

    def left(self, account_sid: str) -> None:
        """A connection that was let in has ended."""
        here = self._here[account_sid] - 1
        if here:
            self._here[account_sid] = here
        else:
            del self._here[account_sid]


class Place:
    """What one connection holds of its account's allowance, until it leaves."""

    __slots__ = ("_allowance", "account_sid", "requests")

    def __init__(self, allowance: Allowance, account_sid: str, requests: Bucket | None) -> None:
        self._allowance = allowance
        self.account_sid = account_sid
        self.requests = requests

    def wait_us(self) -> int:
        """0 when a request may be answered now, else the microseconds until one may."""
        return self._allowance.wait_us(self)

    def leave(self) -> None:
        """The connection is gone. Called once."""
        self._allowance.left(self.account_sid)


def _refused(limit: observe.Limit, wait_us: int) -> TooMany:
    observe.refused_by(limit)
    return too_many(TOO_MANY_SESSIONS, wait_us)
