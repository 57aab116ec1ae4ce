"""Gateways and senders: making, changing, removing; and which addresses are ours (semantics 4.1, 4.4)."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tertulia.server.bus.base import GatewaysChanged
from tertulia.server.channels.base import NotNow
from tertulia.server.channels.registry import MASK
from tertulia.server.domain import callers
from tertulia.server.domain.accounts import CreateAccount, ReinstateAccount, SuspendAccount
from tertulia.server.domain.address_configurations import CreateAddressConfiguration
from tertulia.server.domain.errors import TertuliaError
from tertulia.server.domain.gateways import (
    AddGateway,
    AddSender,
    Gateway,
    RemoveGateway,
    RemoveSender,
    Sender,
    UpdateGateway,
    UpdateSender,
)
from tertulia.server.domain.secrets import Secret
from tertulia.server.engine.gateway_directory import GatewayDirectory, simulator_of
from tertulia.server.engine.unit import Policy
from tertulia.server.storage.gateways import Gateways
from tertulia.server.storage.opt_outs import OptOuts
from tertulia.server.storage.paging import Page
from tests.contract.channels.heard import NAME, installed

from .world import BASE_URL, World, refused

OURS = "+15550001000"
OURS_TOO = "+15550002000"
ANA = "+15551110001"
BEN = "+15551110002"
SECRET = "correct horse battery"


@pytest.fixture
async def world(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """With an adapter that some settings fit, beside ours."""
    with installed(tmp_path, monkeypatch):
        yield world


@pytest.fixture
def directory(world: World) -> GatewayDirectory:
    return GatewayDirectory(world.database, world.sealer)


async def gateway(world: World, name: str = "wire", adapter: str = NAME, **settings: Any) -> Gateway:
    return await world.do(AddGateway, name=name, adapter=adapter, settings=settings)


async def sender(world: World, address: str = OURS, key: str = "wire", **fields: Any) -> Sender:
    return await world.do(AddSender, address=address, gateway=key, **fields)


async def another_account(world: World) -> World:
    """The same world, as the holder of another account sees it."""
    made = await world.engine.execute(
        callers.operator(), CreateAccount(friendly_name="another", auth_token=Secret("another1" * 4))
    )
    other = await world.in_new_service()
    other.account, other.service = callers.account(made.sid), made.default_service_sid
    return other


async def test_an_account_has_no_more_gateways_and_senders_than_it_may(world: World) -> None:
    policy = Policy(base_url=BASE_URL, gateways_per_account=2, senders_per_account=3)
    world.engine = world.engine_with(policy)
    for name in ("a", "b"):
        await gateway(world, name)
    for n in range(3):
        await sender(world, f"+1555000100{n}", "a")
    with refused(20409, 409, "2 gateways"):
        await gateway(world, "c")
    with refused(20409, 409, "3 senders"):
        await sender(world, "+15550001009", "a")
    other = await another_account(world)
    await gateway(other, "c")
    await world.do(RemoveGateway, gateway="b")
    await world.do(RemoveSender, address="+15550001000")
    await gateway(world, "c")
    await sender(world, "+15550001009", "c")


async def test_settings_that_were_read_can_be_sent_back_with_stars_in_their_tables(
    world: World, directory: GatewayDirectory
) -> None:
    given = {"base_url": "https://api.example", "json": {"to": "{to}"}, "headers": {"X-Key": SECRET}}
    made = await gateway(world, "web", "http-sms", **given)
    seen = {name: value for name, value in directory.shown(made).items() if value not in (None, "", {}, [], ())}
    assert seen["headers"] == {"X-Key": MASK}
    await world.do(UpdateGateway, gateway="web", settings={**seen, "text_chars": 700})
    async with world.database.snapshot() as connection:
        changed = await Gateways(connection).get(made.sid)
    assert changed is not None
    settings = directory.opened(changed).settings
    assert (settings["headers"], settings["text_chars"]) == ({"X-Key": SECRET}, 700)
    with refused(20001, naming="headers"):
        await world.do(UpdateGateway, gateway="web", settings={"headers": {"X-Other": MASK}})
    with refused(20001, naming="headers"):
        await gateway(world, "another", "http-sms", **{**given, "headers": {"X-Key": MASK}})


def later(world: World) -> int:
    world.clock.advance(timedelta(seconds=1))
    return world.clock.now()


# --- gateways


async def test_a_gateway_is_kept_with_what_was_set_sealed(world: World, directory: GatewayDirectory) -> None:
    made = await gateway(world, secret=SECRET, heeds="false")
    assert (made.name, made.adapter, made.account_sid) == ("wire", NAME, world.account.account_sid)
    assert made.sid.startswith("GW") and made.created_at == made.updated_at == world.clock.now()
    assert SECRET not in made.settings and SECRET not in repr(made)
    opened = directory.opened(made)
    assert opened.settings == {"secret": SECRET, "heeds": False}
    assert SECRET not in repr(opened)
    assert directory.shown(made) == {"secret": MASK, "heeds": False}


async def test_a_sealed_setting_of_one_gateway_is_none_of_another(world: World, directory: GatewayDirectory) -> None:
    first, second = await gateway(world, secret=SECRET), await gateway(world, name="second", secret="another")
    await world.sql("UPDATE gateways SET settings = $1 WHERE sid = $2", first.settings, second.sid)
    with pytest.raises(NotNow) as problem:
        await directory.gateway(second.sid)
    assert problem.value.is_alarming and SECRET not in problem.value.why


@pytest.mark.parametrize(
    ("fields", "naming"),
    [
        ({"name": ""}, "Name"),
        ({"name": "a b"}, "Name"),
        ({"name": "-a"}, "Name"),
        ({"name": "x" * 65}, "Name"),
        ({"name": "GW" + "0" * 32}, "SID"),
        ({"adapter": "pigeon post"}, "no adapter 'pigeon post'"),
        ({"settings": {"scret": "x"}}, "did you mean secret"),
        ({"settings": {"heeds": "perhaps"}}, "heeds"),
    ],
)
async def test_a_gateway_that_cannot_be_is_refused_with_the_reason(
    world: World, fields: dict[str, Any], naming: str
) -> None:
    with refused(20001, 400, naming):
        await world.do(AddGateway, **{"name": "wire", "adapter": NAME, "settings": {}, **fields})
    assert await world.count("gateways") == 0


async def test_a_secret_is_in_no_refusal(world: World) -> None:
    with pytest.raises(TertuliaError) as refusal:
        await gateway(world, secret=[SECRET])
    assert refusal.value.code == 20001 and "secret" in refusal.value.message and SECRET not in refusal.value.message


async def test_a_name_is_given_once_in_an_account(world: World) -> None:
    await gateway(world)
    await gateway(world, name="second")
    with refused(20409, 409, "wire"):
        await gateway(world)
    with refused(20409, 409, "wire"):
        await world.do(UpdateGateway, gateway="second", name="wire")
    assert (await gateway(await another_account(world))).name == "wire"


async def test_a_change_leaves_alone_what_it_does_not_name(world: World, directory: GatewayDirectory) -> None:
    made = await gateway(world, secret=SECRET, heeds=False)
    now = later(world)
    changed = await world.do(UpdateGateway, gateway="wire", settings={"heeds": None})
    assert directory.opened(changed).settings == {"secret": SECRET}
    assert directory.shown(changed)["heeds"] is True
    assert (changed.created_at, changed.updated_at) == (made.created_at, now)
    renamed = await world.do(UpdateGateway, gateway=made.sid, name="renamed")
    assert (renamed.name, renamed.settings) == ("renamed", changed.settings)
    with refused(20404, 404):
        await world.do(UpdateGateway, gateway="wire", name="x")


async def test_what_changes_nothing_is_nothing(world: World) -> None:
    made = await gateway(world, heeds=False)
    later(world)
    world.told()
    for settings in ({}, {"heeds": "false"}, {"heeds": False}, {"secret": None}):
        assert await world.do(UpdateGateway, gateway="wire", name="wire", settings=settings) == made
    assert world.told() == []


async def test_stars_are_no_secret(world: World, directory: GatewayDirectory) -> None:
    made = await gateway(world, secret=SECRET)
    # What was shown comes back, with one thing changed.
    changed = await world.do(UpdateGateway, gateway="wire", settings={**directory.shown(made), "heeds": False})
    assert directory.opened(changed).settings == {"secret": SECRET, "heeds": False}
    with refused(20001, 400, "host is missing"):
        await gateway(world, "smsc", "smpp", host=MASK)


async def test_a_change_that_does_not_fit_changes_nothing(world: World, directory: GatewayDirectory) -> None:
    made = await gateway(world, secret=SECRET)
    with refused(20001, 400, "heeds"):
        await world.do(UpdateGateway, gateway="wire", name="new", settings={"heeds": "perhaps"})
    assert await world.queries.of_account.gateway(world.account, made.sid) == made


async def test_a_gateway_that_cannot_be_read_can_be_given_its_settings_anew(
    world: World, directory: GatewayDirectory
) -> None:
    made = await gateway(world, secret=SECRET)
    await world.sql("UPDATE gateways SET settings = 's1.000000000000.AAAA'")
    with pytest.raises(NotNow):
        await directory.gateway(made.sid)
    broken = await world.queries.of_account.gateway(world.account, "wire")
    assert directory.shown(broken) == {}
    assert (await world.do(UpdateGateway, gateway="wire", name="mended")).name == "mended"
    await world.do(UpdateGateway, gateway="mended", settings={"secret": "another"})
    opened = await directory.gateway(made.sid)
    assert opened is not None and opened.settings == {"secret": "another"}


async def test_a_gateway_whose_adapter_is_gone_is_shown_and_renamed_and_removed(
    world: World, directory: GatewayDirectory
) -> None:
    made = await gateway(world, secret=SECRET)
    await world.sql("UPDATE gateways SET adapter = 'gone'")
    gone = await world.queries.of_account.gateway(world.account, "wire")
    assert directory.shown(gone) == {"secret": MASK}
    with refused(20001, 400, "no adapter 'gone'"):
        await world.do(UpdateGateway, gateway="wire", settings={"heeds": "true"})
    with refused(20001, 400, "no adapter 'gone'"):
        await sender(world)
    assert (await world.do(UpdateGateway, gateway="wire", name="old")).sid == made.sid
    await world.do(RemoveGateway, gateway="old")
    assert await world.count("gateways") == 0


async def test_a_gateway_goes_when_it_serves_nobody(world: World) -> None:
    await gateway(world)
    await gateway(world, name="second")
    await sender(world)
    with refused(20409, 409, "1 sender"):
        await world.do(RemoveGateway, gateway="wire")
    await world.do(UpdateSender, address=OURS, gateway="second")
    await world.do(RemoveGateway, gateway="wire")
    with refused(20404, 404):
        await world.do(RemoveGateway, gateway="wire")
    assert [one.name for one in await world.queries.of_account.gateways(world.account, Page(10))] == ["second"]


async def test_every_change_is_told_to_the_nodes_and_none_to_clients(world: World) -> None:
    world.told()
    await gateway(world)
    await world.do(UpdateGateway, gateway="wire", settings={"heeds": False})
    await sender(world)
    await world.do(UpdateSender, address=OURS, pool="a")
    await world.do(RemoveSender, address=OURS)
    await world.do(RemoveGateway, gateway="wire")
    assert world.told() == [GatewaysChanged.__name__] * 6


@pytest.mark.parametrize(
    ("command", "fields"),
    [
        (AddGateway, {"name": "x", "adapter": NAME, "settings": {}}),
        (UpdateGateway, {"gateway": "wire"}),
        (RemoveGateway, {"gateway": "wire"}),
        (AddSender, {"address": OURS_TOO, "gateway": "wire"}),
        (UpdateSender, {"address": OURS}),
        (RemoveSender, {"address": OURS}),
    ],
)
async def test_users_of_a_service_have_no_say(world: World, command: Any, fields: dict[str, Any]) -> None:
    await gateway(world)
    await sender(world)
    await world.connect("ana")
    with refused(50107, 403):
        await world.do(command, by=world.user("ana"), **fields)


@pytest.mark.parametrize(
    ("command", "fields"),
    [
        (UpdateGateway, {"gateway": "wire", "name": "x"}),
        (RemoveGateway, {"gateway": "wire"}),
        (AddSender, {"address": OURS_TOO, "gateway": "wire"}),
        (UpdateSender, {"address": OURS, "pool": "x"}),
        (RemoveSender, {"address": OURS}),
    ],
)
async def test_what_another_account_has_does_not_exist(world: World, command: Any, fields: dict[str, Any]) -> None:
    made = await gateway(world)
    await sender(world)
    other = await another_account(world)
    for named in (fields, {**fields, "gateway": made.sid} if "gateway" in fields else fields):
        with refused(20404, 404):
            await other.do(command, **named)


# --- senders


async def test_a_sender_is_kept_with_its_kind(world: World) -> None:
    await gateway(world)
    for address, kind in (
        (OURS, "sms"),
        ("40404", "sms"),
        (f"whatsapp:{OURS}", "whatsapp"),
        ("messenger:1234", "messenger"),
        ("help@example.org", "email"),
    ):
        made = await sender(world, address, pool="a", per_minute=60)
        assert (made.address, made.kind, made.opt_out_key, made.per_minute) == (address, kind, "pool a", 60)
    assert (await sender(world, OURS_TOO)).opt_out_key == OURS_TOO
    listed = await world.queries.of_account.senders(world.account, Page(10))
    assert [one.address for one in listed] == sorted(one.address for one in listed)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"address": ""}, 50411),
        ({"address": "12"}, 50407),
        ({"address": "123456789"}, 50407),
        ({"address": "+0123"}, 50407),
        ({"address": "BRAND"}, 50407),
        ({"address": "whatsapp:40404"}, 50407),
        ({"pool": ""}, 20001),
        ({"pool": "x" * 65}, 20001),
        ({"per_minute": 0}, 20001),
        ({"per_minute": 1_000_001}, 20001),
        ({"address": "rcs:agent"}, 20001),
        ({"gateway": "nobody"}, 20404),
    ],
)
async def test_a_sender_that_cannot_be_is_refused(world: World, fields: dict[str, Any], code: int) -> None:
    await gateway(world)
    with refused(code):
        await world.do(AddSender, **{"address": OURS, "gateway": "wire", **fields})
    assert await world.count("senders") == 0


async def test_an_address_is_a_sender_once(world: World) -> None:
    await gateway(world)
    await sender(world)
    with refused(20409, 409):
        await sender(world)
    other = await another_account(world)
    await gateway(other)
    # Two accounts may share a number; whoever writes to it reaches the one whose gateway hears it.
    assert (await sender(other)).account_sid == other.account.account_sid


async def test_a_sender_moves_to_another_gateway_that_serves_its_kind(world: World) -> None:
    await gateway(world)
    await gateway(world, name="smsc", adapter="smpp", host="smsc.test", system_id="us")
    await sender(world, pool="a", per_minute=60)
    later(world)
    moved = await world.do(UpdateSender, address=OURS, gateway="smsc")
    assert (moved.pool, moved.per_minute, moved.updated_at) == ("a", 60, world.clock.now())
    bare = await world.do(UpdateSender, address=OURS, pool=None, per_minute=None)
    assert (bare.pool, bare.per_minute, bare.gateway_sid) == (None, None, moved.gateway_sid)
    await sender(world, "whatsapp:" + OURS)
    with refused(20001, 400, "smsc serves sms, not whatsapp"):
        await world.do(UpdateSender, address="whatsapp:" + OURS, gateway="smsc")
    for address, key in ((OURS_TOO, "wire"), (OURS, "nobody")):
        with refused(20404, 404):
            await world.do(UpdateSender, address=address, gateway=key)
    world.told()
    assert await world.do(UpdateSender, address=OURS, gateway="smsc") == bare
    assert world.told() == []


async def opted_out(world: World, key: str) -> list[str]:
    async with world.database.snapshot() as connection:
        rows = await connection.rows("SELECT address FROM opt_outs WHERE pool = $1 ORDER BY address", key)
    return [row[0] for row in rows]


async def test_who_has_said_stop_to_a_sender_has_said_it_to_its_pool(world: World) -> None:
    await gateway(world)
    one, two = await sender(world), await sender(world, OURS_TOO)

    async def says_stop(address: str, key: str) -> None:
        async with world.database.transaction() as connection:
            await OptOuts(connection).add_many(one.account_sid, [(key, address)], world.clock.now())

    await says_stop(ANA, one.opt_out_key)
    await says_stop(BEN, two.opt_out_key)
    for address in (OURS, OURS_TOO):
        await world.do(UpdateSender, address=address, pool="a")
    assert await opted_out(world, "pool a") == [ANA, BEN]
    # What is said to the pool, and taken back there, holds for who leaves it.
    async with world.database.transaction() as connection:
        await OptOuts(connection).remove_many(one.account_sid, [("pool a", ANA)])
    left = await world.do(UpdateSender, address=OURS, pool=None)
    assert await opted_out(world, left.opt_out_key) == [BEN]
    assert await opted_out(world, "pool a") == [BEN]
    await world.do(UpdateSender, address=OURS_TOO, pool="b")
    assert await opted_out(world, "pool b") == [BEN]
    await world.do(RemoveSender, address=OURS)
    await sender(world, pool="c")
    assert await opted_out(world, "pool c") == [BEN]


async def test_a_removed_sender_takes_its_configuration_along(world: World, caplog: pytest.LogCaptureFixture) -> None:
    await gateway(world)
    await sender(world)
    await sender(world, OURS_TOO)
    for address in (OURS, OURS_TOO):
        await world.do(CreateAddressConfiguration, kind="sms", address=address, auto_enabled=True)
    with caplog.at_level(logging.WARNING):
        await world.do(RemoveSender, address=OURS)
    (said,) = caplog.records
    assert (said.getMessage(), said.__dict__["facts"]["code"]) == ("address_configuration.removed", 50610)
    left = await world.queries.of_account.address_configurations(world.account, None, Page(10))
    assert [one.address for one in left] == [OURS_TOO]
    with refused(20404, 404):
        await world.do(RemoveSender, address=OURS)


# --- what channels are made of


async def test_an_account_without_a_sender_has_a_simulator(world: World, directory: GatewayDirectory) -> None:
    sid = world.account.account_sid
    implied = await directory.gateway(simulator_of(sid))
    assert implied is not None and (implied.adapter, implied.account_sid) == ("simulator", sid)
    assert await directory.simulator(sid) == implied.sid
    assert await directory.is_served(sid, implied.sid, OURS)
    made = await gateway(world)
    assert await directory.is_served(sid, implied.sid, OURS)
    await sender(world)
    assert await directory.simulator(sid) is None
    assert not await directory.is_served(sid, implied.sid, OURS)
    assert await directory.is_served(sid, made.sid, OURS) and not await directory.is_served(sid, made.sid, OURS_TOO)
    await world.do(RemoveSender, address=OURS)
    assert await directory.simulator(sid) == implied.sid


async def test_a_simulator_of_ones_own_is_found_beside_real_gateways(world: World, directory: GatewayDirectory) -> None:
    sid = world.account.account_sid
    await gateway(world)
    played = await gateway(world, name="played", adapter="simulator")
    await sender(world)
    assert await directory.simulator(sid) == played.sid
    assert await directory.simulator(sid, "played") == played.sid
    assert await directory.simulator(sid, "wire") is None


async def test_gateways_of_a_suspended_account_rest_until_it_is_reinstated(
    world: World, directory: GatewayDirectory
) -> None:
    other = await another_account(world)
    mine, its = await gateway(world), await gateway(other)
    assert await directory.versions() == {mine.sid: mine.settings, its.sid: its.settings}
    suspended = other.account.account_sid
    await world.engine.execute(callers.operator(), SuspendAccount(account=suspended))
    assert list(await directory.versions()) == [mine.sid]
    for sid in (its.sid, simulator_of(suspended)):
        with pytest.raises(NotNow, match="suspended"):
            await directory.gateway(sid)
    await world.engine.execute(callers.operator(), ReinstateAccount(account=suspended))
    assert (await directory.gateway(its.sid)) is not None and len(await directory.versions()) == 2


@pytest.mark.parametrize("sid", ["", "wire", "GW" + "0" * 32, "AC" + "0" * 32, "GW'--"])
async def test_there_is_nothing_under_other_names(world: World, directory: GatewayDirectory, sid: str) -> None:
    await gateway(world)
    assert await directory.gateway(sid) is None
