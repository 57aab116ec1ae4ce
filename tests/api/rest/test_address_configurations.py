"""Address configurations (rest 3.3, semantics 4.4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from urllib.parse import quote

import pytest

from tests.engine.world import World

from .client import AccountHolder

ALL = "/Configuration/Addresses"
NUMBER = "+15550001111"
FLOW = "FW" + "a" * 32
WEBHOOK: Mapping[str, str | Sequence[str]] = {
    "AutoCreation.Enabled": "true",
    "AutoCreation.Type": "webhook",
    "AutoCreation.WebhookUrl": "https://example.com/hook",
    "AutoCreation.WebhookMethod": "get",
    "AutoCreation.WebhookFilters": ["onParticipantAdded", "onMessageAdded"],
}
STUDIO = {"AutoCreation.Type": "studio", "AutoCreation.StudioFlowSid": FLOW, "AutoCreation.StudioRetryCount": "3"}

Form = dict[str, str | Sequence[str]]


def sms(**more: str | Sequence[str]) -> Form:
    return {"Type": "sms", "Address": NUMBER, **{name.replace("_", "."): value for name, value in more.items()}}


async def test_an_address_can_be_configured_read_changed_listed_and_deleted(
    account: AccountHolder, world: World
) -> None:
    made = await account.made(ALL, {**sms(), **WEBHOOK, "FriendlyName": "desk", "AddressCountry": "ca"})
    assert made == {
        "sid": made["sid"],
        "account_sid": account.account_sid,
        "type": "sms",
        "address": NUMBER,
        "friendly_name": "desk",
        "auto_creation": {
            "enabled": True,
            "type": "webhook",
            "conversation_service_sid": None,
            "webhook_url": "https://example.com/hook",
            "webhook_method": "GET",
            "webhook_filters": ["onParticipantAdded", "onMessageAdded"],
        },
        "address_country": "CA",
        "date_created": "2025-01-01T00:00:00Z",
        "date_updated": "2025-01-01T00:00:00Z",
        "url": f"{account.root}{ALL}/{made['sid']}",
    }
    path = f"{ALL}/{made['sid']}"
    assert made["sid"].startswith("IG")
    assert (await account.get(path)).body == made
    world.clock.advance(timedelta(minutes=1))
    assert (await account.post(path)).body == made
    assert (await account.post(path, WEBHOOK)).body == made
    changed = await account.post(path, {"FriendlyName": "", "AutoCreation.Enabled": "FALSE"})
    assert (changed["friendly_name"], changed["date_updated"]) == (None, "2025-01-01T00:01:00Z")
    assert changed["auto_creation"] == {**made["auto_creation"], "enabled": False}
    assert await account.everything(ALL) == [changed.body]
    assert (await account.delete(path)).status == 204
    for answer in (await account.get(path), await account.post(path), await account.delete(path)):
        answer.refused_with(404, 20404)


@pytest.mark.parametrize(
    ("kind", "address"),
    [
        ("sms", NUMBER),
        ("sms", "12345"),
        ("whAtsAPP", f"whatsapp:{NUMBER}"),
        ("messenger", "messenger:108123"),
        ("email", "desk@example.com"),
        ("rcs", "rcs:brand_agent"),
        ("gbm", "gbm:x"),
        ("apple", "urn:mbid:AQAAYyUbut6E4B3T9FLv5EbG"),
        ("chat", "the front desk, ünd more"),
    ],
)
async def test_the_address_itself_works_in_the_path(account: AccountHolder, kind: str, address: str) -> None:
    made = await account.made(ALL, {"Type": kind, "Address": address})
    assert (made["type"], made["address"]) == (kind.lower(), address)
    for path in (f"{ALL}/{address}", f"{ALL}/{quote(address, safe='')}"):
        assert (await account.get(path)).body == made
    assert (await account.post(f"{ALL}/{address}", {"FriendlyName": "x"}))["sid"] == made["sid"]
    assert (await account.delete(f"{ALL}/{address}")).status == 204
    (await account.get(f"{ALL}/{made['sid']}")).refused_with(404, 20404)


@pytest.mark.parametrize(
    ("kind", "address", "code"),
    [
        ("sms", "", 50411),
        ("sms", "whatsapp:+15550001111", 50407),
        ("sms", "5550001111", 50407),
        ("sms", "12", 50407),
        ("whatsapp", NUMBER, 50407),
        ("whatsapp", "whatsapp:desk", 50407),
        ("email", "desk", 50407),
        ("messenger", "whatsapp:+15550001111", 50407),
        ("chat", "x" * 257, 50407),
        ("chat", "IG" + "0" * 32, 50407),
        ("pigeon", NUMBER, 20001),
        ("", NUMBER, 20001),
    ],
    ids=lambda value: str(value)[:24],
)
async def test_an_address_has_the_form_of_its_type(account: AccountHolder, kind: str, address: str, code: int) -> None:
    (await account.post(ALL, {"Type": kind, "Address": address})).refused_with(400, code)


@pytest.mark.parametrize("missing", ["Type", "Address"])
async def test_type_and_address_are_required(account: AccountHolder, missing: str) -> None:
    form = {name: value for name, value in sms().items() if name != missing}
    sentence = (await account.post(ALL, form)).refused_with(400, 20001)
    assert sentence == f"Missing required parameter {missing} in the post body"


async def test_an_address_is_configured_once(account: AccountHolder) -> None:
    await account.made(ALL, sms())
    (await account.post(ALL, sms())).refused_with(409, 20409)
    (await account.post(ALL, {"Type": "chat", "Address": NUMBER})).refused_with(409, 20409)
    await account.made(ALL, {"Type": "whatsapp", "Address": f"whatsapp:{NUMBER}"})
    await account.delete(f"{ALL}/{NUMBER}")
    await account.made(ALL, sms())


async def test_automatic_creation_shows_only_what_belongs_to_its_type(account: AccountHolder) -> None:
    made = await account.made(ALL, {**sms(), **WEBHOOK, **STUDIO, "AutoCreation.Enabled": "false"})
    common = {"enabled": False, "conversation_service_sid": None}
    path = f"{ALL}/{made['sid']}"
    studio = {**common, "type": "studio", "studio_flow_sid": FLOW, "studio_retry_count": 3}
    assert made["auto_creation"] == studio
    changed = await account.post(path, {"AutoCreation.Type": "DEFAULT", "AutoCreation.WebhookUrl": "http://x.test"})
    assert changed["auto_creation"] == {**common, "type": "default"}
    # What was of another type is forgotten, not waiting to come back.
    (await account.post(path, {"AutoCreation.Type": "studio"})).refused_with(400, 50367)
    (await account.post(path, {"AutoCreation.Type": "webhook"})).refused_with(400, 50369)
    assert (await account.get(path))["auto_creation"] == {**common, "type": "default"}


async def test_without_parameters_nothing_is_created_automatically(account: AccountHolder) -> None:
    made = await account.made(ALL, sms())
    assert made["auto_creation"] == {"enabled": False, "type": "default", "conversation_service_sid": None}


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"AutoCreation.WebhookFilters": ["onMessageAdded", "onMessageAdd"]}, 400, 50365),
        ({"AutoCreation.WebhookFilters": ["onUserAdded"]}, 400, 50365),
        ({"AutoCreation.WebhookFilters": ""}, 400, 50370),
        ({"AutoCreation.WebhookUrl": ""}, 400, 50369),
        ({"AutoCreation.WebhookUrl": "https://example.com/" + "x" * 500}, 400, 50372),
        ({"AutoCreation.WebhookUrl": "not a url"}, 400, 50054),
        ({"AutoCreation.WebhookMethod": "put"}, 400, 50055),
        ({"AutoCreation.Type": "magic"}, 400, 20001),
        ({"AutoCreation.Type": ""}, 400, 20001),
        ({"AutoCreation.Type": "studio"}, 400, 50367),
        ({"AutoCreation.StudioFlowSid": "FW123"}, 400, 50367),
        ({"AutoCreation.StudioRetryCount": "4"}, 400, 50065),
        ({"AutoCreation.StudioRetryCount": "many"}, 400, 20001),
        ({"AutoCreation.ConversationServiceSid": "IS" + "0" * 32}, 404, 50050),
        ({"AutoCreation.ConversationServiceSid": "nonsense"}, 404, 50050),
        ({"AutoCreation.Enabled": "perhaps"}, 400, 20001),
        ({"FriendlyName": "x" * 257}, 400, 50003),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_values_are_checked(
    account: AccountHolder, change: Mapping[str, str | Sequence[str]], status: int, code: int
) -> None:
    (await account.post(ALL, {**sms(), **WEBHOOK, **change})).refused_with(status, code)
    made = await account.made(ALL, {**sms(), **WEBHOOK})
    (await account.post(f"{ALL}/{NUMBER}", change)).refused_with(status, code)
    assert (await account.get(f"{ALL}/{NUMBER}")).body == made


async def test_the_country_is_two_letters(account: AccountHolder) -> None:
    (await account.post(ALL, sms(AddressCountry="CAN"))).refused_with(400, 20001)
    assert (await account.made(ALL, sms(AddressCountry="")))["address_country"] is None


async def test_conversations_can_be_made_in_a_named_service(
    account: AccountHolder, other_service: AccountHolder, stranger: AccountHolder
) -> None:
    named = {"AutoCreation.ConversationServiceSid": other_service.service_sid, "AutoCreation.Enabled": "true"}
    made = await account.made(ALL, {**sms(), **named})
    assert made["auto_creation"]["conversation_service_sid"] == other_service.service_sid
    (await stranger.post(ALL, {**sms(), **named})).refused_with(404, 50050)
    cleared = await account.post(f"{ALL}/{NUMBER}", {"AutoCreation.ConversationServiceSid": ""})
    assert cleared["auto_creation"]["conversation_service_sid"] is None


async def test_deleting_a_service_switches_off_what_was_made_there(
    account: AccountHolder, other_service: AccountHolder
) -> None:
    named = {"AutoCreation.ConversationServiceSid": other_service.service_sid, "AutoCreation.Enabled": "true"}
    path = f"{ALL}/{(await account.made(ALL, {**sms(), **named}))['sid']}"
    await account.delete(f"/Services/{other_service.service_sid}")
    off = {"enabled": False, "type": "default", "conversation_service_sid": None}
    assert (await account.get(path))["auto_creation"] == off


async def test_the_list_can_be_narrowed_to_a_type_on_every_page(account: AccountHolder) -> None:
    numbers = [f"+1555000111{digit}" for digit in range(3)]
    for number in numbers:
        await account.made(ALL, {"Type": "sms", "Address": number})
        await account.made(ALL, {"Type": "whatsapp", "Address": f"whatsapp:{number}"})
    pages = [page async for page in account.pages(ALL, Type="SMS", PageSize=2)]
    assert [[one["address"] for one in page["address_configurations"]] for page in pages] == [numbers[:2], numbers[2:]]
    assert pages[0]["meta"]["key"] == "address_configurations"
    assert pages[0]["meta"]["first_page_url"] == f"{account.root}{ALL}?Type=sms&PageSize=2&Page=0"
    assert len(await account.everything(ALL)) == 6
    assert await account.everything(ALL, Type="chat") == await account.everything(ALL, Type="pigeon") == []


async def test_those_of_another_account_are_absent(account: AccountHolder, stranger: AccountHolder) -> None:
    made = await account.made(ALL, sms())
    for key in (made["sid"], NUMBER, "IG" + "0" * 32, "+15559999999"):
        for method in ("GET", "POST", "DELETE"):
            sentence = (await stranger.ask(method, f"{ALL}/{key}")).refused_with(404, 20404)
            assert sentence.endswith(" was not found")
    assert await stranger.everything(ALL) == []
    mine = await stranger.made(ALL, sms())
    assert (await stranger.get(f"{ALL}/{NUMBER}"))["sid"] == mine["sid"]
    assert (await account.get(f"{ALL}/{NUMBER}")).body == made
