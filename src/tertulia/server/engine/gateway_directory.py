"""Gateways with their settings open, for those who make channels of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tertulia.server.channels.base import NotNow
from tertulia.server.channels.making import OpenGateway
from tertulia.server.channels.registry import MASK, SIMULATOR, NoAdapter, adapter_of, shown
from tertulia.server.domain.gateways import Gateway
from tertulia.server.sealing import Sealer, SealingError
from tertulia.server.storage.accounts import Accounts
from tertulia.server.storage.database import Database
from tertulia.server.storage.gateways import Gateways, Senders
from tertulia.wire.sids import ACCOUNT, GATEWAY, is_sid

from .gateways import opened_settings


def simulator_of(account_sid: str) -> str:
    """The SID of the gateway that serves an account without senders: the account's own digits."""
    return GATEWAY + account_sid.removeprefix(ACCOUNT)


class GatewayDirectory:
    """Reads gateways, and opens what is sealed in them."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer

    async def gateway(self, sid: str) -> OpenGateway | None:
        """One of any account, the simulator of an account among them.

        Raises ``NotNow`` while its account is suspended, and for settings that cannot be read any more.
        """
        if not is_sid(sid, GATEWAY):
            return None
        async with self._database.snapshot() as connection:
            found = await Gateways(connection).get(sid)
            account = await Accounts(connection).get(
                found.account_sid if found else ACCOUNT + sid.removeprefix(GATEWAY)
            )
        if account is None:
            return None
        if account.suspended_at is not None:
            raise NotNow("its account is suspended")
        if found is None:
            return OpenGateway(sid=sid, account_sid=account.sid, adapter=SIMULATOR, settings={}, version="")
        return self.opened(found)

    async def versions(self) -> Mapping[str, str]:
        """Of those that account holders have made, in accounts that are served, by SID."""
        async with self._database.snapshot() as connection:
            return await Gateways(connection).versions()

    async def senders(self, sid: str) -> Sequence[str]:
        """The addresses that this gateway serves."""
        async with self._database.snapshot() as connection:
            return [sender.address for sender in await Senders(connection).of_gateway(sid)]

    def opened(self, gateway: Gateway) -> OpenGateway:
        """The gateway with its settings. Raises ``NotNow`` when they cannot be read any more."""
        try:
            settings = opened_settings(self._sealer, gateway)
        except SealingError as problem:
            raise NotNow(f"its settings cannot be read: {problem}; give all of them anew", is_alarming=True) from None
        return OpenGateway(
            sid=gateway.sid,
            account_sid=gateway.account_sid,
            adapter=gateway.adapter,
            settings=settings,
            version=gateway.settings,
        )

    def shown(self, gateway: Gateway) -> dict[str, Any]:
        """The settings in force for its holder's eyes: stars for secrets, and for all where its adapter is gone.

        Nothing where they cannot be read.
        """
        try:
            settings = self.opened(gateway).settings
        except NotNow:
            return {}
        try:
            return shown(adapter_of(gateway.adapter), settings)
        except NoAdapter:
            return dict.fromkeys(settings, MASK)

    async def simulator(self, account_sid: str, key: str | None = None) -> str | None:
        """The SID of an account's simulated phone network: the gateway of this SID or name, if it is one.

        Without ``key`` the one that serves every address while the account has no sender, else its oldest one.
        """
        async with self._database.snapshot() as connection:
            implied = None if await Senders(connection).any(account_sid) else simulator_of(account_sid)
            if implied is not None and key in (None, implied):
                return implied
            if key is not None:
                named = await Gateways(connection).find(account_sid, key)
                return named.sid if named is not None and named.adapter == SIMULATOR else None
            known = await Gateways(connection).of_account(account_sid)
        return next((gateway.sid for gateway in known if gateway.adapter == SIMULATOR), None)

    async def is_served(self, account_sid: str, gateway_sid: str, address: str) -> bool:
        """Whether the gateway serves this address of the account; its simulator serves all while it has no sender."""
        async with self._database.snapshot() as connection:
            senders = Senders(connection)
            sender = await senders.find(account_sid, address)
            if sender is not None:
                return sender.gateway_sid == gateway_sid
            return gateway_sid == simulator_of(account_sid) and not await senders.any(account_sid)
