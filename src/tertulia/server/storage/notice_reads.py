"""Looking back at what devices were told: about whom, by whom, and who else would have been."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from tertulia.server.domain.notices import Delivery, Notice, PlanPush
from tertulia.server.domain.push_content import PushKind

from .database import Connection
from .notices import DELIVERIES, NOTICES
from .paging import Page, padded, page, placeholders

LOOKED_AT: Final = 10_000
"""So many promised plans are looked through for one; beyond it, it counts as none."""

# What was deleted is gone at once, though its rows go in steps.
_THERE: Final = (
    "JOIN conversations AS k ON k.sid = x.conversation_sid JOIN services AS s ON s.sid = x.service_sid WHERE x.sid = $1"
)
_CONCERNED: Final = (
    "(SELECT p.identity FROM participants AS p JOIN users AS u ON u.sid = p.user_sid WHERE p.conversation_sid = $1"
    " UNION SELECT d.identity FROM push_deliveries AS d WHERE d.notice_sid = $2) AS concerned"
)


class Subject(msgspec.Struct, frozen=True):
    """A message or a participant that is there. What somebody wrote is not read."""

    sid: str
    account_sid: str
    service_sid: str
    conversation_sid: str
    name: str | None
    """The author; the identity of the participant."""


class NoticeReads:
    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def message(self, sid: str) -> Subject | None:
        return await self._subject("messages", "author", sid)

    async def participant(self, sid: str) -> Subject | None:
        return await self._subject("participants", "identity", sid)

    async def _subject(self, table: str, name: str, sid: str) -> Subject | None:
        row = await self._connection.row(
            f"SELECT x.sid, x.account_sid, x.service_sid, x.conversation_sid, x.{name} FROM {table} AS x {_THERE}", sid
        )
        return Subject(*row) if row else None

    async def about(self, subject_sid: str, since: int) -> list[Notice]:
        """What was told since then about a message or a participant of a service that is there, in order."""
        rows = await self._connection.rows(
            f"SELECT {NOTICES.qualified('n')} FROM push_notices AS n JOIN services AS s ON s.sid = n.service_sid"
            " WHERE n.subject_sid = $1 AND n.created_at >= $2 ORDER BY n.sid",
            subject_sid,
            since,
        )
        return NOTICES.entities(rows)

    async def has_conversation(self, sid: str) -> bool:
        return bool(await self._connection.value("SELECT EXISTS (SELECT 1 FROM conversations WHERE sid = $1)", sid))

    async def concerned(self, conversation_sid: str | None, notice_sid: str | None, wanted: Page) -> list[str]:
        """The identities of the members, and of all who have a delivery of the notice, in their order."""
        rows = await page(
            self._connection, "identity", _CONCERNED, "1 = 1", (conversation_sid, notice_sid), "identity", wanted
        )
        return [row[0] for row in rows]

    async def members(self, conversation_sid: str, identities: Sequence[str]) -> dict[str, str]:
        """The SIDs of those who are members, by identity."""
        rows = await self._connection.rows(
            "SELECT identity, sid FROM participants WHERE conversation_sid = $1"
            f" AND identity IN ({placeholders(len(identities), first=2)})",
            conversation_sid,
            *padded(identities),
        )
        return dict(rows)

    async def deliveries(self, notice_sid: str, identities: Sequence[str]) -> list[Delivery]:
        """Those of a notice to the devices of these."""
        rows = await self._connection.rows(
            f"SELECT {DELIVERIES.columns} FROM push_deliveries WHERE notice_sid = $1"
            f" AND identity IN ({placeholders(len(identities), first=2)}) ORDER BY identity, registration_sid",
            notice_sid,
            *padded(identities),
        )
        return DELIVERIES.entities(rows)

    async def is_planned(self, account_sid: str, kind: PushKind, subject_sid: str) -> bool:
        """A job is still to decide who is told of this. Looks through the newest promises, ``LOOKED_AT`` at most."""
        job = PlanPush.__name__
        wanted = f'%"kind":"{kind}","subject_sid":"{subject_sid}"%'
        waiting = (
            "SELECT payload FROM outbox WHERE state = 'waiting' AND NOT behind AND kind = $1 AND account_sid = $2"
            f" ORDER BY due_at DESC LIMIT {LOOKED_AT}"
        )
        found = await self._connection.value(
            f"SELECT 1 FROM (SELECT payload FROM ({waiting}) AS some UNION ALL"
            " SELECT payload FROM outbox WHERE state = 'leased' AND kind = $1) AS plans WHERE payload LIKE $3 LIMIT 1",
            job,
            account_sid,
            wanted,
        )
        return found is not None
