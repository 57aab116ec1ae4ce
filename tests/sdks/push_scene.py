"""A server whose time can be advanced, with Apple's and Google's push services and telephones around it."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tertulia.testing import LocalServer, running_server
from tertulia.wire import tokens
from tests.cli.command import environment
from tests.peers.apns import KEY_ID, TEAM_ID, TOPIC, ApnsPeer
from tests.peers.fcm import FcmPeer

from .side_by_side.companion import PATIENCE_S, Companion

PHONES: Final = Path(__file__).parent / "stories/push/phones.mjs"
WANTED: Final = {
    "NewMessage.Enabled": "true",
    "NewMessage.Sound": "ding",
    "NewMessage.BadgeCountEnabled": "true",
    "NewMessage.WithMedia.Enabled": "true",
    "AddedToConversation.Enabled": "true",
    "RemovedFromConversation.Enabled": "true",
}


class PushScene:
    """Who is on it, and what devices have got."""

    def __init__(self, server: LocalServer, apple: ApnsPeer, google: FcmPeer, rest: httpx.AsyncClient) -> None:
        self.server = server
        self.apple = apple
        self.google = google
        self.rest = rest
        self.credentials: dict[str, str] = {}

    async def prepare(self) -> None:
        """Credentials, and a service that wants all kinds of notifications."""
        key = {"PrivateKey": self.apple.p8, "KeyId": KEY_ID, "TeamId": TEAM_ID, "Topic": TOPIC}
        for form in ({"Type": "apn", **key}, {"Type": "fcm", "Secret": self.google.service_account()}):
            self.credentials[form["Type"]] = (await self.ask("POST", "/Credentials", form))["sid"]
        await self.ask("POST", f"/Services/{self.server.service_sid}/Configuration/Notifications", WANTED)

    async def ask(self, method: str, path: str, form: dict[str, str] | None = None) -> Any:
        """A call of the account's back end."""
        answer = await self.rest.request(method, f"/v1{path}", data=form)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def token(self, identity: str, channel: str, endpoint: str | None = None) -> str:
        """An access token that names the credential of the channel."""
        return tokens.mint(
            account_sid=self.server.account_sid,
            key_sid=self.server.api_key,
            secret=self.server.api_secret,
            identity=identity,
            service_sid=self.server.service_sid,
            now_s=self.server.clock.time(),
            endpoint_id=endpoint,
            push_credential_sid=self.credentials[channel],
        )

    async def room(self, *identities: str) -> str:
        """A conversation with these members, who have been told so: nobody promises which of two pushes comes first."""
        made = await self.ask("POST", "/Conversations", {"FriendlyName": "The tavern"})
        for identity in identities:
            await self.ask("POST", f"/Conversations/{made['sid']}/Participants", {"Identity": identity})
        await self.server.settle_async()
        sid: str = made["sid"]
        return sid

    async def write(self, room: str, body: str, author: str = "host") -> None:
        """By the back end."""
        await self.ask("POST", f"/Conversations/{room}/Messages", {"Author": author, "Body": body})

    async def devices(self, identity: str) -> list[str]:
        """The SIDs of what the user has registered."""
        listed = await self.ask("GET", f"/Services/{self.server.service_sid}/Bindings?Identity={identity}")
        return [one["sid"] for one in listed["bindings"]]

    async def registered(self, identity: str, number: int = 1, *, other_than: list[str] | None = None) -> list[str]:
        """Until the user has so many devices, none of them one of the others; the SDK does not say when."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                found = await self.devices(identity)
                if len(found) == number and not set(found) & set(other_than or ()):
                    return found
                await asyncio.sleep(0.01)

    async def got(self, channel: str, address: str) -> list[dict[str, Any]]:
        """What a device was given, oldest first, once everything that is due has been done. As the system hands it on
        to an application; a badge alone is not among it."""
        await self.server.settle_async()
        if channel == "fcm":
            return [{"data": dict(one.message["data"])} for one in self.google.received if one.token == address]
        await self.apple.sync()
        payloads = [one["payload"] for one in self.apple.received if one["token"] == address]
        return [payload for payload in payloads if "alert" in payload["aps"]]

    async def told(self, channel: str, address: str) -> list[str]:
        """The texts among it."""
        found = await self.got(channel, address)
        return [one["data"]["twi_body"] if channel == "fcm" else one["aps"]["alert"] for one in found]

    async def passes(self, *, days: int) -> None:
        """Time, for the server and for the push services. What has become due is done."""
        await self.server.clock.advance_async(days=days)
        await self.apple.set_clock(self.server.clock.time())


def address() -> str:
    """A device token that Apple and Google could have given."""
    return secrets.token_hex(32)


@asynccontextmanager
async def push_scene(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[PushScene]:
    """Everything, running and prepared, until the block ends."""
    servers: list[LocalServer] = []
    google = FcmPeer(now=lambda: servers[0].clock.time())
    async with ApnsPeer(folder) as apple, google:
        monkeypatch.setenv("SSL_CERT_FILE", str(apple.ca_file))
        server = running_server({"push.apns_url": apple.url, "push.fcm_url": google.url})
        servers.append(server)
        async with server:
            auth = (server.account_sid, server.auth_token)
            async with httpx.AsyncClient(base_url=server.base_url, auth=auth, trust_env=False, timeout=20) as rest:
                scene = PushScene(server, apple, google, rest)
                await scene.prepare()
                yield scene


@asynccontextmanager
async def phones(node: str, sdk: str, scene: PushScene) -> AsyncIterator[Companion]:
    """Telephones with this SDK in them. ``do`` says what they do."""
    known = {name.lower(): value for name, value in scene.server.environment().items()}
    process = await asyncio.create_subprocess_exec(
        node,
        str(PHONES),
        env=environment(SDK=sdk, SERVER=json.dumps(known)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    held = Companion(process)
    listening = asyncio.create_task(held.listen())
    try:
        await held.ready()
        yield held
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), PATIENCE_S)
        except TimeoutError:
            process.kill()
            await process.wait()
        await listening
