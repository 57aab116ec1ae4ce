"""Webhooks: setting hooks of accounts and services, making and changing webhooks of conversations."""

from __future__ import annotations

import msgspec
from msgspec import UNSET

from tertulia.server.bus.base import HooksChanged
from tertulia.server.domain.errors import RESOURCE_NOT_FOUND, TOO_MANY_WEBHOOKS, WEBHOOK_NOT_FOUND
from tertulia.server.domain.limits import WEBHOOKS_OF_A_CONVERSATION
from tertulia.server.domain.webhooks import (
    ConfigureHooks,
    CreateScopedWebhook,
    DeleteScopedWebhook,
    HooksConfigured,
    HookSettings,
    ReplayMessages,
    ScopedWebhook,
    ScopedWebhookCreated,
    ScopedWebhookDeleted,
    ScopedWebhookUpdated,
    UpdateScopedWebhook,
    host_of,
)

from .rules import handles
from .scenes import AccountScene, ConversationScene, in_account, in_conversation
from .unit import Unit


@handles(ConfigureHooks, on=in_account, for_clients=False)
async def configure_hooks(unit: Unit, command: ConfigureHooks, _scene: AccountScene) -> HookSettings:
    account_sid, owner_sid = unit.caller.account_sid, command.service or unit.caller.account_sid
    if command.service is not None and await unit.services.lock(account_sid, command.service) is None:
        raise RESOURCE_NOT_FOUND()
    before = await unit.webhooks.settings(owner_sid)
    found = before or HookSettings(owner_sid, account_sid, None, None, None, None)
    settings = msgspec.structs.replace(
        found,
        pre_url=found.pre_url if command.pre_url is UNSET else command.pre_url or None,
        post_url=found.post_url if command.post_url is UNSET else command.post_url or None,
        method=found.method if command.method is UNSET else command.method,
        filters=found.filters if command.filters is UNSET else " ".join(dict.fromkeys(command.filters)),
    )
    if settings != found:
        # What is set for the first time sets all four (rest 4.4: null until then).
        settings = msgspec.structs.replace(settings, method=settings.method or "POST", filters=settings.filters or "")
    if settings == found:
        return found
    await unit.webhooks.keep_settings(settings, is_new=before is None)
    unit.tell(HooksChanged(account_sid))
    unit.record(HooksConfigured(settings=settings))
    return settings


@handles(CreateScopedWebhook, on=in_conversation, for_clients=False)
async def create_scoped_webhook(unit: Unit, command: CreateScopedWebhook, scene: ConversationScene) -> ScopedWebhook:
    scene.conversation.require_open()
    wish = ScopedWebhook(
        sid=unit.new_sid("WH"),
        account_sid=scene.conversation.account_sid,
        service_sid=scene.conversation.service_sid,
        conversation_sid=scene.conversation.sid,
        target=command.target,
        url=None if command.url is UNSET else command.url,
        method="POST" if command.method is UNSET else command.method,
        filters="" if command.filters is UNSET else " ".join(dict.fromkeys(command.filters)),
        triggers=() if command.triggers is UNSET else command.triggers,
        flow_sid=None if command.flow_sid is UNSET else command.flow_sid,
        replay_after=command.replay_after,
        retry_count=None,
        created_at=unit.now,
        updated_at=unit.now,
    )
    before = scene.conversation
    if before.webhook_count >= WEBHOOKS_OF_A_CONVERSATION:
        raise TOO_MANY_WEBHOOKS()
    webhook = _fitting(wish)
    await unit.webhooks.add(webhook)
    await unit.conversations.save(msgspec.structs.replace(before, webhook_count=before.webhook_count + 1), before)
    if webhook.replay_after is not None and webhook.replay_after < before.last_index:
        replay = ReplayMessages(
            account_sid=webhook.account_sid,
            webhook_sid=webhook.sid,
            conversation_sid=before.sid,
            after=webhook.replay_after,
            upto=before.last_index,
            host=host_of(webhook.url) if webhook.url is not None else None,
        )
        # Before anything that happens from now on, since it holds the place in the order.
        unit.enqueue(replay, ordering_key=f"{webhook.sid}/{before.sid}")
    unit.record(ScopedWebhookCreated(webhook=webhook))
    return webhook


def _fitting(wish: ScopedWebhook) -> ScopedWebhook:
    """With only what its target has: a flow has no URL, keywords are a trigger's, filters a plain webhook's."""
    return msgspec.structs.replace(
        wish,
        url=None if wish.target == "studio" else wish.url,
        filters=wish.filters if wish.target == "webhook" else "onMessageAdded",
        triggers=wish.triggers if wish.target == "trigger" else (),
        flow_sid=wish.flow_sid if wish.target == "studio" else None,
    )


@handles(UpdateScopedWebhook, on=in_conversation, for_clients=False)
async def update_scoped_webhook(unit: Unit, command: UpdateScopedWebhook, scene: ConversationScene) -> ScopedWebhook:
    scene.conversation.require_open()
    before = await unit.webhooks.find(scene.conversation.sid, command.webhook)
    if before is None:
        raise WEBHOOK_NOT_FOUND()
    # An empty value is none, and each of these is required by the target that has it.
    edited = _fitting(
        msgspec.structs.replace(
            before,
            url=command.url or before.url,
            method=before.method if command.method is UNSET else command.method,
            filters=" ".join(dict.fromkeys(command.filters)) if command.filters else before.filters,
            triggers=command.triggers or before.triggers,
            flow_sid=command.flow_sid or before.flow_sid,
        )
    )
    if edited == before:
        return before
    webhook = msgspec.structs.replace(edited, updated_at=unit.now)
    await unit.webhooks.save(webhook, before)
    unit.record(ScopedWebhookUpdated(webhook=webhook))
    return webhook


@handles(DeleteScopedWebhook, on=in_conversation, for_clients=False)
async def delete_scoped_webhook(unit: Unit, command: DeleteScopedWebhook, scene: ConversationScene) -> None:
    before = scene.conversation
    webhook = await unit.webhooks.find(before.sid, command.webhook)
    if webhook is None:
        raise WEBHOOK_NOT_FOUND()
    await unit.webhooks.remove(webhook.sid)
    await unit.conversations.save(msgspec.structs.replace(before, webhook_count=before.webhook_count - 1), before)
    unit.record(ScopedWebhookDeleted(webhook=webhook))
