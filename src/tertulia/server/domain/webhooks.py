"""Webhooks: whom we ask before something happens, and whom we tell after it (semantics 1, rest 3.2, 4.4, 9)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from msgspec import UNSET, UnsetType

from tertulia.wire.sids import is_sid

from .base import Change, Command, Entity
from .errors import (
    BAD_FLOW_SID,
    BAD_PARAMETER,
    BAD_POST_URL,
    BAD_PRE_URL,
    BAD_WEBHOOK_FILTER,
    BAD_WEBHOOK_METHOD,
    BAD_WEBHOOK_PARAMETER,
    BAD_WEBHOOK_TARGET,
    BAD_WEBHOOK_TRIGGER,
    MISSING_WEBHOOK_FILTER,
    MISSING_WEBHOOK_TARGET,
    MISSING_WEBHOOK_TRIGGER,
    MISSING_WEBHOOK_URL,
    TOO_MANY_TRIGGERS,
    WEBHOOK_URL_TOO_LONG,
    Row,
)
from .jobs import Job
from .limits import TRIGGER_CHARS, TRIGGERS, WEBHOOK_URL_CHARS

PRE_EVENTS: Final = (
    "onConversationAdd",
    "onConversationUpdate",
    "onConversationRemove",
    "onMessageAdd",
    "onMessageUpdate",
    "onMessageRemove",
    "onParticipantAdd",
    "onParticipantUpdate",
    "onParticipantRemove",
    "onUserUpdate",
)
"""Somebody may say no to these before they happen."""

CONVERSATION_EVENTS: Final = (
    "onConversationUpdated",
    "onConversationStateUpdated",
    "onConversationRemoved",
    "onMessageAdded",
    "onMessageUpdated",
    "onMessageRemoved",
    "onParticipantAdded",
    "onParticipantUpdated",
    "onParticipantRemoved",
    "onDeliveryUpdated",
)
"""What a webhook of one conversation, or of an address, may listen to."""

USER_EVENTS: Final = ("onUserAdded", "onUserUpdate", "onUserUpdated")
"""These belong to no service's hooks: they always go to the account's (semantics 1.1)."""

EVENTS: Final = frozenset((*PRE_EVENTS, *CONVERSATION_EVENTS, *USER_EVENTS, "onConversationAdded"))
STALE_EVENTS: Final = frozenset(("onMessageSend", "onMessageSent", "onConversationDestroyed"))
"""Named by published examples, and by nothing else: taken, and never fired (rest 3.2)."""

WEBHOOK_TARGETS: Final = ("webhook", "trigger", "studio")


class HookSettings(Entity, frozen=True):
    """The hooks of an account or of a service. A service that never set anything has none of these."""

    owner_sid: str
    """SID of the account or of the service."""
    account_sid: str
    pre_url: str | None
    post_url: str | None
    method: str | None
    """GET or POST; None is POST, not yet set."""
    filters: str | None
    """Names joined by spaces; None: not yet set."""

    @property
    def events(self) -> list[str]:
        return (self.filters or "").split()

    @property
    def is_configured(self) -> bool:
        """It has a URL: as a service's, these four replace the account's (semantics 1.1)."""
        return self.pre_url is not None or self.post_url is not None

    def wants(self, event: str) -> bool:
        return event in (self.filters or "").split()


class ScopedWebhook(Entity, frozen=True):
    """A webhook of one conversation; post-action events only."""

    sid: str
    account_sid: str
    service_sid: str
    conversation_sid: str
    target: str
    url: str | None
    method: str
    """GET or POST."""
    filters: str
    """Names joined by spaces."""
    triggers: tuple[str, ...]
    flow_sid: str | None
    replay_after: int | None
    retry_count: int | None
    """Retries of a flow that does not answer (API: AutoCreation.StudioRetryCount)."""
    created_at: int
    updated_at: int

    @property
    def events(self) -> list[str]:
        return self.filters.split()


class ConfigureHooks(Command[HookSettings], frozen=True, kw_only=True):
    """Change the hooks of the account, or of a service; an empty URL removes it."""

    service: str | None = None
    """None: those of the account."""
    pre_url: str | UnsetType = UNSET
    post_url: str | UnsetType = UNSET
    method: str | UnsetType = UNSET
    filters: tuple[str, ...] | UnsetType = UNSET
    target: str | UnsetType = UNSET

    def check(self) -> None:
        for url, failure in ((self.pre_url, BAD_PRE_URL), (self.post_url, BAD_POST_URL)):
            if url:
                check_webhook_url(url, failure)
        if self.method is not UNSET:
            check_method(self.method)
        if self.filters is not UNSET:
            unknown = sorted(set(self.filters) - EVENTS - STALE_EVENTS)
            if unknown:
                raise BAD_WEBHOOK_PARAMETER("Filters names an unknown event")
            if self.service is not None and (users := set(self.filters) & set(USER_EVENTS)):
                raise BAD_WEBHOOK_PARAMETER(f"{min(users)} goes to the webhooks of the account")
        if self.target is not UNSET and self.target != "webhook":
            raise BAD_WEBHOOK_PARAMETER("Target is webhook; flex is not offered")


class WebhookFields(Command[ScopedWebhook], frozen=True, kw_only=True):
    """What creating and updating a webhook of a conversation share; an absent parameter leaves the value alone."""

    service: str
    conversation: str
    url: str | UnsetType = UNSET
    method: str | UnsetType = UNSET
    filters: tuple[str, ...] | UnsetType = UNSET
    triggers: tuple[str, ...] | UnsetType = UNSET
    flow_sid: str | UnsetType = UNSET

    def check(self) -> None:
        if self.url:
            if len(self.url) > WEBHOOK_URL_CHARS:
                raise WEBHOOK_URL_TOO_LONG()
            check_webhook_url(self.url, BAD_WEBHOOK_PARAMETER)
        if self.method is not UNSET:
            check_method(self.method)
        if self.filters is not UNSET:
            check_filters(self.filters)
        if self.triggers is not UNSET:
            _check_triggers(self.triggers)
        if self.flow_sid is not UNSET and not is_sid(self.flow_sid, "FW"):
            raise BAD_FLOW_SID()


class CreateScopedWebhook(WebhookFields, frozen=True, kw_only=True):
    target: str
    replay_after: int | None = None
    """Messages after this index are told again, before new ones (semantics 1.1)."""

    def check(self) -> None:
        if not self.target:
            raise MISSING_WEBHOOK_TARGET()
        if self.target not in WEBHOOK_TARGETS:
            raise BAD_WEBHOOK_TARGET()
        super().check()
        if self.target in ("webhook", "trigger") and not self.url:
            raise MISSING_WEBHOOK_URL()
        if self.target == "webhook" and not self.filters:
            raise MISSING_WEBHOOK_FILTER()
        if self.target == "trigger" and not self.triggers:
            raise MISSING_WEBHOOK_TRIGGER()
        if self.target == "studio" and self.flow_sid is UNSET:
            raise BAD_FLOW_SID("Configuration.FlowSid is missing")
        if self.replay_after is not None and not -1 <= self.replay_after < 1 << 62:
            raise BAD_PARAMETER("Configuration.ReplayAfter is the index of a message, or -1 for all")


class UpdateScopedWebhook(WebhookFields, frozen=True, kw_only=True):
    webhook: str


class DeleteScopedWebhook(Command[None], frozen=True, kw_only=True):
    service: str
    conversation: str
    webhook: str


class HooksConfigured(Change, frozen=True, kw_only=True):
    settings: HookSettings


class ScopedWebhookCreated(Change, frozen=True, kw_only=True):
    webhook: ScopedWebhook


class ScopedWebhookUpdated(Change, frozen=True, kw_only=True):
    webhook: ScopedWebhook


class ScopedWebhookDeleted(Change, frozen=True, kw_only=True):
    webhook: ScopedWebhook


Parameters = tuple[tuple[str, str], ...]
"""Names and values of a webhook request, in the order they are sent."""


class CallWebhook(Job, frozen=True, kw_only=True):
    """Tell one receiver of one event."""

    account_sid: str
    """Whose auth token signs the request."""
    webhook_sid: str
    """The webhook's; or that of the account or service whose hook it is."""
    event: str
    url: str
    """As configured, with connection overrides in its fragment."""
    method: str
    parameters: Parameters
    retry_count: int | None = None
    """Retries, where the webhook has a number of its own."""

    @property
    def receiver(self) -> str | None:
        return _share(self.account_sid, host_of(self.url))


class ReplayMessages(Job, frozen=True, kw_only=True):
    """Tell a new webhook of the messages that were there before it, oldest first."""

    account_sid: str
    webhook_sid: str
    conversation_sid: str
    after: int
    """Index of the message told last."""
    upto: int
    """Index of the newest message when the webhook was made; what came later is told by itself."""
    host: str | None = None
    """Whose turn each call takes."""

    @property
    def receiver(self) -> str | None:
        return _share(self.account_sid, self.host)


def _share(account_sid: str, host: str | None) -> str | None:
    """Each account has a share of its own of a host: what it makes hang there, others may not even know."""
    return None if host is None else f"{account_sid}/{host}"


def host_of(url: str) -> str | None:
    """Host and port of a checked URL."""
    return urlsplit(url).netloc.rpartition("@")[2] or None


def check_webhook_url(url: str, failure: Row) -> None:
    """Raise unless this is an absolute http or https URL that can be called; says nothing of what it holds."""
    if len(url) > WEBHOOK_URL_CHARS:
        raise failure(f"The URL has more than {WEBHOOK_URL_CHARS} characters")
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable or any(character.isspace() or not character.isprintable() for character in url):
        raise failure("The URL is no absolute http or https URL")


def check_method(method: str) -> None:
    if method not in ("GET", "POST"):
        raise BAD_WEBHOOK_METHOD()


def check_filters(filters: Iterable[str]) -> None:
    """Raise 50365 for what a webhook of a conversation, or of an address, cannot listen to."""
    if not set(filters) <= set(CONVERSATION_EVENTS):
        raise BAD_WEBHOOK_FILTER()


def _check_triggers(triggers: tuple[str, ...]) -> None:
    if len(triggers) > TRIGGERS:
        raise TOO_MANY_TRIGGERS()
    if not all(0 < len(trigger) <= TRIGGER_CHARS for trigger in triggers):
        raise BAD_WEBHOOK_TRIGGER()
