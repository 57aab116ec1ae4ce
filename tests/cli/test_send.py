"""``tertulia send``: messages from scripts."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

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


async def bodies(town: Town, name: str, count: int) -> list[str | None]:
    async with town.client("ana") as ana:
        conversation = await ana.get_conversation_by_unique_name(name)
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


def test_a_conversation_one_is_not_in_is_refused(town: Town, hall: str) -> None:
    assert "404" in refusal(run("send", hall, "hello", variables=town.login("stranger")))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "send what?"),
        (("hello", "--stdin"), "--stdin sends lines"),
        (("hello", "--attributes", "{"), "--attributes: no JSON"),
        (("hello", "--attributes", "[" * 2000 + "]" * 2000), "--attributes: nested too deeply"),
        (("hello", "--attributes", os.fsdecode(b'"caf\xe9"')), "--attributes: not in UTF-8"),
        ((os.fsdecode(b"caf\xe9"),), "TEXT: not in UTF-8"),
        (("hello", "--file", "/nowhere/at/all"), "no such file"),
    ],
)
def test_what_cannot_be_sent_is_said_before_anything_is(arguments: tuple[str, ...], sentence: str) -> None:
    variables = {"TERTULIA_URL": "http://127.0.0.1:1", "TERTULIA_TOKEN": "x"}
    assert sentence in refusal(run("send", "hall", *arguments, variables=variables))
