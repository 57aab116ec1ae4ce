"""Who signs requests and tokens: accounts by auth token, keys by secret (rest 1.2, semantics 3.1).

What is read is believed for a while, ``tokens.recheck_s``, and forgotten at once when this process changes it.
"""

from __future__ import annotations

import hmac

import msgspec

from tertulia.server.bus.base import KeysChanged, Publication
from tertulia.server.clock import Clock
from tertulia.server.domain.errors import ACCOUNT_SUSPENDED
from tertulia.server.sealing import Sealer
from tertulia.server.settings import TokensSettings
from tertulia.server.storage.accounts import Accounts
from tertulia.server.storage.database import Database
from tertulia.server.storage.services import Services
from tertulia.wire.sids import is_sid


class SigningKey(msgspec.Struct, frozen=True):
    """A live credential: its account and its secret."""

    account_sid: str
    secret: str
    is_suspended: bool = False
    """Its account is served no longer. Only who knows the secret may hear of it."""


class _Remembered(msgspec.Struct, frozen=True):
    key: SigningKey | None
    until: int


class Identities:
    """Looks credentials up, and remembers them for a while."""

    def __init__(
        self, database: Database, sealer: Sealer, clock: Clock, believed_s: float = TokensSettings().recheck_s
    ) -> None:
        self._database = database
        self._sealer = sealer
        self._clock = clock
        self._believed_us = int(believed_s * 1_000_000)
        self._remembered: dict[str, _Remembered] = {}

    async def key(self, sid: str) -> SigningKey | None:
        """A live API key (``SK…``), or an account with its auth token (``AC…``)."""
        if not (is_sid(sid, "SK") or is_sid(sid, "AC")):
            return None  # what cannot be ours is neither looked up nor remembered
        remembered = self._remembered
        known = remembered.get(sid)
        now = self._clock.now()
        # Not by a clock that was set back either: a revoked key must not live as long.
        if known is not None and 0 < known.until - now <= self._believed_us:
            return known.key
        found = await self._find(sid)
        if len(remembered) > 10_000:
            remembered.clear()  # strangers' guesses must not fill the memory
        remembered[sid] = _Remembered(found, now + self._believed_us)
        return found

    async def account_of(self, user: str, password: str) -> str | None:
        """The account that Basic credentials speak for; None when they are wrong. Compares in constant time.

        Raises 20005 for a suspended account.
        """
        key = await self.key(user)
        secret = key.secret if key else ""
        matches = hmac.compare_digest(secret.encode(), password.encode())
        if key is None or not matches:
            return None
        if key.is_suspended:
            raise ACCOUNT_SUSPENDED()
        return key.account_sid

    async def is_served(self, account_sid: str) -> bool:
        """There is such an account, and it is not suspended."""
        key = await self.key(account_sid)
        return key is not None and not key.is_suspended

    def receive(self, publication: Publication) -> None:
        """What this node remembers of credentials that have changed is forgotten."""
        if isinstance(publication, KeysChanged):
            # Another one: what is being read goes into the old one.
            self._remembered = {}

    async def has_service(self, account_sid: str, service_sid: str) -> bool:
        """The service is one of the account."""
        async with self._database.snapshot() as connection:
            return await Services(connection).find(account_sid, service_sid) is not None

    async def _find(self, sid: str) -> SigningKey | None:
        async with self._database.snapshot() as connection:
            accounts = Accounts(connection)
            key = await accounts.key(sid) if sid.startswith("SK") else None
            if key is not None and key.revoked_at is not None:
                return None
            account = await accounts.get(key.account_sid if key is not None else sid)
        if account is None:
            return None
        sealed = account.auth_token if key is None else key.secret
        return SigningKey(account.sid, self._sealer.open(sealed, sid), account.suspended_at is not None)
