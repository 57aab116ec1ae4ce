"""What the devices of a service are woken for, remembered so that a message costs no look-up for it (semantics 7.3)."""

from __future__ import annotations

from tertulia.server.bus.base import Bus, NotificationsChanged
from tertulia.server.clock import Clock
from tertulia.server.domain.notifications import NotificationSettings
from tertulia.server.storage.notifications import Notifications

from .remembered import Remembered


class NotificationDirectory:
    """Remembers what devices are woken for, so that a message of a service without notifications costs nothing."""

    def __init__(self, bus: Bus, clock: Clock) -> None:
        self._settings: Remembered[NotificationSettings | None] = Remembered(bus, clock, NotificationsChanged)

    async def of(self, notifications: Notifications, account_sid: str, service_sid: str) -> NotificationSettings | None:
        """The settings of a service, remembered or read; None where it never had any."""
        return await self._settings.read(account_sid, service_sid, lambda: notifications.settings(service_sid))
