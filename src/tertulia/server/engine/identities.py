"""Who signs requests and tokens: accounts by auth token, keys by secret (rest 1.2, semantics 3.1)."""

from __future__ import annotations

import hmac

import msgspec

from tertulia.server.clock import Clock
from tertulia.server.sealing import Sealer
from tertulia.server.storage.accounts import Accounts
from tertulia.server.storage.database import Database
from tertulia.server.storage.services import Services
from tertulia.wire.sids import is_sid

REMEMBERED_S = 30
"""How long a key is believed to be alive without asking the database again; half of what semantics 3.1 allows."""


class SigningKey(msgspec.Struct, frozen=True):
    """A live credential: its account and its secret."""

    account_sid: str
    secret: str


class _Remembered(msgspec.Struct, frozen=True):
    key: SigningKey | None
    until: int


class Identities:
    """Looks credentials up, and remembers them for half a minute."""

    def __init__(self, database: Database, sealer: Sealer, clock: Clock) -> None:
        self._database = database
        self._sealer = sealer
        self._clock = clock
        self._remembered: dict[str, _Remembered] = {}

    async def key(self, sid: str) -> SigningKey | None:
        """A live API key (``SK…``), or an account with its auth token (``AC…``)."""
        if not (is_sid(sid, "SK") or is_sid(sid, "AC")):
            return None  # what cannot be ours is neither looked up nor remembered
        known = self._remembered.get(sid)
        now = self._clock.now()
        if known is not None and now < known.until:
            return known.key
        found = await self._find(sid)
        if len(self._remembered) > 10_000:
            self._remembered.clear()  # strangers' guesses must not fill the memory
        self._remembered[sid] = _Remembered(found, now + REMEMBERED_S * 1_000_000)
        return found

    async def account_of(self, user: str, password: str) -> str | None:
        """The account that Basic credentials speak for; None when they are wrong. Compares in constant time."""
        key = await self.key(user)
        secret = key.secret if key else ""
        matches = hmac.compare_digest(secret.encode(), password.encode())
        return key.account_sid if key is not None and matches else None

    async def has_service(self, account_sid: str, service_sid: str) -> bool:
        """The service is one of the account."""
        async with self._database.snapshot() as connection:
            return await Services(connection).find(account_sid, service_sid) is not None

    async def _find(self, sid: str) -> SigningKey | None:
        async with self._database.snapshot() as connection:
            accounts = Accounts(connection)
            if sid.startswith("SK"):
                key = await accounts.key(sid)
                if key is None or key.revoked_at is not None:
                    return None
                return SigningKey(key.account_sid, self._sealer.open(key.secret, sid))
            account = await accounts.get(sid)
            return SigningKey(account.sid, self._sealer.open(account.auth_token, sid)) if account else None
