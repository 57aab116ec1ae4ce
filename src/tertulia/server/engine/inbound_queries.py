"""Where an arrival belongs (semantics 4.3, gateways 8.6). What is found is looked at again, under a lock."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from tertulia.server.domain.addresses import EMAIL
from tertulia.server.domain.arrivals import Arrival
from tertulia.server.storage.accounts import Accounts
from tertulia.server.storage.address_configurations import AddressConfigurations
from tertulia.server.storage.arrivals import Arrivals
from tertulia.server.storage.database import Connection, Database
from tertulia.server.storage.gateways import Senders
from tertulia.server.storage.places import Place, Places


class NewPlace(msgspec.Struct, frozen=True):
    """The service that makes conversations for strangers who write to this address."""

    service_sid: str


class Reading(msgspec.Struct, frozen=True):
    """An arrival that waits, and its place; None: it belongs nowhere."""

    arrival: Arrival
    place: Place | NewPlace | None
    is_suspended: bool = False
    """Its account is, and then its place is not looked for."""


class InboundQueries:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def known(self, gateway_sid: str, provider_ids: Collection[str]) -> frozenset[str]:
        """Those of the provider's names that have been heard before."""
        async with self._database.snapshot() as connection:
            return await Arrivals(connection).known(gateway_sid, provider_ids)

    async def waiting_among(self, sids: Collection[str]) -> frozenset[str]:
        """Those of the arrivals that wait still."""
        async with self._database.snapshot() as connection:
            return await Arrivals(connection).waiting_among(sids)

    async def waiting(self, arrival_sid: str) -> Reading | None:
        """The arrival and its place; None when it is dealt with. Eight statements at most."""
        async with self._database.snapshot() as connection:
            found = await Arrivals(connection).waiting(arrival_sid)
            if found is None:
                return None
            arrival, is_suspended = found
            if is_suspended:
                return Reading(arrival, None, is_suspended=True)
            place = await _place(connection, arrival)
            return Reading(arrival, place or await _new_place(connection, arrival))


async def _place(connection: Connection, arrival: Arrival) -> Place | None:
    places = Places(connection)
    if arrival.group_key is not None:
        # One to a group never goes where two of its members talk alone.
        return await places.of_group(arrival.account_sid, arrival.group_key, arrival.sender)
    is_mail = arrival.kind == EMAIL
    if is_mail and (answered := await _answered(places, arrival)) is not None:
        return answered
    paired = await places.of_pair(arrival.account_sid, arrival.sender, arrival.recipient)
    if paired is None and is_mail:
        return await places.of_mailbox(arrival.account_sid, arrival.sender, arrival.recipient)
    return paired


async def _answered(places: Places, arrival: Arrival) -> Place | None:
    """The open conversation of a message that it answers, else the one that the address names.

    Only one where its sender takes part: whoever got our message passed on must not get in by its name.
    """
    content = arrival.content
    if content is None:
        return None
    named = await places.of_messages(arrival.account_sid, content.answers)
    wanted = [named[sid] for sid in content.answers if sid in named]
    if content.conversation_sid is not None:
        wanted.append(content.conversation_sid)
    found = await places.among(arrival.account_sid, arrival.sender, wanted)
    return next((found[sid] for sid in wanted if sid in found), None)


async def _new_place(connection: Connection, arrival: Arrival) -> NewPlace | None:
    configuration = await AddressConfigurations(connection).find(arrival.account_sid, arrival.recipient)
    if configuration is None or not configuration.auto_enabled:
        return None
    if await Senders(connection).find(arrival.account_sid, arrival.sender) is not None:
        return None  # one address of ours has written to another, or to a group that has gone
    if configuration.auto_service_sid is not None:
        return NewPlace(configuration.auto_service_sid)
    account = await Accounts(connection).get(arrival.account_sid)
    return None if account is None else NewPlace(account.default_service_sid)
