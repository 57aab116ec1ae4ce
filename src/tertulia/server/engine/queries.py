"""Reads. They see one consistent state, check the same access as commands, and never write (architecture 4)."""

from __future__ import annotations

import msgspec

from tertulia.server.domain.accounts import Account
from tertulia.server.domain.addresses import canonical
from tertulia.server.domain.callers import Caller
from tertulia.server.domain.conversations import Conversation, ConversationState
from tertulia.server.domain.errors import (
    CONVERSATION_NOT_FOUND,
    MESSAGE_NOT_FOUND,
    NOT_A_PARTICIPANT,
    PARTICIPANT_NOT_FOUND,
    RESOURCE_NOT_FOUND,
    USER_NOT_FOUND,
)
from tertulia.server.domain.memberships import Membership
from tertulia.server.domain.messages import Message
from tertulia.server.domain.participants import Participant
from tertulia.server.domain.roles import Role
from tertulia.server.domain.services import Service
from tertulia.server.domain.users import User
from tertulia.server.storage.accounts import Accounts
from tertulia.server.storage.conversations import ConversationFilter, Conversations
from tertulia.server.storage.database import Connection, Database, StorageError
from tertulia.server.storage.memberships import Memberships
from tertulia.server.storage.messages import Messages
from tertulia.server.storage.paging import Page
from tertulia.server.storage.participants import Participants
from tertulia.server.storage.roles import Roles
from tertulia.server.storage.services import Services
from tertulia.server.storage.users import ShownUsers, Users

from .account_queries import AccountQueries
from .content_queries import ContentQueries
from .media_queries import MediaQueries
from .receipt_queries import ReceiptReads
from .scenes import is_waiting_creator
from .sync.reads import SyncReads
from .visible import visible_conversation, visible_service
from .webhook_queries import WebhookQueries
from .windows import Cut, Window, window


class ConversationView(msgspec.Struct, frozen=True):
    """A conversation as one user sees it; ``membership`` is None for its creator before he joined."""

    conversation: Conversation
    membership: Membership | None


class Queries:
    """What can be asked. A missing thing and one the caller may not see are the same ``NotFound``."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.sync = SyncReads(database)
        """What clients read of Sync objects."""
        self.webhooks = WebhookQueries(database)
        self.of_account = AccountQueries(database)
        """Credentials, addresses, devices, notification settings."""
        self.contents = ContentQueries(database)
        """Content templates."""
        self.media = MediaQueries(database)
        """Files, for those who may see them."""
        self.receipts = ReceiptReads(database)
        """Delivery receipts of a message."""

    # --- for account callers

    async def account(self, caller: Caller) -> Account:
        async with self._database.snapshot() as connection:
            account = await Accounts(connection).get(caller.account_sid)
        if account is None:
            raise RESOURCE_NOT_FOUND()
        return account

    async def service(self, caller: Caller, sid: str) -> Service:
        async with self._database.snapshot() as connection:
            return await visible_service(connection, caller, sid)

    async def services(self, caller: Caller, wanted: Page) -> list[Service]:
        async with self._database.snapshot() as connection:
            return await Services(connection).page(caller.account_sid, wanted)

    async def role(self, service_sid: str, sid: str) -> Role:
        async with self._database.snapshot() as connection:
            role = await Roles(connection).find(service_sid, sid)
        if role is None:
            raise RESOURCE_NOT_FOUND()
        return role

    async def roles(self, service_sid: str, wanted: Page) -> list[Role]:
        async with self._database.snapshot() as connection:
            return await Roles(connection).page(service_sid, wanted)

    async def conversation(self, caller: Caller, service_sid: str, key: str) -> Conversation:
        """By SID or unique name."""
        async with self._database.snapshot() as connection:
            return await visible_conversation(connection, caller, service_sid, key)

    async def conversations(self, service_sid: str, only: ConversationFilter, wanted: Page) -> list[Conversation]:
        async with self._database.snapshot() as connection:
            return await Conversations(connection).page(service_sid, only, wanted)

    async def participant(self, caller: Caller, service_sid: str, conversation: str, key: str) -> Participant:
        """By SID or identity."""
        async with self._database.snapshot() as connection:
            found = await visible_conversation(connection, caller, service_sid, conversation)
            participant = await Participants(connection).find(found.sid, key)
        if participant is None or found.state == ConversationState.INITIALIZING:
            raise PARTICIPANT_NOT_FOUND()
        return participant

    async def participants(
        self, caller: Caller, service_sid: str, conversation: str, wanted: Page
    ) -> list[Participant]:
        async with self._database.snapshot() as connection:
            found = await visible_conversation(connection, caller, service_sid, conversation)
            if found.state == ConversationState.INITIALIZING:
                return []  # they come all at once (semantics 4.6)
            return await Participants(connection).page(found.sid, wanted)

    async def message(self, caller: Caller, service_sid: str, conversation: str, sid: str) -> Message:
        async with self._database.snapshot() as connection:
            found = await visible_conversation(connection, caller, service_sid, conversation)
            message = await Messages(connection).find(found.sid, sid)
        if message is None:
            raise MESSAGE_NOT_FOUND()
        return message

    async def messages(self, caller: Caller, service_sid: str, conversation: str, wanted: Page) -> list[Message]:
        async with self._database.snapshot() as connection:
            found = await visible_conversation(connection, caller, service_sid, conversation)
            return await Messages(connection).page(found.sid, wanted)

    async def user(self, service_sid: str, key: str) -> User:
        """By SID or identity. Everybody may read the users of his service (semantics 2.2)."""
        async with self._database.snapshot() as connection:
            user = await ShownUsers(connection).find(service_sid, key)
        if user is None:
            raise USER_NOT_FOUND()
        return user

    async def users(self, service_sid: str, wanted: Page) -> list[User]:
        async with self._database.snapshot() as connection:
            return await Users(connection).page(service_sid, wanted)

    async def membership(self, service_sid: str, user: str, conversation: str) -> Membership:
        async with self._database.snapshot() as connection:
            found = await _user(connection, service_sid, user)
            membership = await Memberships(connection).find(found.sid, conversation)
        if membership is None:
            raise CONVERSATION_NOT_FOUND()
        return membership

    async def memberships(self, service_sid: str, user: str, wanted: Page) -> list[Membership]:
        """The present and historical conversations of a user."""
        async with self._database.snapshot() as connection:
            found = await _user(connection, service_sid, user)
            return await Memberships(connection).page(found.sid, wanted)

    async def memberships_of_identity(self, service_sid: str, identity: str, wanted: Page) -> list[Membership]:
        """The conversations an identity takes part in; none when nobody has it."""
        async with self._database.snapshot() as connection:
            user = await Users(connection).find(service_sid, identity)
            if user is None or user.identity != identity:
                return []
            return await Memberships(connection).page(user.sid, wanted)

    async def memberships_of_address(self, service_sid: str, address: str, wanted: Page) -> list[Membership]:
        async with self._database.snapshot() as connection:
            return await Memberships(connection).of_address(service_sid, canonical(address), wanted)

    # --- for users

    async def has_user(self, service_sid: str, identity: str) -> bool:
        """Somebody of this identity has been here."""
        async with self._database.snapshot() as connection:
            return await Users(connection).exists(service_sid, identity)

    async def my_conversations(
        self, caller: Caller, limit: int, start: Cut[str] | None, *, backward: bool = False
    ) -> Window[str, tuple[Participant, Conversation]]:
        """The conversations that the calling user's clients see, by SID, a page of them. Three statements at most.

        What is unread is not counted: a page of it may read a hundred thousand rows, and clients do not look.
        """
        async with self._database.snapshot() as connection:
            user = await _user(connection, caller.service_sid or "", caller.identity or "")
            memberships = Memberships(connection)

            async def fetch(page: Page) -> list[tuple[str, tuple[Participant, Conversation]]]:
                return [(side[1].sid, side) for side in await memberships.listed(user.sid, page)]

            return await window(fetch, limit, start, backward=backward)

    async def my_conversation(self, caller: Caller, key: str) -> Membership:
        """One conversation of the calling user, by SID or unique name."""
        membership = (await self.visible_conversation(caller, key)).membership
        if membership is None:
            raise CONVERSATION_NOT_FOUND()
        return membership

    async def visible_conversation(self, caller: Caller, key: str) -> ConversationView:
        """A conversation the calling user takes part in, or has made and not yet joined (semantics 2.4)."""
        async with self._database.snapshot() as connection:
            return await _visible_conversation(connection, caller, key)

    async def visible_message(self, caller: Caller, conversation: str, sid: str) -> Message:
        """A message of a conversation the calling user takes part in; its waiting creator gets 50430."""
        async with self._database.snapshot() as connection:
            view = await _visible_conversation(connection, caller, conversation)
            if view.membership is None:
                raise NOT_A_PARTICIPANT()
            message = await Messages(connection).find(view.conversation.sid, sid)
        if message is None:
            raise MESSAGE_NOT_FOUND()
        return message

    # --- for the operator

    async def is_reachable(self) -> bool:
        """The database answers."""
        try:
            async with self._database.snapshot() as connection:
                return bool(await connection.value("SELECT 1") == 1)
        except StorageError:
            return False


async def _user(connection: Connection, service_sid: str, key: str) -> User:
    user = await Users(connection).find(service_sid, key)
    if user is None:
        raise USER_NOT_FOUND()
    return user


async def _visible_conversation(connection: Connection, caller: Caller, key: str) -> ConversationView:
    # The user is not looked up: whether he exists yet must make no difference to what he may not see.
    conversation = await Conversations(connection).find(caller.service_sid or "", key)
    if conversation is None or not conversation.is_listed:
        raise CONVERSATION_NOT_FOUND()
    participant = await Participants(connection).member(conversation.sid, caller.identity or "")
    if participant is None:
        if not is_waiting_creator(caller, conversation):
            raise CONVERSATION_NOT_FOUND()
        return ConversationView(conversation, None)
    unread = None
    if participant.last_read_index is not None:
        unread = await Memberships(connection).unread(conversation.sid, participant.last_read_index)
    return ConversationView(conversation, Membership(participant, conversation, unread))
