"""What a client is told when it is made."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

import msgspec

from . import arguments
from .errors import InvalidArgumentError
from .states import TokenReason

if TYPE_CHECKING:
    from ssl import SSLContext

    from .push_store import PushStore
    from .store import Store
    from .token_store import TokenStore


class TokenRequest(msgspec.Struct, frozen=True):
    """Why the client needs a token, and how often it has asked in vain."""

    identity: str | None
    """Whose; None before it is known."""
    reason: TokenReason
    attempt: int = 1


TokenProvider = Callable[[TokenRequest], Awaitable[str]]
"""The application's way to a fresh access token."""


class PushConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Which device is to be notified when its user is away (object-model D.7)."""

    channel: str
    """``fcm``, ``apn`` or ``webpush``."""
    device_token: str
    store: PushStore | None = None
    """Remembers what was registered, so that most starts need no request."""
    message_types: tuple[str, ...] = (
        "twilio.conversations.new_message",
        "twilio.conversations.added_to_conversation",
        "twilio.conversations.removed_from_conversation",
    )

    def __repr__(self) -> str:
        return f"<PushConfig {self.channel}>"


class ClientConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a client is told; most of it has good defaults. Printed, it shows no token. Times are seconds."""

    server_url: str
    """``https://chat.example``, or the URL of the socket itself (``wss://chat.example/v3/wsconnect``)."""
    token: str | None = None
    """An access token to begin with; blanks around it count for nothing. At least one of it and ``token_provider``."""
    token_provider: TokenProvider | None = None
    """Asked whenever a token is needed; with it the client never stops for want of one."""
    token_store: TokenStore | None = None
    """Where a token waits for the next start, which then does not wait for the provider."""
    identity: str | None = None
    """Who the user is, if the application knows: what stores keep of somebody else is then left alone.

    Without it, a store belongs to whoever was here last.
    """
    min_token_life: float = 180
    """Tokens of a shorter whole life are refused before anything is sent; less only where the server takes less."""
    push: PushConfig | None = None
    store: Store | None = None
    """Keeps what is known on disk: the next start shows it at once and then catches up. It also keeps the outbox."""
    outbox: bool = False
    """Messages may be sent while there is no connection: they wait, in order, and arrive exactly once."""
    command_timeout: float = 30
    """For one request's answer; at least 10."""
    visibility_timeout: float = 10
    """For the event of a change that was acknowledged (object-model D.5)."""
    start_timeout: float | None = None
    """For ``start()``; None waits as long as it takes."""
    reconnect_min: float = 1
    reconnect_max: float = 120
    max_event_queue: int = 1000
    """How many events a stream keeps for a slow reader."""
    max_cached_messages: int = 5000
    """How many messages of a conversation are remembered; those read longest ago are let go first."""
    open_at_once: int = 32
    """How many conversations are opened at a time."""
    repeat_typing: bool = False
    """``TypingStarted`` comes again with every sign of typing, not once per spell."""
    typing_timeout: float | None = None
    """How often ``typing()`` tells the server at most; None leaves it to the server (5 s)."""
    clock: Callable[[], float] = time.time
    """What time it is, in unix seconds: when tokens end, and since when things wait."""
    ssl: SSLContext | None = None
    """For ``wss`` and ``https``; None takes the system's certificates."""

    def __repr__(self) -> str:
        return f"<ClientConfig {self.server_url}>"

    def check(self) -> None:
        """Raises ``InvalidArgumentError`` for what no client can work with."""
        arguments.text(self.server_url, "server_url")
        arguments.words(self.identity, "identity")
        if self.token is None and self.token_provider is None:
            raise InvalidArgumentError("give a token, or a token_provider")
        if self.token_provider is not None:
            arguments.function(self.token_provider, "token_provider")
        arguments.function(self.clock, "clock")
        for name in _SECONDS:
            value = arguments.seconds(getattr(self, name), name)
            if value is None and name not in _OPTIONAL:
                raise InvalidArgumentError(f"{name} is a number of seconds, not None")
            if value is not None and value < _LEAST.get(name, 0):
                raise InvalidArgumentError(f"{name} is at least {_LEAST.get(name, 0)} seconds")
        for name, least in _NUMBERS.items():
            arguments.number(getattr(self, name), name, least)
        if self.push is not None and not isinstance(self.push, PushConfig):
            raise InvalidArgumentError("push is a PushConfig")


_SECONDS: Final = (
    "min_token_life",
    "command_timeout",
    "visibility_timeout",
    "start_timeout",
    "reconnect_min",
    "reconnect_max",
    "typing_timeout",
)
_OPTIONAL: Final = ("start_timeout", "typing_timeout")
_LEAST: Final = {"command_timeout": 10}
_NUMBERS: Final = {"max_event_queue": 1, "max_cached_messages": 0, "open_at_once": 1}
