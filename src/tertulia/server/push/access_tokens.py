"""Access tokens of Google: asked for with a service account, kept until shortly before they expire (gateways 8.9)."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

import msgspec

from tertulia.server.clock import Clock
from tertulia.server.outgoing import Answer, Call, CallFailed, Outgoing

from .answers import Said, asked_wait_s, is_passing, name_in, read, unanswered, unusable
from .service import OpenCredential, Unusable, Verdict
from .service_accounts import ServiceAccount, signing_key

if TYPE_CHECKING:
    from joserfc.jwk import RSAKey

SCOPE: Final = "https://www.googleapis.com/auth/firebase.messaging"
GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
ASSERTION_S: Final = 3600
"""The longest life that Google accepts."""
RENEWED_BEFORE_S: Final = 60
FAILURE_KEPT_S: Final = 5
"""For so long a failure is the answer to everybody: an account that is refused does not hammer."""
REPLACED_ONCE_IN_S: Final = 60
"""A second token refused within this time is not replaced again for some seconds: it may be the account that is
refused, not the token."""
ALARMING_AFTER_S: Final = 60
"""Google may refuse good tokens for a moment. For so long it is nobody's business."""
LONGEST_LIFE_S: Final = 24 * 3600
ASKED_S: Final = 10.0
KEPT: Final = 1_000
"""Of so many credentials something is remembered; of the one that was used longest ago no more."""

_BEARER: Final = re.compile(r"[A-Za-z0-9._~+/=-]{1,32768}")
"""What can be put into a header (RFC 6750, 2.1)."""
_LIFE: Final = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")
_SECOND: Final = 1_000_000

_FINAL: Final = frozenset(
    (
        "access_denied",
        "account_deleted",
        "account_disabled",
        "deleted_client",
        "disabled_client",
        "invalid_client",
        "invalid_grant",
        "invalid_request",
        "invalid_scope",
        "unauthorized_client",
        "unsupported_grant_type",
    )
)
"""What is said of an account, or of what it asks (RFC 6749, 5.2): another attempt is told the same. Without a reason
it may have been something on the way that refused."""

REFUSED_TOKENS: Final = (
    "401: Google refuses the access tokens of this service account; make sure that it belongs to the Firebase project"
)


class NoToken(Exception):
    """There is no access token now; ``said`` is what becomes of the pushes that needed it."""

    def __init__(self, said: Said) -> None:
        super().__init__(said.answer)
        self.said = said


class _Kept:
    """What is known of one version of a credential."""

    __slots__ = (
        "asking",
        "failed_at",
        "failure",
        "good_until",
        "key",
        "refused_since",
        "replaced_at",
        "token",
        "unusable",
    )

    def __init__(self) -> None:
        self.asking = asyncio.Lock()
        self.key: RSAKey | None = None
        """To read it takes a while."""
        self.unusable: str | None = None
        self.token = ""
        self.good_until = 0
        self.failure: Said | None = None
        self.failed_at = 0
        self.replaced_at: int | None = None
        self.refused_since: int | None = None

    def fail(self, said: Said, now: int) -> None:
        self.token, self.failure, self.failed_at = "", said, now


class AccessTokens:
    """The access tokens of all service accounts, each of them asked for by one request however many wait for it."""

    def __init__(self, outgoing: Outgoing, clock: Clock) -> None:
        self._outgoing = outgoing
        self._clock = clock
        self._kept: dict[tuple[str, int], _Kept] = {}

    async def token_for(self, credential: OpenCredential, account: ServiceAccount) -> str:
        """A token that is good for a minute at least, unless Google gives only shorter ones; raises ``NoToken``.

        Whoever is cancelled while it asks leaves the asking to the next one who waits.
        """
        kept = self._of(credential)
        async with kept.asking:
            now = self._clock.now()
            if kept.token and now < kept.good_until:
                return kept.token
            # A clock that was put back must not keep a failure for longer.
            if kept.failure is not None and 0 <= now - kept.failed_at < FAILURE_KEPT_S * _SECOND:
                raise NoToken(kept.failure)
            kept.token, kept.failure = "", None
            try:
                grant = await self._ask(kept, credential, account)
            except NoToken as refused:
                kept.fail(refused.said, self._clock.now())
                raise
            life_s = max(min(_life_s(grant), LONGEST_LIFE_S) - RENEWED_BEFORE_S, FAILURE_KEPT_S)
            kept.token, kept.good_until = grant.access_token, now + int(life_s * _SECOND)
            return kept.token

    def refuse(self, credential: OpenCredential, token: str) -> Said:
        """The service does not accept this token: throw it away, so that the next who needs one asks anew.

        If its predecessor was thrown away just before, nobody gets one for some seconds. What becomes of a push that
        is not tried again at once; that is alarming where tokens have been refused for a minute.
        """
        kept, now = self._of(credential), self._clock.now()
        if kept.refused_since is None or now < kept.refused_since:
            kept.refused_since = now
        is_alarming = now - kept.refused_since >= ALARMING_AFTER_S * _SECOND
        said = Said(Verdict.LATER, REFUSED_TOKENS, is_alarming=is_alarming)
        if kept.token != token:
            return said  # somebody else has thrown it away already
        if kept.replaced_at is not None and 0 <= now - kept.replaced_at < REPLACED_ONCE_IN_S * _SECOND:
            kept.fail(said, now)
        else:
            kept.token = ""
        kept.replaced_at = now
        return said

    def accept(self, credential: OpenCredential) -> None:
        """The service has accepted a token of this credential."""
        self._of(credential).refused_since = None

    def _of(self, credential: OpenCredential) -> _Kept:
        key = credential.sid, credential.updated_at
        kept = self._kept.pop(key, None) or _Kept()
        self._kept[key] = kept  # at the end: it was used last
        if len(self._kept) > KEPT:
            del self._kept[next(iter(self._kept))]
        return kept

    async def _ask(self, kept: _Kept, credential: OpenCredential, account: ServiceAccount) -> _Grant:
        try:
            assertion = await asyncio.to_thread(_assertion, kept, account, self._clock.now() // _SECOND)
        except Unusable as why:
            raise NoToken(unusable(str(why))) from None
        call = Call(
            method="POST",
            url=account.token_uri,
            headers=(("Content-Type", "application/x-www-form-urlencoded"), ("Accept", "application/json")),
            body=urlencode({"grant_type": GRANT, "assertion": assertion}).encode(),
            account_sid=credential.account_sid,
            read_s=ASKED_S,
            total_s=ASKED_S,
        )
        try:
            answer = await self._outgoing.call(call)
        except CallFailed as failed:
            said = unanswered(failed)
            raise NoToken(msgspec.structs.replace(said, answer=f"no access token: {said.answer}")) from None
        if answer.status == 200:
            return _granted(answer)
        raise NoToken(_refusal(answer, self._clock.now()))


class _Grant(msgspec.Struct, frozen=True):
    access_token: str
    expires_in: float | str | None = None
    """In seconds. Some say it as text."""


class _Refusal(msgspec.Struct, frozen=True):
    error: str = ""


_grant = msgspec.json.Decoder(_Grant).decode
_reason = msgspec.json.Decoder(_Refusal).decode
_NO_GRANT: Final = _Grant("")
_NO_REASON: Final = _Refusal()


def _assertion(kept: _Kept, account: ServiceAccount, now_s: int) -> str:
    """What the account asks with, signed (RFC 7523); raises ``Unusable``. Runs in a thread."""
    if kept.unusable is not None:
        raise Unusable(kept.unusable)
    from joserfc import jws
    from joserfc.jwk import RSAKey

    header = {"alg": "RS256", "kid": account.private_key_id, "typ": "JWT"}
    claims = {
        "iss": account.client_email,
        "scope": SCOPE,
        "aud": account.token_uri,
        "iat": now_s,
        "exp": now_s + ASSERTION_S,
    }
    if kept.key is None:
        try:
            kept.key = RSAKey.import_key(signing_key(account))
        except Unusable as why:
            kept.unusable = str(why)
            raise
    return jws.serialize_compact(header, msgspec.json.encode(claims), kept.key, algorithms=["RS256"])


def _granted(answer: Answer) -> _Grant:
    grant = read(_grant, answer.body, _NO_GRANT)
    if not _BEARER.fullmatch(grant.access_token):
        raise NoToken(unusable("no access token: what answers at the service account's token_uri gives none"))
    return grant


def _life_s(grant: _Grant) -> float:
    """How long the token lives, as far as that can be read: else as long as one may be asked for."""
    if isinstance(grant.expires_in, str):
        return float(grant.expires_in) if _LIFE.fullmatch(grant.expires_in) else float(ASSERTION_S)
    return float(ASSERTION_S) if grant.expires_in is None else max(grant.expires_in, 0.0)


def _refusal(answer: Answer, now: int) -> Said:
    """Why there is none, by the codes of OAuth (RFC 6749, 5.2)."""
    reason = name_in(read(_reason, answer.body, _NO_REASON).error)
    text = f"no access token: {answer.status} {reason}".rstrip()
    if is_passing(answer.status) or reason not in _FINAL:
        is_alarming = not is_passing(answer.status)
        return Said(Verdict.LATER, text, after_s=asked_wait_s(answer, now), is_alarming=is_alarming)
    if reason == "invalid_grant":
        text += ": the service account or its key was removed, or the clock of this machine is wrong"
    return unusable(text)
