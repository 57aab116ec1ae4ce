"""Apple's push service (gateways 8.8): a call for each device, many at a time over few connections."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections import OrderedDict
from collections.abc import Iterator
from typing import Final
from weakref import WeakValueDictionary

from tertulia.server.clock import Clock
from tertulia.server.domain.credentials import Secrets
from tertulia.server.domain.push_content import PushContent, PushKind
from tertulia.server.outgoing import Answer, Call, CallFailed, ClientCertificate, FailureKind, Multiplexed, Outgoing
from tertulia.server.settings.push import PushSettings

from .answers import BATCH_S, CALL_S, CUT_OFF, OUT_OF_TIME, STOPPING, UNREACHED, Said, supervised, unanswered, unusable
from .apns_answers import EXPIRED, is_of_all, reason_of, said_by
from .payloads import apns_payload
from .provider_tokens import ProviderTokens
from .service import Batch, Course, OpenCredential, Outcome, Push, Verdict
from .silences import Silences
from .usable import ends_at, why_unusable

AT_ONCE: Final = 100
"""Calls of a batch under way."""
ANSWER_BYTES: Final = 16 << 10
KEPT: Final = 200
"""Credentials whose connections are kept, as long as they have any; the one that was used longest ago goes first."""
MOST_UNUSABLE: Final = 1_000
UNUSABLE_KEPT_S: Final = 300
"""After this time it is looked for again what is wrong with a credential: its certificate may only seem to be over."""
NOW_OR_NEVER: Final = 0
"""As a time of expiry: a device that is off does not get it."""

_TOKEN: Final = re.compile(r"(?:[0-9A-Fa-f]{2}){1,200}")
_NO_TOKEN: Final = Said(Verdict.FAILED, "not a device token")


class Apns:
    """Apple's push service, for credentials with a certificate or with a key for tokens.

    Each credential has connections of its own, because Apple binds a connection to the first key it sees on it.
    """

    def __init__(self, outgoing: Outgoing, clock: Clock, settings: PushSettings) -> None:
        self._outgoing = outgoing
        self._clock = clock
        self._url = settings.apns_url
        self._sandbox_url = settings.apns_sandbox_url
        self._tokens = ProviderTokens(clock)
        self._silences = Silences()
        self._lines: OrderedDict[tuple[str, int], _Line] = OrderedDict()
        self._opening: WeakValueDictionary[tuple[str, int], asyncio.Lock] = WeakValueDictionary()
        self._unusable: OrderedDict[tuple[str, int], tuple[Said, int]] = OrderedDict()
        """With the times when they were looked at."""
        self._is_closed = False

    async def send(self, credential: OpenCredential, batch: Batch, course: Course | None = None) -> list[Outcome]:
        """See ``PushService``. A repeated push carries the same ``apns-id``."""
        line = STOPPING if self._is_closed else await self._line_of(credential)
        if isinstance(line, Said):
            return [line.of(push) for push in batch.pushes]
        try:
            return await self._send(line, credential.secrets, batch, course or Course())
        finally:
            await self._leave(line)

    async def close(self) -> None:
        """Connections end; what is under way fails, to be tried again."""
        self._is_closed = True
        while self._lines:
            await self._lines.popitem()[1].calls.close()

    async def _send(self, line: _Line, secrets: Secrets, batch: Batch, course: Course) -> list[Outcome]:
        expires_at_s = batch.expires_at_s if batch.expires_at_s * 1_000_000 > self._clock.now() else NOW_OR_NEVER
        sending = _Sending(batch, line, expires_at_s, asyncio.get_running_loop().time() + BATCH_S, course)
        if line.by_token:
            sending.token = await self._tokens.token_for(secrets)
            sending.headers = (("authorization", f"bearer {sending.token}"), *sending.headers)
        sending.of_all = self._silences.of(line.url)
        at_once = 1 if self._silences.is_silent(line.url) else AT_ONCE
        async with asyncio.TaskGroup() as group:
            for _ in range(min(at_once, len(batch.pushes))):
                group.create_task(self._work(sending, secrets))
        return sending.outcomes

    async def _work(self, sending: _Sending, secrets: Secrets) -> None:
        """Tells one device after the other, until all are told."""
        for push in sending.waiting:
            if self._is_closed or sending.line.calls.is_closed:
                said = STOPPING
            elif sending.of_all is not None:
                said = sending.of_all
            elif not _TOKEN.fullmatch(push.address):
                said = _NO_TOKEN
            else:
                said = await supervised(self._tell(push, sending, secrets), push)
            sending.outcomes.append(sending.course.hear(said.of(push)))

    async def _tell(self, push: Push, sending: _Sending, secrets: Secrets) -> Said:
        asked_at = self._silences.now()
        left_s = sending.until - asyncio.get_running_loop().time()
        if left_s <= 0:
            return OUT_OF_TIME
        call = Call(
            method="POST",
            url=f"{sending.line.url}/3/device/{push.address}",
            headers=(*sending.headers, ("apns-id", _id_of(sending.notice_sid, push.registration_sid))),
            body=sending.payload(push.badge),
            read_s=CALL_S,
            total_s=min(CALL_S, left_s),
            answer_limit_bytes=ANSWER_BYTES,
        )
        sending.course.asked.add(push.registration_sid)
        try:
            answer = await sending.line.calls.call(call)
        except CallFailed as failed:
            if failed.status is None:
                if left_s < CALL_S and failed.kind is FailureKind.TOTAL_TIMEOUT:
                    return CUT_OFF
                said = unanswered(failed)
                # Cut off by the end of the attempt, it has not had its time to answer.
                is_silent = left_s >= CALL_S and self._silences.unheard(sending.line.url, asked_at, failed.kind, said)
                if is_silent or failed.kind in UNREACHED or said.verdict is Verdict.FAILED:
                    sending.of_all = said
                return said
            answer = Answer(status=failed.status, headers=(), body=b"")  # only the reason was lost
        self._silences.heard(sending.line.url)
        if reason_of(answer) == EXPIRED and sending.token:
            wait_s = self._tokens.refuse(secrets, sending.token)
            why = ": see whether the clock of this machine is right" if wait_s else ""
            said = Said(
                Verdict.LATER, f"{answer.status} {EXPIRED}{why}", after_s=wait_s or None, is_alarming=bool(wait_s)
            )
            sending.of_all = said
            return said
        said = said_by(answer, self._clock.now())
        if is_of_all(said, answer):
            sending.of_all = said
        return said

    async def _line_of(self, credential: OpenCredential) -> _Line | Said:
        """What this version of the credential sends on, or why it cannot send."""
        name = (credential.sid, credential.updated_at)
        # Each credential has its own: a key that takes long to be read holds up nobody else's.
        async with self._opening.setdefault(name, asyncio.Lock()):
            line = self._lines.get(name)
            if line is not None and line.ends_at is not None and line.ends_at < self._clock.now():
                await self._drop(name)
                line = None  # which says why
            if line is None:
                known = self._known_unusable(name)
                if known is not None:
                    return known
                # Reads keys, and loads what reads them.
                found = await asyncio.to_thread(_examined, credential, self._clock.now())
                if isinstance(found, Said):
                    self._keep_unusable(name, found)
                    return found
                if self._is_closed:
                    return STOPPING
                url = self._sandbox_url if credential.sandbox else self._url
                line = _Line(url, found, self._outgoing.multiplexed(url, found.certificate))
                self._lines[name] = line
            self._lines.move_to_end(name)
            line.users += 1
        try:
            await self._make_room(name)
        except BaseException:
            await self._leave(line)
            raise
        return line

    def _known_unusable(self, name: tuple[str, int]) -> Said | None:
        said, seen_at = self._unusable.get(name, (None, 0))
        # A clock that was put back must not keep it for longer.
        return said if 0 <= self._clock.now() - seen_at < UNUSABLE_KEPT_S * 1_000_000 else None

    def _keep_unusable(self, name: tuple[str, int], said: Said) -> None:
        self._unusable[name] = said, self._clock.now()
        self._unusable.move_to_end(name)
        if len(self._unusable) > MOST_UNUSABLE:
            self._unusable.popitem(last=False)

    async def _make_room(self, new: tuple[str, int]) -> None:
        """The connections of earlier versions end when nobody uses them any more, and those of the longest unused."""
        gone = [name for name in self._lines if name[0] == new[0] and name[1] < new[1]]
        gone += [name for name in self._lines if name not in gone][: max(len(self._lines) - len(gone) - KEPT, 0)]
        for name in gone:
            if name in self._lines:  # nobody else has dropped it while others were closed
                await self._drop(name)

    async def _leave(self, line: _Line) -> None:
        line.users -= 1
        if line.is_outdated and not line.users:
            await line.calls.close()

    async def _drop(self, name: tuple[str, int]) -> None:
        line = self._lines.pop(name)
        line.is_outdated = True
        if not line.users:
            await line.calls.close()


class _Identity:
    """What a credential proves itself with, and for which application."""

    __slots__ = ("certificate", "topic")

    def __init__(self, certificate: ClientCertificate | None, topic: str | None) -> None:
        self.certificate = certificate
        self.topic = topic


class _Line:
    """The connections of one credential."""

    __slots__ = ("by_token", "calls", "ends_at", "is_outdated", "topic", "url", "users")

    def __init__(self, url: str, identity: _Identity, calls: Multiplexed) -> None:
        self.url = url
        self.by_token = identity.certificate is None
        self.topic = identity.topic
        self.ends_at = None if identity.certificate is None else ends_at(identity.certificate.certificate)
        self.calls = calls
        self.users = 0
        self.is_outdated = False


class _Sending:
    """A batch under way."""

    __slots__ = (
        "_content",
        "_payloads",
        "course",
        "headers",
        "line",
        "notice_sid",
        "of_all",
        "outcomes",
        "token",
        "until",
        "waiting",
    )

    def __init__(self, batch: Batch, line: _Line, expires_at_s: int, until: float, course: Course) -> None:
        is_badge = batch.content.kind is PushKind.BADGE
        self.line = line
        self.notice_sid = batch.notice_sid
        self.waiting: Iterator[Push] = iter(batch.pushes)
        self.until = until
        self.course = course
        self.token = ""
        topic = () if line.topic is None else (("apns-topic", line.topic),)
        self.headers: tuple[tuple[str, str], ...] = (
            *topic,
            # A badge is for Apple an alert too, if one that shows nothing: `background` may not carry it.
            ("apns-push-type", "alert"),
            ("apns-priority", "5" if is_badge else "10"),
            ("apns-expiration", str(expires_at_s)),
        )
        self.outcomes: list[Outcome] = []
        self.of_all: Said | None = None
        """What is true of all that are left, once it is known."""
        self._content: PushContent = batch.content
        self._payloads: dict[int | None, bytes] = {}

    def payload(self, badge: int | None) -> bytes:
        """The same bytes for all with the same badge."""
        payload = self._payloads.get(badge)
        if payload is None:
            payload = self._payloads[badge] = apns_payload(self._content, self.notice_sid, badge)
        return payload


def _id_of(notice_sid: str, registration_sid: str) -> str:
    """A UUID, the same at every attempt."""
    text = hashlib.blake2b(f"{notice_sid} {registration_sid}".encode(), digest_size=16).hexdigest()
    return f"{text[:8]}-{text[8:12]}-8{text[13:16]}-a{text[17:20]}-{text[20:]}"  # version 8: of our own making


def _examined(credential: OpenCredential, now: int) -> _Identity | Said:
    why = why_unusable(credential, now)
    if why is not None:
        return unusable(why)
    secrets = credential.secrets
    if not secrets.certificate:
        return _Identity(None, secrets.topic)
    certificate = ClientCertificate(certificate=secrets.certificate, private_key=secrets.private_key or "")
    return _Identity(certificate, secrets.topic or _topic_in(secrets.certificate))


def _topic_in(certificate: str) -> str | None:
    """The application that a certificate of Apple's is for: the UID of its subject."""
    from cryptography import x509

    subject = x509.load_pem_x509_certificates(certificate.encode())[0].subject
    found = [str(part.value) for part in subject.get_attributes_for_oid(x509.NameOID.USER_ID)]
    return found[0] if found and found[0].isascii() and found[0].isprintable() and " " not in found[0] else None
