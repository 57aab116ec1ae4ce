"""Gateways, for account holders: additions of ours. Secrets go in and never come out."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tertulia.server.composition import Server
from tertulia.server.domain.gateways import Gateway
from tests.contract.channels.heard import NAME, installed
from tests.engine.world import BASE_URL, World

from .additions import ask, listed, made
from .client import AccountHolder

GATEWAYS = "/channels/Gateways"
SECRET = "correct horse battery"


@pytest.fixture(autouse=True)
async def adapters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Server) -> AsyncIterator[None]:
    with installed(tmp_path, monkeypatch):
        yield
        await server.switchboard.stop()


def of(name: str = "wire", adapter: str = NAME, **settings: Any) -> dict[str, str]:
    return {"Name": name, "Adapter": adapter, "Settings": json.dumps(settings)}


async def test_a_gateway_can_be_made_read_changed_listed_and_removed(account: AccountHolder) -> None:
    one = await made(account, GATEWAYS, of(secret=SECRET))
    assert one == {
        "sid": one["sid"],
        "account_sid": account.account_sid,
        "name": "wire",
        "adapter": NAME,
        "settings": {"secret": "***", "heeds": True},
        "callback_url": f"{BASE_URL}/callbacks/{one['sid']}",
        "date_created": "2025-01-01T00:00:00Z",
        "date_updated": "2025-01-01T00:00:00Z",
        "url": f"{BASE_URL}{GATEWAYS}/{one['sid']}",
    }
    for path in (f"{GATEWAYS}/wire", one["url"]):
        assert (await ask(account, "GET", path)).body == one
    changed = await ask(account, "POST", f"{GATEWAYS}/wire", {"Name": "new", "Settings": '{"heeds": false}'})
    assert changed.body == {**one, "name": "new", "settings": {"secret": "***", "heeds": False}}
    back = await ask(account, "POST", f"{GATEWAYS}/new", {"Settings": '{"heeds": null, "secret": ""}'})
    assert back["settings"] == {"secret": "", "heeds": True}
    assert (await ask(account, "GET", GATEWAYS))["gateways"] == [back.body]
    removed = await ask(account, "DELETE", f"{GATEWAYS}/new")
    assert (removed.status, removed.body) == (204, None)
    for method in ("GET", "POST", "DELETE"):
        (await ask(account, method, one["url"])).refused_with(404, 20404)


async def test_a_secret_is_in_no_answer_no_log_and_not_in_the_database(
    world: World, account: AccountHolder, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    heard = [
        await ask(account, "POST", GATEWAYS, of(secret=SECRET)),
        await ask(account, "POST", GATEWAYS, of(secret=SECRET)),
        await ask(account, "POST", GATEWAYS, of(name="-", secret=SECRET)),
        await ask(account, "POST", GATEWAYS, of(name="b", secret=[SECRET])),
        await ask(account, "POST", GATEWAYS, {"Name": "b", "Adapter": NAME, "Settings": f'{{"secret": {SECRET}}}'}),
        await ask(account, "POST", f"{GATEWAYS}/wire", {"Settings": json.dumps({"secret": SECRET + "!"})}),
        await ask(account, "POST", f"{GATEWAYS}/wire", {"Settings": json.dumps({"secret": SECRET, "heeds": "x"})}),
        await ask(account, "GET", f"{GATEWAYS}/wire"),
        await ask(account, "GET", GATEWAYS),
        await ask(account, "POST", f"{GATEWAYS}/wire/Check"),
    ]
    assert [answer.status for answer in heard] == [201, 409, 400, 400, 400, 200, 400, 200, 200, 200]
    assert [answer.body for answer in heard if SECRET in json.dumps(answer.body)] == []
    assert SECRET not in caplog.text
    async with world.database.snapshot() as connection:
        rows = await connection.rows("SELECT settings FROM gateways")
    assert len(rows) == 1 and SECRET not in str(rows)


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"Adapter": NAME}, "Name"),
        ({"Name": "x"}, "Adapter"),
        ({"Name": "a b", "Adapter": NAME}, "Name"),
        ({"Name": "x", "Adapter": "nothing"}, "nothing"),
        ({"Name": "x", "Adapter": NAME, "Settings": "{"}, "Settings"),
        ({"Name": "x", "Adapter": NAME, "Settings": "[]"}, "Settings"),
        ({"Name": "x", "Adapter": NAME, "Settings": "[" * 100_000}, "Settings"),
        ({"Name": "x", "Adapter": NAME, "Settings": '{"scret": "x"}'}, "did you mean secret"),
        ({"Name": "x", "Adapter": "smpp"}, "host is missing"),
        ({"Name": "x", "Adapter": "smpp", "Settings": '{"host": "a.test", "system_id": "x", "port": 0}'}, "port"),
    ],
)
async def test_what_does_not_fit_is_refused_with_the_reason(
    account: AccountHolder, form: dict[str, str], said: str
) -> None:
    assert said in (await ask(account, "POST", GATEWAYS, form)).refused_with(400, 20001)


async def test_a_gateway_that_serves_somebody_stays(account: AccountHolder) -> None:
    await made(account, GATEWAYS, of())
    (await ask(account, "POST", GATEWAYS, of())).refused_with(409, 20409)
    await made(account, "/channels/Senders", {"Address": "+15550001000", "Gateway": "wire"})
    assert "1 sender" in (await ask(account, "DELETE", f"{GATEWAYS}/wire")).refused_with(409, 20409)


async def test_gateways_come_in_pages_by_age(account: AccountHolder) -> None:
    sids = [(await made(account, GATEWAYS, of(f"g{number}")))["sid"] for number in range(5)]
    assert await listed(account, GATEWAYS, "sid", 2) == [sids[:2], sids[2:4], sids[4:]]
    assert (await ask(account, "GET", GATEWAYS))["meta"]["page_size"] == 50


async def test_another_account_sees_its_own_alone(account: AccountHolder, stranger: AccountHolder) -> None:
    one = await made(account, GATEWAYS, of())
    for key in ("wire", one["sid"]):
        for method, path in (("GET", ""), ("POST", ""), ("DELETE", ""), ("POST", "/Check")):
            (await ask(stranger, method, f"{GATEWAYS}/{key}{path}")).refused_with(404, 20404)
    assert (await ask(stranger, "GET", GATEWAYS))["gateways"] == []
    await made(stranger, GATEWAYS, of())
    assert (await ask(account, "GET", f"{GATEWAYS}/wire")).body == one


async def test_a_check_says_what_was_found_and_what_to_do(account: AccountHolder) -> None:
    await made(account, GATEWAYS, of())
    await made(account, GATEWAYS, of("played", "simulator"))
    await made(account, GATEWAYS, of("smsc", "smpp", host="127.0.0.1", port=1, system_id="us"))

    async def findings(name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await ask(account, "POST", f"{GATEWAYS}/{name}/Check"))["findings"]
        return found

    (called,) = await findings("wire")
    assert not called["is_good"] and "/callbacks/GW" in called["what"] and "TLS" in called["what"]
    assert [one["is_good"] for one in await findings("played")] == [True]
    (away,) = await findings("smsc")
    assert not away["is_good"] and "127.0.0.1:1" in away["what"] and away["remedy"]


async def test_a_gateway_that_cannot_be_opened_is_a_finding(world: World, account: AccountHolder) -> None:
    one = await made(account, GATEWAYS, of(secret=SECRET))
    for column, value, said, seen in (
        ("adapter", "gone", "no adapter 'gone'", {"secret": "***"}),
        ("settings", "s1.000000000000.AAAA", "cannot be read", {}),
    ):
        await world.sql(f"UPDATE gateways SET {column} = $1", value)
        (found,) = (await ask(account, "POST", f"{GATEWAYS}/{one['sid']}/Check"))["findings"]
        assert not found["is_good"] and said in found["what"] and found["remedy"]
        assert (await ask(account, "GET", one["url"]))["settings"] == seen


async def test_settings_are_kept_as_they_were_understood(world: World, account: AccountHolder) -> None:
    one = await made(account, GATEWAYS, of("smsc", "smpp", host="a.test", system_id="us", port="2776", tls="true"))
    assert (one["settings"]["port"], one["settings"]["tls"], one["settings"]["window"]) == (2776, True, 10)
    async with world.database.snapshot() as connection:
        (row,) = await connection.rows("SELECT sid, settings FROM gateways")
    assert json.loads(world.sealer.open(row[1], row[0])) == {
        "host": "a.test",
        "system_id": "us",
        "port": 2776,
        "tls": True,
    }
    assert "a.test" not in repr(Gateway(one["sid"], "AC", "n", "smpp", row[1], 0, 0))
