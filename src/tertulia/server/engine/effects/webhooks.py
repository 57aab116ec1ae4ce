"""Whom we owe word of a change: the hooks of its service or account, and the webhooks of its conversation.

Written with the change, so that a receiver hears of it whatever happens to us; in the order of the commits, for each
webhook and conversation (semantics 1.6). Where somebody might wait for a webhook in vain, the event log says why there
is none.
"""

from __future__ import annotations

from collections.abc import Sequence

from tertulia.server.domain.base import Change
from tertulia.server.domain.callers import CallerKind
from tertulia.server.domain.conversations import (
    Conversation,
    ConversationDeleted,
    ConversationState,
    ConversationStateChanged,
)
from tertulia.server.domain.receipts import ReceiptRecorded, ReceiptStatus
from tertulia.server.domain.webhooks import CallWebhook, Parameters, ScopedWebhook
from tertulia.server.engine.rules import effect_of
from tertulia.server.engine.unit import Unit
from tertulia.server.engine.webhook_events import EVENTS, Event, post_parameters, subject_of
from tertulia.server.engine.webhook_targets import call_of, not_fired, target_of

OF_THE_SYSTEM = frozenset(("onConversationStateUpdated", "onDeliveryUpdated", "onUserUpdated"))
"""What is told although no caller did it (semantics 1.2)."""


async def tell(unit: Unit, change: Change) -> None:
    """Promise the calls that this change calls for."""
    event, subject = EVENTS[type(change)], subject_of(change)
    conversation = subject if isinstance(subject, Conversation) else None
    choice = unit.hooks.remembered(subject.account_sid, subject.service_sid)
    if choice is None:  # nearly never
        choice = await unit.hooks.of(unit.webhooks, subject.account_sid, subject.service_sid)
    hook = choice.of(event.name)
    url = hook.post_url if hook is not None else None
    has_webhooks = conversation is not None and conversation.webhook_count > 0
    if (url is None and not has_webhooks) or _is_silent(change):
        return
    if not _is_told(unit, event, change):
        # Before anything is read, and without a word of what nobody waits for: old messages go by the thousand.
        if unit.caller.kind is not CallerKind.SYSTEM:
            not_fired(event, subject.account_sid, "hooks are off for this caller")
        return
    scoped = await _webhooks(unit, change, conversation) if conversation is not None and has_webhooks else ()
    place = conversation.sid if conversation is not None else subject.service_sid
    parameters: Parameters | None = None
    if hook is not None and url is not None:
        if hook.wants(event.name):
            parameters = post_parameters(event, change, unit.caller, unit.now)
            call = CallWebhook(
                account_sid=subject.account_sid,
                webhook_sid=hook.owner_sid,
                event=event.name,
                url=url,
                method=hook.method or "POST",
                parameters=parameters,
            )
            unit.enqueue(call, ordering_key=f"{hook.owner_sid}/{place}")
        else:
            not_fired(event, hook.owner_sid, "not among its filters")
    for webhook in scoped:
        reason, target = target_of(webhook, event, change, unit.policy.flows)
        if target is None:
            not_fired(event, webhook.sid, reason)
            continue
        parameters = parameters or post_parameters(event, change, unit.caller, unit.now)
        unit.enqueue(call_of(webhook, event, target, parameters), ordering_key=f"{webhook.sid}/{place}")


for _kind in EVENTS:
    effect_of(_kind)(tell)


def _is_silent(change: Change) -> bool:
    """Nothing is said of a receipt that is only expected (semantics 4.11)."""
    return isinstance(change, ReceiptRecorded) and change.receipt.status == ReceiptStatus.QUEUED


def _is_told(unit: Unit, event: Event, change: Change) -> bool:
    """The caller has hooks on; or nobody did it (semantics 1.2)."""
    if unit.caller.kind is CallerKind.SYSTEM:
        return event.name in OF_THE_SYSTEM
    if isinstance(change, ConversationStateChanged) and change.before_state == ConversationState.INITIALIZING:
        return True
    return unit.caller.hooks


async def _webhooks(unit: Unit, change: Change, conversation: Conversation) -> Sequence[ScopedWebhook]:
    if isinstance(change, ConversationDeleted):
        return change.webhooks  # they went with it
    known = unit.webhooks_heard.get(conversation.sid)
    if known is None:  # a command may change ten things in one conversation
        known = unit.webhooks_heard[conversation.sid] = await unit.webhooks.of_conversation(conversation.sid)
    return known
