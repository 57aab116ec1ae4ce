"""Webhooks: hooks of accounts and services, webhooks of conversations."""

from __future__ import annotations

from tertulia.server.domain.webhooks import HookSettings, ScopedWebhook

from .database import Connection
from .paging import Page, page
from .table import Table

HOOK_SETTINGS = Table(HookSettings, "hook_settings", key="owner_sid")
SCOPED_WEBHOOKS = Table(ScopedWebhook, "scoped_webhooks")


class Webhooks:
    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def settings(self, owner_sid: str) -> HookSettings | None:
        """The hooks of an account or a service, if they were ever set."""
        return await HOOK_SETTINGS.get(self._connection, owner_sid)

    async def settings_of_both(
        self, account_sid: str, service_sid: str
    ) -> tuple[HookSettings | None, HookSettings | None]:
        """The account's and the service's, by one statement."""
        rows = await self._connection.rows(
            f"SELECT {HOOK_SETTINGS.columns} FROM hook_settings WHERE owner_sid IN ($1, $2)", account_sid, service_sid
        )
        found = {one.owner_sid: one for one in HOOK_SETTINGS.entities(rows)}
        return found.get(account_sid), found.get(service_sid)

    async def keep_settings(self, settings: HookSettings, *, is_new: bool) -> None:
        if is_new:
            await HOOK_SETTINGS.add(self._connection, settings)
        else:
            await HOOK_SETTINGS.save(self._connection, settings)

    async def find(self, conversation_sid: str, sid: str) -> ScopedWebhook | None:
        found = await SCOPED_WEBHOOKS.get(self._connection, sid)
        return found if found is not None and found.conversation_sid == conversation_sid else None

    async def of_conversation(self, conversation_sid: str) -> list[ScopedWebhook]:
        """All of them, by age; there are five at most."""
        rows = await self._connection.rows(
            f"SELECT {SCOPED_WEBHOOKS.columns} FROM scoped_webhooks WHERE conversation_sid = $1 ORDER BY sid",
            conversation_sid,
        )
        return SCOPED_WEBHOOKS.entities(rows)

    async def page(self, conversation_sid: str, wanted: Page) -> list[ScopedWebhook]:
        rows = await page(
            self._connection,
            SCOPED_WEBHOOKS.columns,
            "scoped_webhooks",
            "conversation_sid = $1",
            (conversation_sid,),
            "sid",
            wanted,
        )
        return SCOPED_WEBHOOKS.entities(rows)

    async def add(self, webhook: ScopedWebhook) -> None:
        await SCOPED_WEBHOOKS.add(self._connection, webhook)

    async def save(self, webhook: ScopedWebhook, before: ScopedWebhook) -> None:
        """Write what differs from ``before``."""
        await SCOPED_WEBHOOKS.save(self._connection, webhook, before)

    async def remove(self, sid: str) -> None:
        await SCOPED_WEBHOOKS.remove(self._connection, sid)

    async def remove_of_conversation(self, conversation_sid: str) -> None:
        await self._connection.execute("DELETE FROM scoped_webhooks WHERE conversation_sid = $1", conversation_sid)

    async def remove_of_service(self, service_sid: str) -> None:
        """The hooks of a service. Those of its conversations go with them."""
        await HOOK_SETTINGS.remove(self._connection, service_sid)
