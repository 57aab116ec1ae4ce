"""Senders, for account holders: additions of ours."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from .additions import ask, listed, made
from .client import AccountHolder

SENDERS = "/channels/Senders"
OURS = "+15550001000"
OURS_TOO = "+15550002000"


@pytest.fixture
async def gateway(account: AccountHolder) -> str:
    """SID of one that serves every kind of address."""
    return await gateway_of(account, "wire")


async def gateway_of(account: AccountHolder, name: str, adapter: str = "simulator", **settings: Any) -> str:
    form = {"Name": name, "Adapter": adapter, "Settings": json.dumps(settings)}
    return str((await made(account, "/channels/Gateways", form))["sid"])


def path_of(address: str) -> str:
    return f"{SENDERS}/{quote(address, safe='')}"


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        (OURS, "sms"),
        ("40404", "sms"),
        (f"whatsapp:{OURS}", "whatsapp"),
        ("messenger:12345", "messenger"),
        ("rcs:agent_1", "rcs"),
        ("help@example.org", "email"),
    ],
)
async def test_a_sender_can_be_made_read_changed_listed_and_removed(
    account: AccountHolder, gateway: str, address: str, kind: str
) -> None:
    one = await made(account, SENDERS, {"Address": address, "Gateway": "wire"})
    assert one == {
        "account_sid": account.account_sid,
        "address": address,
        "type": kind,
        "gateway_sid": gateway,
        "pool": None,
        "per_minute": None,
        "date_created": "2025-01-01T00:00:00Z",
        "date_updated": "2025-01-01T00:00:00Z",
    }
    path = path_of(address)
    assert (await ask(account, "GET", path)).body == one
    second = await gateway_of(account, "second")
    changed = await ask(account, "POST", path, {"Gateway": second, "Pool": "a", "PerMinute": "90"})
    assert changed.body == {**one, "gateway_sid": second, "pool": "a", "per_minute": 90}
    assert (await ask(account, "POST", path)).body == changed.body
    bare = await ask(account, "POST", path, {"Gateway": "wire", "Pool": "", "PerMinute": "0"})
    assert bare.body == one
    assert (await ask(account, "GET", SENDERS))["senders"] == [one]
    removed = await ask(account, "DELETE", path)
    assert (removed.status, removed.body) == (204, None)
    for method in ("GET", "POST", "DELETE"):
        (await ask(account, method, path)).refused_with(404, 20404)


@pytest.mark.parametrize(
    ("form", "status", "code"),
    [
        ({}, 400, 20001),
        ({"Address": OURS}, 400, 20001),
        ({"Address": OURS, "Gateway": "nobody"}, 404, 20404),
        ({"Address": "nonsense", "Gateway": "wire"}, 400, 50407),
        ({"Address": "", "Gateway": "wire"}, 400, 50411),
        ({"Address": OURS, "Gateway": "wire", "PerMinute": "many"}, 400, 20001),
        ({"Address": OURS, "Gateway": "wire", "PerMinute": "-1"}, 400, 20001),
        ({"Address": OURS, "Gateway": "wire", "Pool": "x" * 65}, 400, 20001),
    ],
)
async def test_what_does_not_fit_is_refused(
    account: AccountHolder, gateway: str, form: dict[str, str], status: int, code: int
) -> None:
    (await ask(account, "POST", SENDERS, form)).refused_with(status, code)


async def test_a_gateway_serves_its_own_kinds_alone(account: AccountHolder) -> None:
    await gateway_of(account, "smsc", "smpp", host="a.test", system_id="us")
    form = {"Address": f"whatsapp:{OURS}", "Gateway": "smsc"}
    assert "sms" in (await ask(account, "POST", SENDERS, form)).refused_with(400, 20001)


async def test_an_address_is_a_sender_once(account: AccountHolder, gateway: str) -> None:
    form = {"Address": OURS, "Gateway": "wire"}
    await made(account, SENDERS, form)
    (await ask(account, "POST", SENDERS, form)).refused_with(409, 20409)


async def test_senders_come_in_pages_by_address(account: AccountHolder, gateway: str) -> None:
    addresses = sorted(["40404", "help@example.org", *(f"+1555000100{number}" for number in range(4))])
    for address in reversed(addresses):
        await made(account, SENDERS, {"Address": address, "Gateway": "wire"})
    assert await listed(account, SENDERS, "address", 4) == [addresses[:4], addresses[4:]]


async def test_another_account_sees_its_own_alone(
    account: AccountHolder, stranger: AccountHolder, gateway: str
) -> None:
    one = await made(account, SENDERS, {"Address": OURS, "Gateway": "wire"})
    for method in ("GET", "POST", "DELETE"):
        (await ask(stranger, method, path_of(OURS))).refused_with(404, 20404)
    for key in ("wire", gateway):
        (await ask(stranger, "POST", SENDERS, {"Address": OURS_TOO, "Gateway": key})).refused_with(404, 20404)
    assert (await ask(stranger, "GET", SENDERS))["senders"] == []
    await gateway_of(stranger, "mine")
    await made(stranger, SENDERS, {"Address": OURS_TOO, "Gateway": "mine"})
    (await ask(stranger, "POST", path_of(OURS_TOO), {"Gateway": gateway})).refused_with(404, 20404)
    assert (await ask(account, "GET", path_of(OURS))).body == one


async def test_from_the_first_sender_on_no_other_address_is_ours(account: AccountHolder, gateway: str) -> None:
    room = f"/Conversations/{await account.conversation()}/Participants"
    await account.made(room, {"MessagingBinding.Address": "+15551110001", "MessagingBinding.ProxyAddress": OURS_TOO})
    await made(account, SENDERS, {"Address": OURS, "Gateway": "wire"})
    for prefix, code in (("", 50413), ("whatsapp:", 50415)):
        form = {
            "MessagingBinding.Address": f"{prefix}+15551110002",
            "MessagingBinding.ProxyAddress": f"{prefix}{OURS_TOO}",
        }
        (await account.post(room, form)).refused_with(400, code)
    projected = {"Identity": "zoe", "MessagingBinding.ProjectedAddress": OURS_TOO}
    (await account.post(room, projected)).refused_with(400, 50439)
    await account.made(room, {"MessagingBinding.Address": "+15551110002", "MessagingBinding.ProxyAddress": OURS})


async def test_a_removed_sender_takes_its_address_configuration_along(account: AccountHolder, gateway: str) -> None:
    await made(account, SENDERS, {"Address": OURS, "Gateway": "wire"})
    await account.made("/Configuration/Addresses", {"Type": "sms", "Address": OURS})
    await ask(account, "DELETE", path_of(OURS))
    (await account.get(f"/Configuration/Addresses/{OURS}")).refused_with(404, 20404)
