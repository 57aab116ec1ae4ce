"""``tertulia channels``: gateways and senders, beside the running server and without one."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cli.command import TERTULIA, WITHIN_S, Server, environment, printed, refusal, run, serving

PASSWORD = "hunter2"
SMSC = ("--adapter", "smpp", "--set", "host=127.0.0.1", "--set", "port=1", "--set", "system_id=us")
ADAPTER = '''\
"""An adapter of somebody else's."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from tertulia.server.channels.base import Accepted, Adapter, Channel, Finding


class Settings(msgspec.Struct, frozen=True):
    key: Annotated[str, Meta(description="What proves us.", extra={"secret": True})]
    good: Annotated[bool, Meta(description="Whether all is well.")] = True


class Pigeon(Channel):
    def __init__(self, settings, surroundings):
        if settings.key == "bad":
            raise ValueError("the pigeon does not know us")
        self.settings = settings

    async def send(self, message):
        return Accepted()

    async def run(self, inbox):
        raise RuntimeError("a check holds no connection")

    async def check(self):
        return [Finding(is_good=self.settings.good, what="a pigeon was looked at", remedy="feed it")]


ADAPTER = Adapter(name="pigeon", kinds=frozenset(("sms",)), settings=Settings, open=Pigeon)
'''


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("channels") / "data") as server:
        yield server


@pytest.fixture(scope="module")
def offline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder that no server runs on."""
    data = tmp_path_factory.mktemp("offline") / "data"
    with serving(data) as server:
        server.stop()
    return data


@pytest.fixture(scope="module")
def pigeons(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment in which another package has brought an adapter."""
    folder = tmp_path_factory.mktemp("pigeons")
    (folder / "pigeon.py").write_text(ADAPTER)
    known = folder / "pigeons-1.0.dist-info"
    known.mkdir()
    (known / "METADATA").write_text("Metadata-Version: 2.1\nName: pigeons\nVersion: 1.0\n")
    (known / "entry_points.txt").write_text("[tertulia.channels]\npigeon = pigeon:ADAPTER\n")
    return {"PYTHONPATH": str(folder)}


def typed(
    *arguments: str | Path, stdin: str, variables: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """A command that reads what is typed."""
    return subprocess.run(
        [TERTULIA, *map(str, arguments)],
        env=environment(**(variables or {})),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
    )


def listed(data: Path, *arguments: str, variables: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = json.loads(
        printed("channels", "list", *arguments, "--json", "--data", data, variables=variables)
    )
    return made


def becomes(is_so: Callable[[], bool]) -> None:
    ends_at = time.monotonic() + WITHIN_S
    while not is_so():
        assert time.monotonic() < ends_at, "it never came to be"
        time.sleep(0.1)


def test_a_gateway_goes_its_way_from_adding_to_removing(server: Server) -> None:
    data = ("--data", server.data)
    made = typed("channels", "add", "smsc", *SMSC, "--secret", "password", "--json", *data, stdin=f"{PASSWORD}\n")
    assert made.returncode == 0, made.stderr
    facts = json.loads(made.stdout)
    assert (facts["name"], facts["adapter"], facts["callback_url"]) == ("smsc", "smpp", None)
    printed("channels", "add", "lab", "--adapter", "simulator", *data)
    sender = printed(
        "channels", "sender", "add", "+15550001000", "--gateway", "smsc", "--pool", "a", "--per-minute", "60", *data
    )
    assert "+15550001000" in sender and "60" in sender
    one, lab = listed(server.data)
    assert one["senders"] == [{"address": "+15550001000", "type": "sms", "pool": "a", "per_minute": 60}]
    assert (one["settings"]["password"], one["settings"]["port"], lab["name"]) == ("***", 1, "lab")
    assert "serves 1 sender" in refusal(run("channels", "remove", "smsc", *data))
    printed("channels", "sender", "set", "+15550001000", "--gateway", "lab", "--pool", "", "--per-minute", "0", *data)
    one, lab = listed(server.data)
    assert one["senders"] == []
    assert lab["senders"] == [{"address": "+15550001000", "type": "sms", "pool": None, "per_minute": None}]
    printed("channels", "set", "smsc", "--name", "operator", "--set", "tls=true", "--unset", "port", *data)
    (one,) = listed(server.data, "operator")
    assert (one["settings"]["tls"], one["settings"]["port"], one["settings"]["password"]) == (True, 2775, "***")
    printed("channels", "remove", "operator", *data)
    printed("channels", "sender", "remove", "+15550001000", *data)
    printed("channels", "remove", "lab", *data)
    assert listed(server.data) == []


def test_a_running_server_takes_over_what_was_changed_here(server: Server) -> None:
    known = server.credentials()
    printed("channels", "add", "mine", "--adapter", "simulator", "--data", server.data)
    printed("channels", "sender", "add", "+15550009000", "--gateway", "mine", "--data", server.data)
    with httpx.Client(
        base_url=server.base_url, auth=(known.account_sid, known.auth_token), trust_env=False, timeout=WITHIN_S
    ) as rest:
        assert rest.get("/channels/Senders/+15550009000").json()["type"] == "sms"
        becomes(lambda: '"1 phones' not in rest.post("/channels/Gateways/mine/Check").text)
        printed("channels", "sender", "remove", "+15550009000", "--data", server.data)
        printed("channels", "remove", "mine", "--data", server.data)
        assert rest.get("/channels/Gateways/mine").status_code == 404


def test_a_secret_is_printed_nowhere(offline: Path, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(PASSWORD)
    ways: list[tuple[tuple[str, ...], str, dict[str, str]]] = [
        (("--secret", "password"), f"{PASSWORD}\n", {}),
        (("--set-file", f"password={file}"), "", {}),
        (("--secret-env", "password=SMSC_PASSWORD"), "", {"SMSC_PASSWORD": PASSWORD}),
        (("--set", f"password={PASSWORD}"), "", {}),
    ]
    for number, (way, stdin, variables) in enumerate(ways):
        name = f"secret{number}"
        done = typed("channels", "add", name, *SMSC, *way, "--data", offline, stdin=stdin, variables=variables)
        assert done.returncode == 0, done.stderr
        assert ("--secret password asks for it" in done.stderr) == (way[0] == "--set")
        assert PASSWORD not in done.stdout + done.stderr
    told = [
        run("channels", *deed, "--data", offline)
        for deed in (
            ("list",),
            ("list", "secret0"),
            ("list", "--json"),
            ("set", "secret0", "--set", "port=2"),
            ("check",),
        )
    ]
    assert [done.returncode for done in told] == [0, 0, 0, 0, 1]
    assert [done for done in told if PASSWORD in done.stdout + done.stderr] == []
    assert PASSWORD.encode() not in (offline / "tertulia.db").read_bytes()
    for number in range(len(ways)):
        printed("channels", "remove", f"secret{number}", "--data", offline)


def test_a_secret_that_is_typed_is_not_seen(offline: Path) -> None:
    ours, theirs = os.openpty()
    with subprocess.Popen(
        [TERTULIA, "channels", "add", "typed", *SMSC, "--secret", "password", "--data", str(offline)],
        env=environment(),
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        assert process.stderr is not None
        asked = b""
        while not asked.endswith(b"password: "):
            letter = process.stderr.read(1)
            assert letter, asked
            asked += letter
        os.write(ours, f"{PASSWORD}\n".encode())
        said, complained = process.communicate(timeout=WITHIN_S)
    os.close(theirs)
    os.set_blocking(ours, False)
    try:
        seen = os.read(ours, 4096)
    except OSError:  # nobody has written anything, and nobody is there any more
        seen = b""
    os.close(ours)
    assert process.returncode == 0 and b"GW" in said
    assert PASSWORD.encode() not in seen + said + complained
    (one,) = listed(offline, "typed")
    assert one["settings"]["password"] == "***"
    printed("channels", "remove", "typed", "--data", offline)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("add", "x", "--adapter", "nothing"), "no adapter 'nothing'"),
        (("add", "x", "--adapter", "smpp"), "host is missing"),
        (("add", "x", "--adapter", "simulator", "--set", "los=1"), "did you mean loss"),
        (("add", "x", "--adapter", "simulator", "--set", "loss=2"), "loss: "),
        (("add", "x", "--adapter", "simulator", "--set", "loss=1", "--set", "loss=0"), "loss is given twice"),
        (("add", "x", "--adapter", "smpp", "--set-file", "password=/nowhere"), "No such file"),
        (("add", "x", "--adapter", "smpp", "--secret-env", "password=NOT_SET"), "no variable NOT_SET"),
        (("add", "x", "--adapter", "smpp", "--secret", "password"), "no line of the standard input"),
        (("add", "a b", "--adapter", "simulator"), "Name"),
        (("set", "nobody", "--name", "x"), "no gateway nobody"),
        (("remove", "nobody"), "no gateway nobody"),
        (("check", "nobody"), "no gateway nobody"),
        (("list", "nobody"), "no gateway nobody"),
        (("list", "--account", "AC" + "0" * 32), "no account AC"),
        (("sender", "add", "+15550001000", "--gateway", "nobody"), "no gateway nobody"),
        (("sender", "set", "+15550001000", "--pool", "x"), "no sender +15550001000"),
        (("sender", "remove", "+15550001000"), "no sender +15550001000"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_is_said_in_one_line(offline: Path, arguments: tuple[str, ...], said: str) -> None:
    done = typed("channels", *arguments, "--data", offline, stdin="")
    assert said in refusal(done)


def test_adapters_are_printed_with_all_that_they_are_told() -> None:
    names = [row["name"] for row in json.loads(printed("channels", "adapters", "--json"))]
    assert {"simulator", "smpp"} <= set(names)
    assert "smpp" in printed("channels", "adapters")
    settings = {one["name"]: one for one in json.loads(printed("channels", "adapters", "smpp", "--json"))}
    assert settings["host"]["is_required"] and not settings["port"]["is_required"]
    assert settings["password"]["is_secret"] and settings["port"]["default"] == 2775
    text = printed("channels", "adapters", "smpp")
    assert "password (secret;" in text and "host (required" in text and "transceiver, separate, transmitter" in text
    assert "did you mean smpp" in refusal(run("channels", "adapters", "smp"))


def test_a_check_opens_the_channel_here_and_says_what_to_do(offline: Path, pigeons: dict[str, str]) -> None:
    known = ("--data", offline)
    for name, *told in (("well", "key=x"), ("ill", "key=x", "good=false")):
        given = [word for one in told for word in ("--set", one)]
        printed("channels", "add", name, "--adapter", "pigeon", *given, *known, variables=pigeons)

    def check(*arguments: str, **variables: str) -> tuple[int, list[dict[str, Any]]]:
        done = run("channels", "check", *arguments, "--json", *known, variables={**pigeons, **variables})
        return done.returncode, json.loads(done.stdout)

    # Who cannot reach us has nobody to bring a message.
    code, (pigeon, reachable) = check("well")
    assert code == 1 and pigeon == {
        "gateway": "well",
        "is_good": True,
        "what": "a pigeon was looked at",
        "remedy": "feed it",
    }
    assert not reachable["is_good"] and "server.public_url" in reachable["remedy"]
    for url, expected in (("http://chat.test", 1), ("https://chat.test", 0)):
        code, (_, reachable) = check("well", TERTULIA_SERVER_PUBLIC_URL=url)
        assert (code, reachable["is_good"]) == (expected, expected == 0)
        assert f"{url}/callbacks/GW" in reachable["what"]
    code, found = check(TERTULIA_SERVER_PUBLIC_URL="https://chat.test")
    assert code == 1 and [(one["gateway"], one["is_good"]) for one in found if "pigeon" in one["what"]] == [
        ("well", True),
        ("ill", False),
    ]
    # Without its package nobody can open it.
    done = run("channels", "check", "ill", *known)
    assert done.returncode == 1 and "no adapter 'pigeon'" in done.stdout and "problem" in done.stdout
    for name in ("well", "ill"):
        printed("channels", "remove", name, *known)


def test_the_doctor_names_each_gateway_that_cannot_be_opened(offline: Path, pigeons: dict[str, str]) -> None:
    for name, key in (("good", "x"), ("strange", "bad")):
        add = ("channels", "add", name, "--adapter", "pigeon", "--set", f"key={key}", "--data", offline)
        printed(*add, variables=pigeons)
    with_pigeons = run("doctor", "--data", offline, variables=pigeons)
    lines = [line for line in with_pigeons.stdout.splitlines() if " channels " in line]
    assert with_pigeons.returncode == 1
    assert [line.split()[0] for line in lines] == ["problem", "ok"]
    assert "strange (GW" in lines[0] and "the pigeon does not know us" in lines[0] and "1 gateway " in lines[1]
    without = run("doctor", "--data", offline)
    assert without.stdout.count("no adapter 'pigeon'") == 2
    for name in ("good", "strange"):
        printed("channels", "remove", name, "--data", offline)


def test_the_callback_url_is_printed_for_those_whose_provider_calls(offline: Path, pigeons: dict[str, str]) -> None:
    variables = {**pigeons, "TERTULIA_SERVER_PUBLIC_URL": "https://chat.test"}
    add = ("channels", "add", "called", "--adapter", "pigeon", "--secret-env", "key=KEY", "--data", offline)
    done = run(*add, variables={**variables, "KEY": "x"})
    assert "callback_url  https://chat.test/callbacks/GW" in done.stdout
    assert "tell its provider to call https://chat.test/callbacks/GW" in done.stderr
    printed("channels", "remove", "called", "--data", offline)


def test_accounts_have_their_own(offline: Path) -> None:
    account = json.loads(printed("accounts", "create", "another", "--json", "--data", offline))["account_sid"]
    whose = ("--account", account, "--data", offline)
    printed("channels", "add", "its", "--adapter", "simulator", *whose)
    assert [one["account_sid"] for one in json.loads(printed("channels", "list", "--json", *whose))] == [account]
    assert "no gateway its" in refusal(run("channels", "remove", "its", "--data", offline))
    printed("channels", "remove", "its", *whose)


def test_nothing_is_made_where_nothing_is(tmp_path: Path) -> None:
    for deed in (("list",), ("add", "x", "--adapter", "simulator"), ("check",)):
        assert "no data folder" in refusal(run("channels", *deed, "--data", tmp_path / "data"))
    assert list(tmp_path.iterdir()) == []
