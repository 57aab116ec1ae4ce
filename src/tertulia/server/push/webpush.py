"""Web Push: the push services of browsers, each at the endpoint its browser named (RFC 8030, 8291; gateways 8.10)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence
from typing import Final
from weakref import WeakValueDictionary

import msgspec

from tertulia.server.clock import Clock
from tertulia.server.domain.push_content import PushKind
from tertulia.server.domain.subscriptions import NotASubscription, Subscription, read_subscription
from tertulia.server.outgoing import Answer, Call, CallFailed, FailureKind, Outgoing
from tertulia.server.settings.push import PushSettings

from .answers import (
    BATCH_S,
    CALL_S,
    OUT_OF_TIME,
    STOPPING,
    UNREACHED,
    Said,
    asked_wait_s,
    name_in,
    unanswered,
    unusable,
)
from .payloads import data_of
from .service import Batch, OpenCredential, Outcome, Push, Unusable, Verdict
from .vapid import VapidTokens

AT_ONCE_PER_ORIGIN: Final = 16
"""Pushes of a batch that are on their way to one service: below what calls to one host may be at a time, so that they
wait here, where a service that cannot be reached is asked once and not by each of them."""
AT_ONCE_PER_ACCOUNT: Final = 32
"""And to all services: of the 50 calls that an account has at a time by default, its webhooks keep theirs."""
FEW: Final = 4
"""So many are encrypted on the spot: each takes 0.2 ms, the way to a thread and back as much."""
CHUNK: Final = 16
"""So many are encrypted by one visit to a thread: 3 ms, during which pushes of the chunk before are on their way."""
RECORD_BYTES: Final = 4096
"""What every push service takes (RFC 8030 7.2), the head of the encryption included."""
PLAIN_BYTES: Final = RECORD_BYTES - 86 - 17
"""Without that head, and the mark and the tag at the end (RFC 8188 2)."""

_SENT: Final = frozenset((200, 201, 202, 204))
_GONE: Final = frozenset((404, 410))
_REFUSED: Final = Said(Verdict.FAILED, "the endpoint of the subscription is at an address that is not called")


class _Ready(msgspec.Struct, frozen=True):
    """A push that only has to be sent."""

    push: Push
    origin: str
    call: Call


class _Origin:
    """One push service, as far as a batch has to do with it."""

    def __init__(self) -> None:
        self.turns = asyncio.Semaphore(AT_ONCE_PER_ORIGIN)
        self.unreached: Said | None = None


class WebPush:
    """The push services of browsers. Each device gets a body that only it can read.

    Where its endpoint leads is a browser's word: it is judged like every other receiver's address, and refused for
    good where those are.
    """

    def __init__(self, outgoing: Outgoing, clock: Clock, settings: PushSettings) -> None:
        self._outgoing = outgoing
        self._clock = clock
        self._ttl_s = settings.ttl_s
        self._tokens = VapidTokens(clock)
        # Of each account, while batches of it are under way.
        self._turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._is_loaded = False
        self._is_closed = False

    async def send(self, credential: OpenCredential, batch: Batch) -> list[Outcome]:
        """See ``PushService``. A badge alone is nothing that a browser could show."""
        if batch.content.kind is PushKind.BADGE:
            return [_BADGE.of(push) for push in batch.pushes]
        ends_at = asyncio.get_running_loop().time() + BATCH_S
        data = data_of(batch.content, batch.notice_sid, PLAIN_BYTES - len(b'{"data":}'))
        body = msgspec.json.encode({"data": data})
        outcomes: list[Outcome] = []
        origins: dict[str, _Origin] = {}
        turns = self._turns.setdefault(credential.account_sid, asyncio.Semaphore(AT_ONCE_PER_ACCOUNT))
        async with asyncio.TaskGroup() as group:
            sending = []
            for chunk in _chunks(batch.pushes):
                for ready in await self._prepared(credential, batch, body, chunk):
                    if isinstance(ready, Outcome):
                        outcomes.append(ready)
                    else:
                        origin = origins.setdefault(ready.origin, _Origin())
                        sending.append(group.create_task(self._outcome(ready, origin, turns, ends_at)))
        return outcomes + [task.result() for task in sending]

    async def close(self) -> None:
        """No call is begun any more. Those under way end with the ``Outgoing`` that makes them."""
        self._is_closed = True

    async def _prepared(
        self, credential: OpenCredential, batch: Batch, body: bytes, pushes: Sequence[Push]
    ) -> list[_Ready | Outcome]:
        if self._is_loaded and len(pushes) <= FEW:
            return self._prepare(credential, batch, body, pushes)
        # The first one loads the libraries, too.
        prepared = await asyncio.to_thread(self._prepare, credential, batch, body, pushes)
        self._is_loaded = True
        return prepared

    def _prepare(
        self, credential: OpenCredential, batch: Batch, body: bytes, pushes: Sequence[Push]
    ) -> list[_Ready | Outcome]:
        """Runs in a thread where there are many."""
        ttl_s = min(max(batch.expires_at_s - self._clock.now() // 1_000_000, 0), self._ttl_s)
        prepared: list[_Ready | Outcome] = []
        for push in pushes:
            try:
                subscription = read_subscription(push.address)
                authorization = self._tokens.authorization(credential, subscription.origin)
            except NotASubscription as error:
                prepared.append(Said(Verdict.FAILED, f"not a subscription: {error}").of(push))
            except Unusable as error:
                prepared.append(unusable(str(error)).of(push))
            else:
                call = Call(
                    method="POST",
                    url=subscription.endpoint,
                    headers=(
                        ("Authorization", authorization),
                        ("Content-Encoding", "aes128gcm"),
                        ("Content-Type", "application/octet-stream"),
                        ("TTL", str(ttl_s)),
                        ("Urgency", "high"),
                    ),
                    body=encrypted(body, subscription),
                    account_sid=credential.account_sid,
                )
                prepared.append(_Ready(push, subscription.origin, call))
        return prepared

    async def _outcome(self, ready: _Ready, origin: _Origin, turns: asyncio.Semaphore, ends_at: float) -> Outcome:
        try:
            # The origin's turn comes first: who waits for a slow service must not keep others waiting.
            async with asyncio.timeout_at(ends_at), origin.turns, turns:
                said = origin.unreached
                if said is None:
                    said = STOPPING if self._is_closed else await self._said(ready.call, origin)
                return said.of(ready.push)
        except TimeoutError:
            return OUT_OF_TIME.of(ready.push)

    async def _said(self, call: Call, origin: _Origin) -> Said:
        try:
            answer = await self._outgoing.call(msgspec.structs.replace(call, total_s=CALL_S))
        except CallFailed as failed:
            if failed.status is not None:  # what it thinks of the push has arrived, only not to its end
                return self._judged(Answer(status=failed.status, headers=(), body=b""))
            if failed.kind is FailureKind.REFUSED_ADDRESS:
                origin.unreached = _REFUSED
                return _REFUSED
            said = unanswered(failed)
            if failed.kind in UNREACHED:
                origin.unreached = said
            return said
        return self._judged(answer)

    def _judged(self, answer: Answer) -> Said:
        """What an answer means (gateways 8.10)."""
        status, reason = answer.status, _reason(answer)
        if status in _SENT:
            return Said(Verdict.SENT, f"{status}")
        if status in _GONE:
            return Said(Verdict.GONE, f"{status}{reason}: the subscription has ended")
        if status in (401, 403):
            return Said(
                Verdict.FAILED,
                f"{status}{reason}: the key pair or the subject of the credential is not accepted, or the browser has"
                " subscribed with another public key",
                is_alarming=True,
            )
        if status == 413:
            return Said(Verdict.FAILED, f"{status}{reason}: too large for this push service")
        if 400 <= status < 500 and status != 429:
            return Said(Verdict.FAILED, f"{status}{reason}")
        return Said(Verdict.LATER, f"{status}{reason}", after_s=asked_wait_s(answer, self._clock.now()))


_BADGE: Final = Said(Verdict.SENT, "nothing to send: browsers have no badge")


def encrypted(body: bytes, subscription: Subscription) -> bytes:
    """The body as only this browser can read it (RFC 8291): a key pair and a salt of its own, one record."""
    import http_ece
    from cryptography.hazmat.primitives.asymmetric import ec

    made: bytes = http_ece.encrypt(
        body,
        salt=os.urandom(16),
        private_key=ec.generate_private_key(ec.SECP256R1()),
        dh=subscription.p256dh,
        auth_secret=subscription.auth,
        rs=RECORD_BYTES,
        version="aes128gcm",
    )
    return made


def _chunks(pushes: Sequence[Push]) -> Iterator[Sequence[Push]]:
    return (pushes[start : start + CHUNK] for start in range(0, len(pushes), CHUNK))


def _reason(answer: Answer) -> str:
    """What some services add (Apple: ``{"reason": "BadJwtToken"}``), if it is nothing but a name."""
    try:
        name = name_in(msgspec.json.decode(answer.body, type=_Refusal).reason)
    except (msgspec.DecodeError, RecursionError):
        return ""
    return f" {name}" if name else ""


class _Refusal(msgspec.Struct, frozen=True):
    reason: str
