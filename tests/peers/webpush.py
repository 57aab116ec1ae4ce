"""A push service of browsers, and browsers subscribed to it: npm's web-push-testing, which decrypts what it gets."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import httpx
import pytest

SERVICE: Final = Path(__file__).with_suffix(".mjs")
PACKAGE: Final = Path(__file__).parents[1] / "sdks/node_modules/web-push-testing/package.json"
WITHIN_S: Final = 20.0


class WebPushPeer:
    """The service, while the block runs. The test is skipped, visibly, where there is no Node or no package.

    It asks for VAPID tokens that the subscription's public key verifies and that live at this very moment, so its
    senders need a clock that is right. It answers 201; 410 once the subscription has expired; 400 for everything it
    does not like.
    """

    url: str

    async def __aenter__(self) -> WebPushPeer:
        node = shutil.which("node")
        if node is None or not PACKAGE.exists():
            pytest.skip("Node or web-push-testing is missing; `make sdk-parts` brings them where it can")
        # Its complaints about pushes it refuses go nowhere: what it answers is what counts.
        self._process = await asyncio.create_subprocess_exec(
            node,
            str(SERVICE),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert self._process.stdout is not None
        try:
            line = await asyncio.wait_for(self._process.stdout.readline(), WITHIN_S)
        except BaseException:
            await self._end()
            raise
        self.url = line.decode().strip()
        self._http = httpx.AsyncClient(base_url=self.url, trust_env=False, timeout=WITHIN_S)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()
        await self._end()

    async def subscribe(self, public_key: str) -> str:
        """A browser subscribes with this VAPID key: its subscription, the JSON that a page would register."""
        # Its forms are JSON without types: a boolean is a word.
        answer = await self._ask("/subscribe", {"userVisibleOnly": "true", "applicationServerKey": public_key})
        subscription = answer["data"]
        return json.dumps({"endpoint": subscription["endpoint"], "expirationTime": None, "keys": subscription["keys"]})

    async def received(self, subscription: str) -> list[Any]:
        """What was pushed to the browser, decrypted by the service, oldest first."""
        answer = await self._ask("/get-notifications", {"clientHash": _name(subscription)})
        return [json.loads(text) for text in answer["data"]["messages"]]

    async def expire(self, subscription: str) -> None:
        """The browser has gone."""
        (await self._http.post(f"/expire-subscription/{_name(subscription)}")).raise_for_status()

    async def _ask(self, path: str, body: dict[str, str]) -> Any:
        answer = await self._http.post(path, json=body)
        assert answer.is_success, answer.text
        return answer.json()

    async def _end(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._process.communicate()


def _name(subscription: str) -> str:
    """The last part of the endpoint, by which the service knows a browser."""
    endpoint: str = json.loads(subscription)["endpoint"]
    return endpoint.rpartition("/")[2]
