"""One server for the whole matrix: two accounts and a suspended one, and the same names in all of them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from types import EllipsisType
from typing import Any, Final

import httpx
import msgspec

from tertulia.server.blobs.base import Blobs
from tertulia.server.composition import Server
from tertulia.server.domain import callers
from tertulia.server.domain.accounts import CreateAccount, CreateKey, RevokeKey, SuspendAccount
from tertulia.server.domain.receipts import ExpectReceipts, RecordReceipt
from tertulia.server.domain.secrets import Secret
from tertulia.server.domain.services import CreateService
from tertulia.server.domain.users import ConnectUser
from tertulia.server.settings import ChannelsSettings, Settings
from tertulia.wire import tokens
from tests.engine.world import BASE_URL, World

from .rows import OURS

FORM: Final = "application/x-www-form-urlencoded"
NO_PHONE: Final = "+18885550199"
ADMIN_OF_SERVICE: Final = "service admin"
ADMIN_OF_CONVERSATION: Final = "channel admin"
_numbers: Iterator[int] = itertools.count(1)


class Things(msgspec.Struct, frozen=True, kw_only=True):
    """What the values in braces of a row stand for."""

    service: str
    conversation: str
    participant: str
    member: str
    message: str
    receipt: str
    webhook: str
    user: str
    role: str
    credential: str
    content: str
    configuration: str
    binding: str
    registration: str
    device: str
    number: str
    gateway: str
    address: str
    phone: str
    media: str
    """A file on the phone."""
    type: str = "Lists"
    name: str
    part: str = "Parts"
    item: str = "0"

    def filled(self, text: str) -> str:
        for name in self.__struct_fields__:
            text = text.replace(f"{{{name}}}", getattr(self, name))
        return text

    def absent(self) -> Things:
        """The same kinds of things, none of which exists."""
        changed = {name: value[:2] + "f" * 32 for name, value in self.sids().items()}
        names = {"user": "nobody", "name": f"CH{'f' * 32}.messages", "address": "+18885550198", "phone": NO_PHONE}
        return msgspec.structs.replace(self, **changed, **names)

    def sids(self) -> dict[str, str]:
        return {
            name: value
            for name in self.__struct_fields__
            if len(value := getattr(self, name)) == 34 and name not in ("member", "user", "name")
        }


class Tenant(msgspec.Struct, frozen=True, kw_only=True):
    """An account with one service, and a key of it."""

    account_sid: str
    auth_token: str
    key_sid: str
    secret: str
    service: str

    def token(self, identity: str, now_s: float, service: str | None = None) -> str:
        return tokens.mint(
            account_sid=self.account_sid,
            key_sid=self.key_sid,
            secret=self.secret,
            identity=identity,
            service_sid=service or self.service,
            now_s=now_s,
        )


class Stage:
    """The server, and who comes to it. ``owner`` has everything the rows name."""

    def __init__(self, world: World, server: Server) -> None:
        self.world = world
        self.server = server
        transport = httpx.ASGITransport(app=server.application)
        self.http = httpx.AsyncClient(transport=transport, base_url=BASE_URL)
        known = world.credentials
        self.owner = Tenant(
            account_sid=known.account_sid,
            auth_token=known.auth_token,
            key_sid=known.api_key_sid,
            secret=known.api_key_secret,
            service=known.service_sid,
        )

    async def set(self) -> None:
        """Everything that all tests share."""
        world, operator = self.world, callers.operator()
        self.stranger = await self.tenant("stranger")
        self.suspended = await self.tenant("suspended")
        secret = "r" * 32
        key = await world.engine.execute(
            operator, CreateKey(account=self.owner.account_sid, friendly_name="revoked", secret=Secret(secret))
        )
        self.revoked = msgspec.structs.replace(self.owner, key_sid=key.sid, secret=secret)
        await world.engine.execute(operator, RevokeKey(key=key.sid))
        await world.engine.execute(operator, SuspendAccount(account=self.suspended.account_sid))
        other = await world.engine.execute(world.account, CreateService(friendly_name="other"))
        self.other_service = other.sid
        roles = (await self.rest("GET", "/v1/Roles")).json()["roles"]
        self.roles: dict[str, str] = {role["friendly_name"]: role["sid"] for role in roles}
        await self._phones(self.owner)
        await self._phones(self.stranger)
        self.things = await self.make_things()
        for tenant, service in ((self.stranger, self.stranger.service), (self.owner, self.other_service)):
            await self._same_names(tenant, service)

    async def tenant(self, name: str) -> Tenant:
        """A new account with a key."""
        engine, operator = self.world.engine, callers.operator()
        auth_token, secret = name.ljust(32, "a"), name.ljust(32, "k")
        account = await engine.execute(operator, CreateAccount(friendly_name=name, auth_token=Secret(auth_token)))
        key = await engine.execute(operator, CreateKey(account=account.sid, friendly_name=name, secret=Secret(secret)))
        return Tenant(
            account_sid=account.sid,
            auth_token=auth_token,
            key_sid=key.sid,
            secret=secret,
            service=account.default_service_sid,
        )

    async def _phones(self, tenant: Tenant) -> None:
        """A network of the tenant's own, with a number that the others have, too."""
        await self.made(tenant, "/channels/Gateways", Name="phones", Adapter="simulator")
        form = {"Address": OURS, "Gateway": "phones"}
        answer = await self.rest("POST", "/channels/Senders", form=form, auth=(tenant.account_sid, tenant.auth_token))
        assert answer.status_code == 201, answer.text

    async def _same_names(self, tenant: Tenant, service: str) -> None:
        """What the owner has, under the same names, elsewhere."""
        root = f"/v1/Services/{service}"
        room = await self.made(tenant, f"{root}/Conversations", UniqueName="room", FriendlyName="room")
        for identity in ("ana", "former"):
            await self.made(tenant, f"{root}/Conversations/{room}/Participants", Identity=identity)
        await self.made(tenant, f"{root}/Conversations/{room}/Messages", Body="hello")

    async def make_things(self) -> Things:
        """A conversation of ana's and somebody else's with all that hangs on it, and everything beside it."""
        owner, n = self.owner, next(_numbers)
        user, unique_name = f"ben-{n}", "room" if n == 1 else f"room-{n}"
        roles = self.roles
        room = await self.made(owner, "/v1/Conversations", UniqueName=unique_name, FriendlyName="room")
        path = f"/v1/Conversations/{room}"
        await self.rest("POST", "/v1/Users", form={"Identity": "ana", "RoleSid": roles[ADMIN_OF_SERVICE]})
        await self.made(owner, f"{path}/Participants", Identity="ana", RoleSid=roles[ADMIN_OF_CONVERSATION])
        participant = await self.made(owner, f"{path}/Participants", Identity=user)
        await self.made(owner, f"{path}/Participants", Identity="former")
        await self.rest("DELETE", f"{path}/Participants/former")
        sms = await self.made(
            owner,
            f"{path}/Participants",
            **{"MessagingBinding.Address": f"+1555{n:07}", "MessagingBinding.ProxyAddress": OURS},
        )
        message = await self.made(owner, f"{path}/Messages", Author="ana", Body="secret")
        engine = self.world.engine
        where: dict[str, Any] = {"service": owner.service, "conversation": room, "message": message}
        (receipt,) = await engine.execute(self.world.account, ExpectReceipts(**where, participants=(sms,)))
        await engine.execute(self.world.account, RecordReceipt(**where, receipt=receipt.sid, status="sent"))
        device = f"device {n}"
        phone, address = f"+1444{n:07}", f"+1888{n:07}"
        await self.rest("POST", f"/simulator/Phones/{phone}/Messages", form={"To": OURS, "Body": "secret"})
        await self.rest("POST", "/channels/Senders", form={"Address": address, "Gateway": "phones"})
        registered = await self.client(
            "POST", "/v1/registrations", user, {"channel_type": "fcm", "data": {"registration_id": device}}
        )
        return Things(
            service=owner.service,
            conversation=room,
            participant=participant,
            member="ana",
            message=message,
            receipt=receipt.sid,
            webhook=await self.made(
                owner,
                f"{path}/Webhooks",
                **{
                    "Target": "webhook",
                    "Configuration.Url": "https://example.org/hook",
                    "Configuration.Filters": "onMessageAdded",
                },
            ),
            user=user,
            role=await self.made(
                owner, "/v1/Roles", FriendlyName="secret", Type="service", Permission="createConversation"
            ),
            credential=await self.made(owner, "/v1/Credentials", Type="fcm", Secret="secret", FriendlyName="secret"),
            content=await self._content(),
            configuration=await self.made(
                owner, "/v1/Configuration/Addresses", Type="sms", Address=f"+1666{n:07}", FriendlyName="secret"
            ),
            binding=registered.json()["id"],
            registration=registered.json()["id"],
            device=device,
            number=f"+1777{n:07}",
            gateway=await self.made(owner, "/channels/Gateways", Name=f"gateway-{n}", Adapter="simulator"),
            address=address,
            phone=phone,
            media=await self.made(owner, f"/simulator/Phones/{phone}/Media", secret="secret"),
            name=f"{room}.messages",
        )

    async def _content(self) -> str:
        body = {"friendly_name": "template", "language": "en", "types": {"twilio/text": {"body": "hello"}}}
        return str((await self.rest("POST", "/v1/Content", json=body)).json()["sid"])

    # --- asking

    async def rest(
        self,
        method: str,
        path: str,
        *,
        form: Mapping[str, str] | None = None,
        json: object = None,
        query: Mapping[str, str] | None = None,
        auth: tuple[str, str] | EllipsisType | None = ...,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """As the owner, unless another pair of credentials is given; None is no credentials."""
        pair = (self.owner.account_sid, self.owner.auth_token) if isinstance(auth, EllipsisType) else auth
        return await self.http.request(
            method,
            path,
            data=form,
            json=json,
            params=query,
            headers=headers,
            auth=httpx.BasicAuth(*pair) if pair is not None else None,
        )

    async def made(self, tenant: Tenant, path: str, **form: str) -> str:
        """SID of what was made."""
        answer = await self.rest("POST", path, form=form, auth=(tenant.account_sid, tenant.auth_token))
        assert answer.status_code == 201, answer.text
        sid: str = answer.json()["sid"]
        return sid

    async def client(
        self,
        method: str,
        path: str,
        who: str,
        body: object = None,
        *,
        token: str | None = None,
        is_form: bool = False,
        query: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """As this user of the owner's service, unless a token is given."""
        headers = {"X-Twilio-Token": self.owner.token(who, self.now_s) if token is None else token}
        if is_form:
            return await self.http.request(method, path, data=body, headers=headers, params=query)  # type: ignore[arg-type]
        content = b"" if body is None else json.dumps(body).encode()
        return await self.http.request(method, path, content=content, headers=headers, params=query)

    @property
    def now_s(self) -> float:
        return self.world.clock.now() / 1_000_000

    async def connect(self, identity: str) -> None:
        """The user has been here, and is in nothing."""
        wish = ConnectUser(service=self.owner.service, identity=identity)
        await self.world.engine.execute(self.world.user(identity), wish)


def make_server(world: World, blobs: Blobs | None = None) -> Server:
    settings = Settings(channels=ChannelsSettings(simulator=True, gateways_per_account=10_000))
    return Server(settings, world.database, world.sealer, world.clock, world.new_sid, BASE_URL, world.bus, blobs)


def refusal_of(answer: httpx.Response) -> tuple[int, int] | None:
    """Status and code of a refusal; None of a success."""
    return (answer.status_code, answer.json()["code"]) if answer.status_code >= 400 else None
