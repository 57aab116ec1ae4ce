"""An S3-compatible service on loopback, in a process of its own: SeaweedFS. And a wire to it that can be cut."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tertulia.server.settings import BlobsSettings

PATIENCE_S = 30.0
ACCESS_KEY, SECRET_KEY = "our-access-key", "our-secret-key"
BUCKET = "media"
ALLOWED = ["Read", "Write", "List", "Tagging"]
"""No ``Admin``: for those a bucket that is missing is made when something is put."""


def program() -> str:
    """Where SeaweedFS is; skips the test, visibly, where it is missing."""
    beside = Path(sys.executable).parent / "weed"
    found = str(beside) if beside.exists() else shutil.which("weed")
    if found is None:
        pytest.skip("SeaweedFS is missing: `make test` installs it where its wheel exists")
    return found


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


class S3Service:
    """The service, with one empty bucket, for all tests of a run."""

    def __init__(self, folder: Path) -> None:
        self._program = program()
        self._folder = folder
        self._log = folder / "service.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.port = self._filer = 0
        self._ports: list[int] = []

    def start(self) -> None:
        self._ports = free_ports(10)
        self.port, self._filer, *others = self._ports
        keys = {"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}
        config = self._folder / "identities.json"
        config.write_text(json.dumps({"identities": [{"name": "us", "credentials": [keys], "actions": ALLOWED}]}))
        (self._folder / "data").mkdir()
        names = [f"{part}.port{kind}" for part in ("master", "volume", "admin") for kind in ("", ".grpc")]
        names += ["s3.port.grpc", "filer.port.grpc"]
        options = {
            "dir": self._folder / "data",
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            "bucket": BUCKET,
            "s3.config": config,
            "s3.port": self.port,
            "filer.port": self._filer,
            **dict(zip(names, others, strict=True)),
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
            "webdav": "false",
            "admin.ui": "false",
            # It tells nobody that it is there.
            "master.telemetry": "false",
        }
        command = [self._program, "mini", *(f"-{name}={value}" for name, value in options.items())]
        # Nothing of whoever runs the tests: no proxies, no keys.
        environment = {"PATH": os.environ["PATH"], "HOME": str(self._folder)}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until and self._process.poll() is None:
            if self._has_bucket():
                return
            time.sleep(0.02)
        self.stop()
        raise AssertionError(f"the service does not start: {self._log.read_text(errors='replace')}")

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            for port in self._ports:
                for left in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                    left.unlink()

    def uploads(self) -> set[str]:
        """The multipart uploads that were begun, and neither completed nor aborted."""
        found = self._look(f"/buckets/{BUCKET}/.uploads/?limit=1000")
        return {entry["FullPath"] for entry in found["Entries"] or ()} if found else set()

    def _has_bucket(self) -> bool:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=PATIENCE_S)
        except urllib.error.HTTPError:
            return self._look(f"/buckets/{BUCKET}/") is not None
        except OSError:
            return False
        return False

    def _look(self, path: str) -> dict[str, list[dict[str, str]]] | None:
        """What the service's own files are like, beside its S3."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._filer}{path}", headers={"Accept": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
                found: dict[str, list[dict[str, str]]] = json.load(answer)
                return found
        except OSError:
            return None


class Wire:
    """The way to the service: a port that passes on what comes, until it is cut."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._server: asyncio.Server | None = None
        self._ends: set[asyncio.StreamWriter] = set()
        self._passing: set[asyncio.Task[None]] = set()
        self.port = 0
        self.answers_cut_after: list[int] = []
        """So many bytes into its answers a connection ends; the first entry is for the first that gets that far."""
        self.connections = 0

    async def open(self) -> None:
        """Listens; on the same port as before."""
        self._server = await asyncio.start_server(self._pass_on, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """Whoever is on it is off, and nobody gets on."""
        if self._server is not None:
            self._server.close()
            for end in self._ends:
                end.transport.abort()
            await self._server.wait_closed()
            self._server = None
            if self._passing:
                await asyncio.wait(self._passing)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        passing = asyncio.current_task()
        assert passing is not None
        self._passing.add(passing)
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to)
        ends = {writer, far_writer}
        self._ends |= ends
        copying = {
            asyncio.create_task(self._copy(reader, far_writer)),
            asyncio.create_task(self._copy(far_reader, writer, is_answer=True)),
        }
        try:
            # The first that ends, ends both.
            await asyncio.wait(copying, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ends:
                end.transport.abort()
            self._ends -= ends
            await asyncio.wait(copying)
            self._passing.discard(passing)

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_answer: bool = False) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while data := await reader.read(64 << 10):
                writer.write(data)
                await writer.drain()
                passed += len(data)
                if is_answer and self.answers_cut_after and passed >= self.answers_cut_after[0]:
                    self.answers_cut_after.pop(0)
                    return


class S3Place:
    """A part of the bucket that is a test's own, and the wire to it."""

    def __init__(self, service: S3Service, prefix: str) -> None:
        self._service = service
        self._prefix = prefix
        self._uploads_before = service.uploads()
        self.wire = Wire(service.port)

    @property
    def settings(self) -> BlobsSettings:
        return BlobsSettings(
            driver="s3",
            endpoint=f"http://127.0.0.1:{self.wire.port}",
            bucket=BUCKET,
            prefix=self._prefix,
            access_key=ACCESS_KEY,
            secret_key=SECRET_KEY,
        )

    def unfinished(self) -> list[str]:
        return sorted(self._service.uploads() - self._uploads_before)

    async def come(self) -> None:
        await self.wire.open()

    async def leave(self) -> None:
        await self.wire.cut()

    async def close(self) -> None:
        await self.wire.cut()
