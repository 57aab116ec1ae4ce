"""Google's push service (gateways 8.9): a call for each device, as data messages."""

from __future__ import annotations

import asyncio
from typing import Final
from urllib.parse import quote
from weakref import WeakValueDictionary

import msgspec

from tertulia.server.clock import Clock
from tertulia.server.domain.push_content import PushKind
from tertulia.server.outgoing import Answer, Call, CallFailed, FailureKind, Outgoing
from tertulia.server.settings.push import PushSettings

from .access_tokens import AccessTokens, NoToken
from .answers import BATCH_S, CALL_S, STOPPING, Said, late, supervised, unanswered, unusable
from .fcm_answers import said_by
from .payloads import data_of
from .service import Batch, Course, OpenCredential, Outcome, Push, Unusable, Verdict
from .service_accounts import ServiceAccount, service_account_in
from .silences import Silences

AT_ONCE: Final = 16
"""Calls of one account under way. Fewer than the 20 that it has to one host by default, so that a call does not spend
its time waiting for a slot, and a third of the 50 that it has in all, so that its webhooks have theirs."""
LONGEST_TTL_S: Final = 28 * 24 * 3600
"""Google refuses more."""

_NO_BADGE: Final = Said(Verdict.SENT, "nothing to send: devices of this kind have no badge")


class Fcm:
    """Google's push service, for credentials with a service account. Old server keys cannot send."""

    def __init__(self, outgoing: Outgoing, clock: Clock, settings: PushSettings) -> None:
        self._outgoing = outgoing
        self._clock = clock
        self._url = settings.fcm_url
        self._tokens = AccessTokens(outgoing, clock)
        self._silences = Silences()
        # Of each account, while batches of it are under way.
        self._turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._is_closed = False

    async def send(self, credential: OpenCredential, batch: Batch, course: Course | None = None) -> list[Outcome]:
        if batch.content.kind is PushKind.BADGE:
            return [_NO_BADGE.of(push) for push in batch.pushes]
        try:
            account = service_account_in(credential.secrets)
        except Unusable as why:
            return [unusable(str(why)).of(push) for push in batch.pushes]
        sending = _Sending(
            credential,
            account,
            url=f"{self._url}/v1/projects/{quote(account.project_id, safe='')}/messages:send",
            data=msgspec.Raw(msgspec.json.encode(data_of(batch.content, batch.notice_sid))),
            android=self._android(batch),
            turns=self._turns.setdefault(credential.account_sid, asyncio.Semaphore(AT_ONCE)),
            until=asyncio.get_running_loop().time() + BATCH_S,
            unreached=self._silences.of(self._url),
            course=course or Course(),
        )
        if self._silences.is_silent(self._url):
            sending.turns = asyncio.Semaphore(1)  # this one finds out whether it is back
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._tell(push, sending)) for push in batch.pushes]
        return [task.result() for task in tasks]

    async def close(self) -> None:
        """No call is begun any more. Those under way end with the ``Outgoing`` that makes them."""
        self._is_closed = True

    def _android(self, batch: Batch) -> _Android:
        left_s = batch.expires_at_s - self._clock.now() // 1_000_000
        # What has just expired is delivered now or never.
        return _Android(priority="HIGH", ttl=f"{min(max(left_s, 0), LONGEST_TTL_S)}s")

    async def _tell(self, push: Push, sending: _Sending) -> Outcome:
        try:
            async with asyncio.timeout_at(sending.until):
                said = await supervised(self._attempt(push, sending), push)
        except TimeoutError:
            said = late(push, sending.course)
        return sending.course.hear(said.of(push))

    async def _attempt(self, push: Push, sending: _Sending) -> Said:
        refused = STOPPING
        for _ in range(2):
            if self._is_closed:
                return STOPPING
            # A batch that need not ask does not need a token either.
            if sending.unreached is not None:
                return sending.unreached
            try:
                # Nobody holds a turn while it waits for a token: other credentials of the account may have theirs.
                token = await self._tokens.token_for(sending.credential, sending.account)
            except NoToken as none:
                return none.said
            async with sending.turns:
                said = await self._told(push, token, sending)
            if said is not None:
                return said
            # It may have been withdrawn before its time: one more attempt, with a new one.
            refused = self._tokens.refuse(sending.credential, token)
        return refused

    async def _told(self, push: Push, token: str, sending: _Sending) -> Said | None:
        """What becomes of the push whose turn it is; None where the access token was refused."""
        if self._is_closed:
            return STOPPING
        # Nobody is there: the others of the batch need not wait for the same.
        if sending.unreached is not None:
            return sending.unreached
        said = await self._post(push, token, sending)
        if said is not None and said.verdict is not Verdict.LATER:
            self._tokens.accept(sending.credential)
        return said

    async def _post(self, push: Push, token: str, sending: _Sending) -> Said | None:
        """What becomes of the push; None where the access token was refused."""
        message = _Message(token=push.address, data=sending.data, android=sending.android)
        call = Call(
            method="POST",
            url=sending.url,
            headers=(("Authorization", f"Bearer {token}"), ("Content-Type", "application/json")),
            body=msgspec.json.encode({"message": message}),
            account_sid=sending.credential.account_sid,
            read_s=CALL_S,
            total_s=CALL_S,
        )
        asked_at = self._silences.now()
        sending.course.asked.add(push.registration_sid)
        try:
            answer = await self._outgoing.call(call)
        except CallFailed as failed:
            if failed.status is not None:
                self._silences.heard(self._url)
            if failed.status == 200:  # it has taken the push, and only its name for it was lost
                return said_by(Answer(status=200, headers=(), body=b""), self._clock.now())
            said = unanswered(failed)
            is_silent = failed.status is None and self._silences.unheard(self._url, asked_at, failed.kind, said)
            if is_silent or (failed.kind.nothing_sent and failed.kind is not FailureKind.BUSY):
                sending.unreached = said
            return said
        self._silences.heard(self._url)
        return said_by(answer, self._clock.now())


class _Android(msgspec.Struct, frozen=True):
    priority: str
    ttl: str


class _Message(msgspec.Struct, frozen=True):
    token: str
    data: msgspec.Raw
    android: _Android


class _Sending:
    """A batch under way."""

    __slots__ = ("account", "android", "course", "credential", "data", "turns", "unreached", "until", "url")

    def __init__(
        self,
        credential: OpenCredential,
        account: ServiceAccount,
        *,
        url: str,
        data: msgspec.Raw,
        android: _Android,
        turns: asyncio.Semaphore,
        until: float,
        unreached: Said | None,
        course: Course,
    ) -> None:
        self.credential = credential
        self.account = account
        self.url = url
        self.data = data
        """The same for all, encoded."""
        self.android = android
        self.turns = turns
        self.until = until
        """When the attempt has to be over, by the loop's clock."""
        self.course = course
        self.unreached = unreached
        """Why nobody is asked any more: there was no connection, or no answer."""
