"""Content templates as clients list them, and send messages from them (client-commands 4.3, 4.9)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tertulia.server.domain import callers
from tertulia.server.domain.accounts import CreateAccount
from tertulia.server.domain.content import Content, CreateContent
from tertulia.server.domain.content_types import read_types
from tertulia.server.domain.secrets import Secret
from tests.engine.world import World

from .sdk import Sdk

URL = "/Client/v2/ContentTemplates"
TEXT = {"twilio/text": {"body": "Hello {{1}}"}}
CARD = {"twilio/card": {"title": "{{1}}", "subtitle": "s", "actions": [{"type": "QUICK_REPLY", "title": "y"}]}}
UNSHOWN = {"whatsapp/card": {"body": "b", "footer": "f"}}


async def made(world: World, types: dict[str, Any], **more: Any) -> Content:
    return await world.do(CreateContent, language="en", types=read_types(json.dumps(types).encode()), **more)


async def walk(sdk: Sdk) -> list[list[dict[str, Any]]]:
    """Every page, as the SDK asks for them: until ``next_token`` is null, literally."""
    pages, token = [], None
    while True:
        page = await sdk.get(URL, PageSize=100, **({"PageToken": token} if token else {}))
        assert page["meta"].keys() == {"next_token", "previous_token"}
        pages.append(page["templates"])
        token = page["meta"]["next_token"]
        if token is None:
            return pages


async def test_an_account_without_templates_has_one_empty_page(ana: Sdk) -> None:
    expected = {"templates": [], "meta": {"next_token": None, "previous_token": None}}
    assert (await ana.get(URL, PageSize=100)).json == expected


async def test_a_template_is_shown_with_its_variants_by_type(ana: Sdk, world: World) -> None:
    content = await made(world, {**TEXT, **CARD, **UNSHOWN}, friendly_name="greeting", variables={"1": "é"})
    ((template,),) = await walk(ana)
    assert template == {
        "sid": content.sid,
        "account_sid": world.account.account_sid,
        "friendly_name": "greeting",
        "variables": '{"1":"é"}',
        "variants": {**CARD, **TEXT},
        "date_created": "2025-01-01T00:00:00.000Z",
        "date_updated": "2025-01-01T00:00:00.000Z",
    }


@pytest.mark.parametrize(("count", "sizes"), [(1, [1]), (100, [100]), (101, [100, 1]), (205, [100, 100, 5])])
async def test_the_list_comes_in_pages_of_a_hundred(ana: Sdk, world: World, count: int, sizes: list[int]) -> None:
    sids = [(await made(world, TEXT)).sid for _ in range(count)]
    pages = await walk(ana)
    assert [len(page) for page in pages] == sizes
    assert [template["sid"] for page in pages for template in page] == sids


async def test_templates_that_conversations_cannot_show_are_left_out(ana: Sdk, world: World) -> None:
    for _ in range(100):
        await made(world, UNSHOWN)
    content = await made(world, TEXT)
    pages = await walk(ana)
    assert [[template["sid"] for template in page] for page in pages] == [[], [content.sid]]


async def test_pages_lead_back_as_well(ana: Sdk, world: World) -> None:
    sids = [(await made(world, TEXT)).sid for _ in range(3)]
    first = await ana.get(URL, PageSize=2)
    second = await ana.get(URL, PageToken=first["meta"]["next_token"])
    back = await ana.get(URL, PageToken=second["meta"]["previous_token"])
    assert [template["sid"] for template in back["templates"]] == sids[:2]


@pytest.mark.parametrize("query", [{"PageSize": "0"}, {"PageSize": "x"}, {"PageToken": "x"}, {"PageToken": "WzEsMF0"}])
async def test_odd_pages_are_refused(ana: Sdk, query: dict[str, str | int]) -> None:
    assert (await ana.get(URL, **query)).failure == (400, 20001)


async def test_templates_of_another_account_are_not_there(ana: Sdk, world: World) -> None:
    wish = CreateAccount(friendly_name="another", auth_token=Secret("a" * 32))
    stranger = await world.engine.execute(callers.operator(), wish)
    theirs = await made(world, TEXT, by=callers.account(stranger.sid))
    assert await walk(ana) == [[]]
    room = await ana.create()
    answer = await ana.post(f"/Client/v2/Conversations/{room}/Messages", {"content_sid": theirs.sid})
    assert answer.failure == (404, 20404)


async def test_a_user_sends_a_message_from_a_template(ana: Sdk, world: World) -> None:
    content = await made(world, CARD, variables={"1": "default"})
    room = await ana.create()
    url = f"/Client/v2/Conversations/{room}/Messages"
    body = {"attributes": "{}", "media_sids": [], "content_sid": content.sid, "content_variables": "{}"}
    sent = await ana.post(url, {**body, "body": "ignored"})
    assert (sent["body"], sent["content_sid"], sent["author"]) == ("default\ns", content.sid, "ana")
    assert [part["category"] for part in sent["media"]] == ["body"]
    assert (await ana.post(url, {**body, "content_variables": '{"1":"mine"}'}))["body"] == "mine\ns"
    items = (await ana.get(f"/v3/Lists/{room}.messages/Items"))["items"]
    shown = items[-1]["data"]
    assert (shown["text"], shown["contentSid"]) == ("mine\ns", content.sid)
    assert shown["medias"][0]["contentType"] == "application/x-vnd.com.twilio.rich.twilio.card"


@pytest.mark.parametrize(
    ("fields", "failure"),
    [
        ({"content_sid": "HX" + "0" * 32}, (404, 20404)),
        ({"content_sid": "x"}, (400, 50526)),
        ({"body": "b", "content_variables": "{}"}, (400, 50528)),
        ({"content_variables": "[]"}, (400, 50527)),
    ],
    ids=str,
)
async def test_wrong_templates_have_their_codes(
    ana: Sdk, world: World, fields: dict[str, str], failure: tuple[int, int]
) -> None:
    content = await made(world, TEXT)
    room = await ana.create()
    body = fields if "body" in fields else {"content_sid": content.sid, **fields}
    assert (await ana.post(f"/Client/v2/Conversations/{room}/Messages", body)).failure == failure


async def test_a_template_that_conversations_cannot_show_is_50542(ana: Sdk, world: World) -> None:
    content = await made(world, UNSHOWN)
    room = await ana.create()
    answer = await ana.post(f"/Client/v2/Conversations/{room}/Messages", {"content_sid": content.sid})
    assert answer.failure == (400, 50542)
