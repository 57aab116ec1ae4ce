"""Who talks in the tests of the clients on the command line: one server, tokens, and others who use the library."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from tertulia.client import ClientConfig, Conversation, ConversationsClient
from tertulia.wire import tokens
from tests.client.proxy import Proxy

from .command import WITHIN_S, Credentials, Server


class Town:
    """A running server, and how its inhabitants come in."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.url = server.base_url
        self._credentials: Credentials = server.credentials()

    def token(self, identity: str, ttl_s: int = 3600) -> str:
        known = self._credentials
        return tokens.mint(
            account_sid=known.account_sid,
            key_sid=known.api_key,
            secret=known.api_secret,
            identity=identity,
            service_sid=known.service_sid,
            now_s=time.time(),
            ttl_s=ttl_s,
        )

    def login(self, identity: str) -> dict[str, str]:
        """The environment in which a command is this user."""
        return {"TERTULIA_URL": self.url, "TERTULIA_TOKEN": self.token(identity)}

    @asynccontextmanager
    async def client(self, identity: str) -> AsyncIterator[ConversationsClient]:
        config = ClientConfig(server_url=self.url, token=self.token(identity), start_timeout=WITHIN_S)
        async with ConversationsClient(config) as client:
            yield client


async def room(client: ConversationsClient, name: str, *others: str, unique_name: str | None = None) -> Conversation:
    """A conversation of the client's user with these others."""
    conversation = await client.create_conversation(friendly_name=name, unique_name=unique_name, join=True)
    for identity in others:
        await conversation.add_participant(identity)
    return conversation


@asynccontextmanager
async def proxied(url: str) -> AsyncIterator[Proxy]:
    """A way to the server at this URL that can be closed."""
    port = urlsplit(url).port
    assert port is not None
    proxy = Proxy(port)
    await proxy.open()
    try:
        yield proxy
    finally:
        await proxy.close()
