"""Files that the user names: whether they can be sent, said before anything is."""

from __future__ import annotations

from pathlib import Path

from tertulia.cli.plain import plain


def unreadable(path: Path) -> str | None:
    """The path and why it cannot be read; None of a file that can."""
    shown = plain(str(path))
    try:
        if path.is_dir():
            return f"{shown}: is a folder; one file at a time can be sent"
        if not path.exists():
            return f"{shown}: no such file"
        if not path.is_file():
            return f"{shown}: is no file"
        path.open("rb").close()
    except OSError as error:
        return f"{shown}: cannot be read ({error.strerror})"
    return None
