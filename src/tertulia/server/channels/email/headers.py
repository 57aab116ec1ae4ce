"""Lines of a mail's head. Whatever stands in a text, it stays within its line (RFC 5322, 2047, 2231). Pure."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import quote

LINE: Final = 76
LONGEST: Final = 998

_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_PLAIN: Final = re.compile(r"[ -~]*")
_ATOMS: Final = re.compile(r"[A-Za-z0-9 !#$%&'*+/=?^_`{|}~-]+")
_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$&^_.+-]+")
_ENCODED_BYTES: Final = 42
"""Of UTF-8, that one encoded word holds beside its frame."""


def clean(text: str) -> str:
    """The text on one line."""
    return " ".join(_UNPRINTABLE.sub(" ", text).split())


def unstructured(name: str, text: str) -> str:
    """A header that holds words, as a subject."""
    text = clean(text)
    if _PLAIN.fullmatch(text) and "=?" not in text and all(len(word) < LINE - 2 for word in text.split(" ")):
        return folded(name, text.split(" "))
    return folded(name, _encoded(text))


def addresses(name: str, mailboxes: Sequence[str]) -> str:
    """A header that holds mailboxes, each as ``mailbox`` makes it."""
    return folded(name, ", ".join(mailboxes).split(" "))


def mailbox(address: str, name: str | None = None) -> str:
    """An address with its owner's name before it; ``address`` is as ``mailboxes.on_wire`` gives it."""
    name = clean(name) if name else ""
    if not name:
        return address
    if _ATOMS.fullmatch(name) and "=?" not in name and len(name) < LINE:
        return f"{name} <{address}>"
    if _PLAIN.fullmatch(name) and "=?" not in name and len(name) < LINE:
        return '"{}" <{}>'.format(name.replace("\\", "\\\\").replace('"', '\\"'), address)
    return f"{' '.join(_encoded(name))} <{address}>"


def folded(name: str, words: Sequence[str]) -> str:
    """The header, over as many lines as it takes; no word is broken."""
    lines, line = [], f"{name}:"
    for word in words:
        if len(line) + 1 + len(word) > LINE and line.strip() != f"{name}:":
            lines.append(line)
            line = ""
        line += f" {word}"
    lines.append(line)
    return "\r\n".join(lines)


def parameter(name: str, value: str) -> str:
    """A parameter of a header, with what goes before it; of other characters than ASCII as RFC 2231 has them."""
    value = clean(value)
    if _TOKEN.fullmatch(value) and len(value) < LINE:
        return f";\r\n {name}={value}"
    if _PLAIN.fullmatch(value) and len(value) < LINE - len(name):
        return ';\r\n {}="{}"'.format(name, value.replace("\\", "\\\\").replace('"', '\\"'))
    text = quote(value, safe="")
    if len(text) <= LINE - len(name) - 12:
        return f";\r\n {name}*=utf-8''{text}"
    # Cut where no escape is cut.
    pieces = re.findall(r"(?:%[0-9A-F]{2}|[^%]){1,50}", text)
    first = f";\r\n {name}*0*=utf-8''{pieces[0]}"
    return first + "".join(f";\r\n {name}*{number}*={piece}" for number, piece in enumerate(pieces[1:], 1))


def _encoded(text: str) -> list[str]:
    """As encoded words; no character is cut in two."""
    words: list[str] = []
    piece = b""
    for character in text:
        data = character.encode()
        if len(piece) + len(data) > _ENCODED_BYTES:
            words.append(_word(piece))
            piece = b""
        piece += data
    return [*words, _word(piece)]


def _word(data: bytes) -> str:
    return f"=?utf-8?b?{base64.b64encode(data).decode('ascii')}?="
