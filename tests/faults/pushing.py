"""A server that wakes devices, in a process; their push service, and the road between the two, which can be closed."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import httpx
import pytest

from tertulia.wire import tokens
from tests.api.realtime.client import Peer
from tests.client.proxy import Proxy
from tests.peers.apns import KEY_ID, TEAM_ID, TOPIC, ApnsPeer
from tests.peers.fcm import FcmPeer

from .process import ACCOUNT, KEY, PATIENCE_S, SECRET, SERVICE, ServerProcess, served

CHANNELS: Final = ("apn", "fcm")
MESSAGE_TYPES: Final = ["twilio.conversations.new_message"]
LOOK_S: Final = 0.02


class Arrived(NamedTuple):
    """A push as the push service got it."""

    device: str
    message: str
    """SID of the message."""
    notice: str
    """``twi_message_id``."""
    id: str
    """What the service itself would know a repeat by; Google has nothing of the kind."""


class Device(NamedTuple):
    identity: str
    address: str
    registration: str


class Pushing:
    """The server; ``road`` leads to the push service of the channel, and to nothing else."""

    def __init__(self, server: ServerProcess, service: ApnsPeer | FcmPeer, road: Proxy) -> None:
        self.server = server
        self.service = service
        self.road = road
        self.channel = "apn" if isinstance(service, ApnsPeer) else "fcm"
        self.credential = ""
        self._written = 0

    # --- before

    async def prepare(self) -> None:
        """A credential, and a service that wants notifications."""
        form = {"Type": "fcm"}
        if isinstance(self.service, ApnsPeer):
            form = {"Type": "apn", "PrivateKey": self.service.p8, "KeyId": KEY_ID, "TeamId": TEAM_ID, "Topic": TOPIC}
        else:
            form["Secret"] = self.service.service_account()
        async with self.server.rest() as rest:
            made = await rest.post("/Credentials", data=form)
            assert made.status_code == 201, made.text
            self.credential = made.json()["sid"]
            wanted = {"NewMessage.Enabled": "true"}
            answer = await rest.post(f"/Services/{SERVICE}/Configuration/Notifications", data=wanted)
            assert answer.is_success, answer.text

    @asynccontextmanager
    async def client(self, identity: str) -> AsyncIterator[Peer]:
        """The user, connected, with a token that names the credential."""
        token = tokens.mint(
            account_sid=ACCOUNT,
            key_sid=KEY,
            secret=SECRET,
            identity=identity,
            service_sid=SERVICE,
            now_s=time.time(),
            push_credential_sid=self.credential,
        )
        peer = await Peer.open(f"ws://127.0.0.1:{self.server.port}/v3/wsconnect")
        try:
            answer = await peer.init(token)
            assert answer.status == 200, answer
            yield peer
        finally:
            peer.cut()

    async def register(self, identity: str, *addresses: str) -> list[Device]:
        """Devices of a user, at the newest end of what he has."""
        async with self.client(identity) as peer:
            return [Device(identity, one, (await peer.post(*self._form(one)))["id"]) for one in addresses]

    def _form(self, address: str) -> tuple[str, dict[str, Any]]:
        return "/v1/registrations", {
            "endpoint_platform": "test",
            "channel_type": self.channel,
            "version": "4",
            "message_types": MESSAGE_TYPES,
            "data": {"registration_id": address},
        }

    async def crowd(self, users: int, each: int) -> tuple[str, list[Device]]:
        """A room of so many, each with so many devices (20 at most)."""
        identities = [f"user-{n}" for n in range(users)]
        found = await asyncio.gather(
            *(
                self.register(identity, *(f"{user:032x}{number:032x}" for number in range(each)))
                for user, identity in enumerate(identities)
            )
        )
        return await self.server.room(*identities), [device for devices in found for device in devices]

    # --- during

    async def write(self, room: str, number: int = 1) -> list[str]:
        """So many messages by the back end, each of which was acknowledged; their SIDs."""
        sids: list[str] = []
        async with self.server.rest() as rest:
            for _ in range(number):
                self._written += 1
                form = {"Author": "host", "Body": f"message {self._written}"}
                answer = await rest.post(f"/Conversations/{room}/Messages", data=form)
                assert answer.status_code == 201, answer.text
                sids.append(answer.json()["sid"])
        return sids

    def value(self, sql: str, *parameters: object) -> Any:
        """What the database says."""
        with contextlib.closing(sqlite3.connect(f"file:{self.server.data / 'tertulia.db'}?mode=ro", uri=True)) as known:
            (value,) = known.execute(sql, parameters).fetchone()
        return value

    def deliveries(self, where: str) -> int:
        return int(self.value(f"SELECT count(*) FROM push_deliveries WHERE {where}"))

    def leased(self) -> int:
        """How many batches are under way."""
        return int(self.value("SELECT count(*) FROM outbox WHERE kind = 'SendPushes' AND state = 'leased'"))

    def owed(self) -> int:
        return int(self.value("SELECT count(*) FROM outbox WHERE kind IN ('PlanPush', 'SendPushes')"))

    async def until(self, is_so: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not is_so():  # noqa: ASYNC110 (another process does it)
                await asyncio.sleep(LOOK_S)

    async def settled(self) -> None:
        """Until nothing is owed any more, and all that has arrived is here."""
        await self.until(lambda: not self.owed())
        await self.sync()

    async def sync(self) -> None:
        """Until all that has arrived is here."""
        if isinstance(self.service, ApnsPeer):
            await self.service.sync()

    # --- after

    def arrived(self) -> list[Arrived]:
        """Everything that the push service has got, in the order of its coming."""
        if isinstance(self.service, ApnsPeer):
            return [
                Arrived(one["token"], payload["message_sid"], payload["twi_message_id"], one["headers"]["apns-id"])
                for one in self.service.received
                if (payload := one["payload"])
            ]
        return [
            Arrived(one.token, data["message_sid"], data["twi_message_id"], "")
            for one in self.service.received
            if (data := one.message["data"])
        ]

    def count(self) -> int:
        return len(self.service.received)

    def repeats(self) -> int:
        """How many came more than once; fails if one could not be known for what it is."""
        arrived = self.arrived()
        pairs = {(one.device, one.message) for one in arrived}
        assert len(set(arrived)) == len(pairs), "a repeat has another id"
        assert len({one.notice for one in arrived}) == len({one.message for one in arrived}), "one id, two messages"
        if self.channel == "apn":
            assert len({one.id for one in arrived}) == len(pairs), "two pushes have one id"
        return len(arrived) - len(pairs)

    def has_reached(self, devices: Sequence[Device], messages: Sequence[str]) -> None:
        """These messages have come for these devices, each at least once, and nothing else has."""
        wanted = {(device.address, message) for device in devices for message in messages}
        found = {(one.device, one.message) for one in self.arrived()}
        assert found - wanted == set()
        assert len(wanted - found) == 0, f"{len(wanted - found)} of {len(wanted)} never came"


@asynccontextmanager
async def pushing(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    channel: str,
    *,
    options: Mapping[str, Any] | None = None,
    **settings: object,
) -> AsyncIterator[Pushing]:
    """All of it, running and prepared. ``options`` are those of the double of Apple's service."""
    service = ApnsPeer(folder, **(options or {})) if channel == "apn" else FcmPeer()
    async with service:
        scheme, port = urlsplit(service.url).scheme, urlsplit(service.url).port
        assert port is not None
        road = Proxy(port)
        await road.open()
        service.url = f"{scheme}://localhost:{road.port}"
        if isinstance(service, ApnsPeer):
            monkeypatch.setenv("SSL_CERT_FILE", str(service.ca_file))
        try:
            async with served(
                folder,
                **{"push_apns_url" if channel == "apn" else "push_fcm_url": service.url},
                jobs_poll_s=0.05,
                **settings,
            ) as server:
                world = Pushing(server, service, road)
                await world.prepare()
                yield world
        finally:
            await road.close()


async def ask(rest: httpx.AsyncClient, method: str, path: str, form: Mapping[str, str] | None = None) -> None:
    answer = await rest.request(method, path, data=dict(form or {}))
    assert answer.is_success, answer.text
