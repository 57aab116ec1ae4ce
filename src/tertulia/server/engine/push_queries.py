"""Reading what is to be sent to devices, and what became of it."""

from __future__ import annotations

import msgspec

from tertulia.server.domain.credentials import Secrets
from tertulia.server.domain.notices import SendPushes
from tertulia.server.push.service import OpenCredential
from tertulia.server.sealing import Sealer, SealingError
from tertulia.server.storage.credentials import Credentials
from tertulia.server.storage.database import Database
from tertulia.server.storage.notices import Due as Due
from tertulia.server.storage.notices import Notices
from tertulia.server.storage.notifications import Notifications

from .credentials import opened


class Reading(msgspec.Struct, frozen=True):
    """What a batch needs."""

    due: list[Due]
    credential: OpenCredential | None
    """None: it is gone."""
    logs_failures: bool


class PushQueries:
    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer

    async def due(self, job: SendPushes) -> Reading:
        """Those of a batch that are still to be told, and by what. Three statements; one when nothing is due.

        A credential whose secrets cannot be read any more comes without them, so that its pushes fail with a reason.
        """
        async with self._database.snapshot() as connection:
            due = await Notices(connection).due(job.notice_sid, job.registrations, job.conversation_sid)
            if not due:
                return Reading([], None, False)
            credential = await Credentials(connection).find(job.account_sid, job.credential_sid)
            settings = await Notifications(connection).settings(job.service_sid)
        logs_failures = settings is not None and settings.log_enabled
        if credential is None:
            return Reading(due, None, logs_failures)
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
            logs_failures,
        )
