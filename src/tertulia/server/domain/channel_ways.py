"""Who gets a message outside the chat, and by which of our addresses (semantics 4.5, 4.6). Pure.

Everybody but the author: each by himself, from his own proxy address; all of a group text at once; and all people of an
e-mail conversation who are written to from one mailbox at once, as they see each other.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from .addresses import EMAIL, SMS, kind_of
from .conversations import Conversation
from .messages import Message
from .participants import Participant


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """One channel message. Printed without addresses."""

    kind: str
    sender: str
    """Empty: the conversation has no address of ours to send from."""
    people: tuple[Participant, ...]
    others: tuple[str, ...] = ()
    """In a group text: our numbers that stand for its other members."""
    ordering_key: str
    is_group: bool = False
    """One message for all of them, who see each other."""

    @property
    def recipients(self) -> tuple[str, ...]:
        return tuple(person.address for person in self.people if person.address is not None)

    def __repr__(self) -> str:
        return f"Way({self.kind}, {len(self.people)} people, ***)"


def ways_out(
    conversation: Conversation, message: Message, bound: Sequence[Participant], *, came_from: str | None = None
) -> list[Way]:
    """The channel messages of a message; ``bound`` are the participants who have any address.

    ``came_from``: the address of the person who wrote it, where it came in over a channel. What he wrote to the group
    itself the carrier has brought to all phones of it (semantics 4.6).
    """
    is_with_the_group = any(one.address == came_from and one.proxy_address is None for one in bound if one.address)
    people = [
        one for one in bound if one.address is not None and not one.is_chat and one.sid != message.participant_sid
    ]
    ours = _numbers_of_ours(conversation, message, bound)
    ways: list[Way] = []
    together: dict[tuple[str, str], list[Participant]] = {}
    for person in people:
        assert person.address is not None, "it was looked at"
        kind = kind_of(person.address)
        if kind == EMAIL:
            mailbox = person.proxy_address or conversation.email_address or ""
            together.setdefault((EMAIL, mailbox), []).append(person)
        elif conversation.group_key is not None and person.proxy_address is None:
            if is_with_the_group:
                continue
            together.setdefault((SMS, ours[0] if ours else ""), []).append(person)
        else:
            sender = person.proxy_address or (ours[0] if ours else "")
            ways.append(Way(kind=kind, sender=sender, people=(person,), ordering_key=person.sid))
    for (kind, sender), several in together.items():
        is_text = kind == SMS
        ways.append(
            Way(
                kind=kind,
                sender=sender,
                people=tuple(several),
                others=tuple(number for number in ours if number != sender) if is_text else (),
                ordering_key=conversation.sid if is_text else f"{conversation.sid}/{sender}",
                is_group=True,
            )
        )
    return ways


def _numbers_of_ours(conversation: Conversation, message: Message, bound: Sequence[Participant]) -> list[str]:
    """Those that stand for members: the author's first, then the gateway's, then the others by age.

    In a group text also those that people talk to alone, who are seen as these.
    """
    is_group = conversation.group_key is not None
    members = [(one, one.projected_address or (one.proxy_address if is_group else None)) for one in bound]
    members.sort(key=lambda pair: (pair[0].sid != message.participant_sid, pair[0].is_chat, pair[0].sid))
    return list(dict.fromkeys(number for _, number in members if number is not None))
