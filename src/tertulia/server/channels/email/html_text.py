"""What a page of HTML says, in plain text. Pure, and linear in its length whatever it holds."""

from __future__ import annotations

import html
import re
from typing import Final

MOST_CHARS: Final = 1 << 20
"""Of a page; what follows is not read."""
STEPS: Final = 50_000
"""Tags of a page that are looked at."""
MISSES: Final = 200
"""What begins as a tag and is none: each may be looked through to its end."""

# Possessive: what does not match is not tried again in other ways.
_TAG: Final = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9]*+)((?:[^<>\"']|\"[^\"]*+\"|'[^']*+')*+)>")
_BEGINS: Final = re.compile(r"<(?=[A-Za-z!?/])")
_OTHER: Final = re.compile(r"<[!?/][^<>]*+>")
_SRC: Final = re.compile(r"\balt\s*=\s*(?:\"([^\"]*+)\"|'([^']*+)')", re.IGNORECASE)
_HREF: Final = re.compile(r"\bhref\s*=\s*(?:\"([^\"]*+)\"|'([^']*+)')", re.IGNORECASE)
_WHITE: Final = re.compile(r"[ \t\r\n\f\u200b]+")
_HIDDEN: Final = frozenset(("head", "script", "style", "title", "template", "noscript"))
_BLOCKS: Final = frozenset(
    ("address", "article", "aside", "blockquote", "dd", "div", "dl", "dt", "fieldset", "figure", "footer", "form",
     "header", "hr", "li", "main", "nav", "ol", "pre", "section", "table", "tr", "ul")
)  # fmt: skip
_APART: Final = frozenset(("p", "h1", "h2", "h3", "h4", "h5", "h6"))
_CELLS: Final = frozenset(("td", "th"))
DEEPEST: Final = 50
"""Quotations within each other that are shown as such."""


class _Lines:
    """Text as it comes, in lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._line: list[str] = []
        self._is_spaced = True
        self.quoted = 0
        self.is_pre = False

    def add(self, text: str) -> None:
        if self.is_pre:
            first, *others = re.split(r"\r\n|\r|\n", text)
            self._line.append(first)
            for other in others:
                self.end()
                self._line.append(other)
            self._is_spaced = False
            return
        text = _WHITE.sub(" ", text)
        if self._is_spaced:
            text = text.removeprefix(" ")
        if text:
            self._line.append(text)
            self._is_spaced = text.endswith(" ")

    def end(self, *, is_always: bool = True) -> None:
        """The line ends; one without words only where that is said."""
        text = "".join(self._line).rstrip(" ").replace("\xa0", " ")
        if text or is_always:
            self.lines.append("> " * self.quoted + text if self.quoted else text)
        self._line, self._is_spaced = [], True

    def gap(self) -> None:
        """An empty line, but no second one."""
        self.end(is_always=False)
        if self.lines and self.lines[-1].strip("> "):
            self.lines.append(("> " * self.quoted).rstrip())


def text_of(page: str) -> str:
    """Its words: blocks in lines of their own, quotations behind ``>``, links with where they lead."""
    page = page[:MOST_CHARS]
    out = _Lines()
    link: tuple[str, int] | None = None
    at = misses = 0
    for _ in range(STEPS):
        found = _BEGINS.search(page, at)
        start = found.start() if found else len(page)
        out.add(html.unescape(page[at:start]))
        if start == len(page):
            break
        if page.startswith("<!--", start):
            end = page.find("-->", start + 4)
            if end < 0:
                break
            at = end + 3
            continue
        tag = _TAG.match(page, start)
        if tag is None:
            other = _OTHER.match(page, start)
            if other is None:
                misses += 1
                if misses > MISSES:
                    break
                out.add("<")
            at = other.end() if other else start + 1
            continue
        at = tag.end()
        is_end, name, rest = bool(tag[1]), tag[2].lower(), tag[3]
        if name in _HIDDEN and not is_end:
            if rest.endswith("/"):
                continue
            at = _after(page, name, at)
            continue
        if name == "a":
            link = _link(out, link, None if is_end else _value(_HREF, rest))
        else:
            _apply(out, name, rest, is_end=is_end)
    _link(out, link, None)
    out.end(is_always=False)
    return "\n".join(line.rstrip() for line in out.lines).strip("\n")


def _apply(out: _Lines, name: str, rest: str, *, is_end: bool) -> None:
    if name == "br":
        out.end()
    elif name == "img" and not is_end:
        out.add(_value(_SRC, rest) or "")
    elif name in _APART:
        out.gap()
    elif name in _CELLS and is_end:
        out.add(" ")
    elif name in _BLOCKS:
        out.end(is_always=False)
        if name == "li" and not is_end:
            out.add("* ")
        elif name == "pre":
            out.is_pre = not is_end
        elif name == "blockquote":
            while is_end and out.lines and out.lines[-1] and not out.lines[-1].strip("> "):
                out.lines.pop()
            out.quoted = max(out.quoted - 1, 0) if is_end else min(out.quoted + 1, DEEPEST)


def _link(out: _Lines, before: tuple[str, int] | None, href: str | None) -> tuple[str, int] | None:
    """A link ends, and another one may begin: where the first leads is said after its words, if they do not say it."""
    if before is not None:
        where, count = before
        said = "".join(out._line[count:]) if count <= len(out._line) else ""
        if where.lower().startswith(("http://", "https://")) and said.strip() and where.rstrip("/") not in said:
            out.add(f" <{where}>" if not said.endswith(" ") else f"<{where}>")
    return None if href is None else (html.unescape(href).strip()[:2000], len(out._line))


def _value(which: re.Pattern[str], rest: str) -> str | None:
    found = which.search(rest[:8192])
    return None if found is None else found[1] if found[1] is not None else found[2]


def _after(page: str, name: str, at: int) -> int:
    """Where what is hidden ends: after its end tag, or with the page."""
    found = re.compile(rf"</{name}\b[^<>]*+>", re.IGNORECASE).search(page, at)
    return found.end() if found else len(page)
