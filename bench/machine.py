"""The facts of this machine that the numbers depend on, as Markdown for docs/performance.md."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import tempfile
import time
from pathlib import Path


def facts() -> dict[str, str]:
    """What the numbers depend on, by name."""
    import apsw

    packages = ("apsw", "httptools", "msgspec", "uvicorn", "uvloop", "websockets")
    return {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "memory": _memory(),
        "system": f"{platform.system()} {platform.release()}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "packages": ", ".join(f"{name} {_version(name)}" for name in packages),
        "SQLite": apsw.sqlite_lib_version(),
        "data folder": f"{tempfile.gettempdir()} on {_file_system(tempfile.gettempdir())}",
        "one fsync": f"{_fsync_us():.0f} µs (median)",
    }


def table() -> str:
    """The same as a Markdown table."""
    rows = [f"| {name} | {value} |" for name, value in facts().items()]
    return "\n".join(["| | |", "| --- | --- |", *rows])


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.processor() or platform.machine()


def _memory() -> str:
    return f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / (1 << 30):.1f} GiB"


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "absent"


def _file_system(folder: str) -> str:
    found = subprocess.run(
        ["stat", "--file-system", "--format=%T", folder], capture_output=True, text=True, check=False, timeout=5
    )
    return found.stdout.strip() or "an unknown file system"


def _fsync_us() -> float:
    times = []
    with tempfile.TemporaryFile() as file:
        for _ in range(50):
            file.write(b"x" * 4096)
            file.flush()
            before = time.perf_counter()
            os.fsync(file.fileno())
            times.append(time.perf_counter() - before)
    return sorted(times)[len(times) // 2] * 1e6
