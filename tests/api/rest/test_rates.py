"""Who asks too often is told 429, with a code and when to come back; by default nobody is (semantics 9.3, rest 1.7)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import httpx
import pytest

from tertulia.server.composition import Server
from tertulia.server.domain import callers
from tertulia.server.domain.accounts import Account, CreateAccount
from tertulia.server.domain.secrets import Secret
from tertulia.server.settings import LimitsSettings, Settings
from tertulia.wire import tokens
from tests.engine.world import BASE_URL, World

from .client import AccountHolder, Answer

HOSTED = LimitsSettings(profile="hosted")
PASSWORD = "p" * 32

Start = Callable[[LimitsSettings], Awaitable[AccountHolder]]


@pytest.fixture
async def start(world: World) -> AsyncIterator[Start]:
    """Starts a server with these limits; its account holder, an hour later."""
    async with AsyncExitStack() as stack:

        async def start(limits: LimitsSettings) -> AccountHolder:
            world.clock.advance(timedelta(hours=1))
            settings = Settings(limits=limits)
            server = Server(settings, world.database, world.sealer, world.clock, world.new_sid, BASE_URL, world.bus)
            transport = httpx.ASGITransport(app=server.application)
            http = await stack.enter_async_context(httpx.AsyncClient(transport=transport, base_url=BASE_URL))
            known = world.credentials
            http.auth = httpx.BasicAuth(known.account_sid, known.auth_token)
            return AccountHolder(http, known.account_sid, known.service_sid, "/v1", BASE_URL)

        yield start


async def codes(asked: Awaitable[Answer], *others: Awaitable[Answer]) -> list[int]:
    """The code of each refusal, 0 for what was done; every 429 says when to come back."""
    found = []
    for one in (asked, *others):
        answer = await one
        if answer.status == 429:
            assert answer.body["status"] == 429
            assert answer.body["message"]
            assert int(answer.headers["retry-after"]) >= 1
        found.append(answer.body["code"] if answer.status >= 400 else 0)
    return found


async def test_thirty_messages_a_second_in_one_conversation(start: Start, world: World) -> None:
    account = await start(HOSTED)
    room = f"/Conversations/{await account.conversation(UniqueName='hall')}"
    ways = [f"{room}/Messages", "/Conversations/hall/Messages", f"/v1/Services/{account.service_sid}{room}/Messages"]
    asked = [account.post(ways[n % 3], {"Body": "x"}) for n in range(36)]
    assert await codes(*asked) == [0] * 30 + [50063] * 6
    assert await codes(account.get(f"{room}/Messages"), account.post(room, {"FriendlyName": "x"})) == [0, 0]
    world.clock.advance(timedelta(seconds=1))
    assert await codes(*(account.post(f"{room}/Messages", {"Body": "x"}) for _ in range(31))) == [0] * 30 + [50063]


async def test_thirty_new_conversations_a_second_in_one_service(start: Start, world: World) -> None:
    account = await start(HOSTED)
    other = await account.in_new_service()
    assert await codes(*(account.post("/Conversations") for _ in range(32))) == [0] * 30 + [50074] * 2
    assert await codes(other.post("/Conversations")) == [0]


async def test_reads_are_not_counted(start: Start) -> None:
    account = await start(HOSTED)
    room = f"/Conversations/{await account.conversation()}"
    assert await codes(*(account.get(room) for _ in range(60))) == [0] * 60


async def test_what_is_set_wins_over_the_profile(start: Start) -> None:
    account = await start(LimitsSettings(profile="hosted", conversation_actions_per_s=0, service_actions_per_s=1))
    room = f"/Conversations/{await account.conversation()}"
    assert await codes(*(account.post(f"{room}/Messages", {"Body": "x"}) for _ in range(50))) == [0] * 50
    assert await codes(account.post("/Conversations")) == [50074]


async def test_a_limit_without_the_profile(start: Start) -> None:
    account = await start(LimitsSettings(conversation_actions_per_s=2))
    room = f"/Conversations/{await account.conversation()}"
    assert await codes(*(account.post(f"{room}/Messages", {"Body": "x"}) for _ in range(3))) == [0, 0, 50063]
    assert await codes(*(account.post("/Conversations") for _ in range(60))) == [0] * 60


async def test_by_default_nobody_is_refused(start: Start) -> None:
    account = await start(LimitsSettings())
    room = f"/Conversations/{await account.conversation()}"
    asked = [account.post(f"{room}/Messages", {"Body": "x"}) for _ in range(200)]
    assert {answer.status for answer in await asyncio.gather(*asked)} == {201}


async def test_so_many_rest_requests_at_a_time(start: Start) -> None:
    account = await start(LimitsSettings(rest_requests_at_once=5))
    room = f"/Conversations/{await account.conversation()}"
    asked = [account.post(f"{room}/Messages", {"Body": "x"}) for _ in range(12)]
    answers = await asyncio.gather(*asked)
    assert sorted(answer.status for answer in answers) == [201] * 5 + [429] * 7
    assert {answer.body["code"] for answer in answers if answer.status == 429} == {20429}
    assert {answer.headers.get("retry-after") for answer in answers} == {None, "1"}
    assert (await account.get(room)).status == 200, "those before have left"


async def test_the_client_face_says_when_to_come_back_as_well(start: Start, world: World) -> None:
    """Over plain HTTP, where pages of other sites may read it."""
    account = await start(LimitsSettings(conversation_actions_per_s=1))
    room = await account.conversation()
    await account.made(f"/Conversations/{room}/Participants", {"Identity": "ana"})
    known = world.credentials
    token = tokens.mint(
        account_sid=known.account_sid,
        key_sid=known.api_key_sid,
        secret=known.api_key_secret,
        service_sid=known.service_sid,
        identity="ana",
        now_s=world.clock.now() / 1_000_000,
    )
    told = []
    for _ in range(2):
        url = f"/Client/v2/Conversations/{room}/Messages"
        told.append(await account.http.post(url, json={"body": "x"}, headers={"X-Twilio-Token": token}))
    assert [answer.status_code for answer in told] == [201, 429]
    assert (told[1].json()["code"], told[1].headers["retry-after"]) == (50063, "1")
    assert "Retry-After" in told[1].headers["access-control-expose-headers"]


# --- accounts do not stand in each other's way ------------------------------------------------------------------------


class Tenant:
    """Another account of the same server."""

    def __init__(self, http: httpx.AsyncClient, account: Account) -> None:
        self._http = http
        self._auth = httpx.BasicAuth(account.sid, PASSWORD)

    async def ask(self, method: str, path: str, form: dict[str, str] | None = None) -> dict[str, Any]:
        answer = await self._http.request(method, f"/v1{path}", data=form, auth=self._auth)
        assert answer.status_code < 300, answer.text
        body: dict[str, Any] = answer.json()
        return body


@pytest.fixture
async def tenant(start: Start, world: World) -> tuple[AccountHolder, Tenant]:
    """A flooder and a neighbour, on a server with default settings."""
    flooder = await start(LimitsSettings())
    wish = CreateAccount(friendly_name="neighbour", auth_token=Secret(PASSWORD))
    account = await world.engine.execute(callers.operator(), wish)
    return flooder, Tenant(flooder.http, account)


FLOOD = 1_500


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_flood_of_one_account_delays_another_by_a_bounded_number(
    tenant: tuple[AccountHolder, Tenant], method: str
) -> None:
    """With default settings; counted in requests of the flooder's that are answered before the neighbour's."""
    flooder, neighbour = tenant
    url = flooder.url(f"/Conversations/{await flooder.conversation()}/Messages")
    place = (await neighbour.ask("POST", "/Conversations"))["sid"]
    answered: list[str] = []

    async def flood() -> None:
        answer = await flooder.http.request(method, url, data={"Body": "x" * 30_000} if method == "POST" else None)
        assert answer.status_code < 300
        answered.append("flooder")

    async def visit() -> None:
        await neighbour.ask("GET", f"/Conversations/{place}")
        answered.append("read")
        await neighbour.ask("POST", f"/Conversations/{place}/Messages", {"Body": "hello"})
        answered.append("written")

    async with asyncio.timeout(60):
        tasks = [asyncio.create_task(flood()) for _ in range(FLOOD)]
        tasks.append(asyncio.create_task(visit()))
        await asyncio.gather(*tasks)
    assert answered.count("flooder") == FLOOD
    assert answered.index("read") <= 100
    assert answered.index("written") <= 500, "at most what may be on its way to the database, and what came of it"


async def test_beyond_a_bounded_queue_an_account_is_refused_and_the_others_are_not(start: Start, world: World) -> None:
    flooder = await start(LimitsSettings(requests_waiting=50))
    wish = CreateAccount(friendly_name="neighbour", auth_token=Secret(PASSWORD))
    neighbour = Tenant(flooder.http, await world.engine.execute(callers.operator(), wish))
    room = f"/Conversations/{await flooder.conversation()}"
    tasks = [asyncio.create_task(flooder.get(room)) for _ in range(500)]
    late = asyncio.create_task(neighbour.ask("GET", "/Configuration"))
    async with asyncio.timeout(60):
        answers = await asyncio.gather(*tasks)
        await late
    refused = [answer for answer in answers if answer.status == 429]
    assert refused
    assert {(answer.body["code"], answer.headers["retry-after"]) for answer in refused} == {(20429, "1")}
    assert (await flooder.get(room)).status == 200
