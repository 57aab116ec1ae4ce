"""What stands where the messages would: what to type while no conversation is open."""

from __future__ import annotations

from typing import Final

from tertulia.client import ClientState, ClientSync, ConversationsClient

from .lines import Line, Piece, wrapped
from .overview import joined

TO_BEGIN: Final = (
    ("/create NAME", "begins one; others find it by that name"),
    ("/join NAME", "takes part in one that is there"),
    ("/help", "shows all keys and commands"),
)
TO_CHOOSE: Final = (("Ctrl-K", "and a part of its name"), ("Tab", "to the list, then Enter"), *TO_BEGIN)


def title(client: ConversationsClient) -> str:
    """What is the case, in a few words."""
    if client.state is not ClientState.READY:
        return "not connected yet"
    if not _is_listed(client):
        return "conversations are coming in …"
    return "choose a conversation" if joined(client) else "no conversations yet"


def lines(client: ConversationsClient, width: int) -> list[Line]:
    """What can be done about it."""
    if not _is_listed(client):
        return []
    shown = TO_CHOOSE if joined(client) else TO_BEGIN
    room = max(len(left) for left, _ in shown) + 2
    texts = [Line((Piece("What you can do here:", "dim"),)), Line(())]
    for left, right in shown:
        first, *more = wrapped(right, max(10, width - room))
        texts.append(Line((Piece(left.ljust(room), "author"), Piece(first))))
        texts += [Line((Piece(" " * room + line),)) for line in more]
    return [*texts, Line(())]


def _is_listed(client: ConversationsClient) -> bool:
    return client.state is ClientState.READY and (
        client.sync_status >= ClientSync.COMPLETED or bool(client.known_conversations)
    )
