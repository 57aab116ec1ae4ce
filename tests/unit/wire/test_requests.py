from __future__ import annotations

from urllib.parse import parse_qs, quote, urlencode

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tertulia.wire import frames, requests
from tertulia.wire.frames import HttpRequest
from tertulia.wire.requests import Reply, Request

NAMES = st.text(min_size=1, max_size=10).filter(lambda text: text.isprintable())


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("/", []),
        ("", []),
        ("/Client/v2/Configuration", ["Client", "v2", "Configuration"]),
        ("/Users/a%20b%2F%C3%A9", ["Users", "a b/é"]),
        ("/Users/a+b", ["Users", "a+b"]),
        ("/Users/a%2Bb", ["Users", "a+b"]),
        ("/a//b/", ["a", "", "b", ""]),
        ("/100%", ["100%"]),
        ("/%ff", ["�"]),
        ("a/b", ["a", "b"]),
    ],
)
def test_a_path_is_split_before_it_is_decoded(path: str, parts: list[str]) -> None:
    assert requests.segments(path) == parts


@given(st.lists(st.text(min_size=1), min_size=1))
def test_segments_survive_encoding(parts: list[str]) -> None:
    assert requests.segments("/" + "/".join(quote(part, safe="") for part in parts)) == parts


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("", {}),
        ("&&", {}),
        ("a=1&b=2", {"a": ["1"], "b": ["2"]}),
        ("a=2&b=x&a=1", {"a": ["2", "1"], "b": ["x"]}),
        ("a+b=c+d", {"a b": ["c d"]}),
        ("a=c%2Bd%20e", {"a": ["c+d e"]}),
        ("a", {"a": [""]}),
        ("a=", {"a": [""]}),
        ("a=b=c", {"a": ["b=c"]}),
        ("%C3%A9=%C3%A9", {"é": ["é"]}),
    ],
)
def test_a_query_is_decoded_once_and_keeps_repeats(text: str, query: dict[str, list[str]]) -> None:
    assert requests.parse_query(text) == query


@given(st.lists(st.tuples(st.text(min_size=1), st.text())))
def test_a_query_reads_as_the_standard_library_reads_it(fields: list[tuple[str, str]]) -> None:
    text = urlencode(fields)
    assert requests.parse_query(text) == parse_qs(text, keep_blank_values=True)


def test_a_wrapped_request_becomes_a_plain_one() -> None:
    wrapped = HttpRequest(
        host="aim.us1.twilio.com",
        method="post",
        path="/Client/v2/Users/a%20b%2F%C3%A9",
        params={"PageSize": "50", "Key": ["a%2Fb", "c"], "Plus": "a+b", "Gone": None, "Empty": ""},
        headers={"Content-Type": "application/x-www-form-urlencoded", "X-List": ["a", "b"], "X-None": None},
    )
    assert requests.from_http_request(wrapped, b"a=1", "application/json") == Request(
        method="POST",
        path="/Client/v2/Users/a%20b%2F%C3%A9",
        query={"PageSize": ["50"], "Key": ["a/b", "c"], "Plus": ["a+b"], "Empty": [""]},
        headers={"content-type": "application/x-www-form-urlencoded", "x-list": "a, b"},
        body=b"a=1",
    )


@given(st.dictionaries(NAMES, st.text()))
def test_parameters_are_decoded_exactly_once(params: dict[str, str]) -> None:
    wrapped = HttpRequest(
        method="GET", path="/", params={quote(name, safe=""): quote(value, safe="") for name, value in params.items()}
    )
    assert requests.from_http_request(wrapped).query == {name: [value] for name, value in params.items()}


def test_a_request_without_headers_and_parameters_is_complete() -> None:
    request = requests.from_http_request(HttpRequest(method="GET", path="/v3/Maps/MP"))
    assert request == Request(method="GET", path="/v3/Maps/MP", query={}, headers={}, body=b"")


@pytest.mark.parametrize(
    ("headers", "payload", "payload_type", "content_type"),
    [
        (None, b"{}", "application/json", "application/json"),
        (None, b"", "application/json", None),
        (None, b"{}", None, None),
        ({"CONTENT-TYPE": "text/plain"}, b"{}", "application/json", "text/plain"),
    ],
)
def test_a_body_has_the_type_of_its_frame_unless_a_header_says_otherwise(
    headers: dict[str, str | list[str] | None] | None,
    payload: bytes,
    payload_type: str | None,
    content_type: str | None,
) -> None:
    request = requests.from_http_request(HttpRequest(method="POST", path="/", headers=headers), payload, payload_type)
    assert request.headers.get("content-type") == content_type


def test_a_query_left_in_the_path_is_found() -> None:
    wrapped = HttpRequest(method="GET", path="v3/Maps?a=1", params={"a": "2"})
    request = requests.from_http_request(wrapped)
    assert (request.path, request.query) == ("/v3/Maps", {"a": ["1", "2"]})


@pytest.mark.parametrize(("status", "words"), [(200, "OK"), (404, "Not Found"), (429, "Too Many Requests")])
def test_a_status_has_the_usual_words(status: int, words: str) -> None:
    assert requests.phrase(status) == words


def test_an_unusual_status_has_words_too() -> None:
    assert requests.phrase(299) == "OK"
    assert requests.phrase(799) == "Status 799"


def test_a_reply_is_tunnelled_with_both_results() -> None:
    frame = frames.parse(requests.tunnelled("TM1", Reply(404, b'{"code":50350}')))
    assert frame.header.id == "TM1"
    assert frame.header.method == "reply"
    assert frame.header.status == frames.Status(200, "OK")
    assert frame.header.http_status == frames.Status(404, "Not Found")
    assert frame.header.http_headers == {"content-type": "application/json"}
    assert frame.header.payload_type == "application/json"
    assert frame.payload == b'{"code":50350}'


def test_a_reply_without_a_body_has_no_content_type() -> None:
    message = requests.tunnelled("TM1", Reply(204))
    frame = frames.parse(message)
    assert (frame.header.http_headers, frame.header.payload_type, frame.payload) == ({}, None, b"")
    # Clients read `http_headers` whether there are any or not.
    assert b'"http_headers":{}' in message


def test_headers_of_a_reply_are_lower_case_and_repeats_are_joined() -> None:
    reply = Reply(200, b"hello", (("Content-Type", "text/plain"), ("Vary", "a"), ("vary", "b")))
    header = frames.parse(requests.tunnelled("TM1", reply)).header
    assert header.http_headers == {"content-type": "text/plain", "vary": "a, b"}
    assert header.payload_type == "text/plain"


def test_an_error_has_the_shape_of_the_published_ones() -> None:
    reply = requests.error_reply(404, 20404, "Not here")
    assert reply.status == 404
    assert msgspec.json.decode(reply.body) == {
        "code": 20404,
        "message": "Not here",
        "more_info": "https://www.twilio.com/docs/errors/20404",
        "status": 404,
    }


def test_printed_requests_and_replies_keep_their_secrets() -> None:
    request = Request("POST", "/Users/alice@example.com", {"q": ["secret"]}, {"authorization": "secret"}, b"secret")
    assert str(request) == "<Request POST, 6 bytes>"
    assert repr(Reply(200, b"secret")) == "<Reply 200, 6 bytes>"
