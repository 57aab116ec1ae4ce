"""Webhooks of a conversation (rest 9)."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType, field

from tertulia.server.domain import webhooks as domain
from tertulia.server.domain.values import second
from tertulia.server.domain.webhooks import WEBHOOK_TARGETS, ScopedWebhook
from tertulia.server.web.forms import Folded, Form, one_of
from tertulia.server.web.operations import BOTH, Call, Operations
from tertulia.server.web.paging import ListRule, Meta, PageQuery, Paging

from .views import FACE, PREFIX

OPERATIONS = Operations(FACE, PREFIX)
LIST = ListRule("webhooks", size=5, most=5)

Method = Annotated[Folded, one_of("get", "post")]


class ConfigurationView(msgspec.Struct, frozen=True):
    """Only what belongs to the target."""

    url: str | UnsetType = UNSET
    method: str | UnsetType = UNSET
    filters: list[str] | UnsetType = UNSET
    triggers: list[str] | UnsetType = UNSET
    flow_sid: str | UnsetType = UNSET
    replay_after: int | UnsetType = UNSET

    @classmethod
    def of(cls, webhook: ScopedWebhook) -> ConfigurationView:
        replay_after = UNSET if webhook.replay_after is None else webhook.replay_after
        if webhook.target == "studio":
            return cls(flow_sid=webhook.flow_sid or UNSET, replay_after=replay_after)
        return cls(
            url=webhook.url or UNSET,
            method=webhook.method.lower(),
            filters=webhook.events if webhook.target == "webhook" else UNSET,
            triggers=list(webhook.triggers) if webhook.target == "trigger" else UNSET,
            replay_after=replay_after,
        )


class WebhookView(msgspec.Struct, frozen=True):
    sid: str
    account_sid: str
    chat_service_sid: str | UnsetType
    conversation_sid: str
    target: str
    configuration: ConfigurationView
    date_created: str
    date_updated: str
    url: str

    @classmethod
    def of(cls, webhook: ScopedWebhook, call: Call) -> WebhookView:
        return cls(
            sid=webhook.sid,
            account_sid=webhook.account_sid,
            chat_service_sid=webhook.service_sid if call.is_long else UNSET,
            conversation_sid=webhook.conversation_sid,
            target=webhook.target,
            configuration=ConfigurationView.of(webhook),
            date_created=second(webhook.created_at),
            date_updated=second(webhook.updated_at),
            url=f"{call.root}/Conversations/{webhook.conversation_sid}/Webhooks/{webhook.sid}",
        )


class WebhookList(msgspec.Struct, frozen=True):
    meta: Meta
    webhooks: list[WebhookView]


class UpdateWebhook(Form, frozen=True, kw_only=True):
    url: str | UnsetType = field(default=UNSET, name="Configuration.Url")
    method: Method | UnsetType = field(default=UNSET, name="Configuration.Method")
    filters: list[str] | UnsetType = field(default=UNSET, name="Configuration.Filters")
    triggers: list[str] | UnsetType = field(default=UNSET, name="Configuration.Triggers")
    flow_sid: str | UnsetType = field(default=UNSET, name="Configuration.FlowSid")

    def wish(self, call: Call) -> domain.WebhookFields:
        return domain.WebhookFields(
            service=call.service_sid,
            conversation=call.path["conversation"],
            url=self.url,
            method=UNSET if self.method is UNSET else self.method.upper(),
            filters=UNSET if self.filters is UNSET else tuple(self.filters),
            triggers=UNSET if self.triggers is UNSET else tuple(self.triggers),
            flow_sid=self.flow_sid,
        )


class CreateWebhook(UpdateWebhook, frozen=True, kw_only=True):
    target: Annotated[Folded, one_of(*WEBHOOK_TARGETS)]
    replay_after: int | None = field(default=None, name="Configuration.ReplayAfter")


@OPERATIONS.operation("POST", "/Conversations/{conversation}/Webhooks", CreateWebhook, status=201, scopes=BOTH)
async def create_webhook(call: Call, form: CreateWebhook) -> WebhookView:
    """Tell a receiver of what happens in one conversation from now on, or after an earlier message."""
    wish = domain.CreateScopedWebhook(
        target=form.target, replay_after=form.replay_after, **msgspec.structs.asdict(form.wish(call))
    )
    return WebhookView.of(await call.execute(wish), call)


@OPERATIONS.operation("GET", "/Conversations/{conversation}/Webhooks", query=PageQuery, scopes=BOTH)
async def list_webhooks(call: Call) -> WebhookList:
    """The webhooks of a conversation, by age."""
    paging: Paging[ScopedWebhook] = Paging(call, LIST, call.query)
    conversation = call.path["conversation"]
    read = await call.queries.webhooks.page(call.caller, call.service_sid, conversation, paging.page)
    return WebhookList(paging.meta(read, _key), [WebhookView.of(one, call) for one in paging.cut(read)])


@OPERATIONS.operation("GET", "/Conversations/{conversation}/Webhooks/{webhook}", scopes=BOTH)
async def fetch_webhook(call: Call) -> WebhookView:
    """One webhook of a conversation."""
    sid, conversation = call.path["webhook"], call.path["conversation"]
    return WebhookView.of(await call.queries.webhooks.one(call.caller, call.service_sid, conversation, sid), call)


@OPERATIONS.operation("POST", "/Conversations/{conversation}/Webhooks/{webhook}", UpdateWebhook, scopes=BOTH)
async def update_webhook(call: Call, form: UpdateWebhook) -> WebhookView:
    """Change what is sent; the rest of a webhook stays as it is."""
    wish = domain.UpdateScopedWebhook(webhook=call.path["webhook"], **msgspec.structs.asdict(form.wish(call)))
    return WebhookView.of(await call.execute(wish), call)


@OPERATIONS.operation("DELETE", "/Conversations/{conversation}/Webhooks/{webhook}", status=204, scopes=BOTH)
async def delete_webhook(call: Call) -> None:
    """Tell a receiver no more."""
    await call.execute(
        domain.DeleteScopedWebhook(
            service=call.service_sid, conversation=call.path["conversation"], webhook=call.path["webhook"]
        )
    )


def _key(webhook: ScopedWebhook) -> str:
    return webhook.sid
