"""Reading why devices were woken or not, for everybody concerned (semantics 7.4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tertulia.server.clock import Clock
from tertulia.server.domain.errors import MESSAGE_NOT_FOUND, PARTICIPANT_NOT_FOUND
from tertulia.server.domain.notice_texts import is_wanted
from tertulia.server.domain.notices import Delivery
from tertulia.server.domain.notifications import NotificationSettings
from tertulia.server.domain.push_content import PushKind
from tertulia.server.domain.push_explained import NOT_PLANNED, OFF, Explanation, WhyNot, nothing_known, why_not
from tertulia.server.storage.database import Connection, Database
from tertulia.server.storage.notice_reads import NoticeReads, Subject
from tertulia.server.storage.notices import Notices
from tertulia.server.storage.notifications import Notifications
from tertulia.server.storage.paging import Page
from tertulia.wire.sids import MESSAGE, PARTICIPANT, is_sid, made_at

DAY_US: Final = 24 * 3600 * 1_000_000
NEW: Final = PushKind.NEW_MESSAGE


class PushExplaining:
    """``account_sid`` says whose the thing has to be; None is the operator, to whom everything is visible.

    What is unknown and what is another account's are the same ``NotFound``. Nothing that somebody wrote is read, and
    no device's address.
    """

    def __init__(self, database: Database, clock: Clock, log_days: int) -> None:
        self._database = database
        self._clock = clock
        self._log_days = log_days

    async def why(self, account_sid: str | None, sid: str, wanted: Page) -> list[Explanation]:
        """Of a message or a participant, by its SID; the key of a page is ``key_of``."""
        if is_sid(sid, PARTICIPANT):
            return await self.of_participant(account_sid, sid, wanted)
        return await self.of_message(account_sid, sid, wanted)

    async def of_message(self, account_sid: str | None, sid: str, wanted: Page) -> list[Explanation]:
        """One for each member of its conversation, and for each who was told and has left, by identity.

        Six statements at most, however many members there are. Raises 50500.
        """
        if not is_sid(sid, MESSAGE):
            raise MESSAGE_NOT_FOUND()
        async with self._database.snapshot() as connection:
            reads = NoticeReads(connection)
            message = await reads.message(sid)
            notice = next(reversed(await reads.about(sid, self._kept_since())), None)
            known = message or notice
            if known is None or account_sid not in (None, known.account_sid):
                raise MESSAGE_NOT_FOUND()
            conversation = known.conversation_sid
            if message is None and conversation is not None and not await reads.has_conversation(conversation):
                conversation = None
            identities = await reads.concerned(conversation, notice.sid if notice is not None else None, wanted)
            if not identities:
                return []
            members = await reads.members(conversation, identities) if conversation is not None else {}
            if notice is None:
                silence: str | None = await self._silence(connection, known.account_sid, known.service_sid, NEW, sid)
                devices: dict[str, list[Delivery]] = {}
            else:
                silence = notice.why_nobody
                devices = _by_identity(await reads.deliveries(notice.sid, identities))
        return [
            Explanation(
                identity,
                members.get(identity),
                NEW,
                notice,
                _why_not(identity, devices.get(identity, ()), message, members.get(identity), sid, silence),
                devices.get(identity, ()),
            )
            for identity in identities
        ]

    async def of_participant(self, account_sid: str | None, sid: str, wanted: Page) -> list[Explanation]:
        """One for his coming, and one for his going if he has gone. Seven statements at most. Raises 50432."""
        if not is_sid(sid, PARTICIPANT):
            raise PARTICIPANT_NOT_FOUND()
        async with self._database.snapshot() as connection:
            reads, told = NoticeReads(connection), []
            participant = await reads.participant(sid)
            notices = {notice.kind: notice for notice in await reads.about(sid, self._kept_since())}
            known = participant or next(iter(notices.values()), None)
            if known is None or account_sid not in (None, known.account_sid):
                raise PARTICIPANT_NOT_FOUND()
            for kind in (PushKind.ADDED, PushKind.REMOVED) if participant is None else (PushKind.ADDED,):
                notice = notices.get(kind)
                devices = await Notices(connection).deliveries(notice.sid) if notice is not None else []
                told.append((kind, notice, devices))
            identity = participant.name if participant is not None else None
            identity = identity or next((one.identity for _, _, devices in told for one in devices), None)
            explained = []
            for kind, notice, devices in told:
                if devices:
                    reason = why_not(devices)
                elif participant is not None and participant.name is None:
                    reason = WhyNot.NOT_IN_CHAT
                elif notice is not None:
                    reason = notice.why_nobody or WhyNot.NO_DEVICE
                else:
                    reason = await self._silence(connection, known.account_sid, known.service_sid, kind, sid)
                here = sid if participant is not None else None
                explained.append(Explanation(identity, here, kind, notice, reason, devices))
        return _part(explained, wanted)

    def _kept_since(self) -> int:
        """What is older is being forgotten, and may be so in part."""
        return self._clock.now() - self._log_days * DAY_US

    async def _silence(
        self, connection: Connection, account_sid: str, service_sid: str, kind: PushKind, sid: str
    ) -> str:
        """Why there is no notice of this kind."""
        if await NoticeReads(connection).is_planned(account_sid, kind, sid):
            return WhyNot.PLANNED
        if self._clock.now() - made_at(sid) > self._log_days * DAY_US:
            return nothing_known(self._log_days)
        settings = await Notifications(connection).settings(service_sid)
        if not is_wanted(settings or NotificationSettings(service_sid, account_sid), kind):
            return OFF[kind]
        return NOT_PLANNED[kind]


def key_of(explained: Explanation) -> str:
    """What explanations of one thing are ordered by: who is concerned by a message, what befell a participant."""
    return (explained.identity or "") if explained.kind is NEW else explained.kind


def _why_not(
    identity: str,
    devices: Sequence[Delivery],
    message: Subject | None,
    participant_sid: str | None,
    message_sid: str,
    silence: str | None,
) -> str | None:
    """Why none of his devices rang; None when one did. ``silence`` is why nobody at all was told."""
    if devices:
        return why_not(devices)
    if message is not None and identity == message.name:
        return WhyNot.AUTHOR
    if participant_sid is not None and participant_sid[2:] > message_sid[2:]:  # SIDs grow
        return WhyNot.JOINED_LATER
    return silence or WhyNot.NO_DEVICE


def _by_identity(deliveries: Sequence[Delivery]) -> dict[str, list[Delivery]]:
    of: dict[str, list[Delivery]] = {}
    for delivery in deliveries:
        of.setdefault(delivery.identity, []).append(delivery)
    return of


def _part(explained: Sequence[Explanation], wanted: Page) -> list[Explanation]:
    """What ``storage.paging.page`` would give of a few rows, in their order."""
    rows = list(explained)
    if wanted.after is not None:
        after = wanted.after
        rows = [
            one
            for one in rows
            if (wanted.inclusive and key_of(one) == after)
            or (key_of(one) < str(after) if wanted.backward else key_of(one) > str(after))
        ]
    return rows[-wanted.limit :] if wanted.backward else rows[: wanted.limit]
