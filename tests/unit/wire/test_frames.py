from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tertulia.wire import frames
from tertulia.wire.frames import (
    Backoff,
    ContinuationStatus,
    Frame,
    Header,
    HttpRequest,
    Limits,
    MalformedFrame,
    Registration,
    Status,
)

# Characters that JSON and UTF-8 can carry.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


def message(header: str | bytes, payload: bytes = b"", size: int | None = None) -> bytes:
    text = header.encode() if isinstance(header, str) else header
    return b"TWILSOCK V3.0 %d\r\n%b\r\n%b" % (len(text) if size is None else size, text, payload)


def header_of(sent: bytes) -> dict[str, Any]:
    """Reads a message by the letter of the specification, independently of ``parse``."""
    first, _, rest = sent.partition(b"\r\n")
    magic, version, size = first.split(b" ")
    assert (magic, version) == (b"TWILSOCK", b"V3.0")
    header: dict[str, Any] = json.loads(rest[: int(size)])
    after = rest[int(size) :]
    payload_size = header["payload_size"]
    assert after[:2] == b"\r\n"
    assert after[2 + payload_size :] == (b"\r\n" if payload_size else b"")
    header["payload"] = after[2 : 2 + payload_size]
    return header


# --- reading ----------------------------------------------------------------------------------------------------


def test_the_init_of_the_official_sdk_is_read() -> None:
    text = (
        '{"id":"TM39d49674-f665-4035-be5d-d525f4e7506c","method":"init","token":"<jwt>","continuation_token":null,'
        '"metadata":{"ver":"1.0.2","env":"Node.js","envv":"20.20.2","os":"Linux","osv":"unknown","osa":64,'
        '"type":"conversations","sdk":"JS","sdkv":"3.0.1"},"registrations":[{"product":"ip_messaging","type":"ers",'
        '"notification_protocol_version":0,"message_types":["twilio.ipmsg.typing_indicator","twilio.sync.event"]}],'
        '"tweaks":null,"capabilities":["client_update","offline_storage","telemetry.v1"],"payload_size":0}'
    )
    frame = frames.parse(message(text))
    assert frame.payload == b""
    assert frame.header == Header(
        method="init",
        id="TM39d49674-f665-4035-be5d-d525f4e7506c",
        token="<jwt>",
        registrations=(Registration("ip_messaging", "ers", 0, ("twilio.ipmsg.typing_indicator", "twilio.sync.event")),),
        capabilities=("client_update", "offline_storage", "telemetry.v1"),
        metadata=frame.header.metadata,
        payload_size=0,
    )
    assert msgspec.json.decode(frame.header.metadata)["osa"] == 64


def test_a_tunnelled_request_is_read() -> None:
    text = (
        '{"id":"TM8f2c","method":"message","active_grant":"ip_messaging","payload_type":"application/json; '
        'charset=utf-8","http_request":{"host":"conv.example","path":"/Client/v2/Conversations/CH1/Messages",'
        '"method":"POST","params":{"a":"%20","b":["1","2"]},"headers":{"Content-Type":"application/json",'
        '"Accept":["a","b"]}},"payload_size":34}'
    )
    frame = frames.parse(message(text, b'{"body":"hello","attributes":"{}"}'))
    assert frame.header.http_request == HttpRequest(
        method="POST",
        path="/Client/v2/Conversations/CH1/Messages",
        host="conv.example",
        params={"a": "%20", "b": ["1", "2"]},
        headers={"Content-Type": "application/json", "Accept": ["a", "b"]},
    )
    assert frame.payload == b'{"body":"hello","attributes":"{}"}'


@pytest.mark.parametrize("tail", [b"", b"\r\n", b"\r\nwhatever", b"\0"])
def test_the_payload_is_exactly_as_long_as_announced(tail: bytes) -> None:
    frame = frames.parse(message('{"id":"1","method":"message","payload_size":6}', "aéüb".encode() + tail))
    assert frame.payload == "aéüb".encode()


@pytest.mark.parametrize("size", ["", ',"payload_size":0', ',"payload_size":null'])
def test_a_frame_may_do_without_a_payload(size: str) -> None:
    assert frames.parse(message(f'{{"id":"1","method":"close"{size}}}', b"ignored")).payload == b""


def test_lengths_are_bytes() -> None:
    text = '{"id":"é🦊","method":"x"}'
    assert frames.parse(message(text)).header.id == "é🦊"
    with pytest.raises(MalformedFrame):
        frames.parse(message(text, size=len(text)))


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_bytes_like_message_is_read(kind: type[bytes]) -> None:
    frame = frames.parse(kind(message('{"id":"1","method":"x","payload_size":2}', b"{}")))
    assert (frame.header.id, frame.payload) == ("1", b"{}")


def test_unknown_members_are_left_out() -> None:
    frame = frames.parse(message('{"tweaks":{"deep":[1,{"a":null}]},"id":"1","method":"x","extra":1}'))
    assert frame == Frame(Header(method="x", id="1"))


UNUSABLE = {
    "nothing": b"",
    "other magic": b"TWILSOCK V4.0 2\r\n{}\r\n",
    "lower case": b"twilsock V3.0 2\r\n{}\r\n",
    "no length": b"TWILSOCK V3.0 \r\n{}\r\n",
    "a sign": b"TWILSOCK V3.0 +2\r\n{}\r\n",
    "an underscore": b"TWILSOCK V3.0 1_0\r\n{}\r\n",
    "a space": b"TWILSOCK V3.0  2\r\n{}\r\n",
    "other digits": "TWILSOCK V3.0 ٢\r\n{}\r\n".encode(),
    "endless digits": b"TWILSOCK V3.0 " + b"1" * 5000,
    "a long length": b"TWILSOCK V3.0 " + b"0" * 10 + b"2\r\n{}\r\n",
    "line feed only": b"TWILSOCK V3.0 2\n{}\n",
    "header cut": b"TWILSOCK V3.0 20\r\n{}\r\n",
    "no line end behind the header": message('{"id":"1","method":"x"}')[:-2],
    "header longer than told": message('{"id":"1","method":"x"}', size=5),
    "no JSON": message("hello"),
    "JSON and more": message('{"id":"1","method":"x"}{}'),
    "an array": message("[]"),
    "no method": message('{"id":"1"}'),
    "no id": message('{"method":"x"}'),
    "a number as id": message('{"id":1,"method":"x"}'),
    "no UTF-8": message(b'{"id":"\xff","method":"x"}'),
    "half a surrogate": message('{"id":"\\ud800","method":"x"}'),
    "a deep tree": message('{"id":"1","method":"x","tree":' + "[" * 50_000),
    "a large header": message('{"id":"1","method":"x","a":"' + "x" * 70_000 + '"}'),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_what_is_no_frame_is_malformed_and_cannot_be_answered(name: str) -> None:
    with pytest.raises(MalformedFrame) as error:
        frames.parse(UNUSABLE[name])
    assert (error.value.frame_id, error.value.method) == (None, None)
    assert error.value.reason


@pytest.mark.parametrize(
    ("header", "payload", "status"),
    [
        ('{"id":"7","method":"message","payload_size":3}', b"{}", 400),
        ('{"id":"7","method":"message","payload_size":-1}', b"", 400),
        ('{"id":"7","method":"message","payload_size":"2"}', b"{}", 400),
        ('{"id":"7","method":"message","payload_size":2.5}', b"{}", 400),
        ('{"id":"7","method":"message","payload_size":2000000}', b"", 413),
        ('{"id":"7","method":"message","http_request":{"method":"GET"}}', b"", 400),
        ('{"id":"7","method":"message","http_request":{"method":"GET","path":"/","params":{"a":1}}}', b"", 400),
        ('{"id":"7","method":"message","token":5}', b"", 400),
        ('{"id":"7","method":"message","capabilities":"client_update"}', b"", 400),
    ],
)
def test_a_frame_with_an_unusable_part_is_malformed_and_can_be_answered(
    header: str, payload: bytes, status: int
) -> None:
    with pytest.raises(MalformedFrame) as error:
        frames.parse(message(header, payload))
    assert (error.value.frame_id, error.value.method, error.value.status) == ("7", "message", status)


def test_limits_are_as_given() -> None:
    sent = message('{"id":"1","method":"x","payload_size":2}', b"{}")
    size = len('{"id":"1","method":"x","payload_size":2}')
    assert frames.parse(sent, Limits(size, 2)).payload == b"{}"
    for limits in (Limits(size - 1, 2), Limits(size, 1)):
        with pytest.raises(MalformedFrame, match="are allowed"):
            frames.parse(sent, limits)


def test_an_error_does_not_quote_the_message() -> None:
    for text in (
        '{"id":"1","method":"init","token":"secret-token"',
        '{"id":"1","method":"init","token":["secret-token"]}',
    ):
        with pytest.raises(MalformedFrame) as error:
            frames.parse(message(text))
        assert "secret" not in str(error.value)
        assert "secret" not in repr(error.value)


PIECES = st.sampled_from(
    [
        b"TWILSOCK V3.0 ",
        b"2",
        b"23\r\n",
        b"\r\n",
        b"{}",
        b'{"id":"1","method":"x"}',
        b'"payload_size":9,',
        b"null",
        b"[",
        b'"\\ud800"',
        b"\xff",
        b"1e999",
        b"9" * 5000,
    ]
)


@given(st.one_of(st.binary(), st.lists(st.one_of(PIECES, st.binary(max_size=4)), max_size=12).map(b"".join)))
@example(message('{"id":"1","method":"x","payload_size":' + "9" * 5000 + "}"))
def test_reading_raises_nothing_but_malformed_frame(data: bytes) -> None:
    for sent in (data, message(data), message(b'{"id":"1","method":"x",' + data + b"}")):
        with suppress(MalformedFrame):
            str(frames.parse(sent))


@given(st.data())
def test_a_damaged_frame_raises_nothing_but_malformed_frame(data: st.DataObject) -> None:
    sent = bytearray(frames.request("TM1", HttpRequest(method="GET", path="/a"), b'{"a":1}'))
    for _ in range(data.draw(st.integers(1, 4))):
        sent[data.draw(st.integers(0, len(sent) - 1))] = data.draw(st.integers(0, 255))
    with suppress(MalformedFrame):
        str(frames.parse(bytes(sent)))


# --- writing ----------------------------------------------------------------------------------------------------

REGISTRATIONS = st.builds(
    Registration, TEXTS, TEXTS, st.none() | st.integers(0, 9), st.lists(TEXTS, max_size=3).map(tuple), st.none() | TEXTS
)
STATUSES = st.builds(Status, st.integers(100, 599), TEXTS, st.none() | TEXTS, st.none() | st.integers(1, 99999))
VALUES = st.dictionaries(TEXTS, TEXTS | st.lists(TEXTS, max_size=2), max_size=3)


@given(
    st.builds(
        Header,
        method=TEXTS,
        id=TEXTS,
        status=st.none() | STATUSES,
        http_status=st.none() | STATUSES,
        http_headers=st.none() | VALUES,
        http_request=st.none() | st.builds(HttpRequest, TEXTS, TEXTS, TEXTS, st.none() | VALUES, st.none() | VALUES),
        token=st.none() | TEXTS,
        continuation_token_status=st.none() | st.builds(ContinuationStatus, st.booleans(), st.none() | TEXTS),
        capabilities=st.none() | st.lists(TEXTS, max_size=3).map(tuple),
        registrations=st.none() | st.lists(REGISTRATIONS, max_size=3).map(tuple),
        init_registrations=st.none() | st.lists(REGISTRATIONS, max_size=3).map(tuple),
    ),
    st.binary(max_size=100),
)
def test_what_is_written_is_read(header: Header, payload: bytes) -> None:
    whole = msgspec.structs.replace(header, payload_size=len(payload))
    sent = frames.build(whole, payload)
    assert frames.parse(sent) == Frame(whole, payload)
    assert header_of(sent)["payload"] == payload


def test_a_new_id_has_the_form_of_the_public_service() -> None:
    assert frames.new_id(bytes(range(16))) == "TM000102030405060708090a0b0c0d0e0f"


WRITTEN: list[tuple[bytes, dict[str, Any]]] = [
    (
        frames.notification("TM1", "com.twilio.rtd.cds.list", '{"a":"é"}'.encode()),
        {
            "method": "notification",
            "id": "TM1",
            "message_type": "com.twilio.rtd.cds.list",
            "payload_type": "application/json",
            "payload_size": 10,
            "payload": '{"a":"é"}'.encode(),
        },
    ),
    (frames.ping("TM1"), {"method": "ping", "id": "TM1", "payload_size": 0, "payload": b""}),
    (
        frames.client_update("TM1", "token_about_to_expire"),
        {
            "method": "client_update",
            "id": "TM1",
            "client_update_type": "token_about_to_expire",
            "payload_size": 0,
            "payload": b"",
        },
    ),
    (
        frames.reply("TM1", Status(401, "UNAUTHORIZED", "Access Token expired", 20104)),
        {
            "method": "reply",
            "id": "TM1",
            "status": {
                "code": 401,
                "status": "UNAUTHORIZED",
                "description": "Access Token expired",
                "errorCode": 20104,
            },
            "payload_size": 0,
            "payload": b"",
        },
    ),
    (
        frames.reply("TM1", Status(429, "TOO_MANY_REQUESTS"), Backoff(3000, 5000).payload()),
        {
            "method": "reply",
            "id": "TM1",
            "status": {"code": 429, "status": "TOO_MANY_REQUESTS"},
            "payload_type": "application/json",
            "payload_size": 68,
            "payload": b'{"backoff_policy":{"reconnect_min_ms":3000,"reconnect_max_ms":5000}}',
        },
    ),
    (
        frames.close("TM1", Status(308, "OFFLOAD"), b"{}"),
        {
            "method": "close",
            "id": "TM1",
            "status": {"code": 308, "status": "OFFLOAD"},
            "payload_type": "application/json",
            "payload_size": 2,
            "payload": b"{}",
        },
    ),
    (frames.close("TM1"), {"method": "close", "id": "TM1", "payload_size": 0, "payload": b""}),
    (
        frames.initialised(
            "TM1",
            capabilities=["client_update"],
            continuation_token="a.b",
            continuation_status=ContinuationStatus(reissued=False),
            registrations=[Registration("ip_messaging", "ers", None, ("a",), "ctx")],
        ),
        {
            "method": "reply",
            "id": "TM1",
            "status": {"code": 200, "status": "OK"},
            "capabilities": ["client_update"],
            "continuation_token": "a.b",
            "continuation_token_status": {"reissued": False},
            "init_registrations": [
                {"product": "ip_messaging", "type": "ers", "message_types": ["a"], "notification_ctx_id": "ctx"}
            ],
            "payload_size": 0,
            "payload": b"",
        },
    ),
    (
        frames.tunnelled_reply("TM1", Status(201, "Created"), {"content-type": "application/json"}, b'{"sid":"IM"}'),
        {
            "method": "reply",
            "id": "TM1",
            "status": {"code": 200, "status": "OK"},
            "http_status": {"code": 201, "status": "Created"},
            "http_headers": {"content-type": "application/json"},
            "payload_type": "application/json",
            "payload_size": 12,
            "payload": b'{"sid":"IM"}',
        },
    ),
    (
        frames.init(
            "TM1",
            "jwt",
            continuation_token="a.b",
            registrations=[Registration("ip_messaging", "ers", 0, ("a",))],
            metadata={"sdk": "py", "osa": 64},
        ),
        {
            "method": "init",
            "id": "TM1",
            "token": "jwt",
            "continuation_token": "a.b",
            "capabilities": ["client_update"],
            "registrations": [
                {
                    "product": "ip_messaging",
                    "type": "ers",
                    "notification_protocol_version": 0,
                    "message_types": ["a"],
                }
            ],
            "metadata": {"sdk": "py", "osa": 64},
            "payload_size": 0,
            "payload": b"",
        },
    ),
    (
        frames.init("TM1", "jwt"),
        {
            "method": "init",
            "id": "TM1",
            "token": "jwt",
            "capabilities": ["client_update"],
            "registrations": [],
            "payload_size": 0,
            "payload": b"",
        },
    ),
    (
        frames.update("TM1", "jwt"),
        {"method": "update", "id": "TM1", "token": "jwt", "payload_size": 0, "payload": b""},
    ),
    (
        frames.request("TM1", HttpRequest(method="GET", path="/a", params={"b": "%20"}, headers={})),
        {
            "method": "message",
            "id": "TM1",
            "active_grant": "ip_messaging",
            "http_request": {"method": "GET", "path": "/a", "host": "", "params": {"b": "%20"}, "headers": {}},
            "payload_type": "application/json",
            "payload_size": 0,
            "payload": b"",
        },
    ),
    (
        frames.acknowledgement("TM1"),
        {
            "method": "reply",
            "id": "TM1",
            "status": {"code": 200, "status": "OK"},
            "payload_type": "application/json",
            "payload_size": 0,
            "payload": b"",
        },
    ),
    (
        frames.acknowledgement('"'),
        {
            "method": "reply",
            "id": '"',
            "status": {"code": 200, "status": "OK"},
            "payload_size": 0,
            "payload": b"",
        },
    ),
]


@pytest.mark.parametrize(("sent", "told"), WRITTEN)
def test_each_frame_says_what_the_protocol_wants(sent: bytes, told: dict[str, Any]) -> None:
    assert header_of(sent) == told


def test_a_notification_is_these_bytes() -> None:
    assert frames.notification("TM5f79", "twilio.sync.event", b'{"a":1}') == (
        b"TWILSOCK V3.0 125\r\n"
        b'{"method":"notification","id":"TM5f79","message_type":"twilio.sync.event",'
        b'"payload_type":"application/json","payload_size":7}'
        b"\r\n"
        b'{"a":1}\r\n'
    )


# --- acknowledgements -------------------------------------------------------------------------------------------

SDK_REPLY = (
    '{"id":"TM0a1b2c3d4e5f60718293a4b5c6d7e8f9","method":"reply","payload_type":"application/json",'
    '"status":{"code":200,"status":"OK"},"payload_size":0}'
)


@pytest.mark.parametrize(
    "sent",
    [
        message(SDK_REPLY),
        message('{"method":"reply","id":"TM1","status":{"code":200,"status":"OK"}}'),
        message('{"method":"reply"}'),
        frames.acknowledgement("TM1"),
    ],
)
def test_the_replies_clients_send_are_recognised(sent: bytes) -> None:
    assert frames.is_acknowledgement(sent)


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"TWILSOCK V3.0 9\r\n",
        message('{"id":"1","method":"message","payload_size":99}', b'{"id":"1","method":"reply"}'),
        message('{"id":"1","method":"message","http_request":{"method":"reply","path":"/"}}'),
        message('{"http_request":{"id":"1","method":"reply","path":"/"},"id":"1","method":"message"}'),
        message('{"id":"1\\",\\"method\\":\\"reply","method":"message"}'),
        message('{"id":"\\"","method":"message","token":"\\"method\\":\\"reply\\""}'),
        message('{"id":"1","token":"x","method":"message","a":{"method":"reply"}}'),
        message('{"id":"1","method":"reply.v2"}'),
        message('{"\\"method":"reply","method":"init","id":"1"}'),
        message('{"id":"1","method":"message","payload_size":200}', message(SDK_REPLY)),
    ],
)
def test_no_other_frame_is_taken_for_an_acknowledgement(sent: bytes) -> None:
    assert not frames.is_acknowledgement(sent)


@pytest.mark.parametrize(
    "text",
    ['{"id":"1", "method":"reply"}', '{"status":{},"id":"1","method":"reply"}', '{"id":"\\u0031","method":"reply"}'],
)
def test_a_reply_spelled_otherwise_is_left_to_the_parser(text: str) -> None:
    assert not frames.is_acknowledgement(message(text))
    if "status" not in text:
        assert frames.parse(message(text)).header.method == "reply"


@given(TEXTS, TEXTS, st.binary(max_size=60))
def test_only_frames_of_method_reply_are_taken_for_acknowledgements(frame_id: str, method: str, payload: bytes) -> None:
    for word in (method, "reply", "message"):
        header = Header(method=word, id=frame_id, token=method, payload_size=len(payload))
        if frames.is_acknowledgement(frames.build(header, payload)):
            assert word == "reply"


# --- for logs ---------------------------------------------------------------------------------------------------


def test_a_printed_frame_shows_its_way_and_no_secret() -> None:
    wrapped = HttpRequest(
        method="POST",
        path="/Client/v2/Users/alice%40example.com",
        params={"q": "secret"},
        headers={"X": "secret"},
    )
    frame = frames.parse(frames.request("TM39d49674-f665-4035", wrapped, b'{"body":"secret"}'))
    assert str(frame) == repr(frame) == "<message TM39d49674-f66… POST /Client/v2/Users/…, 17 bytes>"


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        (frames.init("TM1", "secret", continuation_token="secret"), "<init TM1>"),
        (frames.update("TM1", "secret"), "<update TM1>"),
        (frames.reply("TM1", Status(401, "UNAUTHORIZED", "secret", 20104)), "<reply TM1 401/20104>"),
        (frames.tunnelled_reply("TM1", Status(404, "Not Found"), {}, b"secret"), "<reply TM1 404, 6 bytes>"),
        (frames.notification("TM1", "twilio.sync.event", b"secret"), "<notification TM1 twilio.sync.event, 6 bytes>"),
        (frames.client_update("TM1", "token_about_to_expire"), "<client_update TM1 token_about_to_expire>"),
    ],
)
def test_a_printed_frame_shows_its_kind(sent: bytes, shown: str) -> None:
    frame = frames.parse(sent)
    assert str(frame) == shown
    assert "secret" not in f"{frame.header!r} {frame!r} {[frame]}"
