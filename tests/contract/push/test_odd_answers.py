"""Answers that are no answers, and errors of ours: each is its own push's, and no other's."""

from __future__ import annotations

import base64
import contextlib
import logging
from collections.abc import AsyncIterator, Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tertulia.server.clock import ManualClock
from tertulia.server.domain.credentials import CredentialKind, Secrets
from tertulia.server.outgoing import Outgoing
from tertulia.server.push.apns import Apns
from tertulia.server.push.service import Batch, OpenCredential, Outcome, Push, Verdict
from tertulia.server.push.services import PushServices
from tertulia.server.push.webpush import WebPush
from tertulia.server.settings import PushSettings
from tests.contract.outgoing.lines import Line, speaking
from tests.contract.outgoing.receivers import answering, calling, receiver
from tests.contract.push import apple, browsers, sending
from tests.contract.push.browsers import Browser
from tests.peers.fcm import FcmPeer

NOT_UTF_8 = b'{"reason":"\xff\xfe","error":"\xff"}'
DEEP = b'{"reason":' + b"[" * 5_000
DEEP_ELSEWHERE = b'{"x":' + b"[" * 5_000 + b"]" * 5_000 + b"}"
LONE_HALF = b'{"reason":"\\ud800","error":{"status":"\\udc00","message":"\\ud800"}}'
BODIES = {"not UTF-8": NOT_UTF_8, "deep": DEEP, "deep elsewhere": DEEP_ELSEWHERE, "half a character": LONE_HALF}


def http(status: int, body: bytes) -> bytes:
    return f"HTTP/1.1 {status} Odd\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def batch(*addresses: str) -> Batch:
    pushes = [Push(registration_sid=f"BS{number}", address=address) for number, address in enumerate(addresses)]
    return Batch(notice_sid="RU1", content=sending.MESSAGE, pushes=pushes, expires_at_s=4_102_444_800)


def in_order(outcomes: list[Outcome]) -> list[tuple[Verdict, str]]:
    found = sorted(outcomes, key=lambda outcome: outcome.registration_sid)
    return [(one.verdict, one.answer) for one in found]


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize(("status", "verdict"), [(201, Verdict.SENT), (400, Verdict.FAILED), (500, Verdict.LATER)])
async def test_an_odd_body_of_a_browsers_service_is_no_body(status: int, verdict: Verdict, body: bytes) -> None:
    odd_answer, answer = answering(http(status, body)), answering(http(201, b""))
    async with calling() as outgoing, receiver(odd_answer) as odd, receiver(answer) as good:
        told = batch(Browser(odd.url).subscription, Browser(good.url).subscription)
        outcomes = await WebPush(outgoing, ManualClock(), PushSettings()).send(browsers.credential(), told)
        await outgoing.close()
    assert in_order(outcomes) == [(verdict, str(status)), (Verdict.SENT, "201")]


async def said_by_google(answer: bytes) -> list[Outcome]:
    """What becomes of a push that is answered so."""
    async with contextlib.AsyncExitStack() as stack:
        clock = ManualClock()
        peer = await stack.enter_async_context(FcmPeer(now=lambda: clock.now() / 1e6))
        place = await stack.enter_async_context(receiver(answering(answer)))
        url = f"http://127.0.0.1:{place.port}"
        service = await stack.enter_async_context(sending.google(peer, clock, url=url))
        return await service.send(sending.credential(peer.service_account()), sending.batch("phone"))


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize(("status", "verdict"), [(200, Verdict.SENT), (400, Verdict.FAILED), (500, Verdict.LATER)])
async def test_an_odd_body_of_googles_is_no_body(status: int, verdict: Verdict, body: bytes) -> None:
    assert in_order(await said_by_google(http(status, body))) == [(verdict, str(status))]


async def test_an_odd_detail_of_googles_leaves_the_others_readable() -> None:
    details = b'{"errorCode":"\xff"},{"reason":' + b"[" * 100 + b"]" * 100 + b'},{"errorCode":"UNREGISTERED"}'
    body = b'{"error":{"status":"NOT_FOUND","details":[' + details + b"]}}"
    assert in_order(await said_by_google(http(404, body))) == [(Verdict.GONE, "404 UNREGISTERED")]


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize(("status", "verdict"), [(400, Verdict.LATER), (200, Verdict.FAILED)])
async def test_an_odd_body_where_tokens_are_given_is_no_body(status: int, verdict: Verdict, body: bytes) -> None:
    async with FcmPeer() as peer, receiver(answering(http(status, body))) as odd, sending.google(peer) as service:
        account = peer.service_account(token_uri=odd.url)
        (outcome,) = await service.send(sending.credential(account), sending.batch("phone"))
    assert outcome.verdict is verdict
    assert outcome.answer.startswith("no access token: ")


def token_key() -> OpenCredential:
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return apple.credential(Secrets(private_key=pem, key_id="K", team_id="T", topic="com.example.app"))


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize(("status", "verdict"), [(200, Verdict.SENT), (400, Verdict.FAILED), (410, Verdict.GONE)])
async def test_an_odd_body_of_apples_is_no_body(status: int, verdict: Verdict, body: bytes) -> None:
    odd, good = "ab" * 32, "cd" * 32

    async def apples(line: Line) -> None:
        for _ in range(2):
            request = await line.request()
            is_odd = request.headers[":path"].endswith(odd)
            await line.answer(request.stream_id, status if is_odd else 200, body if is_odd else b"")
        await line.until_left()

    async with receiver(speaking(apples)) as place, calling() as outgoing:
        service = Apns(outgoing, ManualClock(), PushSettings(apns_url=f"http://127.0.0.1:{place.port}"))
        outcomes = await service.send(token_key(), batch(odd, good))
        await service.close()
    assert in_order(outcomes) == [(verdict, str(status)), (Verdict.SENT, "200")]


# --- errors of ours


class Broken(Exception):
    """What nobody has thought of."""


@contextlib.asynccontextmanager
async def breaking() -> AsyncIterator[Outgoing]:
    """Calls that fail for one host as no call ever should."""

    async def resolve(host: str, port: int) -> list[str]:
        if host == "odd.example":
            raise Broken("s3cret")
        return [host]

    async with calling(resolve=resolve) as outgoing:
        yield outgoing


async def test_an_error_of_ours_is_one_pushs_and_logged_without_what_it_says(caplog: pytest.LogCaptureFixture) -> None:
    async with breaking() as outgoing, receiver(answering(http(201, b""))) as good:
        told = batch(Browser("https://odd.example/s3cret").subscription, Browser(good.url).subscription)
        outcomes = await WebPush(outgoing, ManualClock(), PushSettings()).send(browsers.credential(), told)
        await outgoing.close()
    assert in_order(outcomes) == [
        (Verdict.LATER, "not sent: an error of this server, which is in its log"),
        (Verdict.SENT, "201"),
    ]
    (record,) = [one for one in caplog.records if one.levelno >= logging.ERROR]
    facts = record.__dict__["facts"]
    assert record.getMessage() == "push.unexpected"
    assert (facts["registration"], facts["error"]) == ("BS0", "Broken")
    assert "s3cret" not in f"{facts} {caplog.text}"


async def test_an_error_of_ours_before_anybody_is_told_is_no_exception_either(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Stopped(ManualClock):
        def now(self) -> int:
            raise Broken("s3cret")

    async with calling() as outgoing:
        services = PushServices(outgoing, Stopped(), PushSettings())
        outcomes = await services.of(CredentialKind.WEBPUSH).send(browsers.credential(), batch("one", "two"))
        await services.close()
    assert {one.verdict for one in outcomes} == {Verdict.LATER} and len(outcomes) == 2
    assert "push.unexpected" in caplog.text and "s3cret" not in caplog.text


# --- keys that are a burden


def rsa_pem(bits: int, label: str = "RSA PRIVATE KEY") -> str:
    """The shape of a key, of numbers that were never tested: to make a real one takes longer than to read it."""

    def number(value: int) -> bytes:
        data = value.to_bytes(value.bit_length() // 8 + 1)
        return wrapped(2, data)

    def wrapped(kind: int, data: bytes) -> bytes:
        size = len(data)
        length = bytes((size,)) if size < 128 else b"\x82" + size.to_bytes(2)
        return bytes((kind,)) + length + data

    half = 1 << (bits // 2 - 1)
    numbers = (0, half * half * 2 + 1, 65537, half * half + 1, half + 1, half + 3, half + 5, half + 7, half + 9)
    der = wrapped(0x30, b"".join(map(number, numbers)))
    if label == "PRIVATE KEY":
        named = wrapped(0x30, bytes.fromhex("06092a864886f70d0101010500"))
        der = wrapped(0x30, number(0) + named + wrapped(4, der))
    text = base64.encodebytes(der).decode()
    return f"-----BEGIN {label}-----\n{text}-----END {label}-----\n"


def of_google(pem: str) -> Secrets:
    return Secrets(secret=FcmPeer().service_account(private_key=pem, token_uri="http://x"))


def of_apple(pem: str) -> Secrets:
    return Secrets(certificate="x", private_key=pem)


@pytest.mark.parametrize("label", ["RSA PRIVATE KEY", "PRIVATE KEY"])
@pytest.mark.parametrize(
    ("kind", "secrets"),
    [
        (CredentialKind.FCM, of_google),
        (CredentialKind.APN, of_apple),
    ],
    ids=["Google", "Apple"],
)
async def test_a_key_that_would_hold_the_server_up_is_not_read(
    kind: CredentialKind, secrets: Callable[[str], Secrets], label: str
) -> None:
    found = OpenCredential(
        sid="CR1", account_sid="AC1", kind=kind, sandbox=False, secrets=secrets(rsa_pem(8192, label)), updated_at=1
    )
    async with calling() as outgoing:
        services = PushServices(outgoing, ManualClock(), PushSettings())
        outcomes = await services.of(kind).send(found, batch("ab" * 32))
        await services.close()
    assert [(one.verdict, one.is_alarming) for one in outcomes] == [(Verdict.FAILED, True)]
    assert outcomes[0].answer.endswith(" has more than 4096 bits")
