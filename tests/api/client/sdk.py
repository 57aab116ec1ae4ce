"""The client's end of the socket, without the socket: requests as the official SDK spells them, one identity each."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import msgspec

from tertulia.server.client_api import CLIENT_API
from tertulia.server.domain import callers
from tertulia.server.engine.identities import Identities
from tertulia.server.engine.typing import Typing
from tertulia.server.settings import Settings
from tertulia.server.web.auth import AccessTokens
from tertulia.server.web.dispatch import Dispatcher
from tertulia.server.web.faces import ClientFace
from tertulia.server.web.operations import Services
from tertulia.server.web.page_tokens import PageTokens
from tertulia.wire.frames import HttpRequest
from tertulia.wire.requests import Reply, from_http_request
from tests.engine.world import BASE_URL, World

JSON = "application/json; charset=utf-8"
FORM = "application/x-www-form-urlencoded"


class Answer(msgspec.Struct, frozen=True):
    """What came back; ``answer["sid"]`` reads the JSON."""

    status: int
    raw: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.raw)

    @property
    def failure(self) -> tuple[int, int]:
        """Status and code of an error, whose body must have the one shape there is (client-commands 1.4)."""
        body = self.json
        assert body.keys() == {"status", "code", "message", "more_info"}
        assert body["status"] == self.status and body["message"]
        return self.status, body["code"]

    def __getitem__(self, name: str) -> Any:
        assert self.status in (200, 201), self
        return self.json[name]


class Face:
    """The whole client face of one world."""

    def __init__(self, world: World, settings: Settings | None = None) -> None:
        self.world = world
        settings = settings or Settings()
        services = Services(
            world.engine,
            world.queries,
            Typing(world.database, world.bus, settings.typing.timeout_s),
            settings,
            PageTokens(world.sealer),
        )
        tokens = AccessTokens(
            Identities(world.database, world.sealer, world.clock),
            world.engine,
            world.queries,
            world.clock,
            settings.tokens,
        )
        self.dispatcher = Dispatcher(ClientFace(tokens), [CLIENT_API], services)

    async def sdk(self, identity: str) -> Sdk:
        """A connected client of this identity."""
        await self.world.connect(identity)
        return Sdk(self, identity)


class Sdk:
    def __init__(self, face: Face, identity: str) -> None:
        self.face = face
        self.identity = identity

    async def get(self, url: str, **params: str | int) -> Answer:
        return await self.send("GET", url, params=params)

    async def post(self, url: str, body: object = None, *, mutation_id: str | None = None) -> Answer:
        payload = b"" if body is None else json.dumps(body).encode()
        return await self.send("POST", url, payload, mutation_id=mutation_id)

    async def delete(self, url: str, body: object = None, *, mutation_id: str | None = None) -> Answer:
        return await self.send("DELETE", url, json.dumps(body or {}).encode(), mutation_id=mutation_id)

    async def type_in(self, conversation: str) -> Answer:
        return await self.send("POST", "/v1/typing", f"ChannelSid={conversation}".encode(), content_type=FORM)

    async def send(
        self,
        method: str,
        url: str,
        payload: bytes = b"",
        *,
        params: dict[str, str | int] | None = None,
        mutation_id: str | None = None,
        content_type: str = JSON,
    ) -> Answer:
        """A request inside a frame: the host means nothing, path and parameters are still encoded."""
        headers: dict[str, str | list[str] | None] = {"Content-Type": content_type, "X-Twilio-Mutation-Id": mutation_id}
        wrapped = HttpRequest(
            method,
            url.removeprefix(BASE_URL),
            "aim.us1.twilio.com",
            {name: quote(str(value), safe="") for name, value in (params or {}).items()},
            headers,
        )
        request = from_http_request(wrapped, payload, content_type)
        world = self.face.world
        caller = callers.identity(
            world.account.account_sid,
            world.service,
            self.identity,
            mutation_id=request.headers.get("x-twilio-mutation-id"),
        )
        reply: Reply = await self.face.dispatcher.dispatch(request, caller=caller, base_url=BASE_URL)
        assert reply.status != 202, "clients would fetch body.resource_url (client-commands 2)"
        return Answer(reply.status, reply.body)

    # --- what many tests do first ---------------------------------------------------------------------------------

    async def create(self, **fields: str) -> str:
        """Make a conversation and join it, as applications do; its SID."""
        made = await self.post("/Client/v2/Conversations", {"attributes": "{}", **fields})
        await self.join(made["sid"])
        sid: str = made["sid"]
        return sid

    async def join(self, conversation: str) -> Answer:
        return await self.post(f"/Client/v2/Conversations/{conversation}/Participants", {"identity": self.identity})

    async def say(self, conversation: str, body: str = "hello") -> Answer:
        url = f"/Client/v2/Conversations/{conversation}/Messages"
        return await self.post(url, {"body": body, "attributes": "{}", "media_sids": []})

    @property
    def mine(self) -> str:
        return f"/Client/v2/Users/{quote(self.identity, safe='')}/Conversations"
