"""What `tertulia.wire.websocket` promises about the request that opens a connection."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tertulia.wire.websocket import Upgrade, UpgradeRefused, parse_upgrade

REQUEST = {
    "Host": "chat.example",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}


def head(line: str = "GET /socket?a=b%20c HTTP/1.1", more: str = "", **changes: str | None) -> bytes:
    headers = REQUEST | {name.replace("_", "-"): value for name, value in changes.items()}
    lines = [f"{name}: {value}\r\n" for name, value in headers.items() if value is not None]
    return f"{line}\r\n{''.join(lines)}{more}\r\n".encode("latin-1")


def test_an_upgrade_is_read_and_answered_as_the_rfc_shows() -> None:
    upgrade = parse_upgrade(head(more="X-Two: 1\r\nx-two:  2 \r\n"))
    assert (upgrade.path, upgrade.query) == ("/socket", "a=b%20c")
    assert upgrade.headers["host"] == "chat.example"
    assert upgrade.headers["x-two"] == "1, 2"
    status, *lines = upgrade.answer().decode().split("\r\n")
    assert status == "HTTP/1.1 101 Switching Protocols"
    assert sorted(lines[:-2]) == [
        "connection: Upgrade",
        "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
        "upgrade: websocket",
    ]
    assert lines[-2:] == ["", ""]


@pytest.mark.parametrize(
    "request_head",
    [
        head(Connection="keep-alive, Upgrade"),
        head(Connection="keep-alive", more="connection: UPGRADE\r\n"),
        head(Upgrade="h2c, WebSocket"),
        head(more="Sec-WebSocket-Extensions: permessage-deflate\r\nSec-WebSocket-Protocol: chat\r\n"),
        head(more="Content-Length: 0\r\n"),
        head().removesuffix(b"\r\n\r\n"),
        head("GET / HTTP/1.1"),
    ],
)
def test_other_ways_to_ask_for_an_upgrade_are_accepted(request_head: bytes) -> None:
    assert isinstance(parse_upgrade(request_head), Upgrade)


def test_extensions_and_subprotocols_are_not_accepted() -> None:
    offer = "Sec-WebSocket-Extensions: permessage-deflate\r\nSec-WebSocket-Protocol: chat\r\n"
    answer = parse_upgrade(head(more=offer)).answer().lower()
    assert b"extensions" not in answer
    assert b"protocol:" not in answer


@pytest.mark.parametrize(
    ("request_head", "status", "words"),
    [
        (b"", 405, b"allow: GET"),
        (head("POST /socket HTTP/1.1"), 405, b"allow: GET"),
        (head("get /socket HTTP/1.1"), 405, b"allow: GET"),
        (head("GET /socket HTTP/1.0"), 505, b"HTTP/1.1"),
        (head("GET /socket"), 505, b"HTTP/1.1"),
        (head("GET http://chat.example/socket HTTP/1.1"), 400, b"path"),
        (head("GET /socket#part HTTP/1.1"), 400, b"path"),
        (head("GET  HTTP/1.1"), 400, b"path"),
        (head(Host=None), 400, b"Host"),
        (head(Upgrade=None), 426, b"upgrade: websocket"),
        (head(Upgrade="h2c"), 426, b"upgrade: websocket"),
        (head(Connection=None), 400, b"Connection"),
        (head(Connection="close"), 400, b"Connection"),
        (head(Sec_WebSocket_Version=None), 400, b"Version"),
        (head(Sec_WebSocket_Version="8"), 426, b"sec-websocket-version: 13"),
        (head(Sec_WebSocket_Version="13, 8"), 426, b"sec-websocket-version: 13"),
        (head(Sec_WebSocket_Key=None), 400, b"Key"),
        (head(Sec_WebSocket_Key=""), 400, b"Key"),
        (head(Sec_WebSocket_Key="c2hvcnQ="), 400, b"Key"),
        (head(Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25jZQ"), 400, b"Key"),
        (head(Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25jZSEh"), 400, b"Key"),
        (head(Sec_WebSocket_Key="dGhl*HNhbXBsZSBub25jZQ=="), 400, b"Key"),
        (head(Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25jZé=="), 400, b"Key"),
        (head(more=f"Sec-WebSocket-Key: {REQUEST['Sec-WebSocket-Key']}\r\n"), 400, b"Key"),
        (head(more="Content-Length: 5\r\n"), 400, b"body"),
        (head(more="Transfer-Encoding: chunked\r\n"), 400, b"body"),
        (head(more="no colon\r\n"), 400, b"header"),
        (head(more=": no name\r\n"), 400, b"header"),
        (head(more="X : space\r\n"), 400, b"header"),
        (head(more="X: folded\r\n  line: more\r\n"), 400, b"header"),
        (head(more="X: a\nY: b\r\n"), 400, b"header"),
    ],
)
def test_a_bad_upgrade_is_refused_with_a_whole_answer(request_head: bytes, status: int, words: bytes) -> None:
    with pytest.raises(UpgradeRefused) as refused:
        parse_upgrade(request_head)
    answer = refused.value.answer()
    assert refused.value.status == status
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert words in answer
    top, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-length: %d\r\n" % len(body) in top
    assert b"connection: close" in top


@given(st.one_of(st.binary(max_size=200), st.binary(max_size=100).map(lambda bits: head(more=bits.decode("latin-1")))))
def test_no_bytes_make_the_upgrade_raise_anything_else(request_head: bytes) -> None:
    try:
        answer = parse_upgrade(request_head).answer()
    except UpgradeRefused as refused:
        answer = refused.answer()
    assert answer.startswith(b"HTTP/1.1 ")
