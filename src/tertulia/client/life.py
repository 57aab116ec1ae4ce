"""How a client comes up, stays up, and ends: its parts, and the order in which they start and stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

import msgspec

from tertulia.wire.sync import TYPING

from .calls import Calls
from .config import ClientConfig
from .configuration import Configuration
from .connection import Connection
from .content import Templates
from .decoding import decoded, decoder
from .errors import ConversationsError, TokenError, TokenExpiredError, TokenRejectedError, TransportError
from .events import (
    ConnectionErrorOccurred,
    ConnectionStateChanged,
    TokenAboutToExpire,
    TokenExpired,
    TokenUpdated,
    TokenUpdateFailed,
)
from .media import MediaService
from .model.conversations import Conversations
from .model.outgoing import OutboxPlaces
from .model.users import Users
from .outbox import Outbox
from .push import PushRegistrar
from .receipts import Receipts
from .session import Session
from .states import ConnectionState, TokenReason
from .sync import Following
from .tokens import TokenKeeper, given_token

if TYPE_CHECKING:
    from .dispatch import Emitter

log = logging.getLogger(__name__)


class _TypingNotice(msgspec.Struct):
    channel_sid: str
    identity: str
    typing_timeout: float = 6


FLUSH_S = 3.0
"""A server that does not take what was collected in that time does not get it."""
REFRESH_PAUSE_S = 5.0
"""Between two attempts to learn what the server says today, when it started from what it said before."""
_CONFIGURATION = "configuration"
_typing_notice = decoder(_TypingNotice)


class Life:
    """The parts of one client. It hears what the connection tells and passes it on to whom it concerns."""

    def __init__(self, config: ClientConfig, client: Emitter) -> None:
        self._config = config
        self._client = client
        self._kept_of: str | None = None
        self._is_confirmed = True
        """Whether the server has said who this is, in this run: what waits is sent in nobody else's name."""
        self._refreshes = False
        self._loading: asyncio.Task[None] | None = None
        self._last_problem: str | None = None
        self.tokens = TokenKeeper(config)
        self.connection = Connection(config, self.tokens.get, self)
        self.session = session = Session(config, Calls(self.connection, config), client)
        session.following = Following(session.calls, None, session.spawn)
        session.following.sync_url = session.base_url
        session.users = Users(session)
        session.conversations = Conversations(session)
        session.media = MediaService(session, lambda: self.tokens.current)
        session.templates = Templates(session)
        session.receipts = Receipts(session)
        self.push = PushRegistrar(session)

    @property
    def last_problem(self) -> str | None:
        """What keeps it from connecting, while something does."""
        return self.tokens.problem or self._last_problem

    async def begin(self) -> None:
        """The client is usable when this returns; conversations follow. Raises ``InitializationError``."""
        session = self.session
        await self.tokens.recall()
        stored = await self._stored_configuration()
        if stored is not None:
            session.configure(stored)
            self._is_confirmed = False
            self.connection.start_soon()
        else:
            await self.connection.start()
            await self._ask_configuration()
        if self._config.outbox:
            self._open_outbox()
        await session.users.open_me()
        self._load()
        if self._config.push is not None:
            self.push.begin(self._config.push)

    def _load(self) -> None:
        self._loading = self.session.spawn(self.session.conversations.load())

    def _open_outbox(self) -> None:
        session, places = self.session, OutboxPlaces(self.session)
        session.outbox = Outbox(
            session.calls,
            places,
            session.media,
            self._config.store,
            places.emit,
            command_timeout=self._config.command_timeout,
            clock=self._config.clock,
        )
        session.outbox.restore()
        if self.connection.state is ConnectionState.CONNECTED and self._is_confirmed:
            session.outbox.connected()

    async def update_token(self, token: str) -> None:
        token = given_token(token)
        if not self.tokens.take(token):
            return
        try:
            await self.connection.update_token(token)
        except TokenError:
            self.tokens.withdraw()
            raise
        self.tokens.confirm()
        self._client._emit(TokenUpdated(self.tokens.expires_at))

    async def flush(self) -> None:
        """What was collected is sent, as far as there is a connection that takes it soon."""
        if self.connection.state is ConnectionState.CONNECTED:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FLUSH_S):
                    await self.session.conversations.flush()

    async def forget(self) -> None:
        """Nothing of this login stays on this device. For after the end."""
        await self.tokens.forget()
        store, whose = self._config.store, self._kept_of or self.tokens.identity
        if store is not None and whose is not None:
            try:
                await store.open(self._config.server_url, whose, owner=self)
                await store.erase()
            finally:
                await store.close(owner=self)

    async def end(self) -> None:
        """Nothing runs, and nothing is held, when this returns."""
        session = self.session
        session.is_closed = True
        try:
            await self.push.close()
            if session.outbox is not None:
                await session.outbox.close()
            session.following.stop()
            await self.connection.close()
            await session.end_tasks()
            await self.tokens.close()
            await session.media.close()
            session.conversations.end()
            session.users.end()
        finally:
            if self._config.store is not None:
                await self._config.store.close(owner=self)

    # --- what the connection tells

    def state_changed(self, state: ConnectionState, previous: ConnectionState) -> None:
        self._client._emit(ConnectionStateChanged(state, previous))

    def connected(self) -> None:
        self._last_problem = None
        self.tokens.confirm()
        self.session.following.connected()
        if not self._is_confirmed:
            if not self._refreshes:
                self._refreshes = True
                self.session.spawn(self._refresh_configuration())
        elif self.session.outbox is not None:
            self.session.outbox.connected()

    def lost(self) -> None:
        self.session.following.lost()
        if self.session.outbox is not None:
            self.session.outbox.lost()

    def notified(self, message_type: str, payload: bytes) -> None:
        if message_type == TYPING:
            self._typed(payload)
        else:
            self.session.following.notified(message_type, payload)

    def problem(self, problem: ConnectionErrorOccurred) -> None:
        if self._last_problem is None:
            log.warning("client.not_connected: %s", problem.message, extra={"why": problem.message})
        self._last_problem = problem.message
        self._client._emit(problem)

    def token_about_to_expire(self) -> None:
        self._client._emit(TokenAboutToExpire(self.tokens.expires_at))
        self.connection.renew_token(TokenReason.ABOUT_TO_EXPIRE)

    def token_expired(self) -> None:
        self._client._emit(TokenExpired(self.tokens.expires_at))

    def token_renewed(self) -> None:
        self.tokens.confirm()
        self._client._emit(TokenUpdated(self.tokens.expires_at))

    def token_not_renewed(self, error: BaseException) -> None:
        if isinstance(error, TokenRejectedError | TokenExpiredError):
            self.tokens.withdraw()
        self._client._emit(TokenUpdateFailed(error))

    def _typed(self, payload: bytes) -> None:
        try:
            notice = _typing_notice(payload)
        except ValueError:
            return
        conversation = self.session.conversations.known.get(notice.channel_sid)
        if conversation is None:
            return  # a look at a conversation nobody asked for would announce it (client-commands 4.6)
        for participant in tuple(conversation.participants.values()):
            if participant.identity == notice.identity:
                participant._types(notice.typing_timeout)

    # --- the configuration

    async def _ask_configuration(self) -> None:
        configuration = await self.session.calls.get(f"{self.session.base_url}/Client/v2/Configuration", Configuration)
        store = self._config.store
        if store is not None:
            await self._open_store(configuration.identity)
        self.session.configure(configuration)
        if store is not None:
            store.remember(_CONFIGURATION, msgspec.json.encode(configuration))

    async def _refresh_configuration(self) -> None:
        """Asks until it is answered; without a connection, when there is one again. Then what waits may go out."""
        whoever_was_here = self.session.identity
        try:
            while True:
                try:
                    await self._ask_configuration()
                    break
                except TransportError:
                    if self.connection.state is not ConnectionState.CONNECTED:
                        return
                except ConversationsError as error:
                    log.warning("client.configuration_not_refreshed: %s", error, extra={"why": str(error)})
                await asyncio.sleep(REFRESH_PAUSE_S)
        finally:
            self._refreshes = False
        self._is_confirmed = True
        if self.session.identity != whoever_was_here:
            await self._change_user()
        elif self.session.outbox is not None and self.connection.state is ConnectionState.CONNECTED:
            self.session.outbox.connected()

    async def _change_user(self) -> None:
        """Somebody else has logged in: he is shown nothing of whoever was here; what waits stays his who wrote it."""
        session, outbox = self.session, self.session.outbox
        session.following.let_go()
        if self._loading is not None:
            self._loading.cancel()
        await session.conversations.let_go()
        session.users.let_go()
        if outbox is not None:
            self._open_outbox()
            await outbox.close()
        await session.users.open_me()
        self._load()

    async def _stored_configuration(self) -> Configuration | None:
        """What the server said the last time, if this user's state is kept."""
        store = self._config.store
        if store is None or not await self._open_store(self.tokens.identity):
            return None
        stored = store.recall(_CONFIGURATION)
        try:
            return None if stored is None else decoded(stored, Configuration)
        except ValueError:
            return None  # of another version: asked anew

    async def _open_store(self, identity: str | None) -> bool:
        """Whether there is something of this user; None is whoever was here last."""
        store = self._config.store
        assert store is not None
        if self._kept_of is None or self._kept_of != identity:
            self._kept_of = await store.open(self._config.server_url, identity, owner=self)
            self.session.following.store = store
        return self._kept_of is not None
