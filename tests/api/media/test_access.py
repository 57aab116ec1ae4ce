"""Who may see and remove which file (semantics 4.8): participants, the uploader until it is attached, the account."""

from __future__ import annotations

from typing import Any

import pytest

from tertulia.server.domain.conversations import UpdateConversation
from tertulia.server.domain.messages import DeleteMessage
from tertulia.server.domain.participants import RemoveParticipant

from .desk import ACCOUNT, Desk, refusal

ABSENT = (404, 50507)


async def sees(desk: Desk, record: dict[str, Any], by: str | None) -> bool:
    """Whether somebody gets record and content, by every way there is; or nothing, by none."""
    answers = [await desk.ask("GET", url, by) for url in (record["url"], record["links"]["content"])]
    wanted = {"command": "get", "list": [{"media_sid": record["sid"]}]}
    (element,) = (await desk.ask("POST", f"{desk.media}Set", by, json=wanted)).json()
    seen = {answer.status_code for answer in answers} | {element["code"]}
    assert seen in ({200}, {404}), seen
    if seen == {404}:
        assert [refusal(answer) for answer in answers] == [ABSENT] * 2
        assert element["media_record"] == {"sid": record["sid"]}
    return seen == {200}


async def test_an_upload_is_its_uploaders_and_the_accounts(desk: Desk) -> None:
    record = await desk.upload(by="ana")
    assert [await sees(desk, record, by) for by in ("ana", "ben", ACCOUNT)] == [True, False, True]
    of_account = await desk.upload(by=ACCOUNT)
    assert [await sees(desk, of_account, by) for by in ("ana", ACCOUNT)] == [False, True]


async def test_who_calls_himself_system_gets_nothing_of_the_accounts(desk: Desk) -> None:
    record = await desk.upload(by=ACCOUNT)
    answer = await desk.http.get(record["url"], headers={"X-Twilio-Token": desk.here.token("System")})
    assert answer.status_code in (401, 404)


async def test_a_file_of_a_message_is_its_readers(desk: Desk) -> None:
    record = await desk.upload(by="ana")
    message = await desk.message(record["sid"], "ben", "eve")
    assert [await sees(desk, record, by) for by in ("ana", "ben", "zoe", ACCOUNT)] == [True, True, False, True]
    for who in ("eve", "ana"):
        await desk.world.do(RemoveParticipant, conversation=message.conversation_sid, participant=who)
        assert not await sees(desk, record, who)
    assert await sees(desk, record, "ben")


async def test_a_file_of_a_closed_conversation_is_seen_as_its_message_is(desk: Desk) -> None:
    record = await desk.upload(by="ana")
    message = await desk.message(record["sid"], "ben")
    await desk.world.do(UpdateConversation, conversation=message.conversation_sid, state="closed")
    token, path = desk.as_("ben"), f"/Client/v2/Conversations/{message.conversation_sid}/Messages/{message.sid}"
    assert (await desk.http.get(path, headers=token)).status_code == 404
    assert [await sees(desk, record, by) for by in ("ana", "ben", ACCOUNT)] == [False, False, True]


async def test_another_account_and_another_service_see_nothing(desk: Desk) -> None:
    record = await desk.upload(by="ana")
    other = await desk.world.in_new_service()
    token = desk.here.token("ana", service_sid=other.service)
    for path in (record["url"], record["url"].replace(desk.service, other.service)):
        answer = await desk.http.get(path, headers={"X-Twilio-Token": token})
        assert answer.status_code == 404
    assert (await desk.ask("GET", record["url"].replace(desk.service, other.service))).status_code == 404


async def test_what_is_in_quarantine_nobody_gets(desk: Desk) -> None:
    record = await desk.upload(by="ana")
    await desk.world.sql("UPDATE media SET quarantined_at = 1 WHERE sid = $1", record["sid"])
    assert [await sees(desk, record, by) for by in ("ana", ACCOUNT)] == [False, False]
    assert refusal(await desk.http.get(record["links"]["content_direct_temporary"])) == ABSENT
    assert refusal(await desk.ask("DELETE", record["url"], "ana")) == ABSENT
    assert (await desk.ask("DELETE", record["url"], ACCOUNT)).status_code == 204


@pytest.mark.parametrize(("by", "status"), [("ana", 204), ("ben", 404), (ACCOUNT, 204)])
async def test_an_upload_is_removed_by_its_uploader_and_the_account(desk: Desk, by: str | None, status: int) -> None:
    record = await desk.upload(by="ana")
    assert (await desk.ask("DELETE", record["url"], by)).status_code == status
    assert await sees(desk, record, ACCOUNT) is (status != 204)
    if status == 204:
        assert refusal(await desk.ask("DELETE", record["url"], by)) == ABSENT


@pytest.mark.parametrize(("by", "status"), [("ana", 404), ("ben", 404), (ACCOUNT, 204)])
async def test_a_file_of_a_message_is_removed_by_the_account_alone(desk: Desk, by: str | None, status: int) -> None:
    record = await desk.upload(by="ana")
    await desk.message(record["sid"], "ben")
    assert (await desk.ask("DELETE", record["url"], by)).status_code == status
    assert await sees(desk, record, "ben") is (status != 204)


async def test_with_its_message_a_file_goes(desk: Desk) -> None:
    record = await desk.upload(by="ana")
    message = await desk.message(record["sid"], "ben")
    await desk.world.do(DeleteMessage, conversation=message.conversation_sid, message=message.sid)
    assert not await sees(desk, record, "ben")
    await desk.perform()
    assert await desk.stored() == []


@pytest.mark.parametrize("sid", ["nothing", "ME" + "0" * 32, "ME0", "%00"])
async def test_what_is_not_there_is_not_found(desk: Desk, sid: str) -> None:
    for method, path in (("GET", ""), ("GET", "/Content"), ("DELETE", "")):
        answer = await desk.ask(method, f"{desk.media}/{sid}{path}", "ana")
        assert answer.status_code == 404


# --- sets


async def test_a_set_is_answered_in_its_order(desk: Desk) -> None:
    records = [await desk.upload(by=by) for by in ("ana", "ben", "ana")]
    sids = [records[2]["sid"], records[1]["sid"], "rubbish", records[0]["sid"], records[2]["sid"]]
    answer = await desk.ask(
        "POST", f"{desk.media}Set", "ana", json={"command": "get", "list": [{"media_sid": sid} for sid in sids]}
    )
    assert answer.status_code == 200
    assert [(one["code"], one["media_record"]["sid"]) for one in answer.json()] == list(
        zip([200, 404, 404, 200, 200], sids, strict=True)
    )
    urls = [one["media_record"]["links"]["content_direct_temporary"] for one in answer.json() if one["code"] == 200]
    assert [(await desk.http.get(url)).status_code for url in urls] == [200, 200, 200]


async def test_a_set_of_a_hundred_costs_what_one_costs(desk: Desk) -> None:
    record = await desk.upload(by="ana")
    await desk.message(record["sid"], "ben")
    costs = []
    for count in (1, 100):
        wanted = [{"media_sid": record["sid"]}, *({"media_sid": f"ME{n:032x}"} for n in range(1, count))]
        before = desk.world.database.statements
        answer = await desk.ask("POST", f"{desk.media}Set", "ben", json={"command": "get", "list": wanted})
        costs.append(desk.world.database.statements - before)
        assert [one["code"] for one in answer.json()] == [200] + [404] * (count - 1)
    # Who asks is looked up the first time.
    assert costs[1] <= costs[0] <= 6


@pytest.mark.parametrize(
    "body",
    [
        {"command": "delete", "list": []},
        {"command": "get"},
        {"command": "get", "list": [{"media_sid": 5}]},
        {"command": "get", "list": [{}]},
        {"command": "get", "list": [{"media_sid": "ME"}] * 101},
        [],
    ],
)
async def test_a_set_that_is_none_is_refused(desk: Desk, body: object) -> None:
    assert refusal(await desk.ask("POST", f"{desk.media}Set", "ana", json=body)) == (400, 20001)


async def test_an_empty_set_is_empty(desk: Desk) -> None:
    answer = await desk.ask("POST", f"{desk.media}Set", "ana", json={"command": "get", "list": []})
    assert (answer.status_code, answer.json()) == (200, [])
