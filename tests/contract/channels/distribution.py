"""Adapters of others, found as they are in life: by the entry points of a distribution that is installed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tertulia.server.channels import registry


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str = "of-a-test", **adapters: str) -> None:
    """A distribution of this name, until the test ends; each adapter is ``module:object``, in the folder or not."""
    known = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    known.mkdir(parents=True)
    (known / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    points = "".join(f"{adapter} = {place}\n" for adapter, place in adapters.items())
    (known / "entry_points.txt").write_text(f"[{registry.GROUP}]\n{points}")
    monkeypatch.syspath_prepend(str(folder))
