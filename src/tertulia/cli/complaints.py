"""What is logged while a client runs in a terminal: errors, on standard error, and nothing of them is obeyed there."""

from __future__ import annotations

import logging

from tertulia.cli.plain import plain_lines


class _Plain(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        # Errors that are logged may have words of the server's in them.
        return "\n".join(plain_lines(super().format(record)))


def to_stderr() -> None:
    """From now on."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Plain("tertulia: %(message)s"))
    logging.basicConfig(level=logging.ERROR, handlers=[handler])
