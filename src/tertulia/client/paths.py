"""A path, and what is wrong with it, as texts that can be printed."""

from __future__ import annotations

import os
from pathlib import Path


def shown(path: Path) -> str:
    """The path as it was given. Where a name is no text, as that of a file may be, signs stand in."""
    return os.fsencode(path).decode("utf-8", "replace")


def why(error: Exception) -> str:
    """What the system says."""
    return (isinstance(error, OSError) and error.strerror) or type(error).__name__
