"""How long a service keeps what is said in it (semantics 5.5). Off unless somebody asks for it."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from .base import Change, Command, Entity
from .errors import BAD_PARAMETER
from .limits import RETENTION_DAYS


class Retention(Entity, frozen=True):
    """What a service has chosen; None is what the installation says, 0 for good."""

    service_sid: str
    account_sid: str
    messages_days: int | None
    closed_conversations_days: int | None


class ChooseRetention(Command[Retention], frozen=True, kw_only=True):
    """Choose how long a service keeps things; of the operator."""

    service: str
    messages_days: int | UnsetType | None = UNSET
    """Age by ``DateCreated`` at which messages are removed."""
    closed_conversations_days: int | UnsetType | None = UNSET
    """Time after its closing at which a conversation is removed."""

    def check(self) -> None:
        for days in (self.messages_days, self.closed_conversations_days):
            if isinstance(days, int) and not 0 <= days <= RETENTION_DAYS:
                raise BAD_PARAMETER(f"{days} days: from 0, which is for good, to {RETENTION_DAYS}")


class ForgetOldMessages(Command[int], frozen=True, kw_only=True):
    """Remove the oldest messages of a conversation that are of before; how many those were. Of the system.

    In order of index, as long as they are older: an old date behind a new one, of an import, waits for its turn.
    """

    conversation: str
    """SID."""
    before: int
    most: int


class RetentionChosen(Change, frozen=True, kw_only=True):
    retention: Retention
