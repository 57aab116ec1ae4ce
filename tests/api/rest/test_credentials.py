"""Credentials of push services (rest 12, semantics 7.1)."""

from __future__ import annotations

import json
import logging
from datetime import timedelta

import pytest

from tests.engine.world import World

from .client import AccountHolder

APN = {"Type": "apn", "Certificate": "certificate text", "PrivateKey": "key text"}
TOKEN_APN = {"Type": "apn", "PrivateKey": "p8 text", "KeyId": "ABC", "TeamId": "DEF", "Topic": "org.example.app"}
FCM = {"Type": "fcm", "Secret": "server-key"}
GCM = {"Type": "gcm", "ApiKey": "api-key"}
WEB = {"Type": "webpush", "PublicKey": "public point", "PrivateKey": "private scalar", "Subject": "mailto:a@b.test"}
NOWHERE = "/Credentials/CR" + "0" * 32


async def test_a_credential_can_be_made_read_changed_listed_and_deleted(account: AccountHolder) -> None:
    made = await account.made("/Credentials", {**FCM, "FriendlyName": "phones"})
    assert made == {
        "sid": made["sid"],
        "account_sid": account.account_sid,
        "friendly_name": "phones",
        "type": "fcm",
        "sandbox": "False",
        "date_created": "2025-01-01T00:00:00Z",
        "date_updated": "2025-01-01T00:00:00Z",
        "url": f"{account.root}/Credentials/{made['sid']}",
    }
    path = f"/Credentials/{made['sid']}"
    assert made["sid"].startswith("CR")
    assert (await account.get(path)).body == made
    assert (await account.post(path, {"FriendlyName": "new"}))["friendly_name"] == "new"
    assert (await account.post(path, {"FriendlyName": ""}))["friendly_name"] is None
    assert [one["sid"] for one in await account.everything("/Credentials")] == [made["sid"]]
    assert (await account.delete(path)).status == 204
    for answer in (await account.get(path), await account.post(path), await account.delete(path)):
        answer.refused_with(404, 20404)


@pytest.mark.parametrize("form", [APN, TOKEN_APN, FCM, GCM, WEB], ids=lambda form: "-".join(form))
async def test_each_type_is_made_with_its_own_fields(account: AccountHolder, form: dict[str, str]) -> None:
    assert (await account.made("/Credentials", form))["type"] == form["Type"]
    assert (await account.made("/Credentials", {**form, "Type": form["Type"].title()}))["type"] == form["Type"]


@pytest.mark.parametrize(
    ("form", "missing"),
    [
        ({}, "Type"),
        ({"Type": "fcm"}, "Secret"),
        ({"Type": "fcm", "Secret": ""}, "Secret"),
        ({"Type": "fcm", "ApiKey": "of the other type"}, "Secret"),
        ({"Type": "gcm", "Secret": "of the other type"}, "ApiKey"),
        ({"Type": "apn", "PrivateKey": "k"}, "Certificate"),
        ({"Type": "apn", "Certificate": "c"}, "PrivateKey"),
        ({"Type": "apn", "PrivateKey": "k", "KeyId": "x", "TeamId": "y"}, "Topic"),
        ({"Type": "apn", "PrivateKey": "k", "KeyId": "x", "TeamId": " \n", "Topic": "t"}, "TeamId"),
        ({"Type": "webpush", "PublicKey": "p"}, "PrivateKey"),
    ],
)
async def test_what_a_type_needs_is_required(account: AccountHolder, form: dict[str, str], missing: str) -> None:
    sentence = (await account.post("/Credentials", form)).refused_with(400, 20001)
    assert sentence == f"Missing required parameter {missing} in the post body"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"Type": "pigeon"}, 20001),
        ({"FriendlyName": "x" * 65}, 50003),
        ({"Secret": "x" * 20_000}, 20001),
        ({"Sandbox": "perhaps"}, 20001),
    ],
    ids=lambda value: str(value)[:24],
)
async def test_values_are_checked(account: AccountHolder, change: dict[str, str], code: int) -> None:
    (await account.post("/Credentials", {**FCM, **change})).refused_with(400, code)
    path = f"/Credentials/{(await account.made('/Credentials', FCM))['sid']}"
    (await account.post(path, change)).refused_with(400, code)


@pytest.mark.parametrize("name", ["KeyId", "TeamId", "Topic"])
@pytest.mark.parametrize("value", ["two words", "two\nlines", "org.example.caf\u00e9", "nul\x7f"])
async def test_what_no_header_may_hold_is_refused(account: AccountHolder, name: str, value: str) -> None:
    refused = (await account.post("/Credentials", {**TOKEN_APN, name: value})).refused_with(400, 20001)
    assert name in refused and value not in refused
    path = f"/Credentials/{(await account.made('/Credentials', TOKEN_APN))['sid']}"
    (await account.post(path, {name: value})).refused_with(400, 20001)
    assert (await account.post(path, {name: f" {TOKEN_APN[name]}\n"})).body == (await account.get(path)).body


@pytest.mark.parametrize("beside", ["KeyId", "TeamId"])
async def test_both_of_apples_ways_at_once_are_refused(account: AccountHolder, beside: str) -> None:
    both = {**APN, beside: "ABC"}
    assert beside in (await account.post("/Credentials", both)).refused_with(400, 20001)
    path = f"/Credentials/{(await account.made('/Credentials', TOKEN_APN))['sid']}"
    assert beside in (await account.post(path, both)).refused_with(400, 20001)


@pytest.mark.parametrize(
    ("made", "sent", "named"),
    [
        (FCM, {"KeyId": "ABC"}, "KeyId"),
        (FCM, {"Topic": "org.example"}, "Topic"),
        (FCM, {"Certificate": "c"}, "Certificate"),
        (FCM, {"Secret": "good", "ApiKey": "of the other type"}, "ApiKey"),
        (FCM, {**APN, "ApiKey": "of neither type"}, "ApiKey"),
        (GCM, {"Secret": "s"}, "Secret"),
        (APN, {"PublicKey": "p"}, "PublicKey"),
        (WEB, {"Topic": "org.example"}, "Topic"),
    ],
)
async def test_an_update_with_a_parameter_of_another_type_is_refused(
    account: AccountHolder, made: dict[str, str], sent: dict[str, str], named: str
) -> None:
    path = f"/Credentials/{(await account.made('/Credentials', made))['sid']}"
    before = (await account.get(path)).body
    assert (await account.post(path, sent)).refused_with(400, 20001).startswith(f"{named} is no parameter")
    assert (await account.get(path)).body == before
    assert (await account.post(path, {named: ""})).body == before, "nothing to remove is nothing wrong"


@pytest.mark.parametrize(("sent", "shown"), [("true", "True"), ("TRUE", "True"), ("false", "False")])
async def test_the_sandbox_is_a_text(account: AccountHolder, sent: str, shown: str) -> None:
    made = await account.made("/Credentials", {**APN, "Sandbox": sent})
    assert made["sandbox"] == shown
    path = f"/Credentials/{made['sid']}"
    assert (await account.post(path))["sandbox"] == shown
    assert (await account.post(path, {"Sandbox": "true"}))["sandbox"] == "True"


async def test_a_type_can_only_be_changed_with_the_fields_of_the_new_one(account: AccountHolder) -> None:
    path = f"/Credentials/{(await account.made('/Credentials', FCM))['sid']}"
    (await account.post(path, {"Type": "apn"})).refused_with(400, 20001)
    (await account.post(path, {"Secret": ""})).refused_with(400, 20001)
    assert (await account.get(path))["type"] == "fcm"
    assert (await account.post(path, {"Type": "fcm"}))["type"] == "fcm"
    assert (await account.post(path, APN))["type"] == "apn"
    (await account.post(path, {"Certificate": ""})).refused_with(400, 20001)
    (await account.post(path, {"Type": "webpush", "PublicKey": "without the key of its own"})).refused_with(400, 20001)


async def test_an_update_without_parameters_changes_nothing(account: AccountHolder, world: World) -> None:
    made = await account.made("/Credentials", APN)
    world.clock.advance(timedelta(minutes=1))
    assert (await account.post(f"/Credentials/{made['sid']}")).body == made
    assert (await account.post(f"/Credentials/{made['sid']}", APN)).body == made
    changed = await account.post(f"/Credentials/{made['sid']}", {"PrivateKey": "another"})
    assert changed["date_updated"] == "2025-01-01T00:01:00Z"


async def test_secrets_are_sealed_at_rest_and_never_shown_or_logged(
    account: AccountHolder, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secrets = {name: f"do-not-show-{name}" for name in ("Certificate", "PrivateKey", "Topic")}
    made = await account.made("/Credentials", {"Type": "apn", **secrets})
    path = f"/Credentials/{made['sid']}"
    refused = await account.post(path, {"FriendlyName": "x" * 65, **secrets})
    answers = [await account.get(path), await account.post(path, secrets), await account.get("/Credentials"), refused]
    assert "do-not-show" not in json.dumps([made, *(answer.body for answer in answers)])
    assert "do-not-show" not in caplog.text
    async with world.database.snapshot() as connection:
        row = await connection.row("SELECT * FROM credentials")
    assert row is not None
    assert "do-not-show" not in repr(row)
    sealed = next(value for value in row if isinstance(value, str) and value.startswith("s1."))
    opened = json.loads(world.sealer.open(sealed, made["sid"]))
    assert opened["private_key"] == "do-not-show-PrivateKey"


async def test_the_list_is_paged_by_age(account: AccountHolder) -> None:
    made = [(await account.made("/Credentials", FCM))["sid"] for _ in range(5)]
    pages = [page async for page in account.pages("/Credentials", PageSize=2)]
    assert [[one["sid"] for one in page["credentials"]] for page in pages] == [made[:2], made[2:4], made[4:]]
    assert pages[0]["meta"]["key"] == "credentials"


async def test_those_of_another_account_are_absent(account: AccountHolder, stranger: AccountHolder) -> None:
    path = f"/Credentials/{(await account.made('/Credentials', FCM))['sid']}"
    for method, form in (("GET", {}), ("POST", {"FriendlyName": "mine"}), ("DELETE", {})):
        theirs, absent = [await stranger.ask(method, one, data=form) for one in (path, NOWHERE)]
        sentences = {answer.refused_with(404, 20404) for answer in (theirs, absent)}
        assert len({sentence.replace(path[-34:], "").replace(NOWHERE[-34:], "") for sentence in sentences}) == 1
    assert await stranger.everything("/Credentials") == []
    assert (await account.get(path))["friendly_name"] is None
