"""Provider tokens: what an account proves itself with to Apple in place of a certificate (gateways 8.8)."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from typing import Final

import msgspec

from tertulia.server.clock import Clock
from tertulia.server.domain.credentials import Secrets
from tertulia.wire import base64url

PERIOD_S: Final = 25 * 60
"""Tokens are dated back to when a period of this length began. Apple takes none that is older than an hour."""
NOT_BEFORE_S: Final = 20 * 60
"""Apple takes no new one that follows the last sooner."""
KEPT: Final = 1_000
"""Tokens; the one that was used longest ago goes first."""

_SECOND: Final = 1_000_000


class _Kept:
    __slots__ = ("dated_s", "is_refused", "making", "token", "used_since")

    def __init__(self) -> None:
        self.making = asyncio.Lock()
        self.token = ""
        self.dated_s = 0
        self.used_since = 0
        self.is_refused = False


class ProviderTokens:
    """The tokens of all credentials.

    Apple counts the tokens of a key. So credentials with the same key share one; and it is the same, to the byte, in
    every process that has the key, also in one that was just started again.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: OrderedDict[tuple[str, str, bytes], _Kept] = OrderedDict()

    async def token_for(self, secrets: Secrets) -> str:
        """A token that Apple takes for some minutes at least. The key has to be usable (``why_unusable``)."""
        kept = self._of(secrets)
        async with kept.making:
            now = self._clock.now()
            now_s = now // _SECOND
            begun_s = now_s - now_s % PERIOD_S
            if not kept.token or self._is_due(kept, begun_s):
                # To a clock that differs from ours by half an hour, a token dated back may be too old.
                kept.dated_s = now_s if kept.is_refused else begun_s
                kept.token = await asyncio.to_thread(_signed, secrets, kept.dated_s)
                kept.used_since, kept.is_refused = now, False
            return kept.token

    def refuse(self, secrets: Secrets, token: str) -> float:
        """Apple says that this token has expired: it is replaced as soon as that is allowed. In how many seconds."""
        kept = self._of(secrets)
        if kept.token != token:
            return 0.0
        kept.is_refused = True
        return max(NOT_BEFORE_S - self._used_s(kept), 0.0)

    def _is_due(self, kept: _Kept, begun_s: int) -> bool:
        if self._used_s(kept) < NOT_BEFORE_S:
            return False
        return kept.is_refused or abs(begun_s - kept.dated_s) >= NOT_BEFORE_S

    def _used_s(self, kept: _Kept) -> float:
        # A clock that was put back leaves a token from the future, which Apple takes as little as an old one.
        return abs(self._clock.now() - kept.used_since) / _SECOND

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


def _signed(secrets: Secrets, dated_s: int) -> str:
    """A JWT (ES256), the same each time, where the cryptography at hand can sign so."""
    # Imported here, in a thread: it takes a tenth of a second.
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    private = load_pem_private_key((secrets.private_key or "").encode(), None)
    assert isinstance(private, EllipticCurvePrivateKey)
    parts = ({"alg": "ES256", "kid": secrets.key_id}, {"iss": secrets.team_id, "iat": dated_s})
    text = ".".join(base64url.encode(msgspec.json.encode(part)) for part in parts)
    try:
        signature = private.sign(text.encode(), ECDSA(SHA256(), deterministic_signing=True))
    except UnsupportedAlgorithm:
        signature = private.sign(text.encode(), ECDSA(SHA256()))
    numbers = (number.to_bytes(32) for number in decode_dss_signature(signature))
    return f"{text}.{base64url.encode(b''.join(numbers))}"
