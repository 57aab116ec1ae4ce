"""Channel messages, what gateways call their parts, and reports that came before we knew that."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

import msgspec

from tertulia.server.domain.channel_messages import ChannelRecord, ChannelState, EarlyReport, Handle
from tertulia.server.domain.receipts import Receipt, ReceiptStatus

from .database import Connection
from .paging import padded, placeholders
from .receipts import RECEIPTS
from .table import Table

CHANNEL_MESSAGES = Table(ChannelRecord, "channel_messages")
HANDLES = Table(Handle, "handles", key=("gateway_sid", "handle"))
EARLY_REPORTS = Table(EarlyReport, "early_reports", key=("gateway_sid", "handle", "alias", "recipient", "status"))

_UNDER_WAY: Final = f"state IN ('{ChannelState.SENDING}', '{ChannelState.SENT}')"
_NEWER: Final = (
    "CASE WHEN handles.channel_message_sid = excluded.channel_message_sid"
    f" AND handles.status <> '{ReceiptStatus.QUEUED}'"
    " THEN handles.{0} ELSE excluded.{0} END"
)
"""What has been reported of a part already is more than that it is taken."""
_KEEP_HANDLE: Final = (
    f"INSERT INTO handles ({HANDLES.columns}) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (gateway_sid, handle)"
    " DO UPDATE SET channel_message_sid = excluded.channel_message_sid, part = excluded.part,"
    f" status = {_NEWER.format('status')}, error_code = {_NEWER.format('error_code')}, created_at = excluded.created_at"
)
_EXPECT: Final = (
    f"INSERT INTO handles ({HANDLES.columns}) VALUES ($1, $2, $3, 0, '{ReceiptStatus.QUEUED}', 0, $4)"
    " ON CONFLICT (gateway_sid, handle) DO UPDATE SET channel_message_sid = excluded.channel_message_sid,"
    " status = excluded.status WHERE handles.channel_message_sid = ''"
)
_CLAIM: Final = (
    f"INSERT INTO handles ({HANDLES.columns}) VALUES ($1, $2, '', 0, '', 0, $3)"
    " ON CONFLICT (gateway_sid, handle) DO NOTHING"
)
_KEEP_EARLY: Final = (
    f"INSERT INTO early_reports ({EARLY_REPORTS.columns}) VALUES ($1, $2, $3, $4, $5, $6, $7)"
    " ON CONFLICT (gateway_sid, handle, alias, recipient, status) DO UPDATE SET created_at = excluded.created_at,"
    " error_code = excluded.error_code"
)


class ChannelMessages:
    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def get(self, sid: str) -> ChannelRecord | None:
        return await CHANNEL_MESSAGES.get(self._connection, sid)

    async def add_many(self, records: Sequence[ChannelRecord]) -> None:
        """One statement."""
        await CHANNEL_MESSAGES.add_many(self._connection, records)

    async def save(self, record: ChannelRecord, before: ChannelRecord) -> None:
        """Write what differs from ``before``."""
        await CHANNEL_MESSAGES.save(self._connection, record, before)

    async def begin(self, sid: str, gateway_sid: str | None, now: int) -> bool:
        """It is being sent from now on, or again. False: it has ended, or is gone."""
        begun = await self._connection.execute(
            "UPDATE channel_messages SET state = $2, gateway_sid = $3, sent_at = coalesce(sent_at, $4), updated_at = $4"
            f" WHERE sid = $1 AND state IN ('{ChannelState.WAITING}', '{ChannelState.SENDING}')",
            sid,
            ChannelState.SENDING,
            gateway_sid,
            now,
        )
        return begun > 0

    async def answered(self, account_sid: str, senders: Collection[str], since: int) -> set[tuple[str, str, str]]:
        """Sender, recipient and keyword of what was answered since then. One statement; none for none."""
        if not senders:
            return set()
        rows = await self._connection.rows(
            "SELECT sender, recipients, keyword FROM channel_messages WHERE account_sid = $1 AND created_at >= $2"
            f" AND keyword IS NOT NULL AND sender IN ({placeholders(len(senders), first=3)})",
            account_sid,
            since,
            *padded(tuple(senders)),
        )
        return {(row[0], recipient, row[2]) for row in rows for recipient in msgspec.json.decode(row[1])}

    async def receipts(self, sid: str) -> list[Receipt]:
        """Those that it bears, in the order of its recipients."""
        rows = await self._connection.rows(
            f"SELECT {RECEIPTS.columns} FROM receipts WHERE channel_message_sid = $1 ORDER BY sid", sid
        )
        return RECEIPTS.entities(rows)

    async def sent_until(
        self, account_sid: str, sender: str, recipient: str, at: int, past: Sequence[str], most: int
    ) -> list[ChannelRecord]:
        """Messages to this one person, sent until then, whose receipt is not in one of these states; newest first."""
        rows = await self._connection.rows(
            f"SELECT {CHANNEL_MESSAGES.qualified('c')} FROM channel_messages AS c"
            f" WHERE c.account_sid = $1 AND c.sender = $2 AND c.recipients = $3 AND c.sent_at <= $4 AND c.{_UNDER_WAY}"
            " AND EXISTS (SELECT 1 FROM receipts AS r WHERE r.channel_message_sid = c.sid"
            f" AND r.status NOT IN ({placeholders(len(past), first=6)}))"
            " ORDER BY c.sent_at DESC, c.sid DESC LIMIT $5",
            account_sid,
            sender,
            msgspec.json.encode((recipient,)).decode(),
            at,
            most,
            *padded(past),
        )
        return CHANNEL_MESSAGES.entities(rows)

    async def remove_of_messages(self, message_sids: Sequence[str]) -> None:
        """Nothing is known any more of what went out of these. Two statements; none for none."""
        if not message_sids:
            return
        of_these = f"message_sid IN ({placeholders(len(message_sids), first=1)})"
        await self._connection.execute(
            f"DELETE FROM handles WHERE channel_message_sid IN (SELECT sid FROM channel_messages WHERE {of_these})",
            *padded(message_sids),
        )
        await self._connection.execute(f"DELETE FROM channel_messages WHERE {of_these}", *padded(message_sids))

    async def trim(self, before: int, limit: int) -> int:
        """Drop at most so many whose time was over before, with their handles; how many rows went. Receipts stay."""
        old = "SELECT sid FROM channel_messages WHERE created_at < $1 AND valid_until < $1 ORDER BY created_at LIMIT $2"
        gone = await self._connection.execute(
            f"DELETE FROM handles WHERE channel_message_sid IN ({old})", before, limit
        )
        return gone + await self._connection.execute(
            f"DELETE FROM channel_messages WHERE sid IN ({old})", before, limit
        )


class Handles:
    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def known(self, gateway_sid: str, handle: str, alias: str | None) -> Handle | None:
        """The part that a gateway calls so; by its other spelling only where the first is nobody's."""
        rows = await self._connection.rows(
            f"SELECT {HANDLES.columns} FROM handles WHERE gateway_sid = $1 AND handle IN ($2, $3)"
            " AND channel_message_sid <> ''",
            gateway_sid,
            handle,
            handle if alias is None else alias,
        )
        found = HANDLES.entities(rows)
        return next((one for one in found if one.handle == handle), found[0] if found else None)

    async def among(self, gateway_sid: str, names: Collection[str]) -> frozenset[str]:
        """Those of the names that a part has. One statement; none for none."""
        if not names:
            return frozenset()
        rows = await self._connection.rows(
            "SELECT handle FROM handles WHERE gateway_sid = $1 AND channel_message_sid <> ''"
            f" AND handle IN ({placeholders(len(names), first=2)})",
            gateway_sid,
            *padded(tuple(names)),
        )
        return frozenset(row[0] for row in rows)

    async def claim(self, gateway_sid: str, names: Collection[str], now: int) -> None:
        """Put these down as known to nobody, where they are not there yet. One statement; none for none.

        Waits for whoever is putting down a part of this name, as ``keep`` waits for us.
        """
        if names:
            await self._connection.execute_many(_CLAIM, [(gateway_sid, name, now) for name in sorted(names)])

    async def of_message(self, channel_message_sid: str) -> list[Handle]:
        """Its parts, in order."""
        rows = await self._connection.rows(
            f"SELECT {HANDLES.columns} FROM handles WHERE channel_message_sid = $1 ORDER BY part", channel_message_sid
        )
        return HANDLES.entities(rows)

    async def keep(self, handles: Sequence[Handle]) -> None:
        """One statement; none for none.

        What a gateway has called something else before is that no more: they begin anew at times.
        """
        # Always in the same order, so that two of us never wait for each other.
        rows = [HANDLES.row_of(handle) for handle in sorted(handles, key=lambda one: one.handle)]
        if rows:
            await self._connection.execute_many(_KEEP_HANDLE, rows)

    async def expect(self, gateway_sid: str, name: str, channel_message_sid: str, now: int) -> None:
        """The gateway is about to be given a message under this name."""
        await self._connection.execute(_EXPECT, gateway_sid, name, channel_message_sid, now)

    async def forget(self, channel_message_sid: str) -> None:
        """No gateway has anything of this message."""
        await self._connection.execute("DELETE FROM handles WHERE channel_message_sid = $1", channel_message_sid)

    async def save(self, handle: Handle, before: Handle) -> None:
        await HANDLES.save(self._connection, handle, before)

    async def trim_unknown(self, before: int, limit: int) -> int:
        """Drop at most so many that nobody has known since then; how many went."""
        return await self._connection.execute(
            "DELETE FROM handles WHERE channel_message_sid = '' AND (gateway_sid, handle) IN"
            " (SELECT gateway_sid, handle FROM handles WHERE channel_message_sid = '' AND created_at < $1"
            " ORDER BY created_at LIMIT $2)",
            before,
            limit,
        )


class EarlyReports:
    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def keep(self, reports: Sequence[EarlyReport]) -> None:
        """One statement; a repeat takes the place of the first."""
        await self._connection.execute_many(_KEEP_EARLY, [EARLY_REPORTS.row_of(report) for report in reports])

    async def take(self, gateway_sid: str, handles: Sequence[str], since: int) -> list[EarlyReport]:
        """What was reported of these since then, the earliest first; it is kept no longer, under no spelling.

        Two statements at most.
        """
        rows = await self._connection.rows(
            "DELETE FROM early_reports WHERE gateway_sid = $1 AND created_at >= $2"
            f" AND handle IN ({placeholders(len(handles), first=3)}) RETURNING {EARLY_REPORTS.columns}",
            gateway_sid,
            since,
            *padded(handles),
        )
        taken = EARLY_REPORTS.entities(rows)
        twins = [(gateway_sid, one.alias, one.handle) for one in taken if one.alias]
        if twins:
            await self._connection.execute_many(
                "DELETE FROM early_reports WHERE gateway_sid = $1 AND handle = $2 AND alias = $3", twins
            )
        return sorted(taken, key=lambda one: one.created_at)

    async def trim(self, before: int, limit: int) -> int:
        """Drop at most so many that are older; how many went."""
        return await self._connection.execute(
            "DELETE FROM early_reports WHERE (gateway_sid, handle, alias, recipient, status) IN"
            " (SELECT gateway_sid, handle, alias, recipient, status FROM early_reports WHERE created_at < $1"
            " ORDER BY created_at LIMIT $2)",
            before,
            limit,
        )
