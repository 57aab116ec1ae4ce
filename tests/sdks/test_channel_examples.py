"""The examples of channels, run as a newcomer runs them, twice: they leave nothing behind that is in their way."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.cli.command import WITHIN_S, Server, environment, evaluated, printed, serving

EXAMPLES = Path(__file__).parents[2] / "examples/channels"
LINES = 80

SAYS = {
    "masked_numbers": """\
the seller's phone: +12025550101: Is it still for sale?
the buyer's phone:  +12025550100: It is.
50416 by the bicycle: True
""",
    "four_channels": """\
Berta has ['Ana is here.', 'Clara is here.', 'Good. Your parcel comes tomorrow.']
Ana has ['Berta is here.', 'Clara is here.', 'Good. Your parcel comes tomorrow.']
Clara has ['Berta is here.', 'Ana is here.', 'Good. Your parcel comes tomorrow.']
Dora has dora Good. Your parcel comes tomorrow.
Dora has clara@home.example Clara is here.
Dora has +12025550111 Ana is here.
Dora has whatsapp:+12025550112 Berta is here.
The last one: sent all, delivered all, read some
""",
    "group_text": """\
+12025550111 has it from +12025550100 to 4
+12025550112 has it from +12025550100 to 4
+12025550113 has it from +12025550100 to 4
dora wrote: On Saturday at nine?
+12025550111 wrote: I shall be there.
delivered to all 3
""",
    "whatsapp_templates": """\
too late for words: failed 63016
a template:         delivered 0
Berta reads:        Your parcel comes on Friday. Is that fine?
now words are fine: delivered 0
""",
    "email_thread": """\
Clara has Your order / When may we bring it?
Clara has Re: Your order / Then on Friday.
0 dora / When may we bring it?
1 clara@home.example / On Friday. The door is green.
2 dora / Then on Friday.
""",
}
ENDLESS = {"support_desk_sms"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    variables = {"TERTULIA_CHANNELS_SIMULATOR": "true"}
    with serving(tmp_path_factory.mktemp("channels") / "data", variables=variables) as server:
        yield server


@pytest.fixture(scope="module")
def variables(server: Server) -> dict[str, str]:
    token = printed("token", "dora", "--data", server.data).strip()
    return environment(**evaluated(printed("env", "--data", server.data, "--url", server.base_url)), TOKEN=token)


def test_each_has_a_test_and_a_line_in_the_readme_and_is_short() -> None:
    found = {path.stem: path.read_text().count("\n") for path in EXAMPLES.glob("*.py")}
    assert found.keys() == SAYS.keys() | ENDLESS
    assert [name for name, lines in found.items() if lines > LINES] == []
    readme = (EXAMPLES / "README.md").read_text()
    assert [name for name in found if f"`{name}.py`" not in readme] == []


@pytest.mark.parametrize("example", SAYS)
def test_an_example_says_what_it_does(variables: dict[str, str], example: str) -> None:
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, EXAMPLES / f"{example}.py"],
            env=variables,
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
        )
        assert (done.returncode, done.stdout) == (0, SAYS[example]), done.stderr


def test_the_desk_gives_each_stranger_an_agent_and_an_answer(server: Server, variables: dict[str, str]) -> None:
    ours, people = "+12025550100", {"+12025550121": "dora", "+12025550122": "emil"}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    account = httpx.Client(
        base_url=server.base_url, auth=(variables["ACCOUNT_SID"], variables["AUTH_TOKEN"]), timeout=WITHIN_S
    )
    with (
        account,
        subprocess.Popen(
            [sys.executable, EXAMPLES / "support_desk_sms.py"],
            env={**variables, "DESK_PORT": str(port)},
            stdout=subprocess.PIPE,
            text=True,
        ) as desk,
    ):
        try:
            assert desk.stdout is not None
            assert desk.stdout.readline() == f"the desk is open at {ours}\n"
            for person, agent in people.items():
                phone = f"/simulator/Phones/{quote(person)}/Messages"
                account.post(phone, data={"To": ours, "Body": "I need help"}).raise_for_status()
                assert desk.stdout.readline() == f"{person} is looked after by {agent}\n"
                account.post(phone, data={"To": ours, "Body": "please"}).raise_for_status()
                answered = f"Thank you. {agent.title()} will be with you in a moment."
                assert texts(account, phone) == [answered]
                assert httpx.post(f"http://127.0.0.1:{port}/", data={"EventType": "x"}).status_code == 403
        finally:
            desk.kill()


def texts(account: httpx.Client, phone: str) -> list[Any]:
    """What others have written to the phone, once there is something."""
    ends = time.monotonic() + WITHIN_S
    while time.monotonic() < ends:
        shown = [one["text"] for one in account.get(phone).json()["messages"] if not one["is_mine"]]
        if shown:
            return shown
        time.sleep(0.05)
    return []
