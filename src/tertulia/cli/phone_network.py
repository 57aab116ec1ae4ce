"""The simulated phone network of a server, as one phone sees it: by REST, as the account."""

from __future__ import annotations

import asyncio
import mimetypes
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import httpx

from tertulia.cli.failure import CommandFailed
from tertulia.cli.plain import plain

WITHIN_S: Final = 30.0

Message = dict[str, Any]
"""As the server describes it."""


class Refusal(Exception):
    """The server will not do what was typed; the text is its own, fit for a terminal."""

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status


class Account(NamedTuple):
    """Who asks, and where."""

    url: str
    sid: str
    token: str

    def __repr__(self) -> str:
        return f"<Account {self.sid} at {self.url}>"


class PhoneNetwork:
    """One phone on it. Raises ``Refusal``, and ``CommandFailed`` when the server cannot be reached."""

    def __init__(self, account: Account, number: str, gateway: str | None) -> None:
        self._url = account.url
        self._path = f"/simulator/Phones/{quote(number, safe='')}"
        self._which = {} if gateway is None else {"Gateway": gateway}
        self._http = httpx.AsyncClient(
            base_url=account.url, auth=(account.sid, account.token), trust_env=False, timeout=WITHIN_S
        )

    async def __aenter__(self) -> PhoneNetwork:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def messages(self, after: str | None) -> list[Message]:
        """What is on the phone, oldest first, or what came after this message."""
        query = self._which if after is None else {**self._which, "After": after}
        listed: list[Message] = (await self._ask("GET", "/Messages", params=query))["messages"]
        return listed

    async def write(self, to: Sequence[str], others: Sequence[str], **fields: str | None) -> Message:
        """The phone writes; ``fields`` are those of the form that have a value."""
        form: dict[str, Any] = {name: value for name, value in fields.items() if value is not None}
        if to:
            form["To"] = list(to)
        if to or others:
            form["Others"] = list(others)
        return await self._ask("POST", "/Messages", data={**self._which, **form})

    async def upload(self, path: Path) -> str:
        """Put a file on the phone; its SID. Raises ``Refusal`` for one that cannot be read."""
        content_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        try:
            content = await asyncio.to_thread(path.read_bytes)
        except OSError as error:
            raise Refusal(f"{plain(str(path))}: {error.strerror or type(error).__name__}") from None
        kept = await self._ask(
            "POST",
            "/Media",
            params={**self._which, "Filename": path.name},
            content=content,
            headers={"Content-Type": content_type},
        )
        return str(kept["sid"])

    async def read(self) -> int:
        """The phone reads all that it has; how many those were."""
        return int((await self._ask("POST", "/Read", data=self._which))["read"])

    async def _ask(self, method: str, tail: str, **request: Any) -> dict[str, Any]:
        try:
            answer = await self._http.request(method, self._path + tail, **request)
        except httpx.HTTPError as error:
            raise CommandFailed(f"cannot reach {self._url}: {plain(str(error)) or type(error).__name__}") from None
        try:
            said = answer.json()
        except ValueError:
            said = None
        if answer.is_success and isinstance(said, dict):
            return said
        message = said.get("message") if isinstance(said, dict) else None
        text = plain(message) if isinstance(message, str) else f"the server answered {answer.status_code}"
        raise Refusal(text, answer.status_code)
