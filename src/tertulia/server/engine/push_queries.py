"""Reading what is to be sent to devices, and what became of it."""

from __future__ import annotations

import msgspec

from tertulia.server.domain.credentials import Secrets
from tertulia.server.domain.notice_texts import is_wanted
from tertulia.server.domain.notices import SendPushes
from tertulia.server.domain.notifications import NotificationSettings
from tertulia.server.push.service import OpenCredential
from tertulia.server.sealing import Sealer, SealingError
from tertulia.server.storage.accounts import Accounts
from tertulia.server.storage.credentials import Credentials
from tertulia.server.storage.database import Connection, Database
from tertulia.server.storage.messages import Messages
from tertulia.server.storage.notices import Due as Due
from tertulia.server.storage.notices import Notices
from tertulia.server.storage.notifications import Notifications

from .credentials import opened

SUSPENDED = "the account was suspended meanwhile"
NO_CREDENTIAL = "its credential was removed, or is now one of another kind"
SWITCHED_OFF = "notifications of its kind were switched off meanwhile"
MESSAGE_REMOVED = "the message was removed meanwhile"


class Reading(msgspec.Struct, frozen=True):
    """What a batch needs."""

    due: list[Due]
    credential: OpenCredential | None
    """None: it is gone."""
    logs_failures: bool
    why_nobody: str | None = None
    """Why none of them is told any more, where that has one reason."""


class PushQueries:
    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer

    async def due(self, job: SendPushes) -> Reading:
        """Those of a batch that are still to be told, and by what. Five statements at most; one when nothing is due.

        A credential whose secrets cannot be read any more comes without them, so that its pushes fail with a reason.
        """
        async with self._database.snapshot() as connection:
            due = await Notices(connection).due(job.notice_sid, job.registrations, job.conversation_sid)
            if not due:
                return Reading([], None, False)
            credential = await Credentials(connection).find(job.account_sid, job.credential_sid)
            settings = await Notifications(connection).settings(job.service_sid)
            settings = settings or NotificationSettings(job.service_sid, job.account_sid)
            why_nobody = await _why_nobody(connection, job, settings)
        if credential is None:
            return Reading(due, None, settings.log_enabled, NO_CREDENTIAL)
        try:
            secrets = opened(self._sealer, credential)
        except SealingError:
            secrets = Secrets()
        return Reading(
            due,
            OpenCredential(
                sid=credential.sid,
                account_sid=credential.account_sid,
                kind=credential.kind,
                sandbox=credential.sandbox,
                secrets=secrets,
                updated_at=credential.updated_at,
            ),
            settings.log_enabled,
            why_nobody,
        )


async def _why_nobody(connection: Connection, job: SendPushes, settings: NotificationSettings) -> str | None:
    content = job.content
    if await Accounts(connection).is_suspended(job.account_sid):
        return SUSPENDED
    if not is_wanted(settings, content.kind):
        return SWITCHED_OFF
    if content.message_index is None or content.conversation_sid is None:
        return None
    # What somebody took back is not told hours later, when a push service can be reached again.
    message = await Messages(connection).at(content.conversation_sid, content.message_index)
    return MESSAGE_REMOVED if message is None else None
