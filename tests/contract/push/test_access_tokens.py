"""Access tokens of Google: one request however many wait, kept while they are good, and no hammering."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from tertulia.server.clock import ManualClock
from tertulia.server.push.fcm import Fcm
from tertulia.server.push.service import Outcome, Verdict
from tests.contract.outgoing.receivers import Peer, receiver
from tests.contract.push.sending import batch, credential, google
from tests.peers.fcm import BAD_ACCESS_TOKEN, STALLED, TAKEN, FcmPeer, Reply

DEVICES = tuple(f"device-{number}" for number in range(20))
INVALID_GRANT = Reply(400, '{"error": "invalid_grant", "error_description": "Invalid JWT Signature for ana@example"}')


@contextlib.asynccontextmanager
async def both() -> AsyncIterator[tuple[FcmPeer, Fcm, ManualClock]]:
    """The peer and our side, with one clock."""
    clock = ManualClock()
    async with FcmPeer(now=lambda: clock.now() / 1e6) as peer, google(peer, clock) as service:
        yield peer, service, clock


def verdicts(outcomes: list[Outcome]) -> set[Verdict]:
    return {outcome.verdict for outcome in outcomes}


async def test_the_assertion_says_who_asks_for_what_of_whom_for_an_hour() -> None:
    async with both() as (peer, service, clock):
        await service.send(credential(peer.service_account()), batch("phone"))
    now_s = clock.now() // 1_000_000
    assert peer.assertions == [
        {
            "iss": f"sender@{peer.project}.iam.gserviceaccount.com",
            "scope": "https://www.googleapis.com/auth/firebase.messaging",
            "aud": f"{peer.url}/token",
            "iat": now_s,
            "exp": now_s + 3600,
        }
    ]


async def test_many_batches_at_once_ask_once() -> None:
    async with both() as (peer, service, _):
        known = credential(peer.service_account())
        done = await asyncio.gather(*(service.send(known, batch(*DEVICES)) for _ in range(5)))
    assert [verdicts(outcomes) for outcomes in done] == [{Verdict.SENT}] * 5
    assert len(peer.assertions) == 1
    assert len({received.access_token for received in peer.received}) == 1


async def test_a_token_is_kept_until_a_minute_before_its_end() -> None:
    async with both() as (peer, service, clock):
        known = credential(peer.service_account())
        await service.send(known, batch("phone"))
        clock.advance(timedelta(seconds=3539))
        await service.send(known, batch("phone"))
        assert len(peer.assertions) == 1
        clock.advance(timedelta(seconds=1))
        assert verdicts(await service.send(known, batch("phone"))) == {Verdict.SENT}
        assert len(peer.assertions) == 2


async def test_a_token_of_a_minute_is_not_asked_for_by_every_push() -> None:
    async with both() as (peer, service, _):
        peer.life_s = 30
        assert verdicts(await service.send(credential(peer.service_account()), batch(*DEVICES))) == {Verdict.SENT}
    assert len(peer.assertions) == 1


async def test_a_changed_credential_asks_for_itself() -> None:
    async with both() as (peer, service, _):
        await service.send(credential(peer.service_account(), version=1), batch("phone"))
        await service.send(credential(peer.service_account(), version=2), batch("phone"))
        await service.send(credential(peer.service_account(), version=2), batch("phone"))
    assert len(peer.assertions) == 2


async def test_a_token_that_was_withdrawn_is_replaced_in_the_same_attempt() -> None:
    async with both() as (peer, service, _):
        known = credential(peer.service_account())
        await service.send(known, batch("phone"))
        peer.withdraw_tokens()
        assert verdicts(await service.send(known, batch(*DEVICES))) == {Verdict.SENT}
    assert len(peer.assertions) == 2


async def test_an_account_whose_tokens_are_refused_does_not_hammer() -> None:
    async with both() as (peer, service, clock):
        known = credential(peer.service_account())
        for device in DEVICES:
            peer.answer_with(device, BAD_ACCESS_TOKEN)
        outcomes = await service.send(known, batch(*DEVICES))
        assert verdicts(outcomes) == {Verdict.LATER}
        assert all(outcome.answer.startswith("401: ") and not outcome.is_alarming for outcome in outcomes)
        assert verdicts(await service.send(known, batch(*DEVICES))) == {Verdict.LATER}
        assert len(peer.assertions) == 2
        clock.advance(timedelta(seconds=5))
        await service.send(known, batch(*DEVICES))
        assert len(peer.assertions) == 3
        # It may have been a moment of Google's; after a minute it is something to mend.
        clock.advance(timedelta(seconds=61))
        outcomes = await service.send(known, batch(*DEVICES))
        assert {(outcome.verdict, outcome.is_alarming) for outcome in outcomes} == {(Verdict.LATER, True)}
        # A minute later it is a token like any other again.
        clock.advance(timedelta(seconds=61))
        peer.answer_with("phone", BAD_ACCESS_TOKEN, Reply(200, "{}"), BAD_ACCESS_TOKEN)
        assert verdicts(await service.send(known, batch("phone"))) == {Verdict.SENT}
        (outcome,) = await service.send(known, batch("phone"))
        assert (outcome.verdict, outcome.is_alarming) == (Verdict.LATER, False)


async def test_a_moment_in_which_google_refuses_good_tokens_costs_no_push() -> None:
    async with both() as (peer, service, clock):
        known = credential(peer.service_account())
        peer.answer_with("phone", BAD_ACCESS_TOKEN, BAD_ACCESS_TOKEN, TAKEN)
        assert verdicts(await service.send(known, batch("phone"))) == {Verdict.LATER}
        assert verdicts(await service.send(known, batch("tablet"))) == {Verdict.LATER}
        clock.advance(timedelta(seconds=5))
        assert verdicts(await service.send(known, batch("phone", "tablet"))) == {Verdict.SENT}


async def test_who_waits_for_a_token_keeps_nobody_elses_credential_waiting() -> None:
    """Of the same account, whose turns they share."""
    async with both() as (peer, service, _):

        async def silent(one: Peer) -> None:
            await one.request()
            await one.until_left()

        async with receiver(silent) as place:
            stuck = credential(peer.service_account(token_uri=place.url), version=2)
            waiting = [asyncio.create_task(service.send(stuck, batch(*DEVICES))) for _ in range(3)]
            await place.connected(1)
            async with asyncio.timeout(5):
                assert verdicts(await service.send(credential(peer.service_account()), batch("phone"))) == {
                    Verdict.SENT
                }
            assert not any(task.done() for task in waiting)
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)


GRANTS = {
    "a life as text": ({"expires_in": "3599"}, 3538),
    "a life of words": ({"expires_in": "an hour"}, 3539),
    "no life": ({}, 3539),
    "a life below nothing": ({"expires_in": -7}, 4),
    "a long token": ({"access_token": "t" * 30_000, "expires_in": 120}, 59),
}


@pytest.mark.parametrize("row", GRANTS.values(), ids=GRANTS)
async def test_a_token_is_read_however_its_life_is_said(row: tuple[dict[str, object], int]) -> None:
    given, kept_s = row
    async with both() as (peer, service, clock):
        known = credential(peer.service_account())
        peer.answer_token_requests_with(Reply(200, json.dumps({"access_token": "t", **given})))
        # The peer does not know this token; what counts is that it is asked with it.
        assert verdicts(await service.send(known, batch("phone"))) == {Verdict.LATER}
        assert len(peer.assertions) == 2
        peer.accept_token(str(given.get("access_token", "t")))
        clock.advance(timedelta(seconds=70))
        assert verdicts(await service.send(known, batch("phone"))) == {Verdict.SENT}
        asked = len(peer.assertions)
        clock.advance(timedelta(seconds=kept_s))
        assert verdicts(await service.send(known, batch("phone"))) == {Verdict.SENT}
        assert len(peer.assertions) == asked
        clock.advance(timedelta(seconds=2))
        await service.send(known, batch("phone"))
        assert len(peer.assertions) == asked + 1


REFUSALS = {
    "account gone": (
        INVALID_GRANT,
        Verdict.FAILED,
        "no access token: 400 invalid_grant: the service account or its key was removed, or the clock of this machine"
        " is wrong",
        None,
    ),
    "unauthorized": (Reply(401, '{"error": "unauthorized_client"}'), Verdict.FAILED, "unauthorized_client", None),
    "a page": (Reply(404, "<html>"), Verdict.LATER, "no access token: 404", None),
    "a guard on the way": (Reply(403, ""), Verdict.LATER, "no access token: 403", None),
    "no reason": (Reply(401, "{}"), Verdict.LATER, "no access token: 401", None),
    "too slow": (Reply(408, ""), Verdict.LATER, "no access token: 408", None),
    "deep": (Reply(400, '{"error":' + "[" * 50_000), Verdict.LATER, "no access token: 400", None),
    "no token": (Reply(200, '{"id_token": "x"}'), Verdict.FAILED, "token_uri gives none", None),
    "no header": (Reply(200, '{"access_token": "a\\r\\nHost: b"}'), Verdict.FAILED, "token_uri gives none", None),
    "a token without end": (
        Reply(200, '{"access_token": "' + "a" * 40_000 + '"}'),
        Verdict.FAILED,
        "token_uri gives none",
        None,
    ),
    "a deep token": (Reply(200, '{"access_token":' + "[" * 50_000), Verdict.FAILED, "token_uri gives none", None),
    "too often": (Reply(429, "", {"Retry-After": "20"}), Verdict.LATER, "no access token: 429", 20.0),
    "away": (Reply(503, '{"error": "temporarily_unavailable"}'), Verdict.LATER, "503 temporarily_unavailable", None),
    "moved": (Reply(302, "", {"Location": "/"}), Verdict.LATER, "no access token: 302", None),
}


@pytest.mark.parametrize("row", REFUSALS.values(), ids=REFUSALS)
async def test_a_refusal_is_the_answer_to_all_who_wait_and_is_kept_for_seconds(
    row: tuple[Reply, Verdict, str, float | None],
) -> None:
    reply, verdict, text, after_s = row
    async with both() as (peer, service, clock):
        known = credential(peer.service_account())
        peer.answer_token_requests_with(reply)
        outcomes = await service.send(known, batch(*DEVICES))
        assert verdicts(outcomes) == {verdict}
        is_passing = reply.status in (408, 429, 503, 302)
        assert {outcome.is_alarming for outcome in outcomes} == {not is_passing}
        assert {outcome.after_s for outcome in outcomes} == {after_s}
        assert text in outcomes[0].answer
        assert "ana@example" not in outcomes[0].answer
        clock.advance(timedelta(seconds=4.9))
        await service.send(known, batch(*DEVICES))
        assert (len(peer.assertions), peer.received) == (1, [])
        peer.answer_token_requests_with()
        clock.advance(timedelta(seconds=0.1))
        assert verdicts(await service.send(known, batch("phone"))) == {Verdict.SENT}


async def test_an_assertion_in_another_name_is_refused() -> None:
    async with both() as (peer, service, _):
        account = peer.service_account(client_email="somebody@else.example")
        (outcome,) = await service.send(credential(account), batch("phone"))
    assert (outcome.verdict, outcome.is_alarming) == (Verdict.FAILED, True)
    assert outcome.answer.startswith("no access token: 400 invalid_grant")


async def test_a_key_that_cannot_sign_is_named_without_a_call() -> None:
    async with both() as (peer, service, _):
        account = peer.service_account(private_key="-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
        (outcome,) = await service.send(credential(account), batch("phone"))
    assert (outcome.verdict, outcome.is_alarming) == (Verdict.FAILED, True)
    assert outcome.answer == "the private_key in the JSON of the service account is no readable PEM"
    assert peer.assertions == []


async def test_who_asked_and_was_cancelled_leaves_the_asking_to_the_next() -> None:
    async with both() as (peer, service, _):
        known = credential(peer.service_account())
        peer.answer_token_requests_with(STALLED)
        first = asyncio.create_task(service.send(known, batch("phone")))
        await peer.has_been_asked(1)
        second = asyncio.create_task(service.send(known, batch("tablet")))
        peer.answer_token_requests_with()
        first.cancel()
        assert verdicts(await second) == {Verdict.SENT}
        assert first.cancelled()
    assert len(peer.assertions) == 2
