"""The official libraries on a server that limits them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from twilio.base.exceptions import TwilioRestException

from tests.cli.command import Credentials, environment, serving

from .official import library
from .test_node_sdk import SDKS, TOLD_WITHIN_S

REQUESTS_PER_S = 40
LIMITS = {
    "TERTULIA_LIMITS_CONVERSATION_ACTIONS_PER_S": "2",
    "TERTULIA_LIMITS_CONNECTION_REQUESTS_PER_S": str(REQUESTS_PER_S),
}


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Credentials]:
    with serving(tmp_path_factory.mktemp("limits") / "data", variables=LIMITS) as server:
        yield server.credentials()
        assert server.stop() == 0
        assert [line for line in server.log.splitlines() if " ERROR " in line or "Traceback" in line] == []


def test_the_python_library_raises_what_it_is_told(limited: Credentials) -> None:
    rooms = library(limited).conversations.v1.conversations
    room = rooms(rooms.create().sid)

    def hurry() -> None:
        for _ in range(100):
            room.messages.create(body="x")

    with pytest.raises(TwilioRestException) as refusal:
        hurry()
    assert (refusal.value.status, refusal.value.code) == (429, 50063)
    assert room.messages.list()


@pytest.mark.node
@pytest.mark.parametrize("version", SDKS)
def test_the_sdk_repeats_reads_and_fails_writes(node: str, limited: Credentials, version: str) -> None:
    story = Path(__file__).parent / "limits" / "reads_are_repeated_and_writes_are_not.mjs"
    variables = {
        "SDK": SDKS[version],
        "SERVER": json.dumps(limited._asdict()),
        "REQUESTS_PER_S": str(REQUESTS_PER_S),
    }
    told = subprocess.run(
        [node, str(story)], env=environment(**variables), capture_output=True, text=True, timeout=TOLD_WITHIN_S
    )
    assert told.returncode == 0, f"{told.stdout}\n{told.stderr}"
