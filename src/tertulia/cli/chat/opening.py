"""Which conversation is open at the start: the one that the command names, else the one with the newest message."""

from __future__ import annotations

from tertulia.cli.finding import AmbiguousName, NoSuchConversation, among_known, named
from tertulia.client import ClientSync, Conversation, ConversationsClient

from .overview import newest


class Opening:
    """Looked at whenever more is known, until there is one, or the user has chosen another."""

    def __init__(self, client: ConversationsClient, name: str | None) -> None:
        self.name = name
        self._client = client
        self.is_over = False

    def found(self, *, is_connected: bool) -> Conversation | None:
        """The one to open now, if it is certain: a store knows it before the server answers."""
        if self.is_over:
            return None
        # Without a connection nothing will become known.
        everything_known = not is_connected or self._client.sync_status >= ClientSync.COMPLETED
        if self.name is None:
            conversation = newest(self._client) if everything_known else None
        else:
            conversation = self._named_now(self.name, everything_known)
        self.is_over = conversation is not None
        return conversation

    async def ask(self) -> Conversation | None:
        """The named one, which the server may know before its list has come.

        None when the user has gone elsewhere meanwhile. Raises ``NoSuchConversation``, ``AmbiguousName``, errors of
        the client.
        """
        if self.name is None:
            return None
        try:
            conversation = await named(self._client, self.name)
        except (NoSuchConversation, AmbiguousName):
            self.is_over = True
            raise
        if self.is_over:
            return None
        self.is_over = True
        return conversation

    def _named_now(self, name: str, everything_known: bool) -> Conversation | None:
        try:
            found = among_known(self._client, name)
        except AmbiguousName:
            return None  # `ask` says so
        if found is None or everything_known or name in (found.sid, found.unique_name):
            return found
        return None
