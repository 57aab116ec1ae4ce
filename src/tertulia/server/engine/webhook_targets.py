"""Whether a webhook of a conversation is called for an event, where, and why not (semantics 1.1)."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from functools import lru_cache

from tertulia.server import observe
from tertulia.server.domain.base import Change
from tertulia.server.domain.messages import MessageAdded
from tertulia.server.domain.webhooks import CallWebhook, Parameters, ScopedWebhook

from .webhook_events import Event

log = logging.getLogger(__name__)


def target_of(webhook: ScopedWebhook, event: Event, change: Change, flows: Mapping[str, str]) -> tuple[str, str | None]:
    """The URL to call for this change; or None, and why nobody is called."""
    if event.name not in webhook.events:
        return "not among its filters", None
    if webhook.target == "trigger":
        body = change.message.body if isinstance(change, MessageAdded) else None
        if not any(has_word(body or "", trigger) for trigger in webhook.triggers):
            return "no keyword in the message", None
    if webhook.target == "studio":
        return "the flow has no URL in webhooks.flows", flows.get(webhook.flow_sid or "")
    return "it has no URL", webhook.url


def call_of(webhook: ScopedWebhook, event: Event, url: str, parameters: Parameters) -> CallWebhook:
    """The call that tells this webhook."""
    return CallWebhook(
        account_sid=webhook.account_sid,
        webhook_sid=webhook.sid,
        event=event.name,
        url=url,
        method=webhook.method,
        parameters=parameters if webhook.flow_sid is None else (*parameters, ("FlowSid", webhook.flow_sid)),
        retry_count=webhook.retry_count,
    )


def not_fired(event: Event, webhook: str, reason: str) -> None:
    """A line of the event log: why somebody hears nothing."""
    observe.WEBHOOKS.labels(event.name, "not_fired").inc()
    log.info("webhook.not_fired", extra=observe.fields(webhook_event=event.name, webhook=webhook, reason=reason))


def has_word(text: str, word: str) -> bool:
    """The text contains the keyword as a whole word, in any case."""
    return _pattern(word).search(text) is not None


@lru_cache(maxsize=1024)
def _pattern(word: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(word)}(?!\w)", re.IGNORECASE)
