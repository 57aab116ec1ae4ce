"""Which conversation a name means, wherever one is named to ``chat``, ``listen`` and ``send``.

A SID, a unique name, or a friendly name that only one of the user's own conversations has; looked at in this order.
"""

from __future__ import annotations

from typing import Final

from tertulia.cli.failure import CommandFailed
from tertulia.cli.plain import plain, plain_name
from tertulia.client import Conversation, ConversationsClient, ConversationStatus
from tertulia.client.errors import NotFoundError
from tertulia.client.urls import is_text
from tertulia.wire.sids import CONVERSATION, is_sid

_LISTED: Final = 10
"""Of so many SIDs the user can choose one by looking."""


class NoSuchConversation(CommandFailed):
    """The name means no conversation; the text has the name, and what would help."""


class AmbiguousName(CommandFailed):
    """The name is the friendly name of several; the text lists their SIDs."""


def own(client: ConversationsClient) -> list[Conversation]:
    """The conversations, of those known now, in which the user takes part."""
    known = client.known_conversations.values()
    return [each for each in known if each.status is ConversationStatus.JOINED]


def among_known(client: ConversationsClient, name: str) -> Conversation | None:
    """The user's conversation of this name as far as is known now: any of the three. Raises ``AmbiguousName``."""
    return _by_sid_or_unique_name(client, name) or _by_friendly_name(client, name)


async def named(client: ConversationsClient, name: str) -> Conversation:
    """The user's conversation of this name. Raises ``NoSuchConversation``, ``AmbiguousName``, errors of the client.

    For a friendly name all of the user's conversations have to be known, which is waited for.
    """
    known = _by_sid_or_unique_name(client, name)
    if known is not None:
        return known
    if _can_be_asked_for(name):
        try:
            if is_sid(name, CONVERSATION):
                return await client.get_conversation(name)
            return await client.get_conversation_by_unique_name(name)
        except NotFoundError:
            if is_sid(name, CONVERSATION):
                raise _not_his(client, name) from None
    return await _friendly(client, name)


async def joined(client: ConversationsClient, name: str) -> Conversation:
    """Take part in the conversation with this SID or unique name; one's own is found by its friendly name as well.

    Raises ``NoSuchConversation``, ``AmbiguousName``, errors of the client.
    """
    known = _by_sid_or_unique_name(client, name)
    if known is not None:
        return known
    if _can_be_asked_for(name):
        try:
            return await client.join_conversation(name)
        except NotFoundError:
            if is_sid(name, CONVERSATION):
                raise NoSuchConversation(f"there is no conversation {name}, or it may not be joined") from None
    try:
        return await _friendly(client, name)
    except NoSuchConversation:
        raise NoSuchConversation(
            f"there is no conversation {shown(name)}: others' are found by SID (CH...) or unique name;"
            f" /create {plain(name)} begins one"
        ) from None


def shown(name: str) -> str:
    """As it stands in a sentence."""
    return f"'{plain_name(name)}'"


def _can_be_asked_for(name: str) -> bool:
    return bool(name.strip()) and is_text(name)


def _by_sid_or_unique_name(client: ConversationsClient, name: str) -> Conversation | None:
    return next((each for each in own(client) if name in (each.sid, each.unique_name)), None)


def _by_friendly_name(client: ConversationsClient, name: str) -> Conversation | None:
    wanted = name.strip()
    found = [each for each in own(client) if wanted and (each.friendly_name or "").strip() == wanted]
    if len(found) < 2:
        return found[0] if found else None
    sids = sorted(plain(each.sid) for each in found)
    more = f" and {len(sids) - _LISTED} more" if len(sids) > _LISTED else ""
    raise AmbiguousName(
        f"{len(found)} conversations are called {shown(name)}; give the SID: {', '.join(sids[:_LISTED])}{more}"
    )


async def _friendly(client: ConversationsClient, name: str) -> Conversation:
    await client.wait_synchronized()
    found = _by_friendly_name(client, name)
    if found is None:
        raise _not_his(client, name)
    return found


def _not_his(client: ConversationsClient, name: str) -> NoSuchConversation:
    if not name.strip():
        return NoSuchConversation("the name of the conversation is empty: give its SID, unique name or friendly name")
    kinds = "" if is_sid(name, CONVERSATION) else " (SID, unique name or friendly name)"
    return NoSuchConversation(
        f"{plain_name(client.identity)} takes part in no conversation {shown(name)}{kinds};"
        f" /join {plain(name)} in `tertulia chat` takes part in one that is there"
    )
