"""The README's tour, walked: its code is that of the examples, and these do what it says."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.cli.command import WITHIN_S, Server, environment, evaluated, printed, serving, welcome

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
FIRST_MINUTES = re.findall(r"^## Five minutes\n.*?^```sh\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)[0]


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Server]:
    """A server nobody has used."""
    with serving(tmp_path / "data") as server:
        yield server


@pytest.fixture
def variables(fresh: Server) -> dict[str, str]:
    """The environment after the line that the README evaluates."""
    return environment(**evaluated(printed("env", "--data", fresh.data, "--url", fresh.base_url)))


def python(example: str, *arguments: str, variables: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, EXAMPLES / example, *arguments],
        env=variables,
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_documentation_shows_the_examples_as_they_are() -> None:
    pages = "".join((ROOT / page).read_text() for page in ("README.md", "docs/webhooks.md"))
    shown = re.findall(r"^```(?:python|js)\n(.*?)^```", pages, re.MULTILINE | re.DOTALL)
    assert sorted(shown) == sorted(path.read_text() for path in EXAMPLES.iterdir() if path.is_file())


def test_hello_says_good_evening_each_time(variables: dict[str, str]) -> None:
    assert python("hello.py", variables=variables) == "0 ana Good evening!\n"
    assert python("hello.py", variables=variables) == "0 ana Good evening!\n1 ana Good evening!\n"


def client(identity: str, fresh: Server, variables: dict[str, str]) -> list[str]:
    token = printed("token", identity, "--data", fresh.data).strip()
    return python("client.py", variables={**variables, "TOKEN": token}).splitlines()


def test_the_first_minutes_lead_on_in_the_order_of_the_readme(fresh: Server, variables: dict[str, str]) -> None:
    lines = [line for line in FIRST_MINUTES.splitlines() if "examples/" in line]
    assert [name for line in lines for name in re.findall(r"examples/(\S+)", line)] == [
        "hello.py",
        "client.py",
        "chat.mjs",
    ]
    assert python("hello.py", variables=variables) == "0 ana Good evening!\n"
    assert client("ana", fresh, variables)[-1] == "2 messages, 2 people"


def test_nor_does_another_order_lead_astray(fresh: Server, variables: dict[str, str]) -> None:
    assert client("ana", fresh, variables)[-1] == "1 messages, 1 people"
    assert python("hello.py", variables=variables).splitlines()[-1] == "1 ana Good evening!"
    # Ana and Ben, whoever made the room; and somebody whom nobody has put there comes in himself.
    assert client("ben", fresh, variables)[-1] == "3 messages, 2 people"
    assert client("cleo", fresh, variables)[-1] == "4 messages, 3 people"


def test_a_signed_token_is_taken(fresh: Server, variables: dict[str, str]) -> None:
    status = welcome(fresh.ws_url, python("sign_token.py", "ana", variables=variables).strip()).header.status
    assert status is not None
    assert status.code == 200


def wait_for_listener(port: int) -> None:
    """Until somebody listens; fails when nobody does in time."""
    ends = time.monotonic() + WITHIN_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=WITHIN_S).close()
        except ConnectionRefusedError:
            assert time.monotonic() < ends
            time.sleep(0.05)
        else:
            return


def test_the_receiver_masks_a_word_and_prints_each_event_once(fresh: Server, variables: dict[str, str]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    hooks = {name: f"http://127.0.0.1:{port}/" for name in ("PreWebhookUrl", "PostWebhookUrl")}
    account = httpx.Client(
        base_url=fresh.base_url, auth=(variables["ACCOUNT_SID"], variables["AUTH_TOKEN"]), timeout=WITHIN_S
    )
    with (
        account,
        subprocess.Popen(
            [sys.executable, EXAMPLES / "webhook_receiver.py"],
            env={**variables, "RECEIVER_PORT": str(port)},
            stdout=subprocess.PIPE,
            text=True,
        ) as receiver,
    ):
        try:
            wait_for_listener(port)
            account.post("/v1/Configuration/Webhooks", data={**hooks, "Filters": ["onMessageAdd", "onMessageAdded"]})
            room = account.post("/v1/Conversations").json()["sid"]
            said = {"Author": "ana", "Body": "What a darn good evening!"}
            answer = account.post(
                f"/v1/Conversations/{room}/Messages", data=said, headers={"X-Twilio-Webhook-Enabled": "true"}
            )
            assert answer.json()["body"] == "***"
            assert receiver.stdout is not None
            assert receiver.stdout.readline() == "onMessageAdded ana ***\n"
        finally:
            receiver.kill()


def chat_in(folder: Path) -> Path:
    """The example as after `npm install` beside it."""
    (folder / "node_modules").symlink_to(ROOT / "tests/sdks/node_modules")
    chat = folder / "chat.mjs"
    chat.write_bytes((EXAMPLES / "chat.mjs").read_bytes())
    return chat


@pytest.mark.node
def test_chat_that_cannot_go_on_says_so_in_a_line(
    node: str, fresh: Server, variables: dict[str, str], tmp_path: Path
) -> None:
    chat = chat_in(tmp_path)
    token = printed("token", "cleo", "--data", fresh.data).strip()

    def complaint() -> str:
        done = subprocess.run(
            [node, chat], env={**variables, "TOKEN": token}, capture_output=True, text=True, timeout=WITHIN_S
        )
        assert done.returncode == 1, done
        (line,) = done.stderr.splitlines()
        return line

    assert "hello.py" in complaint()
    python("hello.py", variables=variables)
    assert "hello.py" in complaint()
    fresh.stop()
    assert "server" in complaint()


@pytest.mark.node
def test_chat_shows_what_is_said_and_sends_what_is_typed(
    node: str, fresh: Server, variables: dict[str, str], tmp_path: Path
) -> None:
    python("hello.py", variables=variables)
    chat = chat_in(tmp_path)
    token = printed("token", "ben", "--data", fresh.data).strip()
    with subprocess.Popen(
        [node, chat],
        cwd=tmp_path,
        env={**variables, "TOKEN": token},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        patience = threading.Timer(WITHIN_S, process.kill)
        patience.start()
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stdout.readline() == "ana: Good evening!\n"
            assert process.stdout.readline() == "ben: ben is here.\n"
            process.stdin.write("Evening, Ana.\n")
            process.stdin.flush()
            assert process.stdout.readline() == "ben: Evening, Ana.\n"
            python("hello.py", variables=variables)
            assert process.stdout.readline() == "ana: Good evening!\n"
        finally:
            patience.cancel()
            process.kill()
