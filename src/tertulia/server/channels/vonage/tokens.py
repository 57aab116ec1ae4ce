"""Tokens that prove an application to Vonage: signed with its key, good for some minutes."""

from __future__ import annotations

import asyncio
import uuid
from typing import Final

import msgspec

from tertulia.server.clock import Clock

from ..base import NotNow

GOOD_S: Final = 900
RENEWED_S: Final = 600
"""Older ones are not used any more, so that none runs out on its way."""
SECOND_US: Final = 1_000_000


class Tokens:
    """Makes one when it is asked for the first time, and anew before it is over."""

    def __init__(self, application_id: str, private_key: str, clock: Clock) -> None:
        self._application_id = application_id
        self._private_key = private_key
        self._clock = clock
        self._made_s: int | None = None
        self.current = ""

    async def renew(self) -> None:
        """Afterwards ``current`` is good for minutes. Raises ``NotNow``, alarming, where the key is none."""
        now_s = self._clock.now() // SECOND_US
        if self._made_s is not None and 0 <= now_s - self._made_s < RENEWED_S:
            return
        try:
            # The library takes a tenth of a second to load, and a signature a millisecond.
            self.current = await asyncio.to_thread(self._signed, now_s)
        except ValueError:
            raise NotNow("private_key is no RSA key in PEM", is_alarming=True) from None
        self._made_s = now_s

    def _signed(self, now_s: int) -> str:
        from joserfc import jws
        from joserfc.errors import JoseError
        from joserfc.jwk import RSAKey

        claims = {"application_id": self._application_id, "iat": now_s, "exp": now_s + GOOD_S, "jti": str(uuid.uuid4())}
        try:
            key = RSAKey.import_key(self._private_key)
            return jws.serialize_compact(
                {"alg": "RS256", "typ": "JWT"}, msgspec.json.encode(claims), key, algorithms=["RS256"]
            )
        except JoseError as error:
            raise ValueError(type(error).__name__) from None
