"""Provider tokens: what an account proves itself with to Apple in place of a certificate (gateways 8.8)."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from typing import Final

from tertulia.server.clock import Clock
from tertulia.server.domain.credentials import Secrets

RENEWED_AFTER_S: Final = 40 * 60
"""Apple takes none that is older than an hour."""
NOT_BEFORE_S: Final = 20 * 60
"""Apple takes no new one that follows the last sooner; nobody makes us do it."""
KEPT: Final = 1_000
"""Tokens; the one that was used longest ago goes first."""

_SECOND: Final = 1_000_000


class _Kept:
    __slots__ = ("is_refused", "made_at", "making", "token")

    def __init__(self) -> None:
        self.making = asyncio.Lock()
        self.token = ""
        self.made_at = 0
        self.is_refused = False


class ProviderTokens:
    """The tokens of all credentials. Credentials with the same key share one: Apple counts the tokens of a key."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: OrderedDict[tuple[str, str, bytes], _Kept] = OrderedDict()

    async def token_for(self, secrets: Secrets) -> str:
        """A token that Apple takes for some minutes at least. The key has to be usable (``why_unusable``)."""
        kept = self._of(secrets)
        async with kept.making:
            age_s = self._age_s(kept)
            is_due = age_s >= RENEWED_AFTER_S or (kept.is_refused and age_s >= NOT_BEFORE_S)
            if not kept.token or is_due:
                now = self._clock.now()
                kept.token = await asyncio.to_thread(_signed, secrets, now // _SECOND)
                kept.made_at, kept.is_refused = now, False
            return kept.token

    def refuse(self, secrets: Secrets, token: str) -> float:
        """Apple says that this token has expired: it is replaced as soon as that is allowed. In how many seconds."""
        kept = self._of(secrets)
        if kept.token != token:
            return 0.0
        kept.is_refused = True
        return max(NOT_BEFORE_S - self._age_s(kept), 0.0)

    def _age_s(self, kept: _Kept) -> float:
        # A clock that was put back leaves a token from the future, which Apple takes as little as an old one.
        return abs(self._clock.now() - kept.made_at) / _SECOND

    def _of(self, secrets: Secrets) -> _Kept:
        digest = hashlib.sha256((secrets.private_key or "").encode()).digest()
        name = (secrets.team_id or "", secrets.key_id or "", digest)
        kept = self._kept.get(name)
        if kept is None:
            kept = self._kept[name] = _Kept()
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(name)
        return kept


def _signed(secrets: Secrets, now_s: int) -> str:
    # Imported here, in a thread: it takes a tenth of a second.
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from joserfc import jwt
    from joserfc.jwk import ECKey

    private = load_pem_private_key((secrets.private_key or "").encode(), None)
    assert isinstance(private, EllipticCurvePrivateKey)
    claims = {"iss": secrets.team_id, "iat": now_s}
    return jwt.encode({"alg": "ES256", "kid": secrets.key_id}, claims, ECKey.import_key(private))
