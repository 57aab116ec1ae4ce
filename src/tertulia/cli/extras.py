"""What to call when a package is missing: right for the installation that runs, be it a checkout or not."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path

import tertulia


def remedy(extra: str | None) -> str:
    """The call of pip that brings an extra, or what the client needs. It names no index: Tertulia itself is there."""
    what = f"[{extra}]" if extra else ""
    checkout = _checkout()
    if checkout is None:
        return f"{_pip()} install 'tertulia{what}'"
    # Without --editable pip would put a copy of the checkout in its place.
    place = "." if checkout == Path.cwd() else str(checkout)
    return f"{_pip()} install --editable {_quoted(f'{place}{what}')}"


def _checkout() -> Path | None:
    """The folder of the sources, if they are what runs."""
    package = Path(tertulia.__file__).resolve().parent
    root = package.parent.parent
    is_checkout = package.parent.name == "src" and (root / "pyproject.toml").is_file()
    return root if is_checkout else None


def _pip() -> str:
    """That of the Python that runs, as short as it can be called from here."""
    python = Path(sys.executable)
    beside = python.with_name("pip")
    found = shutil.which("pip")
    if found is not None and Path(found).parent == python.parent:
        return "pip"
    called = beside if beside.exists() else python
    with_module = "" if beside.exists() else " -m pip"
    near = os.path.relpath(called)
    return shlex.quote(str(called) if near.startswith("..") else near) + with_module


def _quoted(text: str) -> str:
    """For a shell; always in quotes, because brackets mean something to some."""
    return shlex.quote(text) if "'" in text else f"'{text}'"
