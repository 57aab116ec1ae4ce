"""Devices that want to be woken (semantics 7.2)."""

from __future__ import annotations

import json
from datetime import timedelta

import msgspec
import pytest

from tertulia.server.domain import callers
from tertulia.server.domain.accounts import CreateAccount
from tertulia.server.domain.base import Change
from tertulia.server.domain.callers import Caller
from tertulia.server.domain.credentials import CreateCredential, Credential, DeleteCredential, Secrets
from tertulia.server.domain.push import (
    DeletePush,
    NotePushUse,
    PushRegistered,
    PushRegistration,
    PushRegistrationRemoved,
    RegisterPush,
    RemovePush,
)
from tertulia.server.domain.secrets import Secret
from tertulia.server.domain.services import ConfigureService
from tertulia.server.engine.rules import EFFECTS
from tertulia.server.engine.unit import Policy, Unit
from tertulia.server.jobs.presence import PresenceSweep
from tertulia.server.jobs.unused_devices import UnusedDevices
from tertulia.server.storage.push import PushRegistrations, device_query

from .subscriptions import subscription
from .world import BASE_URL, World, refused


async def register(world: World, identity: str, address: str, kind: str = "fcm") -> PushRegistration:
    world.clock.advance(timedelta(seconds=1))
    return await world.do(RegisterPush, by=world.user(identity), kind=kind, address=address)


async def addresses(world: World, identity: str) -> set[str]:
    async with world.database.snapshot() as connection:
        rows = await connection.rows("SELECT address FROM push_registrations WHERE identity = $1", identity)
    return {row[0] for row in rows}


@pytest.mark.owner_demand(6)
async def test_registering_again_renews(world: World) -> None:
    first = await register(world, "ana", "one")
    second = await register(world, "ana", "one")
    assert (second.sid, second.created_at) == (first.sid, first.created_at)
    assert second.updated_at > first.updated_at
    assert (await register(world, "ana", "one", "apn")).sid != first.sid


@pytest.mark.owner_demand(8)
async def test_a_device_has_one_owner(world: World) -> None:
    await register(world, "ana", "one")
    await register(world, "ben", "one")
    assert (await addresses(world, "ana"), await addresses(world, "ben")) == (set(), {"one"})


async def test_the_same_device_in_another_service_is_another(world: World) -> None:
    other = await world.in_new_service()
    await register(world, "ana", "one")
    await register(other, "ana", "one")
    assert await world.count("push_registrations") == 2


async def test_twenty_are_kept_the_oldest_goes(world: World) -> None:
    for n in range(20):
        await register(world, "ana", f"device-{n}")
    await register(world, "ana", "device-0")
    await register(world, "ana", "device-20")
    assert await addresses(world, "ana") == {f"device-{n}" for n in range(21)} - {"device-1"}


@pytest.mark.parametrize(
    ("kind", "address"), [("", "one"), ("sms", "one"), ("fcm", ""), ("fcm", "x" * 4097)], ids=lambda text: text[:5]
)
async def test_a_registration_that_cannot_be_is_refused(world: World, kind: str, address: str) -> None:
    with refused(20001, 400):
        await register(world, "ana", address, kind)


@pytest.mark.parametrize("by_sid", [True, False])
@pytest.mark.owner_demand(9)
async def test_a_device_is_forgotten_by_its_owner_alone(world: World, by_sid: bool) -> None:
    made = await register(world, "ana", "one")
    wish = {"sid": made.sid} if by_sid else {"kind": "fcm", "address": "one"}
    await world.do(RemovePush, by=world.user("ben"), **wish)
    await world.do(RemovePush, by=(await world.in_new_service()).user("ana"), **wish)
    assert await addresses(world, "ana") == {"one"}
    for _ in range(2):
        await world.do(RemovePush, by=world.user("ana"), **wish)
    assert await addresses(world, "ana") == set()


async def test_an_account_has_no_devices(world: World) -> None:
    with refused(50107, 403):
        await world.do(RegisterPush, kind="fcm", address="one")
    with refused(50107, 403):
        await world.do(RemovePush, kind="fcm", address="one")


# --- what follows for those who listen


async def test_what_comes_and_goes_is_recorded(world: World, changes: list[Change]) -> None:
    first = await register(world, "ana", "one")
    assert changes == [PushRegistered(registration=first)]
    changes.clear()
    await register(world, "ana", "one")
    assert changes == []  # renewed: nothing that anybody could see
    second = await register(world, "ben", "one")
    assert [type(change) for change in changes] == [PushRegistrationRemoved, PushRegistered]
    assert [_registration(change).identity for change in changes] == ["ana", "ben"]
    changes.clear()
    await world.do(RemovePush, by=world.user("ben"), sid=second.sid)
    await world.do(RemovePush, by=world.user("ben"), sid=second.sid)
    assert changes == [PushRegistrationRemoved(registration=second)]


async def test_the_one_that_makes_room_is_recorded(world: World, changes: list[Change]) -> None:
    for n in range(21):
        await register(world, "ana", f"device-{n}")
    gone = [_registration(change).address for change in changes if isinstance(change, PushRegistrationRemoved)]
    assert gone == ["device-0"]


async def test_what_is_deleted_for_somebody_is_recorded(world: World, changes: list[Change]) -> None:
    made = await register(world, "ana", "one")
    changes.clear()
    await world.do(DeletePush, registration=made.sid)
    assert changes == [PushRegistrationRemoved(registration=made)]
    with refused(20404, 404):
        await world.do(DeletePush, registration=made.sid)


# --- owners


async def test_a_device_may_have_several_owners_where_the_operator_says_so(world: World) -> None:
    world.engine = world.engine_with(Policy(base_url=BASE_URL, push_single_owner=False))
    hers, his = await register(world, "ana", "one"), await register(world, "ben", "one")
    assert hers.sid != his.sid
    assert (await register(world, "ana", "one")).sid == hers.sid
    assert (await addresses(world, "ana"), await addresses(world, "ben")) == ({"one"}, {"one"})
    await world.do(RemovePush, by=world.user("ben"), kind="fcm", address="one")
    assert (await addresses(world, "ana"), await addresses(world, "ben")) == ({"one"}, set())
    await register(world, "ben", "one")
    world.engine = world.engine_with(Policy(base_url=BASE_URL))
    await register(world, "cleo", "one")
    assert await world.count("push_registrations") == 1


# --- message types


@pytest.mark.parametrize(
    ("wanted", "kept"),
    [
        (None, ["new_message", "added_to_conversation", "removed_from_conversation"]),
        ((), []),
        (
            ("twilio.conversations.removed_from_conversation", "new_message"),
            ["new_message", "removed_from_conversation"],
        ),
        (("twilio.ipmsg.typing_indicator", "twilio.channel.consumption_update"), []),
    ],
)
async def test_message_types_that_mean_something_are_kept(
    world: World, wanted: tuple[str, ...] | None, kept: list[str]
) -> None:
    made = await world.do(RegisterPush, by=world.user("ana"), kind="fcm", address="one", message_types=wanted)
    assert made.types == kept


# --- credentials


def with_credential(world: World, identity: str, credential: Credential | None) -> Caller:
    sid = credential.sid if credential is not None else None
    return msgspec.structs.replace(world.user(identity), push_credential_sid=sid, endpoint_id="phone")


async def has_active(world: World, identity: str) -> bool:
    async with world.database.snapshot() as connection:
        return await PushRegistrations(connection).has_active(world.service, identity)


async def credential_of(world: World, kind: str) -> Credential:
    secrets = Secrets(certificate="c", private_key="k", api_key="a", secret="s", public_key="p")
    return await world.do(CreateCredential, kind=kind, secrets=secrets)


@pytest.mark.parametrize(
    ("kind", "device", "works"),
    [
        ("fcm", "fcm", True),
        ("gcm", "fcm", True),
        ("fcm", "gcm", True),
        ("apn", "apn", True),
        ("webpush", "webpush", True),
        ("apn", "fcm", False),
        ("fcm", "webpush", False),
    ],
)
async def test_a_device_is_active_under_a_credential_that_fits(
    world: World, kind: str, device: str, works: bool
) -> None:
    credential = await credential_of(world, kind)
    address = subscription("one") if device == "webpush" else "one"
    await world.do(RegisterPush, by=with_credential(world, "ana", credential), kind=device, address=address)
    assert await has_active(world, "ana") is works


async def test_a_device_without_a_usable_credential_is_kept_and_not_active(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    made = await world.do(RegisterPush, by=world.user("ana"), kind="fcm", address="do-not-log")
    assert (made.credential_sid, await has_active(world, "ana")) == (None, False)
    assert "push.registration_inactive" in caplog.text
    assert "do-not-log" not in caplog.text
    unknown = msgspec.structs.replace(world.user("ana"), push_credential_sid="CR" + "0" * 32)
    await world.do(RegisterPush, by=unknown, kind="fcm", address="two")
    assert await addresses(world, "ana") == {"do-not-log", "two"}
    assert not await has_active(world, "ana")
    # A new token that names a credential mends it.
    credential = await credential_of(world, "fcm")
    await world.do(RegisterPush, by=with_credential(world, "ana", credential), kind="fcm", address="two")
    assert await has_active(world, "ana")


async def test_a_credential_of_another_account_makes_nothing_active(world: World) -> None:
    other = await world.engine.execute(
        callers.operator(), CreateAccount(friendly_name="another", auth_token=Secret("x" * 32))
    )
    wish = CreateCredential(kind="fcm", secrets=Secrets(secret="s"))
    credential = await world.engine.execute(callers.account(other.sid), wish)
    await world.do(RegisterPush, by=with_credential(world, "ana", credential), kind="fcm", address="one")
    assert not await has_active(world, "ana")


async def test_deleting_a_credential_leaves_its_devices_inactive(world: World) -> None:
    await world.do(ConfigureService, reachability_enabled=True)
    await world.connect("ana")
    credential = await credential_of(world, "fcm")
    await world.do(RegisterPush, by=with_credential(world, "ana", credential), kind="fcm", address="one")
    assert (await world.queries.user(world.service, "ana")).is_notifiable
    await world.do(DeleteCredential, credential=credential.sid)
    assert (await addresses(world, "ana"), await has_active(world, "ana")) == ({"one"}, False)
    await PresenceSweep(world.database, world.engine, world.bus, world.clock).sweep()
    assert (await world.queries.user(world.service, "ana")).is_notifiable is False


# --- a year


@pytest.mark.owner_demand(8)
async def test_a_device_of_no_use_for_a_year_is_forgotten(world: World, changes: list[Change]) -> None:
    devices = UnusedDevices(world.database, world.engine, world.clock)
    await register(world, "ana", "renewed")
    lost = await register(world, "ana", "lost")
    world.clock.advance(timedelta(days=200))
    await register(world, "ana", "renewed")
    changes.clear()
    assert await devices.forget() == 0
    world.clock.advance(timedelta(days=165))
    assert await devices.forget() == 1
    assert changes == [PushRegistrationRemoved(registration=lost)]
    assert await addresses(world, "ana") == {"renewed"}
    assert await devices.forget() == 0


async def test_connecting_is_use(world: World) -> None:
    devices = UnusedDevices(world.database, world.engine, world.clock)
    caller = with_credential(world, "ana", None)
    await world.do(RegisterPush, by=caller, kind="fcm", address="one")
    world.clock.advance(timedelta(days=364))
    await world.do(NotePushUse, by=caller)
    world.clock.advance(timedelta(days=364))
    assert await devices.forget() == 0
    world.clock.advance(timedelta(days=2))
    assert await devices.forget() == 1


async def test_devices_of_all_accounts_are_forgotten_in_steps(world: World, changes: list[Change]) -> None:
    for n in range(5):
        await register(world, "ana", f"device-{n}")
    other = await world.engine.execute(
        callers.operator(), CreateAccount(friendly_name="another", auth_token=Secret("x" * 32))
    )
    stranger = callers.identity(other.sid, other.default_service_sid, "ana")
    await world.engine.execute(stranger, RegisterPush(kind="fcm", address="one"))
    world.clock.advance(timedelta(days=366))
    changes.clear()
    assert await UnusedDevices(world.database, world.engine, world.clock, step=2).forget() == 6
    assert await world.count("push_registrations") == 0
    assert len(changes) == 6


def _registration(change: Change) -> PushRegistration:
    assert isinstance(change, (PushRegistered, PushRegistrationRemoved))
    return change.registration


@pytest.fixture
def changes(monkeypatch: pytest.MonkeyPatch) -> list[Change]:
    """What was recorded of devices, in order: a listener like any effect."""
    heard: list[Change] = []

    async def listen(_unit: Unit, change: Change) -> None:
        heard.append(change)

    for kind in (PushRegistered, PushRegistrationRemoved):
        monkeypatch.setitem(EFFECTS, kind, [*EFFECTS.get(kind, ()), listen])
    return heard


# --- one device, however it is spelled


def browser(name: str = "one", **more: object) -> dict[str, object]:
    made: dict[str, object] = json.loads(subscription(name))
    return made | more


def _upper_host(spelled: dict[str, object]) -> dict[str, object]:
    return spelled | {"endpoint": str(spelled["endpoint"]).replace("https://push.test", "HTTPS://Push.Test:443")}


SPELLINGS = {
    "a browser, in more words": ("webpush", json.dumps(browser()), "webpush", json.dumps(browser(expirationTime=None))),
    "a browser, close together": (
        "webpush",
        json.dumps(browser()),
        "webpush",
        json.dumps(browser(), separators=(",", ":")),
    ),
    "a browser, the other way round": (
        "webpush",
        json.dumps(browser()),
        "webpush",
        json.dumps(dict(reversed(browser().items())), indent=2),
    ),
    "a browser, its host in capitals": (
        "webpush",
        json.dumps(browser()),
        "webpush",
        json.dumps(_upper_host(browser())),
    ),
    "Apple's, in capitals": ("apn", "ab12" * 16, "apn", "AB12" * 16),
    "Apple's, in both": ("apn", "AB12" * 16, "apn", "aB12" * 16),
    "Google's, by its old name": ("fcm", "phone", "gcm", "phone"),
    "Google's, by its new name": ("gcm", "phone", "fcm", "phone"),
}


@pytest.mark.parametrize("row", SPELLINGS.values(), ids=SPELLINGS)
async def test_a_device_is_the_same_however_it_is_spelled(world: World, row: tuple[str, str, str, str]) -> None:
    kind, address, other_kind, other_address = row
    hers = await register(world, "ana", address, kind)
    again = await register(world, "ana", other_address, other_kind)
    assert (again.sid, again.kind) == (hers.sid, other_kind)
    await register(world, "ben", address, kind)
    assert (await addresses(world, "ana"), len(await addresses(world, "ben"))) == (set(), 1)
    await world.do(RemovePush, by=world.user("ben"), kind=other_kind, address=other_address)
    assert await world.count("push_registrations") == 0


async def test_what_only_looks_alike_is_another_device(world: World) -> None:
    pairs = [("apn", "ab" * 32), ("fcm", "ab" * 32), ("fcm", "AB" * 32), ("webpush", subscription("a"))]
    pairs += [("webpush", subscription("A")), ("webpush", subscription("a?b")), ("webpush", subscription("a/b"))]
    for kind, address in pairs:
        await register(world, "ana", address, kind)
    assert await world.count("push_registrations") == len(pairs)
    await world.do(RemovePush, by=world.user("ana"), kind="webpush", address="no subscription")
    assert await world.count("push_registrations") == len(pairs)


@pytest.mark.parametrize(
    ("kind", "kept", "address"),
    [
        ("apn", "AB" * 32, "ab" * 32),
        ("webpush", json.dumps(browser()), json.dumps(browser())),
        ("webpush", json.dumps(browser(expirationTime=None), separators=(",", ":")), json.dumps(browser())),
    ],
)
async def test_a_device_that_an_earlier_release_kept_as_it_was_sent_is_found(
    world: World, kind: str, kept: str, address: str
) -> None:
    for identity in ("ana", "ben"):
        made = await register(world, identity, f"{identity}-x", "fcm")
        async with world.database.transaction() as connection:
            await connection.execute(
                "UPDATE push_registrations SET kind = $1, address = $2 WHERE sid = $3", kind, kept, made.sid
            )
    mine = await register(world, "ben", address, kind)
    assert (await addresses(world, "ana"), await addresses(world, "ben")) == (set(), {mine.address})


async def test_what_an_earlier_release_kept_twice_for_one_user_becomes_one(world: World) -> None:
    world.engine = world.engine_with(Policy(base_url=BASE_URL, push_single_owner=False))
    for kind, address in (("fcm", "phone"), ("fcm", "other")):
        await register(world, "ana", address, kind)
    async with world.database.transaction() as connection:
        await connection.execute(
            "UPDATE push_registrations SET kind = 'gcm', address = 'phone' WHERE address = 'other'"
        )
    await register(world, "ben", "phone", "gcm")
    await register(world, "ana", "phone", "gcm")
    assert (await addresses(world, "ana"), await addresses(world, "ben")) == ({"phone"}, {"phone"})
    assert await world.count("push_registrations") == 2


async def test_a_device_is_found_by_an_index(world: World) -> None:
    """Every client registers whenever it starts."""
    plans: list[str] = []
    async with world.database.snapshot() as connection:
        for kind, address in (("apn", "ab" * 32), ("fcm", "phone"), ("webpush", subscription("one"))):
            sql, parameters = device_query(world.credentials.service_sid, "ana", kind, address)
            plans += [row[3] for row in await connection.rows(f"EXPLAIN QUERY PLAN {sql}", *parameters)]
    assert [step for step in plans if step.startswith("SCAN")] == []
