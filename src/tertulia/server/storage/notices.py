"""What devices are told, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tertulia.server.domain.notices import Delivery, DeliveryState, Notice, Result

from .database import Connection, Row
from .paging import padded, placeholders
from .push import FITS
from .table import Table

NOTICES = Table(Notice, "push_notices")
DELIVERIES = Table(Delivery, "push_deliveries", key=("notice_sid", "registration_sid"))


class Device(msgspec.Struct, frozen=True):
    """A device of somebody concerned, and what decides whether it is told."""

    registration_sid: str
    identity: str
    kind: str
    credential_sid: str | None
    message_types: str
    is_active: bool
    """Its credential is there, and of its kind."""
    is_online: bool
    """Its user is connected to a node that is alive; known only where reachability is on."""
    is_muted: bool
    roster_created: int | None = None
    """The number of its user's item in the conversation's roster, where that is looked at."""


class Due(msgspec.Struct, frozen=True):
    """A delivery that waits, and what it needs."""

    registration_sid: str
    badge: int | None
    """As counted now; None: the number on the icon stays."""
    address: str | None
    """None: the registration is gone, or was made anew under another credential."""
    has_credential: bool
    """It is still there, and of the registration's kind."""
    is_member: bool
    is_muted: bool


_DEVICE = (
    "r.sid, r.identity, r.kind, r.credential_sid, r.message_types, c.sid IS NOT NULL,"
    " EXISTS (SELECT 1 FROM presences AS x JOIN nodes AS n ON n.id = x.node"
    " WHERE n.alive_until > $1 AND x.service_sid = r.service_sid AND x.identity = r.identity)"
)
_CREDENTIAL = f"LEFT JOIN credentials AS c ON c.sid = r.credential_sid AND c.account_sid = r.account_sid AND {FITS}"
# Of a user or a service that was deleted, rows go in steps.
_HAS_USER = "EXISTS (SELECT 1 FROM users AS v WHERE v.sid = p.user_sid)"
_HAS_SERVICE = "EXISTS (SELECT 1 FROM services AS s WHERE s.sid = r.service_sid)"
# UNVERIFIED (semantics 7.3): who has never read in a conversation has not read it, though the number of its unread
# messages is not known (6.2); one's own messages count like others; closed conversations are in no list, nor here.
_UNREAD = "m.listed_event IS NOT NULL AND k.newest_index > COALESCE(m.last_read_index, -1)"
_BADGE = (
    "SELECT COUNT(*) FROM users AS u JOIN participants AS m ON m.user_sid = u.sid"
    " JOIN conversations AS k ON k.sid = m.conversation_sid"
    f" WHERE u.service_sid = r.service_sid AND u.identity = r.identity AND {_UNREAD}"
)


class Notices:
    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    # --- planning

    async def devices_of_members(self, conversation_sid: str, now: int) -> list[Device]:
        """The devices of all members. One statement."""
        rows = await self._connection.rows(
            f"SELECT {_DEVICE}, p.notification_level = 'muted', p.roster_created FROM participants AS p"
            " JOIN push_registrations AS r ON r.service_sid = p.service_sid AND r.identity = p.identity"
            f" {_CREDENTIAL} WHERE p.conversation_sid = $2 AND {_HAS_USER}",
            now,
            conversation_sid,
        )
        return [_device(row) for row in rows]

    async def devices_of(self, user_sid: str, now: int) -> list[Device]:
        """The devices of a user; of one who was deleted none, though somebody else has his identity now."""
        rows = await self._connection.rows(
            f"SELECT {_DEVICE}, 1 = 0, NULL FROM users AS u"
            " JOIN push_registrations AS r ON r.service_sid = u.service_sid AND r.identity = u.identity"
            f" {_CREDENTIAL} WHERE u.sid = $2",
            now,
            user_sid,
        )
        return [_device(row) for row in rows]

    async def add(self, notice: Notice, deliveries: Sequence[Delivery]) -> None:
        """A notice with its deliveries. Two statements at most."""
        await NOTICES.add(self._connection, notice)
        if deliveries:
            await DELIVERIES.add_many(self._connection, deliveries)

    # --- sending

    async def due(self, notice_sid: str, registrations: Sequence[str], conversation_sid: str | None) -> list[Due]:
        """Those of the registrations that are still to be told, as they are now."""
        rows = await self._connection.rows(
            f"SELECT d.registration_sid, CASE WHEN d.shows_badge THEN ({_BADGE}) END, r.address,"
            " c.sid IS NOT NULL, p.sid IS NOT NULL, p.notification_level = 'muted'"
            " FROM push_deliveries AS d LEFT JOIN push_registrations AS r ON r.sid = d.registration_sid"
            f" AND r.identity = d.identity AND r.credential_sid = d.credential_sid AND {_HAS_SERVICE} {_CREDENTIAL}"
            f" LEFT JOIN participants AS p ON p.conversation_sid = $2 AND p.identity = d.identity AND {_HAS_USER}"
            f" WHERE d.notice_sid = $1 AND d.state = '{DeliveryState.WAITING}'"
            f" AND d.registration_sid IN ({placeholders(len(registrations), first=3)})",
            notice_sid,
            conversation_sid,
            *padded(registrations),
        )
        return [Due(*row[:3], *map(bool, row[3:])) for row in rows]

    async def get(self, sid: str) -> Notice | None:
        return await NOTICES.get(self._connection, sid)

    async def record(self, notice_sid: str, results: Sequence[Result], now: int) -> None:
        """What became of deliveries that were waiting; others keep what they have. One statement."""
        await self._connection.execute_many(
            "UPDATE push_deliveries SET state = $3, answer = $4, at = $5, attempts = attempts + 1"
            f" WHERE notice_sid = $1 AND registration_sid = $2 AND state = '{DeliveryState.WAITING}'",
            [(notice_sid, one.registration_sid, one.state, one.answer, now) for one in results],
        )

    # --- looking back

    async def deliveries(self, notice_sid: str) -> list[Delivery]:
        rows = await self._connection.rows(
            f"SELECT {DELIVERIES.columns} FROM push_deliveries WHERE notice_sid = $1 ORDER BY registration_sid",
            notice_sid,
        )
        return DELIVERIES.entities(rows)

    async def trim(self, before: int, limit: int) -> int:
        """Drop at most so many deliveries of notices that are older, and so many notices that have none; how many went.

        A notice may have lost some of its deliveries then: it is not to be shown (``NoticeReads.about``).
        """
        gone = await self._connection.execute(
            "DELETE FROM push_deliveries WHERE (notice_sid, registration_sid) IN"
            " (SELECT d.notice_sid, d.registration_sid FROM push_notices AS n"
            " JOIN push_deliveries AS d ON d.notice_sid = n.sid WHERE n.created_at < $1"
            " ORDER BY n.created_at, n.sid LIMIT $2)",
            before,
            limit,
        )
        old = "SELECT sid FROM push_notices WHERE created_at < $1 ORDER BY created_at, sid LIMIT $2"
        return gone + await self._connection.execute(
            f"DELETE FROM push_notices WHERE sid IN (SELECT sid FROM ({old}) AS oldest"
            " WHERE NOT EXISTS (SELECT 1 FROM push_deliveries AS d WHERE d.notice_sid = oldest.sid))",
            before,
            limit,
        )


def _device(row: Row) -> Device:
    return Device(*row[:5], *map(bool, row[5:8]), *row[8:])
