"""A server that is killed in the middle of an upload leaves nothing of it."""

from __future__ import annotations

import base64
import signal
import socket
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.cli.command import WITHIN_S, printed, serving

pytestmark = pytest.mark.faults


def bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_a_killed_server_leaves_nothing_of_an_upload(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with serving(data) as server:
        known, url = server.credentials(), urlsplit(server.base_url)
        secret = base64.b64encode(f"{known.account_sid}:{known.auth_token}".encode()).decode()
        with socket.create_connection((url.hostname or "", url.port or 0)) as line:
            line.sendall(
                f"POST /v1/Services/{known.service_sid}/Media HTTP/1.1\r\nHost: here\r\n"
                f"Authorization: Basic {secret}\r\nContent-Length: 10000000\r\n\r\n".encode()
            )
            line.sendall(b"x" * 5_000_000)
            ends_at = time.monotonic() + WITHIN_S
            while bytes_in(data / "blobs") < 1_000_000:
                assert time.monotonic() < ends_at
                time.sleep(0.01)
            server.stop(signal.SIGKILL)
    with serving(data):
        assert bytes_in(data / "blobs") == 0
        assert printed("media", "gc", "--dry-run", "--data", data).count("0 files (0 bytes)") == 2
