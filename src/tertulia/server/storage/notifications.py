"""Notification settings of services."""

from __future__ import annotations

from tertulia.server.domain.notifications import NotificationSettings

from .database import Connection
from .table import Table

NOTIFICATION_SETTINGS = Table(NotificationSettings, "notification_settings", key="service_sid")


class Notifications:
    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def settings(self, service_sid: str) -> NotificationSettings | None:
        """Those of a service, if it ever set any."""
        return await NOTIFICATION_SETTINGS.get(self._connection, service_sid)

    async def add(self, settings: NotificationSettings) -> None:
        await NOTIFICATION_SETTINGS.add(self._connection, settings)

    async def save(self, settings: NotificationSettings, before: NotificationSettings) -> None:
        """Write what differs from ``before``."""
        await NOTIFICATION_SETTINGS.save(self._connection, settings, before)
