"""Who asks: Basic credentials of an account, or a client's access token (rest 1.2, semantics 3.1)."""

from __future__ import annotations

import binascii
import contextlib
from collections.abc import Callable
from typing import Final

import msgspec

from tertulia.server.bus.base import KeysChanged, Publication, ServiceGone
from tertulia.server.clock import Clock
from tertulia.server.domain.callers import Caller, account, identity
from tertulia.server.domain.errors import (
    SERVICE_NOT_PERMITTED,
    UNAUTHENTICATED,
    Forbidden,
    TertuliaError,
    Unauthenticated,
)
from tertulia.server.domain.push import USE_NOTED_US, NotePushUse
from tertulia.server.domain.users import ConnectUser
from tertulia.server.engine.engine import Engine
from tertulia.server.engine.identities import Identities
from tertulia.server.engine.queries import Queries
from tertulia.server.settings import TokensSettings
from tertulia.wire.tokens import Claims, TokenRefused, TokenRules, key_named_by, verify

_TOKENS_REMEMBERED: Final = 10_000


async def basic(identities: Identities, authorization: str | None) -> Caller:
    """The account that ``Authorization: Basic`` speaks for; raises 20003 when it speaks for none."""
    scheme, _, credentials = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        raise UNAUTHENTICATED()
    try:
        user, separator, password = binascii.a2b_base64(credentials.strip(), strict_mode=True).decode().partition(":")
    except (binascii.Error, ValueError):
        raise UNAUTHENTICATED() from None
    account_sid = await identities.account_of(user, password) if separator else None
    if account_sid is None:
        raise UNAUTHENTICATED()
    return account(account_sid)


class _Good(msgspec.Struct, frozen=True):
    claims: Claims
    until_s: float


def user(claims: Claims, mutation_id: str | None = None) -> Caller:
    """The caller a good token stands for."""
    return identity(
        claims.account_sid,
        claims.service_sid,
        claims.identity,
        mutation_id=mutation_id,
        endpoint_id=claims.endpoint_id,
        push_credential_sid=claims.push_credential_sid,
    )


class AccessTokens:
    """Judges access tokens, and remembers the good ones for a while.

    A token is believed as long as its key is (``tokens.recheck_s``), so what is revoked elsewhere may pass for
    twice that.
    """

    def __init__(
        self, identities: Identities, engine: Engine, queries: Queries, clock: Clock, settings: TokensSettings
    ) -> None:
        self._identities = identities
        self._engine = engine
        self._queries = queries
        self._clock = clock
        self._rules = TokenRules(settings.min_ttl_s, settings.max_ttl_s, settings.leeway_s)
        self._believed_s = settings.recheck_s
        self._good: dict[str, _Good] = {}

    def receive(self, publication: Publication) -> None:
        """What this node has believed of credentials that have changed is forgotten."""
        if isinstance(publication, KeysChanged | ServiceGone):
            # Another one: what is being judged by what was true before goes into the old one.
            self._good = {}

    async def admit(self, token: str, let_in: Callable[[Claims], None] | None = None) -> Claims:
        """What a good token says; its user exists from now on (semantics 3.3). Raises ``TokenRefused``.

        ``let_in`` hears of it before anything is written, and may raise.
        """
        claims = await self.claims(token)
        if let_in is not None:
            let_in(claims)
        if not await self._queries.has_user(claims.service_sid, claims.identity):
            wish = ConnectUser(
                service=claims.service_sid,
                identity=claims.identity,
                deployment_role_sid=claims.deployment_role_sid,
            )
            await self._engine.execute(user(claims), wish)
        elif claims.endpoint_id is not None and claims.push_credential_sid is not None:
            await self._note_use(claims, claims.endpoint_id)
        return claims

    async def _note_use(self, claims: Claims, endpoint_id: str) -> None:
        """What the device has registered for push lives for another year (semantics 7.2). Written once a day."""
        before = self._clock.now() - USE_NOTED_US
        if await self._queries.of_account.is_push_use_due(claims.service_sid, claims.identity, endpoint_id, before):
            # A database that cannot write now must keep nobody out.
            with contextlib.suppress(TertuliaError):
                await self._engine.execute(user(claims), NotePushUse())

    def _remembered(self, token: str) -> Claims | None:
        good = self._good.get(token)
        return good.claims if good is not None and self._clock.now() / 1_000_000 < good.until_s else None

    async def claims(self, token: str) -> Claims:
        """What a good token says. Raises ``TokenRefused`` with the codes of semantics 3.1, 20403 among them."""
        known, good = self._remembered(token), self._good
        if known is not None:
            return known
        key_sid = key_named_by(token) if token else None
        key = await self._identities.key(key_sid) if key_sid is not None and key_sid.startswith("SK") else None
        now_s = self._clock.now() / 1_000_000
        keys = {key_sid: (key.account_sid, key.secret)} if key is not None and key_sid is not None else {}
        claims = verify(token, keys.get, now_s, self._rules)
        is_suspended = key is not None and key.is_suspended
        if is_suspended or not await self._identities.has_service(claims.account_sid, claims.service_sid):
            raise TokenRefused(403, SERVICE_NOT_PERMITTED.code, SERVICE_NOT_PERMITTED.text)
        if len(good) >= _TOKENS_REMEMBERED:
            good.clear()
        good[token] = _Good(claims, min(claims.expires_at, now_s + self._believed_s))
        return claims


def refusal(refused: TokenRefused) -> Forbidden | Unauthenticated:
    """A refused token as the answer to a request."""
    family = Forbidden if refused.status == 403 else Unauthenticated
    return family(refused.code, refused.message)
