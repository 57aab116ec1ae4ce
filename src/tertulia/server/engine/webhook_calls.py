"""One call to a webhook's receiver: what is sent, signed how, within which times (semantics 1.3, 1.7, 1.8)."""

from __future__ import annotations

import time
from typing import Final
from urllib.parse import quote_plus, urlencode, urlsplit, urlunsplit

import msgspec

from tertulia.server import tracing
from tertulia.server.domain.webhooks import Parameters
from tertulia.server.outgoing import Answer, Call, CallFailed, FailureKind, Outgoing
from tertulia.wire import signatures
from tertulia.wire.webhook_urls import Overrides, RetryOn, read_webhook_url

from .identities import Identities

TOTAL_S: Final = 5.0
"""The longest a receiver may take for one try; a pre-action hook, for all its tries."""
FORM: Final = "application/x-www-form-urlencoded; charset=utf-8"
IDEMPOTENCY: Final = "I-Twilio-Idempotency-Token"
ONE_RETRY: Final = 1
ON_CONNECTING: Final = frozenset({RetryOn.CONNECT_TIMEOUT})


class WebhookCall(msgspec.Struct, frozen=True, kw_only=True):
    """What one receiver is to be told."""

    account_sid: str
    """Whose auth token signs it."""
    url: str
    """As configured: credentials in it are sent as HTTP Basic, overrides in its fragment are obeyed and not sent."""
    method: str
    parameters: Parameters
    token: str
    """The same on every try, so that the receiver can drop repeats."""

    @property
    def receiver(self) -> str:
        """Scheme, host and port: what may be said of the URL."""
        return Call(method=self.method, url=self.url).receiver


class Failure(msgspec.Struct, frozen=True):
    """How a try failed: without an answer, or with one that is no success."""

    kind: FailureKind | None
    status: int | None

    def is_worth_a_retry(self, overrides: Overrides) -> bool:
        """What the fragment's policy says; connect timeouts where it says nothing (semantics 1.8)."""
        policy = overrides.policy or ON_CONNECTING
        if self.kind is None:
            status = self.status or 0
            return (RetryOn.CLIENT_ERROR in policy and 400 <= status < 500) or (
                RetryOn.SERVER_ERROR in policy and status >= 500
            )
        if self.kind.nothing_sent:
            return RetryOn.CONNECT_TIMEOUT in policy
        return RetryOn.READ_TIMEOUT in policy


class WebhookCalls:
    """Calls receivers, in the name of their accounts."""

    def __init__(self, outgoing: Outgoing, identities: Identities) -> None:
        self._outgoing = outgoing
        self._identities = identities

    async def once(self, call: WebhookCall, number: int, total_s: float = TOTAL_S) -> Answer:
        """The answer to try ``number`` (from 1), whatever its status; raises ``CallFailed``."""
        url, overrides = read_webhook_url(call.url)
        key = await self._identities.key(call.account_sid)
        if key is None or key.is_suspended:
            raise CallFailed(FailureKind.BAD_REQUEST, call.receiver, "the account is gone or suspended")
        parameters: Parameters = (*call.parameters, ("RetryCount", str(number - 1)))
        body, signed = b"", parameters
        if call.method == "GET":
            url, signed = _with_query(url, parameters), ()
        else:
            body = urlencode(parameters).encode()
        headers = [(IDEMPOTENCY, call.token), (signatures.HEADER, signatures.sign(url, signed, key.secret))]
        if call.method != "GET":
            headers.append(("Content-Type", FORM))
        if tracing.active is not None and (traceparent := tracing.active.traceparent()) is not None:
            headers.append((tracing.HEADER, traceparent))
        return await self._outgoing.call(
            Call(
                method=call.method,
                url=url,
                headers=tuple(headers),
                body=body,
                account_sid=call.account_sid,
                connect_s=_seconds(overrides.connect_ms, total_s),
                read_s=_seconds(overrides.read_ms, total_s),
                total_s=_seconds(overrides.total_ms, total_s),
            )
        )

    async def patiently(self, call: WebhookCall) -> Answer:
        """As ``once``; tried again as the URL's fragment says, all within five seconds (semantics 1.8)."""
        _, overrides = read_webhook_url(call.url)
        tries = 1 + retries_of(overrides)
        ends = time.monotonic() + _seconds(overrides.total_ms, TOTAL_S)
        for number in range(1, tries + 1):
            is_last = number == tries
            try:
                answer = await self.once(call, number, max(ends - time.monotonic(), 0.05))
            except CallFailed as failed:
                if is_last or not Failure(failed.kind, failed.status).is_worth_a_retry(overrides):
                    raise
            else:
                if is_last or answer.status < 300 or not Failure(None, answer.status).is_worth_a_retry(overrides):
                    return answer
            if time.monotonic() >= ends:
                raise CallFailed(FailureKind.TOTAL_TIMEOUT, call.receiver, "no time is left for another try")
        raise AssertionError("the last try returns or raises")


def retries_of(overrides: Overrides) -> int:
    """How often the fragment lets us try again: once where it says anything at all but that, else not."""
    if overrides.retries is not None:
        return overrides.retries
    return ONE_RETRY if overrides != Overrides() else 0


def _with_query(url: str, parameters: Parameters) -> str:
    """The parameters behind those that the URL has already."""
    parts = urlsplit(url)
    query = urlencode(parameters, quote_via=quote_plus)
    return urlunsplit(parts._replace(query=f"{parts.query}&{query}" if parts.query else query))


def _seconds(milliseconds: int | None, most_s: float) -> float:
    return most_s if milliseconds is None else min(milliseconds / 1000, most_s)
