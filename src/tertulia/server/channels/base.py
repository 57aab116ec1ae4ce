"""What every channel promises, and what it is given (gateways 8.0).

An adapter turns values into calls and calls into values. It knows no conversations, keeps nothing but which parts of a
message are taken, and repeats nothing by itself: what it raises says whether another attempt may be made, and whoever
calls it makes it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, ClassVar, Protocol

import msgspec

from tertulia.server.clock import Clock
from tertulia.server.domain.channels import MEDIA_OF_PHONES as MEDIA_OF_PHONES
from tertulia.server.domain.channels import Capabilities as Capabilities
from tertulia.server.domain.channels import Envelope as Envelope
from tertulia.server.domain.channels import Incoming, IncomingMedia, Report
from tertulia.server.domain.channels import MessageTemplate as MessageTemplate
from tertulia.server.domain.receipts import ReceiptStatus
from tertulia.server.outgoing import Answer, Call, Outgoing
from tertulia.wire.requests import Reply, Request


class MessageMedia(msgspec.Struct, frozen=True, kw_only=True):
    """A file to send. Printed without its URL."""

    url: str
    """Where whoever has it may fetch the file, for four hours."""
    content_type: str
    size: int
    filename: str | None
    read: Callable[[], AsyncIterator[bytes]]
    """Its bytes, for channels that are sent them."""

    def __repr__(self) -> str:
        return f"MessageMedia({self.content_type}, {self.size} bytes, ***)"


class ChannelMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One message for one person, or for a group. Printed without addresses and content."""

    sid: str
    """``SM…``, ``MM…``, ``WA…``: the same at every attempt."""
    sender: str
    """Ours, with its prefix."""
    recipients: tuple[str, ...]
    """One; in a group all people who are reached by an address alone."""
    others: tuple[str, ...] = ()
    """In a group: numbers of ours that stand for its other members."""
    text: str | None = None
    media: tuple[MessageMedia, ...] = ()
    template: MessageTemplate | None = None
    envelope: Envelope | None = None
    valid_until: int
    """UTC microseconds after which it need not arrive any more."""
    is_within_window: bool = True
    """The person wrote within the channel's window."""

    def __repr__(self) -> str:
        return f"ChannelMessage({self.sid}, ***)"


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """The gateway has taken the message."""

    handles: tuple[str, ...] = ()
    """What it calls it: one for each part. Reports name them."""
    segments: int = 1
    status: ReceiptStatus = ReceiptStatus.SENT
    refused: tuple[tuple[str, int], ...] = ()
    """Recipients whom it has not taken it for, as they are spelled in the message, each with a code as ``Refused``."""
    lost: int = 0
    """Parts of it are taken, and others never will be: a code as of ``Refused``, with which the message has failed."""


class Refused(Exception):
    """No attempt will succeed. ``code`` is one of semantics 4.11; ``why`` a sentence of ours without content."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(why)
        self.code = code
        self.why = why


class NotNow(Exception):
    """The gateway has certainly not taken it; another attempt may succeed, after ``after_s`` or when we like.

    ``is_alarming`` says that somebody has to mend something: credentials that are refused, an account that is locked;
    ``is_broken`` that the gateway was asked and came to grief (5xx), which may be due to this one message.
    """

    def __init__(
        self, why: str, after_s: float | None = None, *, is_alarming: bool = False, is_broken: bool = False
    ) -> None:
        super().__init__(why)
        self.why = why
        self.after_s = after_s
        self.is_alarming = is_alarming
        self.is_broken = is_broken


class Unsure(Exception):
    """Nobody knows whether the gateway has taken it: it was asked, and did not answer."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Forged(Exception):
    """A request that does not prove that it comes from the provider. ``why`` is logged, never answered."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Unreadable(Exception):
    """A request that comes from the provider, or may, and cannot be read. Answered with 400."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """What a request of the provider says, and what it is answered when all of that is kept."""

    events: tuple[Incoming | Report, ...] = ()
    reply: Reply = Reply(200)


class Inbox(Protocol):
    """Where a channel that holds a connection puts what it hears."""

    async def put(self, *events: Incoming | Report) -> None:
        """Returns when it is kept for good; only then is the provider told that we have it.

        Raises ``InboxClosed`` when it cannot be kept now: the provider should try again.
        """
        ...


class InboxClosed(Exception):
    """What was heard cannot be kept now."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One line of ``tertulia channels check``."""

    is_good: bool
    what: str
    """What was looked at, and what was found; a sentence without secrets."""
    remedy: str | None = None
    """What to do about it."""


async def _nobody() -> Sequence[str]:
    return ()


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What a channel gets from the server."""

    gateway_sid: str
    account_sid: str
    callback_url: str
    """Where the provider reaches us, without a slash at the end; what follows it comes to ``hear``."""
    outgoing: Outgoing
    """Calls other machines: time limits, judged addresses. For HTTP there is ``call``."""
    clock: Clock
    new_sid: Callable[[str], str]
    senders: Callable[[], Awaitable[Sequence[str]]] = _nobody
    """The addresses of ours that this gateway serves, at this moment."""
    may_listen: bool = False
    """The operator lets gateways open ports of the server's machine."""

    async def call(self, call: Call) -> Answer:
        """Make the call in the name of the gateway's account, as accounts share what may be under way.

        Raises ``CallFailed``.
        """
        return await self.outgoing.call(msgspec.structs.replace(call, account_sid=self.account_sid))


Ask = Callable[[Call], Awaitable[Answer]]
"""``Surroundings.call``, for those who need nothing else of it."""


class Channel(ABC):
    """One gateway: an adapter with its settings. Used by many tasks of one event loop at a time."""

    capabilities: Capabilities
    repeats_safely: ClassVar[bool] = False
    """The provider knows a repeat by our SID: an attempt of unknown outcome may be made again."""

    def capabilities_of(self, kind: str) -> Capabilities:
        """What it can carry to addresses of this kind; of all kinds the same, unless its adapter serves several."""
        return self.capabilities

    def handle_of(self, message: ChannelMessage) -> str | None:
        """What reports will call the message, where we choose that and it has one part; None: the provider does.

        It is known before the message is sent, so that a report is heard whatever became of the attempt.
        """
        return None

    @abstractmethod
    async def send(self, message: ChannelMessage) -> Accepted:
        """Give the message to the provider, within half a minute. Raises ``Refused``, ``NotNow``, ``Unsure``."""

    def begun(self, sid: str) -> Accepted | None:
        """What the provider has taken of a message whose last attempt ended with ``NotNow``; None: nothing, or nobody
        remembers.

        The next attempt gives it the rest alone.
        """
        return None

    def hear(self, request: Request, url: str) -> Heard:
        """Read what the provider asks of our callback URL: ``request.path`` is what followed it, ``url`` is the whole.

        Nothing is waited for, and nothing kept; what an adapter then wants to tell the provider, as that something was
        read, it puts into a bounded queue of its own, and may lose. Checks the signature first, over the raw bytes.
        Raises ``Forged``, ``Unreadable``.
        """
        raise Unreadable(f"nothing is heard by {request.method} here")

    def fetch(self, media: IncomingMedia) -> AsyncIterator[bytes]:
        """The bytes of a file that came with a message; what is too long is cut off by whoever reads.

        Raises ``Refused`` and ``NotNow``.
        """
        raise Refused(11200, "this channel has no files to fetch")

    async def run(self, inbox: Inbox) -> None:
        """Hold the connection that messages come by, until cancelled; reconnects by itself, with growing waits.

        Channels that are called by HTTP have none, and return.
        """
        return

    async def check(self) -> Sequence[Finding]:
        """Whether the provider can be reached and believes us, within half a minute. Sends no message."""
        return ()

    async def close(self) -> None:
        """Connections end; what is under way fails."""
        return


class Adapter(msgspec.Struct, frozen=True, kw_only=True):
    """How gateways of one type are made: what the entry points of group ``tertulia.channels`` name."""

    name: str
    kinds: frozenset[str]
    """The kinds of address it serves: ``sms``, ``whatsapp``, ``messenger``, ``email``, ``rcs``."""
    settings: type[msgspec.Struct]
    """What an account holder sets: a field each, with description and limits; secrets are marked as in ``settings``."""
    open: Callable[[Any, Surroundings], Channel]
    """Raises ``ValueError``, or ``OSError`` for a file, when the settings are of no use; the text shows no secret."""
    is_called: bool = True
    """Its providers call us, at ``Surroundings.callback_url``: account holders are told to enter it there."""
    listens_by: str | None = None
    """The setting that makes it open a port, where there is one: the operator has to allow it."""
