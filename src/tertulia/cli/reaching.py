"""How the commands that connect say that they cannot: what is wrong, with which server, and what to do about it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from tertulia.cli.failure import because
from tertulia.cli.login import Login
from tertulia.cli.plain import plain
from tertulia.client import ClientState, ConversationsClient
from tertulia.client.errors import (
    ForbiddenError,
    InitializationError,
    ThrottledError,
    TokenError,
    TokenExpiredError,
    TokenProviderError,
    TokenRejectedError,
    TokenTtlTooShortError,
    TransportError,
    UnauthorizedError,
)
from tertulia.client.events import ConnectionErrorOccurred

_EXPIRED: Final = 20104
_NOT_YET: Final = 20105
_LIVES_TOO_SHORT: Final = 20156
_LIVES_TOO_LONG: Final = 20157
_NEW_TOKEN: Final = "`tertulia token IDENTITY` prints one where the server runs"  # noqa: S105 (about one)


def why(error: BaseException, chosen: Login) -> str:
    """One line about an error of the client: what it was, and what the caller of the command can do."""
    for each in _chain(error):
        match each:
            case TokenProviderError():
                return because(error)
            case TokenExpiredError() | TokenRejectedError() | TokenTtlTooShortError() | UnauthorizedError():
                return _refused(each, chosen)
            case ForbiddenError():
                return f"not allowed: {plain(each.message)} ({each.code}); a role of this user has to grant it"
            case ThrottledError():
                after = "later" if each.retry_after is None else f"in {each.retry_after:g} s"
                return f"too many requests: {plain(each.message)} ({each.code}); again {after}"
            case _:
                pass
    if isinstance(error, InitializationError) and any(isinstance(each, TimeoutError) for each in _chain(error)):
        return f"{_unreached(chosen.url, str(error))}; does a server run there, and is the URL right?"
    if isinstance(error, TransportError):
        return f"the connection to {_address(chosen.url)} was lost: {because(error)}"
    return because(error)


def say_when_nobody_answers(client: ConversationsClient, url: str, say: Callable[[str], None] | None = None) -> None:
    """Once, if connecting fails at the start: the client goes on trying, and whoever waits has to know for what."""
    told: list[str] = []

    def hear(event: ConnectionErrorOccurred) -> None:
        is_refusal = event.terminal or event.http_status == HTTPStatus.UNAUTHORIZED
        if told or is_refusal or client.state is not ClientState.STARTING:
            return
        told.append(f"{_unreached(url, event.message)}; trying again until there is one")
        (say or _complain)(told[0])

    client.on(ConnectionErrorOccurred, hear)


def _complain(text: str) -> None:
    print(f"tertulia: {text}", file=sys.stderr, flush=True)


def _refused(error: TokenError | UnauthorizedError, chosen: Login) -> str:
    code: int | None = getattr(error, "code", None)
    if isinstance(error, TokenExpiredError) or code == _EXPIRED:
        new = f"{_NEW_TOKEN}, and --token-command gets one whenever it is needed"
        return f"the token from {chosen.source} has expired: {new}"
    words = plain(str(getattr(error, "message", None) or error))
    said = f"{_address(chosen.url)} refused the token from {chosen.source}: {words}{f' ({code})' if code else ''}"
    if isinstance(error, TokenTtlTooShortError) or code in (_LIVES_TOO_SHORT, _LIVES_TOO_LONG):
        return said
    if code == _NOT_YET:
        return f"{said}; the clock of the machine that signed it is ahead"
    if chosen.is_signed_here:
        return f"{said}; is another server running there than the one of that data folder?"
    return f"{said}; is it whole, and of this server? {_NEW_TOKEN}"


def _unreached(url: str, problem: str) -> str:
    words = plain(problem.removeprefix("the start failed: "))
    # The system's words for a closed port name an address in Python's form.
    reason = "nothing listens there" if "Connect call failed" in words else words
    return f"no server answers at {_address(url)}: {reason}"


def _address(url: str) -> str:
    """The URL without what may be secret in it."""
    parts = urlsplit(url)
    return plain(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}")


def _chain(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__
