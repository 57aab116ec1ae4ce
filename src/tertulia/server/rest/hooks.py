"""Hooks of the account and of a service: whom to ask before, whom to tell after (rest 3.2, 4.4)."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from tertulia.server.domain.webhooks import ConfigureHooks, HookSettings
from tertulia.server.web.forms import Folded, Form, one_of
from tertulia.server.web.operations import Call, Operations

from .views import FACE, PREFIX

OPERATIONS = Operations(FACE, PREFIX)

Method = Annotated[Folded, one_of("GET", "POST")]


class AccountWebhooksView(msgspec.Struct, frozen=True):
    account_sid: str
    method: str
    filters: list[str]
    pre_webhook_url: str | None
    post_webhook_url: str | None
    target: str
    url: str

    @classmethod
    def of(cls, account_sid: str, hooks: HookSettings | None, root: str) -> AccountWebhooksView:
        """What was never set shows as it acts: POST, and no event."""
        return cls(
            account_sid=account_sid,
            method=(hooks.method if hooks else None) or "POST",
            filters=hooks.events if hooks else [],
            pre_webhook_url=hooks.pre_url if hooks else None,
            post_webhook_url=hooks.post_url if hooks else None,
            target="webhook",
            url=f"{root}/Configuration/Webhooks",
        )


class ServiceWebhooksView(msgspec.Struct, frozen=True):
    account_sid: str
    chat_service_sid: str
    pre_webhook_url: str | None
    post_webhook_url: str | None
    filters: list[str] | None
    method: str | None
    url: str

    @classmethod
    def of(cls, account_sid: str, service_sid: str, hooks: HookSettings | None, root: str) -> ServiceWebhooksView:
        """What was never set shows as null: the account's is in force then."""
        return cls(
            account_sid=account_sid,
            chat_service_sid=service_sid,
            pre_webhook_url=hooks.pre_url if hooks else None,
            post_webhook_url=hooks.post_url if hooks else None,
            filters=None if hooks is None or hooks.filters is None else hooks.events,
            method=hooks.method if hooks else None,
            url=f"{root}/Services/{service_sid}/Configuration/Webhooks",
        )


class UpdateServiceWebhooks(Form, frozen=True, kw_only=True):
    pre_webhook_url: str | UnsetType = UNSET
    post_webhook_url: str | UnsetType = UNSET
    filters: list[str] | UnsetType = UNSET
    method: Method | UnsetType = UNSET

    def wish(self, service_sid: str | None) -> ConfigureHooks:
        return ConfigureHooks(
            service=service_sid,
            pre_url=self.pre_webhook_url,
            post_url=self.post_webhook_url,
            filters=UNSET if self.filters is UNSET else tuple(self.filters),
            method=UNSET if self.method is UNSET else self.method.upper(),
        )


class UpdateAccountWebhooks(UpdateServiceWebhooks, frozen=True, kw_only=True):
    target: Annotated[Folded, one_of("webhook", "flex")] | UnsetType = UNSET


@OPERATIONS.operation("GET", "/Configuration/Webhooks")
async def fetch_account_webhooks(call: Call) -> AccountWebhooksView:
    """The account's hooks, in force where a service has none of its own."""
    return AccountWebhooksView.of(
        call.caller.account_sid, await call.queries.webhooks.of_account(call.caller), call.root
    )


@OPERATIONS.operation("POST", "/Configuration/Webhooks", UpdateAccountWebhooks)
async def update_account_webhooks(call: Call, form: UpdateAccountWebhooks) -> AccountWebhooksView:
    """Change the account's hooks; they are in force at once."""
    wish = msgspec.structs.replace(form.wish(None), target=form.target)
    hooks: HookSettings = await call.execute(wish)
    return AccountWebhooksView.of(hooks.owner_sid, hooks, call.root)


@OPERATIONS.operation("GET", "/Services/{service}/Configuration/Webhooks")
async def fetch_service_webhooks(call: Call) -> ServiceWebhooksView:
    """The hooks of one service."""
    sid = call.path["service"]
    hooks = await call.queries.webhooks.of_service(call.caller, sid)
    return ServiceWebhooksView.of(call.caller.account_sid, sid, hooks, call.root)


@OPERATIONS.operation("POST", "/Services/{service}/Configuration/Webhooks", UpdateServiceWebhooks)
async def update_service_webhooks(call: Call, form: UpdateServiceWebhooks) -> ServiceWebhooksView:
    """Change the hooks of one service; with a URL of its own they replace the account's."""
    sid = call.path["service"]
    hooks: HookSettings = await call.execute(form.wish(sid))
    return ServiceWebhooksView.of(hooks.account_sid, sid, hooks, call.root)
