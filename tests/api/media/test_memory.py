"""A hundred and fifty megabytes go up and down, and the server does not grow by twenty."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.cli.command import serving

MB = 1 << 20
SIZE = 150 * MB
PIECE = hashlib.sha256(b"a piece").digest() * (MB // 32)

pytestmark = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's /proc")


def pieces(size: int) -> Iterator[bytes]:
    for at in range(0, size, MB):
        yield PIECE[: size - at]


def form(size: int) -> Iterator[bytes]:
    yield b'--x\r\nContent-Disposition: form-data; name="f"; filename="a"\r\nContent-Type: a/b\r\n\r\n'
    yield from pieces(size)
    yield b"\r\n--x--\r\n"


class Memory:
    """What a process has in memory, from a moment on."""

    def __init__(self, pid: int) -> None:
        self._process = Path(f"/proc/{pid}")
        self._process.joinpath("clear_refs").write_text("5")  # the peak begins anew
        self._before = self._read("VmRSS")

    def growth(self) -> float:
        """Its peak since then, in MB above what it was."""
        return (self._read("VmHWM") - self._before) / 1024

    def _read(self, name: str) -> int:
        lines = self._process.joinpath("status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["bytes", "form"])
def test_large_files_cost_no_memory(tmp_path: Path, kind: str) -> None:
    with serving(tmp_path / "data") as server:
        known = server.credentials()
        auth = httpx.BasicAuth(known.account_sid, known.auth_token)
        media = f"/v1/Services/{known.service_sid}/Media"
        with httpx.Client(base_url=server.base_url, auth=auth, trust_env=False, timeout=120) as http:

            def up_and_down(size: int) -> None:
                content = pieces(size) if kind == "bytes" else form(size)
                type = "application/zip" if kind == "bytes" else "multipart/form-data; boundary=x"
                made = http.post(media, content=content, headers={"Content-Type": type})
                assert made.status_code == 201, made.text
                assert made.json()["size"] == size
                wanted, got = hashlib.sha256(), hashlib.sha256()
                for piece in pieces(size):
                    wanted.update(piece)
                url = made.json()["links"]["content_direct_temporary"]
                with http.stream("GET", url, auth=None) as answer:
                    assert answer.headers["content-length"] == str(size)
                    for piece in answer.iter_raw():
                        got.update(piece)
                assert got.digest() == wanted.digest()

            up_and_down(3 * MB)  # what is loaded at first use is loaded
            memory = Memory(server.process.pid)
            up_and_down(SIZE)
            assert memory.growth() < 20
