"""What every push service promises."""

from __future__ import annotations

import time
from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

import msgspec

from tertulia.server.domain.credentials import CredentialKind, Secrets
from tertulia.server.domain.push_content import PushContent


class OpenCredential(msgspec.Struct, frozen=True, kw_only=True):
    """A credential whose secrets can be read. Printed without them."""

    sid: str
    account_sid: str
    kind: CredentialKind
    sandbox: bool
    secrets: Secrets
    updated_at: int
    """With the SID it names these very secrets: what is made from them and kept is kept under both."""
    friendly_name: str | None = None
    """For who looks at it; nothing is sent by it."""

    def __repr__(self) -> str:
        return f"OpenCredential({self.sid}, {self.kind}, ***)"


class Unusable(Exception):
    """A credential that cannot send. The text says what to mend, and holds nothing of the credential."""


class Push(msgspec.Struct, frozen=True, kw_only=True):
    """One device to be told."""

    registration_sid: str
    address: str
    """The device token; of a browser, its subscription as JSON."""
    badge: int | None = None
    """The number on the application's icon; None leaves it."""

    def __repr__(self) -> str:
        return f"Push({self.registration_sid}, ***)"


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """The same for many devices, under one credential."""

    notice_sid: str
    """``RU…``: the id of the push, the same at every attempt (semantics 7.5)."""
    content: PushContent
    pushes: Sequence[Push]
    expires_at_s: int
    """Unix time after which the service need not deliver it any more."""


class Verdict(StrEnum):
    SENT = "sent"
    """The service has taken it."""
    GONE = "gone"
    """There is no such device any more: its registration goes, unless it was renewed since."""
    LATER = "later"
    """Not now; another attempt may succeed."""
    FAILED = "failed"
    """No attempt will succeed; the registration stays."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one push."""

    registration_sid: str
    verdict: Verdict
    answer: str
    """What the service said, in a line of ours: a status and a reason, never a token or a text."""
    after_s: float | None = None
    """Of ``LATER``: how long the service asks us to wait."""
    gone_since: int | None = None
    """Of ``GONE``: since when, in UTC microseconds, where the service says so."""
    is_alarming: bool = False
    """Something that the account has to mend: a credential that is refused, a device of another application."""


class Course:
    """How far a batch has come. Whoever sends it writes here what happens when it happens; others look."""

    __slots__ = ("asked", "heard_at", "known")

    def __init__(self) -> None:
        self.heard_at = time.monotonic()
        """When something was heard last; in the beginning, when it began."""
        self.asked: set[str] = set()
        """Registrations whose service may have been given the push."""
        self.known: dict[str, Outcome] = {}
        """What became of them, by registration."""

    def hear(self, outcome: Outcome) -> Outcome:
        """This is known now; the same outcome."""
        self.known[outcome.registration_sid] = outcome
        self.heard_at = time.monotonic()
        return outcome


class PushService(Protocol):
    """One kind of service; the same object serves all credentials of its kind, many batches at a time."""

    async def send(self, credential: OpenCredential, batch: Batch, course: Course | None = None) -> list[Outcome]:
        """Tell the devices: one outcome for each push, in any order. Never raises for what a service answers, or for a
        credential it cannot work with: then every outcome says so.

        ``course`` hears of each push when it is on its way, and of each outcome when it is known.

        Returns within half a minute whatever the service does. Cancelled, it leaves nothing behind.
        """
        ...

    async def close(self) -> None:
        """Connections end; what is under way fails."""
        ...
