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

from .access_tokens import REFUSED_TOKENS, AccessTokens, NoToken
from .answers import BATCH_S, CALL_S, OUT_OF_TIME, STOPPING, Said, unanswered, unusable
from .fcm_answers import said_by
from .payloads import data_of
from .service import Batch, OpenCredential, Outcome, Push, Unusable, Verdict
from .service_accounts import ServiceAccount, service_account_in

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
        # Of each account, while batches of it are under way.
        self._turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._is_closed = False

    async def send(self, credential: OpenCredential, batch: Batch) -> list[Outcome]:
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
        )
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
            async with asyncio.timeout_at(sending.until), sending.turns:
                said = await self._attempt(push, sending)
        except TimeoutError:
            said = OUT_OF_TIME
        except NoToken as none:
            said = none.said
        return said.of(push)

    async def _attempt(self, push: Push, sending: _Sending) -> Said:
        for _ in range(2):
            if self._is_closed:
                return STOPPING
            # Nobody is there: the others of the batch need not wait for the same.
            if sending.unreached is not None:
                return sending.unreached
            token = await self._tokens.token_for(sending.credential, sending.account)
            said = await self._post(push, token, sending)
            if said is not None:
                return said
            # It may have been withdrawn before its time: one more attempt, with a new one.
            self._tokens.refuse(sending.credential, token)
        return unusable(REFUSED_TOKENS)

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
        try:
            answer = await self._outgoing.call(call)
        except CallFailed as failed:
            if failed.status == 200:  # it has taken the push, and only its name for it was lost
                return said_by(Answer(status=200, headers=(), body=b""), self._clock.now())
            said = unanswered(failed)
            if failed.kind.nothing_sent and failed.kind is not FailureKind.BUSY:
                sending.unreached = said
            return said
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

    __slots__ = ("account", "android", "credential", "data", "turns", "unreached", "until", "url")

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
        self.unreached: Said | None = None
        """Why there was no connection."""
