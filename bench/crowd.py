"""People and rooms: made by REST, logged in one by one in the very sequence of the official SDK."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import msgspec

from tertulia.wire import tokens

from .client import WAIT_S, Client, Refused
from .rest import Rest, together
from .server import ACCOUNT_SID, API_KEY_SECRET, API_KEY_SID, SERVICE_SID, Server

LOGGING_IN_AT_ONCE = 32


class Followed(msgspec.Struct):
    """An object that a person follows, and the last event he has of it."""

    sid: str
    type: str
    last_event_id: int


class Person:
    """Somebody who is logged in and follows what the SDK follows."""

    def __init__(self, identity: str) -> None:
        self.identity = identity
        self.token = token(identity)
        self.continuation_token: str | None = None
        self.followed: list[Followed] = []
        self.messages_url = ""
        """Where messages of his (first) conversation are written to."""
        self.client: Client

    async def log_in(self, address: tuple[str, int]) -> None:
        """Connect and load everything, request by request as in realtime 1.1, until the subscriptions stand."""
        client = self.client = await Client.connect(address)
        self.continuation_token = await client.init(self.token)
        configuration = await client.get("/Client/v2/Configuration")
        names, links = configuration["sync_objects"], configuration["links"]
        mine, info = await asyncio.gather(
            client.get(f"/v3/Maps/{names['my_conversations']}"),
            client.get(f"/v3/Maps/{names['my_user_info']}", {"Include": "items"}),
        )
        self.followed = [_followed(mine, "map"), _followed(info, "map")]
        page = await client.get(links["my_conversations"])
        for entry in page["conversations"]:
            if not self.messages_url:
                self.messages_url = f"{links['conversations']}/{entry['conversation_sid']}/Messages"
            objects = entry["sync_objects"]
            document, messages, roster = await asyncio.gather(
                client.get(f"/v3/Documents/{objects['conversation']}"),
                client.get(f"/v3/Lists/{objects['messages']}"),
                client.get(f"/v3/Maps/{objects['participants']}"),
            )
            await client.get(roster["links"]["items"], {"PageSize": "50", "Order": "asc"})
            self.followed += [_followed(document, "document"), _followed(messages, "list"), _followed(roster, "map")]
        await self.subscribe()

    async def come_back(self, address: tuple[str, int], hear: Callable[[bytes], None]) -> None:
        """Connect again after a loss: ``init`` and the subscriptions, nothing else (realtime 1.2).

        ``hear`` gets what was missed, and what comes then.
        """
        self.client = await Client.connect(address)
        self.client.on_event = hear
        self.continuation_token = await self.client.init(self.token, self.continuation_token)
        await self.subscribe()

    async def subscribe(self) -> None:
        """Subscribe to all that is followed, from the last event of each; returns when all is established."""
        client, established = self.client, asyncio.get_running_loop().create_future()
        waiting = {followed.sid for followed in self.followed}
        outer = client.on_event

        def hear(frame: bytes) -> None:
            if outer is not None:
                outer(frame)
            if b'"subscription_' not in frame:
                return
            for event in _payload(frame)["events"]:
                if "error" in event and not established.done():
                    established.set_exception(Refused(f"subscription failed: {event}"))
                waiting.discard(event["object_sid"])
            if not waiting and not established.done():
                established.set_result(None)

        client.on_event = hear
        command = {
            "event_protocol_version": 4,
            "action": "establish",
            "correlation_id": time.time_ns() // 1_000_000,
            "retried_requests": 0,
            "ttl_in_s": -1,
            "requests": [
                {"object_sid": followed.sid, "object_type": followed.type, "last_event_id": followed.last_event_id}
                for followed in self.followed
            ],
        }
        await client.ask("POST", "/v4/Subscriptions", command)
        await asyncio.wait_for(established, WAIT_S)
        client.on_event = outer


def token(identity: str, push_credential: str | None = None) -> str:
    """An access token as the official helper library makes it."""
    return tokens.mint(
        account_sid=ACCOUNT_SID,
        key_sid=API_KEY_SID,
        secret=API_KEY_SECRET,
        identity=identity,
        service_sid=SERVICE_SID,
        push_credential_sid=push_credential,
        now_s=time.time(),
    )


async def fill_rooms(rest: Rest, rooms: int, members: int) -> list[tuple[str, list[str]]]:
    """New conversations and the identities of their members: nobody is in two."""
    sids = await together([rest.conversation(f"room {number}") for number in range(rooms)])
    filled = [(sid, [f"u{number}.{seat}" for seat in range(members)]) for number, sid in enumerate(sids)]
    await together([rest.add(sid, identities) for sid, identities in filled], at_once=20)
    return filled


async def log_in_all(server: Server, identities: list[str]) -> list[Person]:
    """All of them, logged in."""
    people = [Person(identity) for identity in identities]
    await together([person.log_in(server.address) for person in people], at_once=LOGGING_IN_AT_ONCE)
    return people


def _followed(root: dict[str, Any], type_: str) -> Followed:
    return Followed(root["sid"], type_, root["last_event_id"])


def _payload(frame: bytes) -> Any:
    return msgspec.json.decode(frame[frame.index(b"\r\n{", frame.index(b"\r\n") + 2) + 2 :].rstrip(b"\r\n"))
