"""``tertulia listen``: what happens, one line of JSON each."""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tertulia.cli import login as login_module
from tertulia.cli.failure import CommandFailed
from tertulia.wire import frames, tokens
from tertulia.wire.frames import Status
from tests.client.scripted import Scripted

from .command import TERTULIA, WITHIN_S, environment, refusal, run, serving
from .people import Town, proxied, room

Line = dict[str, Any]


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with serving(tmp_path_factory.mktemp("listen") / "data") as server:
        yield Town(server)


class Ear:
    """A running ``tertulia listen``."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def line(self) -> Line:
        assert self.process.stdout is not None
        async with asyncio.timeout(WITHIN_S):
            text = await self.process.stdout.readline()
        assert text.endswith(b"\n"), (text, await self.complaint())
        line: Line = json.loads(text)
        return line

    async def until(self, type: str) -> list[Line]:
        """All lines up to the first of this type."""
        lines = [await self.line()]
        while lines[-1]["type"] != type:
            lines.append(await self.line())
        return lines

    async def complaint(self) -> str:
        assert self.process.stderr is not None
        return (await self.process.stderr.read()).decode()

    async def end(self, by: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(by)
        return await self.code()

    async def code(self) -> int:
        async with asyncio.timeout(WITHIN_S):
            return await self.process.wait()


@asynccontextmanager
async def listening(*arguments: str | Path, **variables: str) -> AsyncIterator[Ear]:
    process = await asyncio.create_subprocess_exec(
        *(TERTULIA, "listen", *map(str, arguments)),
        env=environment(**variables),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield Ear(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_it_says_when_it_is_ready_and_then_what_happens(town: Town) -> None:
    async with town.client("ana") as ana:
        conversation = await room(ana, "Hall", "bob")
        async with listening(**town.login("bob")) as ear:
            ready = (await ear.until("ready"))[-1]
            assert (ready["identity"], ready["conversations"]) == ("bob", 1)
            message = await conversation.send("Hello, bob", attributes={"mood": "good"})
            (added,) = [line for line in await ear.until("message_added") if line["type"] == "message_added"]
            await message.edit(body="Hello, Bob")
            updated = (await ear.until("message_updated"))[-1]
            await message.delete()
            removed = (await ear.until("message_removed"))[-1]
            assert await ear.end() == 0
    assert added["conversation"] == conversation.sid
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", added["time"])
    shown = added["message"]
    assert (shown["sid"], shown["index"], shown["author"]) == (message.sid, 0, "ana")
    assert (shown["body"], shown["attributes"], shown["media"]) == ("Hello, bob", {"mood": "good"}, [])
    assert updated["message"]["body"] == "Hello, Bob"
    assert "body" in updated["changed"]
    assert removed["message"]["sid"] == message.sid


async def test_history_comes_first_and_nothing_comes_twice(town: Town) -> None:
    async with town.client("cleo") as cleo:
        conversation = await room(cleo, "Shelf", "dan", unique_name="shelf")
        for number in range(5):
            await conversation.send(f"number {number}")
        async with listening("--conversation", "shelf", "--history", "3", **town.login("dan")) as ear:
            before = await ear.until("ready")
            await conversation.send("number 5")
            after = await ear.until("message_added")
            assert await ear.end(signal.SIGINT) == 0
    told = [line["message"]["body"] for line in before if line["type"] == "message_history"]
    assert told == ["number 2", "number 3", "number 4"]
    assert [line["message"]["body"] for line in after if line["type"] == "message_added"] == ["number 5"]


async def test_only_what_was_asked_for_is_printed(town: Town) -> None:
    async with town.client("eve") as eve:
        one, other = await room(eve, "One", "fay", unique_name="one"), await room(eve, "Other", "fay")
        async with listening(
            *("--conversation", one.sid, "--types", "ready,message_added,typing_started", "--count", "4"),
            **town.login("fay"),
        ) as ear:
            await ear.until("ready")
            await one.send("a word before")
            await ear.until("message_added")
            await other.send("not for this ear")
            await one.update(friendly_name="First")
            await one.typing()
            await one.send("for this ear")
            lines = [await ear.line(), await ear.line()]
            assert await ear.code() == 0
    assert [line["type"] for line in lines] == ["typing_started", "message_added"]
    assert lines[0]["participant"]["identity"] == "eve"
    assert lines[1]["message"]["body"] == "for this ear"


async def test_a_conversation_that_is_joined_meanwhile_is_heard(town: Town) -> None:
    async with town.client("gus") as gus:
        conversation = await room(gus, "Garden")
        async with listening(**town.login("hal")) as ear:
            assert (await ear.until("ready"))[-1]["conversations"] == 0
            await conversation.add_participant("hal")
            joined = (await ear.until("conversation_joined"))[-1]
            await conversation.send("welcome")
            assert (await ear.until("message_added"))[-1]["message"]["body"] == "welcome"
            await conversation.remove_participant("hal")
            assert (await ear.until("conversation_removed"))[-1]["conversation"] == conversation.sid
            assert await ear.end() == 0
    assert joined["details"]["friendly_name"] == "Garden"


async def test_an_ear_nobody_reads_ends_without_noise(town: Town) -> None:
    async with town.client("ivy") as ivy:
        conversation = await room(ivy, "Well", "jon")
        async with listening("--types", "message_added", **town.login("jon")) as ear:
            assert ear.process.stdout is not None
            ear.process.stdout._transport.close()  # type: ignore[attr-defined]
            await asyncio.sleep(0.05)
            for number in range(200):
                if ear.process.returncode is not None:
                    break
                await conversation.send(f"hello? {number}")
            assert await ear.code() == 1
            assert await ear.complaint() == ""


async def test_the_token_comes_from_a_command_each_time(town: Town, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(town.token("kim"))
    command = f"cat {token}; echo asked >> {tmp_path}/asked"
    async with listening("--url", town.url, "--token-command", command) as ear:
        assert (await ear.until("ready"))[-1]["identity"] == "kim"
        assert await ear.end() == 0
    assert (tmp_path / "asked").read_text() == "asked\n"


async def test_a_local_data_folder_is_enough_to_be_anybody(town: Town) -> None:
    async with listening("--data", town.server.data, "--as", "lea") as ear:
        assert (await ear.until("ready"))[-1]["identity"] == "lea"
        assert await ear.end() == 0


def test_a_token_that_is_no_good_is_refused_in_a_sentence_without_it(town: Town) -> None:
    token = town.token("mia")[:-4] + "AAAA"
    done = run("listen", variables={"TERTULIA_URL": town.url, "TERTULIA_TOKEN": token})
    line = refusal(done)
    assert line.count("Invalid Access Token signature") == 1 and "refused the token from TERTULIA_TOKEN" in line
    assert token not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "which server?"),
        (("--url", "http://127.0.0.1:1"), "who connects?"),
        (("--url", "localhost:8080", "--token", "x"), "expected http"),
        (("--url", "http://[::1", "--token", "x"), "--url is no URL"),
        (("--url", "http://127.0.0.1:99999", "--token", "x"), "--url is no URL"),
        (("--token", "x", "--as", "bob", "--url", "http://127.0.0.1:1"), "--token and --as are two ways"),
        (("--data", "somewhere"), "--data somewhere needs --as IDENTITY"),
        (("--data", "nowhere-at-all", "--as", "bob"), "no data folder at nowhere-at-all"),
        (("--url", "http://127.0.0.1:1", "--token", "x", "--types", "mesage_added"), "did you mean message_added?"),
        (("--url", "http://127.0.0.1:1", "--token-command", "exit 3"), "ended with exit code 3"),
    ],
)
def test_what_is_missing_is_said(arguments: tuple[str, ...], sentence: str) -> None:
    assert sentence in refusal(run("listen", *arguments))


async def test_a_terminal_obeys_nothing_that_others_say(town: Town) -> None:
    words = "\x1b[2J \x9b31m \x7f \u202eover"
    async with town.client("oda") as oda:
        conversation = await room(oda, "Stage", "per")
        await conversation.send(words)
        async with listening(
            "--history", "1", "--types", "message_history", "--count", "1", **town.login("per")
        ) as ear:
            assert ear.process.stdout is not None
            line = (await ear.process.stdout.readline()).decode()
            assert await ear.code() == 0
    assert line.removesuffix("\n").isprintable()
    assert json.loads(line)["message"]["body"] == words


@pytest.mark.parametrize("command", [("listen",), ("send", "hall", "hello")])
async def test_the_words_of_a_server_that_refuses_are_shown_and_not_obeyed(command: tuple[str, ...]) -> None:
    server = Scripted()
    server.welcome = lambda init: frames.reply(init.header.id, Status(401, "NO", "\x1b[2J\x9b31m\u202enot you", 20101))
    await server.open()
    try:
        process = await asyncio.create_subprocess_exec(
            *(TERTULIA, *command),
            env=environment(TERTULIA_URL=server.url, TERTULIA_TOKEN="x"),
            stdin=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(WITHIN_S):
            _, complaint = await process.communicate()
    finally:
        await server.close()
    assert process.returncode == 1
    assert "␛[2J�31m�not you" in complaint.decode()
    assert all(line.isprintable() for line in complaint.decode().splitlines())


async def test_a_token_command_that_takes_too_long_is_ended_with_all_it_has_started(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(login_module, "TOKEN_COMMAND_S", 0.3)
    command = f"sh -c 'echo $$ > {tmp_path}/two; exec sleep 60' | cat"
    arguments = argparse.Namespace(
        token=None, token_command=command, identity=None, data=None, url="http://127.0.0.1:1"
    )
    with pytest.raises(CommandFailed, match=r"no token in 0\.3 s"):
        await login_module.login(arguments, {}).with_token()
    started = int((tmp_path / "two").read_text())
    async with asyncio.timeout(WITHIN_S):
        while is_running(started):  # noqa: ASYNC110 (what is waited for has no event)
            await asyncio.sleep(0.005)


def is_running(pid: int) -> bool:
    """Whether there is such a process, and it has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_a_conversation_that_is_not_there_ends_it(town: Town) -> None:
    async with listening("--conversation", "atlantis", **town.login("ned")) as ear:
        assert await ear.code() == 1
        assert "ned takes part in no conversation 'atlantis'" in await ear.complaint()


async def test_a_friendly_name_will_do(town: Town) -> None:
    async with town.client("ria") as ria:
        one = await room(ria, "Bell tower")
        await room(ria, "Other tower")
        async with listening("--conversation", "Bell tower", "--history", "1", **town.login("ria")) as ear:
            assert (await ear.until("ready"))[-1]["conversations"] == 1
            assert await ear.end() == 0
        await room(ria, "Bell tower")
        async with listening("--conversation", "Bell tower", **town.login("ria")) as ear:
            assert await ear.code() == 1
            assert one.sid in await ear.complaint()


@pytest.mark.parametrize(
    ("began_s_ago", "ttl_s", "sentence"),
    [
        (7200, 3600, "the token from TERTULIA_TOKEN has expired: `tertulia token IDENTITY` prints one"),
        (-3600, 3600, "the clock of the machine that signed it is ahead"),
        (0, 60, "the token lives for 60 s in all"),
    ],
)
def test_a_token_out_of_its_time_is_explained(town: Town, began_s_ago: int, ttl_s: int, sentence: str) -> None:
    known = town.server.credentials()
    token = tokens.mint(
        account_sid=known.account_sid,
        key_sid=known.api_key,
        secret=known.api_secret,
        identity="tia",
        service_sid=known.service_sid,
        now_s=time.time() - began_s_ago,
        ttl_s=ttl_s,
    )
    line = refusal(run("listen", variables={"TERTULIA_URL": town.url, "TERTULIA_TOKEN": token}))
    assert sentence in line and token not in line


def test_a_data_folder_of_another_server_is_found_out(town: Town, tmp_path: Path) -> None:
    with serving(tmp_path / "data") as other:
        line = refusal(run("listen", "--data", other.data, "--as", "ana", "--url", town.url))
    assert f"refused the token from --data {other.data} --as ana" in line and "is another server running there" in line


async def test_who_waits_for_a_server_is_told_so(town: Town) -> None:
    async with proxied(town.url) as proxy:
        proxy.refuse()
        async with listening("--count", "3", TERTULIA_URL=proxy.url, TERTULIA_TOKEN=town.token("uwe")) as ear:
            assert ear.process.stderr is not None
            async with asyncio.timeout(WITHIN_S):
                line = (await ear.process.stderr.readline()).decode()
            assert f"no server answers at {proxy.url}" in line
            proxy.admit()
            assert (await ear.until("ready"))[-1]["identity"] == "uwe"
