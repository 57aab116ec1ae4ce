"""Access tokens as a client sees them: when they end, and where the next one comes from (object-model D.7).

What a token says is read without checking its signature, which only the server can. One that cannot be read (a JWE)
is taken as it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any, Final

import msgspec

from tertulia.wire import base64url

from .config import ClientConfig, TokenRequest
from .errors import (
    ConversationsError,
    TokenError,
    TokenExpiredError,
    TokenProviderError,
    TokenRejectedError,
    TokenTtlTooShortError,
)
from .states import TokenReason

log = logging.getLogger(__name__)

MIN_TTL_S: Final = 180.0
"""Tokens of a shorter life do not work (semantics 3.1)."""
PROVIDER_S: Final = 60.0
"""For one answer of the application's function."""
ATTEMPTS: Final = 5
"""How often it is asked before a need counts as not met."""


class _Grants(msgspec.Struct):
    identity: str | None = None


class _Claims(msgspec.Struct):
    exp: float | None = None
    iat: float | None = None
    nbf: float | None = None
    grants: _Grants = msgspec.field(default_factory=_Grants)


class TokenTimes(msgspec.Struct, frozen=True):
    """What a token says of itself. Unix seconds."""

    expires_at: float | None
    begins_at: float | None
    """The later of its issue and its first validity."""
    identity: str | None

    def life_s(self, now: float) -> float | None:
        """Its whole life, or what is left of it when it does not say when it began."""
        if self.expires_at is None:
            return None
        return self.expires_at - (now if self.begins_at is None else self.begins_at)


UNREADABLE: Final = TokenTimes(None, None, None)


def read_times(token: str) -> TokenTimes:
    """What the token says; nothing when it cannot be read."""
    parts = token.split(".")
    if len(parts) != 3:
        return UNREADABLE
    try:
        claims = msgspec.json.decode(base64url.decode(parts[1]), type=_Claims)
    except ValueError:
        return UNREADABLE
    begins = [moment for moment in (claims.iat, claims.nbf) if moment is not None]
    return TokenTimes(claims.exp, max(begins, default=None), claims.grants.identity)


class TokenKeeper:
    """The client's token: the one given, or what the application's function gives when asked.

    One request at a time, whoever asks. A stored token of enough life is used at the start, while a fresh one is
    fetched beside it.
    """

    def __init__(self, config: ClientConfig) -> None:
        self._provider = config.token_provider
        self._store = config.token_store
        self._name = f"{config.server_url.rstrip('/')}\n{config.identity or ''}"
        self._clock = config.clock
        self._whose = config.identity
        self._token: str | None = None
        self._times = UNREADABLE
        self._fetching: asyncio.Task[str] | None = None
        self._is_stored = False
        self._given = config.token
        if config.token is None and self._store is not None:
            self._use_stored()

    def __repr__(self) -> str:
        return "<TokenKeeper>"

    @property
    def current(self) -> str | None:
        """The token of now: a secret."""
        return self._token or self._given

    @property
    def expires_at(self) -> float | None:
        """When it ends, in unix seconds; None when it cannot be read."""
        return self._times.expires_at

    @property
    def identity(self) -> str | None:
        """Whose it is, as far as it says."""
        token = self.current
        return self._whose if token is None else read_times(token).identity or self._whose

    async def get(self, reason: TokenReason) -> str:
        """A token to connect with.

        The present one at a start or reconnection, as long as it is good; else one of the provider. Raises
        ``TokenTtlTooShortError``, ``TokenExpiredError``, ``TokenRejectedError`` (there is no other),
        ``TokenProviderError``.
        """
        if self._given is not None:
            given, self._given = self._given, None
            self._accept(given)
        if reason is TokenReason.START and self._token is not None and not self._has_ended():
            if self._is_stored and self._fetching is None and self._provider is not None:
                self._fetch_beside()
            elif self._provider is not None and self._left() < MIN_TTL_S:
                # A fresh one first; the old one is still better than none.
                with contextlib.suppress(TokenProviderError):
                    return await self._fetch(TokenReason.ABOUT_TO_EXPIRE)
            return self._token
        if self._provider is None:
            return self._only_token(reason)
        if reason is TokenReason.REJECTED:
            self._clear_stored()
        return await self._fetch(reason)

    def take(self, token: str) -> bool:
        """Use this one from now on; False when it is the present one.

        Raises ``TokenTtlTooShortError``, ``TokenError``.
        """
        if token == self.current:
            return False
        identity, new = self.identity, read_times(token).identity
        if identity is not None and new is not None and identity != new:
            raise TokenRejectedError("the token is another user's; log out, and make a client for him")
        self._given = None
        self._accept(token)
        return True

    async def forget(self) -> None:
        """No token waits for the next start."""
        await self.close()
        self._clear_stored()

    async def close(self) -> None:
        """Nobody is asked any more."""
        task, self._fetching = self._fetching, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    def _only_token(self, reason: TokenReason) -> str:
        if self._token is None:
            raise TokenError("there is no token")
        if reason is TokenReason.REJECTED:
            raise TokenRejectedError("the server has refused the token, and there is no other")
        if reason is TokenReason.EXPIRED or self._has_ended():
            raise TokenExpiredError("the token has ended; give another one with update_token")
        return self._token

    async def _fetch(self, reason: TokenReason) -> str:
        if self._fetching is None or self._fetching.done():
            self._fetching = asyncio.get_running_loop().create_task(self._ask(reason))
        task = self._fetching
        try:
            return await asyncio.shield(task)
        finally:
            if task.done() and self._fetching is task:
                self._fetching = None

    def _fetch_beside(self) -> None:
        """A fresh one, while the stored one is used: it counts from the next time one is needed."""
        self._is_stored = False
        self._fetching = asyncio.get_running_loop().create_task(self._ask(TokenReason.START))
        self._fetching.add_done_callback(_log_failure)

    async def _ask(self, reason: TokenReason) -> str:
        assert self._provider is not None
        attempt, pause = 1, 1.0
        while True:
            try:
                async with asyncio.timeout(PROVIDER_S):
                    token = await self._provider(TokenRequest(self.identity, reason, attempt))
                self._accept(token)
                return token
            except (asyncio.CancelledError, TokenTtlTooShortError):
                raise
            except Exception as error:  # whatever the application's function raises
                if attempt >= ATTEMPTS:
                    raise TokenProviderError(f"the token provider failed {attempt} times") from error
                log.warning("client.token_provider_failed", extra={"attempt": attempt, "error": type(error).__name__})
            attempt += 1
            await asyncio.sleep(pause)
            pause = min(pause * 2, 30.0)

    def _accept(self, token: Any) -> None:
        if not isinstance(token, str) or not token:
            raise TokenError("a token is a text")
        times, now = read_times(token), self._clock()
        life = times.life_s(now)
        if life is not None and life < MIN_TTL_S:
            raise TokenTtlTooShortError(
                f"the token lives for {max(life, 0):.0f} s in all; servers take none under {MIN_TTL_S:.0f} s"
            )
        self._token, self._times, self._is_stored = token, times, False
        if self._store is not None:
            self._store.save(self._name, token)

    def _use_stored(self) -> None:
        assert self._store is not None
        token = self._store.load(self._name)
        if token is None:
            return
        times = read_times(token)
        if times.expires_at is None or times.expires_at - self._clock() < MIN_TTL_S:
            return
        self._token, self._times, self._is_stored = token, times, True

    def _clear_stored(self) -> None:
        if self._store is not None:
            self._store.clear(self._name)

    def _left(self) -> float:
        ends = self._times.expires_at
        return float("inf") if ends is None else ends - self._clock()

    def _has_ended(self) -> bool:
        return self._left() <= 0


def _log_failure(task: asyncio.Task[str]) -> None:
    error = None if task.cancelled() else task.exception()
    if isinstance(error, ConversationsError):
        log.warning("client.token_not_prefetched", extra={"error": type(error).__name__})
