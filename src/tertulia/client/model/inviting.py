"""Letting others take part in a conversation, and taking them out of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, overload

from tertulia.client import arguments
from tertulia.client.attributes import Json, attributes_text

from .answers import Added
from .part import ConversationPart
from .participant import Participant
from .roster import Roster


class Inviting(ConversationPart):
    """The half of a conversation that is about who takes part."""

    __slots__ = ()

    _roster: Roster

    @overload
    async def add_participant(
        self, identity: str, *, attributes: Json = None, wait: Literal[True] = True
    ) -> Participant: ...

    @overload
    async def add_participant(self, identity: str, *, attributes: Json = None, wait: Literal[False]) -> None: ...

    @overload
    async def add_participant(
        self, identity: str, *, attributes: Json = None, wait: bool = True
    ) -> Participant | None: ...

    async def add_participant(self, identity: str, *, attributes: Json = None, wait: bool = True) -> Participant | None:
        """Let a user take part; gives him, when he can be seen here, or None without ``wait``.

        Raises ``InvalidArgumentError`` where one does not take part oneself, ``ConflictError`` for who does already,
        ``ForbiddenError`` where one's role does not let one.
        """
        body: dict[str, object] = {
            "identity": arguments.text(identity, "an identity"),
            "attributes": attributes_text(attributes),
        }
        return await self._add(body, wait)

    @overload
    async def add_address_participant(
        self,
        address: str,
        proxy_address: str | None = None,
        *,
        attributes: Json = None,
        email_name: str | None = None,
        email_level: str | None = None,
        wait: Literal[True] = True,
    ) -> Participant: ...

    @overload
    async def add_address_participant(
        self,
        address: str,
        proxy_address: str | None = None,
        *,
        attributes: Json = None,
        email_name: str | None = None,
        email_level: str | None = None,
        wait: Literal[False],
    ) -> None: ...

    @overload
    async def add_address_participant(
        self,
        address: str,
        proxy_address: str | None = None,
        *,
        attributes: Json = None,
        email_name: str | None = None,
        email_level: str | None = None,
        wait: bool = True,
    ) -> Participant | None: ...

    async def add_address_participant(
        self,
        address: str,
        proxy_address: str | None = None,
        *,
        attributes: Json = None,
        email_name: str | None = None,
        email_level: str | None = None,
        wait: bool = True,
    ) -> Participant | None:
        """Let somebody take part by his number or address; ``proxy_address`` is ours.

        Gives him, when he can be seen here, or None without ``wait``. Raises what ``add_participant`` raises.
        """
        arguments.text(address, "an address")
        binding = {"address": address, "proxy_address": proxy_address, "name": email_name, "level": email_level}
        for name, value in binding.items():
            arguments.words(value, name)
        body: dict[str, object] = {
            "attributes": attributes_text(attributes),
            "messaging_binding": {name: value for name, value in binding.items() if value is not None},
        }
        return await self._add(body, wait)

    async def remove_participant(self, who: Participant | str, *, wait: bool = True) -> None:
        """Let somebody take part no more: a participant, his SID, or an identity."""
        name = who.sid if isinstance(who, Participant) else arguments.text(who, "a participant")
        command = self._as_member(self._session.calls.delete(self._url("Participants", name)))
        await self._watch.visible(
            command,
            lambda _: name not in self._roster.by_sid and self._roster.of_identity(name) is None,
            self._session.config.visibility_timeout,
            wait=wait,
        )

    async def _add(self, body: Mapping[str, object], wait: bool) -> Participant | None:
        url = self._url("Participants")
        if not wait:
            await self._as_member(self._session.calls.post(url, body, Added))
            return None
        # Whoever is added before the roster is followed would be waited for in vain.
        await self.ready()
        command = self._as_member(self._session.calls.post(url, body, Added))
        added = await self._watch.visible(
            command, lambda added: added.sid in self._roster.by_sid, self._session.config.visibility_timeout
        )
        return self._roster.by_sid[added.sid]
