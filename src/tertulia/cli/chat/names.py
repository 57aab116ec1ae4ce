"""What conversations and people are called on the screen."""

from __future__ import annotations

from tertulia.cli.plain import plain, plain_name
from tertulia.client import Conversation, Participant

SHOWN = 3
"""How many people a list names before it counts the others."""


def of_participant(participant: Participant) -> str:
    """An identity, or the address of who takes part from elsewhere."""
    if participant.identity:
        return plain_name(participant.identity)
    for binding in participant.bindings.values():
        address = binding.get("address") if isinstance(binding, dict) else None
        if isinstance(address, str) and address:
            return plain_name(address)
    return plain(participant.sid)


def others(conversation: Conversation, me: str) -> list[str]:
    """Who else takes part, by name, in order."""
    participants = conversation.participants.values()
    return sorted(of_participant(each) for each in participants if each.identity != me)


def of_conversation(conversation: Conversation, me: str) -> str:
    """Its friendly name, else its unique name, else those of the others in it, else its SID."""
    name = (conversation.friendly_name or "").strip() or conversation.unique_name
    return plain(name) if name else listed(others(conversation, me)) or plain(conversation.sid)


def listed(names: list[str]) -> str:
    """``ana, bob, carla and 4 more``."""
    shown = ", ".join(names[:SHOWN])
    return shown if len(names) <= SHOWN else f"{shown} and {len(names) - SHOWN} more"
