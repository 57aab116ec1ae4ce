"""What can go wrong, as a tree (object-model D.6).

::

    ConversationsError
    ├── ClientShutDownError          the client was shut down: make a new one
    ├── ClientNotReadyError          used before it was started
    ├── InitializationError          the start failed; its cause is attached
    ├── InvalidArgumentError         refused before anything was sent            (also ValueError)
    ├── TokenError
    │   ├── TokenTtlTooShortError    a total life under three minutes (20156)
    │   ├── TokenExpiredError        past its end (20104)
    │   ├── TokenRejectedError       the server does not take it
    │   └── TokenProviderError       the application's own function failed
    ├── TransportError               the network                                 (also OSError)
    │   ├── NotConnectedError        nobody to ask, and none came in time
    │   ├── ConnectionLostError      lost with a request under way: it may have been done
    │   └── CommandTimeoutError      no answer in time: it may have been done     (also TimeoutError)
    ├── ApiError                     the server said no
    │   ├── BadRequestError 400 · UnauthorizedError 401 · ForbiddenError 403
    │   └── NotFoundError 404 · ConflictError 409 · ThrottledError 429 · ServerError 5xx
    ├── SyncObjectError              a Sync object is missing or cannot be read
    ├── MediaError
    │   └── MediaUploadError · MediaTooLargeError · MediaUrlError
    ├── PushRegistrationError
    ├── UpdateTimeoutError           done, but its event did not come in time     (also TimeoutError)
    ├── EventOverflowError           a stream was read too slowly
    ├── OutboxError                  a message of the outbox cannot be had, kept, or changed
    │   └── OutboxFullError          too much waits there already
    └── StoreError                   what is kept on disk cannot be read or written
        └── StoreInUseError          another process, or another client of this one, has it

No text of an error holds a token, a message or a query.
"""

from __future__ import annotations

from typing import Any


class ConversationsError(Exception):
    """Anything this library raises."""


class ClientShutDownError(ConversationsError):
    """The client was shut down and stays so; a new one takes its place."""

    def __init__(self) -> None:
        super().__init__("this client was shut down; create a new one")


class ClientNotReadyError(ConversationsError):
    """The client has not been started."""

    def __init__(self) -> None:
        super().__init__("this client is not ready; await client.start() first, or use 'async with'")


class InitializationError(ConversationsError):
    """The start failed; ``__cause__`` says why."""


class InvalidArgumentError(ConversationsError, ValueError):
    """The library refuses it before anything is sent."""


class TokenError(ConversationsError):
    """Something about the access token."""


class TokenTtlTooShortError(TokenError):
    """Its whole life is under three minutes, which no server takes (20156)."""


class TokenExpiredError(TokenError):
    """It is past its end (20104)."""


class TokenRejectedError(TokenError):
    """The server does not take it. ``code`` says why, if the server did."""

    def __init__(self, message: str, *, status: int | None = None, code: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class TokenProviderError(TokenError):
    """The application's function failed; ``__cause__`` is what it raised."""


class TransportError(ConversationsError, OSError):
    """Something about the network."""


class NotConnectedError(TransportError):
    """There is no connection, and none came in time: the request was never sent."""


class ConnectionLostError(TransportError):
    """The connection was lost with the request under way: it may or may not have been done."""


class CommandTimeoutError(TransportError, TimeoutError):
    """No answer came in time: the request may or may not have been done."""


class ApiError(ConversationsError):
    """The server answered no: HTTP ``status``, public ``code``, a ``message``, and the whole ``body`` as it came."""

    def __init__(
        self, status: int, code: int | None, message: str, *, more_info: str | None = None, body: Any = None
    ) -> None:
        super().__init__(f"{status}/{code}: {message}" if code is not None else f"{status}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.more_info = more_info
        self.body = body


class BadRequestError(ApiError):
    """400: the request must be changed."""


class UnauthorizedError(ApiError):
    """401: the token does not count (any more)."""


class ForbiddenError(ApiError):
    """403: known, and not allowed."""


class NotFoundError(ApiError):
    """404: absent, or not visible to this user."""


class ConflictError(ApiError):
    """409: the present state does not allow it."""


class ThrottledError(ApiError):
    """429: too often. ``retry_after`` says in how many seconds to come back, if the server did."""

    retry_after: float | None = None


class ServerError(ApiError):
    """5xx: the server's fault."""


class SyncObjectError(ConversationsError):
    """A Sync object is missing, or not what it should be."""


class MediaError(ConversationsError):
    """Something about files."""


class MediaUploadError(MediaError):
    """An upload failed; ``status`` and ``code`` are the server's, if it answered."""

    def __init__(self, message: str, *, status: int | None = None, code: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class MediaTooLargeError(MediaError, ValueError):
    """The file is larger than the server takes."""


class MediaUrlError(MediaError):
    """A URL for a file could not be had, or does not give it."""


class PushRegistrationError(ConversationsError):
    """A device could not be registered for push, or unregistered."""


class UpdateTimeoutError(ConversationsError, TimeoutError):
    """The command has succeeded, and its event did not come within ``visibility_timeout``."""

    command_succeeded = True


class EventOverflowError(ConversationsError):
    """A stream of events was read too slowly: more than its queue holds were waiting."""


class OutboxError(ConversationsError):
    """Something about a message of the outbox: dropped, its file gone, or not in a state for what was asked."""


class OutboxFullError(OutboxError, InvalidArgumentError):
    """Too many messages, or too many bytes, are waiting already; this one was not taken."""


class StoreError(ConversationsError):
    """What is kept on disk cannot be read or written."""


class StoreInUseError(StoreError):
    """Another process has the file open, or another client of this process the same user's part of it."""


_BY_STATUS: dict[int, type[ApiError]] = {
    400: BadRequestError,
    401: UnauthorizedError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    429: ThrottledError,
}


def api_error(status: int, body: Any, phrase: str) -> ApiError:
    """The error for an answer: its class by the status, its code and words by the body if that has the usual shape."""
    kind = _BY_STATUS.get(status) or (ServerError if status >= 500 else ApiError)
    known = body if isinstance(body, dict) else {}
    code, message, more_info = known.get("code"), known.get("message"), known.get("more_info")
    return kind(
        status,
        code if isinstance(code, int) else None,
        message if isinstance(message, str) else phrase,
        more_info=more_info if isinstance(more_info, str) else None,
        body=body,
    )
