"""Who asks: Basic credentials of an account, or a client's access token (rest 1.2, semantics 3.1)."""

from __future__ import annotations

import binascii
from typing import Final

import msgspec

from tertulia.server.clock import Clock
from tertulia.server.domain.callers import Caller, account, identity
from tertulia.server.domain.errors import SERVICE_NOT_PERMITTED, UNAUTHENTICATED, Forbidden, Unauthenticated
from tertulia.server.domain.users import ConnectUser
from tertulia.server.engine.engine import Engine
from tertulia.server.engine.identities import Identities
from tertulia.server.engine.queries import Queries
from tertulia.server.settings import TokensSettings
from tertulia.wire.tokens import Claims, TokenRefused, TokenRules, key_named_by, verify

_TOKENS_REMEMBERED: Final = 10_000
_BELIEVED_S: Final = 30
"""How long a good token is believed without a look at its key: half of what semantics 3.1 allows after a revocation."""


async def basic(identities: Identities, authorization: str | None, *, hooks: bool) -> Caller:
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
    return account(account_sid, hooks=hooks)


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
    """Judges access tokens, and remembers the good ones for half a minute."""

    def __init__(
        self, identities: Identities, engine: Engine, queries: Queries, clock: Clock, settings: TokensSettings
    ) -> None:
        self._identities = identities
        self._engine = engine
        self._queries = queries
        self._clock = clock
        self._rules = TokenRules(settings.min_ttl_s, settings.max_ttl_s, settings.leeway_s)
        self._good: dict[str, _Good] = {}

    async def admit(self, token: str) -> Claims:
        """What a good token says; its user exists from now on (semantics 3.3). Raises ``TokenRefused``."""
        claims = await self.claims(token)
        if not await self._queries.has_user(claims.service_sid, claims.identity):
            wish = ConnectUser(
                service=claims.service_sid,
                identity=claims.identity,
                deployment_role_sid=claims.deployment_role_sid,
            )
            await self._engine.execute(user(claims), wish)
        return claims

    def _remembered(self, token: str) -> Claims | None:
        good = self._good.get(token)
        return good.claims if good is not None and self._clock.now() / 1_000_000 < good.until_s else None

    async def claims(self, token: str) -> Claims:
        """What a good token says. Raises ``TokenRefused`` with the codes of semantics 3.1, 20403 among them."""
        known = self._remembered(token)
        if known is not None:
            return known
        key_sid = key_named_by(token) if token else None
        key = await self._identities.key(key_sid) if key_sid is not None and key_sid.startswith("SK") else None
        now_s = self._clock.now() / 1_000_000
        keys = {key_sid: (key.account_sid, key.secret)} if key is not None and key_sid is not None else {}
        claims = verify(token, keys.get, now_s, self._rules)
        if not await self._identities.has_service(claims.account_sid, claims.service_sid):
            raise TokenRefused(403, SERVICE_NOT_PERMITTED.code, SERVICE_NOT_PERMITTED.text)
        if len(self._good) >= _TOKENS_REMEMBERED:
            self._good.clear()
        self._good[token] = _Good(claims, min(claims.expires_at, now_s + _BELIEVED_S))
        return claims


def refusal(refused: TokenRefused) -> Forbidden | Unauthenticated:
    """A refused token as the answer to a request."""
    family = Forbidden if refused.status == 403 else Unauthenticated
    return family(refused.code, refused.message)
