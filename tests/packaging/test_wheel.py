"""The package as users get it: built, checked, and used with nothing beside it but what it asks for."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.cli.command import Server, environment, evaluated, printed, serving

ROOT = Path(__file__).parents[2]
WITHIN_S = 120

USER_PROGRAM = '''
"""What an application of a user's looks like, to the type checker."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tertulia.client import (
    ClientConfig,
    Conversation,
    ConversationsClient,
    Message,
    MessageDraft,
    Participant,
    TokenRequest,
)
from tertulia.client.errors import ApiError, ConversationsError
from tertulia.client.events import MessageAdded, MessageRemoved, MessageUpdated, TypingStarted
from tertulia.client.media import FileToSend
from tertulia.client.sqlite_store import SqliteStore
from tertulia.client.token_store import FileTokenStore


async def fetch_token(request: TokenRequest) -> str:
    return f"{request.identity} {request.reason} {request.attempt}"


async def newest(room: Conversation) -> list[Message]:
    return [message async for message in room.messages(10)]


async def several(client: ConversationsClient, room: Conversation) -> None:
    @client.on(MessageAdded, MessageUpdated, MessageRemoved)
    async def hear(event: MessageAdded | MessageUpdated | MessageRemoved) -> None:
        print(event.message.index)

    client.off(MessageRemoved, hear)
    async with room.events(MessageAdded, TypingStarted) as stream:
        async for event in stream:
            if isinstance(event, TypingStarted):
                who: str | None = event.participant.identity
            else:
                who = event.message.author
            print(who)
    async with room.events(MessageUpdated, replay_last=True) as updates:
        print([update.reasons async for update in updates])


async def others(room: Conversation) -> None:
    ben: Participant = await room.add_participant("ben")
    await room.add_participant("cid", wait=False)
    outside: Participant = await room.add_address_participant("+15550001111", "+15550002222")
    print(ben.sid, outside.type)
    draft = MessageDraft(body="twice", media=[Path("menu.pdf"), (b"x", "image/png")])
    first: Message = await room.send_draft(draft)
    second: int = await room.send_draft(draft, wait=False)
    print(first.sid, second)
    await room.send(media=Path("menu.pdf"))
    await room.send(media=(b"x", "image/png"))
    await room.send(media=[FileToSend(b"x", "text/plain"), b"bytes"])
    await room.update(friendly_name=None, unique_name=None)


async def main() -> None:
    config = ClientConfig(
        server_url="https://chat.example",
        token_provider=fetch_token,
        token_store=FileTokenStore(Path("token")),
        store=SqliteStore(Path("chat.db")),
        outbox=True,
    )
    async with ConversationsClient(config) as client:

        @client.on(MessageAdded)
        def show(event: MessageAdded) -> None:
            print(event.message.author, event.message.body)

        @client.on(MessageUpdated)
        async def look(event: MessageUpdated) -> None:
            reasons: frozenset[str] = event.reasons
            print(reasons, event.previous.body)

        room = await client.create_conversation(friendly_name="Tavern", join=True)
        other: Conversation = await client.join_conversation("the inn")
        print(other.friendly_name)
        try:
            message: Message = await room.send("hello", media=[FileToSend(b"x", "text/plain")])
            index: int = await room.send("hello", wait=False)
        except ApiError as error:
            print(error.status, error.code)
        except ConversationsError as error:
            print(error)
        else:
            print(message.index, index, [each.body for each in await newest(room)])
        async with room.events(MessageAdded) as stream:
            async for event in stream:
                print(event.message.body)
        await several(client, room)
        await others(room)
        unread: int | None = await room.count_unread()
        print(unread)


asyncio.run(main())
'''


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the sdist."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT)
    return folder


@pytest.fixture(scope="module")
def clean(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python with the wheel and, of what is installed here, only what the wheel asks for."""
    folder = tmp_path_factory.mktemp("clean")
    run(sys.executable, "-m", "venv", "--without-pip", folder / "venv")
    [packages] = (folder / "venv" / "lib").glob("python*/site-packages")
    for name in sorted(needed("tertulia")):
        for top in tops(name):
            target = packages / top.name
            if not target.exists():
                target.symlink_to(top)
    [wheel] = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    return folder / "venv" / "bin" / "python"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving(tmp_path / "data") as server:
        yield server


def run(*command: object, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=WITHIN_S, cwd=cwd, env=env
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def needed(package: str) -> set[str]:
    """The packages that this one asks for without extras, and those that these ask for, without itself."""
    found: set[str] = set()
    waiting = [package]
    while waiting:
        for text in metadata.requires(waiting.pop()) or ():
            requirement = Requirement(text)
            name = requirement.name.lower()
            if name not in found and (requirement.marker is None or requirement.marker.evaluate({"extra": ""})):
                found.add(name)
                waiting.append(name)
    return found


def tops(package: str) -> set[Path]:
    """What a package has put into the folder of packages."""
    files = metadata.files(package) or []
    parts = {file.parts[0] for file in files if file.parts[0] not in ("..", "__pycache__")}
    return {Path(str(metadata.distribution(package).locate_file(part))) for part in parts}


def test_an_index_would_take_the_packages(built: Path) -> None:
    said = run(sys.executable, "-m", "twine", "check", "--strict", *built.iterdir())
    assert said.count("PASSED") == 2


def test_the_packages_hold_what_they_should(built: Path) -> None:
    [wheel], [sdist] = built.glob("*.whl"), built.glob("*.tar.gz")
    names = zipfile.ZipFile(wheel).namelist()
    assert {"tertulia/py.typed", "tertulia/client/client.py", "tertulia/testing/plugin.py"} <= set(names)
    assert any(name.endswith(".sql") for name in names)
    with tarfile.open(sdist) as archive:
        inside = {"/".join(name.split("/")[1:]) for name in archive.getnames()}
    assert {"docs/client.md", "examples/client.py", "tests/client/stage.py", "Makefile"} <= inside


def test_a_client_needs_three_packages() -> None:
    asked = {Requirement(text).name for text in metadata.requires("tertulia") or () if "extra ==" not in text}
    assert asked == {"httpx", "msgspec", "websockets"}
    assert needed("tertulia") == {
        *("anyio", "certifi", "h11", "httpcore", "httpx", "idna", "msgspec", "typing_extensions", "websockets"),
    }


def test_the_client_of_the_readme_runs_with_the_wheel_alone(clean: Path, server: Server) -> None:
    variables = evaluated(printed("env", "--data", server.data, "--url", server.base_url))
    token = printed("token", "ana", "--data", server.data).strip()
    [program] = re.findall(
        r"^```python\n(import asyncio\n.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL
    )
    env = environment(**variables, TOKEN=token)
    env.pop("PYTHONPATH", None)
    said = run(clean, "-I", "-W", "error", "-c", program, env=env)
    assert said.splitlines()[-1] == "1 messages, 1 people"
    assert "0 ana ana is here." in said


def test_the_commands_say_what_they_need(clean: Path) -> None:
    for command, extra in (("serve", "server"), ("chat", "chat")):
        done = subprocess.run(
            [clean, "-I", "-m", "tertulia.cli.main", command, *(["--token", "x"] if command == "chat" else [])],
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
            env=dict(os.environ),
        )
        assert done.returncode == 1 and f"tertulia[{extra}]" in done.stderr, done.stderr
        assert "Traceback" not in done.stderr


def test_a_users_program_is_well_typed_against_the_wheel(clean: Path, tmp_path: Path) -> None:
    program = tmp_path / "application.py"
    program.write_text(USER_PROGRAM)
    (tmp_path / "mypy.ini").write_text("[mypy]\nstrict = True\n")
    said = run(sys.executable, "-m", "mypy", "--strict", "--python-executable", clean, program, cwd=tmp_path)
    assert "no issues found" in said
