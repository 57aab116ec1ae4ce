"""What comes back of a call, and what the receiver gets to see."""

from __future__ import annotations

import asyncio
import gzip

import pytest

from tertulia.server.outgoing import FailureKind, pool
from tests.contract.outgoing.receivers import (
    LONG_S,
    OK,
    OPEN,
    SHORT_S,
    Peer,
    answering,
    call_to,
    calling,
    failure_of,
    receiver,
)
from tests.contract.websocket.serving import Run


def test_the_answer_is_status_headers_and_body(run: Run) -> None:
    async def story() -> None:
        says = b"HTTP/1.1 403 No\r\nX-Why: because\r\nX-Why: again\r\nContent-Length: 4\r\n\r\n\x00\xffno"
        async with receiver(answering(says)) as place, calling() as outgoing:
            answer = await outgoing.call(call_to(place.url))
        assert (answer.status, answer.body, answer.is_truncated) == (403, b"\x00\xffno", False)
        assert answer.headers[:2] == (("x-why", "because"), ("x-why", "again"))
        assert (answer.header("x-why"), answer.header("x-other")) == ("because", None)

    run(story)


@pytest.mark.parametrize(
    ("says", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\n\r\n", b"ab"),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", b"until the end"),
        (b"HTTP/1.1 204 None\r\n\r\n", b""),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n" + OK, b"hi"),
    ],
    ids=["chunked", "until closed", "no content", "with informational answers"],
)
def test_every_way_to_delimit_an_answer_is_understood(run: Run, says: bytes, body: bytes) -> None:
    async def story() -> None:
        async with receiver(answering(says)) as place, calling() as outgoing:
            assert (await outgoing.call(call_to(place.url))).body == body

    run(story)


def test_the_receiver_sees_the_request_as_it_was_given(run: Run) -> None:
    async def story() -> None:
        seen: list[bytes] = []

        async def script(peer: Peer) -> None:
            seen.append(await peer.request())
            await peer.say(OK)

        async with receiver(script) as place, calling() as outgoing:
            url = place.url.replace("127.0.0.1", "user:p%40ss@localhost") + "?a=%20&b=%C3%BC%"
            await outgoing.call(call_to(f"{url}#rc=1", headers=(("X-Own", "1"), ("accept", "text/plain")), body=b"x=1"))
        head, _, body = seen[0].partition(b"\r\n\r\n")
        line, *headers = head.decode().split("\r\n")
        assert line == "POST /hook?a=%20&b=%C3%BC% HTTP/1.1"
        assert headers[0] == f"Host: localhost:{place.port}"
        assert {"X-Own: 1", "accept: text/plain", "Content-Length: 3", "Authorization: Basic dXNlcjpwQHNz"} <= {
            *headers
        }
        assert "Accept: */*" not in headers
        assert body == b"x=1"

    run(story)


def test_a_get_has_no_body(run: Run) -> None:
    async def story() -> None:
        seen: list[bytes] = []

        async def script(peer: Peer) -> None:
            seen.append(await peer.request())
            await peer.say(OK)

        async with receiver(script) as place, calling() as outgoing:
            await outgoing.call(call_to(place.url, method="GET"))
        assert seen[0].startswith(b"GET /hook HTTP/1.1\r\n")
        assert b"Content-Length" not in seen[0]

    run(story)


def test_a_redirect_is_an_answer_and_is_not_followed(run: Run) -> None:
    async def story() -> None:
        async with receiver(answering(OK)) as elsewhere, calling() as outgoing:
            says = f"HTTP/1.1 302 There\r\nLocation: {elsewhere.url}\r\nContent-Length: 0\r\n\r\n".encode()
            async with receiver(answering(says)) as place:
                answer = await outgoing.call(call_to(place.url))
            assert (answer.status, answer.header("location")) == (302, elsewhere.url)
            assert elsewhere.connections == 0

    run(story)


def test_a_connection_is_used_again(run: Run) -> None:
    async def story() -> None:
        async with receiver(answering(OK, OK, OK)) as place, calling() as outgoing:
            for _ in range(3):
                await outgoing.call(call_to(place.url))
            assert place.connections == 1

    run(story)


def test_a_connection_that_the_receiver_has_closed_is_not_used_again(run: Run) -> None:
    async def story() -> None:
        async with receiver(answering(OK)) as place, calling() as outgoing:
            for _ in range(3):
                await outgoing.call(call_to(place.url))
                await place.rest()
            assert place.connections == 3

    run(story)


def test_an_unused_connection_is_not_kept_for_long(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "KEEP_ALIVE_S", SHORT_S)

    async def story() -> None:
        async def script(peer: Peer) -> None:
            await peer.request()
            await peer.say(OK)
            await peer.until_left()

        async with receiver(script) as place, calling() as outgoing:
            await outgoing.call(call_to(place.url))
            await place.rest()

    run(story)


@pytest.mark.parametrize(
    "says",
    [OK + b"more", OK.replace(b"OK\r\n", b"OK\r\nConnection: close\r\n"), OK.replace(b"1.1", b"1.0")],
    ids=["with more than its answer", "that says so", "of the old protocol"],
)
def test_a_connection_that_cannot_go_on_is_dropped(run: Run, says: bytes) -> None:
    async def story() -> None:
        async def script(peer: Peer) -> None:
            await peer.request()
            await peer.say(says)
            await peer.until_left()

        async with receiver(script) as place, calling() as outgoing:
            for _ in range(2):
                assert (await outgoing.call(call_to(place.url))).body == b"hi"
                await place.rest()
            assert place.connections == 2

    run(story)


def test_a_connection_on_which_something_comes_unasked_is_not_used_again(run: Run) -> None:
    async def story() -> None:
        said = asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.request()
            await peer.say(OK)
            await asyncio.sleep(SHORT_S / 5)
            await peer.say(b"HTTP/1.1 200 Forged\r\nContent-Length: 4\r\n\r\nevil")
            await asyncio.sleep(SHORT_S / 5)
            said.set()
            await peer.until_left()

        async with receiver(script) as place, calling() as outgoing:
            await outgoing.call(call_to(place.url))
            await said.wait()
            assert (await outgoing.call(call_to(place.url))).body == b"hi"
            assert place.connections == 2

    run(story)


def test_cookies_are_not_kept_and_proxies_of_the_environment_not_used(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1/")

    async def story() -> None:
        seen: list[bytes] = []

        async def script(peer: Peer) -> None:
            for _ in range(2):
                seen.append(await peer.request())
                await peer.say(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n")

        async with receiver(script) as place, calling() as outgoing:
            await outgoing.call(call_to(place.url))
            await outgoing.call(call_to(place.url))
        assert len(seen) == 2 and b"cookie" not in seen[1].lower()

    run(story)


def test_an_answer_is_read_up_to_the_limit_and_its_status_counts(run: Run) -> None:
    async def story() -> None:
        async def script(peer: Peer) -> None:
            await peer.request()
            await peer.say(b"HTTP/1.1 500 Long\r\nTransfer-Encoding: chunked\r\n\r\n")
            while True:  # for ever; ends because the caller leaves
                await peer.say(b"400\r\n" + b"x" * 1024 + b"\r\n")

        async with receiver(script) as place, calling() as outgoing:
            answer = await outgoing.call(call_to(place.url, answer_limit_bytes=2500))
            await place.rest()
        assert (answer.status, answer.body, answer.is_truncated) == (500, b"x" * 2500, True)

    run(story)


@pytest.mark.parametrize(
    ("crumb", "beginning", "status"),
    [
        (b"1\r\nx\r\n", b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n", 500),
        (b"HTTP/1.1 100 Continue\r\n\r\n", b"", None),
    ],
    ids=["chunks of a byte", "informational answers"],
)
def test_a_receiver_that_sends_crumbs_for_ever_does_not_keep_us_busy(
    run: Run, crumb: bytes, beginning: bytes, status: int | None
) -> None:
    """Each costs us as much as a packet: a few such receivers would stop the whole server for seconds."""

    async def story() -> None:
        async def script(peer: Peer) -> None:
            await peer.request()
            await peer.say(beginning)
            while True:  # ends because the caller leaves
                await peer.say(crumb * 1000)

        async with receiver(script) as place, calling() as outgoing:
            if status is None:
                assert (await failure_of(outgoing, call_to(place.url))).kind is FailureKind.BROKEN
            else:
                answer = await outgoing.call(call_to(place.url))
                assert (answer.status, answer.is_truncated) == (status, True)
                assert len(answer.body) < 2_000
            await place.rest()

    run(story)


def test_a_big_answer_arrives_whole_however_it_is_cut(run: Run) -> None:
    async def story() -> None:
        body = bytes(range(256)) * 8192

        async def script(peer: Peer) -> None:
            await peer.request()
            await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
            for start in range(0, len(body), 99_991):
                await peer.say(body[start : start + 99_991])
            await peer.until_left()

        async with receiver(script) as place, calling() as outgoing:
            answer = await outgoing.call(call_to(place.url, answer_limit_bytes=len(body)))
        assert answer.body == body and not answer.is_truncated

    run(story)


def test_a_big_request_arrives_whole(run: Run) -> None:
    async def story() -> None:
        body = bytes(range(256)) * 8192
        seen: list[bytes] = []

        async def script(peer: Peer) -> None:
            seen.append(await peer.request())
            await peer.say(OK)

        async with receiver(script) as place, calling() as outgoing:
            assert (await outgoing.call(call_to(place.url, body=body))).status == 200
        assert seen[0].partition(b"\r\n\r\n")[2] == body

    run(story)


def test_an_answer_that_just_fits_is_whole_and_keeps_its_connection(run: Run) -> None:
    async def story() -> None:
        async with receiver(answering(OK, OK)) as place, calling() as outgoing:
            for _ in range(2):
                answer = await outgoing.call(call_to(place.url, answer_limit_bytes=2))
                assert (answer.body, answer.is_truncated) == (b"hi", False)
            assert place.connections == 1

    run(story)


def test_a_compressed_answer_is_not_blown_up(run: Run) -> None:
    async def story() -> None:
        bomb = gzip.compress(bytes(1 << 20))
        says = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
        async with receiver(answering(says + bomb)) as place, calling() as outgoing:
            assert (await outgoing.call(call_to(place.url))).body == bomb

    run(story)


def test_an_answer_that_comes_before_the_request_is_read_counts(run: Run) -> None:
    async def story() -> None:
        async def script(peer: Peer) -> None:
            await peer.reader.readuntil(b"\r\n\r\n")
            await peer.say(b"HTTP/1.1 413 Too much\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            await peer.until_left()

        async with receiver(script) as place, calling() as outgoing:
            assert (await outgoing.call(call_to(place.url, body=bytes(4 << 20)))).status == 413

    run(story)


@pytest.mark.parametrize(
    "says",
    [
        b"",
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nshor",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        b"SSH-2.0-OpenSSH_9.9 s3cret\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"s3cret" * 40_000,
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    ],
    ids=[
        "nothing",
        "half a line",
        "half a body",
        "no chunk",
        "another protocol",
        "no status",
        "endless head",
        "length",
    ],
)
def test_what_is_no_whole_http_answer_is_a_broken_one(run: Run, says: bytes) -> None:
    async def story() -> None:
        async with receiver(answering(says)) as place, calling() as outgoing:
            failed = await failure_of(outgoing, call_to(place.url + "?query", body=b"body!"))
            assert failed.kind is FailureKind.BROKEN
            assert not failed.kind.nothing_sent

    run(story)


def test_a_reset_connection_is_a_broken_answer(run: Run) -> None:
    async def story() -> None:
        async def script(peer: Peer) -> None:
            await peer.request()
            peer.reset()

        async with receiver(script) as place, calling() as outgoing:
            assert (await failure_of(outgoing, call_to(place.url))).kind is FailureKind.BROKEN

    run(story)


def test_the_status_of_a_half_answer_is_known(run: Run) -> None:
    async def story() -> None:
        says = b"HTTP/1.1 403 No\r\nContent-Length: 5\r\n\r\n"
        async with receiver(answering(says)) as place, calling() as outgoing:
            assert (await failure_of(outgoing, call_to(place.url))).status == 403

    run(story)


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        ("ftp://host.example/hook", ()),
        ("/hook", ()),
        ("http:///hook", ()),
        ("http://host.example:99999/hook", ()),
        ("http://user:s3cret/hook", ()),
        ("http://user:s3cret@[::1/hook", ()),
        ("http://host.example/hook\r\nX: y", ()),
        ("http://host.example/hook query", ()),
        ("http://hüst.example/hook", ()),
        ("http://host.example/hook", (("X-Bad", "a\r\ns3cret: b"),)),
        ("http://host.example/hook", (("X Bad", "s3cret"),)),
        ("http://host.example/hook", (("Content-Length", "1"),)),
        ("http://host.example/hook", (("host", "other.example"),)),
    ],
)
def test_what_cannot_be_sent_is_refused(run: Run, url: str, headers: tuple[tuple[str, str], ...]) -> None:
    async def story() -> None:
        async with receiver(answering()) as place:

            async def resolve(host: str, port: int) -> list[str]:
                return ["127.0.0.1"]

            async with calling(resolve=resolve) as outgoing:
                target = url.replace("host.example/", f"host.example:{place.port}/")
                failed = await failure_of(outgoing, call_to(target, headers=headers))
            assert failed.kind is FailureKind.BAD_REQUEST

    run(story)


def test_a_closed_caller_calls_nobody(run: Run) -> None:
    async def story() -> None:
        async with receiver(answering(OK)) as place:
            async with calling() as outgoing:
                await outgoing.call(call_to(place.url))
            with pytest.raises(RuntimeError):
                await outgoing.call(call_to(place.url))
            assert place.connections == 1

    run(story)


def test_closing_ends_calls_under_way(run: Run) -> None:
    async def story() -> None:
        asked = asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.request()
            asked.set()
            await peer.until_left()

        async with receiver(script) as place, calling(OPEN) as outgoing:
            call = asyncio.create_task(failure_of(outgoing, call_to(place.url, total_s=LONG_S)))
            await asked.wait()
            await outgoing.close()
            assert (await call).kind is FailureKind.BROKEN

    run(story)
