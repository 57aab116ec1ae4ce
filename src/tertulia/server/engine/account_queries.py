"""Reads of what an account holds beside its conversations: credentials, addresses, devices, notification settings."""

from __future__ import annotations

from tertulia.server.domain.address_configurations import AddressConfiguration
from tertulia.server.domain.addresses import canonical
from tertulia.server.domain.callers import Caller
from tertulia.server.domain.credentials import Credential
from tertulia.server.domain.errors import RESOURCE_NOT_FOUND
from tertulia.server.domain.gateways import Gateway, Sender
from tertulia.server.domain.notifications import NotificationSettings
from tertulia.server.domain.push import PushRegistration
from tertulia.server.storage.address_configurations import AddressConfigurations
from tertulia.server.storage.credentials import Credentials
from tertulia.server.storage.database import Database
from tertulia.server.storage.gateways import Gateways, Senders
from tertulia.server.storage.notifications import Notifications
from tertulia.server.storage.paging import Page
from tertulia.server.storage.push import PushRegistrations, RegistrationFilter

from .visible import visible_service


class AccountQueries:
    """For account callers. What another account holds is absent: the same ``NotFound``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def credential(self, caller: Caller, sid: str) -> Credential:
        async with self._database.snapshot() as connection:
            credential = await Credentials(connection).find(caller.account_sid, sid)
        if credential is None:
            raise RESOURCE_NOT_FOUND()
        return credential

    async def credentials(self, caller: Caller, wanted: Page) -> list[Credential]:
        async with self._database.snapshot() as connection:
            return await Credentials(connection).page(caller.account_sid, wanted)

    async def address_configuration(self, caller: Caller, key: str) -> AddressConfiguration:
        """By SID or address."""
        async with self._database.snapshot() as connection:
            found = await AddressConfigurations(connection).find(caller.account_sid, canonical(key))
        if found is None:
            raise RESOURCE_NOT_FOUND()
        return found

    async def address_configurations(
        self, caller: Caller, kind: str | None, wanted: Page
    ) -> list[AddressConfiguration]:
        """Those of one kind, or of all."""
        async with self._database.snapshot() as connection:
            return await AddressConfigurations(connection).page(caller.account_sid, kind, wanted)

    async def gateway(self, caller: Caller, key: str) -> Gateway:
        """By SID or name."""
        async with self._database.snapshot() as connection:
            found = await Gateways(connection).find(caller.account_sid, key)
        if found is None:
            raise RESOURCE_NOT_FOUND()
        return found

    async def gateways(self, caller: Caller, wanted: Page) -> list[Gateway]:
        async with self._database.snapshot() as connection:
            return await Gateways(connection).page(caller.account_sid, wanted)

    async def sender(self, caller: Caller, address: str) -> Sender:
        async with self._database.snapshot() as connection:
            found = await Senders(connection).find(caller.account_sid, canonical(address))
        if found is None:
            raise RESOURCE_NOT_FOUND()
        return found

    async def senders(self, caller: Caller, wanted: Page) -> list[Sender]:
        async with self._database.snapshot() as connection:
            return await Senders(connection).page(caller.account_sid, wanted)

    async def registration(self, caller: Caller, service_sid: str, sid: str) -> PushRegistration:
        async with self._database.snapshot() as connection:
            await visible_service(connection, caller, service_sid)
            registration = await PushRegistrations(connection).find(service_sid, sid)
        if registration is None:
            raise RESOURCE_NOT_FOUND()
        return registration

    async def registrations(
        self, caller: Caller, service_sid: str, only: RegistrationFilter, wanted: Page
    ) -> list[PushRegistration]:
        async with self._database.snapshot() as connection:
            await visible_service(connection, caller, service_sid)
            return await PushRegistrations(connection).page(service_sid, only, wanted)

    async def is_push_use_due(self, service_sid: str, identity: str, endpoint: str, before: int) -> bool:
        """The device has registrations of which no use was noted since then."""
        async with self._database.snapshot() as connection:
            return await PushRegistrations(connection).is_use_due(service_sid, identity, endpoint, before)

    async def notifications(self, caller: Caller, service_sid: str) -> NotificationSettings:
        """What the service has set; of one that never set anything, the defaults."""
        async with self._database.snapshot() as connection:
            await visible_service(connection, caller, service_sid)
            settings = await Notifications(connection).settings(service_sid)
        return settings or NotificationSettings(service_sid, caller.account_sid)
