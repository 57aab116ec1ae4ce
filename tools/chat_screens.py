"""Draws the pictures of docs/chat.md: ``tertulia chat`` against a server of its own, with the same talk each time.

python -m tools.chat_screens
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from textual.pilot import Pilot

from tertulia.cli.chat.app import ChatApp
from tertulia.cli.chat.composer import Composer
from tertulia.cli.chat.history import History
from tertulia.client import ClientConfig, ConversationsClient
from tertulia.wire import tokens

IMAGES = Path(__file__).parent.parent / "docs" / "images"
SIZE = (104, 33)
ACCOUNT, KEY, SERVICE = "AC" + "1" * 32, "SK" + "2" * 32, "IS" + "3" * 32
AUTH_TOKEN, SECRET = "4" * 32, "5" * 32
NOW = datetime(2025, 3, 14, 18, 42, tzinfo=UTC)
PATIENCE_S = 30.0
MENU = "Soup, bread, olives, and whatever Ana brings.\n" * 40

Said = tuple[str, timedelta, str]
ROOMS: list[tuple[str, tuple[str, ...], list[Said]]] = [
    (
        "Thursday dinner",
        ("ana", "bob", "carla"),
        [
            ("carla", timedelta(days=1, hours=2), "Who is coming on Thursday? How many chairs do I have to borrow?"),
            ("ana", timedelta(days=1, hours=1, minutes=55), "Me! And I bring the olives."),
            ("bob", timedelta(minutes=31), "Count me in. Here is what I would cook:"),
            ("bob", timedelta(minutes=30), "file"),
            ("ana", timedelta(minutes=12), "Lovely. Two of us do not eat fish, so the soup is perfect."),
            ("carla", timedelta(minutes=4), "Then it is settled:\n  seven o'clock\n  at mine\n  bring a chair"),
        ],
    ),
    ("Book club", ("ana", "dora"), [("dora", timedelta(hours=3), "Chapter four is where it gets strange.")]),
    ("The allotment", ("ana", "emil", "bob"), [("emil", timedelta(days=1), "Whose turn is it to water?")]),
    ("Neighbours", ("ana", "fritz"), [("fritz", timedelta(days=3), "The lift works again."),
                                      ("fritz", timedelta(days=3), "It does not.")]),
]  # fmt: skip


def token(identity: str) -> str:
    return tokens.mint(
        account_sid=ACCOUNT, key_sid=KEY, secret=SECRET, identity=identity, service_sid=SERVICE, now_s=time.time()
    )


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[str]:
    """The base URL of a server in a process of its own."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TERTULIA_")} | {
        "TERTULIA_ACCOUNT_SID": ACCOUNT,
        "TERTULIA_AUTH_TOKEN": AUTH_TOKEN,
        "TERTULIA_API_KEY_SID": KEY,
        "TERTULIA_API_KEY_SECRET": SECRET,
        "TERTULIA_SERVICE_SID": SERVICE,
        "TERTULIA_LOG_LEVEL": "warning",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tertulia.cli.main", "serve", "--port", "0", "--data", str(folder / "data")),
        env=environment,
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        url = ""
        async with asyncio.timeout(PATIENCE_S):
            async for line in process.stdout:
                if b"REST" in line:
                    url = line.split()[-1].decode()
                if b"Credentials" in line:
                    break
        yield url
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def furnish(url: str) -> dict[str, str]:
    """The rooms with what was said in them, at the times at which it was; the SID of each by name."""
    sids: dict[str, str] = {}
    async with httpx.AsyncClient(base_url=url, auth=(ACCOUNT, AUTH_TOKEN), timeout=PATIENCE_S) as rest:

        async def post(path: str, **fields: str) -> Any:
            answer = await rest.post(f"/v1/{path}", data=fields)
            answer.raise_for_status()
            return answer.json()

        for name, people, said in ROOMS:
            sid = sids[name] = (await post("Conversations", FriendlyName=name))["sid"]
            for identity in people:
                await post(f"Conversations/{sid}/Participants", Identity=identity)
            for author, ago, text in said:
                fields = {"Author": author, "Body": text, "DateCreated": (NOW - ago).isoformat().replace("+00:00", "Z")}
                if text == "file":
                    uploaded = await rest.post(
                        f"/v1/Services/{SERVICE}/Media",
                        params={"Filename": "menu for thursday.txt"},
                        content=MENU.encode(),
                        headers={"Content-Type": "text/plain"},
                    )
                    uploaded.raise_for_status()
                    fields = {**fields, "MediaSid": uploaded.json()["sid"]}
                    del fields["Body"]
                await post(f"Conversations/{sid}/Messages", **fields)
    return sids


async def read(url: str, identity: str, sid: str, index: int) -> None:
    config = ClientConfig(server_url=url, token=token(identity), start_timeout=PATIENCE_S)
    async with ConversationsClient(config) as client:
        conversation = await client.get_conversation(sid)
        await conversation.set_read_horizon(index, immediate=True)


async def until(pilot: Pilot[None], is_so: Any) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not is_so():
            await pilot.pause(0.05)
    await pilot.pause(0.3)


def store(app: ChatApp, name: str) -> None:
    """The screen as a picture, without a font from elsewhere."""
    drawn = app.export_screenshot(title="tertulia chat", simplify=True)
    drawn = re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL)
    IMAGES.mkdir(exist_ok=True)
    (IMAGES / f"{name}.svg").write_text(drawn + "\n", encoding="utf-8")
    print(f"docs/images/{name}.svg")


async def draw(url: str, sids: dict[str, str]) -> None:
    dinner = sids["Thursday dinner"]
    await read(url, "bob", dinner, 5)
    await read(url, "ana", dinner, 4)
    await read(url, "ana", sids["The allotment"], 0)
    client = ConversationsClient(ClientConfig(server_url=url, token=token("ana"), outbox=True))
    carla = ConversationsClient(ClientConfig(server_url=url, token=token("carla"), start_timeout=PATIENCE_S))
    app = ChatApp(client, dinner, clock=lambda: NOW)
    try:
        async with carla, app.run_test(size=SIZE) as pilot:
            await until(pilot, lambda: app.timeline is not None and app.timeline.newest == 5)
            await until(pilot, lambda: len(client.known_conversations) == len(ROOMS))
            neighbours = client.known_conversations[sids["Neighbours"]]
            await neighbours.set_notification_level("muted")
            composer = app.query_one(Composer)
            composer.cursor_blink = False
            composer.text = "I will be there at"
            composer.move_cursor(composer.document.end)
            await (await carla.get_conversation(dinner)).typing()
            await until(pilot, lambda: "carla is typing" in app.query_one("#typing").render_line(0).text)
            assert app.query_one(History).is_at_newest
            store(app, "chat")
            await pilot.press("f1")
            await pilot.pause(0.3)
            store(app, "chat-help")
    finally:
        await client.shutdown()


async def main() -> None:
    os.environ["TZ"] = "UTC"
    time.tzset()
    with tempfile.TemporaryDirectory() as folder:
        async with served(Path(folder)) as url:
            await draw(url, await furnish(url))


if __name__ == "__main__":
    asyncio.run(main())
