"""Content templates, and messages made from them."""

from __future__ import annotations

from typing import Any

import pytest

from tertulia.client.content import (
    MOST_PAGES,
    CallToAction,
    Card,
    ContentData,
    ListPicker,
    Location,
    MediaContent,
    Other,
    QuickReply,
    Templates,
    Text,
    parse_content,
)
from tertulia.server.domain.content import CreateContent

from .sessions import talking
from .stage import Stage


async def test_templates_are_listed_and_a_message_is_made_of_one(stage: Stage) -> None:
    types = {
        "twilio/quick-reply": {
            "body": "Hello {{1}}, at {{2}}?",
            "actions": [{"title": "Yes", "id": "yes"}, {"title": "No", "id": "no"}],
        }
    }
    template = await make(stage, types)
    [room] = await stage.hosted("ana")
    client = stage_client(room)
    [found] = await client.content_templates()
    assert (found.sid, found.friendly_name) == (template, "appointment")
    assert {each.name: each.value for each in found.variables} == {"1": "Ana", "2": "seven"}
    assert isinstance(found.variants["twilio/quick-reply"], QuickReply)
    message = await room.send(content_sid=template, content_variables={"1": "Ben"})
    content = await message.content()
    assert isinstance(content, QuickReply) and content.body == "Hello Ben, at seven?"
    assert [(each.title, each.id) for each in content.replies] == [("Yes", "yes"), ("No", "no")]
    assert message.content_sid == template
    assert await (await room.send("plain")).content() is None


async def make(stage: Stage, types: Any) -> str:
    made = await stage.world.engine.execute(
        stage.world.account,
        CreateContent(friendly_name="appointment", language="en", variables={"1": "Ana", "2": "seven"}, types=types),
    )
    return made.sid


def stage_client(room: Any) -> Any:
    return room._session.emitter


@pytest.mark.parametrize(
    ("kind", "data", "expected"),
    [
        ("twilio/text", {"body": "hello"}, Text),
        ("twilio/card", {"title": "A", "actions": [{"type": "URL", "title": "b", "url": "https://c.example"}]}, Card),
        ("twilio/list-picker", {"body": "a", "button": "b", "items": [{"id": "1", "item": "c"}]}, ListPicker),
        ("twilio/text", {"words": "of another kind"}, Other),
        ("twilio/flows", {"body": "unknown"}, Other),
        ("twilio/text", ["no object"], Other),
    ],
)
def test_content_is_what_it_says_or_another(kind: str, data: Any, expected: type) -> None:
    content = parse_content(kind, data)
    assert type(content) is expected and content.raw_data == data


LINK = {"type": "URL", "title": "Menu", "url": "https://tavern.example/menu"}
PHONE = {"type": "PHONE_NUMBER", "title": "Call", "phone": "+15550000001"}
REPLY = {"type": "QUICK_REPLY", "title": "Yes", "id": "yes", "index": 0}
ODD = {"type": "FLOW", "title": "More", "flow": "x"}


def test_each_type_says_what_is_in_it() -> None:
    place = parse_content("twilio/location", {"latitude": "52.5", "longitude": 13, "label": "Tavern"})
    assert isinstance(place, Location) and (place.latitude, place.longitude, place.label) == (52.5, 13.0, "Tavern")
    shown = parse_content("twilio/media", {"media": ["https://tavern.example/a.png"], "body": None})
    assert isinstance(shown, MediaContent) and (shown.media, shown.body) == (("https://tavern.example/a.png",), None)
    picker = parse_content(
        "twilio/list-picker", {"body": "a", "button": "b", "items": [{"id": "1", "item": "c", "description": "d"}]}
    )
    assert isinstance(picker, ListPicker) and (picker.button, picker.items[0].description) == ("b", "d")
    card = parse_content("twilio/card", {"title": "A", "subtitle": None, "media": [], "actions": None})
    assert isinstance(card, Card) and (card.title, card.subtitle, card.actions) == ("A", None, ())


def test_buttons_say_what_they_do_and_keep_what_is_not_known() -> None:
    call = parse_content("twilio/call-to-action", {"body": "a", "actions": [LINK, PHONE, REPLY, ODD]})
    assert isinstance(call, CallToAction)
    link, phone, reply, odd = call.actions
    assert (link.type, link.title, link.url) == ("URL", "Menu", LINK["url"])
    assert (phone.type, phone.phone) == ("PHONE_NUMBER", PHONE["phone"])
    assert (reply.type, reply.id, reply.index) == ("QUICK_REPLY", "yes", 0)
    assert odd.type == "FLOW" and [each.raw_data for each in call.actions] == [LINK, PHONE, REPLY, ODD]


@pytest.mark.parametrize("name", ["actions", "replies"])
def test_replies_are_read_by_either_name(name: str) -> None:
    content: ContentData = parse_content("twilio/quick-reply", {"body": "a", name: [{"title": "Yes", "id": "y"}]})
    assert isinstance(content, QuickReply)
    assert [(each.type, each.title, each.id) for each in content.replies] == [("QUICK_REPLY", "Yes", "y")]


async def test_pages_of_templates_without_end_are_left() -> None:
    async with talking() as talk:
        pages = [{"templates": [{"sid": f"HX{number}"}], "meta": {"next_token": f"{number}"}} for number in range(150)]
        talk.answers(*pages)
        assert len(await Templates(talk.session).all()) == MOST_PAGES
        assert len(talk.asked()) == MOST_PAGES


def test_content_that_is_nested_too_deep_is_of_no_known_type() -> None:
    deep: Any = []
    for _ in range(950):
        deep = [deep]
    assert isinstance(parse_content("twilio/text", {"body": deep}), Other)
