"""`@twilio/conversations`, untouched, in Node: each story plays with either version and ends well."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from tools.owner_demands import demands_of_story

from tests.cli.command import Credentials, environment

STORIES = Path(__file__).parent / "stories"
PARTS = {"stage.mjs", "proxy.mjs"}
SDKS = {"3.0.1": "@twilio/conversations", "2.6.5": "conversations-2"}
TOLD_WITHIN_S = 120

pytestmark = pytest.mark.node


@pytest.mark.parametrize(
    "story",
    [
        pytest.param(path.stem, marks=[pytest.mark.owner_demand(number) for number in demands_of_story(path)])
        for path in sorted(STORIES.glob("*.mjs"))
        if path.name not in PARTS
    ],
)
@pytest.mark.parametrize("version", SDKS)
def test_the_sdk_can_tell_that(node: str, known: Credentials, version: str, story: str) -> None:
    variables = {"SDK": SDKS[version], "SERVER": json.dumps(known._asdict())}
    told = subprocess.run(
        [node, str(STORIES / f"{story}.mjs")],
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=TOLD_WITHIN_S,
    )
    assert told.returncode == 0, f"{told.stdout}\n{told.stderr}"


@pytest.mark.parametrize("version", SDKS)
def test_the_sdk_is_the_version_we_say(node: str, version: str) -> None:
    package = Path(__file__).parent / "node_modules" / SDKS[version] / "package.json"
    assert json.loads(package.read_text())["version"] == version


def test_the_lock_file_pins_hashes_and_names_no_place() -> None:
    lock = json.loads((Path(__file__).parent / "package-lock.json").read_text())
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    assert [name for name, entry in packages.items() if "resolved" in entry] == []
    assert [name for name, entry in packages.items() if not entry.get("integrity", "").startswith("sha512-")] == []
