"""A client's end of the socket: twilsock frames written and read by hand, so that the server's own code proves nothing.

``Peer`` is one connection. Every frame of the server is read strictly, as the native clients read it; what it asks to
be acknowledged is acknowledged at once, as the official SDK does.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import re
import uuid
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

PATIENCE_S = 10.0
"""How long anything may take that is to happen; nothing sleeps this long."""
JSON = "application/json; charset=utf-8"
FORM = "application/x-www-form-urlencoded"
SYNC_TYPES = ("twilio.sync.event", "com.twilio.rtd.cds.document", "com.twilio.rtd.cds.list", "com.twilio.rtd.cds.map")
TYPING = "twilio.ipmsg.typing_indicator"
ALL_TYPES = (TYPING, *SYNC_TYPES)

_FIRST_LINE = re.compile(rb"TWILSOCK V3\.0 ([0-9]+)\r\n")
_correlations = itertools.count(1_795_347_401_906)


class Heard(msgspec.Struct, frozen=True):
    """One frame of the server."""

    header: dict[str, Any]
    payload: bytes
    order: int
    """Its place among all frames of the connection."""

    @property
    def method(self) -> str:
        method: str = self.header["method"]
        return method

    @property
    def json(self) -> Any:
        return json.loads(self.payload)

    @property
    def status(self) -> int:
        """How the transport went."""
        code: int = self.header["status"]["code"]
        return code

    @property
    def error_code(self) -> int | None:
        code: int | None = self.header["status"].get("errorCode")
        return code

    @property
    def http_status(self) -> int:
        """How the request went."""
        assert self.status == 200, self.header
        code: int = self.header["http_status"]["code"]
        return code

    @property
    def failure(self) -> tuple[int, int]:
        """Status and code of a request that failed, whose body has the one shape there is."""
        body = self.json
        assert body.keys() == {"status", "code", "message", "more_info"}
        assert body["status"] == self.http_status
        return body["status"], body["code"]

    def __getitem__(self, name: str) -> Any:
        assert self.http_status in (200, 201, 202), (self.header, self.payload)
        return self.json[name]


class Event(msgspec.Struct, frozen=True):
    """One numbered change of an object, as it came."""

    sid: str
    type: str
    number: int
    body: dict[str, Any]
    correlation_id: int | None
    """Of the subscription that asked for it; None for a live event."""
    order: int

    @property
    def is_live(self) -> bool:
        return self.correlation_id is None


class Settled(msgspec.Struct, frozen=True):
    """What became of one object of a batch of subscriptions."""

    how: str
    """``established``, ``failed`` or ``canceled``."""
    entry: dict[str, Any]
    order: int


def frame(header: dict[str, Any], payload: bytes = b"") -> bytes:
    """A whole frame, as the official SDK writes it: nothing follows the payload."""
    text = json.dumps({**header, "payload_size": len(payload)}, ensure_ascii=False, separators=(",", ":")).encode()
    return b"TWILSOCK V3.0 %d\r\n%b\r\n%b" % (len(text), text, payload)


def read_frame(message: bytes | str, order: int = 0) -> Heard:
    """Reads as strictly as any client does (realtime 3)."""
    assert isinstance(message, bytes), "a text frame would vanish without a word"
    first = _FIRST_LINE.match(message)
    assert first, message[:80]
    end = first.end() + int(first[1])
    text = message[first.end() : end]
    assert message[end : end + 2] == b"\r\n", "the length of the header is not its length in bytes"
    assert b"\r" not in text and b"\n" not in text
    header = json.loads(text)
    assert header["method"] and header["id"]
    rest = message[end + 2 :]
    if size := header.get("payload_size", 0):
        assert len(rest) == size + 2 and rest.endswith(b"\r\n"), "the payload is not as long as announced"
        assert header["payload_type"].startswith("application/json")
        json.loads(rest[:size])
    else:
        assert rest == b""
    return Heard(header, rest[:size], order)


class Peer:
    """One connection, with all that it has heard."""

    def __init__(self, websocket: ClientConnection, *, acknowledges: bool = True) -> None:
        self.websocket = websocket
        self.frames: list[Heard] = []
        self.events: list[Event] = []
        self.settled: dict[int, dict[str, Settled]] = {}
        self.acknowledges = acknowledges
        self._answers: dict[str, asyncio.Future[Heard]] = {}
        self._news = asyncio.Event()
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def open(cls, url: str, *, acknowledges: bool = True, **options: Any) -> Peer:
        """A connection that has said nothing yet."""
        return cls(
            await connect(url, compression=None, max_size=None, ping_interval=None, **options),
            acknowledges=acknowledges,
        )

    # --- saying

    async def say(self, header: dict[str, Any], payload: bytes = b"") -> str:
        """A frame; its id."""
        await self.websocket.send(frame(header, payload))
        sent: str = header["id"]
        return sent

    async def say_raw(self, message: bytes | str) -> None:
        await self.websocket.send(message)

    async def ask(self, header: dict[str, Any], payload: bytes = b"") -> Heard:
        """A frame, and the reply to it."""
        header = {"id": new_id(), **header}
        answer = self._answers[header["id"]] = asyncio.get_running_loop().create_future()
        await self.say(header, payload)
        async with asyncio.timeout(PATIENCE_S):
            heard: Heard = await answer
            return heard

    async def init(self, token: str | None, **fields: Any) -> Heard:
        """Authenticate as SDK 3.0.1 does; ``fields`` are other members of the frame, or None to leave one out."""
        header: dict[str, Any] = {
            "method": "init",
            "token": token,
            "continuation_token": None,
            "metadata": {"ver": "1.0.2", "env": "Node.js", "type": "conversations", "sdk": "JS", "sdkv": "3.0.1"},
            "registrations": [registration()],
            "tweaks": None,
            "capabilities": ["client_update", "offline_storage", "telemetry.v1"],
        }
        header.update(fields)
        return await self.ask({name: value for name, value in header.items() if value is not ...})

    async def update(self, token: str) -> Heard:
        return await self.ask({"method": "update", "token": token})

    async def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        params: dict[str, Any] | None = None,
        headers: dict[str, Any] | None = None,
        content_type: str | None = JSON,
    ) -> Heard:
        """A request inside a frame. Parameters are encoded here, the path is as given."""
        payload = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        wrapped = {
            "host": "aim.us1.twilio.com",
            "path": path_of(path),
            "method": method,
            "params": {
                name: quote(str(value), safe="") if not isinstance(value, list) else value
                for name, value in (params or {}).items()
            },
            "headers": {**({"Content-Type": content_type} if content_type else {}), **(headers or {})},
        }
        header = {
            "method": "message",
            "active_grant": "ip_messaging",
            "payload_type": content_type or "application/json",
            "http_request": wrapped,
        }
        return await self.ask(header, payload)

    async def get(self, path: str, **params: Any) -> Heard:
        return await self.request("GET", path, params=params)

    async def post(self, path: str, body: object = None, *, mutation_id: str | None = None) -> Heard:
        headers = {"X-Twilio-Mutation-Id": mutation_id} if mutation_id else {}
        return await self.request("POST", path, body, headers=headers)

    async def send_message(self, conversation: str, body: str, *, mutation_id: str | None = None) -> Heard:
        return await self.post(
            f"/Client/v2/Conversations/{conversation}/Messages",
            {"body": body, "attributes": "{}", "media_sids": []},
            mutation_id=mutation_id or str(uuid.uuid4()),
        )

    async def type_in(self, conversation: str) -> Heard:
        return await self.request("POST", "/v1/typing", f"ChannelSid={conversation}".encode(), content_type=FORM)

    # --- following

    async def subscribe(
        self,
        requests: Sequence[dict[str, Any]],
        *,
        action: str = "establish",
        correlation_id: int | None = None,
        **fields: Any,
    ) -> int:
        """Ask for a batch; its correlation id once it is accepted."""
        correlation_id = next(_correlations) if correlation_id is None else correlation_id
        command = {
            "event_protocol_version": 4,
            "action": action,
            "correlation_id": correlation_id,
            "retried_requests": 0,
            "ttl_in_s": -1,
            "requests": list(requests),
            **fields,
        }
        answer = await self.post("/v4/Subscriptions", command)
        assert answer.http_status == 202, answer.payload
        return correlation_id

    async def establish(self, *requests: dict[str, Any], correlation_id: int | None = None) -> dict[str, Settled]:
        """Ask for a batch and wait until each object of it has been settled."""
        asked = await self.subscribe(requests, correlation_id=correlation_id)
        sids = {request["object_sid"] for request in requests}
        await self.until(lambda: self.settled.get(asked, {}).keys() >= sids)
        return self.settled[asked]

    async def follow(self, *names: str) -> dict[str, dict[str, Any]]:
        """Open objects and subscribe to them from where they stand; their roots by name."""
        roots = {name: (await self.root(name)).json for name in names}
        await self.establish(*(wish(root["sid"], root["last_event_id"]) for root in roots.values()))
        return roots

    async def root(self, name: str, **params: Any) -> Heard:
        kind = {"channel": "Documents", "messages": "Lists"}.get(name.rpartition(".")[2], "Maps")
        return await self.get(f"/v3/{kind}/{quote(name, safe='')}", **params)

    def events_of(self, sid: str) -> list[Event]:
        return [event for event in self.events if event.sid == sid]

    def numbers(self, sid: str) -> list[int]:
        return [event.number for event in self.events_of(sid)]

    def texts(self, sid: str) -> list[str]:
        """The bodies of the messages that were added to a list."""
        return [e.body["item_data"]["text"] for e in self.events_of(sid) if e.type == "list_item_added"]

    # --- hearing

    @property
    def typists(self) -> list[Any]:
        return [heard.json for heard in self.frames if heard.header.get("message_type") == TYPING]

    def of_method(self, method: str) -> list[Heard]:
        return [heard for heard in self.frames if heard.method == method]

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait for something to be heard; fails when the connection ends first."""
        async with asyncio.timeout(PATIENCE_S):
            while not is_so():
                assert not self._reader.done(), f"the connection ended: {self.websocket.close_code}"
                self._news.clear()
                await self._news.wait()

    async def hear(self, method: str) -> Heard:
        """The first frame of this method."""
        await self.until(lambda: bool(self.of_method(method)))
        return self.of_method(method)[0]

    async def quiet(self) -> None:
        """Everything the server had to say when this was called has been heard."""
        pong = await self.websocket.ping()
        async with asyncio.timeout(PATIENCE_S):
            await pong
        # Pongs overtake what waits; a reply does not.
        await self.ask({"method": "put_notification_ctx"})

    async def end(self) -> int | None:
        """Waits until the server has closed the connection; the code it closed it with."""
        async with asyncio.timeout(PATIENCE_S):
            await self._reader
        return self.websocket.close_code

    async def close(self) -> None:
        """Leave without a word of twilsock."""
        await self.websocket.close()
        await self._reader

    def cut(self) -> None:
        """As a lost network does it."""
        self.websocket.transport.abort()

    # --- inside

    async def _read(self) -> None:
        try:
            while True:
                self._take(read_frame(await self.websocket.recv(), len(self.frames)))
                if self.frames[-1].method != "reply" and self.acknowledges:
                    with contextlib.suppress(ConnectionClosed):
                        await self.say(acknowledgement(self.frames[-1].header["id"]))
        except ConnectionClosed:
            for answer in self._answers.values():
                if not answer.done():
                    answer.set_exception(ConnectionResetError("disconnected"))
        finally:
            self._news.set()

    def _take(self, heard: Heard) -> None:
        self.frames.append(heard)
        self._news.set()
        if heard.method == "reply":
            answer = self._answers.pop(heard.header["id"], None)
            if answer is not None and not answer.done():
                answer.set_result(heard)
        elif heard.method == "notification" and heard.header["message_type"] in SYNC_TYPES:
            self._take_sync(heard)

    def _take_sync(self, heard: Heard) -> None:
        body, type_ = heard.json, heard.header["message_type"]
        assert body["event_protocol_version"] == 4
        entries = body["events"] if "events" in body else [body["event"]]
        what, correlation_id = body["event_type"], body.get("correlation_id")
        if what.startswith("subscription_"):
            assert type_ == "twilio.sync.event"
            settled = self.settled.setdefault(correlation_id, {})
            for entry in entries:
                settled[entry["object_sid"]] = Settled(what.removeprefix("subscription_"), entry, heard.order)
            return
        family = what.partition("_")[0]
        expected = f"com.twilio.rtd.cds.{family}" if correlation_id is None else "twilio.sync.event"
        assert type_ == expected, f"{what} came as {type_}"
        for entry in entries:
            event = Event(entry[f"{family}_sid"], what, entry["id"], entry, correlation_id, heard.order)
            self.events.append(event)


def acknowledgement(frame_id: str) -> dict[str, Any]:
    """As the official SDK says it, key by key."""
    return {
        "id": frame_id,
        "method": "reply",
        "payload_type": "application/json",
        "status": {"code": 200, "status": "OK"},
    }


def registration(*types: str) -> dict[str, Any]:
    """What SDK 3.0.1 registers for, or only these types."""
    return {
        "product": "ip_messaging",
        "type": "ers",
        "notification_protocol_version": 0,
        "message_types": list(types or ALL_TYPES),
    }


def wish(sid: str, last_event_id: int | None = None, **fields: Any) -> dict[str, Any]:
    """One element of a batch of subscriptions."""
    kind = {"ET": "document", "ES": "list"}.get(sid[:2], "map")
    return {"object_sid": sid, "object_type": kind, "last_event_id": last_event_id, **fields}


def new_id() -> str:
    return f"TM{uuid.uuid4()}"


def path_of(url: str) -> str:
    """The path of an absolute URL; a path as it is."""
    return re.sub(r"^https?://[^/]+", "", url)
