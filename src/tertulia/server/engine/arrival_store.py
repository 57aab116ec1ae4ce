"""An arrival's way into the database, from wherever it was heard: a request, or a connection that a channel holds.

What a channel has in hand of a file is put among the blobs first, and the row after it; whatever fails or dies in
between leaves at most bytes without a row: they are removed at once, or found later by ``jobs.arrivals``.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final

from tertulia.server import observe
from tertulia.server.blobs.base import BlobError, Blobs
from tertulia.server.domain import callers
from tertulia.server.domain.address_configurations import label_of
from tertulia.server.domain.addresses import kind_of
from tertulia.server.domain.arrivals import Arriving
from tertulia.server.domain.arriving import FILES, arriving_of, bounds_of, known_as
from tertulia.server.domain.channel_messages import RecordReports
from tertulia.server.domain.channels import Incoming, Report
from tertulia.server.domain.errors import UNAVAILABLE
from tertulia.wire.sids import ARRIVAL

from .accepting import AT_ONCE, Accepting, Source
from .engine import Engine
from .inbound_queries import InboundQueries

log = logging.getLogger(__name__)

PIECE: Final = 64 << 10


def spool(folder: str) -> str:
    """What the keys of bytes begin with that wait for their arrival."""
    return f"{folder}/arrivals/"


class ArrivalStore:
    """Keeps what channels bring; ``blobs`` is None where a server keeps no files."""

    def __init__(
        self,
        engine: Engine,
        queries: InboundQueries,
        blobs: Blobs | None,
        new_sid: Callable[[str], str],
        folder: str,
    ) -> None:
        self._engine = engine
        self._accepting = Accepting(engine)
        self._queries = queries
        self._blobs = blobs
        self._new_sid = new_sid
        self._spool = spool(folder)

    async def keep(
        self, account_sid: str, gateway_sid: str, events: Sequence[Incoming | Report], *, heeded: frozenset[str]
    ) -> None:
        """Keep them; when this returns nothing of them can be lost, and none of them need be sent again.

        ``heeded``: the kinds of address at which STOP and START are ours to heed (``Capabilities.has_opt_out``). Raises
        20503 when they cannot be kept, 20005 for an account that is suspended; then they may be brought again, also
        those of them that are kept already.
        """
        incoming = [event for event in events if isinstance(event, Incoming)]
        for start in range(0, len(incoming), AT_ONCE):
            await self._keep(account_sid, gateway_sid, incoming[start : start + AT_ONCE], heeded)
        for one in incoming:
            observe.ARRIVALS.labels(label_of(kind_of(one.recipient.strip())), "heard").inc()
        reports = [event for event in events if isinstance(event, Report)]
        for start in range(0, len(reports), AT_ONCE):
            command = RecordReports(gateway=gateway_sid, reports=tuple(reports[start : start + AT_ONCE]))
            await self._engine.execute(callers.system(account_sid), command)
        for report in reports:
            observe.CHANNEL_REPORTS.labels(report.status.value).inc()

    async def _keep(self, account_sid: str, gateway_sid: str, some: Sequence[Incoming], heeded: frozenset[str]) -> None:
        if any(media.content is not None for one in some for media in one.media):
            # What is known already is not put down again to be thrown away.
            known = await self._queries.known(gateway_sid, {known_as(one.provider_id) for one in some})
            some = [one for one in some if known_as(one.provider_id) not in known]
        blobs: dict[str, list[str]] = {}
        try:
            arriving: list[Arriving] = []
            for one in some:
                sid = self._new_sid(ARRIVAL)
                fit = arriving_of(one, sid, await self._put_down(one, sid, blobs.setdefault(sid, [])))
                if fit is None:
                    log.warning("channel.dropped", extra=observe.fields(gateway=gateway_sid, why="it names nobody"))
                else:
                    arriving.append(fit)
            source = Source(account_sid, gateway_sid, heeded)
            accepted = await self._accepting.accept(source, arriving) if arriving else ()
        except Exception:
            # Not after a cancellation: the rows may be there, or on their way.
            await self._discard([key for keys in blobs.values() for key in keys])
            raise
        await self._discard([key for sid, keys in blobs.items() if sid not in accepted for key in keys])

    async def _put_down(self, one: Incoming, sid: str, put: list[str]) -> list[str | None]:
        """The keys of the files that are in hand, also in ``put``; None for those that are not, or are too large."""
        bounds = bounds_of(kind_of(one.recipient.strip()))
        keys: list[str | None] = []
        for number, media in enumerate(one.media[:FILES]):
            content = media.content
            if self._blobs is None or content is None or not 0 < len(content) <= bounds.each:
                keys.append(None)
                continue
            key = f"{self._spool}{sid}/{number}"
            put.append(key)
            try:
                await self._blobs.put(key, _pieces(content))
            except BlobError as trouble:
                log.error("channel.store_unavailable", extra=observe.fields(why=str(trouble)))
                raise UNAVAILABLE("The store of files is unavailable for the moment") from trouble
            keys.append(key)
        return keys

    async def _discard(self, keys: Sequence[str]) -> None:
        for key in keys:
            try:
                if self._blobs is not None:
                    await self._blobs.remove(key)
            except BlobError as trouble:
                # Found again by those who look for bytes without a row.
                log.warning("channel.bytes_left", extra=observe.fields(key=key, why=str(trouble)))


async def _pieces(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), PIECE):
        yield content[start : start + PIECE]
