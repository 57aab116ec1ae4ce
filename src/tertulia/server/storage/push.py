"""Push registrations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from tertulia.server.domain.push import FAMILIES, USE_NOTED_US, PushRegistration, device_of

from .database import Connection
from .paging import Page, padded, page, placeholders
from .table import Table

REGISTRATIONS = Table(PushRegistration, "push_registrations")

FITS = (
    "(c.kind = r.kind OR (c.kind IN ('fcm', 'gcm') AND r.kind IN ('fcm', 'gcm')))"  # gcm is an old name (semantics 7.1)
)
_ACTIVE = (
    "push_registrations AS r JOIN credentials AS c"
    f" ON c.sid = r.credential_sid AND c.account_sid = r.account_sid AND {FITS}"
)


class RegistrationFilter(msgspec.Struct, frozen=True):
    """Which registrations of a service are wanted; an empty set wants all."""

    kinds: tuple[str, ...] = ()
    identities: tuple[str, ...] = ()


def device_query(service_sid: str, identity: str, kind: str, address: str) -> tuple[str, tuple[str, ...]]:
    """The statement that finds a device, and others that have to be left out.

    Earlier releases kept addresses as they were sent: tokens of Apple's in one case or the other, and subscriptions
    as browsers write them, or with blanks; those of the identity in whatever way.
    """
    place = device_of(kind, address)[1]
    if kind == "webpush" and place != address:
        text = msgspec.json.encode(place).decode().removesuffix('"')
        bounds = [f"{start}{text}" for start in ('{"endpoint":', '{"endpoint": ')]
        # What begins so, and goes on with the end of the text.
        parameters = [bound + end for bound in bounds for end in ('"', "#")]
        of_address = " OR ".join(
            f"(service_sid = $1 AND kind = 'webpush' AND address >= ${at} AND address < ${at + 1})" for at in (3, 5)
        )
    else:
        parameters = [place, address, place.upper() if kind == "apn" else address]
        kinds = ", ".join(f"'{one}'" for one in FAMILIES.get(kind, (kind,)))
        of_address = f"(service_sid = $1 AND kind IN ({kinds}) AND address IN ($3, $4, $5))"
    sql = (
        f"SELECT {REGISTRATIONS.columns} FROM push_registrations"
        f" WHERE (service_sid = $1 AND identity = $2) OR {of_address} ORDER BY sid FOR UPDATE"
    )
    return sql, (service_sid, identity, *parameters)


class PushRegistrations:
    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def of_device(self, service_sid: str, identity: str, kind: str, address: str) -> list[PushRegistration]:
        """Those of one device, however it is spelled, locked: one, unless the operator allows several owners."""
        sql, parameters = device_query(service_sid, identity, kind, address)
        found = REGISTRATIONS.entities(await self._connection.rows(sql, *parameters))
        device = device_of(kind, address)
        return [one for one in found if device_of(one.kind, one.address) == device]

    async def get(self, sid: str) -> PushRegistration | None:
        return await REGISTRATIONS.get(self._connection, sid)

    async def find(self, service_sid: str, sid: str) -> PushRegistration | None:
        """A registration of the service."""
        found = await REGISTRATIONS.get(self._connection, sid)
        return found if found is not None and found.service_sid == service_sid else None

    async def page(self, service_sid: str, only: RegistrationFilter, wanted: Page) -> list[PushRegistration]:
        where, parameters = "service_sid = $1", [service_sid]
        for column, values in (("kind", only.kinds), ("identity", only.identities)):
            if values:
                where += f" AND {column} IN ({placeholders(len(values), first=len(parameters) + 1)})"
                parameters.extend(padded(values))
        rows = await page(
            self._connection, REGISTRATIONS.columns, "push_registrations", where, tuple(parameters), "sid", wanted
        )
        return REGISTRATIONS.entities(rows)

    async def is_active(self, sid: str) -> bool:
        """Its credential is there, of its account, and of a kind that fits."""
        return bool(await self._connection.value(f"SELECT EXISTS (SELECT 1 FROM {_ACTIVE} WHERE r.sid = $1)", sid))

    async def has_active(self, service_sid: str, identity: str) -> bool:
        """Some device of the identity can be woken (semantics 6.3)."""
        return bool(
            await self._connection.value(
                f"SELECT EXISTS (SELECT 1 FROM {_ACTIVE} WHERE r.service_sid = $1 AND r.identity = $2)",
                service_sid,
                identity,
            )
        )

    async def active_among(self, service_sid: str, identities: Sequence[str]) -> set[str]:
        """Those of these identities of whom some device can be woken. One statement."""
        if not identities:
            return set()
        rows = await self._connection.rows(
            f"SELECT DISTINCT r.identity FROM {_ACTIVE} WHERE r.service_sid = $1"
            f" AND r.identity IN ({placeholders(len(identities), first=2)})",
            service_sid,
            *padded(identities),
        )
        return {row[0] for row in rows}

    async def identities(self, service_sid: str, after: str, limit: int) -> list[str]:
        """Whose devices are kept, active or not: the next of them, in order."""
        rows = await self._connection.rows(
            "SELECT DISTINCT identity FROM push_registrations WHERE service_sid = $1 AND identity > $2"
            " ORDER BY identity LIMIT $3",
            service_sid,
            after,
            limit,
        )
        return [row[0] for row in rows]

    async def add(self, registration: PushRegistration) -> None:
        await REGISTRATIONS.add(self._connection, registration)

    async def save(self, registration: PushRegistration, before: PushRegistration) -> None:
        """Write what differs from ``before``."""
        await REGISTRATIONS.save(self._connection, registration, before)

    async def remove(self, sid: str) -> None:
        await REGISTRATIONS.remove(self._connection, sid)

    async def remove_of_identity(self, service_sid: str, identity: str) -> None:
        await self._connection.execute(
            "DELETE FROM push_registrations WHERE service_sid = $1 AND identity = $2", service_sid, identity
        )

    async def keep_newest(self, service_sid: str, identity: str, count: int) -> list[PushRegistration]:
        """Drop the registrations of an identity beyond the ``count`` used last (semantics 7.2); those dropped."""
        rows = await self._connection.rows(
            "DELETE FROM push_registrations WHERE service_sid = $1 AND identity = $2 AND sid NOT IN"
            " (SELECT sid FROM push_registrations WHERE service_sid = $1 AND identity = $2"
            f" ORDER BY used_at DESC, sid DESC LIMIT $3) RETURNING {REGISTRATIONS.columns}",
            service_sid,
            identity,
            count,
        )
        return REGISTRATIONS.entities(rows)

    async def is_use_due(self, service_sid: str, identity: str, endpoint: str, before: int) -> bool:
        """The endpoint has registrations of which no use was noted since ``before``."""
        return bool(
            await self._connection.value(
                "SELECT EXISTS (SELECT 1 FROM push_registrations"
                " WHERE service_sid = $1 AND identity = $2 AND endpoint = $3 AND used_at < $4)",
                service_sid,
                identity,
                endpoint,
                before,
            )
        )

    async def note_use(self, service_sid: str, identity: str, endpoint: str, now: int) -> None:
        await self._connection.execute(
            "UPDATE push_registrations SET used_at = $4 WHERE service_sid = $1 AND identity = $2 AND endpoint = $3",
            service_sid,
            identity,
            endpoint,
            now,
        )

    async def note_reached(self, sids: Sequence[str], now: int) -> None:
        """These devices were reached, which is use as well; noted once a day."""
        await self._connection.execute(
            f"UPDATE push_registrations SET used_at = $1 WHERE used_at < $2"
            f" AND sid IN ({placeholders(len(sids), first=3)})",
            now,
            now - USE_NOTED_US,
            *padded(sids),
        )

    async def remove_gone(
        self, service_sid: str, since: Mapping[str, int]
    ) -> tuple[list[PushRegistration], list[PushRegistration]]:
        """Drop registrations of devices that are no more, each unless it was renewed after it went.

        Those dropped, and those that were renewed.
        """
        found = await self._connection.rows(
            f"SELECT {REGISTRATIONS.columns} FROM push_registrations WHERE service_sid = $1"
            f" AND sid IN ({placeholders(len(since), first=2)}) FOR UPDATE",
            service_sid,
            *padded(tuple(since)),
        )
        gone: list[PushRegistration] = []
        renewed: list[PushRegistration] = []
        for one in REGISTRATIONS.entities(found):
            (gone if one.updated_at <= since[one.sid] else renewed).append(one)
        if gone:
            await self._connection.execute(
                f"DELETE FROM push_registrations WHERE sid IN ({placeholders(len(gone), first=1)})",
                *padded([one.sid for one in gone]),
            )
        return gone, renewed

    async def account_with_unused(self, before: int) -> str | None:
        """An account that has registrations of no use since then."""
        account: str | None = await self._connection.value(
            "SELECT account_sid FROM push_registrations WHERE used_at < $1 ORDER BY used_at LIMIT 1", before
        )
        return account

    async def remove_unused(self, account_sid: str, before: int, limit: int) -> list[PushRegistration]:
        """Drop at most ``limit`` of an account that have been of no use since then; those dropped."""
        rows = await self._connection.rows(
            "DELETE FROM push_registrations WHERE sid IN (SELECT sid FROM push_registrations"
            f" WHERE used_at < $2 AND account_sid = $1 ORDER BY used_at LIMIT $3) RETURNING {REGISTRATIONS.columns}",
            account_sid,
            before,
            limit,
        )
        return REGISTRATIONS.entities(rows)
