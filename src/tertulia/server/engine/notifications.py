"""Notification settings of a service (rest 4.3)."""

from __future__ import annotations

import msgspec
from msgspec import UNSET

from tertulia.server.bus.base import NotificationsChanged
from tertulia.server.domain.notifications import (
    ConfigureNotifications,
    NotificationsConfigured,
    NotificationSettings,
)

from .rules import handles
from .scenes import ServiceScene, in_service
from .unit import Unit


@handles(ConfigureNotifications, on=in_service, for_clients=False)
async def configure_notifications(
    unit: Unit, command: ConfigureNotifications, scene: ServiceScene
) -> NotificationSettings:
    service = scene.service
    stored = await unit.notifications.settings(service.sid)
    before = stored or NotificationSettings(service.sid, service.account_sid)
    named = {
        name: value
        for name in ConfigureNotifications.__struct_fields__
        if name != "service" and (value := getattr(command, name)) is not UNSET
    }
    settings = msgspec.structs.replace(before, **named)
    if settings == before:
        return before
    if stored is None:
        await unit.notifications.add(settings)
    else:
        await unit.notifications.save(settings, stored)
    unit.record(NotificationsConfigured(settings=settings))
    unit.tell(NotificationsChanged(service.account_sid))
    return settings
