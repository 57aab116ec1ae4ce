"""What makes a message one of an e-mail thread: its subject, and the messages before it (gateways 8.6). Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from .channels import Envelope
from .conversations import Conversation
from .messages import Message

CHAIN: Final = 20
"""Messages that ``References`` names at most."""

ATTRIBUTE: Final = "email"
"""The attribute of a message that says what is known of the e-mail it came by."""
_ANSWER: Final = "Re:"
_HOPS: Final = 100


class Earlier(msgspec.Struct, frozen=True):
    """A message before it. Printed without its subject."""

    sid: str
    subject: str | None
    message_id: str | None
    """Its ``Message-ID``, where it came by e-mail."""

    def __repr__(self) -> str:
        return f"Earlier({self.sid}, ***)"


def envelope_of(
    message: Message, conversation: Conversation | None, earlier: Sequence[Earlier], copies: tuple[str, ...]
) -> Envelope:
    """The envelope of a message of a conversation; ``earlier`` are those before it, the newest first."""
    last = earlier[0] if earlier else None
    return Envelope(
        subject=message.subject or _answering(earlier),
        from_name=None if conversation is None else conversation.email_name,
        copies=copies,
        answers=None if last is None else last.sid,
        answered_id=None if last is None else last.message_id,
        chain=tuple(one.message_id or one.sid for one in reversed(earlier[:CHAIN])),
        conversation_sid=message.conversation_sid,
        message_sid=message.sid,
        hops=_hops(message.attributes),
    )


def provider_name(message_id: str, mailbox: str) -> str:
    """What a mail to one of our mailboxes is known by: to each that it came to it is an arrival of its own."""
    return f"{message_id} {mailbox}"


def message_id_of(provider_id: str | None) -> str | None:
    """The ``Message-ID`` in the name of an arrival."""
    return None if provider_id is None else provider_id.partition(" ")[0]


def automatic_envelope() -> Envelope:
    """That of an answer that nobody wrote."""
    return Envelope(subject=None, from_name=None, is_automatic=True)


def _hops(attributes: str) -> int:
    """How often the message was passed on before it came to us by e-mail; account holders may write there as well."""
    if ATTRIBUTE not in attributes:
        return 0
    given = msgspec.json.decode(attributes)
    about = given.get(ATTRIBUTE) if isinstance(given, dict) else None
    hops = about.get("hops") if isinstance(about, dict) else None
    return min(hops, _HOPS) if isinstance(hops, int) and not isinstance(hops, bool) and hops > 0 else 0


def _answering(earlier: Sequence[Earlier]) -> str | None:
    """The last subject, as that of an answer to it."""
    subject = next((one.subject for one in earlier if one.subject), None)
    if subject is None or subject.lower().startswith(_ANSWER.lower()):
        return subject
    return f"{_ANSWER} {subject}"
