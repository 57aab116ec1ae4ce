"""Bindings: devices that the users of a service have registered (rest 4.5, semantics 7.2)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tertulia.server.domain import callers
from tertulia.server.domain.push import RegisterPush
from tests.engine.subscriptions import subscription
from tests.engine.world import World

from .client import AccountHolder

TYPES = ("twilio.conversations.new_message", "twilio.ipmsg.typing_indicator")


def path(account: AccountHolder) -> str:
    return f"/v1/Services/{account.service_sid}/Bindings"


async def register(
    world: World, account: AccountHolder, identity: str, address: str, kind: str = "fcm", credential: str | None = None
) -> str:
    """SID of what a user's device has registered."""
    caller = callers.identity(
        account.account_sid, account.service_sid, identity, endpoint_id="phone", push_credential_sid=credential
    )
    wish = RegisterPush(kind=kind, address=address, message_types=TYPES)
    return (await world.engine.execute(caller, wish)).sid


@pytest.mark.owner_demand(9)
async def test_a_device_is_listed_shown_and_deleted(account: AccountHolder, world: World) -> None:
    credential = (await account.made("/Credentials", {"Type": "fcm", "Secret": "key"}))["sid"]
    sid = await register(world, account, "ana", "device token", credential=credential)
    shown = (await account.get(f"{path(account)}/{sid}")).body
    assert shown == {
        "sid": sid,
        "account_sid": account.account_sid,
        "chat_service_sid": account.service_sid,
        "credential_sid": credential,
        "date_created": "2025-01-01T00:00:00Z",
        "date_updated": "2025-01-01T00:00:00Z",
        "endpoint": "phone",
        "identity": "ana",
        "binding_type": "fcm",
        "message_types": ["new_message"],
        "url": f"{account.base_url}{path(account)}/{sid}",
    }
    assert await account.everything(path(account)) == [shown]
    assert (await account.delete(f"{path(account)}/{sid}")).status == 204
    for method in ("GET", "DELETE"):
        (await account.ask(method, f"{path(account)}/{sid}")).refused_with(404, 20404)
    assert await account.everything(path(account)) == []


async def test_renewing_shows_in_the_date_alone(account: AccountHolder, world: World) -> None:
    sid = await register(world, account, "ana", "one")
    before = (await account.get(f"{path(account)}/{sid}")).body
    world.clock.advance(timedelta(hours=1))
    assert await register(world, account, "ana", "one") == sid
    after = (await account.get(f"{path(account)}/{sid}")).body
    assert after == {**before, "date_updated": "2025-01-01T01:00:00Z"}


async def test_nobody_makes_one_by_rest(account: AccountHolder) -> None:
    (await account.post(path(account), {"Identity": "ana"})).refused_with(405, 20004)


async def test_the_list_is_narrowed_by_types_and_identities_on_every_page(account: AccountHolder, world: World) -> None:
    made = {}
    for identity in ("ana", "ben & co", "cleo"):
        for kind in ("apn", "fcm", "webpush"):
            device = subscription(identity[:3]) if kind == "webpush" else f"{identity} {kind}"
            made[identity, kind] = await register(world, account, identity, device, kind)

    async def listed(query: str) -> list[str]:
        return [one["sid"] for one in await account.everything(f"{path(account)}?{query}")]

    assert await listed("PageSize=2") == list(made.values())
    assert await listed("BindingType=apn&BindingType=FCM&PageSize=1") == [
        sid for (_, kind), sid in made.items() if kind != "webpush"
    ]
    assert await listed("Identity=ana&Identity=ben%20%26%20co&PageSize=2") == [
        sid for (identity, _), sid in made.items() if identity != "cleo"
    ]
    assert await listed("Identity=cleo&BindingType=webpush") == [made["cleo", "webpush"]]
    assert await listed("Identity=nobody") == await listed("BindingType=twilsock") == await listed("Identity=Ana") == []
    first = await account.get(f"{path(account)}?Identity=ana&Identity=ben%20%26%20co&BindingType=APN&PageSize=1")
    filters = "BindingType=apn&Identity=ana&Identity=ben%20%26%20co"
    assert first["meta"]["first_page_url"] == f"{account.base_url}{path(account)}?{filters}&PageSize=1&Page=0"
    assert filters in first["meta"]["next_page_url"]
    assert first["meta"]["key"] == "bindings"


async def test_an_unknown_type_is_refused(account: AccountHolder) -> None:
    (await account.get(path(account), BindingType="pigeon")).refused_with(400, 50209)


async def test_a_device_outlives_its_credential(account: AccountHolder, world: World) -> None:
    credential = (await account.made("/Credentials", {"Type": "fcm", "Secret": "key"}))["sid"]
    sid = await register(world, account, "ana", "one", credential=credential)
    await account.delete(f"/Credentials/{credential}")
    assert (await account.get(f"{path(account)}/{sid}"))["credential_sid"] == credential


@pytest.mark.parametrize("by", ["service", "user"])
async def test_they_go_with_their_service_or_user(
    account: AccountHolder, other_service: AccountHolder, world: World, by: str
) -> None:
    await other_service.made("/Users", {"Identity": "ana"})
    sid = await register(world, other_service, "ana", "one")
    gone = f"/Services/{other_service.service_sid}"
    await account.delete(gone if by == "service" else f"{gone}/Users/ana")
    (await account.get(f"{path(other_service)}/{sid}")).refused_with(404, 20404)
    if by == "user":
        assert await account.everything(path(other_service)) == []


async def test_those_of_another_account_or_service_are_absent(
    account: AccountHolder, other_service: AccountHolder, stranger: AccountHolder, world: World
) -> None:
    sid = await register(world, account, "ana", "one")
    for service in (account.service_sid, stranger.service_sid):
        for binding in (sid, "BS" + "0" * 32):
            for method in ("GET", "DELETE"):
                answer = await stranger.ask(method, f"/v1/Services/{service}/Bindings/{binding}")
                answer.refused_with(404, 20404)
    (await stranger.get(path(account))).refused_with(404, 20404)
    (await account.get(f"{path(other_service)}/{sid}")).refused_with(404, 20404)
    assert await stranger.everything(path(stranger)) == await other_service.everything(path(other_service)) == []
    assert (await account.get(f"{path(account)}/{sid}")).status == 200
