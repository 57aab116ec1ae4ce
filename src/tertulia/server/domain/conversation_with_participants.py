"""A conversation made together with its participants (rest 5.4, semantics 4.6).

It is *initializing* from the answer until a job has let its members in: all at once, or, where that fails, not at all.
"""

from __future__ import annotations

from .base import Command
from .conversations import ConversationFields, ConversationState
from .errors import CREATED_CLOSED, MEMBER_BINDING_TAKEN, PARTICIPANT_EXISTS, TOO_MANY_MEMBERS
from .jobs import Job
from .limits import PARTICIPANTS_AT_ONCE
from .participants import AddParticipant


class CreateConversationWithParticipants(ConversationFields, frozen=True, kw_only=True):
    """Make a conversation of these members; without any it is a plain one."""

    service: str
    participants: tuple[AddParticipant, ...] = ()
    """Who takes part; the conversation that each of them names is not looked at."""

    def check(self) -> None:
        super().check()
        if self.state == ConversationState.CLOSED:
            raise CREATED_CLOSED()
        if len(self.participants) > PARTICIPANTS_AT_ONCE:
            raise TOO_MANY_MEMBERS(f"{len(self.participants)} participants, {PARTICIPANTS_AT_ONCE} are allowed at once")
        for member in self.participants:
            member.check()
        identities = [member.identity for member in self.participants if member.identity is not None]
        if len(set(identities)) < len(identities):
            raise PARTICIPANT_EXISTS("An identity is named twice")
        pairs = [(member.address, member.proxy_address) for member in self.participants if member.proxy_address]
        if len(set(pairs)) < len(pairs):
            raise MEMBER_BINDING_TAKEN("A pair of addresses is named twice")


class ActivateConversation(Command[None], frozen=True, kw_only=True):
    """Let the members in; nothing happens to a conversation that is not being set up, or is gone."""

    conversation: str
    """SID."""


class AbandonConversation(Command[None], frozen=True, kw_only=True):
    """Close a conversation that could not be set up; nothing happens to another one."""

    conversation: str
    """SID."""


class SetUpConversation(Job, frozen=True, kw_only=True):
    """Members of a new conversation wait to be let in."""

    account_sid: str
    conversation_sid: str
    hooks: bool
    """Whether the request asked for webhooks (semantics 1.2)."""
