"""Which hooks apply in a service, remembered so that a message costs no look-up for them (semantics 1.1)."""

from __future__ import annotations

import msgspec

from tertulia.server.bus.base import Bus, HooksChanged
from tertulia.server.clock import Clock
from tertulia.server.domain.webhooks import USER_EVENTS, HookSettings
from tertulia.server.storage.webhooks import Webhooks

from .remembered import Remembered


class Choice(msgspec.Struct, frozen=True):
    """The hooks that apply in one service: its own while it has a URL, else the account's; never both."""

    account: HookSettings | None
    service: HookSettings | None

    def of(self, event: str) -> HookSettings | None:
        """Whom this event concerns; the events about users are the account's alone."""
        return self.account if event in USER_EVENTS else self.service

    def asked(self, pre_event: str) -> HookSettings | None:
        """The hook that wants to be asked."""
        hook = self.of(pre_event)
        return hook if hook is not None and hook.pre_url is not None and hook.wants(pre_event) else None


class HookDirectory:
    """Remembers which hooks apply, so that a message costs no look-up for them."""

    def __init__(self, bus: Bus, clock: Clock) -> None:
        self._choices: Remembered[Choice] = Remembered(bus, clock, HooksChanged)

    async def of(self, webhooks: Webhooks, account_sid: str, service_sid: str) -> Choice:
        """The hooks of a service, remembered or read."""

        async def ask() -> Choice:
            account, service = await webhooks.settings_of_both(account_sid, service_sid)
            return Choice(account, service if service is not None and service.is_configured else account)

        return await self._choices.read(account_sid, service_sid, ask)

    def remembered(self, account_sid: str, service_sid: str) -> Choice | None:
        """The hooks of a service, if nothing need be read for them."""
        known = self._choices.known(account_sid, service_sid)
        return None if known is None else known.value
