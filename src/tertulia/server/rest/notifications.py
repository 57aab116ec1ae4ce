"""Notification settings of a service (rest 4.3)."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType, field

from tertulia.server.domain.notifications import ConfigureNotifications, NotificationSettings
from tertulia.server.web.forms import Form
from tertulia.server.web.operations import Call, Operations

from .views import FACE, PREFIX

OPERATIONS = Operations(FACE, PREFIX)

_PATH = "/Services/{service}/Configuration/Notifications"


class WithMediaView(msgspec.Struct, frozen=True):
    enabled: bool
    template: str


class NewMessageView(msgspec.Struct, frozen=True):
    enabled: bool
    template: str
    sound: str
    badge_count_enabled: bool
    with_media: WithMediaView


class MembershipNotificationView(msgspec.Struct, frozen=True):
    enabled: bool
    template: str
    sound: str


class NotificationsView(msgspec.Struct, frozen=True):
    account_sid: str
    chat_service_sid: str
    log_enabled: bool
    new_message: NewMessageView
    added_to_conversation: MembershipNotificationView
    removed_from_conversation: MembershipNotificationView
    url: str

    @classmethod
    def of(cls, settings: NotificationSettings, root: str) -> NotificationsView:
        return cls(
            account_sid=settings.account_sid,
            chat_service_sid=settings.service_sid,
            log_enabled=settings.log_enabled,
            new_message=NewMessageView(
                settings.new_message_enabled,
                settings.new_message_template,
                settings.new_message_sound,
                settings.badge_count_enabled,
                WithMediaView(settings.media_enabled, settings.media_template),
            ),
            added_to_conversation=MembershipNotificationView(
                settings.added_enabled, settings.added_template, settings.added_sound
            ),
            removed_from_conversation=MembershipNotificationView(
                settings.removed_enabled, settings.removed_template, settings.removed_sound
            ),
            url=f"{root}{_PATH.format(service=settings.service_sid)}",
        )


class UpdateNotifications(Form, frozen=True, kw_only=True):
    """Templates and sounds are removed by an empty value."""

    log_enabled: bool | UnsetType = UNSET
    new_message_enabled: bool | UnsetType = field(name="NewMessage.Enabled", default=UNSET)
    new_message_template: str | UnsetType = field(name="NewMessage.Template", default=UNSET)
    new_message_sound: str | UnsetType = field(name="NewMessage.Sound", default=UNSET)
    badge_count_enabled: bool | UnsetType = field(name="NewMessage.BadgeCountEnabled", default=UNSET)
    media_enabled: bool | UnsetType = field(name="NewMessage.WithMedia.Enabled", default=UNSET)
    media_template: str | UnsetType = field(name="NewMessage.WithMedia.Template", default=UNSET)
    added_enabled: bool | UnsetType = field(name="AddedToConversation.Enabled", default=UNSET)
    added_template: str | UnsetType = field(name="AddedToConversation.Template", default=UNSET)
    added_sound: str | UnsetType = field(name="AddedToConversation.Sound", default=UNSET)
    removed_enabled: bool | UnsetType = field(name="RemovedFromConversation.Enabled", default=UNSET)
    removed_template: str | UnsetType = field(name="RemovedFromConversation.Template", default=UNSET)
    removed_sound: str | UnsetType = field(name="RemovedFromConversation.Sound", default=UNSET)


@OPERATIONS.operation("GET", _PATH)
async def fetch_notifications(call: Call) -> NotificationsView:
    """What devices of the service's users are woken for."""
    settings = await call.queries.of_account.notifications(call.caller, call.path["service"])
    return NotificationsView.of(settings, call.root)


@OPERATIONS.operation("POST", _PATH, UpdateNotifications)
async def update_notifications(call: Call, form: UpdateNotifications) -> NotificationsView:
    """Change what devices are woken for, and with which words; what is not sent stays."""
    wish = ConfigureNotifications(
        service=call.path["service"], **{name: getattr(form, name) for name in form.__struct_fields__}
    )
    return NotificationsView.of(await call.execute(wish), call.root)
