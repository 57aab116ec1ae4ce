"""HTTP requests inside frames (realtime 8, client-commands 1)."""

from __future__ import annotations

import asyncio
import json
import socket
import uuid
from typing import Any

import pytest

from tertulia.server.domain.users import UpdateUser

from .client import Peer, wish
from .conftest import Here, Start

CONFIGURATION = "/Client/v2/Configuration"


# --- the envelope


async def test_transport_and_request_have_a_status_each(here: Here) -> None:
    """realtime 15.3, 15.4, 15.5: a 404 is a reply of 200 with an ``http_status`` of 404, whose phrase is readable."""
    peer = await here.peer()
    answer = await peer.get("/Client/v2/Conversations/CH" + "0" * 32)
    assert answer.header["status"] == {"code": 200, "status": "OK"}
    assert answer.header["http_status"] == {"code": 404, "status": "Not Found"}
    assert answer.header["payload_type"].startswith("application/json")
    assert answer.failure == (404, 50350)


async def test_headers_of_an_answer_are_texts_under_lower_case_names(here: Here) -> None:
    peer = await here.peer()
    headers = (await peer.get(CONFIGURATION)).header["http_headers"]
    assert headers["content-type"] == "application/json"
    assert all(name == name.lower() and isinstance(value, str) for name, value in headers.items())


async def test_an_answer_without_body_has_an_http_status_all_the_same(here: Here) -> None:
    room = await here.world.conversation("ana")
    peer = await here.peer()
    sent = await peer.send_message(room.sid, "away with it")
    answer = await peer.request("DELETE", f"/Client/v2/Conversations/{room.sid}/Messages/{sent['sid']}", {})
    assert (answer.http_status, answer.payload) == (204, b"")


FAILURES: dict[str, tuple[str, str, Any, tuple[int, int]]] = {
    "no such path": ("GET", "/Client/v2/Nothing", None, (404, 20404)),
    "no path": ("GET", "", None, (404, 20404)),
    "the account's face": ("GET", "/v1/Conversations", None, (404, 20404)),
    "a method it does not have": ("PUT", CONFIGURATION, {}, (405, 20004)),
    "a body that is no JSON": ("POST", "/Client/v2/Conversations", b"{", (400, 20001)),
    "a body that is no object": ("POST", "/Client/v2/Conversations", b"[]", (400, 20001)),
    "a body of another kind": ("POST", "/Client/v2/Conversations", b"\xff\xfe", (400, 20001)),
    "a document": ("GET", "/v3/Documents/CH" + "0" * 32 + ".channel", None, (404, 54100)),
    "a list": ("GET", "/v3/Lists/CH" + "0" * 32 + ".messages", None, (404, 54150)),
    "a map": ("GET", "/v3/Maps/CH" + "0" * 32 + ".roster", None, (404, 54200)),
    "a stream": ("GET", "/v3/Streams/x", None, (403, 54007)),
    "writing an object": ("POST", "/v3/Lists", {"unique_name": "x"}, (403, 54007)),
    "reading subscriptions": ("GET", "/v4/Subscriptions", None, (403, 54007)),
    "removing subscriptions": ("DELETE", "/v4/Subscriptions", {}, (403, 54007)),
}


@pytest.mark.parametrize("case", FAILURES)
async def test_every_failure_is_told_with_its_code(here: Here, case: str) -> None:
    method, path, body, failure = FAILURES[case]
    peer = await here.peer()
    answer = await peer.request(method, path, body)
    assert answer.failure == failure
    assert answer.header["http_status"]["status"]


BAD_SUBSCRIPTIONS: dict[str, bytes] = {
    "nothing": b"",
    "no JSON": b"{",
    "a list": b"[]",
    "no action": b'{"correlation_id":1,"requests":[]}',
    "another action": b'{"action":"dance","correlation_id":1,"requests":[]}',
    "no correlation": b'{"action":"establish","requests":[]}',
    "a correlation that is a word": b'{"action":"establish","correlation_id":"1","requests":[]}',
    "no requests": b'{"action":"establish","correlation_id":1}',
    "a request without object": b'{"action":"establish","correlation_id":1,"requests":[{"last_event_id":1}]}',
    "a number that is a word": (
        b'{"action":"establish","correlation_id":1,"requests":[{"object_sid":"x","last_event_id":"1"}]}'
    ),
    "too many": json.dumps(
        {"action": "establish", "correlation_id": 1, "requests": [{"object_sid": "x"}] * 1001}
    ).encode(),
}


@pytest.mark.parametrize("case", BAD_SUBSCRIPTIONS)
async def test_a_malformed_subscription_is_refused(here: Here, case: str) -> None:
    peer = await here.peer()
    answer = await peer.request("POST", "/v4/Subscriptions", BAD_SUBSCRIPTIONS[case])
    assert answer.http_status == 400
    assert answer.failure[0] == 400
    await peer.quiet()
    assert peer.settled == {}


# --- spelling


@pytest.mark.parametrize(
    "identity", ["a b/é", "50%", "100%25", "a+b", "x@example.org", "q?&=#", "日本", "..", "dot.dot"]
)
async def test_path_segments_arrive_encoded_and_are_decoded_once(here: Here, identity: str) -> None:
    """realtime 15.7"""
    here_peer = await here.peer("ana")
    await here.world.connect(identity)
    answer = await here_peer.get(f"/Client/v2/Users/{_quoted(identity)}")
    assert answer["identity"] == identity


async def test_parameters_arrive_encoded_and_are_decoded_once(here: Here) -> None:
    """realtime 15.7"""
    identity = "a+b%20c/é"
    peer = await here.peer(identity)
    sid = (await peer.get(f"/v3/Maps/{_quoted(f'{here.world.service}.{identity}.info')}"))["sid"]
    for key in ("friendlyName", "attributes"):
        items = (await peer.get(f"/v3/Maps/{sid}/Items", Key=key))["items"]
        assert [item["key"] for item in items] == [key]
    await here.world.conversation(identity)
    found = await peer.get(f"/v3/Maps/{sid}/Items", Key="a%20b")
    assert found["items"] == []


def _quoted(text: str) -> str:
    from urllib.parse import quote

    return quote(text, safe="")


async def test_native_clients_may_send_lists_of_texts(here: Here) -> None:
    """realtime 8: values of headers and parameters, when they are arrays, and nulls."""
    room = await here.world.conversation("ana")
    peer = await here.peer()
    mutation = str(uuid.uuid4())
    for _ in range(2):
        answer = await peer.request(
            "POST",
            f"/Client/v2/Conversations/{room.sid}/Messages",
            {"body": "once"},
            headers={"X-Twilio-Mutation-Id": [mutation], "Accept": None},
        )
        assert answer.http_status == 201
    sid = (await peer.root(f"{room.sid}.messages"))["sid"]
    page = await peer.request("GET", f"/v3/Lists/{sid}/Items", params={"PageSize": ["10"], "Order": ["desc"]})
    assert [item["data"]["text"] for item in page["items"]] == ["once"]


async def test_the_host_is_a_label(here: Here) -> None:
    peer = await here.peer()
    wrapped = {"host": "cds.us1.twilio.com", "path": CONFIGURATION, "method": "GET", "params": {}, "headers": {}}
    assert (await peer.ask({"method": "message", "http_request": wrapped})).http_status == 200


async def test_a_request_may_lack_all_that_is_not_needed(here: Here) -> None:
    peer = await here.peer()
    assert (
        await peer.ask({"method": "message", "http_request": {"path": CONFIGURATION, "method": "get"}})
    ).http_status == 200


@pytest.mark.parametrize("body", [b"{}", b'"revision"', b"not json", b""])
async def test_bodies_of_reads_and_removals_mean_nothing(here: Here, body: bytes) -> None:
    room = await here.world.conversation("ana")
    peer = await here.peer()
    assert (await peer.request("GET", CONFIGURATION, body)).http_status == 200
    sent = await peer.send_message(room.sid, "away with it")
    path = f"/Client/v2/Conversations/{room.sid}/Messages/{sent['sid']}"
    assert (await peer.request("DELETE", path, body)).http_status == 204


async def test_a_request_runs_as_the_identity_of_the_token_whatever_its_headers_say(here: Here) -> None:
    room = await here.world.conversation("ana")
    peer = await here.peer("eve")
    known = here.world.credentials
    for headers in (
        {"X-Twilio-Token": here.token("ana")},
        {"Authorization": f"Basic {known.account_sid}:{known.auth_token}"},
    ):
        answer = await peer.request("GET", f"/Client/v2/Conversations/{room.sid}", headers=headers)
        assert answer.failure == (404, 50350)
        assert (await peer.request("GET", CONFIGURATION, headers=headers))["identity"] == "eve"


async def test_commands_never_answer_202(here: Here) -> None:
    """realtime 15.6: on 202 the client would fetch ``body.resource_url``."""
    peer = await here.peer("ana")
    made = await peer.post("/Client/v2/Conversations", {"attributes": "{}"})
    sid = made["sid"]
    members = f"/Client/v2/Conversations/{sid}/Participants"
    statuses = [
        made.http_status,
        (await peer.post(members, {"identity": "ana"})).http_status,
        (await peer.send_message(sid, "hello")).http_status,
        (await peer.post(f"/Client/v2/Conversations/{sid}", {"friendly_name": "x"})).http_status,
        (await peer.post(f"/Client/v2/Users/ana/Conversations/{sid}", {"last_read_message_index": 0})).http_status,
        (await peer.type_in(sid)).http_status,
        (await peer.request("DELETE", f"/Client/v2/Conversations/{sid}", {})).http_status,
    ]
    assert set(statuses) <= {200, 201, 204}


async def test_the_creator_may_open_what_the_answer_names_before_joining(here: Here) -> None:
    """realtime 15.22"""
    peer = await here.peer("ana")
    made = (await peer.post("/Client/v2/Conversations", {"attributes": "{}"})).json
    assert made["sid"] and made["url"] and made["links"]["messages"] and made["links"]["participants"]
    roots = await peer.follow(made["sync_objects"]["conversation"])
    (root,) = roots.values()
    assert peer.settled and root["data"]["createdBy"] == "ana"


# --- many at once


async def test_a_burst_of_five_hundred_is_answered_whole(here: Here) -> None:
    """realtime 8: clients with 120 conversations send 480 requests within a second."""
    rooms = [await here.world.conversation("ana") for _ in range(125)]
    peer = await here.peer()
    names = [f"{room.sid}.{part}" for room in rooms for part in ("channel", "messages", "roster")]
    answers = await asyncio.gather(*(peer.root(name) for name in names), *(peer.get(CONFIGURATION) for _ in range(125)))
    assert len(answers) == 500
    assert {answer.http_status for answer in answers} == {200}


async def test_over_the_limit_a_request_is_throttled_by_its_own_status(start: Start) -> None:
    """realtime 8.1: a transport status of 429 would fail the call for good; sync reads retry on 54009."""
    here = await start(requests_in_flight=5)
    peer = await here.peer()
    room = await here.world.conversation("ana")
    async with here.world.database.transaction():
        # Nothing is committed meanwhile, so everything sent is in flight.
        sends = [asyncio.create_task(peer.send_message(room.sid, f"message {n}")) for n in range(8)]
        await peer.until(lambda: len([heard for heard in peer.frames if heard.method == "reply"]) == 1 + 3)
    answers = await asyncio.gather(*sends)
    assert sorted(answer.http_status for answer in answers) == [201] * 5 + [429] * 3
    assert {answer.status for answer in answers} == {200}
    (failure,) = {answer.failure for answer in answers if answer.http_status == 429}
    assert failure[0] == 429
    assert (await peer.get(CONFIGURATION)).http_status == 200


async def test_one_connections_burst_does_not_fill_anothers_limit(start: Start) -> None:
    here = await start(requests_in_flight=2)
    peer, other = await here.peer("ana"), await here.peer("ben")
    room = await here.world.conversation("ana")
    async with here.world.database.transaction():
        sends = [asyncio.create_task(peer.send_message(room.sid, "x")) for _ in range(5)]
        await peer.until(lambda: len(peer.of_method("reply")) == 1 + 3)
        assert (await other.get(CONFIGURATION)).http_status == 200
    await asyncio.gather(*sends)


async def test_replies_may_overtake_each_other(here: Here) -> None:
    """A read is not kept waiting by a write of the same connection."""
    room = await here.world.conversation("ana")
    peer = await here.peer()
    async with here.world.database.transaction():
        send = asyncio.create_task(peer.send_message(room.sid, "later"))
        assert (await peer.get(CONFIGURATION)).http_status == 200
        assert not send.done()
    assert (await send).http_status == 201


async def test_a_request_of_a_client_that_vanished_is_done_and_harms_nobody(
    here: Here, caplog: pytest.LogCaptureFixture
) -> None:
    room = await here.world.conversation("ana", "ben")
    ana, ben = await here.peer("ana"), await here.peer("ben")
    sid = (await ben.follow(f"{room.sid}.messages"))[f"{room.sid}.messages"]["sid"]
    async with here.world.database.transaction():
        send = asyncio.create_task(ana.send_message(room.sid, "last words"))
        await ana.quiet()
        ana.cut()
        with pytest.raises(ConnectionResetError):
            await send
    await ben.until(lambda: ben.texts(sid) == ["last words"])
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_the_same_mutation_id_gets_the_same_answer_also_on_another_connection(here: Here) -> None:
    room = await here.world.conversation("ana")
    first, second = await here.peer(), await here.peer()
    mutation = str(uuid.uuid4())
    answers = [await peer.send_message(room.sid, "once", mutation_id=mutation) for peer in (first, first, second)]
    assert len({answer["sid"] for answer in answers}) == 1
    both = await asyncio.gather(
        *(peer.send_message(room.sid, "twice at once", mutation_id="M2") for peer in (first, second))
    )
    assert len({answer["sid"] for answer in both}) == 1


# --- large


@pytest.mark.parametrize("text", ["x" * 32_768, "é" * 16_384, "\n" * 32_768, '"' * 32_768, "𝄞" * 8_192])
async def test_the_longest_message_travels_both_ways(here: Here, text: str) -> None:
    room = await here.world.conversation("ana", "ben")
    ana, ben = await here.peer("ana"), await here.peer("ben")
    sid = (await ben.follow(f"{room.sid}.messages"))[f"{room.sid}.messages"]["sid"]
    assert (await ana.send_message(room.sid, text)).http_status == 201
    await ben.until(lambda: ben.texts(sid) == [text])
    assert (await ana.send_message(room.sid, text + "x")).failure == (400, 50504)


async def test_the_largest_page_of_the_longest_messages_is_delivered(here: Here) -> None:
    """An answer is never too large for the client that asked for it, however its text has to be escaped."""
    room = await here.world.conversation("ana")
    for _ in range(100):
        await here.world.send(room.sid, "\n" * 32_768)
    peer = await here.peer()
    sid = (await peer.root(f"{room.sid}.messages"))["sid"]
    page = await peer.get(f"/v3/Lists/{sid}/Items", PageSize=100)
    assert len(page["items"]) == 100 and page["meta"]["next_token"] is None


async def test_several_large_answers_at_once_are_all_delivered(here: Here) -> None:
    """A client that reads is never dropped for what it has asked for itself."""
    room = await here.world.conversation("ana")
    for _ in range(50):
        await here.world.send(room.sid, "x" * 32_768)
    peer = await here.peer()
    sid = (await peer.root(f"{room.sid}.messages"))["sid"]
    pages = await asyncio.gather(*(peer.get(f"/v3/Lists/{sid}/Items", PageSize=50) for _ in range(12)))
    assert [len(page["items"]) for page in pages] == [50] * 12


# --- much, and not taken


async def _stuck(here: Here, asks: int) -> tuple[Peer, str]:
    """Has asked for many large pages, and takes nothing of them."""
    room = await here.world.conversation("ana")
    for _ in range(50):
        await here.world.send(room.sid, "x" * 32_768)
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    raw.setblocking(False)
    await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", here.port))
    peer = await here.open(sock=raw)
    assert (await peer.init(here.token("ana"))).status == 200
    sid = (await peer.root(f"{room.sid}.messages"))["sid"]
    peer.websocket.transport.pause_reading()
    for n in range(asks):
        await peer.say(_page(sid, f"TM{n:032x}"))
    return peer, sid


def _page(sid: str, frame_id: str) -> dict[str, Any]:
    wrapped = {"host": "here", "path": f"/v3/Lists/{sid}/Items", "method": "GET", "params": {"PageSize": "50"}}
    return {"method": "message", "id": frame_id, "active_grant": "ip_messaging", "http_request": wrapped}


async def test_requests_of_a_client_that_does_not_read_wait_without_doing_anything(here: Here) -> None:
    """Neither a task nor a timer for each of them; and all are answered when it reads again."""
    before = len(asyncio.all_tasks())
    peer, _ = await _stuck(here, 200)
    other = await here.peer("ben")
    assert (await other.get(CONFIGURATION)).http_status == 200
    await asyncio.sleep(0.1)
    assert len(asyncio.all_tasks()) - before < 30
    statements = here.world.database.statements
    await asyncio.sleep(0.1)
    assert here.world.database.statements == statements
    assert len(peer.of_method("reply")) == 2
    peer.websocket.transport.resume_reading()
    await peer.until(lambda: len(peer.of_method("reply")) == 2 + 200)
    assert {len(heard["items"]) for heard in peer.of_method("reply")[2:]} == {50}


async def test_what_a_vanished_client_had_asked_for_is_not_read(here: Here, caplog: pytest.LogCaptureFixture) -> None:
    peer, _ = await _stuck(here, 200)
    other = await here.peer("ben")
    statements = here.world.database.statements
    peer.cut()
    await other.quiet()
    await asyncio.sleep(0.05)
    assert here.world.database.statements == statements
    assert (await other.get(CONFIGURATION)).http_status == 200
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_a_client_that_does_not_read_can_still_say_something(here: Here) -> None:
    peer, sid = await _stuck(here, 50)
    ben = await here.peer("ben")
    await here.world.add("CH" + sid[2:], "ben")
    await ben.establish(wish(sid, 49))
    send = asyncio.create_task(peer.send_message("CH" + sid[2:], "in between"))
    await ben.until(lambda: ben.texts(sid) == ["in between"])
    peer.websocket.transport.resume_reading()
    assert (await send).http_status == 201


async def _configuration(peer: Peer) -> Any:
    return (await peer.get(CONFIGURATION)).json


async def test_a_users_name_is_told_with_its_odd_characters(here: Here) -> None:
    peer = await here.peer("ana")
    name = 'Ana "☃" \u2028 \\ \x7f'
    await here.world.engine.execute(
        here.world.user("ana"), UpdateUser(service=here.world.service, user="ana", friendly_name=name)
    )
    assert (await peer.get("/Client/v2/Users/ana"))["friendly_name"] == name
