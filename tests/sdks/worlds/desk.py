"""The account holder of a story: by the official Python library, and by REST where that has no words for it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, Final

import httpx
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client

from tertulia.testing import LocalServer

WITHIN_S: Final = 20.0

Json = dict[str, Any]


class Desk:
    """What every world has: a server, the library, and time to wait."""

    def __init__(self, server: LocalServer, library: Client, http: httpx.AsyncClient) -> None:
        self.server = server
        self.library = library
        self.http = http

    # --- what stories ask for

    async def room(self, **settings: str) -> str:
        made = await asyncio.to_thread(self.library.conversations.v1.conversations.create, **settings)
        return str(made.sid)

    async def add(self, room: str, **fields: str) -> Json:
        """``identity``, ``address``, ``proxy``, ``projected``: the participant, or why there is none."""
        named = {
            name if name == "identity" else f"messaging_binding_{spelled}": fields[name]
            for name, spelled in (
                ("identity", ""),
                ("address", "address"),
                ("proxy", "proxy_address"),
                ("projected", "projected_address"),
            )
            if name in fields
        }
        participants = self.library.conversations.v1.conversations(room).participants
        try:
            made = await asyncio.to_thread(participants.create, **named)
        except TwilioRestException as refusal:
            return {"status": refusal.status, "code": refusal.code, "message": refusal.msg}
        return {"sid": str(made.sid), "binding": made.messaging_binding}

    async def close_room(self, room: str) -> None:
        await asyncio.to_thread(self.library.conversations.v1.conversations(room).update, state="closed")

    async def said(self, room: str) -> list[list[str | None]]:
        """Author and body of its messages, by the library."""
        messages = self.library.conversations.v1.conversations(room).messages
        return [[one.author, one.body] for one in await asyncio.to_thread(messages.list)]

    # --- what worlds are made of

    async def post(self, path: str, **form: Any) -> Json:
        answer = await self.http.post(path, data=form)
        assert answer.is_success, answer.text
        made: Json = answer.json()
        return made

    async def get(self, path: str) -> Json:
        answer = await self.http.get(path)
        assert answer.is_success, answer.text
        shown: Json = answer.json()
        return shown

    async def gateway(self, adapter: str, *senders: str, **settings: Any) -> Json:
        """A gateway with its senders."""
        made = await self.post("/channels/Gateways", Name=adapter, Adapter=adapter, Settings=json.dumps(settings))
        for sender in senders:
            await self.post("/channels/Senders", Address=sender, Gateway=adapter, PerMinute="60000")
        return made

    async def until(self, holds: Callable[[], bool]) -> None:
        """Until this is so, while the server does what is due."""
        async with asyncio.timeout(WITHIN_S):
            while not holds():
                await self.server.settle_async()
                await asyncio.sleep(0.02)
