"""Why devices rang or not, for account holders: additions of ours, outside of what is published (semantics 7.4)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest

from tertulia.server.composition import Server
from tertulia.server.domain import callers
from tertulia.server.domain.notices import DeliveryState, PlanPush, RecordPushes, Result
from tertulia.server.domain.push import RegisterPush
from tertulia.server.jobs.push import PlanPerformer
from tertulia.server.jobs.worker import Worker
from tests.api.published import operations
from tests.engine.world import BASE_URL, World

from .client import AccountHolder

BODY = "nobody but its readers sees this"
TOKEN = "4711-device-token"


class Pushed:
    """A room whose messages are told to the devices of its members."""

    def __init__(self, world: World, account: AccountHolder) -> None:
        self.world, self.account = world, account

    async def begin(self) -> None:
        made = await self.account.made("/Credentials", {"Type": "fcm", "Secret": "key"})
        self.credential: str = made["sid"]
        await self.account.post(
            f"/Services/{self.account.service_sid}/Configuration/Notifications",
            {"NewMessage.Enabled": "true", "AddedToConversation.Enabled": "true"},
        )
        self.room = f"/Conversations/{await self.account.conversation()}"

    async def member(self, identity: str) -> str:
        return str((await self.account.made(f"{self.room}/Participants", {"Identity": identity}))["sid"])

    async def device(self, identity: str) -> str:
        caller = callers.identity(
            self.account.account_sid, self.account.service_sid, identity, push_credential_sid=self.credential
        )
        return (await self.world.engine.execute(caller, RegisterPush(kind="fcm", address=f"{TOKEN} {identity}"))).sid

    async def say(self) -> str:
        message = await self.account.made(f"{self.room}/Messages", {"Author": "ana", "Body": BODY})
        await self.plan()
        return str(message["sid"])

    async def plan(self) -> None:
        await Worker(self.world.database, self.world.clock, {PlanPush: PlanPerformer(self.world.engine)}).run_due()

    async def get(self, path: str, **query: str | int) -> dict[str, Any]:
        answer = await self.account.http.get(path, params=query or None)
        assert answer.status_code == 200, answer.text
        assert BODY not in answer.text
        assert TOKEN not in answer.text
        shown: dict[str, Any] = answer.json()
        return shown

    async def everything(self, path: str, **query: str | int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        page = await self.get(path, **query)
        while True:
            found += page[page["meta"]["key"]]
            if page["meta"]["next_page_url"] is None:
                return found
            page = await self.get(page["meta"]["next_page_url"])


@pytest.fixture
async def pushed(world: World, account: AccountHolder) -> Pushed:
    made = Pushed(world, account)
    await made.begin()
    return made


async def test_a_message_is_explained_for_each_member(pushed: Pushed) -> None:
    members = {identity: await pushed.member(identity) for identity in ("ana", "ben", "cleo")}
    device = await pushed.device("ben")
    message = await pushed.say()
    notice = (await pushed.get(f"/push/Messages/{message}"))["explanations"][1]["notice_sid"]
    result = Result(device, DeliveryState.SENT, "200")
    await pushed.world.engine.execute(
        callers.system(pushed.account.account_sid),
        RecordPushes(service=pushed.account.service_sid, notice=notice, results=(result,)),
    )
    about = {"kind": "new_message", "notice_sid": notice, "date_created": "2025-01-01T00:00:00Z"}
    silent = {**about, "rang": False, "devices": []}
    sent = {
        "binding_sid": device,
        "binding_type": "fcm",
        "credential_sid": pushed.credential,
        "state": "sent",
        "attempts": 1,
        "answer": "200",
        "date_updated": "2025-01-01T00:00:00Z",
    }
    ben = {"identity": "ben", "participant_sid": members["ben"], "rang": True, "reason": None, "devices": [sent]}
    assert await pushed.get(f"/push/Messages/{message}") == {
        "meta": {
            "page": 0,
            "page_size": 50,
            "first_page_url": f"{BASE_URL}/push/Messages/{message}?PageSize=50&Page=0",
            "previous_page_url": None,
            "url": f"{BASE_URL}/push/Messages/{message}?PageSize=50&Page=0",
            "next_page_url": None,
            "key": "explanations",
        },
        "explanations": [
            {"identity": "ana", "participant_sid": members["ana"], **silent, "reason": "he is the author"},
            {**about, **ben},
            {
                "identity": "cleo",
                "participant_sid": members["cleo"],
                **silent,
                "reason": "he had no device registered then",
            },
        ],
    }


async def test_a_participant_is_explained_by_his_coming(pushed: Pushed) -> None:
    device = await pushed.device("ben")
    ben = await pushed.member("ben")
    await pushed.plan()
    (told,) = (await pushed.get(f"/push/Participants/{ben}"))["explanations"]
    assert (told["identity"], told["kind"], told["rang"]) == ("ben", "added_to_conversation", False)
    assert told["reason"] == "not yet sent"
    assert [one["binding_sid"] for one in told["devices"]] == [device]


async def test_the_pages_of_a_crowd_hold_everybody_once(pushed: Pushed) -> None:
    world, names = pushed.world, [f"user {number:03}" for number in range(250)]
    room = pushed.room.rpartition("/")[2]
    for name in names:
        await world.add(room, name)
    message = await pushed.say()
    for size in (100, 1000, 17):
        assert [one["identity"] for one in await pushed.everything(f"/push/Messages/{message}", PageSize=size)] == names
    second = await pushed.get((await pushed.get(f"/push/Messages/{message}"))["meta"]["next_page_url"])
    assert second["explanations"][0]["identity"] == names[50]
    assert second["meta"]["previous_page_url"] is not None


async def test_what_came_meanwhile_shifts_nobody(pushed: Pushed) -> None:
    for name in ("ben", "cleo", "emil"):
        await pushed.member(name)
    message = await pushed.say()
    first = await pushed.get(f"/push/Messages/{message}", PageSize=1)
    await pushed.member("alma")
    following = await pushed.everything(first["meta"]["next_page_url"])
    assert [one["identity"] for one in following] == ["cleo", "emil"]


@pytest.mark.parametrize("path", ["Messages/IM", "Participants/MB"])
async def test_the_unknown_and_what_is_anothers_are_the_same_to_whoever_asks(
    pushed: Pushed, stranger: AccountHolder, http: httpx.AsyncClient, path: str
) -> None:
    kind, prefix = path.split("/")
    known = await pushed.member("ben") if prefix == "MB" else await pushed.say()
    refusals = []
    for client, sid in ((stranger.http, known), (stranger.http, prefix + "0" * 32), (pushed.account.http, "nonsense")):
        answer = await client.get(f"/push/{kind}/{sid}")
        assert (answer.status_code, answer.json()["code"]) == (404, 20404)
        refusals.append(answer.text.replace(sid, "*"))
    assert len(set(refusals)) == 1
    answer = await http.get(f"/push/{kind}/{known}", auth=None)
    assert (answer.status_code, answer.json()["code"]) == (401, 20003)


async def test_a_user_with_a_token_is_nobody_here(pushed: Pushed, http: httpx.AsyncClient) -> None:
    message = await pushed.say()
    answer = await http.get(f"/push/Messages/{message}", headers={"X-Twilio-Token": "any"}, auth=None)
    assert answer.status_code == 401


async def test_it_is_only_read(pushed: Pushed) -> None:
    message = await pushed.say()
    for method in ("POST", "PUT", "DELETE"):
        answer = await pushed.account.http.request(method, f"/push/Messages/{message}")
        assert (answer.status_code, answer.json()["code"]) == (405, 20004)
    for path in ("/push", "/push/", "/push/Messages", "/push/Messages/", "/v1/push/Messages/" + message):
        assert (await pushed.account.http.get(path)).status_code == 404


@pytest.mark.parametrize("query", [{"PageSize": "0"}, {"PageSize": "x"}, {"Page": "-1"}, {"PageToken": "invented"}])
async def test_a_page_that_cannot_be_is_refused(pushed: Pushed, query: dict[str, str]) -> None:
    answer = await pushed.account.http.get(f"/push/Messages/{await pushed.say()}", params=query)
    assert (answer.status_code, answer.json()["code"]) == (400, 20001)


async def test_the_log_tells_for_as_long_as_the_settings_say(pushed: Pushed) -> None:
    await pushed.member("ben")
    room = pushed.room.rpartition("/")[2]
    await pushed.plan()
    message = await pushed.world.send(room)
    await pushed.world.sql("DELETE FROM outbox")
    pushed.world.clock.advance(timedelta(days=7, seconds=1))
    (ben,) = (await pushed.get(f"/push/Messages/{message.sid}"))["explanations"]
    assert ben["reason"] == "nothing is known: the log is kept for 7 days"


async def test_it_is_described_and_stands_apart_from_what_is_published(server: Server, http: httpx.AsyncClient) -> None:
    document = (await http.get("/openapi.json")).json()
    ours = {path for path in document["paths"] if path.startswith("/push")}
    assert ours == {"/push/Messages/{message}", "/push/Participants/{participant}"}
    for path in ours:
        entry = document["paths"][path]["get"]
        assert entry["security"] == [{"account": []}]
        assert {"PageSize", "PageToken"} < {one["name"] for one in entry["parameters"]}
    assert not [one for one in operations() if one.path.startswith("/push")]
