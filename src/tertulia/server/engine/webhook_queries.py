"""Reads of webhooks, for account callers."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from tertulia.server.domain import callers
from tertulia.server.domain.callers import Caller
from tertulia.server.domain.errors import WEBHOOK_NOT_FOUND
from tertulia.server.domain.messages import MessageAdded
from tertulia.server.domain.webhooks import CallWebhook, HookSettings, ReplayMessages, ScopedWebhook
from tertulia.server.storage.conversations import Conversations
from tertulia.server.storage.database import Database
from tertulia.server.storage.messages import Messages
from tertulia.server.storage.paging import Page
from tertulia.server.storage.webhooks import Webhooks

from .visible import visible_conversation, visible_service
from .webhook_events import MESSAGE_ADDED, post_parameters
from .webhook_targets import call_of, not_fired, target_of


class Replayed(msgspec.Struct, frozen=True):
    """An earlier message, and the call that tells of it; None for one that the webhook does not want."""

    index: int
    call: CallWebhook | None


class WebhookQueries:
    """What can be asked of webhooks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of_account(self, caller: Caller) -> HookSettings | None:
        """The account's hooks; None when they were never set."""
        async with self._database.snapshot() as connection:
            return await Webhooks(connection).settings(caller.account_sid)

    async def of_service(self, caller: Caller, service_sid: str) -> HookSettings | None:
        """A service's hooks; None when they were never set."""
        async with self._database.snapshot() as connection:
            await visible_service(connection, caller, service_sid)
            return await Webhooks(connection).settings(service_sid)

    async def one(self, caller: Caller, service_sid: str, conversation: str, sid: str) -> ScopedWebhook:
        async with self._database.snapshot() as connection:
            found = await visible_conversation(connection, caller, service_sid, conversation)
            webhook = await Webhooks(connection).find(found.sid, sid)
        if webhook is None:
            raise WEBHOOK_NOT_FOUND()
        return webhook

    async def page(self, caller: Caller, service_sid: str, conversation: str, wanted: Page) -> list[ScopedWebhook]:
        async with self._database.snapshot() as connection:
            found = await visible_conversation(connection, caller, service_sid, conversation)
            return await Webhooks(connection).page(found.sid, wanted)

    async def replayed(self, job: ReplayMessages, flows: Mapping[str, str]) -> Replayed | None:
        """The next earlier message that the webhook is to hear of; None when there is none, or no such webhook."""
        async with self._database.snapshot() as connection:
            webhook = await Webhooks(connection).find(job.conversation_sid, job.webhook_sid)
            conversation = await Conversations(connection).get(job.conversation_sid)
            message = await Messages(connection).following(job.conversation_sid, job.after, job.upto)
        if webhook is None or conversation is None or message is None:
            return None
        change = MessageAdded(message=message, conversation=conversation)
        reason, url = target_of(webhook, MESSAGE_ADDED, change, flows)
        if url is None:
            not_fired(MESSAGE_ADDED, webhook.sid, reason)
            return Replayed(message.index, None)
        # Who sent it is not known any more; the message says what there is to say.
        parameters = post_parameters(MESSAGE_ADDED, change, callers.account(job.account_sid), message.created_at)
        return Replayed(message.index, call_of(webhook, MESSAGE_ADDED, url, parameters))
