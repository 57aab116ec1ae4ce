"""Writing messages into a conversation, and showing that one writes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, overload

from tertulia.client.attributes import Json
from tertulia.client.draft import MessageDraft
from tertulia.client.errors import ConversationsError, InvalidArgumentError
from tertulia.client.states import ConversationStatus
from tertulia.client.urls import segment

from .answers import Sent, Typed
from .part import ConversationPart

if TYPE_CHECKING:
    from tertulia.client.files import Files
    from tertulia.client.outbox import PendingMessage

    from .message import Message

TYPING_S = 5.0
"""How often typing is told, while the server has not said otherwise (client-commands 4.6)."""


class Sending(ConversationPart):
    """The writing half of a conversation."""

    __slots__ = ()

    @overload
    async def send(
        self,
        body: str | None = None,
        *,
        media: Files = (),
        attributes: Json = None,
        subject: str | None = None,
        email_bodies: Mapping[str, str] | None = None,
        email_histories: Mapping[str, str] | None = None,
        content_sid: str | None = None,
        content_variables: Mapping[str, str] | None = None,
        wait: Literal[True] = True,
    ) -> Message: ...

    @overload
    async def send(
        self,
        body: str | None = None,
        *,
        media: Files = (),
        attributes: Json = None,
        subject: str | None = None,
        email_bodies: Mapping[str, str] | None = None,
        email_histories: Mapping[str, str] | None = None,
        content_sid: str | None = None,
        content_variables: Mapping[str, str] | None = None,
        wait: Literal[False],
    ) -> int: ...

    async def send(
        self,
        body: str | None = None,
        *,
        media: Files = (),
        attributes: Json = None,
        subject: str | None = None,
        email_bodies: Mapping[str, str] | None = None,
        email_histories: Mapping[str, str] | None = None,
        content_sid: str | None = None,
        content_variables: Mapping[str, str] | None = None,
        wait: bool = True,
    ) -> Message | int:
        """Write a message: words, files, both, or from a template.

        ``media`` is a file or several: a ``Path``, bytes, a pair of one of these and its content type, or
        ``FileToSend``. Gives the message when it can be seen here; without ``wait`` its index as soon as the server has
        it. With an outbox it takes its turn behind what waits there, and does not fail for want of a connection.

        Raises ``InvalidArgumentError`` for what is no message, a file that cannot be read (by its name), and where the
        user does not take part.
        """
        draft = MessageDraft(
            body=body,
            media=media,
            attributes=attributes,
            subject=subject,
            email_bodies=email_bodies or {},
            email_histories=email_histories or {},
            content_sid=content_sid,
            content_variables=content_variables,
        )
        return await (self.send_draft(draft) if wait else self.send_draft(draft, wait=False))

    @overload
    async def send_draft(self, draft: MessageDraft, *, wait: Literal[True] = True) -> Message: ...

    @overload
    async def send_draft(self, draft: MessageDraft, *, wait: Literal[False]) -> int: ...

    async def send_draft(self, draft: MessageDraft, *, wait: bool = True) -> Message | int:
        """Write what the draft says, and give what ``send`` gives; a draft can be sent any number of times."""
        self._check(draft)
        self._typed_until = 0.0  # the others see typing end with the message
        if self._session.outbox is not None:
            message = await self._as_member((await self.post_draft(draft)).sent())
            return message if wait else message.index
        if not wait:
            return (await self._command(draft)).index
        # What is written before its messages are followed would be waited for in vain.
        await self.ready()
        command = self._command(draft)
        sent = await self._watch.visible(
            command, lambda sent: sent.index in self._history.by_index, self._session.config.visibility_timeout
        )
        return self._history.by_index[sent.index]

    async def post(self, body: str | None = None, *, media: Files = (), attributes: Json = None) -> PendingMessage:
        """Put a message into the outbox: it can be shown at once, and arrives exactly once, in order.

        Raises ``InvalidArgumentError`` without an outbox (``ClientConfig.outbox``).
        """
        return await self.post_draft(MessageDraft(body=body, media=media, attributes=attributes))

    async def post_draft(self, draft: MessageDraft) -> PendingMessage:
        """Like ``post``, of everything a message can have."""
        self._check(draft)
        if self._session.outbox is None:
            raise InvalidArgumentError("there is no outbox: configure the client with outbox=True")
        return await self._session.outbox.put(self.sid, draft)

    @property
    def pending_messages(self) -> Sequence[PendingMessage]:
        """What waits in the outbox for this conversation, in order."""
        return () if self._session.outbox is None else self._session.outbox.pending(self.sid)

    async def typing(self) -> None:
        """Show the others that somebody writes; sent at most once in the time the server says, else nothing happens.

        Nor does it where the user does not take part.
        """
        loop = asyncio.get_running_loop()
        if loop.time() < self._typed_until or self._state.status is not ConversationStatus.JOINED:
            return
        every = self._session.config.typing_timeout
        self._typed_until = loop.time() + (every or TYPING_S)
        answer = await self._session.calls.post_form(
            self._session.configuration.links.typing, f"ChannelSid={segment(self.sid)}", Typed
        )
        if every is None and answer.typing_timeout:
            self._typed_until = loop.time() + answer.typing_timeout

    @contextlib.asynccontextmanager
    async def typing_session(self) -> AsyncIterator[None]:
        """Show the others that somebody writes, for as long as the block lasts."""

        async def keep_typing() -> None:
            while True:
                # That it could not be shown is no reason to disturb who writes.
                with contextlib.suppress(OSError, ConversationsError):
                    await self.typing()
                await asyncio.sleep(max(0.05, self._typed_until - asyncio.get_running_loop().time()))

        task = self._session.spawn(keep_typing())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})

    def _check(self, draft: MessageDraft) -> None:
        if not isinstance(draft, MessageDraft):
            raise InvalidArgumentError("a draft is a MessageDraft; words are sent with send()")
        draft.check(self._session.configuration.options)

    async def _command(self, draft: MessageDraft) -> Sent:
        sids = await draft.upload(self._session.media)
        url = self._url("Messages")
        return await self._as_member(self._session.calls.post(url, draft.body_of(sids), Sent))
