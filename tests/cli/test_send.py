"""``tertulia send``: messages from scripts."""

from __future__ import annotations

import json
import os
import shlex
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tertulia.cli import send as send_module
from tertulia.cli.main import main

from .command import TERTULIA, WITHIN_S, environment, printed, refusal, run, serving
from .people import Town, room


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with serving(tmp_path_factory.mktemp("send") / "data") as server:
        yield Town(server)


@pytest.fixture
async def hall(town: Town) -> str:
    """The unique name of a conversation of ana's."""
    async with town.client("ana") as ana:
        known = [each.unique_name for each in [each async for each in ana.conversations()]]
        if "hall" not in known:
            await room(ana, "Hall", "bob", unique_name="hall")
    return "hall"


async def bodies(town: Town, name: str, count: int, identity: str = "ana") -> list[str | None]:
    async with town.client(identity) as client:
        conversation = await client.get_conversation_by_unique_name(name)
        return [message.body for message in await conversation.last_messages(count)]


async def test_a_text_is_sent_and_printed_as_the_message_it_became(town: Town, hall: str) -> None:
    attributes = '{"from": "a script"}'
    sent = json.loads(printed("send", hall, "Dinner is ready", "--attributes", attributes, variables=town.login("bob")))
    async with town.client("ana") as ana:
        conversation = await ana.get_conversation_by_unique_name(hall)
        (message,) = await conversation.last_messages(1)
    assert sent["conversation"] == conversation.sid
    assert (sent["message"]["sid"], sent["message"]["index"]) == (message.sid, message.index)
    assert (message.author, message.body, message.attributes) == ("bob", "Dinner is ready", {"from": "a script"})


def sent_lines(town: Town, name: str, text: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [TERTULIA, "send", name, "--stdin"],
        env=environment(**town.login("bob")),
        input=text,
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
    )


async def test_each_line_of_the_input_is_a_message_in_its_order(town: Town, hall: str) -> None:
    lines = [f"line {number} żółw" for number in range(30)]
    done = sent_lines(town, hall, "\r\n".join([*lines[:10], "", *lines[10:]]))
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["message"]["body"] for line in done.stdout.splitlines()] == lines
    assert await bodies(town, hall, 30) == lines


async def test_a_file_is_sent_with_its_words(town: Town, hall: str, tmp_path: Path) -> None:
    (tmp_path / "menu.txt").write_text("soup, bread")
    sent = json.loads(printed("send", hall, "The menu", "--file", tmp_path / "menu.txt", variables=town.login("bob")))
    (media,) = sent["message"]["media"]
    assert (media["filename"], media["content_type"], media["size"]) == ("menu.txt", "text/plain", 11)
    assert sent["message"]["body"] == "The menu"


async def test_a_file_whose_name_is_no_text_is_sent(town: Town, hall: str, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9.txt")
    path.write_text("coffee, milk")
    sent = json.loads(printed("send", hall, "--file", path, variables=town.login("bob")))
    (media,) = sent["message"]["media"]
    assert media["filename"] == "caf\N{REPLACEMENT CHARACTER}.txt"


def test_a_conversation_one_is_not_in_is_named_with_what_to_do(town: Town, hall: str) -> None:
    line = refusal(run("send", hall, "hello", variables=town.login("stranger")))
    assert "stranger takes part in no conversation 'hall'" in line and "/join hall" in line
    sid = "CH" + "0" * 32
    assert f"no conversation '{sid}'" in refusal(run("send", sid, "hello", variables=town.login("bob")))
    assert "name of the conversation is empty" in refusal(run("send", "", "hello", variables=town.login("bob")))


async def test_a_friendly_name_will_do_if_no_other_has_it(town: Town) -> None:
    async with town.client("cleo") as cleo:
        one = await room(cleo, "The long corridor")
        await room(cleo, "Elsewhere", unique_name="corridor-2")
    sent = json.loads(printed("send", "The long corridor", "anybody?", variables=town.login("cleo")))
    assert sent["conversation"] == one.sid
    async with town.client("cleo") as cleo:
        other = await room(cleo, "The long corridor")
        # Of a unique name and a friendly one the unique name counts.
        await room(cleo, "corridor-2")
    line = refusal(run("send", "The long corridor", "anybody?", variables=town.login("cleo")))
    assert "2 conversations are called 'The long corridor'" in line
    assert one.sid in line and other.sid in line
    printed("send", "corridor-2", "by its unique name", variables=town.login("cleo"))
    assert await bodies(town, "corridor-2", 1, "cleo") == ["by its unique name"]


def test_an_input_that_is_closed_is_said(town: Town, hall: str) -> None:
    for closed, word in (("<&-", "standard input is closed"), (">&-", "standard output is closed")):
        done = subprocess.run(
            ["sh", "-c", f"exec {shlex.quote(TERTULIA)} send {hall} --stdin {closed}"],
            env=environment(**town.login("bob")),
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
        )
        assert word in refusal(done)


async def test_what_a_role_does_not_grant_is_said(town: Town, hall: str) -> None:
    known = town.server.credentials()
    async with httpx.AsyncClient(
        base_url=f"{known.base_url}/v1", auth=(known.account_sid, known.auth_token), trust_env=False
    ) as rest:
        role = await rest.post(
            "/Roles", data={"FriendlyName": "mute", "Type": "conversation", "Permission": "leaveConversation"}
        )
        form = {"Identity": "quiet", "RoleSid": role.json()["sid"]}
        user = await rest.post(
            "/Roles", data={"FriendlyName": "quiet", "Type": "service", "Permission": "editOwnUserInfo"}
        )
        await rest.post("/Users", data={"Identity": "quiet", "RoleSid": user.json()["sid"]})
        added = await rest.post(f"/Conversations/{hall}/Participants", data=form)
        assert added.is_success, added.text
    line = refusal(run("send", hall, "hello", variables=town.login("quiet")))
    assert line.startswith("not allowed: ") and "50107" in line and "a role of this user has to grant it" in line


def test_a_server_that_is_not_there_is_named_with_what_to_look_at(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(send_module, "START_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    assert main(["send", "hall", "hello", "--url", url, "--token", "x"]) == 1
    waits, ends = capfd.readouterr().err.splitlines()
    assert waits == f"tertulia: no server answers at {url}: nothing listens there; trying again until there is one"
    assert ends.startswith(f"tertulia: no server answers at {url}: ") and "does a server run there" in ends


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "send what?"),
        (("hello", "--stdin"), "--stdin sends lines"),
        (("hello", "--attributes", "{"), "--attributes: no JSON"),
        (("hello", "--attributes", "{"), """expected something like '{"kind": "backup"}'"""),
        (("hello", "--data", '{"kind": "backup"}'), "attributes of a message go to `tertulia send --attributes`"),
        (("hello", "--file", "/"), "is a folder"),
        (("hello", "--attributes", "[" * 2000 + "]" * 2000), "--attributes: nested too deeply"),
        (("hello", "--attributes", os.fsdecode(b'"caf\xe9"')), "--attributes: not in UTF-8"),
        ((os.fsdecode(b"caf\xe9"),), "TEXT: not in UTF-8"),
        (("hello", "--file", "/nowhere/at/all"), "no such file"),
    ],
)
def test_what_cannot_be_sent_is_said_before_anything_is(arguments: tuple[str, ...], sentence: str) -> None:
    variables = {"TERTULIA_URL": "http://127.0.0.1:1", "TERTULIA_TOKEN": "x"}
    assert sentence in refusal(run("send", "hall", *arguments, variables=variables))
