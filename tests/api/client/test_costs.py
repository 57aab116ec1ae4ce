"""A request costs the same number of statements however much there is (no N+1 while clients start)."""

from __future__ import annotations

import pytest

from tests.engine.world import World

from .sdk import Answer, Face, Sdk

MANY = 1000


@pytest.fixture
async def crowded(world: World, face: Face) -> tuple[Sdk, Sdk]:
    """Somebody in a thousand conversations, and somebody in two of them."""
    many, few = await face.sdk("many"), await face.sdk("few")
    for number in range(MANY):
        room = (await world.conversation("many")).sid
        if number < 2:
            await world.add(room, "few")
    return many, few


async def cost(sdk: Sdk, method: str, url: str, payload: bytes = b"", **params: str | int) -> tuple[int, Answer]:
    """Statements of one request, and its answer."""
    database = sdk.face.world.database
    before = database.statements
    answer = await sdk.send(method, url, payload, params=params)
    assert answer.status in (200, 201, 204), answer
    return database.statements - before, answer


async def test_starting_costs_the_same_for_two_conversations_and_for_a_thousand(
    crowded: tuple[Sdk, Sdk], world: World
) -> None:
    many, few = crowded
    costs: list[list[int]] = []
    for sdk in (few, many):
        mine = f"/v3/Maps/{world.service}.{sdk.identity}.conversations"
        configuration, _ = await cost(sdk, "GET", "/Client/v2/Configuration")
        listing, answer = await cost(sdk, "GET", sdk.mine)
        sid = answer["conversations"][0]["conversation_sid"]
        token = answer["meta"]["next_token"]
        if token is not None:
            further, _ = await cost(sdk, "GET", sdk.mine, PageToken=token)
            assert further == listing + 1  # it also looks back
        reads = [
            ("GET", mine),
            ("GET", f"{mine}/Items"),
            ("GET", f"/v3/Maps/{world.service}.{sdk.identity}.info?Include=items"),
            ("GET", f"/v3/Documents/{sid}.channel"),
            ("GET", f"/v3/Lists/{sid}.messages"),
            ("GET", f"/v3/Maps/{sid}.roster"),
            ("GET", f"/v3/Maps/{sid}.roster/Items"),
            ("GET", f"{sdk.mine}/{sid}"),
            ("GET", f"/Client/v2/Conversations/{sid}"),
            ("GET", f"/Client/v2/Users/{sdk.identity}"),
        ]
        spent = [configuration, listing]
        for method, url in reads:
            statements, _ = await cost(sdk, method, url)
            spent.append(statements)
        statements, _ = await cost(sdk, "GET", f"{mine}/Items", Key=sid)
        spent.append(statements)
        statements, _ = await cost(sdk, "GET", f"{mine}/Items", From=sid, PageSize=100)
        spent.append(statements)
        for url, payload in (
            (f"{sdk.mine}/{sid}", b'{"last_read_message_index":null}'),
            (f"{sdk.mine}/{sid}", b'{"notification_level":"muted"}'),
            (f"/Client/v2/Conversations/{sid}/Messages", b'{"body":"hi"}'),
            ("/v1/typing", f"ChannelSid={sid}".encode()),
        ):
            statements, _ = await cost(sdk, "POST", url, payload)
            spent.append(statements)
        costs.append(spent)
    assert costs[0] == costs[1]
    assert max(costs[1][:14]) <= 4


async def test_the_list_takes_one_request_per_hundred(crowded: tuple[Sdk, Sdk], world: World) -> None:
    many, _ = crowded
    before, pages = world.database.statements, 0
    token: str | None = ""
    while token is not None:
        answer = await many.get(many.mine, **({"PageToken": token} if token else {}))
        pages, token = pages + 1, answer["meta"]["next_token"]
    assert (pages, world.database.statements - before) == (10, 29)
