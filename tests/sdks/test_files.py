"""Files through the official SDK, where a server of the test's own is needed: URLs that end, uploads cut, size."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.api.media.test_memory import SIZE, Memory
from tests.cli.command import WITHIN_S, Credentials, Server, environment, printed, serving

from .test_node_sdk import SDKS, TOLD_WITHIN_S

STORIES = Path(__file__).parent / "files"

pytestmark = pytest.mark.node


def tells(node: str, story: str, version: str, server: Server, **variables: str) -> None:
    """The story plays with this server, and ends well."""
    told = subprocess.run(
        [node, str(STORIES / f"{story}.mjs")],
        env=environment(SDK=SDKS[version], SERVER=json.dumps(server.credentials()._asdict()), **variables),
        capture_output=True,
        text=True,
        timeout=TOLD_WITHIN_S,
    )
    assert told.returncode == 0, f"{told.stdout}\n{told.stderr}"


def ends_well(server: Server) -> None:
    assert server.stop() == 0
    assert [line for line in server.log.splitlines() if " ERROR " in line or "Traceback" in line] == []


@pytest.mark.parametrize("version", SDKS)
def test_an_expired_and_a_foreign_url_are_refused(node: str, known: Credentials, version: str, tmp_path: Path) -> None:
    with serving(tmp_path / "data", variables={"TERTULIA_MEDIA_TEMPORARY_URL_S": "2"}) as server:
        tells(node, "a_temporary_url_ends", version, server, OTHER=json.dumps(known._asdict()))
        ends_well(server)


@pytest.mark.parametrize("version", SDKS)
def test_an_upload_that_is_cut_leaves_nothing(node: str, version: str, tmp_path: Path) -> None:
    orphan = {"TERTULIA_MEDIA_ORPHAN_S": "1"}
    with serving(tmp_path / "data", variables=orphan) as server:
        tells(node, "an_upload_is_cut", version, server)
        # The files that came whole wait for their message; of what was cut nothing stays.
        eventually(lambda: sizes(server) == [1000, 1000])
        assert recorded(server) == 2

        def collected() -> bool:
            printed("media", "gc", "--data", server.data, variables=orphan)
            return recorded(server) == 0 and sizes(server) == []

        eventually(collected)
        ends_well(server)


def sizes(server: Server) -> list[int]:
    """Of all files in the folder of blobs, finished or not."""
    return [path.stat().st_size for path in (server.data / "blobs").rglob("*") if path.is_file()]


def recorded(server: Server) -> int:
    """How many files the database knows."""
    services = json.loads(printed("media", "list", "--json", "--data", server.data))
    return sum(int(service["files"]) for service in services)


def eventually(holds: Callable[[], bool]) -> None:
    """Returns once it does."""
    ends_at = time.monotonic() + WITHIN_S
    while not holds():
        assert time.monotonic() < ends_at, "never came true"
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's /proc")
def test_the_largest_file_comes_whole_and_costs_no_memory(node: str, tmp_path: Path) -> None:
    with serving(tmp_path / "data") as server:
        playing = subprocess.Popen(
            [node, str(STORIES / "a_big_file_comes_whole.mjs")],
            env=environment(SDK=SDKS["3.0.1"], SERVER=json.dumps(server.credentials()._asdict()), SIZE=str(SIZE)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        with playing:
            try:
                assert playing.stdout is not None
                assert playing.stdout.readline() == "warm\n"
                memory = Memory(server.process.pid)
                said, _ = playing.communicate("begin\n", timeout=TOLD_WITHIN_S)
            finally:
                playing.kill()
        assert playing.returncode == 0, said
        assert memory.growth() < 20
        ends_well(server)
