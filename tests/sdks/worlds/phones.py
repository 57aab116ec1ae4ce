"""People with telephones: in the simulator, and behind a double of Telnyx. Stories cannot tell them apart."""

from __future__ import annotations

import asyncio
import uuid
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, TypeVar
from urllib.parse import quote

import httpx

from tertulia.testing import LocalServer, WebhookReceiver, running_server
from tertulia.testing.official import twilio_client
from tests.peers.http_provider import Answered, Asked
from tests.peers.telnyx import API_KEY, TelnyxPeer

from .desk import Desk, Json

NUMBERS: Final = ("+12025550100", "+12025550101")
"""Ours."""


class Phones(Desk, ABC):
    """A telephone network, and a receiver of webhooks."""

    hooks: WebhookReceiver

    @abstractmethod
    async def texts(self, phone: str) -> list[Json]:
        """What others have sent it: ``from``, ``to`` in alphabetical order, ``text``."""

    @abstractmethod
    async def writes(self, phone: str, text: str, to: Sequence[str], others: Sequence[str] = ()) -> None:
        """To numbers of ours, and to other telephones, as one message."""

    async def takes_strangers(self, number: str) -> None:
        """Who writes to this number of ours gets a conversation, with a webhook."""
        await asyncio.to_thread(
            self.library.conversations.v1.address_configurations.create,
            type="sms",
            address=number,
            auto_creation_enabled=True,
            auto_creation_type="webhook",
            auto_creation_webhook_url=self.hooks.url,
            auto_creation_webhook_filters=["onMessageAdded"],
        )

    async def told(self, body: str) -> Json:
        """The call of the webhook about this message."""
        heard = await self.hooks.heard("onMessageAdded", lambda one: one["Body"] == body, timeout=15)
        return {"isSigned": heard.is_signed, **heard.fields}

    async def rooms_of(self, phone: str) -> list[str]:
        """Conversations with this address, by the library."""
        listed = self.library.conversations.v1.participant_conversations.list
        return [str(one.conversation_sid) for one in await asyncio.to_thread(listed, address=phone)]

    async def webhooks_of(self, room: str) -> list[Any]:
        listed = self.library.conversations.v1.conversations(room).webhooks.list
        return [one.configuration["url"] == self.hooks.url for one in await asyncio.to_thread(listed)]


P = TypeVar("P", bound=Phones)


class SimulatedPhones(Phones):
    async def texts(self, phone: str) -> list[Json]:
        shown = (await self.get(f"/simulator/Phones/{quote(phone, safe='')}/Messages"))["messages"]
        return [
            {"from": one["from"], "to": sorted({phone, *one["to"]}), "text": one["text"]}
            for one in shown
            if not one["is_mine"]
        ]

    async def writes(self, phone: str, text: str, to: Sequence[str], others: Sequence[str] = ()) -> None:
        form = {"Body": text, "To": to, **({"Others": others} if others else {})}
        await self.post(f"/simulator/Phones/{quote(phone, safe='')}/Messages", **form)


class Carrier(TelnyxPeer):
    """Telnyx, and the network behind it: what is sent arrives, also where numbers of ours are among the receivers."""

    def __init__(self, server: LocalServer) -> None:
        super().__init__(server.clock)
        self.callback_url = ""
        self.arrived: list[Json] = []
        self._network: set[asyncio.Task[None]] = set()

    async def judged(self, asked: Asked) -> Answered:
        answer = await super().judged(asked)
        if answer.status == 200 and asked.method == "POST":
            task = asyncio.create_task(self._carry(answer.body["data"]["id"], asked.json))
            self._network.add(task)
        return answer

    async def _carry(self, name: str, said: Json) -> None:
        to = [said["to"]] if isinstance(said["to"], str) else said["to"]
        await self.bring(said["from"], said["text"], to)
        await self.report(name, "message.sent", dict.fromkeys(to, "sent"))
        await self.report(name, "message.finalized", dict.fromkeys(to, "delivered"))

    async def bring(self, sender: str, text: str, to: Sequence[str]) -> None:
        """A message to all of these: one copy for each number of ours, as Telnyx brings it."""
        self.arrived.append({"from": sender, "to": sorted(to), "text": text})
        for ours in to:
            if ours in NUMBERS:
                payload = {
                    "id": str(uuid.uuid4()),
                    "direction": "inbound",
                    "type": "MMS" if len(to) > 1 else "SMS",
                    "from": {"phone_number": sender},
                    "to": [{"phone_number": ours}],
                    "cc": [{"phone_number": other} for other in to if other != ours],
                    "text": text,
                    "media": [],
                }
                assert await self.say(f"{self.callback_url}/inbound", "message.received", payload) == 200

    async def quiet(self) -> None:
        """All that was on its way is there."""
        await asyncio.gather(*self._network)


class TelnyxPhones(Phones):
    carrier: Carrier

    async def texts(self, phone: str) -> list[Json]:
        return [one for one in self.carrier.arrived if phone in one["to"]]

    async def writes(self, phone: str, text: str, to: Sequence[str], others: Sequence[str] = ()) -> None:
        await self.carrier.bring(phone, text, [*to, *others])


@contextmanager
def _receiving(phones: P) -> Iterator[P]:
    """With its receiver of webhooks."""
    phones.hooks = WebhookReceiver(phones.server.auth_token)
    phones.hooks.start()
    try:
        yield phones
    finally:
        phones.hooks.stop()


@asynccontextmanager
async def simulated_phones() -> AsyncIterator[SimulatedPhones]:
    async with (
        running_server({"channels.simulator": True}) as server,
        httpx.AsyncClient(
            base_url=server.base_url, auth=(server.account_sid, server.auth_token), trust_env=False
        ) as http,
    ):
        with twilio_client(server) as library, _receiving(SimulatedPhones(server, library, http)) as phones:
            yield phones


@asynccontextmanager
async def telnyx_phones() -> AsyncIterator[TelnyxPhones]:
    async with (
        LocalServer() as server,
        Carrier(server) as carrier,
        httpx.AsyncClient(
            base_url=server.base_url, auth=(server.account_sid, server.auth_token), trust_env=False
        ) as http,
    ):
        with twilio_client(server) as library, _receiving(TelnyxPhones(server, library, http)) as phones:
            phones.carrier = carrier
            made = await phones.gateway(
                "telnyx", *NUMBERS, api_key=API_KEY, public_key=carrier.public_key, base_url=carrier.url
            )
            carrier.callback_url = str(made["callback_url"])
            yield phones
            await carrier.quiet()
