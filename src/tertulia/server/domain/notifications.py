"""Notification settings of a service: what devices are woken for, with which words (rest 4.3, semantics 7.3)."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from .base import Change, Command, Entity
from .errors import SOUND_TOO_LONG, TEMPLATE_TOO_LONG
from .limits import NOTIFICATION_SOUND_CHARS, NOTIFICATION_TEMPLATE_CHARS
from .values import check_length


class NotificationSettings(Entity, frozen=True):
    """Of a service that never set anything: nothing is sent."""

    service_sid: str
    account_sid: str
    log_enabled: bool = False
    new_message_enabled: bool = False
    new_message_template: str = ""
    """Empty, like each template: the text of semantics 7.3."""
    new_message_sound: str = ""
    badge_count_enabled: bool = False
    media_enabled: bool = False
    media_template: str = ""
    added_enabled: bool = False
    added_template: str = ""
    added_sound: str = ""
    removed_enabled: bool = False
    removed_template: str = ""
    removed_sound: str = ""


class ConfigureNotifications(Command[NotificationSettings], frozen=True, kw_only=True):
    """Change the notification settings of a service; what is not named stays."""

    service: str
    log_enabled: bool | UnsetType = UNSET
    new_message_enabled: bool | UnsetType = UNSET
    new_message_template: str | UnsetType = UNSET
    new_message_sound: str | UnsetType = UNSET
    badge_count_enabled: bool | UnsetType = UNSET
    media_enabled: bool | UnsetType = UNSET
    media_template: str | UnsetType = UNSET
    added_enabled: bool | UnsetType = UNSET
    added_template: str | UnsetType = UNSET
    added_sound: str | UnsetType = UNSET
    removed_enabled: bool | UnsetType = UNSET
    removed_template: str | UnsetType = UNSET
    removed_sound: str | UnsetType = UNSET

    def check(self) -> None:
        for template in (
            self.new_message_template,
            self.media_template,
            self.added_template,
            self.removed_template,
        ):
            if template is not UNSET:
                check_length(template, NOTIFICATION_TEMPLATE_CHARS, TEMPLATE_TOO_LONG, "The template")
        for sound in (self.new_message_sound, self.added_sound, self.removed_sound):
            if sound is not UNSET:
                check_length(sound, NOTIFICATION_SOUND_CHARS, SOUND_TOO_LONG, "The sound")


class NotificationsConfigured(Change, frozen=True, kw_only=True):
    settings: NotificationSettings
