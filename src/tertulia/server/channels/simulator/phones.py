"""Phones: how they behave, and what is on them. A phone is an address of any kind; it is there once it is named."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from tertulia.server.channels.base import MessageTemplate

from .media import PhoneMedia

PHONES: Final = 1000
"""Of a network; whom nothing has happened to for the longest time is forgotten, those with orders last."""
MESSAGES: Final = 200
"""On one phone; the oldest go."""
WEIGHT: Final = 32 << 20
"""What the messages on all phones may come to; beyond it the phones used least lose their oldest."""
EACH: Final = 1000
"""What a message weighs beside its words."""
THREADS: Final = 200
"""Addresses that somebody has opted out of, at most."""


class Outcome(StrEnum):
    """What becomes of a message to a phone."""

    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    """It is taken, and the carrier says later that it could not be delivered."""
    REFUSED = "refused"
    """It is not taken, now or ever."""
    LOST = "lost"
    """It is taken, and nobody hears of it again."""
    BUSY = "busy"
    """It is not taken now, and may be tried again."""
    UNANSWERED = "unanswered"
    """It is delivered, but whoever sent it gets no answer."""


USUAL_CODE: Final = {Outcome.UNDELIVERED: 30003, Outcome.REFUSED: 21211}
"""Why, unless the phone is told to say otherwise (semantics 4.11)."""


class Behaviour(msgspec.Struct, frozen=True, kw_only=True):
    """What a phone does differently from others. None: as the simulator is set."""

    outcome: Outcome = Outcome.DELIVERED
    error_code: Annotated[int, Meta(ge=0, le=999_999)] = 0
    """Of what is undelivered or refused; 0: the usual one."""
    delay_s: Annotated[float, Meta(ge=0, le=86_400)] | None = None
    loss: Annotated[float, Meta(ge=0, le=1)] | None = None
    reads_after_s: Annotated[float, Meta(ge=0, le=86_400)] | None = None
    """It reads what it gets by itself, so long after it got it."""
    duplicates: Annotated[int, Meta(ge=0, le=10)] = 0
    """How often more than once its carrier says everything: reports, and messages from it."""
    is_reordered: bool = False
    """Its carrier reports in the wrong order."""


USUAL: Final = Behaviour()


class PhoneMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message as phones show it. Printed without addresses and content."""

    sid: str
    at: int
    """When it was sent, in UTC microseconds."""
    sender: str
    recipients: tuple[str, ...]
    """Everybody who has it, but the sender."""
    ours: frozenset[str]
    """Who of all of them is no phone, but an address of the account."""
    text: str | None
    subject: str | None = None
    media: tuple[PhoneMedia, ...] = ()
    template: MessageTemplate | None = None
    handle: str | None = None
    """What reports of it name; None of what a phone has written."""
    message_sid: str | None = None
    """Of an e-mail of ours: which message an answer to it answers."""

    @property
    def weight(self) -> int:
        """About how many bytes it takes."""
        return EACH + len(self.text or "") + len(self.subject or "") + (EACH if self.template is not None else 0)

    def __repr__(self) -> str:
        return f"PhoneMessage({self.sid}, ***)"


class Phone:
    """One address that somebody has, with its newest messages."""

    def __init__(self, address: str, seed: int) -> None:
        self.address = address
        self.behaviour = USUAL
        self.messages: deque[PhoneMessage] = deque()
        """What it got and what it wrote, oldest first."""
        self.weight = 0
        """Of all of them."""
        self.stopped: dict[str, None] = {}
        """Addresses that the carrier lets nothing through from."""
        # By its own draws: what others get changes nothing for it.
        self._random = random.Random(f"{seed}/{address}")  # noqa: S311 (a lottery, guards nothing)
        self._unread: set[str] = set()

    def is_unlucky(self, loss: float) -> bool:
        """Whether the next message is lost."""
        return self._random.random() < loss

    def show(self, message: PhoneMessage) -> None:
        """It has it now; what others wrote is unread."""
        if len(self.messages) == MESSAGES:
            self.lose_oldest()
        self.messages.append(message)
        self.weight += message.weight
        if message.sender != self.address:
            self._unread.add(message.sid)

    def lose_oldest(self) -> None:
        oldest = self.messages.popleft()
        self.weight -= oldest.weight
        self._unread.discard(oldest.sid)

    def is_unread(self, message: PhoneMessage) -> bool:
        return message.sid in self._unread

    def read(self, until: str | None = None) -> list[PhoneMessage]:
        """Those it reads now: all that are unread, or those until this one. None for one it has not."""
        if until is not None and not any(message.sid == until for message in self.messages):
            return []
        read: list[PhoneMessage] = []
        for message in self.messages:
            if message.sid in self._unread:
                self._unread.discard(message.sid)
                read.append(message)
            if message.sid == until:
                break
        return read

    def after(self, sid: str | None) -> list[PhoneMessage]:
        """Its messages after this one; all that it has when it has this one no more."""
        messages = list(self.messages)
        found = next((index for index, message in enumerate(messages) if message.sid == sid), -1)
        return messages[found + 1 :]

    def opt_out(self, address: str) -> None:
        self.stopped[address] = None
        if len(self.stopped) > THREADS:
            del self.stopped[next(iter(self.stopped))]


class Phones:
    """The phones of a network, those that were used last at the end."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._phones: dict[str, Phone] = {}
        self._weight = 0

    def __iter__(self) -> Iterator[Phone]:
        return iter(sorted(self._phones.values(), key=lambda phone: phone.address))

    def __len__(self) -> int:
        return len(self._phones)

    def find(self, address: str) -> Phone | None:
        return self._phones.get(address)

    def use(self, address: str) -> Phone:
        """The phone of this address, which is there from now on."""
        phone = self._phones.pop(address, None)
        if phone is None:
            if len(self._phones) >= PHONES:
                self._forget_one()
            phone = Phone(address, self._seed)
        self._phones[address] = phone
        return phone

    def show(self, address: str, message: PhoneMessage) -> None:
        """The phone of this address has the message now."""
        phone = self.use(address)
        before = phone.weight
        phone.show(message)
        self._weight += phone.weight - before
        while self._weight > WEIGHT:
            idle = next(phone for phone in self._phones.values() if phone.messages)
            before = idle.weight
            idle.lose_oldest()
            self._weight += idle.weight - before

    def forget(self, address: str) -> bool:
        """With all that is on it; whether there was one."""
        phone = self._phones.pop(address, None)
        self._weight -= phone.weight if phone is not None else 0
        return phone is not None

    def _forget_one(self) -> None:
        idle = next((phone for phone in self._phones.values() if phone.behaviour == USUAL), None)
        self.forget(idle.address if idle is not None else next(iter(self._phones)))
