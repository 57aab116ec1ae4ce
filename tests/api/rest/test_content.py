"""Content templates, and the messages made from them (rest 6, 13.2)."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from tertulia.server.domain.content_types import SHOWN, TYPES, Types
from tests.api import published
from tests.engine.world import World

from .client import AccountHolder, Answer

NOWHERE = "/Content/HX" + "0" * 32
ACTION = {"type": "URL", "title": "Open", "url": "https://example.org/{{1}}"}
CARD = {"body": "b", "media": "https://example.org/1.png", "actions": [ACTION]}

EVERY_TYPE: dict[str, dict[str, Any]] = {
    "twilio/text": {"body": "Hello {{1}}"},
    "twilio/media": {"body": "see", "media": ["https://example.org/a.png"]},
    "twilio/location": {"latitude": 39.7392, "longitude": -104.9903, "label": "Here", "id": "1", "address": "Street 1"},
    "twilio/list-picker": {
        "body": "Choose",
        "button": "Open",
        "items": [{"id": "1", "item": "One", "description": "The first"}, {"id": "2", "item": "Two"}],
    },
    "twilio/call-to-action": {"body": "Do", "actions": [ACTION, {"type": "PHONE_NUMBER", "title": "c", "phone": "+1"}]},
    "twilio/quick-reply": {
        "body": "Well?",
        "actions": [{"title": "Yes", "id": "y"}, {"type": "QUICK_REPLY", "title": "n"}],
    },
    "twilio/card": {"title": "T", "subtitle": "S", "media": ["https://example.org/a"], "actions": [ACTION]},
    "twilio/catalog": {"body": "Goods", "title": "T", "items": [{"id": "1", "name": "x", "price": 1.5}]},
    "twilio/carousel": {"body": "Look", "cards": [CARD, {**CARD, "title": "t"}]},
    "twilio/flows": {
        "body": "b",
        "button_text": "go",
        "type": "OTHER",
        "pages": [{"id": "1", "title": "t", "layout": [{"type": "TEXT", "label": "l"}]}],
    },
    "twilio/schedule": {"id": "1", "title": "t", "timeSlots": "10-11"},
    "whatsapp/card": {"body": "b", "footer": "f", "header_text": "h", "media": [], "actions": []},
    "whatsapp/authentication": {
        "add_security_recommendation": True,
        "code_expiration_minutes": 5.0,
        "actions": [{"type": "COPY_CODE", "copy_code_text": "Copy"}],
    },
    "whatsapp/flows": {"body": "b", "button_text": "go", "flow_id": "1", "is_flow_first_page_endpoint": False},
}
TEXT = {"language": "en", "types": {"twilio/text": {"body": "Hello {{1}}"}}}


async def create(api: AccountHolder, body: object) -> Answer:
    return await api.ask("POST", "/v1/Content", json=body)


async def made(api: AccountHolder, types: object = None, **more: object) -> dict[str, Any]:
    answer = await create(api, {"language": "en", "types": types or TEXT["types"], **more})
    assert answer.status == 201, answer.body
    body: dict[str, Any] = answer.body
    return body


async def test_a_template_can_be_made_read_changed_listed_and_deleted(account: AccountHolder) -> None:
    content = await made(account, friendly_name="greeting", variables={"1": "friend"})
    url = f"{account.root}/Content/{content['sid']}"
    assert content == {
        "sid": content["sid"],
        "account_sid": account.account_sid,
        "friendly_name": "greeting",
        "language": "en",
        "variables": {"1": "friend"},
        "types": {"twilio/text": {"body": "Hello {{1}}"}},
        "date_created": "2025-01-01T00:00:00Z",
        "date_updated": "2025-01-01T00:00:00Z",
        "url": url,
        "links": {"approval_create": f"{url}/ApprovalRequests/whatsapp", "approval_fetch": f"{url}/ApprovalRequests"},
    }
    path = f"/Content/{content['sid']}"
    assert content["sid"].startswith("HX")
    assert (await account.get(path)).body == content
    changed = await account.ask("PUT", path, json={"types": {"twilio/text": {"body": "Bye"}}})
    assert changed["types"] == {"twilio/text": {"body": "Bye"}}
    assert (changed["friendly_name"], changed["variables"]) == ("greeting", {"1": "friend"})
    assert [one["sid"] for one in await account.everything("/Content")] == [content["sid"]]
    assert (await account.delete(path)).status == 204
    for answer in (await account.get(path), await account.delete(path), await account.ask("PUT", path, json=TEXT)):
        answer.refused_with(404, 20404)


@pytest.mark.parametrize("name", TYPES)
async def test_each_published_type_is_kept_as_it_was_sent(account: AccountHolder, name: str) -> None:
    content = await made(account, {name: EVERY_TYPE[name]})
    assert content["types"] == {name: EVERY_TYPE[name]}
    assert (await account.get(f"/Content/{content['sid']}")).body == content


async def test_a_template_may_have_all_types_at_once(account: AccountHolder) -> None:
    assert (await made(account, EVERY_TYPE))["types"] == EVERY_TYPE


async def test_a_member_that_is_null_is_absent(account: AccountHolder) -> None:
    """So the libraries send whatever they know and was not set, also what is not published yet."""
    item = {"id": "1", "item": "One", "description": None, "of a later version": None}
    types = {
        "twilio/list-picker": {"body": "b", "button": "c", "items": [item]},
        "twilio/text": None,
        "twilio/pay": None,
    }
    content = await made(account, types, friendly_name=None, variables=None)
    assert content["types"] == {
        "twilio/list-picker": {"body": "b", "button": "c", "items": [{"id": "1", "item": "One"}]}
    }
    assert (content["friendly_name"], content["variables"]) == ("", {})


def _published_types() -> dict[str, Any]:
    schema: dict[str, Any] = published.resolved(published.CONTENT, {"$ref": "#/components/schemas/types"})
    return schema


def _outline(schema: dict[str, Any], named: dict[str, Any]) -> Any:
    """Members, which of them are needed, enumerations, and the types of what has no members."""
    if "$ref" in schema:
        schema = named[schema["$ref"].rpartition("/")[2]]
    if "properties" in schema:
        return (
            {name: _outline(member, named) for name, member in schema["properties"].items()},
            frozenset(schema.get("required", ())),
        )
    if schema.get("type") == "array":
        return [_outline(schema["items"], named)]
    return frozenset(schema["enum"]) if "enum" in schema else schema["type"]


def test_what_is_checked_is_what_is_published() -> None:
    ours = msgspec.json.schema(Types)
    theirs = published.document(published.CONTENT)["components"]["schemas"]
    assert _outline(ours, ours["$defs"]) == _outline(_published_types(), theirs)


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"types": TEXT["types"]}, "language"),
        ({"language": "en"}, "types"),
        ({"language": "en", "types": None}, "types is no JSON object"),
        ({"language": "en", "types": []}, "types is no JSON object"),
        ({"language": "en", "types": {}}, "types is empty"),
        ({"language": "en", "types": {"twilio/pay": {}}}, "'twilio/pay' is no content type"),
        ({"language": "en", "types": {"twilio/text": "hello"}}, "types.twilio/text: Expected `object`"),
        ({**TEXT, "language": "english, please"}, "language is a language code"),
        ({**TEXT, "language": ""}, "language is a language code"),
        ({**TEXT, "variables": {"1": 5}}, "variables"),
        ({**TEXT, "variables": {"": "x"}}, "A key of variables"),
        ({**TEXT, "variables": {"x" * 17: "x"}}, "A key of variables"),
        ({**TEXT, "variables": {"1": "x" * 257}}, "A value of variables"),
        ({**TEXT, "variables": {str(n): "x" for n in range(101)}}, "variables has 101 members"),
        ({**TEXT, "types": {"twilio/text": {"body": "x" * 70_000}}}, "32768 are allowed"),
        ({**TEXT, "friendly_name": 1}, "friendly_name"),
        ("text", "Expected `object`"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_what_does_not_fit_is_refused_with_its_place(account: AccountHolder, body: object, where: str) -> None:
    sentence = (await create(account, body)).refused_with(400, 20001)
    assert where in sentence
    assert len(sentence) < 600
    content = await made(account)
    if isinstance(body, dict) and "types" in body and "language" in body:
        (await account.ask("PUT", f"/Content/{content['sid']}", json=body)).refused_with(400, 20001)
    assert await account.everything("/Content") == [content]


@pytest.mark.parametrize(
    ("name", "change", "where"),
    [
        ("twilio/text", {"body": None}, "missing required field `body`"),
        ("twilio/text", {"body": 1}, ".body: Expected `str`"),
        ("twilio/text", {"subject": "x"}, "unknown field `subject`"),
        ("twilio/text", {"x" * 5000: "x"}, "unknown field"),
        ("twilio/media", {"media": [], "body": ""}, "a body or media is needed"),
        ("twilio/media", {"media": "https://example.org"}, ".media: Expected `array`"),
        ("twilio/location", {"latitude": 90.1}, ".latitude: Expected `float` <= 90"),
        ("twilio/location", {"longitude": "here"}, ".longitude: Expected `float`"),
        ("twilio/list-picker", {"items": [{"id": str(n), "item": "x"} for n in range(11)]}, "length <= 10"),
        ("twilio/list-picker", {"items": [{"id": "1"}]}, ".items[0]: Object missing required field `item`"),
        (
            "twilio/call-to-action",
            {"actions": [{"type": "JUMP", "title": "x"}]},
            ".actions[0].type: Invalid enum value",
        ),
        ("twilio/card", {"subtitle": None, "media": None, "actions": None}, "needed beside the title"),
        ("twilio/card", {"title": None}, "a title is needed"),
        ("twilio/carousel", {"cards": [CARD] * 11}, "length <= 10"),
        ("twilio/carousel", {"cards": [{"body": "b"}]}, ".cards[0]: Object missing required field `media`"),
        ("twilio/flows", {"pages": [{"id": "1", "title": "t"}]}, ".pages[0]: Object missing required field `layout`"),
        ("whatsapp/card", {"footer": "", "header_text": None}, "needed beside the body"),
        ("whatsapp/authentication", {"actions": None}, "missing required field `actions`"),
        ("whatsapp/flows", {"flow_id": None}, "missing required field `flow_id`"),
    ],
    ids=lambda value: str(value)[:32],
)
async def test_each_type_is_checked(account: AccountHolder, name: str, change: dict[str, Any], where: str) -> None:
    body = {"language": "en", "types": {name: {**EVERY_TYPE[name], **change}}}
    sentence = (await create(account, body)).refused_with(400, 20001)
    assert sentence.startswith(f"types.{name}")
    assert where in sentence
    assert len(sentence) < 600


async def test_a_name_that_is_too_long_has_the_code_of_names(account: AccountHolder) -> None:
    (await create(account, {**TEXT, "friendly_name": "x" * 257})).refused_with(400, 50003)


@pytest.mark.parametrize("raw", [b"", b"{", b"nonsense", b'{"types":' + b"[" * 100_000, b'{"language":"\\u0000"}'])
async def test_bodies_that_are_no_json_are_refused(account: AccountHolder, raw: bytes) -> None:
    (await account.ask("POST", "/v1/Content", content=raw)).refused_with(400, 20001)


async def test_an_update_with_the_present_values_changes_nothing(account: AccountHolder, world: World) -> None:
    content = await made(account, friendly_name="x", variables={"1": "y"})
    world.clock.advance(timedelta(minutes=1))
    same = {name: content[name] for name in ("friendly_name", "language", "variables", "types")}
    path = f"/Content/{content['sid']}"
    assert (await account.ask("PUT", path, json=same)).body == content
    assert (await account.ask("PUT", path, json={"types": content["types"]})).body == content
    changed = await account.ask("PUT", path, json={**same, "variables": {}, "friendly_name": ""})
    assert (changed["date_updated"], changed["variables"]) == ("2025-01-01T00:01:00Z", {})


async def test_the_lists_are_paged_by_age(account: AccountHolder) -> None:
    sids = [(await made(account))["sid"] for _ in range(5)]
    for path in ("/Content", "/ContentAndApprovals"):
        pages = [page async for page in account.pages(path, PageSize=2)]
        assert [[one["sid"] for one in page["contents"]] for page in pages] == [sids[:2], sids[2:4], sids[4:]]
        assert pages[0]["meta"]["key"] == "contents"
    assert (await account.get("/Content"))["meta"]["page_size"] == 50
    assert (await account.get("/Content", PageSize=5000))["meta"]["page_size"] == 1000


async def test_there_are_no_legacy_templates(account: AccountHolder) -> None:
    await made(account)
    answer = await account.get("/LegacyContent", PageSize=3)
    assert answer["contents"] == []
    assert answer["meta"]["next_page_url"] is None
    assert answer["meta"]["key"] == "contents"


async def test_those_of_another_account_are_absent(account: AccountHolder, stranger: AccountHolder) -> None:
    content = await made(account)
    path = f"/Content/{content['sid']}"
    for method, of, body in (
        ("GET", "", None),
        ("PUT", "", TEXT),
        ("DELETE", "", None),
        ("GET", "/ApprovalRequests", None),
        ("POST", "/ApprovalRequests/whatsapp", {"name": "x", "category": "UTILITY"}),
    ):
        theirs, absent = [await stranger.ask(method, one + of, json=body) for one in (path, NOWHERE)]
        sentences = {answer.refused_with(404, 20404) for answer in (theirs, absent)}
        assert len({sentence.replace(path[-34:], "").replace(NOWHERE[-34:], "") for sentence in sentences}) == 1
    for listing in ("/Content", "/ContentAndApprovals"):
        assert await stranger.everything(listing) == []
    assert (await account.get(path)).body == content


# --- approval


async def approve(api: AccountHolder, content: dict[str, Any], **body: object) -> Answer:
    path = f"/Content/{content['sid']}/ApprovalRequests/whatsapp"
    return await api.ask("POST", path, json={"name": "a_greeting", "category": "UTILITY", **body})


async def test_an_approval_request_is_recorded_and_answered(account: AccountHolder) -> None:
    content = await made(account, {name: EVERY_TYPE[name] for name in ("twilio/text", "twilio/quick-reply")})
    path = f"/Content/{content['sid']}/ApprovalRequests"
    unsubmitted = (await account.get(path)).body["whatsapp"]
    assert (unsubmitted["type"], unsubmitted["status"], unsubmitted["name"]) == ("whatsapp", "unsubmitted", "")
    asked = await approve(account, content)
    expected = {
        "name": "a_greeting",
        "category": "UTILITY",
        "content_type": "twilio/quick-reply",
        "rejection_reason": "",
        "allow_category_change": True,
    }
    assert asked.status == 201
    assert asked.body == {**expected, "status": "received"}
    answered = await account.get(path)
    assert answered["whatsapp"] == {**expected, "type": "whatsapp", "status": "approved"}
    assert answered["url"] == f"{account.root}{path}"
    (listed,) = await account.everything("/ContentAndApprovals")
    assert listed["approval_requests"] == {**expected, "status": "approved"}


async def test_a_template_is_submitted_once(account: AccountHolder) -> None:
    content = await made(account)
    first = await approve(account, content)
    assert (await approve(account, content, category="utility")).body == first.body
    (await approve(account, content, name="another")).refused_with(409, 20409)


async def test_a_template_that_says_something_else_is_unsubmitted(account: AccountHolder) -> None:
    content = await made(account)
    await approve(account, content)
    path = f"/Content/{content['sid']}"

    async def status() -> str:
        return str((await account.get(f"{path}/ApprovalRequests"))["whatsapp"]["status"])

    await account.ask("PUT", path, json={"types": content["types"], "friendly_name": "only the name is new"})
    assert await status() == "approved"
    await account.ask("PUT", path, json={"types": {"twilio/text": {"body": "something else"}}})
    assert await status() == "unsubmitted"


@pytest.mark.parametrize(
    "body", [{"name": ""}, {"name": "x" * 513}, {"name": None}, {"category": "SPAM"}, {"category": None}], ids=str
)
async def test_approval_requests_are_checked(account: AccountHolder, body: dict[str, object]) -> None:
    (await approve(account, await made(account), **body)).refused_with(400, 20001)


# --- messages


async def send(api: AccountHolder, room: str, content: str, variables: object = None, **form: str) -> Answer:
    if variables is not None:
        form["ContentVariables"] = variables if isinstance(variables, str) else json.dumps(variables)
    return await api.post(f"{room}/Messages", {"ContentSid": content, **form})


async def test_a_message_shows_the_template_with_its_values(api: AccountHolder, room: str) -> None:
    types = {"twilio/text": {"body": "Dear {{1}}, your {{thing}} is {{3}}."}}
    content = await made(api, types, variables={"1": "friend", "thing": "parcel"})
    message = await send(api, room, content["sid"], {"1": "Ana"})
    assert message.status == 201, message.body
    assert (message["body"], message["content_sid"]) == ("Dear Ana, your parcel is {{3}}.", content["sid"])
    assert (await send(api, room, content["sid"]))["body"] == "Dear friend, your parcel is {{3}}."
    assert (await send(api, room, content["sid"], {"3": "{{1}}"}))["body"] == "Dear friend, your parcel is {{1}}."
    listed = await api.everything(f"{room}/Messages")
    assert [one["content_sid"] for one in listed] == [content["sid"]] * 3


async def test_body_and_media_beside_a_template_are_not_listened_to(api: AccountHolder, room: str) -> None:
    content = await made(api)
    message = await send(api, room, content["sid"], {"1": "Ana"}, Body="ignored", MediaSid="ME" + "0" * 32)
    assert message["body"] == "Hello Ana"
    assert [part["content_type"] for part in message["media"]] == ["application/x-vnd.com.twilio.rich.twilio.text"]


@pytest.mark.parametrize(
    ("names", "shown", "body"),
    [
        (["twilio/quick-reply"], "quick-reply", "Well?"),
        (["twilio/text", "twilio/quick-reply"], "quick-reply", "Hello friend"),
        (["twilio/list-picker", "twilio/carousel"], "list-picker", "Choose"),
        (["twilio/call-to-action"], "call-to-action", "Do"),
        (["twilio/location"], "location", "Here\nStreet 1\n39.7392, -104.9903"),
        (["twilio/card"], "card", "T\nS"),
        (["twilio/media"], "media", "see"),
    ],
    ids=str,
)
async def test_the_richest_type_is_what_clients_see_and_the_text_what_others_do(
    api: AccountHolder, room: str, world: World, names: list[str], shown: str, body: str
) -> None:
    content = await made(api, {name: EVERY_TYPE[name] for name in names}, variables={"1": "friend"})
    message = await send(api, room, content["sid"])
    assert message["body"] == body
    (part,) = message["media"]
    assert part["content_type"] == f"application/x-vnd.com.twilio.rich.twilio.{shown}"
    async with world.database.snapshot() as connection:
        row = await connection.row(
            "SELECT inline, size, category, blob, message_sid FROM media WHERE sid = $1", part["sid"]
        )
    assert row is not None
    inline, *others = row
    assert json.loads(inline) == {
        "data": json.loads(json.dumps(EVERY_TYPE[f"twilio/{shown}"]).replace("{{1}}", "friend"))
    }
    assert others == [len(inline.encode()), "body", None, message["sid"]]
    assert part["size"] == len(inline.encode())


async def test_a_picture_without_words_is_a_message_without_a_body(api: AccountHolder, room: str) -> None:
    content = await made(api, {"twilio/media": {"media": ["https://example.org/a.png"]}})
    assert (await send(api, room, content["sid"]))["body"] is None


@pytest.mark.parametrize("name", [name for name in TYPES if name not in SHOWN])
async def test_a_template_that_conversations_cannot_show_is_50542(api: AccountHolder, room: str, name: str) -> None:
    content = await made(api, {name: EVERY_TYPE[name]})
    assert name in (await send(api, room, content["sid"])).refused_with(400, 50542)
    assert await api.everything(f"{room}/Messages") == []


@pytest.mark.parametrize(
    ("content", "variables", "status", "code"),
    [
        ("HX" + "0" * 32, None, 404, 20404),
        ("HX", None, 400, 50526),
        (None, "nonsense", 400, 50527),
        (None, "[]", 400, 50527),
        (None, {"1": 5}, 400, 50541),
        (None, {"1": "x" * 257}, 400, 50541),
        (None, {"1": "a\0b"}, 400, 50541),
        (None, {"\0": "x"}, 400, 50540),
        (None, {"x" * 17: "x"}, 400, 50540),
        (None, {str(n): "x" for n in range(101)}, 400, 50529),
    ],
    ids=lambda value: str(value)[:20],
)
async def test_what_cannot_be_rendered_is_refused(
    api: AccountHolder, room: str, content: str | None, variables: object, status: int, code: int
) -> None:
    sid = content or (await made(api))["sid"]
    (await send(api, room, sid, variables)).refused_with(status, code)
    assert await api.everything(f"{room}/Messages") == []


async def test_a_template_that_becomes_too_long_is_refused(api: AccountHolder, room: str) -> None:
    content = await made(api, {"twilio/text": {"body": "{{1}}" * 200}}, variables={"1": "x" * 256})
    (await send(api, room, content["sid"])).refused_with(400, 50504)
    items = [{"id": "{{1}}" * 500, "item": "x"} for _ in range(10)]
    content = await made(api, {"twilio/list-picker": {"body": "b", "button": "c", "items": items}})
    assert (await send(api, room, content["sid"], {"1": "x"})).status == 201
    (await send(api, room, content["sid"], {"1": "x" * 256})).refused_with(400, 50504)


async def test_a_template_of_another_account_is_unknown(
    account: AccountHolder, stranger: AccountHolder, room: str
) -> None:
    content = await made(stranger)
    unknown = await account.conversation()
    (await send(account, f"/Conversations/{unknown}", content["sid"])).refused_with(404, 20404)


async def test_messages_keep_what_they_show_when_the_template_changes_or_goes(api: AccountHolder, room: str) -> None:
    content = await made(api, variables={"1": "Ana"})
    message = await send(api, room, content["sid"])
    await api.ask("PUT", f"/v1/Content/{content['sid']}", json={"types": {"twilio/text": {"body": "other"}}})
    assert (await api.get(f"{room}/Messages/{message['sid']}")).body == message.body
    await api.delete(f"/v1/Content/{content['sid']}")
    assert (await api.get(f"{room}/Messages/{message['sid']}")).body == message.body
    (await send(api, room, content["sid"])).refused_with(404, 20404)
