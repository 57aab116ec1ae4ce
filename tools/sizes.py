"""Fails when a source file has more lines than one subject should need (style: house rule 8)."""

from __future__ import annotations

import sys
from pathlib import Path

LIMIT = 500
SOURCE = Path(__file__).parents[1] / "src"


def main() -> int:
    lines = {path: len(path.read_bytes().splitlines()) for path in sorted(SOURCE.rglob("*.py"))}
    too_long = {path: count for path, count in lines.items() if count > LIMIT}
    for path, count in too_long.items():
        print(f"{path.relative_to(SOURCE.parent)}: {count} lines, at most {LIMIT}: split it by subject")
    if not too_long:
        counts = sorted(lines.values())
        print(
            f"{len(counts)} source files, {sum(counts)} lines, longest {counts[-1]}, median {counts[len(counts) // 2]}"
        )
    return 1 if too_long else 0


if __name__ == "__main__":
    sys.exit(main())
