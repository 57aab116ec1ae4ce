"""Web Push against a push service that decrypts for real, and against one that answers as a script says."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from uuid import uuid4

import jwt
import msgspec
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric import ec

from tertulia.server.clock import ManualClock
from tertulia.server.domain.push_content import PushContent, PushKind
from tertulia.server.outgoing import Outgoing
from tertulia.server.push.payloads import data_of
from tertulia.server.push.service import Batch, Course, OpenCredential, Outcome, Push, Verdict
from tertulia.server.push.vapid import new_pair
from tertulia.server.push.webpush import AT_ONCE_PER_ORIGIN, AT_ONCE_TO_STRANGER, WebPush
from tertulia.server.settings import OutgoingSettings, PushSettings, Settings
from tertulia.wire import base64url
from tests.contract.outgoing.receivers import Peer, Script, answering, receiver
from tests.peers.webpush import WebPushPeer

from .browsers import Browser, credential

NOW_S = int(time.time())
"""The right time: the service that decrypts looks at its own clock."""
CLOCK = ManualClock(NOW_S * 1_000_000)
NOTICE = "RU" + "2" * 32
CONTENT = PushContent(
    kind=PushKind.NEW_MESSAGE,
    text="tavern:ana: Good evening, Käthe!",
    conversation_sid="CH" + "3" * 32,
    conversation_title="tavern",
    author="ana",
    message_sid="IM" + "4" * 32,
    message_index=7,
)
CREATED = b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"
NOBODY = "http://127.0.0.1:9/notify"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def peer() -> AsyncIterator[WebPushPeer]:
    async with WebPushPeer() as peer:
        yield peer


@pytest.fixture
async def outgoing() -> AsyncIterator[Outgoing]:
    outgoing = Outgoing(Settings(outgoing=OutgoingSettings(allow_private=True)))
    yield outgoing
    await outgoing.close()


def batch_of(*addresses: str, content: PushContent = CONTENT, expires_at_s: int = NOW_S + 3600) -> Batch:
    pushes = [Push(registration_sid=f"BS{number:032}", address=address) for number, address in enumerate(addresses)]
    return Batch(notice_sid=NOTICE, content=content, pushes=pushes, expires_at_s=expires_at_s)


async def send(
    outgoing: Outgoing, *addresses: str, by: OpenCredential | None = None, content: PushContent = CONTENT
) -> list[Outcome]:
    """The outcomes, in the order of the addresses. They hold nothing of what was sent."""
    service = WebPush(outgoing, CLOCK, PushSettings())
    try:
        outcomes = await service.send(by or credential(), batch_of(*addresses, content=content))
    finally:
        await service.close()
    outcomes.sort(key=lambda outcome: outcome.registration_sid)
    assert [outcome.registration_sid for outcome in outcomes] == [f"BS{n:032}" for n in range(len(addresses))]
    for outcome in outcomes:
        assert len(outcome.answer) <= 200 and outcome.answer.isprintable() and outcome.answer
        assert not any(word in outcome.answer for word in ("tavern", "ana", "127.0.0.1", "/notify"))
    return outcomes


class Recorded:
    """What a push service got in one request."""

    def __init__(self, request: bytes) -> None:
        head, _, self.body = request.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        self.first = first
        self.headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}


def recording(requests: list[Recorded], answer: bytes = CREATED) -> Script:
    async def script(peer: Peer) -> None:
        while True:
            requests.append(Recorded(await peer.request()))
            await peer.say(answer)

    return script


# --- the service that decrypts


@pytest.mark.node
@pytest.mark.asyncio(loop_scope="module")
async def test_a_browser_reads_what_it_is_told_until_it_is_gone(peer: WebPushPeer) -> None:
    given = credential()
    outgoing = Outgoing(Settings(outgoing=OutgoingSettings(allow_private=True)))
    browsers = [await peer.subscribe(given.secrets.public_key or "") for _ in range(3)]
    said = await send(outgoing, *browsers, by=given)
    assert [(one.verdict, one.answer) for one in said] == [(Verdict.SENT, "201")] * 3
    expected = {"data": data_of(CONTENT, NOTICE)}
    assert expected["data"]["twi_body"] == CONTENT.text and expected["data"]["twi_message_id"] == NOTICE
    for browser in browsers:
        assert await peer.received(browser) == [expected]

    await peer.expire(browsers[1])
    said = await send(outgoing, *browsers, by=given)
    assert [one.verdict for one in said] == [Verdict.SENT, Verdict.GONE, Verdict.SENT]
    assert said[1].answer == "410: the subscription has ended" and not said[1].is_alarming
    assert [len(await peer.received(browser)) for browser in browsers] == [2, 1, 2]
    await outgoing.close()


@pytest.mark.node
@pytest.mark.asyncio(loop_scope="module")
async def test_a_full_batch_reaches_everybody(peer: WebPushPeer) -> None:
    given = credential()
    outgoing = Outgoing(Settings(outgoing=OutgoingSettings(allow_private=True)))
    browsers = [await peer.subscribe(given.secrets.public_key or "") for _ in range(100)]
    said = await send(outgoing, *browsers, by=given)
    assert {one.verdict for one in said} == {Verdict.SENT}
    for browser in browsers:
        assert await peer.received(browser) == [{"data": data_of(CONTENT, NOTICE)}]
    await outgoing.close()


@pytest.mark.node
@pytest.mark.asyncio(loop_scope="module")
async def test_a_push_with_another_key_than_the_subscriptions_is_not_taken(peer: WebPushPeer) -> None:
    outgoing = Outgoing(Settings(outgoing=OutgoingSettings(allow_private=True)))
    browser = await peer.subscribe(new_pair()[0])
    (said,) = await send(outgoing, browser)
    assert said.verdict is Verdict.FAILED and await peer.received(browser) == []
    await outgoing.close()


PYWEBPUSH = """
import json, sys
from pywebpush import WebPushException, webpush
subscription, key, data = sys.stdin.read().split("\\0")
claims = {"sub": "mailto:ops@tertulia.test"}
headers = {"Content-Type": "application/octet-stream"}
try:
    answer = webpush(json.loads(subscription), data, vapid_private_key=key, vapid_claims=claims, headers=headers)
except WebPushException as failed:
    answer = failed.response
print(answer.status_code)
"""


@pytest.mark.node
@pytest.mark.asyncio(loop_scope="module")
async def test_another_library_is_answered_as_we_are(peer: WebPushPeer) -> None:
    public, private = new_pair()
    browser = await peer.subscribe(public)
    data = json.dumps({"data": {"twi_body": "from another library"}})

    async def theirs() -> str:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            PYWEBPUSH,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        said, complaints = await asyncio.wait_for(process.communicate(f"{browser}\0{private}\0{data}".encode()), 30)
        assert process.returncode == 0, complaints.decode()
        return said.decode().strip()

    assert await theirs() == "201"
    assert await peer.received(browser) == [json.loads(data)]
    await peer.expire(browser)
    assert await theirs() == "410"


# --- what is sent


async def test_the_request_is_as_push_services_want_it(outgoing: Outgoing) -> None:
    given, requests = credential(), list[Recorded]()
    async with receiver(recording(requests)) as place:
        browser = Browser(place.url + "/path?query")
        (said,) = await send(outgoing, browser.subscription, by=given)
        await outgoing.close()
    assert said.verdict is Verdict.SENT
    (request,) = requests
    assert request.first == "POST /hook/path?query HTTP/1.1"
    headers = request.headers
    assert (headers["ttl"], headers["urgency"]) == ("3600", "high")
    assert (headers["content-encoding"], headers["content-type"]) == ("aes128gcm", "application/octet-stream")
    assert "topic" not in headers
    token, _, key = headers["authorization"].removeprefix("vapid t=").partition(", k=")
    public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), base64url.decode(key))
    origin = place.url.removesuffix("/hook")
    assert jwt.decode(token, public, algorithms=["ES256"], audience=origin)["aud"] == origin
    assert browser.read(request.body) == {"data": data_of(CONTENT, NOTICE)}
    assert len(request.body) <= 4096 and CONTENT.text.encode() not in request.body


@pytest.mark.parametrize(
    ("expires_in_s", "kept_s", "ttl"), [(3600, 60, "60"), (60, 3600, "60"), (0, 3600, "0"), (-60, 3600, "0")]
)
async def test_a_push_is_kept_no_longer_than_it_is_wanted(
    outgoing: Outgoing, expires_in_s: int, kept_s: int, ttl: str
) -> None:
    requests: list[Recorded] = []
    async with receiver(recording(requests)) as place:
        batch = batch_of(Browser(place.url).subscription, expires_at_s=NOW_S + expires_in_s)
        await WebPush(outgoing, CLOCK, PushSettings(ttl_s=kept_s)).send(credential(), batch)
        await outgoing.close()
    assert [request.headers["ttl"] for request in requests] == [ttl]


async def test_each_body_is_for_one_browser_and_never_the_same(outgoing: Outgoing) -> None:
    requests: list[Recorded] = []
    async with receiver(recording(requests)) as place:
        ana, ben = Browser(place.url + "/ana"), Browser(place.url + "/ben")
        await send(outgoing, ana.subscription, ben.subscription, ana.subscription)
        await outgoing.close()
    for request in requests:
        reader, other = (ana, ben) if "/ana" in request.first else (ben, ana)
        assert reader.read(request.body)["data"]["twi_message_id"] == NOTICE
        with pytest.raises(Exception, match="Decryption"):
            other.read(request.body)
    bodies = [request.body for request in requests]
    assert len({body[:16] for body in bodies}) == len({body[21:86] for body in bodies}) == 3  # salts, keys


async def test_the_longest_content_fits_into_what_every_service_takes(outgoing: Outgoing) -> None:
    media = json.dumps({"sid": "ME" + "5" * 32, "filename": "🎈" * 250, "content_type": "image/png", "size": 1 << 40})
    content = msgspec.structs.replace(
        CONTENT, text="🎈" * 178, title="🎈" * 256, conversation_title="🎈" * 256, author="🎈" * 256, media=media
    )
    requests: list[Recorded] = []
    async with receiver(recording(requests)) as place:
        browser = Browser(place.url)
        (said,) = await send(outgoing, browser.subscription, content=content)
        await outgoing.close()
    assert said.verdict is Verdict.SENT and len(requests[0].body) <= 4096
    data = browser.read(requests[0].body)["data"]
    assert "media" not in data
    assert (data["twi_body"], data["message_sid"]) == (content.text, content.message_sid)


async def test_a_badge_alone_goes_to_no_browser(outgoing: Outgoing) -> None:
    badge = PushContent(kind=PushKind.BADGE)
    (said,) = await send(outgoing, Browser(NOBODY).subscription, content=badge)
    assert (said.verdict, said.is_alarming) == (Verdict.SENT, False)


# --- what is answered


def gmt(after_s: int) -> str:
    return format_datetime(datetime.fromtimestamp(NOW_S + after_s, UTC), usegmt=True)


@pytest.mark.parametrize(
    ("answer", "verdict", "says", "after_s"),
    [
        ("200 OK", Verdict.SENT, "200", None),
        ("201 Created", Verdict.SENT, "201", None),
        ("202 Accepted", Verdict.SENT, "202", None),
        ("204 No Content", Verdict.SENT, "204", None),
        ("404 Not Found", Verdict.GONE, "404: the subscription has ended", None),
        ("410 Gone", Verdict.GONE, "410: the subscription has ended", None),
        ('410 Gone|{"reason":"Unregistered"}', Verdict.GONE, "410 Unregistered: the subscription has ended", None),
        ("400 Bad Request", Verdict.FAILED, "400", None),
        ('400 Bad|{"reason":"BadWebPushTopic"}', Verdict.FAILED, "400 BadWebPushTopic", None),
        ('400 Bad|{"reason":"with spaces, tavern"}', Verdict.FAILED, "400", None),
        ('400 Bad|{"reason":7}', Verdict.FAILED, "400", None),
        ("405 Method Not Allowed", Verdict.FAILED, "405", None),
        ("408 Request Timeout", Verdict.LATER, "408", None),
        ("413 Content Too Large", Verdict.FAILED, "413: too large for this push service", None),
        ("429 Too Many Requests", Verdict.LATER, "429", None),
        ("429 Too Many Requests\r\nRetry-After: 120", Verdict.LATER, "429", 120.0),
        pytest.param(
            f"429 Too Many Requests\r\nRetry-After: {gmt(90)}", Verdict.LATER, "429", 90.0, id="a time to come"
        ),
        pytest.param(f"503 Unavailable\r\nRetry-After: {gmt(-90)}", Verdict.LATER, "503", 0.0, id="a time gone by"),
        ("503 Unavailable\r\nRetry-After: 999999999", Verdict.LATER, "503", 3600.0),
        ("503 Unavailable\r\nRetry-After: soon", Verdict.LATER, "503", None),
        ("500 Internal Server Error", Verdict.LATER, "500", None),
        ("502 Bad Gateway|<html>tavern</html>", Verdict.LATER, "502", None),
        ("307 Temporary Redirect\r\nLocation: http://127.0.0.1/", Verdict.LATER, "307", None),
    ],
)
async def test_what_an_answer_means(
    outgoing: Outgoing, answer: str, verdict: Verdict, says: str, after_s: float | None
) -> None:
    head, _, body = answer.partition("|")
    raw = f"HTTP/1.1 {head}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
    if head.startswith("204"):
        raw = b"HTTP/1.1 204 No Content\r\n\r\n"
    async with receiver(answering(raw)) as place:
        (said,) = await send(outgoing, Browser(place.url).subscription)
        await outgoing.close()
    assert (said.verdict, said.answer, said.after_s) == (verdict, says, after_s)
    assert (said.is_alarming, said.gone_since) == (False, None)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ("401 Unauthorized", "401: "),
        ("403 Forbidden", "403: "),
        ('403 No|{"reason":"BadJwtToken"}', "403 BadJwtToken: "),
    ],
)
async def test_a_credential_that_several_services_refuse_is_to_be_mended(
    outgoing: Outgoing, answer: str, says: str, caplog: pytest.LogCaptureFixture
) -> None:
    """One may be anybody's, who refuses whatever it gets."""
    head, _, body = answer.partition("|")
    raw = f"HTTP/1.1 {head}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
    service, given = WebPush(outgoing, CLOCK, PushSettings()), credential()
    async with receiver(answering(raw)) as one, receiver(answering(raw)) as other:
        first = await service.send(given, batch_of(*[Browser(one.url).subscription] * 3))
        (second,) = await service.send(given, batch_of(Browser(other.url).subscription))
        (third,) = await service.send(given, batch_of(Browser(one.url).subscription))
        (changed,) = await service.send(
            msgspec.structs.replace(given, updated_at=2), batch_of(Browser(one.url).subscription)
        )
        await outgoing.close()
    assert [said.is_alarming for said in (*first, second, third, changed)] == [False] * 3 + [True, True, False]
    for said in (*first, second, third):
        assert said.verdict is Verdict.FAILED
        assert said.answer.startswith(says) and "key pair or the subject" in said.answer
    assert [record.levelname for record in caplog.records if record.levelno > logging.DEBUG] == []


async def test_a_credential_that_one_service_takes_is_not_alarming_whoever_refuses_it(outgoing: Outgoing) -> None:
    refusing = answering(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
    service, given = WebPush(outgoing, CLOCK, PushSettings()), credential()
    async with receiver(refusing) as one, receiver(refusing) as other, receiver(answering(CREATED)) as good:
        for place in (good, one, other):
            (said,) = await service.send(given, batch_of(Browser(place.url).subscription))
            assert not said.is_alarming
        await outgoing.close()


@pytest.mark.parametrize(
    ("answer", "verdict", "says"),
    [
        (b"", Verdict.LATER, "no answer (broken)"),
        (b"not HTTP\r\n\r\n", Verdict.LATER, "no answer (broken)"),
        (b"HTTP/1.1 201 Created\r\nContent-Length: 9\r\n\r\nhalf", Verdict.SENT, "201"),
        (b"HTTP/1.1 410 Gone\r\nContent-Length: 9\r\n\r\nhalf", Verdict.GONE, "410: the subscription has ended"),
    ],
)
async def test_an_answer_counts_once_its_status_is_there(
    outgoing: Outgoing, answer: bytes, verdict: Verdict, says: str
) -> None:
    async with receiver(answering(answer)) as place:
        (said,) = await send(outgoing, Browser(place.url).subscription)
        await outgoing.close()
    assert (said.verdict, said.answer) == (verdict, says)


# --- what cannot be sent


async def test_one_that_is_no_subscription_stops_nobody_else(outgoing: Outgoing) -> None:
    requests: list[Recorded] = []
    async with receiver(recording(requests)) as place:
        browser = Browser(place.url)
        plain = Browser("http://push.example.net/notify").subscription
        said = await send(outgoing, "device token", browser.subscription, plain)
        await outgoing.close()
    assert [one.verdict for one in said] == [Verdict.FAILED, Verdict.SENT, Verdict.FAILED]
    assert all(one.answer.startswith("not a subscription: ") for one in (said[0], said[2]))
    assert len(requests) == 1 and not any(one.is_alarming for one in said)


@pytest.mark.parametrize(
    "changed", [{"public_key": "public point"}, {"private_key": "scalar"}, {"subject": "ops"}, {"private_key": ""}]
)
async def test_an_unusable_credential_calls_nobody(outgoing: Outgoing, changed: dict[str, str]) -> None:
    async with receiver(answering()) as place:
        said = await send(outgoing, *[Browser(place.url).subscription] * 2, by=credential(**changed))  # type: ignore[arg-type]
        assert place.connections == 0
    for one in said:
        assert (one.verdict, one.is_alarming) == (Verdict.FAILED, True)
        assert next(iter(changed)).replace("_", " ") in one.answer


@pytest.mark.parametrize("allow_private", [True, False])
async def test_a_browser_leads_us_to_no_address_that_we_do_not_call(allow_private: bool) -> None:
    metadata = "169.254.169.254"

    async def resolve(host: str, port: int) -> list[str]:
        return [metadata]

    outgoing = Outgoing(Settings(outgoing=OutgoingSettings(allow_private=allow_private)), resolve=resolve)
    inside = ["https://push.example.net/a", f"https://{metadata}/a"] + ([] if allow_private else ["https://10.0.0.1/a"])
    said = await send(outgoing, *[Browser(endpoint).subscription for endpoint in inside])
    for one in said:
        assert (one.verdict, one.after_s) == (Verdict.FAILED, None)
        assert one.answer == "the endpoint of the subscription is at an address that is not called"
    await outgoing.close()


async def test_a_service_on_this_machine_is_called_only_where_that_is_allowed() -> None:
    outgoing = Outgoing(Settings(outgoing=OutgoingSettings(allow_private=False)))
    async with receiver(answering()) as place:
        (said,) = await send(outgoing, Browser(place.url).subscription)
        assert (said.verdict, place.connections) == (Verdict.FAILED, 0)
    await outgoing.close()


async def test_a_service_that_cannot_be_reached_is_not_asked_for_each_device() -> None:
    asked: list[str] = []

    async def resolve(host: str, port: int) -> list[str]:
        if host == "127.0.0.1":
            return [host]
        asked.append(host)
        await asyncio.sleep(0.01)
        raise OSError("no such host")

    outgoing = Outgoing(Settings(outgoing=OutgoingSettings(allow_private=True)), resolve=resolve)
    endpoint = f"https://push.{uuid4().hex}.test/"
    async with receiver(answering(CREATED)) as place:
        browsers = [Browser(f"{endpoint}{number}").subscription for number in range(60)]
        said = await send(outgoing, *browsers, Browser(place.url).subscription)
        await outgoing.close()
    assert {(one.verdict, one.answer) for one in said[:-1]} == {(Verdict.LATER, "no answer (unresolvable)")}
    assert 0 < len(asked) <= AT_ONCE_PER_ORIGIN
    assert said[-1].verdict is Verdict.SENT


async def test_a_service_that_is_silent_is_given_up_in_time(
    outgoing: Outgoing, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent(peer: Peer) -> None:
        await peer.request()
        await peer.until_left()

    monkeypatch.setattr("tertulia.server.push.webpush.CALL_S", 0.1)
    async with receiver(silent) as place:
        (said,) = await send(outgoing, Browser(place.url).subscription)
    assert (said.verdict, said.answer) == (Verdict.LATER, "no answer (total_timeout)")
    monkeypatch.setattr("tertulia.server.push.webpush.CALL_S", 10.0)
    monkeypatch.setattr("tertulia.server.push.webpush.BATCH_S", 0.1)
    async with receiver(silent) as place:
        said, *others = await send(outgoing, *[Browser(place.url).subscription] * 20)
    assert {one.verdict for one in (said, *others)} == {Verdict.LATER}
    assert [one.answer for one in others].count("no answer yet when this attempt ended") == AT_ONCE_TO_STRANGER - 1
    assert said.answer == "no answer yet when this attempt ended"
    assert others[-1].answer == "no time left in this attempt"


async def test_a_service_that_is_silent_holds_up_one_batch_and_nobody_else(
    outgoing: Outgoing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever names such a one to his browser would stop everybody's notifications with it."""
    is_back = False
    asked = 0

    async def silent(peer: Peer) -> None:
        nonlocal asked
        while True:
            await peer.request()
            asked += 1
            if not is_back:
                await peer.until_left()
            await peer.say(CREATED)

    monkeypatch.setattr("tertulia.server.push.webpush.CALL_S", 0.2)
    monkeypatch.setattr("tertulia.server.push.silences.FIRST_REST_S", 0.05)
    service, given = WebPush(outgoing, CLOCK, PushSettings()), credential()
    async with receiver(silent) as place, receiver(answering(CREATED)) as good:
        hostile = [Browser(place.url).subscription] * 40
        first = await service.send(given, batch_of(*hostile, Browser(good.url).subscription))
        assert [one.verdict for one in first].count(Verdict.SENT) == 1
        assert {one.answer for one in first} == {"201", "no answer (total_timeout)"}
        assert asked == AT_ONCE_TO_STRANGER
        monkeypatch.setattr("tertulia.server.push.webpush.CALL_S", 10.0)
        is_back = True
        async with asyncio.timeout(30):
            while (again := await service.send(given, batch_of(*hostile)))[0].verdict is Verdict.LATER:
                assert {(one.verdict, one.answer) for one in again} == {(Verdict.LATER, "no answer (total_timeout)")}
                assert asked == AT_ONCE_TO_STRANGER, "nobody asked"
        assert {one.verdict for one in again} == {Verdict.SENT}
    await service.close()


async def test_pushes_do_not_wait_in_turn_for_a_service_that_lets_others_wait(
    outgoing: Outgoing, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent(peer: Peer) -> None:
        await peer.request()
        await peer.until_left()

    monkeypatch.setattr("tertulia.server.push.webpush.PROMPT_S", 0.05)
    monkeypatch.setattr("tertulia.server.push.silences.PROMPT_S", 0.05)
    service, given = WebPush(outgoing, CLOCK, PushSettings()), credential()
    async with receiver(silent) as place, receiver(answering(CREATED)) as good:
        course = Course()
        told = batch_of(*[Browser(place.url).subscription] * 20, Browser(good.url).subscription)
        sending = asyncio.create_task(service.send(given, told, course))
        async with asyncio.timeout(30):
            while len(course.known) < 21 - AT_ONCE_TO_STRANGER:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert {one.answer for one in course.known.values()} == {
            "201",
            "not asked: its push service lets others wait for an answer",
        }
        assert len(course.asked - course.known.keys()) == AT_ONCE_TO_STRANGER == place.connections
        (other,) = await service.send(given, batch_of(Browser(good.url).subscription))
        assert other.verdict is Verdict.SENT
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
    await service.close()


async def test_a_batch_that_is_cancelled_leaves_nothing_behind(outgoing: Outgoing) -> None:
    async def silent(peer: Peer) -> None:
        await peer.request()
        await peer.until_left()

    before = asyncio.all_tasks()
    async with receiver(silent) as place:  # which ends when its callers have left
        sending = asyncio.create_task(send(outgoing, *[Browser(place.url).subscription] * 5))
        await place.connected(AT_ONCE_TO_STRANGER)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
    assert asyncio.all_tasks() <= before


async def test_a_service_that_is_closed_calls_nobody(outgoing: Outgoing) -> None:
    service = WebPush(outgoing, CLOCK, PushSettings())
    async with receiver(answering(CREATED)) as place:
        await service.close()
        await outgoing.close()
        (said,) = await service.send(credential(), batch_of(Browser(place.url).subscription))
        assert (said.verdict, place.connections) == (Verdict.LATER, 0)


async def test_nothing_that_is_sent_shows(outgoing: Outgoing, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    given: Any = credential()
    async with receiver(answering(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")) as place:
        browser = Browser(place.url + "/capability")
        await send(outgoing, browser.subscription, "x", by=given)
        await outgoing.close()
    for secret in ("capability", browser.keys["auth"], given.secrets.private_key, CONTENT.text):
        assert secret not in caplog.text
