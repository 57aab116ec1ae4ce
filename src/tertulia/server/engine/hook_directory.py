"""Which hooks apply in a service, remembered so that a message costs no look-up for them (semantics 1.1)."""

from __future__ import annotations

from typing import Final

import msgspec

from tertulia.server.bus.base import NODES, Bus, HooksChanged, Publication
from tertulia.server.clock import Clock
from tertulia.server.domain.webhooks import USER_EVENTS, HookSettings
from tertulia.server.storage.webhooks import Webhooks

REMEMBERED_US: Final = 5_000_000
"""How long hooks are believed where the news of a change is lost. On the node that changed them it is at once."""


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
        self._clock = clock
        self._known: dict[tuple[str, str], tuple[Choice, int]] = {}
        self._changes = 0
        bus.subscribe(NODES, self._hear)

    async def of(self, webhooks: Webhooks, account_sid: str, service_sid: str) -> Choice:
        """The hooks of a service, remembered or read."""
        known = self.remembered(account_sid, service_sid)
        if known is not None:
            return known
        changes = self._changes
        account, service = await webhooks.settings_of_both(account_sid, service_sid)
        choice = Choice(account, service if service is not None and service.is_configured else account)
        if changes == self._changes:  # else what was read may be older than the news
            if len(self._known) >= 10_000:
                self._known.clear()
            self._known[account_sid, service_sid] = (choice, self._clock.now() + REMEMBERED_US)
        return choice

    def remembered(self, account_sid: str, service_sid: str) -> Choice | None:
        """The hooks of a service, if nothing need be read for them."""
        known = self._known.get((account_sid, service_sid))
        if known is not None and 0 < known[1] - self._clock.now() <= REMEMBERED_US:
            return known[0]
        return None

    def _hear(self, publication: Publication) -> None:
        if isinstance(publication, HooksChanged):
            self._changes += 1
            for key in [key for key in self._known if key[0] == publication.account_sid]:
                del self._known[key]
