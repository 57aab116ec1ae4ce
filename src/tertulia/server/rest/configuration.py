"""Configuration of the account: its default service, and what new conversations get (rest 3.1)."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from tertulia.server.domain.accounts import Account
from tertulia.server.domain.accounts import UpdateAccount as Update
from tertulia.server.web.forms import Form
from tertulia.server.web.operations import Call, Operations

from .views import FACE, PREFIX

OPERATIONS = Operations(FACE, PREFIX)


class ConfigurationLinks(msgspec.Struct, frozen=True):
    service: str
    webhooks: str


class ConfigurationView(msgspec.Struct, frozen=True):
    account_sid: str
    default_chat_service_sid: str
    default_messaging_service_sid: str | None
    default_inactive_timer: str | None
    default_closed_timer: str | None
    url: str
    links: ConfigurationLinks

    @classmethod
    def of(cls, account: Account, root: str) -> ConfigurationView:
        return cls(
            account_sid=account.sid,
            default_chat_service_sid=account.default_service_sid,
            default_messaging_service_sid=account.default_messaging_service_sid,
            default_inactive_timer=account.default_inactive_timer,
            default_closed_timer=account.default_closed_timer,
            url=f"{root}/Configuration",
            links=ConfigurationLinks(
                service=f"{root}/Services/{account.default_service_sid}/Configuration",
                webhooks=f"{root}/Configuration/Webhooks",
            ),
        )


class UpdateConfiguration(Form, frozen=True, kw_only=True):
    default_chat_service_sid: str | UnsetType = UNSET
    default_messaging_service_sid: str | UnsetType = UNSET
    default_inactive_timer: str | UnsetType = UNSET
    default_closed_timer: str | UnsetType = UNSET


@OPERATIONS.operation("GET", "/Configuration")
async def fetch_configuration(call: Call) -> ConfigurationView:
    """The account's configuration."""
    return ConfigurationView.of(await call.queries.account(call.caller), call.root)


@OPERATIONS.operation("POST", "/Configuration", UpdateConfiguration)
async def update_configuration(call: Call, form: UpdateConfiguration) -> ConfigurationView:
    """Change the account's configuration; the default service is what the short paths mean from then on."""
    account = await call.execute(
        Update(
            default_service=form.default_chat_service_sid,
            default_messaging_service_sid=form.default_messaging_service_sid,
            default_inactive_timer=form.default_inactive_timer,
            default_closed_timer=form.default_closed_timer,
        )
    )
    return ConfigurationView.of(account, call.root)
