"""The face of the library: one client is one login of one user."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from . import arguments
from .attributes import Json, attributes_text
from .config import ClientConfig
from .dispatch import Emitter, Hub
from .errors import (
    ClientNotReadyError,
    ClientShutDownError,
    ConversationsError,
    InitializationError,
    InvalidArgumentError,
)
from .events import (
    ClientFailed,
    ClientReady,
    ConversationAdded,
    PushReceived,
)
from .life import Life
from .model.conversation import Conversation
from .model.user import User
from .paging import Page
from .push import PushNotification
from .states import ClientState, ClientSync, ConnectionState

if TYPE_CHECKING:
    from .content import ContentTemplate
    from .media import Media

log = logging.getLogger(__name__)

_alive: WeakValueDictionary[tuple[str, str], ConversationsClient] = WeakValueDictionary()
"""The clients of this process that were started and not shut down, by server and identity."""


class ConversationsClient(Emitter):
    """A user's conversations, live (object-model D.2).

    Making one does nothing yet, so that handlers can be attached first. ``async with`` starts it and shuts it down::

        async with ConversationsClient(ClientConfig(server_url=url, token=token)) as client:
            ...

    It reconnects by itself and misses nothing; shut it down at logout only. A client that was shut down refuses
    everything with ``ClientShutDownError``: make a new one.
    """

    __slots__ = ("_ending", "_life", "_loop", "_state", "config")

    def __init__(self, config: ClientConfig) -> None:
        super().__init__()
        if not isinstance(config, ClientConfig):
            raise InvalidArgumentError("a client is made of a ClientConfig(server_url=..., token=...)")
        config.check()
        self.config = config
        self._state = ClientState.NEW
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending: asyncio.Task[None] | None = None
        self._life = Life(config, self)

    @classmethod
    async def create(cls, config: ClientConfig) -> ConversationsClient:
        """A client that is started."""
        client = cls(config)
        await client.start()
        return client

    def __repr__(self) -> str:
        return f"<ConversationsClient {self._state} {self.connection_state}>"

    # --- life

    @property
    def state(self) -> ClientState:
        return self._state

    @property
    def connection_state(self) -> ConnectionState:
        return self._life.connection.state

    @property
    def retries_in(self) -> float | None:
        """Seconds until the next attempt to connect; None while none is waited for."""
        return self._life.connection.retries_in

    @property
    def sync_status(self) -> ClientSync:
        """How much of the user's conversations is known."""
        return self._life.session.conversations.status

    async def start(self) -> None:
        """Connects; returns when the client is usable, with conversations still coming in.

        Takes the same few requests however many conversations there are. Raises ``InitializationError`` when the server
        refuses (its cause says why) or ``start_timeout`` has passed; a network that is away is waited for. With a
        store that knows this user, returns at once with what it knows.
        """
        if self._state is ClientState.SHUT_DOWN:
            raise ClientShutDownError
        if self._state is not ClientState.NEW:
            raise InvalidArgumentError("a client is started once; after a start that failed, make a new one")
        self._state = ClientState.STARTING
        self._loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self.config.start_timeout):
                await self._life.begin()
        except (ConversationsError, TimeoutError) as error:
            why = str(error) or self._life.last_problem or "no answer in time"
            failure = (
                error if isinstance(error, InitializationError) else InitializationError(f"the start failed: {why}")
            )
            if failure is not error:
                # A provider that goes on failing is why there was no answer in time.
                failure.__cause__ = (isinstance(error, TimeoutError) and self._life.tokens.failure) or error
            if self._state is not ClientState.SHUT_DOWN:
                self._state = ClientState.FAILED
                self._emit(ClientFailed(failure))
                await self._finish(ClientState.FAILED)
            raise failure from failure.__cause__
        except BaseException:
            await self._finish(ClientState.FAILED)
            raise
        self._state = ClientState.READY
        self._warn_of_second()
        self._emit(ClientReady())

    async def shutdown(self) -> None:
        """The end, at logout: whatever waits is told so, nothing is left running. May be called any number of times.

        It comes to its end also when whoever called is cancelled.
        """
        if self._state is ClientState.READY:
            await self._life.flush()
        await self._finish(ClientState.SHUT_DOWN)

    async def logout(self, *, unregister_push: bool = True) -> None:
        """Shuts down, and forgets on this device: its registration for push, the stored token, the stored state.

        A client that never started, or has ended, forgets the last two as well. Raises ``StoreError`` when the store
        cannot be written.
        """
        try:
            if self._state is ClientState.READY and unregister_push:
                await self._life.push.logout()
        finally:
            await self.shutdown()
            await self._life.forget()

    async def __aenter__(self) -> ConversationsClient:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.shutdown()

    async def wait_synchronized(self, level: ClientSync = ClientSync.COMPLETED, timeout: float | None = None) -> None:
        """Returns when that much of the user's conversations is known. Raises ``TimeoutError``."""
        self._require()
        level, timeout = arguments.choice(ClientSync, level, "level"), arguments.seconds(timeout, "timeout")
        await self._life.session.conversations.reached(level, timeout)

    def network_available(self) -> None:
        """A hint that the network has come back: the next attempt to connect is now. Never needed; from any thread."""
        self._require()
        assert self._loop is not None, "who is ready was started"
        self._loop.call_soon_threadsafe(self._hurry)

    def _hurry(self) -> None:
        if self._state is ClientState.READY:
            self._life.connection.hurry()

    def foreground(self) -> None:
        """A hint that the application is looked at again: as ``network_available``. Never needed."""
        self.network_available()

    async def update_token(self, token: str) -> None:
        """Go on with this token; the same one changes nothing. Brings back a client whose token has ended.

        Blanks around it count for nothing. Raises ``InvalidArgumentError`` for what is no token and
        ``TokenTtlTooShortError`` before anything is sent, ``TokenRejectedError`` or ``TokenExpiredError`` when the
        server does not take it.
        """
        self._require()
        await self._life.update_token(token)

    # --- the user, and others

    @property
    def identity(self) -> str:
        """Who is logged in."""
        return self._life.session.identity

    @property
    def me(self) -> User:
        """The user of this client; always followed."""
        return self._life.session.users.me

    @property
    def reachability_enabled(self) -> bool:
        """Whether the service tells who is online."""
        return self._life.session.configuration.options.reachability_enabled

    @property
    def subscribed_users(self) -> Mapping[str, User]:
        """The users that are followed, by identity."""
        self._require()
        return self._life.session.users.subscribed

    async def get_user(self, identity: str, *, subscribe: bool = True) -> User:
        """A user of the service; followed from now on, unless ``subscribe`` is False. Raises ``NotFoundError``."""
        self._require()
        arguments.text(identity, "an identity")
        return await self._life.session.users.get(identity, subscribe=subscribe)

    # --- conversations

    @property
    def known_conversations(self) -> Mapping[str, Conversation]:
        """The conversations known at this moment, by SID."""
        self._require()
        return self._life.session.conversations.known

    async def conversations(self) -> AsyncGenerator[Conversation, None]:
        """The user's conversations, all of them, each once, as they come in; ends when all are there."""
        self._require()
        told: set[str] = set()
        async with self.events(ConversationAdded, max_queue=1_000_000) as stream:
            for conversation in tuple(self.known_conversations.values()):
                told.add(conversation.sid)
                yield conversation
            complete = self._life.session.spawn(self._life.session.conversations.reached(ClientSync.COMPLETED))
            complete.add_done_callback(lambda _: stream.end())
            try:
                async for event in stream:
                    if event.conversation.sid not in told:
                        told.add(event.conversation.sid)
                        yield event.conversation
            finally:
                complete.cancel()

    async def conversations_page(self, page_size: int = 100) -> Page[Conversation]:
        """The user's conversations in pages, when all of them are listed and named."""
        arguments.number(page_size, "page_size", 1)
        await self.wait_synchronized()
        everything = tuple(self.known_conversations.values())

        async def page(start: int) -> Page[Conversation]:
            end = start + page_size
            return Page(
                everything[start:end],
                (lambda: page(end)) if end < len(everything) else None,
                (lambda: page(max(0, start - page_size))) if start > 0 else None,
            )

        return await page(0)

    async def watch_conversations(self) -> AsyncGenerator[Conversation, None]:
        """Every conversation once: those that are there, then each new one, until the client is shut down."""
        self._require()
        async with self.events(ConversationAdded) as stream:
            known = tuple(self.known_conversations.values())
            for conversation in known:
                yield conversation
            told = {conversation.sid for conversation in known}
            async for event in stream:
                if event.conversation.sid in told:
                    told.discard(event.conversation.sid)
                else:
                    yield event.conversation

    async def get_conversation(self, sid: str) -> Conversation:
        """The user's conversation with this SID. Raises ``NotFoundError`` for one he is not in."""
        self._require()
        return await self._life.session.conversations.get(arguments.text(sid, "the SID of a conversation"))

    async def get_conversation_by_unique_name(self, name: str) -> Conversation:
        """The user's conversation of this name. Raises ``NotFoundError``."""
        self._require()
        return await self._life.session.conversations.by_unique_name(arguments.text(name, "a unique name"))

    async def peek_conversation(self, sid: str) -> Conversation:
        """A conversation as its creator sees it before he has joined it: without its participants and messages.

        Raises ``NotFoundError`` for one that does not exist, and for others' that the user is not in: servers show
        these to nobody. ``join_conversation`` opens them, if the user's role lets him.
        """
        self._require()
        return await self._life.session.conversations.peek(arguments.text(sid, "the SID of a conversation"))

    async def join_conversation(self, sid_or_unique_name: str) -> Conversation:
        """Take part in a conversation that exists; returns it with its participants and messages.

        Nothing happens where the user takes part already; who has left comes back. Raises ``NotFoundError`` for one
        that does not exist, or that the user's role does not let him join (servers do not say which), and
        ``UpdateTimeoutError`` when he has joined it and cannot see it yet.
        """
        self._require()
        name = arguments.text(sid_or_unique_name, "a SID or a unique name")
        return await self._life.session.conversations.join(name)

    async def create_conversation(
        self,
        *,
        friendly_name: str | None = None,
        unique_name: str | None = None,
        attributes: Json = None,
        access: str | None = None,
        join: bool = False,
    ) -> Conversation:
        """A new conversation, in which nobody is yet: its creator neither, but with ``join``.

        Until he has joined it for the first time, its creator sees its names, attributes and counts, and can join it.
        He cannot read, write, add others, change or delete it: each raises an error that says to join it first. Nobody
        else sees it meanwhile. Raises ``ConflictError`` for a name that is taken.
        """
        self._require()
        for what, name in (("friendly_name", friendly_name), ("unique_name", unique_name), ("access", access)):
            arguments.words(name, what)
        body: dict[str, object] = {"attributes": attributes_text(attributes)}
        given = {"friendly_name": friendly_name, "unique_name": unique_name, "access": access}
        body.update({name: value for name, value in given.items() if value is not None})
        conversation = await self._life.session.conversations.create(body)
        if join:
            await conversation.join()
            await conversation.ready()
        return conversation

    # --- files and templates

    async def media_urls(self, media: Sequence[Media | str]) -> dict[str, str]:
        """Temporary URLs of files, by SID: good for some minutes, for whoever has them."""
        self._require()
        if not isinstance(media, list | tuple):
            raise InvalidArgumentError("give a list of files of messages, or of their SIDs")
        return await self._life.session.media.temporary_urls(
            [arguments.text(getattr(each, "sid", each), "the SID of a file") for each in media]
        )

    async def content_templates(self) -> Sequence[ContentTemplate]:
        """The account's content templates; kept for five seconds."""
        self._require()
        return await self._life.session.templates.all()

    # --- push

    async def register_push(self, channel: str, device_token: str) -> None:
        """Notify this device when the user is away; asks the server only if something has changed."""
        self._require()
        await self._life.push.register(channel, device_token)

    def on_device_token(self, device_token: str) -> None:
        """The system gave this device another token: it takes the old one's place, in the background.

        Raises ``InvalidArgumentError`` without ``ClientConfig.push``.
        """
        self._require()
        self._life.push.on_device_token(device_token)

    async def unregister_push(self, channel: str, device_token: str | None = None) -> None:
        """Notify this device no more."""
        self._require()
        await self._life.push.unregister(channel, device_token)

    async def remove_push_registrations(self, channel: str, device_token: str) -> None:
        """Forget a device by its token, whoever registered it; cheap to repeat."""
        self._require()
        await self._life.push.remove(channel, device_token)

    async def cleanup_push(self, channel: str, device_token: str) -> bool:
        """Forget a device that is not to ring any more; asks at most once a day, and says whether it has."""
        self._require()
        return await self._life.push.cleanup(channel, device_token)

    def handle_push(self, payload: Mapping[str, Any]) -> PushNotification:
        """Reads a notification that the device has received, and tells it as ``PushReceived``.

        Raises ``InvalidArgumentError`` for one that is not of this service.
        """
        self._require()
        if not isinstance(payload, Mapping):
            raise InvalidArgumentError("a payload is a mapping, as the device has got it")
        notification = PushNotification.parse(payload)
        self._emit(PushReceived(notification))
        return notification

    def _require(self) -> None:
        if self._state is ClientState.SHUT_DOWN:
            raise ClientShutDownError
        if self._state is not ClientState.READY:
            raise ClientNotReadyError

    def _warn_of_second(self) -> None:
        key = (self.config.server_url, self.identity)
        other = _alive.get(key)
        if other is not None and other is not self and other.state is ClientState.READY:
            log.warning("client.second_of_same_user")
        _alive[key] = self

    async def _finish(self, state: ClientState) -> None:
        self._state = state
        for key, alive in tuple(_alive.items()):
            if alive is self:
                del _alive[key]
        self._life.session.spare(asyncio.current_task())
        if self._ending is None:
            self._ending = asyncio.get_running_loop().create_task(self._life.end())
        await asyncio.shield(self._ending)
        if state is ClientState.SHUT_DOWN:
            self._let_go()

    def _parent(self) -> Emitter | None:
        return None

    def _hub(self) -> Hub:
        return self._life.session
