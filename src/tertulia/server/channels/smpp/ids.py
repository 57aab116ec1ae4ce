"""Names that an SMSC gives to messages: it may spell them in decimal at one time, in hexadecimal at another."""

from __future__ import annotations

import re
from typing import Final

from .settings import ReceiptIds

_HEXADECIMAL: Final = re.compile(r"[0-9a-f]{1,32}")
_HAS_LETTERS: Final = re.compile(r"[a-f]")


class MessageIds:
    """Remembers how an SMSC spells. Names are compared without zeros before them, and in small letters."""

    def __init__(self, how: ReceiptIds) -> None:
        self._how = how
        self._gives_letters = False
        self._reports_letters = False

    def given(self, message_id: str) -> str:
        """The handle of a message that was taken."""
        name = _bare(message_id)
        if _is_hexadecimal(name):
            self._gives_letters = True
        return name

    def reported(self, message_id: str) -> tuple[str, str | None]:
        """The handle that a receipt names, and the other way to spell it if there may be one."""
        name = _bare(message_id)
        if self._how is ReceiptIds.SAME or not _HEXADECIMAL.fullmatch(name):
            return name, None
        if _HAS_LETTERS.search(name):
            self._reports_letters = True
            # Who gives letters himself means the same by them.
            return name, None if self._gives_letters else str(int(name, 16))
        if self._reports_letters:
            return name, None if self._gives_letters else str(int(name, 16))
        # It has digits alone: what has been given may be the same number with letters.
        return name, format(int(name), "x")


def _bare(message_id: str) -> str:
    name = message_id.strip().lower()
    return name.lstrip("0") or name[-1:]


def _is_hexadecimal(name: str) -> bool:
    return bool(_HEXADECIMAL.fullmatch(name) and _HAS_LETTERS.search(name))
