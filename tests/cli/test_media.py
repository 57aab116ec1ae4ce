"""``tertulia media``: files are counted, and what nobody needs is removed, while the server runs."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import httpx

from tertulia.server.blobs.files import place_of
from tests.cli.command import WITHIN_S, Server, printed, refusal, run, serving

QUICK = {"TERTULIA_MEDIA_ORPHAN_S": "1"}


def upload(server: Server, content: bytes = b"hello") -> str:
    known = server.credentials()
    url = f"{server.base_url}/v1/Services/{known.service_sid}/Media"
    answer = httpx.post(url, content=content, auth=(known.account_sid, known.auth_token), trust_env=False)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["sid"])


def files(data: Path) -> list[Path]:
    return [path for path in (data / "blobs").rglob("*_ME*") if path.is_file()]


def test_files_are_counted_by_service(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with serving(data) as server:
        upload(server)
        upload(server, b"x" * 100)
        known = server.credentials()
        (row,) = json.loads(printed("media", "list", "--json", "--data", data))
        assert row == {
            "account_sid": known.account_sid,
            "service_sid": known.service_sid,
            "files": "2",
            "bytes": "105",
        }
        assert "105" in printed("media", "list", "--data", data)


def test_what_nobody_needs_is_removed_unless_it_is_a_dry_run(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with serving(data) as server:
        upload(server)
        (kept,) = files(data)
        # As if the process had died between the bytes and their record, two hours ago.
        stray = place_of(data / "blobs", f"{kept.name[:-34].replace('_', '/')}ME{'0' * 32}")
        stray.parent.mkdir(parents=True, exist_ok=True)
        stray.write_bytes(b"stray")
        os.utime(stray, (time.time() - 7200, time.time() - 7200))
        first = printed("media", "gc", "--dry-run", "--data", data, variables=QUICK)
        while "1 file (5 bytes) that nobody attached" not in first:
            first = printed("media", "gc", "--dry-run", "--data", data, variables=QUICK)
        assert "1 file (5 bytes) without a record would be removed" in first
        assert len(files(data)) == 2
        done = printed("media", "gc", "--data", data, variables=QUICK)
        assert "1 file (5 bytes) without a record removed" in done
        assert "would" not in done
        ends_at = time.monotonic() + WITHIN_S
        while files(data):
            assert time.monotonic() < ends_at
            time.sleep(0.02)
        assert "0 files" in printed("media", "gc", "--dry-run", "--data", data, variables=QUICK)


def test_without_a_data_folder_there_is_nothing_to_count(tmp_path: Path) -> None:
    for what in (["list"], ["gc"], ["gc", "--dry-run"]):
        assert "no data folder" in refusal(run("media", *what, "--data", tmp_path / "none"))
