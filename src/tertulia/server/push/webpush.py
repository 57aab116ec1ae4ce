"""Web Push: the push services of browsers, each at the endpoint its browser named (RFC 8030, 8291; gateways 8.10)."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterator, Sequence
from typing import Final
from weakref import WeakValueDictionary

import msgspec

from tertulia.server import observe
from tertulia.server.clock import Clock
from tertulia.server.domain.push_content import PushKind
from tertulia.server.domain.subscriptions import NotASubscription, Subscription, read_subscription
from tertulia.server.outgoing import Answer, Call, CallFailed, FailureKind, Outgoing
from tertulia.server.settings.push import PushSettings

from .answers import (
    BATCH_S,
    CALL_S,
    STOPPING,
    UNREACHED,
    Said,
    asked_wait_s,
    is_passing,
    late,
    name_in,
    read,
    supervised,
    unanswered,
    unexpected,
    unusable,
)
from .payloads import data_of
from .refusals import Refusals
from .service import Batch, Course, OpenCredential, Outcome, Push, Unusable, Verdict
from .silences import PROMPT_S, Silences
from .vapid import VapidTokens

log = logging.getLogger(__name__)

AT_ONCE_PER_ORIGIN: Final = 16
"""Pushes of a batch that are on their way to one service: below what calls to one host may be at a time, so that they
wait here, where a service that cannot be reached is asked once and not by each of them."""
AT_ONCE_PER_ACCOUNT: Final = 24
"""And to all services, of all batches of an account: of the 50 calls that it has at a time by default, its webhooks
keep theirs."""
AT_ONCE_TO_STRANGERS: Final = 8
"""Besides, to all services that have yet to show that they answer; any user can have his browser name new ones."""
AT_ONCE_TO_STRANGER: Final = 4
"""Of them, to each."""
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
_HANGING: Final = Said(Verdict.LATER, "not asked: its push service lets others wait for an answer")
_REFUSED: Final = Said(Verdict.FAILED, "the endpoint of the subscription is at an address that is not called")


class _Ready(msgspec.Struct, frozen=True):
    """A push that only has to be sent."""

    push: Push
    origin: str
    call: Call


class _Turns:
    """What may be on its way at a time for one account, to one push service and to all."""

    def __init__(self) -> None:
        self._to_all = asyncio.Semaphore(AT_ONCE_PER_ACCOUNT)
        self._to_strangers = asyncio.Semaphore(AT_ONCE_TO_STRANGERS)
        # While a batch has to do with them.
        self._to_one: WeakValueDictionary[tuple[str, bool], asyncio.Semaphore] = WeakValueDictionary()

    def to(self, origin: str, silences: Silences) -> tuple[asyncio.Semaphore, asyncio.Semaphore]:
        """The service's and that of all; taken in this order, who waits for a slow one keeps nobody else waiting."""
        if silences.is_silent(origin):
            return asyncio.Semaphore(1), self._to_strangers
        is_stranger = silences.is_stranger(origin)
        at_once = AT_ONCE_TO_STRANGER if is_stranger else AT_ONCE_PER_ORIGIN
        to_one = self._to_one.setdefault((origin, is_stranger), asyncio.Semaphore(at_once))
        return to_one, self._to_strangers if is_stranger else self._to_all


class _Origin:
    """One push service, as far as a batch has to do with it."""

    def __init__(self, name: str, credential: OpenCredential, silences: Silences, turns: _Turns) -> None:
        self.name = name
        self.credential = (credential.sid, credential.updated_at)
        self.unreached = silences.of(name)
        self.turns, self.turns_of_all = turns.to(name, silences)


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
        self._silences = Silences()
        self._refusals = Refusals()
        # Of each account, while batches of it are under way.
        self._turns: WeakValueDictionary[str, _Turns] = WeakValueDictionary()
        self._is_loaded = False
        self._is_closed = False

    async def send(self, credential: OpenCredential, batch: Batch, course: Course | None = None) -> list[Outcome]:
        """See ``PushService``. A badge alone is nothing that a browser could show."""
        if batch.content.kind is PushKind.BADGE:
            return [_BADGE.of(push) for push in batch.pushes]
        course = course or Course()
        ends_at = asyncio.get_running_loop().time() + BATCH_S
        data = data_of(batch.content, batch.notice_sid, PLAIN_BYTES - len(b'{"data":}'))
        body = msgspec.json.encode({"data": data})
        outcomes: list[Outcome] = []
        origins: dict[str, _Origin] = {}
        turns = self._turns.setdefault(credential.account_sid, _Turns())
        async with asyncio.TaskGroup() as group:
            sending = []
            for chunk in _chunks(batch.pushes):
                for ready in await self._prepared(credential, batch, body, chunk):
                    if isinstance(ready, Outcome):
                        outcomes.append(course.hear(ready))
                    else:
                        origin = origins.get(ready.origin)
                        if origin is None:
                            origin = origins[ready.origin] = _Origin(ready.origin, credential, self._silences, turns)
                        sending.append(group.create_task(self._outcome(ready, origin, course, ends_at)))
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
                prepared.append(self._ready(credential, push, body, ttl_s))
            except NotASubscription as error:
                prepared.append(Said(Verdict.FAILED, f"not a subscription: {error}").of(push))
            except Unusable as error:
                prepared.append(unusable(str(error)).of(push))
            except Exception as error:  # at the edge, as where it is sent
                prepared.append(unexpected(error, push.registration_sid).of(push))
        return prepared

    def _ready(self, credential: OpenCredential, push: Push, body: bytes, ttl_s: int) -> _Ready:
        """Raises ``NotASubscription``, and ``Unusable``."""
        subscription = read_subscription(push.address)
        call = Call(
            method="POST",
            url=subscription.endpoint,
            headers=(
                ("Authorization", self._tokens.authorization(credential, subscription.origin)),
                ("Content-Encoding", "aes128gcm"),
                ("Content-Type", "application/octet-stream"),
                ("TTL", str(ttl_s)),
                ("Urgency", "high"),
            ),
            body=encrypted(body, subscription),
            account_sid=credential.account_sid,
        )
        return _Ready(push, subscription.origin, call)

    async def _outcome(self, ready: _Ready, origin: _Origin, course: Course, ends_at: float) -> Outcome:
        try:
            async with asyncio.timeout_at(ends_at):
                said = await self._in_turn(ready, origin, course)
        except TimeoutError:
            said = late(ready.push, course)
        return course.hear(said.of(ready.push))

    async def _in_turn(self, ready: _Ready, origin: _Origin, course: Course) -> Said:
        # The service's own turn comes first: who waits for a slow one must not keep others waiting.
        while not await _took(origin.turns, PROMPT_S):
            if self._silences.is_hanging(origin.name):
                return _HANGING
        try:
            async with origin.turns_of_all:
                if origin.unreached is not None:
                    return origin.unreached
                if self._is_closed:
                    return STOPPING
                return await supervised(self._said(ready, origin, course), ready.push)
        finally:
            origin.turns.release()

    async def _said(self, ready: _Ready, origin: _Origin, course: Course) -> Said:
        asked_at = self._silences.now()
        course.asked.add(ready.push.registration_sid)
        try:
            with self._silences.asking(origin.name):
                answer = await self._outgoing.call(msgspec.structs.replace(ready.call, total_s=CALL_S))
        except CallFailed as failed:
            if failed.status is not None:  # what it thinks of the push has arrived, only not to its end
                self._silences.heard(origin.name, asked_at)
                return self._judged(Answer(status=failed.status, headers=(), body=b""), ready, origin)
            if failed.kind is FailureKind.REFUSED_ADDRESS:
                origin.unreached = _REFUSED
                return _REFUSED
            said = unanswered(failed)
            if self._silences.unheard(origin.name, asked_at, failed.kind, said) or failed.kind in UNREACHED:
                origin.unreached = said
            return said
        self._silences.heard(origin.name, asked_at)
        return self._judged(answer, ready, origin)

    def _judged(self, answer: Answer, ready: _Ready, origin: _Origin) -> Said:
        """What an answer means (gateways 8.10)."""
        status = answer.status
        if status in _SENT:
            self._refusals.taken(origin.credential)
            return Said(Verdict.SENT, f"{status}")
        reason = _reason(answer)
        if status in _GONE:
            return Said(Verdict.GONE, f"{status}{reason}: the subscription has ended")
        if status in (401, 403):
            text = (
                f"{status}{reason}: the key pair or the subject of the credential is not accepted, or the browser has"
                " subscribed with another public key"
            )
            is_alarming = self._refusals.refused(origin.credential, origin.name)
            if not is_alarming:
                facts = observe.fields(registration=ready.push.registration_sid, answer=text)
                log.debug("push.refused_by_one", extra=facts)
            return Said(Verdict.FAILED, text, is_alarming=is_alarming)
        if status == 413:
            return Said(Verdict.FAILED, f"{status}{reason}: too large for this push service")
        if not is_passing(status):
            return Said(Verdict.FAILED, f"{status}{reason}")
        return Said(Verdict.LATER, f"{status}{reason}", after_s=asked_wait_s(answer, self._clock.now()))


async def _took(turns: asyncio.Semaphore, within_s: float) -> bool:
    """Whether there was a turn within this time; it is ours then."""
    if turns.locked():
        try:
            async with asyncio.timeout(within_s):
                await turns.acquire()
        except TimeoutError:
            return False
        return True
    return await turns.acquire()


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
    name = name_in(read(_refusal, answer.body, _NO_REASON).reason)
    return f" {name}" if name else ""


class _Refusal(msgspec.Struct, frozen=True):
    reason: str


_refusal = msgspec.json.Decoder(_Refusal).decode
_NO_REASON: Final = _Refusal("")
