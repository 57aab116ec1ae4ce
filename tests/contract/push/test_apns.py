"""Apple's push service: what reaches it, what its answers mean, and that nothing is lost when it leaves."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tertulia.server.clock import ManualClock
from tertulia.server.domain.credentials import Secrets
from tertulia.server.push import apns
from tertulia.server.push.provider_tokens import PERIOD_S
from tertulia.server.push.service import Outcome, Push, Verdict
from tertulia.server.settings import OutgoingSettings, Settings
from tests.contract.push.apple import (
    BADGE,
    DEVICE,
    EXPIRES_AT_S,
    MESSAGE,
    NOTICE,
    apple,
    batch,
    by_certificate,
    by_device,
    by_token,
    credential,
    devices,
    registration_of,
)
from tests.peers.apns import TOPIC, ApnsPeer
from tests.peers.authority import ENDS, Authority

pytestmark = pytest.mark.node


@pytest.fixture
async def peer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ApnsPeer]:
    async with trusted(tmp_path, monkeypatch) as started:
        yield started


@contextlib.asynccontextmanager
async def trusted(folder: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> AsyncIterator[ApnsPeer]:
    async with ApnsPeer(folder, **options) as started:
        monkeypatch.setenv("SSL_CERT_FILE", str(started.ca_file))
        yield started


async def test_a_push_reaches_its_device_as_apple_wants_it(peer: ApnsPeer) -> None:
    async with apple(peer) as service:
        (outcome,) = await service.send(by_token(peer), batch(DEVICE))
    assert outcome == Outcome(registration_sid=registration_of(DEVICE), verdict=Verdict.SENT, answer="200")
    (seen,) = await peer.seen(1)
    assert seen["path"] == f"/3/device/{DEVICE}"
    headers = seen["headers"]
    assert headers[":method"] == "POST"
    assert headers["apns-topic"] == TOPIC
    assert headers["apns-push-type"] == "alert"
    assert headers["apns-priority"] == "10"
    assert headers["apns-expiration"] == str(EXPIRES_AT_S)
    assert "apns-collapse-id" not in headers
    assert seen["payload"] == {
        "aps": {"alert": {"title": "Tavern", "body": "tavern:ana: hello"}, "sound": "ding"},
        "twi_message_type": "twilio.conversations.new_message",
        "twi_message_id": NOTICE,
        "conversation_sid": MESSAGE.conversation_sid,
        "conversation_title": "The tavern",
        "author": "ana",
        "message_sid": MESSAGE.message_sid,
        "message_index": 6,
    }


@pytest.mark.parametrize("ago_s", [0, 3600])
async def test_what_need_not_be_kept_is_delivered_now_or_never(peer: ApnsPeer, ago_s: int) -> None:
    """Apple would throw away at once what has a time in the past."""
    clock = ManualClock(time.time_ns() // 1_000)
    async with apple(peer, clock) as service:
        now_s = clock.now() // 1_000_000
        (outcome,) = await service.send(by_token(peer), batch(DEVICE, expires_at_s=now_s - ago_s))
    assert outcome.verdict is Verdict.SENT
    (seen,) = await peer.seen(1)
    assert seen["headers"]["apns-expiration"] == "0"


async def test_a_badge_is_told_alone_and_in_no_hurry(peer: ApnsPeer) -> None:
    async with apple(peer) as service:
        outcomes = await service.send(by_token(peer), batch(*devices(3), content=BADGE, badges=lambda one: one))
    assert {outcome.verdict for outcome in outcomes} == {Verdict.SENT}
    seen = {one["token"]: one for one in await peer.seen(3)}
    for number, device in enumerate(devices(3)):
        assert seen[device]["payload"] == {"aps": {"badge": number}}
        assert (seen[device]["headers"]["apns-priority"], seen[device]["headers"]["apns-push-type"]) == ("5", "alert")


async def test_a_repeated_push_carries_the_same_id_and_no_other_does(peer: ApnsPeer) -> None:
    async with apple(peer) as service:
        for _ in range(2):
            await service.send(by_token(peer), batch(*devices(2)))
    seen = await peer.seen(4)
    ids = {device: {one["headers"]["apns-id"] for one in seen if one["token"] == device} for device in devices(2)}
    first, second = (found.pop() for found in ids.values() if len(found) == 1)
    assert first != second
    assert str(uuid.UUID(first)) == first


ANSWERS: list[tuple[dict[str, Any], Verdict, str, dict[str, Any]]] = [
    ({"status": 200}, Verdict.SENT, "200", {}),
    ({"status": 400, "reason": "BadDeviceToken"}, Verdict.GONE, "400 BadDeviceToken", {"is_alarming": True}),
    (
        {"status": 400, "reason": "DeviceTokenNotForTopic"},
        Verdict.GONE,
        "DeviceTokenNotForTopic",
        {"is_alarming": True},
    ),
    ({"status": 400, "reason": "PayloadEmpty"}, Verdict.FAILED, "400 PayloadEmpty", {}),
    ({"status": 400, "reason": "BadTopic"}, Verdict.FAILED, "topic", {"is_alarming": True}),
    ({"status": 400, "reason": "MissingTopic"}, Verdict.FAILED, "bundle id", {"is_alarming": True}),
    ({"status": 400, "reason": "TopicDisallowed"}, Verdict.FAILED, "topic", {"is_alarming": True}),
    ({"status": 403, "reason": "InvalidProviderToken"}, Verdict.FAILED, "key id", {"is_alarming": True}),
    ({"status": 403, "reason": "BadCertificateEnvironment"}, Verdict.FAILED, "sandbox", {"is_alarming": True}),
    ({"status": 403, "reason": "SomethingNew"}, Verdict.FAILED, "403 SomethingNew", {"is_alarming": True}),
    ({"status": 404, "reason": "BadPath"}, Verdict.FAILED, "404 BadPath", {}),
    ({"status": 405, "reason": "MethodNotAllowed"}, Verdict.FAILED, "405 MethodNotAllowed", {}),
    (
        {"status": 410, "reason": "Unregistered", "timestamp": 1_735_000_000_123},
        Verdict.GONE,
        "410 Unregistered",
        {"gone_since": 1_735_000_000_123_000},
    ),
    ({"status": 410, "reason": "ExpiredToken"}, Verdict.GONE, "410 ExpiredToken", {"gone_since": None}),
    ({"status": 410, "reason": "Unregistered", "timestamp": -5}, Verdict.GONE, "410", {"gone_since": None}),
    ({"status": 410, "reason": "Unregistered", "timestamp": 1e300}, Verdict.GONE, "410", {"gone_since": None}),
    ({"status": 413, "reason": "PayloadTooLarge"}, Verdict.FAILED, "413 PayloadTooLarge", {}),
    ({"status": 429, "reason": "TooManyRequests"}, Verdict.LATER, "429 TooManyRequests", {"after_s": None}),
    ({"status": 429, "reason": "TooManyRequests", "retry_after": 7}, Verdict.LATER, "429", {"after_s": 7.0}),
    ({"status": 429, "reason": "TooManyProviderTokenUpdates"}, Verdict.LATER, "429", {}),
    ({"status": 500, "reason": "InternalServerError"}, Verdict.LATER, "500 InternalServerError", {}),
    ({"status": 503, "reason": "Shutdown", "retry_after": 99_999}, Verdict.LATER, "503 Shutdown", {"after_s": 3600.0}),
    ({"status": 418, "reason": "Teapot"}, Verdict.FAILED, "418 Teapot", {}),
    ({"status": 302, "reason": ""}, Verdict.LATER, "302", {}),
    ({"status": 400, "raw": '{"reason": "<b>' + DEVICE + '</b>"}'}, Verdict.FAILED, "400", {}),
    ({"status": 400, "raw": "[" * 20_000}, Verdict.FAILED, "400", {}),
    ({"status": 408, "reason": "IdleTimeout"}, Verdict.LATER, "408 IdleTimeout", {}),
    ({"status": 410, "raw": '{"reason": 7, "timestamp": "x"}'}, Verdict.GONE, "410", {"gone_since": None}),
    ({"reset": True}, Verdict.LATER, "no answer (broken)", {}),
    ({"destroy": True}, Verdict.LATER, "no answer (broken)", {}),
]


async def test_each_answer_has_its_verdict(peer: ApnsPeer) -> None:
    async with apple(peer) as service:
        for answer, verdict, text, fields in ANSWERS:
            await peer.answer_with(DEVICE, answer)
            (outcome,) = await service.send(by_token(peer), batch(DEVICE))
            assert (outcome.verdict, text in outcome.answer) == (verdict, True), (answer, outcome)
            expected = {"is_alarming": False, **fields}
            assert {name: getattr(outcome, name) for name in expected} == expected, answer
            assert outcome.registration_sid == registration_of(DEVICE)
            assert DEVICE not in outcome.answer and "hello" not in outcome.answer
            assert len(outcome.answer) <= 200 and outcome.answer.isprintable()


async def test_what_is_no_device_token_is_not_sent(peer: ApnsPeer) -> None:
    wrong = ["", "zz" * 32, "abc", "ab/../cd", "ab" * 300, "é" * 32, "ab\r\nx: y"]
    async with apple(peer) as service:
        outcomes = by_device(await service.send(by_token(peer), batch(DEVICE, *wrong)))
    assert outcomes.pop(DEVICE).verdict is Verdict.SENT
    assert {(one.verdict, one.answer) for one in outcomes.values()} == {(Verdict.FAILED, "not a device token")}
    await peer.sync()
    assert len(peer.received) == 1


async def test_many_pushes_share_one_connection(peer: ApnsPeer) -> None:
    async with apple(peer) as service:
        batches = [devices(500)[start : start + 100] for start in range(0, 500, 100)]
        outcomes = await asyncio.gather(*(service.send(by_token(peer), batch(*one)) for one in batches))
    assert {one.verdict for found in outcomes for one in found} == {Verdict.SENT}
    assert sum(len(found) for found in outcomes) == 500
    seen = await peer.seen(500)
    assert {one["connection"] for one in seen} == {1}
    assert sorted(one["token"] for one in seen) == devices(500)


async def test_a_service_that_takes_one_push_at_a_time_gets_them_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with trusted(tmp_path, monkeypatch, max_streams=1) as peer, apple(peer) as service:
        outcomes = await service.send(by_token(peer), batch(*devices(100)))
        assert {one.verdict for one in outcomes} == {Verdict.SENT}


async def test_apple_may_leave_in_the_middle_of_a_burst(peer: ApnsPeer) -> None:
    for device in devices(300)[40::60]:
        await peer.answer_with(device, {"status": 200, "goaway": True}, {"status": 200})
    async with apple(peer) as service:
        outcomes = await service.send(by_token(peer), batch(*devices(300)))
    assert {one.answer for one in outcomes} == {"200"}
    assert len(outcomes) == 300
    await peer.sync()
    assert {one["token"] for one in peer.received} == set(devices(300))
    assert peer.connections > 1


async def test_a_connection_that_is_cut_leaves_the_rest_for_another_attempt(peer: ApnsPeer) -> None:
    await peer.answer_with(devices(50)[20], {"destroy": True}, {"status": 200})
    async with apple(peer) as service:
        outcomes = await service.send(by_token(peer), batch(*devices(50)))
        assert {one.verdict for one in outcomes} <= {Verdict.SENT, Verdict.LATER}
        left = [device for device, one in by_device(outcomes).items() if one.verdict is Verdict.LATER]
        assert left
        again = await service.send(by_token(peer), batch(*left))
        assert {one.verdict for one in again} == {Verdict.SENT}


async def test_slow_and_stalled_pushes_hold_up_no_others(peer: ApnsPeer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apns, "CALL_S", 0.4)
    stalled, slow, *others = devices(30)
    await peer.answer_with(stalled, {"stall": True})
    await peer.answer_with(slow, {"status": 200, "delay_ms": 100})
    async with apple(peer) as service:
        outcomes = by_device(await service.send(by_token(peer), batch(stalled, slow, *others)))
        assert outcomes.pop(stalled).answer in ("no answer (read_timeout)", "no answer (total_timeout)")
        assert {one.verdict for one in outcomes.values()} == {Verdict.SENT}
        await peer.sync()
        assert peer.withdrawn == [stalled]


async def test_a_service_that_answers_nobody_is_asked_by_one_batch_at_a_time(
    peer: ApnsPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apns, "CALL_S", 0.3)
    monkeypatch.setattr("tertulia.server.push.silences.FIRST_REST_S", 0.05)
    all_of_them = devices(150)
    await peer.answer_with("*", {"stall": True})
    async with apple(peer) as service:
        outcomes = await service.send(by_token(peer), batch(*all_of_them))
        assert {one.answer for one in outcomes} <= {"no answer (read_timeout)", "no answer (total_timeout)"}
        await peer.sync()
        assert len(peer.received) == apns.AT_ONCE
        for device in all_of_them:
            await peer.answer_with(device, {"status": 200})
        async with asyncio.timeout(30):
            while (outcomes := await service.send(by_token(peer), batch(*all_of_them)))[0].verdict is Verdict.LATER:
                assert {one.verdict for one in outcomes} == {Verdict.LATER}
        assert {one.verdict for one in outcomes} == {Verdict.SENT}


async def test_a_send_that_is_cancelled_leaves_nothing_behind(peer: ApnsPeer) -> None:
    await peer.answer_with("*", {"stall": True})
    async with apple(peer) as service:
        task = asyncio.create_task(service.send(by_token(peer), batch(*devices(20))))
        await peer.seen(20)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        while len(peer.withdrawn) < 20:
            await peer.sync()


async def test_without_a_connection_the_whole_batch_waits(peer: ApnsPeer) -> None:
    async with apple(None) as service:
        outcomes = await service.send(by_token(peer), batch(*devices(250)))
    assert {(one.verdict, one.answer) for one in outcomes} == {(Verdict.LATER, "no answer (connect_failed)")}
    assert len(outcomes) == 250


async def test_an_address_that_is_not_called_fails(peer: ApnsPeer) -> None:
    closed = Settings(outgoing=OutgoingSettings(allow_private=False))
    async with apple(peer, settings=closed) as service:
        (outcome,) = await service.send(by_token(peer), batch(DEVICE))
    assert (outcome.verdict, outcome.is_alarming) == (Verdict.FAILED, True)


async def test_the_sandbox_is_another_place(peer: ApnsPeer) -> None:
    async with apple(peer, sandbox=True) as service:
        (sent,) = await service.send(by_token(peer, sandbox=True), batch(DEVICE))
        (other,) = await service.send(by_token(peer, version=2), batch(DEVICE))
    assert (sent.verdict, other.verdict) == (Verdict.SENT, Verdict.LATER)


@pytest.mark.parametrize("given", ["in the certificate", "in the credential", "nowhere"])
async def test_a_certificate_proves_who_sends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    async with trusted(tmp_path, monkeypatch, asks_certificate=True) as peer:
        issued = peer.client_certificate(TOPIC if given == "in the certificate" else None)
        chosen = by_certificate(issued, TOPIC if given == "in the credential" else None)
        async with apple(peer) as service:
            (outcome,) = await service.send(chosen, batch(DEVICE))
        assert outcome.verdict is Verdict.SENT
        (seen,) = await peer.seen(1)
        assert seen["headers"].get("apns-topic") == (None if given == "nowhere" else TOPIC)
        assert "authorization" not in seen["headers"]


UNUSABLE = {
    "no PEM": Secrets(certificate="s3cret", private_key="s3cret"),
    "no key": Secrets(private_key="s3cret", key_id="K", team_id="T", topic="t"),
    "not enough": Secrets(private_key="s3cret"),
}


@pytest.mark.parametrize("case", UNUSABLE)
async def test_an_unusable_credential_says_what_to_mend_and_calls_nobody(peer: ApnsPeer, case: str) -> None:
    async with apple(peer) as service:
        outcomes = await service.send(credential(UNUSABLE[case]), batch(*devices(3)))
    assert [(one.verdict, one.is_alarming) for one in outcomes] == [(Verdict.FAILED, True)] * 3
    assert "credential" in outcomes[0].answer and "s3cret" not in outcomes[0].answer
    await peer.sync()
    assert peer.connections == 0


async def test_a_credential_that_apple_refuses_is_not_tried_for_each_device(peer: ApnsPeer) -> None:
    async with apple(peer) as service:
        wrong = by_token(peer, team_id="WRONG12345")
        outcomes = await service.send(wrong, batch(*devices(300)))
    assert {(one.verdict, one.is_alarming) for one in outcomes} == {(Verdict.FAILED, True)}
    assert len(outcomes) == 300
    await peer.sync()
    assert len(peer.received) <= apns.AT_ONCE


async def test_a_new_version_of_a_credential_gets_connections_of_its_own(peer: ApnsPeer) -> None:
    async with apple(peer) as service:
        await service.send(by_token(peer, key_id="OTHER12345"), batch(DEVICE))
        (outcome,) = await service.send(by_token(peer, version=2), batch(DEVICE))
    # Apple ties a connection to the first key that it sees there.
    assert outcome.verdict is Verdict.SENT


async def test_a_token_is_kept_and_renewed_in_time(peer: ApnsPeer) -> None:
    clock = ManualClock(time.time_ns() // 1_000)
    made: list[str] = []
    changed_at = 0
    async with apple(peer, clock) as service:
        for minutes in (0, 7, 12, 1, 7, 13, 11, 9, 30, 1, 19, 1, 59, 61, 5, 500):
            now = clock.advance(timedelta(minutes=minutes))
            await peer.set_clock(now / 1e6)
            (outcome,) = await service.send(by_token(peer), batch(DEVICE))
            assert outcome.verdict is Verdict.SENT, len(made)
            made.append((await peer.seen(len(made) + 1))[-1]["headers"]["authorization"])
            if made[-1] not in made[:-1]:
                # Apple counts from its first use, too.
                assert now - changed_at >= 20 * 60 * 1_000_000
                changed_at = now
    assert len(set(made)) >= 5


@pytest.mark.parametrize("minutes", [0, 1, 19, 24, 26, 49])
async def test_who_was_started_again_may_send_at_once(peer: ApnsPeer, minutes: int) -> None:
    clock = ManualClock(time.time_ns() // 1_000)
    for wait in (0, minutes, 0):
        now = clock.advance(timedelta(minutes=wait))
        await peer.set_clock(now / 1e6)
        async with apple(peer, clock) as service:
            (outcome,) = await service.send(by_token(peer), batch(DEVICE))
        assert (outcome.verdict, outcome.answer) == (Verdict.SENT, "200")


async def test_processes_with_one_key_use_the_same_token(peer: ApnsPeer) -> None:
    clock = ManualClock(time.time_ns() // 1_000)
    async with apple(peer, clock) as first, apple(peer, clock) as second:
        for service in (first, second, first, second):
            (outcome,) = await service.send(by_token(peer), batch(DEVICE))
            assert outcome.verdict is Verdict.SENT
    assert len({one["headers"]["authorization"] for one in await peer.seen(4)}) == 1


async def test_two_credentials_with_one_key_share_its_token(peer: ApnsPeer) -> None:
    async with apple(peer) as service:
        await service.send(by_token(peer), batch(DEVICE))
        (outcome,) = await service.send(by_token(peer, version=2), batch(DEVICE))
    assert outcome.verdict is Verdict.SENT
    assert len({one["headers"]["authorization"] for one in await peer.seen(2)}) == 1


async def test_a_token_that_apple_calls_expired_is_replaced_but_not_too_soon(peer: ApnsPeer) -> None:
    clock = ManualClock(time.time_ns() // 1_000)
    ahead_s = 61 * 60
    async with apple(peer, clock) as service:
        await peer.set_clock(clock.now() / 1e6 + ahead_s)  # one of the clocks is wrong
        (first,) = await service.send(by_token(peer), batch(DEVICE))
        assert (first.verdict, first.after_s, first.is_alarming) == (Verdict.LATER, 20 * 60, True)
        assert "clock" in first.answer
        clock.advance(timedelta(minutes=10))
        (second,) = await service.send(by_token(peer), batch(DEVICE))
        assert (second.verdict, second.after_s) == (Verdict.LATER, 10 * 60)
        now = clock.advance(timedelta(minutes=10))
        await peer.set_clock(now / 1e6)
        (third,) = await service.send(by_token(peer), batch(DEVICE))
        assert third.verdict is Verdict.SENT
    tokens = [one["headers"]["authorization"] for one in await peer.seen(3)]
    assert [tokens.index(token) for token in tokens] == [0, 0, 2]


async def test_an_old_token_that_apple_calls_expired_is_replaced_at_once(peer: ApnsPeer) -> None:
    now_s = int(time.time())
    clock = ManualClock((now_s - now_s % PERIOD_S) * 1_000_000)
    async with apple(peer, clock) as service:
        await peer.set_clock(clock.now() / 1e6)
        await service.send(by_token(peer), batch(DEVICE))
        now = clock.advance(timedelta(minutes=21))
        await peer.set_clock(now / 1e6 + 40 * 60)
        (refused,) = await service.send(by_token(peer), batch(DEVICE))
        assert (refused.verdict, refused.after_s, refused.is_alarming) == (Verdict.LATER, None, False)
        (sent,) = await service.send(by_token(peer), batch(DEVICE))
        assert sent.verdict is Verdict.SENT


async def test_after_close_nothing_is_sent_and_what_is_under_way_waits_for_another_attempt(peer: ApnsPeer) -> None:
    await peer.answer_with("*", {"stall": True})
    async with apple(peer) as service:
        task = asyncio.create_task(service.send(by_token(peer), batch(*devices(150))))
        await peer.seen(100)
        await service.close()
        assert {one.verdict for one in await task} == {Verdict.LATER}
        (outcome,) = await service.send(by_token(peer), batch(DEVICE))
        assert outcome.verdict is Verdict.LATER


async def test_a_certificate_that_ends_while_it_is_used_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = ManualClock(int(ENDS.timestamp()) * 1_000_000)
    async with trusted(tmp_path, monkeypatch, asks_certificate=True) as peer:
        chosen = by_certificate(peer.client_certificate())
        async with apple(peer, clock) as service:
            (sent,) = await service.send(chosen, batch(DEVICE))
            clock.advance(timedelta(seconds=1))
            (refused,) = await service.send(chosen, batch(DEVICE))
        assert len(await peer.seen(1)) == 1
    assert sent.verdict is Verdict.SENT
    assert (refused.verdict, refused.is_alarming) == (Verdict.FAILED, True)
    assert refused.answer == f"the certificate of the credential has expired on {ENDS:%Y-%m-%d}"


def test_a_credential_and_a_push_are_printed_without_their_secrets(tmp_path: Path) -> None:
    issued = Authority(tmp_path).issue(uid=TOPIC)
    push = Push(registration_sid="BS1", address=DEVICE)
    text = f"{by_certificate(issued)!r} {push!r} {MESSAGE!r}"
    assert [secret for secret in (issued.private_key[30:60], DEVICE, "hello") if secret in text] == []
