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
    """Its user is connected; known only where reachability is on."""
    is_muted: bool


class Due(msgspec.Struct, frozen=True):
    """A delivery that waits, and what it needs."""

    registration_sid: str
    badge: int | None
    address: str | None
    """None: the registration is gone, or was made anew under another credential."""
    is_member: bool
    is_muted: bool


_DEVICE = (
    "r.sid, r.identity, r.kind, r.credential_sid, r.message_types, c.sid IS NOT NULL,"
    " EXISTS (SELECT 1 FROM presences AS x WHERE x.service_sid = r.service_sid AND x.identity = r.identity)"
)
_CREDENTIAL = f"LEFT JOIN credentials AS c ON c.sid = r.credential_sid AND c.account_sid = r.account_sid AND {FITS}"
_UNREAD = "m.listed_event IS NOT NULL AND k.newest_index > COALESCE(m.last_read_index, -1)"


class Notices:
    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    # --- planning

    async def devices_of_members(self, conversation_sid: str) -> list[Device]:
        """The devices of all members. One statement."""
        rows = await self._connection.rows(
            f"SELECT {_DEVICE}, p.notification_level = 'muted' FROM participants AS p"
            " JOIN push_registrations AS r ON r.service_sid = p.service_sid AND r.identity = p.identity"
            f" {_CREDENTIAL} WHERE p.conversation_sid = $1",
            conversation_sid,
        )
        return [_device(row) for row in rows]

    async def devices_of(self, service_sid: str, identity: str) -> list[Device]:
        """The devices of a user."""
        rows = await self._connection.rows(
            f"SELECT {_DEVICE}, 1 = 0 FROM push_registrations AS r {_CREDENTIAL}"
            " WHERE r.service_sid = $1 AND r.identity = $2",
            service_sid,
            identity,
        )
        return [_device(row) for row in rows]

    async def badges_of_members(self, conversation_sid: str) -> dict[str, int]:
        """How many conversations with something unread each member has who has a device of Apple's; who has none is
        not named. One statement."""
        rows = await self._connection.rows(
            "SELECT p.identity, COUNT(*) FROM participants AS p"
            " JOIN participants AS m ON m.user_sid = p.user_sid"
            " JOIN conversations AS k ON k.sid = m.conversation_sid"
            f" WHERE p.conversation_sid = $1 AND {_UNREAD} AND EXISTS (SELECT 1 FROM push_registrations AS r"
            " WHERE r.service_sid = p.service_sid AND r.identity = p.identity AND r.kind = 'apn')"
            " GROUP BY p.identity",
            conversation_sid,
        )
        return {row[0]: row[1] for row in rows}

    async def badge_of(self, user_sid: str) -> int:
        """How many conversations with something unread the user has."""
        count: int = await self._connection.value(
            "SELECT COUNT(*) FROM participants AS m JOIN conversations AS k ON k.sid = m.conversation_sid"
            f" WHERE m.user_sid = $1 AND {_UNREAD}",
            user_sid,
        )
        return count

    async def add(self, notice: Notice, deliveries: Sequence[Delivery]) -> None:
        """A notice with its deliveries. Two statements at most."""
        await NOTICES.add(self._connection, notice)
        if deliveries:
            await DELIVERIES.add_many(self._connection, deliveries)

    # --- sending

    async def due(self, notice_sid: str, registrations: Sequence[str], conversation_sid: str | None) -> list[Due]:
        """Those of the registrations that are still to be told, as they are now."""
        rows = await self._connection.rows(
            "SELECT d.registration_sid, d.badge, r.address, p.sid IS NOT NULL, p.notification_level = 'muted'"
            " FROM push_deliveries AS d LEFT JOIN push_registrations AS r ON r.sid = d.registration_sid"
            " AND r.identity = d.identity AND r.credential_sid = d.credential_sid"
            " LEFT JOIN participants AS p ON p.conversation_sid = $2 AND p.identity = d.identity"
            f" WHERE d.notice_sid = $1 AND d.state = '{DeliveryState.WAITING}'"
            f" AND d.registration_sid IN ({placeholders(len(registrations), first=3)})",
            notice_sid,
            conversation_sid,
            *padded(registrations),
        )
        return [Due(row[0], row[1], row[2], bool(row[3]), bool(row[4])) for row in rows]

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

    async def about(self, subject_sid: str) -> list[Notice]:
        """What was told about a message or a participant, in order."""
        rows = await self._connection.rows(
            f"SELECT {NOTICES.columns} FROM push_notices WHERE subject_sid = $1 ORDER BY sid", subject_sid
        )
        return NOTICES.entities(rows)

    async def deliveries(self, notice_sid: str) -> list[Delivery]:
        rows = await self._connection.rows(
            f"SELECT {DELIVERIES.columns} FROM push_deliveries WHERE notice_sid = $1 ORDER BY registration_sid",
            notice_sid,
        )
        return DELIVERIES.entities(rows)

    async def trim(self, before: int, limit: int) -> int:
        """Drop at most so many notices that are older, with their deliveries; how many rows went."""
        old = "SELECT sid FROM push_notices WHERE created_at < $1 ORDER BY created_at LIMIT $2"
        gone = await self._connection.execute(f"DELETE FROM push_deliveries WHERE notice_sid IN ({old})", before, limit)
        return gone + await self._connection.execute(f"DELETE FROM push_notices WHERE sid IN ({old})", before, limit)


def _device(row: Row) -> Device:
    return Device(*row[:5], *map(bool, row[5:]))
