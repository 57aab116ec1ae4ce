"""Access tokens as a client sees them: when they end, and where the next one comes from (object-model D.7).

What a token says is read without checking its signature, which only the server can. One that cannot be read (a JWE)
is taken as it is.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from typing import Final

import msgspec

from tertulia.wire import base64url

from .config import ClientConfig, TokenRequest
from .errors import (
    ConversationsError,
    InvalidArgumentError,
    TokenError,
    TokenExpiredError,
    TokenProviderError,
    TokenRejectedError,
    TokenTtlTooShortError,
)
from .states import TokenReason
from .token_store import Keeping

log = logging.getLogger(__name__)

MIN_TTL_S: Final = 180.0
"""Tokens of a shorter life do not work (semantics 3.1)."""
PROVIDER_S: Final = 60.0
"""For one answer of the application's function."""
ATTEMPTS: Final = 5
"""How often it is asked before a need counts as not met."""
LONGEST_PAUSE_S: Final = 30.0
SHORT_PATIENCE_S: Final = 5.0
"""How long a fresh token is waited for while the old one still works."""
WARNED_S: Final = 180.0
"""Servers say so long before that a token ends (realtime 6.1)."""
LATE_S: Final = 15.0
LEAST_BETWEEN_S: Final = 60.0


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
    except (ValueError, RecursionError):
        return UNREADABLE
    begins = [moment for moment in (claims.iat, claims.nbf) if moment is not None]
    return TokenTimes(claims.exp, max(begins, default=None), claims.grants.identity)


def check_life(token: str, now: float, min_ttl_s: float = MIN_TTL_S) -> None:
    """Raises ``TokenTtlTooShortError`` for a token whose whole life is so short that no server takes it."""
    life = read_times(token).life_s(now)
    if life is not None and life < min_ttl_s:
        raise TokenTtlTooShortError(
            f"the token lives for {max(life, 0):.0f} s in all; servers take none under {min_ttl_s:.0f} s"
        )


def when_to_renew(token: str, now: float) -> float | None:
    """When to renew a token, should the server not have said so by then; None when that is nobody's guess.

    A clock that goes wrong must not make us renew without end: there is a minute between one time and the next.
    """
    ends = read_times(token).expires_at
    if ends is None or ends <= now:
        return None
    return max(ends - WARNED_S + LATE_S, now + LEAST_BETWEEN_S)


class TokenKeeper:
    """The client's token: the one given, or what the application's function gives when asked.

    One request at a time, whoever asks. A stored token of enough life is used at the start, while a fresh one is
    fetched beside it. All tokens are one user's: another's is refused.
    """

    def __init__(self, config: ClientConfig, *, short_patience_s: float = SHORT_PATIENCE_S) -> None:
        self._short_patience_s = short_patience_s
        self._provider = config.token_provider
        self._keeping = Keeping(config.token_store, f"{config.server_url.rstrip('/')}\n{config.identity or ''}")
        self._clock = config.clock
        self._whose = config.identity
        self._min_ttl_s = config.min_token_life
        self._first_pause_s = config.reconnect_min
        self._token: str | None = None
        self._previous: str | None = None
        self._fetching: asyncio.Task[str] | None = None
        self._is_stored = False
        self._given = None if config.token is None else given_token(config.token)
        self._is_recalled = config.token is not None
        self._asked_since_answer = False
        self.failure: TokenProviderError | None = None
        """Why the provider failed the last time, unless it has answered since."""

    def __repr__(self) -> str:
        return "<TokenKeeper>"

    @property
    def current(self) -> str | None:
        """The token of now: a secret."""
        return self._token or self._given

    @property
    def expires_at(self) -> float | None:
        """When it ends, in unix seconds; None when it cannot be read."""
        return read_times(self.current or "").expires_at

    @property
    def identity(self) -> str | None:
        """Whose it is, as far as anybody says."""
        return read_times(self.current or "").identity or self._whose

    @property
    def problem(self) -> str | None:
        """What is wrong with the provider, while something is."""
        if self.failure is not None:
            return str(self.failure)
        return "the token provider has not answered" if self._asked_since_answer else None

    async def recall(self) -> None:
        """Takes up what the store has kept, if it is good for a start; once, and before a token is asked for."""
        if self._is_recalled:
            return
        self._is_recalled = True
        token = (await self._keeping.load() or "").strip()
        ends = read_times(token).expires_at
        if self._token is None and ends is not None and ends - self._clock() >= MIN_TTL_S:
            self._token, self._is_stored = token, True

    async def get(self, reason: TokenReason) -> str:
        """A token to connect with.

        The present one at a start or reconnection, as long as it is good; else one of the provider. Raises
        ``TokenTtlTooShortError``, ``TokenRejectedError``, ``TokenExpiredError`` (there is no other),
        ``TokenProviderError``.
        """
        await self.recall()
        if self._given is not None:
            given, self._given = self._given, None
            self._accept(given)
        if self._provider is None:
            return self._only_token(reason)
        if reason is TokenReason.REJECTED:
            self._keeping.put(None)
        if reason is not TokenReason.START or self._token is None or self._left() <= 0:
            return await self._fetch(reason)
        if self._is_stored:
            self._is_stored = False
            self._fetch_soon(reason)
        elif self._left() < MIN_TTL_S:
            # A fresh one first; the old one is still better than none.
            await asyncio.wait({self._fetch_soon(TokenReason.ABOUT_TO_EXPIRE)}, timeout=self._short_patience_s)
        return self._token

    def take(self, token: str) -> bool:
        """Use this one from now on; False when it is the present one.

        Raises ``InvalidArgumentError`` (it is none), ``TokenTtlTooShortError``, ``TokenRejectedError`` (it is another
        user's).
        """
        token = given_token(token)
        if token == self.current:
            return False
        if self._given is not None:
            self._token, self._given = self._given, None
        self._accept(token)
        return True

    def confirm(self) -> None:
        """The server has taken the present one."""
        self._previous = None

    def withdraw(self) -> None:
        """The server has not: the one before it, which it had taken, counts again; if there was one."""
        if self._previous is None:
            return
        self._token, self._previous = self._previous, None
        self._keeping.put(self._token)

    async def forget(self) -> None:
        """No token waits for the next start."""
        await self.recall()
        await self._stop_asking()
        self._keeping.put(None)
        await self._keeping.close()

    async def settle(self) -> None:
        """What is to wait in the store does when this returns."""
        await self._keeping.settle()

    async def close(self) -> None:
        """Nobody is asked any more, and what is to wait in the store does."""
        await self._stop_asking()
        await self._keeping.close()

    async def _stop_asking(self) -> None:
        task, self._fetching = self._fetching, None
        if task is not None and task is not asyncio.current_task():
            task.cancel()
            await asyncio.wait({task})

    def _only_token(self, reason: TokenReason) -> str:
        if self._token is None:
            raise TokenError("there is no token")
        if reason is TokenReason.REJECTED:
            raise TokenRejectedError("the server has refused the token, and there is no other")
        if reason is TokenReason.EXPIRED:
            raise TokenExpiredError("the token has ended; give another one with update_token")
        # Whether it has ended is for the server to say: its clock counts, not ours.
        return self._token

    # --- the provider

    async def _fetch(self, reason: TokenReason) -> str:
        return await asyncio.shield(self._fetch_soon(reason))

    def _fetch_soon(self, reason: TokenReason) -> asyncio.Task[str]:
        """Whoever asks meanwhile shares the answer."""
        if self._fetching is None or self._fetching.done():
            self._fetching = asyncio.get_running_loop().create_task(self._ask(reason))
            self._fetching.add_done_callback(_log_failure)
        return self._fetching

    async def _ask(self, reason: TokenReason) -> str:
        assert self._provider is not None
        attempt, pause = 1, self._first_pause_s
        self._asked_since_answer = True
        while True:
            try:
                given = self._provider(TokenRequest(self.identity, reason, attempt))
                if not inspect.isawaitable(given):
                    raise InvalidArgumentError("token_provider is a coroutine function: async def")
                async with asyncio.timeout(PROVIDER_S):
                    token = _text(await given)
            except InvalidArgumentError:
                raise
            except Exception as error:
                # Whatever the application's function raises, it may have better luck the next time.
                why = _why(error)
                self.failure = TokenProviderError(f"the token provider failed {_times(attempt)}: {why}")
                self.failure.__cause__ = error
                if attempt >= ATTEMPTS:
                    raise self.failure from error
                log.warning("client.token_provider_failed: %s", why, extra={"attempt": attempt, "why": why})
            else:
                self.failure, self._asked_since_answer = None, False
                self._accept(token)
                return token
            attempt += 1
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_S)

    def _accept(self, token: str) -> None:
        check_life(_text(token), self._clock(), self._min_ttl_s)
        mine, new = self.identity, read_times(token).identity
        if mine is not None and new is not None and mine != new:
            self._keeping.put(None)
            raise TokenRejectedError("the token is another user's; log out, and make a client for them")
        if token != self._token:
            self._previous, self._token = self._token, token
        self._is_stored = False
        self._keeping.put(token)

    def _left(self) -> float:
        """How long the present token lives, by our clock."""
        ends = self.expires_at
        return float("inf") if ends is None else ends - self._clock()


def given_token(token: object) -> str:
    """A token as the application gives it, without the blanks around it that a file has.

    Raises ``InvalidArgumentError`` for what is none.
    """
    try:
        return _text(token)
    except _NoToken as error:
        raise InvalidArgumentError(str(error)) from None


class _NoToken(TokenError):
    """What was given is none; the text says why, and does not show it."""


def _text(token: object) -> str:
    if not isinstance(token, str):
        raise _NoToken(f"a token is a text, not {'None' if token is None else type(token).__name__}")
    token = token.strip()
    if not token:
        raise _NoToken("the token is empty")
    if not (token.isascii() and token.isprintable()):
        raise _NoToken("a token has printable ASCII characters only")
    return token


def _why(error: Exception) -> str:
    """What is wrong with a provider. What it says itself may hold a secret; what we say of its token does not."""
    if isinstance(error, _NoToken):
        return str(error)
    return "no answer in time" if isinstance(error, TimeoutError) else type(error).__name__


def _times(attempt: int) -> str:
    return "once" if attempt == 1 else f"{attempt} times"


def _log_failure(task: asyncio.Task[str]) -> None:
    error = None if task.cancelled() else task.exception()
    if isinstance(error, ConversationsError):
        log.warning("client.token_not_fetched: %s", error, extra={"why": str(error)})
