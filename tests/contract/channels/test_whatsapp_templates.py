"""WhatsApp: templates as approved ones, and in free form within the window."""

from __future__ import annotations

from typing import Any

import pytest
from pywa.types import templates as others

from tertulia.server.channels.base import MessageTemplate, Refused
from tests.contract.channels.graph_stage import channel_to, outgoing_message, template
from tests.peers.graph import GraphPeer

JSON = dict[str, Any]
PHOTO = "https://tavern.example/room.jpg"

YES_NO = [{"title": "Yes", "id": "yes"}, {"title": "No"}]
MENU = {
    "body": "What, {{1}}?",
    "button": "Menu",
    "items": [{"id": "soup", "item": "Soup", "description": "hot"}, {"id": "pie", "item": "Pie"}],
}
INN: JSON = {"latitude": 1.5, "longitude": -2.5, "label": "Inn", "address": "1 Main Street"}


async def posted(made: MessageTemplate, *, is_within_window: bool, **settings: Any) -> JSON:
    """What of a template goes to Meta; our double takes it, or the test fails."""
    async with GraphPeer() as peer, channel_to(peer, "whatsapp", **settings) as channel:
        peer.templates = {"invitation": made_of(made)}
        await channel.send(outgoing_message("as words", template=made, is_within_window=is_within_window))
    (body,) = peer.bodies
    return body


def made_of(made: MessageTemplate) -> int:
    """How many parameters the body has by the tests below: each of their templates says so itself."""
    return int(made.variables.get("parameters", "0"))


async def refusal(made: MessageTemplate, *, is_within_window: bool, **settings: Any) -> Refused:
    async with GraphPeer() as peer, channel_to(peer, "whatsapp", **settings) as channel:
        peer.templates = {"invitation": made_of(made)}
        with pytest.raises(Refused) as refused:
            await channel.send(outgoing_message("as words", template=made, is_within_window=is_within_window))
    assert peer.sent == []
    return refused.value


# --- approved ones


BODY_ANA: JSON = {"type": "body", "parameters": [{"type": "text", "text": "Ana"}]}
HEADER_PHOTO: JSON = {"type": "header", "parameters": [{"type": "image", "image": {"link": PHOTO}}]}


def button(index: int, sub_type: str, parameter: JSON) -> JSON:
    return {"type": "button", "sub_type": sub_type, "index": str(index), "parameters": [parameter]}


APPROVED: list[tuple[MessageTemplate, list[JSON]]] = [
    (template("twilio/text", {"body": "Come!"}), []),
    (template("twilio/text", {"body": "Come, {{1}}!"}, v1="Ana", parameters="1"), [BODY_ANA]),
    (
        template("twilio/text", {"body": "{{3}} at {{1}}, {{3}}"}, v1="nine", v3="Ana", parameters="2"),
        [{"type": "body", "parameters": [{"type": "text", "text": "nine"}, {"type": "text", "text": "Ana"}]}],
    ),
    (
        template("twilio/text", {"body": "Come, {{who}}!"}, who="Ana", parameters="1"),
        [{"type": "body", "parameters": [{"type": "text", "parameter_name": "who", "text": "Ana"}]}],
    ),
    (
        template("twilio/text", {"body": "{{1}}"}, v1="{{2}}", v2="never", parameters="1"),
        [{"type": "body", "parameters": [{"type": "text", "text": "{{2}}"}]}],
    ),
    (
        template("twilio/media", {"body": "Look, {{1}}", "media": [PHOTO]}, v1="Ana", parameters="1"),
        [HEADER_PHOTO, BODY_ANA],
    ),
    (
        template("twilio/media", {"media": ["https://tavern.example/{{2}}.pdf"]}, v2="bill"),
        [
            {
                "type": "header",
                "parameters": [{"type": "document", "document": {"link": "https://tavern.example/bill.pdf"}}],
            }
        ],
    ),
    (
        template("twilio/quick-reply", {"body": "Come, {{1}}?", "actions": YES_NO}, v1="Ana", parameters="1"),
        [BODY_ANA, button(0, "quick_reply", {"type": "payload", "payload": "yes"})],
    ),
    (
        template(
            "twilio/call-to-action",
            {
                "body": "Come, {{1}}?",
                "actions": [
                    {"type": "PHONE_NUMBER", "title": "Call", "phone": "+15550100"},
                    {"type": "URL", "title": "Book", "url": "https://tavern.example/{{2}}"},
                    {"type": "URL", "title": "See", "url": "https://tavern.example"},
                    {"type": "COPY_CODE", "title": "Copy", "code": "{{3}}"},
                ],
            },
            v1="Ana",
            v2="ana-1",
            v3="SOUP5",
            parameters="1",
        ),
        [
            BODY_ANA,
            button(1, "url", {"type": "text", "text": "ana-1"}),
            button(3, "copy_code", {"type": "coupon_code", "coupon_code": "SOUP5"}),
        ],
    ),
    (
        template(
            "twilio/card",
            {
                "title": "For {{1}}",
                "subtitle": "Tavern",
                "media": [PHOTO],
                "actions": [{"type": "QUICK_REPLY", "title": "Yes", "id": "yes-{{1}}"}],
            },
            v1="Ana",
            parameters="1",
        ),
        [HEADER_PHOTO, BODY_ANA, button(0, "quick_reply", {"type": "payload", "payload": "yes-Ana"})],
    ),
    (
        template(
            "whatsapp/card", {"body": "Come, {{1}}", "header_text": "At {{2}}"}, v1="Ana", v2="nine", parameters="1"
        ),
        [{"type": "header", "parameters": [{"type": "text", "text": "nine"}]}, BODY_ANA],
    ),
    (
        template("twilio/location", INN),
        [
            {
                "type": "header",
                "parameters": [
                    {
                        "type": "location",
                        "location": {"latitude": 1.5, "longitude": -2.5, "name": "Inn", "address": "1 Main Street"},
                    }
                ],
            }
        ],
    ),
    (
        template(
            "whatsapp/authentication",
            {"actions": [{"type": "COPY_CODE", "copy_code_text": "Copy"}]},
            v1="4711",
            parameters="1",
        ),
        [
            {"type": "body", "parameters": [{"type": "text", "text": "4711"}]},
            button(0, "url", {"type": "text", "text": "4711"}),
        ],
    ),
]


@pytest.mark.parametrize(("made", "components"), APPROVED, ids=lambda value: getattr(value, "type", ""))
async def test_an_approved_template_brings_its_parameters(made: MessageTemplate, components: list[JSON]) -> None:
    body = await posted(made, is_within_window=False)

    wanted = {"name": "invitation", "language": {"code": "en"}}
    assert body["type"] == "template"
    assert body["template"] == ({**wanted, "components": components} if components else wanted)


async def test_languages_are_written_as_whatsapp_does() -> None:
    made = MessageTemplate(
        name="invitation", language="pt-BR", type="twilio/text", content={"body": "Vem!"}, variables={}
    )
    body = await posted(made, is_within_window=False)

    assert body["template"]["language"] == {"code": "pt_BR"}


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (BODY_ANA, others.BodyText.params("Ana")),  # type: ignore[arg-type]
        (APPROVED[3][1][0], others.BodyText("Come, {{who}}", who="Bo").params(who="Ana")),
        (APPROVED[7][1][1], others.QuickReplyButton.params(callback_data="yes", index=0)),
        (APPROVED[8][1][1], others.URLButton.params(url_variable="ana-1", index=1)),
        (APPROVED[8][1][2], others.CopyCodeButton.params(coupon_code="SOUP5", index=3)),
        (APPROVED[10][1][0], others.HeaderText.params("nine")),  # type: ignore[arg-type]
        (APPROVED[11][1][0], others.HeaderLocation.params(lat=1.5, lon=-2.5, name="Inn", address="1 Main Street")),
    ],
)
def test_components_are_those_that_another_client_sends(ours: JSON, theirs: Any) -> None:
    """Meta's pages write the kinds small and places as text; the other client does not, and both are taken.

    Its annotations take the first parameter for the component itself.
    """
    given = theirs.to_dict()
    small = {name: str(value).lower() for name, value in given.items() if name != "parameters"}
    assert {**small, "parameters": given["parameters"]} == ours


@pytest.mark.parametrize(
    ("made", "code"),
    [
        (template("twilio/text", {"body": "Come, {{1}}!"}), 63028),
        (template("twilio/text", {"body": "Come, {{1}}!"}, v1=""), 63028),
        (
            template(
                "twilio/call-to-action",
                {"body": "x", "actions": [{"type": "URL", "title": "t", "url": "https://x/{{1}}/{{2}}"}]},
                v1="a",
                v2="b",
            ),
            63028,
        ),
        (template("whatsapp/authentication", {"actions": [{"type": "COPY_CODE", "copy_code_text": "x"}]}), 63028),
        (template("twilio/list-picker", MENU, v1="Ana"), 63016),
        (template("twilio/text", {"body": "Come!"}, name=""), 63016),
        (template("twilio/catalog", {"body": "Come!"}), 63005),
        (template("twilio/quick-reply", {"body": 5}), 63005),
        (template("twilio/text", {"body": "Come!"}, name="unknown"), 63027),
        (template("twilio/text", {"body": "Come!"}, parameters="2"), 63028),
    ],
)
async def test_what_whatsapp_would_not_take_outside_the_window_is_refused(made: MessageTemplate, code: int) -> None:
    assert (await refusal(made, is_within_window=False)).code == code


async def test_within_the_window_an_approved_template_is_one_unless_it_is_wanted_otherwise() -> None:
    made = template("twilio/quick-reply", {"body": "Come?", "actions": YES_NO})

    assert (await posted(made, is_within_window=True))["type"] == "template"
    assert (await posted(made, is_within_window=True, templates_in_window="free_form"))["type"] == "interactive"
    assert (await posted(made, is_within_window=False, templates_in_window="free_form"))["type"] == "template"


# --- in free form


def free(kind: str, content: JSON, **variables: str) -> MessageTemplate:
    """One that nobody has approved."""
    return template(kind, content, name="", **variables)


def interactive(kind: str, body: str, action: JSON, **around: JSON) -> JSON:
    return {"type": kind, **around, "body": {"text": body}, "action": action}


def replies(*pairs: tuple[str, str]) -> JSON:
    return {"buttons": [{"type": "reply", "reply": {"id": name, "title": title}} for name, title in pairs]}


FREE: list[tuple[MessageTemplate, str, JSON]] = [
    (
        free("twilio/text", {"body": "Come, {{1}}! {{2}}"}, v1="Ana"),
        "text",
        {"body": "Come, Ana! {{2}}", "preview_url": False},
    ),
    (free("twilio/media", {"body": "Us", "media": [PHOTO]}), "image", {"link": PHOTO, "caption": "Us"}),
    (
        free("twilio/media", {"media": ["https://x.example/a.mp4?s=1"]}),
        "video",
        {"link": "https://x.example/a.mp4?s=1"},
    ),
    (free("twilio/media", {"media": ["https://x.example/a.pdf"]}), "document", {"link": "https://x.example/a.pdf"}),
    (free("twilio/media", {"body": "Words alone", "media": []}), "text", {"body": "Words alone", "preview_url": False}),
    (
        free("twilio/location", {"latitude": 1.5, "longitude": -2.5, "label": "{{1}}"}, v1="Inn"),
        "location",
        {"latitude": 1.5, "longitude": -2.5, "name": "Inn"},
    ),
    (
        free("twilio/quick-reply", {"body": "Come, {{1}}?", "actions": YES_NO}, v1="Ana"),
        "interactive",
        interactive("button", "Come, Ana?", replies(("yes", "Yes"), ("No", "No"))),
    ),
    (
        free("twilio/quick-reply", {"body": "How many?", "actions": [{"title": t} for t in "1234"]}),
        "interactive",
        interactive(
            "list", "How many?", {"button": "…", "sections": [{"rows": [{"id": t, "title": t} for t in "1234"]}]}
        ),
    ),
    (
        free("twilio/list-picker", MENU, v1="Ana"),
        "interactive",
        interactive(
            "list",
            "What, Ana?",
            {
                "button": "Menu",
                "sections": [
                    {"rows": [{"id": "soup", "title": "Soup", "description": "hot"}, {"id": "pie", "title": "Pie"}]}
                ],
            },
        ),
    ),
    (
        free(
            "twilio/call-to-action",
            {"body": "Book", "actions": [{"type": "URL", "title": "Here", "url": "https://x.example/{{1}}"}]},
            v1="a",
        ),
        "interactive",
        interactive(
            "cta_url",
            "Book",
            {"name": "cta_url", "parameters": {"display_text": "Here", "url": "https://x.example/a"}},
        ),
    ),
    (
        free(
            "twilio/call-to-action",
            {
                "body": "Book",
                "actions": [
                    {"type": "URL", "title": "Here", "url": "https://x.example"},
                    {"type": "PHONE_NUMBER", "title": "Call", "phone": "+15550100"},
                ],
            },
        ),
        "text",
        {"body": "Book\nHere: https://x.example\nCall: +15550100", "preview_url": False},
    ),
    (
        free(
            "twilio/card",
            {
                "title": "Dinner",
                "subtitle": "At nine",
                "media": [PHOTO],
                "actions": [{"type": "QUICK_REPLY", "title": "Yes", "id": "yes"}],
            },
        ),
        "interactive",
        interactive(
            "button",
            "Dinner",
            replies(("yes", "Yes")),
            header={"type": "image", "image": {"link": PHOTO}},
            footer={"text": "At nine"},
        ),
    ),
    (
        free("twilio/card", {"title": "Dinner", "subtitle": "At nine", "media": [PHOTO]}),
        "image",
        {"link": PHOTO, "caption": "Dinner\nAt nine"},
    ),
    (
        free("twilio/card", {"title": "Dinner", "subtitle": "At nine"}),
        "text",
        {"body": "Dinner\nAt nine", "preview_url": False},
    ),
    (
        free(
            "twilio/card",
            {
                "title": "Dinner",
                "media": [PHOTO],
                "actions": [{"type": "PHONE_NUMBER", "title": "Call", "phone": "+15550100"}],
            },
        ),
        "image",
        {"link": PHOTO, "caption": "Dinner\nCall: +15550100"},
    ),
    (
        free(
            "whatsapp/card",
            {
                "body": "Come",
                "header_text": "Dinner",
                "footer": "Tavern",
                "actions": [{"type": "URL", "title": "Book", "url": "https://x.example"}],
            },
        ),
        "interactive",
        interactive(
            "cta_url",
            "Come",
            {"name": "cta_url", "parameters": {"display_text": "Book", "url": "https://x.example"}},
            header={"type": "text", "text": "Dinner"},
            footer={"text": "Tavern"},
        ),
    ),
]


@pytest.mark.parametrize(("made", "kind", "content"), FREE, ids=lambda value: getattr(value, "type", ""))
async def test_within_the_window_a_template_is_shown_as_whatsapp_can(
    made: MessageTemplate, kind: str, content: JSON
) -> None:
    body = await posted(made, is_within_window=True)

    assert (body["type"], body[kind]) == (kind, content)


@pytest.mark.parametrize("kind", ["twilio/list-picker", "twilio/location"])
async def test_lists_and_places_go_in_free_form_also_when_they_are_approved(kind: str) -> None:
    body = await posted(template(kind, MENU if kind == "twilio/list-picker" else INN, v1="Ana"), is_within_window=True)

    assert body["type"] in ("interactive", "location")


@pytest.mark.parametrize(
    "made",
    [
        free("twilio/quick-reply", {"body": "x", "actions": [{"title": "a title of 21 letters"}]}),
        free("twilio/quick-reply", {"body": "x", "actions": [{"title": "A", "id": "1"}, {"title": "B", "id": "1"}]}),
        free("twilio/quick-reply", {"body": "x", "actions": [{"title": str(n)} for n in range(11)]}),
        free("twilio/quick-reply", {"body": "", "actions": [{"title": "A"}]}),
        free("twilio/quick-reply", {"body": "x" * 1025, "actions": [{"title": "A"}]}),
        free("twilio/list-picker", {**MENU, "button": "x" * 21}),
        free("twilio/list-picker", {**MENU, "items": [{"id": "1", "item": "x" * 25}]}),
        free("twilio/list-picker", {**MENU, "items": [{"id": "1", "item": "x", "description": "y" * 73}]}),
        free("twilio/list-picker", {**MENU, "items": []}),
        free("twilio/text", {"body": "x" * 1601}),
        free("twilio/text", {"body": "{{1}}" * 2000}, v1="x" * 1000),
        free("twilio/media", {"body": "x" * 1025, "media": [PHOTO]}),
        free("twilio/carousel", {"body": "x", "cards": []}),
        free("twilio/card", {"title": "x"}),
    ],
)
async def test_what_whatsapp_cannot_show_is_refused_and_not_cut(made: MessageTemplate) -> None:
    assert (await refusal(made, is_within_window=True)).code == 63005
