"""Content templates, and messages made from them."""

from __future__ import annotations

from typing import Any

import pytest

from tertulia.client.content import Card, ListPicker, Other, QuickReply, Text, parse_content
from tertulia.server.domain.content import CreateContent

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
