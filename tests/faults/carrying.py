"""A server with people on channels, in a process; who carries their messages, and the road between the two."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from aiohttp import ClientError, ClientSession, TCPConnector
from twilio.request_validator import RequestValidator

from tests.client.proxy import Proxy
from tests.peers.smpp import PASSWORD, SYSTEM_ID, SmppPeer
from tests.peers.twilio_messages import ACCOUNT, TOKEN

from .process import PATIENCE_S, ServerProcess, served

OURS: Final = "+15550001111"
LOOK_S: Final = 0.02
UNKNOWN: Final = ("failed", 30008)
SENT: Final = ("sent", 0)
TAKEN: Final = 200
NOT_NOW: Final = 503


def number(person: int) -> str:
    return f"+1555{person:07d}"


class Outgoing(NamedTuple):
    """One message to one person."""

    person: str
    body: str


class Carrying:
    """The server, whose account has one number, served by one gateway."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        self.gateway = ""
        self.rooms: list[str] = []

    # --- before

    async def serve(self, adapter: str, settings: dict[str, Any]) -> None:
        """A gateway for our number, which may send as fast as it can."""
        form = {"Name": "carrier", "Adapter": adapter, "Settings": json.dumps(settings)}
        self.gateway = (await self.post("/channels/Gateways", **form))["sid"]
        await self.post("/channels/Senders", Address=OURS, Gateway=self.gateway, PerMinute=1_000_000)

    async def together(self, people: int) -> str:
        """A conversation with so many people by SMS."""
        room: str = (await self.post("/v1/Conversations"))["sid"]
        for person in range(people):
            await self._join(room, person)
        return room

    async def apart(self, people: int) -> list[str]:
        """A conversation with each of so many people."""
        self.rooms = [(await self.post("/v1/Conversations"))["sid"] for _ in range(people)]
        for person, room in enumerate(self.rooms):
            await self._join(room, person)
        return self.rooms

    async def _join(self, room: str, person: int) -> None:
        binding = {"MessagingBinding.Address": number(person), "MessagingBinding.ProxyAddress": OURS}
        await self.post(f"/v1/Conversations/{room}/Participants", **binding)

    # --- during

    async def write(self, room: str, first: int, last: int) -> None:
        """Messages by the back end, whose texts are these numbers; each was acknowledged."""
        for body in range(first, last):
            await self.post(f"/v1/Conversations/{room}/Messages", Body=body)

    async def post(self, path: str, **form: Any) -> Any:
        async with self.server.rest() as rest:
            answer = await rest.post(f"{self.server.url}{path}", data=form)
            assert answer.is_success, answer.text
            return answer.json()

    async def until(self, is_so: Callable[[], object], within_s: float = PATIENCE_S) -> None:
        async with asyncio.timeout(within_s):
            while not is_so():  # noqa: ASYNC110 (another process does it)
                await asyncio.sleep(LOOK_S)

    async def settled(self, within_s: float = PATIENCE_S) -> None:
        """Until nothing is owed any more."""
        await self.until(lambda: not self.count("outbox"), within_s)

    # --- what the database says

    def rows(self, sql: str) -> list[Any]:
        place = f"file:{self.server.data / 'tertulia.db'}?mode=ro"
        with contextlib.closing(sqlite3.connect(place, uri=True)) as known:
            return known.execute(sql).fetchall()

    def count(self, table: str, where: str = "TRUE") -> int:
        return int(self.rows(f"SELECT count(*) FROM {table} WHERE {where}")[0][0])

    def leased(self) -> int:
        """How many channel messages are being sent."""
        return self.count("outbox", "kind = 'SendOnChannel' AND state = 'leased'")

    def outcomes(self) -> dict[Outgoing, tuple[str, int]]:
        """Status and error code of every message to every person."""
        found = self.rows(
            "SELECT c.recipients, m.body, r.status, r.error_code FROM channel_messages AS c"
            " JOIN messages AS m ON m.sid = c.message_sid JOIN receipts AS r ON r.channel_message_sid = c.sid"
        )
        return {Outgoing(json.loads(who)[0], body): (status, code) for who, body, status, code in found}

    async def said(self) -> list[list[str]]:
        """The texts of each conversation, in its order."""
        return [[body for _, body in await self.server.messages(room)] for room in self.rooms]


@asynccontextmanager
async def carrying(folder: Path, **settings: object) -> AsyncIterator[Carrying]:
    async with served(folder, jobs_poll_s=0.05, **settings) as server:
        yield Carrying(server)


@asynccontextmanager
async def by_smpp(
    folder: Path, *, options: dict[str, Any] | None = None, **settings: object
) -> AsyncIterator[tuple[Carrying, SmppPeer, Proxy]]:
    """With an SMSC, at the end of a road that can be cut. ``options`` are those of the gateway."""
    async with SmppPeer() as smsc:
        road = Proxy(smsc.port)
        await road.open()
        try:
            async with carrying(folder, **settings) as world:
                known = {"host": "127.0.0.1", "port": road.port, "system_id": SYSTEM_ID, "password": PASSWORD}
                await world.serve("smpp", {**known, **(options or {})})
                await smsc.until(lambda: len(smsc.bound) == 1)
                yield world, smsc, road
        finally:
            await road.close()


def submitted(smsc: SmppPeer) -> list[Outgoing]:
    """What the SMSC has got, in the order of its coming, whatever it answered."""
    return [Outgoing(f"+{one['destination_addr']}", one["text"]) for one in smsc.submitted]


def taken(smsc: SmppPeer) -> list[Outgoing]:
    """What it has answered with success."""
    wants = [not {"status", "drop", "stall", "nack"} & one["answer"].keys() for one in smsc.submitted]
    return [one for one, is_taken in zip(submitted(smsc), wants, strict=True) if is_taken]


def are_in_order(messages: Sequence[Outgoing]) -> None:
    """Each person has got his in the order of the conversation."""
    people: dict[str, list[int]] = {}
    for one in messages:
        people.setdefault(one.person, []).append(int(one.body))
    for person, bodies in people.items():
        assert bodies == sorted(bodies), person


class Caller:
    """A provider that calls back as Twilio does, over kept connections, and comes again until it is told 200."""

    def __init__(self, world: Carrying, connections: int = 16) -> None:
        self._world = world
        self._session = ClientSession(connector=TCPConnector(limit=connections))
        self._validator = RequestValidator(TOKEN)
        self.taken = 0
        self.answers: dict[int, int] = {}
        """How often it has been answered so."""

    async def __aenter__(self) -> Caller:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    @property
    def url(self) -> str:
        return f"{self._world.server.url}/callbacks/{self._world.gateway}"

    async def bring(self, name: str, person: int, body: str, **more: str) -> None:
        """A message of this person, under this name, until it is taken."""
        fields = message_of(name, person, body) | more
        while True:
            try:
                status = await self.call(fields)
            except (ClientError, ConnectionError):  # it is being killed, or is not there yet
                await asyncio.sleep(LOOK_S)
                continue
            if status == TAKEN:
                self.taken += 1
                return
            assert status == NOT_NOW, status
            await asyncio.sleep(LOOK_S)

    async def call(self, fields: dict[str, str], *, url: str | None = None, signature: str | None = None) -> int:
        """One request; the status it is answered with."""
        if signature is None:
            signature = self.sign(fields)
        headers = {"X-Twilio-Signature": signature}
        async with self._session.post(url or self.url, data=fields, headers=headers) as answer:
            await answer.read()
        self.answers[answer.status] = self.answers.get(answer.status, 0) + 1
        return answer.status

    def sign(self, fields: dict[str, str]) -> str:
        signature: str = self._validator.compute_signature(self.url, fields)
        return signature


def message_of(name: str, person: int, body: str) -> dict[str, str]:
    """What Twilio calls back with when somebody has written."""
    return {
        "AccountSid": ACCOUNT,
        "MessageSid": name,
        "From": number(person),
        "To": OURS,
        "Body": body,
        "NumMedia": "0",
    }


def report_of(name: str, status: str, code: int = 0) -> dict[str, str]:
    """What it calls back with when it knows more of a message of ours."""
    fields = {"AccountSid": ACCOUNT, "MessageSid": name, "MessageStatus": status, "From": OURS}
    return fields | ({"ErrorCode": str(code)} if code else {})


def sms_of(person: int, body: str, name: str | None = None) -> dict[str, Any]:
    """What an SMSC brings when somebody has written; some say what they call it."""
    numbers = {"source_addr": number(person)[1:], "source_addr_ton": 1, "destination_addr": OURS[1:]}
    return {**numbers, "dest_addr_ton": 1, "short_message": body, **({"receipted_message_id": name} if name else {})}


TWILIO: Final = {"account_sid": ACCOUNT, "auth_token": TOKEN}
