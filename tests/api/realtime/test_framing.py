"""Frames, good and bad: each bad one gets its answer or its close code, and nobody else notices (realtime 2, 3)."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from .client import Peer, frame, new_id
from .conftest import Here, Start


@pytest.fixture
async def bystander(here: Here) -> Peer:
    """Somebody who follows a conversation while others misbehave."""
    room = await here.world.conversation("bea")
    peer = await here.peer("bea")
    await peer.follow(f"{room.sid}.messages")
    return peer


async def notices_nothing(here: Here, bystander: Peer) -> None:
    """The bystander is served as before, by request and by event."""
    (sid,) = {event["object_sid"] for batch in bystander.settled.values() for event in map(_entry, batch.values())}
    seen = len(bystander.numbers(sid))
    await here.world.send("CH" + sid[2:], "still here")
    await bystander.until(lambda: len(bystander.numbers(sid)) == seen + 1)
    assert (await bystander.get("/Client/v2/Configuration")).http_status == 200


def _entry(settled: Any) -> dict[str, Any]:
    entry: dict[str, Any] = settled.entry
    return entry


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was logged about the connection, without what every request and connection logs."""
    usual = {"connection.ready", "request.done"}
    return [
        record.message
        for record in caplog.records
        if record.name.startswith("tertulia") and record.message not in usual
    ]


# What cannot even be answered: the two sides do not speak the same language.
NOT_FRAMES = {
    "nothing": b"",
    "other magic": b"HELLO V3.0 2\r\n{}\r\n",
    "another version": b"TWILSOCK V9.0 2\r\n{}\r\n",
    "no length": b"TWILSOCK V3.0 \r\n{}\r\n",
    "a length that is a word": b"TWILSOCK V3.0 two\r\n{}\r\n",
    "a negative length": b"TWILSOCK V3.0 -2\r\n{}\r\n",
    "a length too short": b'TWILSOCK V3.0 5\r\n{"id":"TM1","method":"init"}\r\n',
    "a length too long": b'TWILSOCK V3.0 500\r\n{"id":"TM1","method":"init"}\r\n',
    "a length beyond all limits": b"TWILSOCK V3.0 999999999\r\n{}\r\n",
    "a length of a hundred digits": b"TWILSOCK V3.0 " + b"9" * 100 + b"\r\n{}\r\n",
    "broken JSON": b'TWILSOCK V3.0 12\r\n{"method":"i\r\n',
    "JSON that is no object": b"TWILSOCK V3.0 2\r\n[]\r\n",
    "no id": b'TWILSOCK V3.0 17\r\n{"method":"init"}\r\n',
    "no method": b'TWILSOCK V3.0 12\r\n{"id":"TM1"}\r\n',
    "JSON nested without end": b"TWILSOCK V3.0 60000\r\n" + b"[" * 60000 + b"\r\n",
    "bytes at random": bytes(range(256)),
}


@pytest.mark.parametrize("case", NOT_FRAMES)
async def test_what_is_no_frame_ends_the_connection_and_nothing_else(
    here: Here, bystander: Peer, case: str, caplog: pytest.LogCaptureFixture
) -> None:
    """realtime 15.26: by closing the WebSocket, never by a close frame 406, which kills the client for good."""
    peer = await here.peer()
    caplog.set_level(logging.INFO)
    await peer.say_raw(NOT_FRAMES[case])
    assert await peer.end() == 1007
    assert peer.of_method("close") == []
    await notices_nothing(here, bystander)
    assert lines(caplog) == ["connection.malformed", "connection.end"]


async def test_a_text_message_ends_the_connection(
    here: Here, bystander: Peer, caplog: pytest.LogCaptureFixture
) -> None:
    """realtime 15.1"""
    peer = await here.peer()
    caplog.set_level(logging.INFO)
    await peer.say_raw(frame({"method": "message", "id": new_id()}).decode())
    assert await peer.end() == 1003
    await notices_nothing(here, bystander)
    assert lines(caplog) == ["connection.end"]


async def test_a_message_over_the_limit_ends_the_connection(start: Start) -> None:
    here = await start(frame_limit_bytes=10_000)
    peer, other = await here.peer(), await here.peer("ben")
    await peer.say_raw(frame({"method": "message", "id": new_id()}, b"x" * 20_000))
    assert await peer.end() == 1009
    assert (await other.get("/Client/v2/Configuration")).http_status == 200


# What names itself: that frame is refused, and the connection goes on.
REFUSED: dict[str, bytes] = {
    "a wrong type": frame({"id": "TM1", "method": "message", "http_request": "GET"}),
    "a path that is a number": frame({"id": "TM1", "method": "message", "http_request": {"method": "GET", "path": 1}}),
    "no path": frame({"id": "TM1", "method": "message", "http_request": {"method": "GET"}}),
    "no request": frame({"id": "TM1", "method": "message"}),
    "a negative payload": b'TWILSOCK V3.0 50\r\n{"id":"TM1","method":"message","payload_size":-100}\r\n',
    "a payload that is a word": b'TWILSOCK V3.0 51\r\n{"id":"TM1","method":"message","payload_size":"two"}\r\n',
    "half a payload": b'TWILSOCK V3.0 49\r\n{"id":"TM1","method":"message","payload_size":100}\r\n{"a":1}',
    "an unknown method": frame({"id": "TM1", "method": "dance"}),
    "an empty method": frame({"id": "TM1", "method": ""}),
    "a second init": frame({"id": "TM1", "method": "init", "token": "x"}),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_a_frame_that_names_itself_is_refused_and_the_connection_goes_on(
    here: Here, bystander: Peer, case: str, caplog: pytest.LogCaptureFixture
) -> None:
    peer = await here.peer()
    caplog.set_level(logging.INFO)
    heard = len(peer.frames)
    await peer.say_raw(_with_true_length(REFUSED[case]))
    await peer.until(lambda: len(peer.frames) > heard)
    answer = peer.frames[-1]
    assert (answer.method, answer.header["id"], answer.status) == ("reply", "TM1", 400)
    assert len(lines(caplog)) == 1
    assert (await peer.get("/Client/v2/Configuration")).http_status == 200
    await notices_nothing(here, bystander)


def _with_true_length(message: bytes) -> bytes:
    """For frames written by hand: the header is as long as the first line says."""
    _, header, rest = message.split(b"\r\n", 2)
    return b"TWILSOCK V3.0 %d\r\n%b\r\n%b" % (len(header), header, rest)


async def test_a_payload_over_the_limit_is_refused_by_its_frame(start: Start) -> None:
    """Announced, not sent: it is told by its header."""
    here = await start(frame_limit_bytes=10_000)
    peer = await here.peer()
    header = b'{"id":"TM1","method":"message","payload_size":20000}'
    await peer.say_raw(b"TWILSOCK V3.0 %d\r\n%b\r\n" % (len(header), header))
    await peer.until(lambda: peer.frames[-1].header["id"] == "TM1")
    assert peer.frames[-1].status == 413


async def test_lengths_are_bytes_in_both_directions(here: Here) -> None:
    """realtime 15.2"""
    identity, text = "жук ☃ 𝄞", "крыша, 屋根, 🏠"
    room = await here.world.conversation(identity)
    peer = await here.peer(identity, metadata={"env": "Сеть"})
    roots = await peer.follow(f"{room.sid}.messages")
    sid = roots[f"{room.sid}.messages"]["sid"]
    assert (await peer.send_message(room.sid, text)).http_status == 201
    await peer.until(lambda: peer.texts(sid) == [text])
    assert (await peer.get("/Client/v2/Configuration"))["identity"] == identity


async def test_a_line_end_behind_a_payload_is_accepted_as_well(here: Here) -> None:
    """Native clients add one (realtime 3)."""
    room = await here.world.conversation("ana")
    peer = await here.peer()
    header = {
        "id": "TM1",
        "method": "message",
        "http_request": {"path": f"/Client/v2/Conversations/{room.sid}/Messages", "method": "POST"},
    }
    await peer.say_raw(frame(header, b'{"body":"hello"}') + b"\r\n")
    await peer.until(lambda: peer.frames[-1].header["id"] == "TM1")
    assert peer.frames[-1].http_status == 201


async def test_keys_may_come_in_any_order_and_unknown_ones_are_ignored(here: Here) -> None:
    peer = await here.peer()
    answer = await peer.ask(
        {
            "strange": {"deep": [1, None]},
            "http_request": {"params": {}, "path": "/Client/v2/Configuration", "method": "GET", "more": 1},
            "method": "message",
        }
    )
    assert answer.http_status == 200


@pytest.mark.parametrize("method", ["put_notification_ctx", "delete_notification_ctx"])
async def test_the_older_registrations_are_acknowledged(here: Here, method: str) -> None:
    peer = await here.peer()
    assert (await peer.ask({"method": method, "notification_ctx_id": "x"})).status == 200


async def test_telemetry_is_ignored(here: Here) -> None:
    peer = await here.peer()
    heard = len(peer.frames)
    await peer.say({"method": "telemetry.v1", "id": "TM1"}, b"[]")
    await peer.say({"method": "reply", "id": "TM-never-asked", "status": {"code": 400, "status": "BAD"}})
    await peer.quiet()
    assert len(peer.frames) == heard + 1


@pytest.mark.owner_demand(4)
async def test_a_client_that_leaves_is_let_go(here: Here) -> None:
    """realtime 7: the reply is optional, the end is not."""
    peer = await here.peer()
    await peer.say({"method": "close", "id": "TM1"})
    assert await peer.end() == 1000
    assert here.server.node.connections == set()


async def test_the_ids_of_the_servers_frames_are_all_different(here: Here) -> None:
    room = await here.world.conversation("ana")
    peers = [await here.peer() for _ in range(3)]
    for peer in peers:
        await peer.follow(f"{room.sid}.messages")
    for _ in range(5):
        await here.world.send(room.sid)
    here.pass_time(31)
    ids = []
    for peer in peers:
        await peer.hear("ping")
        ids.append([heard.header["id"] for heard in peer.frames if heard.method != "reply"])
    # An event is the same bytes for all who follow it.
    assert all(len(set(each)) == len(each) for each in ids)


@pytest.mark.parametrize("origin", ["http://elsewhere.example", "null"])
async def test_any_page_may_connect(here: Here, origin: str) -> None:
    """realtime 2: browsers send their origin, and no credentials with it."""
    peer = await here.open(origin=origin)
    assert (await peer.init(here.token())).status == 200
