"""Google's push service: what devices are sent, and what its answers mean."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

import msgspec
import pytest

from tertulia.server.clock import ManualClock
from tertulia.server.domain.credentials import CredentialKind
from tertulia.server.domain.push_content import PushContent, PushKind
from tertulia.server.push import fcm
from tertulia.server.push.service import Outcome, Verdict
from tertulia.server.settings import Settings
from tests.contract.outgoing.receivers import answering, receiver
from tests.contract.push.sending import (
    MESSAGE,
    NOTICE,
    OPEN,
    batch,
    by_device,
    credential,
    google,
    registration_of,
)
from tests.peers.fcm import (
    ANOTHER_SENDER,
    API_IS_OFF,
    BAD_TOKEN_FIELD,
    INTERNAL,
    NO_APPLE_KEY,
    NO_SUCH_TOKEN,
    NOT_ALLOWED,
    PROJECT,
    RESERVED,
    STALLED,
    TAKEN,
    UNAVAILABLE,
    UNREGISTERED,
    FcmPeer,
    Reply,
    error,
    quota_exceeded,
)

DEVICE = "dQw4:APA91b-device_token"
NOON = "Wed, 01 Jan 2025 00:02:00 GMT"
"""Two minutes after the clock of the tests begins."""


def peer_now(clock: ManualClock) -> FcmPeer:
    """A peer with the same clock."""
    return FcmPeer(now=lambda: clock.now() / 1e6)


async def said_of(*replies: Reply) -> Outcome:
    """What becomes of a push that is answered so."""
    clock = ManualClock()
    async with peer_now(clock) as peer, google(peer, clock) as service:
        peer.answer_with(DEVICE, *replies)
        (outcome,) = await service.send(credential(peer.service_account()), batch(DEVICE))
    return outcome


async def test_a_device_is_sent_the_data_that_the_sdk_reads() -> None:
    clock = ManualClock()
    async with peer_now(clock) as peer, google(peer, clock) as service:
        outcomes = await service.send(credential(peer.service_account()), batch(DEVICE))

    assert outcomes == [Outcome(registration_sid=registration_of(DEVICE), verdict=Verdict.SENT, answer="200")]
    (received,) = peer.received
    assert received.message.keys() == {"token", "data", "android"}
    assert received.token == DEVICE
    assert received.message["android"] == {"priority": "HIGH", "ttl": "86400s"}
    data = received.message["data"]
    assert data["twi_message_type"] == "twilio.conversations.new_message"
    assert data["twi_message_id"] == NOTICE
    assert (data["twi_body"], data["author"], data["message_index"]) == ("tavern:ana: hello", "ana", "6")


@pytest.mark.parametrize("kind", [PushKind.NEW_MESSAGE, PushKind.ADDED, PushKind.REMOVED, PushKind.TEST])
async def test_what_is_sent_is_within_googles_bounds(kind: PushKind) -> None:
    """The peer refuses values that are no strings, reserved keys and too much of it all, as Google does."""
    content = msgspec.structs.replace(
        MESSAGE, kind=kind, text="ü" * 178, conversation_title="t" * 3000, media_count=1, media="m" * 3000
    )
    clock = ManualClock()
    async with peer_now(clock) as peer, google(peer, clock) as service:
        (outcome,) = await service.send(credential(peer.service_account()), batch(DEVICE, content=content))
    assert outcome.verdict is Verdict.SENT
    assert [name for name in peer.received[0].message["data"] if RESERVED.fullmatch(name)] == []


@pytest.mark.parametrize(
    ("left_s", "ttl"),
    [(86_400, "86400s"), (10, "10s"), (0, "0s"), (-10, "0s"), (60 * 86_400, "2419200s")],
    ids=["a day", "seconds", "just now", "too late", "longer than Google allows"],
)
async def test_google_keeps_a_push_until_it_expires(left_s: int, ttl: str) -> None:
    clock = ManualClock()
    expires = clock.now() // 1_000_000 + left_s
    async with peer_now(clock) as peer, google(peer, clock) as service:
        await service.send(credential(peer.service_account()), batch(DEVICE, expires_at_s=expires))
    assert peer.received[0].message["android"]["ttl"] == ttl


VERDICTS = {
    "taken": (TAKEN, Verdict.SENT, "200", None, False),
    "unregistered": (UNREGISTERED, Verdict.GONE, "404 UNREGISTERED", None, False),
    "no such project": (
        error(404, "NOT_FOUND", "Requested entity was not found."),
        Verdict.FAILED,
        "404 NOT_FOUND: Google does not know the project of the service account",
        None,
        True,
    ),
    "no such token": (NO_SUCH_TOKEN, Verdict.GONE, "400 INVALID_ARGUMENT", None, False),
    "token malformed": (BAD_TOKEN_FIELD, Verdict.GONE, "400 INVALID_ARGUMENT", None, False),
    "too large": (
        error(400, "INVALID_ARGUMENT", "Android message is too big", code="INVALID_ARGUMENT"),
        Verdict.FAILED,
        "400 INVALID_ARGUMENT",
        None,
        False,
    ),
    "another field": (
        error(
            400,
            "INVALID_ARGUMENT",
            "The registration token is fine, its data is not",
            code="INVALID_ARGUMENT",
            violated="message.data[0].value",
        ),
        Verdict.FAILED,
        "400 INVALID_ARGUMENT",
        None,
        False,
    ),
    "token is no string": (
        error(400, "INVALID_ARGUMENT", "Invalid value at 'message.token'", violated="message.token"),
        Verdict.FAILED,
        "400 INVALID_ARGUMENT",
        None,
        False,
    ),
    "another sender": (
        ANOTHER_SENDER,
        Verdict.GONE,
        "403 SENDER_ID_MISMATCH: the device belongs to another Firebase project",
        None,
        True,
    ),
    "no Apple key": (
        NO_APPLE_KEY,
        Verdict.FAILED,
        "401 THIRD_PARTY_AUTH_ERROR: the Firebase project has no valid key for Apple's push service or for browsers",
        None,
        True,
    ),
    "API is off": (
        API_IS_OFF,
        Verdict.FAILED,
        "403 PERMISSION_DENIED SERVICE_DISABLED: switch on the Firebase Cloud Messaging API in the project",
        None,
        True,
    ),
    "not allowed": (
        NOT_ALLOWED,
        Verdict.FAILED,
        "403 PERMISSION_DENIED IAM_PERMISSION_DENIED: the service account may not send; give it the role"
        " Firebase Cloud Messaging API Admin",
        None,
        True,
    ),
    "403 of a proxy": (
        Reply(403, "<html>Forbidden</html>"),
        Verdict.FAILED,
        "403: the service account may not send; give it the role Firebase Cloud Messaging API Admin",
        None,
        True,
    ),
    "quota": (quota_exceeded(), Verdict.LATER, "429 QUOTA_EXCEEDED", 60.0, False),
    "quota, seconds": (quota_exceeded("7"), Verdict.LATER, "429 QUOTA_EXCEEDED", 7.0, False),
    "quota, date": (quota_exceeded(NOON), Verdict.LATER, "429 QUOTA_EXCEEDED", 120.0, False),
    "quota, date elsewhere": (
        quota_exceeded("Wed, 01 Jan 2025 01:02:00 +0100"),
        Verdict.LATER,
        "429 QUOTA_EXCEEDED",
        120.0,
        False,
    ),
    "quota, old date": (quota_exceeded("Wed Jan  1 00:02:00 2025"), Verdict.LATER, "429 QUOTA_EXCEEDED", 120.0, False),
    "quota, past date": (
        quota_exceeded("Tue, 31 Dec 2024 00:00:00 GMT"),
        Verdict.LATER,
        "429 QUOTA_EXCEEDED",
        0.0,
        False,
    ),
    "quota, for ever": (quota_exceeded("9" * 5000), Verdict.LATER, "429 QUOTA_EXCEEDED", 3600.0, False),
    "quota, nonsense": (quota_exceeded("soon"), Verdict.LATER, "429 QUOTA_EXCEEDED", 60.0, False),
    "internal": (INTERNAL, Verdict.LATER, "500 INTERNAL", None, False),
    "unavailable": (UNAVAILABLE, Verdict.LATER, "503 UNAVAILABLE", None, False),
    "unavailable, seconds": (
        UNAVAILABLE._replace(headers={"Retry-After": "30"}),
        Verdict.LATER,
        "503 UNAVAILABLE",
        30.0,
        False,
    ),
    "a page": (Reply(502, "<!DOCTYPE html>"), Verdict.LATER, "502", None, False),
    "elsewhere": (Reply(302, "", {"Location": "/"}), Verdict.LATER, "302", None, False),
    "too slow": (Reply(408, ""), Verdict.LATER, "408", None, False),
    "outside the table": (Reply(418, "[]"), Verdict.FAILED, "418", None, False),
    "odd errors": (
        Reply(400, '{"error": {"status": "a b", "details": [1, {"errorCode": 2}, {"errorCode": "secret text!"}]}}'),
        Verdict.FAILED,
        "400",
        None,
        False,
    ),
    "deep": (Reply(400, '{"error": {"details": ' + "[" * 100_000), Verdict.FAILED, "400", None, False),
}


@pytest.mark.parametrize("row", VERDICTS.values(), ids=VERDICTS)
async def test_every_answer_has_its_meaning(row: tuple[Reply, Verdict, str, float | None, bool]) -> None:
    reply, verdict, answer, after_s, is_alarming = row
    assert await said_of(reply) == Outcome(
        registration_sid=registration_of(DEVICE),
        verdict=verdict,
        answer=answer,
        after_s=after_s,
        is_alarming=is_alarming,
    )


async def test_each_device_of_a_batch_has_its_own_outcome() -> None:
    devices = [f"device-{number}" for number in range(100)]
    clock = ManualClock()
    async with peer_now(clock) as peer, google(peer, clock) as service:
        peer.answer_with("device-3", UNREGISTERED)
        peer.answer_with("device-98", UNAVAILABLE)
        outcomes = by_device(await service.send(credential(peer.service_account()), batch(*devices)))
    assert outcomes.keys() == set(devices)
    others = {outcome.verdict for device, outcome in outcomes.items() if device not in ("device-3", "device-98")}
    assert others == {Verdict.SENT}
    assert (outcomes["device-3"].verdict, outcomes["device-98"].verdict) == (Verdict.GONE, Verdict.LATER)
    assert sorted(received.token for received in peer.received) == sorted(devices)


async def test_an_account_has_a_bounded_number_of_calls_under_way_whatever_its_batches() -> None:
    clock = ManualClock()
    devices = [f"device-{number}" for number in range(40)]
    async with peer_now(clock) as peer, google(peer, clock) as service:
        known = credential(peer.service_account())
        for device in devices:
            peer.answer_with(device, STALLED)
        tasks = [asyncio.create_task(service.send(known, batch(*devices))) for _ in range(3)]
        await peer.has_received(16)
        # Another account is not kept waiting by them.
        other = credential(peer.service_account(), account="AC" + "2" * 32)
        (outcome,) = await service.send(other, batch("free"))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert outcome.verdict is Verdict.SENT
    assert peer.most_at_once == 17
    assert [task.cancelled() for task in tasks] == [True] * 3


async def test_a_badge_is_not_sent_and_no_failure() -> None:
    async with FcmPeer() as peer, google(peer) as service:
        content = PushContent(kind=PushKind.BADGE)
        (outcome,) = await service.send(credential(peer.service_account()), batch(DEVICE, content=content))
    assert (outcome.verdict, outcome.is_alarming) == (Verdict.SENT, False)
    assert (peer.received, peer.assertions) == ([], [])


@pytest.mark.parametrize(
    ("kind", "secret", "text"),
    [
        (CredentialKind.FCM, "AAAA:APA91bOldServerKey", "old server key"),
        (CredentialKind.GCM, "AIzaOldKey", "old server key"),
        (CredentialKind.FCM, '{"project_info": {"project_id": "p"}}', "google-services.json"),
        (CredentialKind.FCM, '{"type": "authorized_user"}', "not that of a service account"),
        (CredentialKind.FCM, '{"type": "service_account", "project_id"', "not whole"),
    ],
)
async def test_a_credential_that_cannot_send_says_so_without_a_call(
    kind: CredentialKind, secret: str, text: str
) -> None:
    async with FcmPeer() as peer, google(peer) as service:
        outcomes = await service.send(credential(secret, kind=kind), batch(DEVICE, "other"))
    assert [(outcome.verdict, outcome.is_alarming) for outcome in outcomes] == [(Verdict.FAILED, True)] * 2
    assert all(text in outcome.answer and secret not in outcome.answer for outcome in outcomes)
    assert (peer.received, peer.assertions) == ([], [])


async def test_an_account_under_the_old_type_can_send() -> None:
    clock = ManualClock()
    async with peer_now(clock) as peer, google(peer, clock) as service:
        old = credential(peer.service_account(), kind=CredentialKind.GCM)
        (outcome,) = await service.send(old, batch(DEVICE))
    assert outcome.verdict is Verdict.SENT


async def test_a_project_that_is_not_the_accounts_is_alarming() -> None:
    clock = ManualClock()
    async with peer_now(clock) as peer, google(peer, clock) as service:
        account = peer.service_account(project_id="another-project")
        (outcome,) = await service.send(credential(account), batch(DEVICE))
    assert (outcome.verdict, outcome.is_alarming) == (Verdict.FAILED, True)
    assert outcome.answer.startswith("403 PERMISSION_DENIED")


async def test_where_nobody_is_the_batch_is_tried_later_and_only_a_few_look_for_him() -> None:
    clock = ManualClock()
    looked_for: list[str] = []

    async def resolve(host: str, port: int) -> list[str]:
        looked_for.append(host)
        if host == "nobody.example":
            raise OSError
        return [host]

    devices = [f"device-{number}" for number in range(100)]
    async with peer_now(clock) as peer, google(peer, clock, url="http://nobody.example", resolve=resolve) as service:
        outcomes = await service.send(credential(peer.service_account()), batch(*devices))
    assert {(outcome.verdict, outcome.answer) for outcome in outcomes} == {(Verdict.LATER, "no answer (unresolvable)")}
    assert 1 <= looked_for.count("nobody.example") <= 16


async def test_a_push_that_was_taken_is_not_sent_again_because_the_answer_broke_off() -> None:
    clock = ManualClock()
    begun = answering(b'HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{"name": "proj')
    async with (
        peer_now(clock) as peer,
        receiver(begun) as place,
        google(peer, clock, url=f"http://127.0.0.1:{place.port}") as service,
    ):
        (outcome,) = await service.send(credential(peer.service_account()), batch(DEVICE))
    assert (outcome.verdict, outcome.answer) == (Verdict.SENT, "200")


async def test_a_service_that_does_not_answer_ends_the_attempt_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcm, "CALL_S", 0.15)
    monkeypatch.setattr(fcm, "BATCH_S", 0.25)
    clock = ManualClock()
    devices = [f"device-{number}" for number in range(40)]
    async with peer_now(clock) as peer, google(peer, clock) as service:
        known = credential(peer.service_account())
        await service.send(known, batch(DEVICE))
        for device in devices:
            peer.answer_with(device, STALLED)
        outcomes = await service.send(known, batch(*devices))
    assert {outcome.verdict for outcome in outcomes} == {Verdict.LATER}
    assert {outcome.answer for outcome in outcomes} <= {
        "no answer (read_timeout)",
        "no answer (total_timeout)",
        "no time left in this attempt",
    }
    assert len(peer.received) < 40


async def test_a_service_that_answers_nobody_is_not_asked_by_each_of_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcm, "CALL_S", 0.15)
    clock = ManualClock()
    devices = [f"device-{number}" for number in range(40)]
    async with peer_now(clock) as peer, google(peer, clock) as service:
        known = credential(peer.service_account())
        await service.send(known, batch(DEVICE))
        for device in devices:
            peer.answer_with(device, STALLED, TAKEN)
        for _ in range(2):
            outcomes = await service.send(known, batch(*devices))
            assert {outcome.verdict for outcome in outcomes} == {Verdict.LATER}
            assert len(peer.received) == 1 + fcm.AT_ONCE


async def test_an_address_that_is_not_called_is_the_accounts_business() -> None:
    closed = Settings(outgoing=msgspec.structs.replace(OPEN.outgoing, allow_private=False))
    async with FcmPeer() as peer, google(peer, settings=closed) as service:
        (outcome,) = await service.send(credential(peer.service_account()), batch(DEVICE))
    assert (outcome.verdict, outcome.is_alarming) == (Verdict.FAILED, True)
    assert outcome.answer == "no access token: cannot be called (refused_address)"


async def test_a_cancelled_batch_leaves_nothing_behind() -> None:
    clock = ManualClock()
    async with peer_now(clock) as peer, google(peer, clock) as service:
        peer.answer_with(DEVICE, STALLED)
        known = credential(peer.service_account())
        before = asyncio.all_tasks()
        task = asyncio.create_task(service.send(known, batch(DEVICE, *map(str, range(30)))))
        await peer.has_received(31)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert {left for left in asyncio.all_tasks() - before if "tertulia" in repr(left)} == set()
        (outcome,) = await service.send(known, batch("next"))
    assert outcome.verdict is Verdict.SENT


async def test_after_the_end_nothing_is_sent_and_nothing_is_lost() -> None:
    async with FcmPeer() as peer, google(peer) as service:
        known = credential(peer.service_account())
        await service.close()
        (outcome,) = await service.send(known, batch(DEVICE))
    assert outcome.verdict is Verdict.LATER
    assert peer.received == []


async def test_nothing_of_tokens_texts_and_keys_is_shown(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    clock = ManualClock()
    async with peer_now(clock) as peer, google(peer, clock) as service:
        known = credential(peer.service_account())
        told = batch(DEVICE, "other-device", "third-device")
        peer.answer_with("other-device", error(400, "INVALID_ARGUMENT", f"no such device other-device at {PROJECT}"))
        peer.answer_with("third-device", NOT_ALLOWED)
        outcomes = await service.send(known, told)
        access_token = peer.received[0].access_token
        clock.advance(timedelta(hours=2))
        shown = f"{outcomes!r} {known!r} {told.pushes!r} {told.content!r} {caplog.text}"
    secrets = (DEVICE, "other-device at", access_token, "PRIVATE KEY", "hello", "gserviceaccount")
    assert [secret for secret in secrets if secret in shown.replace(registration_of(DEVICE), "")] == []
