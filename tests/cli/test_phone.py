"""``tertulia phone``: somebody on a simulated phone, beside the running server."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cli.command import TERTULIA, WITHIN_S, Server, environment, refusal, run, serving

OURS = "+15017122661"
OURS_TOO = "+15017122662"
ON = {"TERTULIA_CHANNELS_SIMULATOR": "true"}


class Phoned:
    """A server whose account has no sender: all addresses are its own, and all phones simulated."""

    def __init__(self, server: Server) -> None:
        self.server = server
        known = server.credentials()
        self.rest = httpx.Client(
            base_url=server.base_url,
            auth=(known.account_sid, known.auth_token),
            timeout=WITHIN_S,
            trust_env=False,
        )
        self._people = 0

    def number(self) -> str:
        """Of a phone that nobody has had before."""
        self._people += 1
        return f"+1202555{self._people:04}"

    def room(self, *pairs: tuple[str, str]) -> str:
        """A conversation with these people, each by a number of ours."""
        room = self.post("/v1/Conversations", {})["sid"]
        for person, ours in pairs:
            form = {"MessagingBinding.Address": person, "MessagingBinding.ProxyAddress": ours}
            self.post(f"/v1/Conversations/{room}/Participants", form)
        return str(room)

    def post(self, path: str, form: dict[str, Any]) -> dict[str, Any]:
        answer = self.rest.post(path, data=form)
        assert answer.is_success, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def say(self, room: str, body: str) -> None:
        self.post(f"/v1/Conversations/{room}/Messages", {"Body": body})

    def messages(self, room: str, count: int) -> list[dict[str, Any]]:
        """The messages of a conversation, once there are so many."""
        ends_at = time.monotonic() + WITHIN_S
        while True:
            listed: list[dict[str, Any]] = self.rest.get(f"/v1/Conversations/{room}/Messages").json()["messages"]
            if len(listed) >= count:
                return listed
            assert time.monotonic() < ends_at, listed
            time.sleep(0.02)

    def phone(self, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
        """The command, with this as its input, to its end."""
        return subprocess.run(
            [TERTULIA, "phone", *arguments, "--data", str(self.server.data)],
            env=environment(),
            input=typed,
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
        )


@pytest.fixture(scope="module")
def phoned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Phoned]:
    """For all tests: each has phones of its own."""
    with serving(tmp_path_factory.mktemp("phone") / "data", variables=ON) as server:
        made = Phoned(server)
        with made.rest:
            yield made


def test_what_is_typed_is_sent_and_what_arrives_is_shown(phoned: Phoned) -> None:
    ana, ben = phoned.number(), phoned.number()
    room = phoned.room((ana, OURS), (ben, OURS))
    done = phoned.phone(ana, "--to", OURS, typed="hello\n\n//slash\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert [(one["author"], one["body"]) for one in phoned.messages(room, 2)] == [(ana, "hello"), (ana, "/slash")]
    done = phoned.phone(ben, "--count", "2")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{OURS}: hello\n{OURS}: /slash\n", "")


def test_what_comes_is_shown_while_it_runs_and_an_interrupt_ends_it(phoned: Phoned) -> None:
    ana = phoned.number()
    room = phoned.room((ana, OURS))
    process = subprocess.Popen(
        [TERTULIA, "phone", ana, "--to", OURS, "--data", str(phoned.server.data)],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdin is not None and process.stdout is not None
        for round in ("one", "two"):
            process.stdin.write(f"{round}\n")
            process.stdin.flush()
            assert phoned.messages(room, 1 if round == "one" else 3)[-1]["body"] == round
            phoned.say(room, f"{round} indeed")
            assert process.stdout.readline() == f"{OURS}: {round} indeed\n"
        process.send_signal(signal.SIGINT)
        said, complained = process.communicate(timeout=WITHIN_S)
        assert (process.returncode, said, complained) == (130, "", "")
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def test_without_a_number_the_last_message_is_answered(phoned: Phoned) -> None:
    ana = phoned.number()
    room = phoned.room((ana, OURS))
    phoned.say(room, "are you there?")
    assert phoned.phone(ana, "--count", "1").stdout == f"{OURS}: are you there?\n"
    assert phoned.phone(ana, typed="yes, I am\n").returncode == 0
    assert phoned.messages(room, 2)[1]["body"] == "yes, I am"


def test_to_nobody_nothing_is_sent(phoned: Phoned) -> None:
    done = phoned.phone(phoned.number(), typed="hello\n/photo\n/nothing\n")
    assert (done.returncode, done.stdout) == (1, "")
    assert [line.partition(":")[0] for line in done.stderr.splitlines()] == ["tertulia"] * 3
    assert "give --to" in done.stderr and "/nothing" in done.stderr


def test_json_is_what_the_server_says(phoned: Phoned) -> None:
    ana = phoned.number()
    phoned.say(phoned.room((ana, OURS)), "line\nand \x1b[2Jline")
    done = phoned.phone(ana, "--count", "1", "--json")
    (line,) = done.stdout.splitlines()
    path = f"/simulator/Phones/{ana.replace('+', '%2B')}/Messages"
    assert json.loads(line) == phoned.rest.get(path).json()["messages"][0]
    # For people it is text, whatever it holds.
    shown = phoned.phone(ana, "--count", "1").stdout.splitlines()
    assert shown[0] == f"{OURS}: line" and "\x1b" not in shown[1]


def test_what_was_read_is_not_shown_again(phoned: Phoned) -> None:
    ana = phoned.number()
    phoned.say(phoned.room((ana, OURS)), "once")
    assert phoned.phone(ana, "--count", "1").stdout == f"{OURS}: once\n"
    assert phoned.phone(ana, typed="/read\n").stdout == f"{OURS}: once\n"
    assert phoned.phone(ana).stdout == ""


def test_a_photo_gets_to_the_conversation(phoned: Phoned, tmp_path: Path) -> None:
    ana = phoned.number()
    room = phoned.room((ana, OURS))
    photo = tmp_path / "cat.png"
    photo.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(2000))
    done = phoned.phone(ana, "--to", OURS, typed=f"/photo {photo} look at her\n/photo {tmp_path / 'none.png'}\n")
    assert (done.returncode, "none.png" in done.stderr) == (1, True)
    (message,) = phoned.messages(room, 1)
    (media,) = message["media"]
    assert (message["body"], media["filename"], media["content_type"], media["size"]) == (
        "look at her",
        "cat.png",
        "image/png",
        2008,
    )


def test_a_group_is_written_to_and_shown_with_all_of_it(phoned: Phoned) -> None:
    ana, ben = phoned.number(), phoned.number()
    room = phoned.post("/v1/Conversations", {})["sid"]
    for form in (
        {"MessagingBinding.Address": ana},
        {"MessagingBinding.Address": ben},
        {"Identity": "cleo", "MessagingBinding.ProjectedAddress": OURS_TOO},
    ):
        phoned.post(f"/v1/Conversations/{room}/Participants", form)
    assert phoned.phone(ana, "--to", OURS_TOO, typed=f"/group {ben}\nto all of you\n").returncode == 0
    assert [one["body"] for one in phoned.messages(room, 1)] == ["to all of you"]
    assert phoned.phone(ben, "--count", "1").stdout == f"{ana} (to {OURS_TOO}, {ben}): to all of you\n"
    # An answer goes to all that had it.
    assert phoned.phone(ben, typed="so do I\n").returncode == 0
    assert phoned.messages(room, 2)[1]["author"] == ben
    assert phoned.phone(ana, "--count", "1").stdout == f"{ben} (to {OURS_TOO}, {ana}): so do I\n"


def test_whom_one_writes_to_and_as_whom_can_be_typed(phoned: Phoned) -> None:
    ana, ours = f"whatsapp:{phoned.number()}", f"whatsapp:{OURS_TOO}"
    form = {"Type": "whatsapp", "Address": ours, "AutoCreation.Enabled": "true"}
    phoned.post("/v1/Configuration/Addresses", form)
    done = phoned.phone(ana, typed=f"/name Ana B.\n/to {ours}\nhello\n/help\n")
    assert (done.returncode, done.stdout) == (0, "")
    assert "/photo" in done.stderr
    rooms: list[dict[str, Any]] = []
    ends_at = time.monotonic() + WITHIN_S
    while not rooms:
        assert time.monotonic() < ends_at
        listed = phoned.rest.get("/v1/ParticipantConversations", params={"Address": ana})
        rooms = listed.json()["conversations"]
    room = rooms[0]["conversation_sid"]
    (participant,) = phoned.rest.get(f"/v1/Conversations/{room}/Participants").json()["participants"]
    assert json.loads(participant["attributes"]) == {"name": "Ana B."}
    mailbox = "ana@hers.test"
    assert phoned.phone(mailbox, "--to", "team@ours.test", typed="/subject a question\nhow?\n").returncode == 0
    (mail,) = phoned.rest.get(f"/simulator/Phones/{mailbox}/Messages").json()["messages"]
    assert (mail["subject"], mail["text"], mail["to"]) == ("a question", "how?", ["team@ours.test"])


def test_where_there_are_no_phones_it_says_so(phoned: Phoned, tmp_path: Path) -> None:
    assert "no data folder" in refusal(run("phone", "+12025550000", "--data", tmp_path / "none"))
    assert "no simulator" in refusal(phoned.phone(phoned.number(), "--gateway", "GW" + "0" * 32))
    assert "malformed" in refusal(phoned.phone("12"))
    with serving(tmp_path / "off") as server:
        assert "channels.simulator" in refusal(run("phone", "+12025550000", "--data", server.data))
    assert "cannot reach" in refusal(run("phone", "+12025550000", "--data", tmp_path / "off", "--url", server.base_url))
