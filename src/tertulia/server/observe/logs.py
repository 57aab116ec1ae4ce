"""The form of log lines.

A log line is a constant event name and facts::

    log.info("request.done", extra=fields(operation="create_message", status=201, ms=3.2))

Context variables add who and where. Whatever looks like a token, a phone number or an e-mail address is masked, and
facts named like content never show (style 3: never bodies, attributes, tokens, numbers or addresses in full).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, NamedTuple, TextIO

request_id: ContextVar[str] = ContextVar("request_id", default="")
account: ContextVar[str] = ContextVar("account", default="")
connection: ContextVar[str] = ContextVar("connection", default="")
conversation: ContextVar[str] = ContextVar("conversation", default="")

_CONTEXT = (request_id, account, connection, conversation)

_CONTENT = {"address", "attributes", "auth_token", "authorization", "body", "content", "email", "friendly_name"}
_CONTENT |= {"password", "phone", "projected_address", "proxy_address", "secret", "subject", "token"}

_MASKS = (
    (re.compile(r"\beyJ[\w-]{8,}(?:\.[\w-]*){2,4}"), "[access token]"),
    (re.compile(r"\b(Basic|Bearer)\s+[\w.~+/=-]+", re.IGNORECASE), r"\1 [credentials]"),
    (re.compile(r"[\w.+-]+(?:@|%40)[\w-]+(?:\.[\w-]+)+"), "[e-mail]"),
    (re.compile(r"(?:\+|%2[Bb])\d{5,13}(\d{2})\b"), r"+…\1"),
)


def fields(**facts: object) -> dict[str, Any]:
    """Facts of a log line, for its ``extra``. Facts named like content are masked whatever their value."""
    return {"facts": {name: "***" if name in _CONTENT else value for name, value in facts.items()}}


def masked(text: str) -> str:
    """The text without tokens, credentials, phone numbers and e-mail addresses."""
    if text.isidentifier():
        return text  # what is masked has a dot, a blank or a sign in it
    # Nearly all short texts are our own words, which come again and again.
    return _masked_word(text) if len(text) <= _WORD_CHARS else _masked(text)


def _masked(text: str) -> str:
    for pattern, replacement in _MASKS:
        text = pattern.sub(replacement, text)
    return text


_masked_word = lru_cache(maxsize=1024)(_masked)
_WORD_CHARS = 40


Facts = Iterable[tuple[str, object]]


class _Formatter(logging.Formatter, ABC):
    """From a record to a line; masks whatever a library or an exception may have put into it."""

    def format(self, record: logging.LogRecord) -> str:
        facts = [
            (name, masked(value) if isinstance(value, str) else value if _is_plain(value) else masked(str(value)))
            for name, value in getattr(record, "facts", {}).items()
        ]
        trace = masked(self.formatException(record.exc_info)) if record.exc_info and record.exc_info[0] else ""
        event = masked(record.getMessage())
        return self.line(record.created, record.levelname, record.name, event, [*context(), *facts], trace)

    @abstractmethod
    def line(self, at: float, level: str, logger: str, event: str, facts: Facts, trace: str = "") -> str: ...


def context() -> Facts:
    """Who and where, as far as it is known."""
    return [(variable.name, value) for variable in _CONTEXT if (value := variable.get())]


class TextFormatter(_Formatter):
    """One line for people: moment, level, event, facts. A traceback follows on lines of its own."""

    def line(self, at: float, level: str, logger: str, event: str, facts: Facts, trace: str = "") -> str:
        words = "".join([f" {name}={_word(value)}" for name, value in facts])
        if "\n" in event or "\r" in event:
            event = event.replace("\n", "\\n").replace("\r", "\\r")
        line = f"{_moment(at)} {level:<7} {event}{words}"
        return f"{line}\n{trace}" if trace else line


class JsonFormatter(_Formatter):
    """One JSON object a line."""

    def line(self, at: float, level: str, logger: str, event: str, facts: Facts, trace: str = "") -> str:
        entry: dict[str, object] = {"at": _moment(at), "level": level.lower(), "event": event, "logger": logger}
        entry.update((name, value) for name, value in facts if name not in entry)
        if trace:
            entry["trace"] = trace
        return json.dumps(entry, ensure_ascii=False, separators=(",", ":"))


class _TickHandler(logging.StreamHandler[TextIO]):
    """Writes the lines of one tick of the event loop together; a warning or worse at once."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception:  # as every handler: what cannot be written must not stop the work
            self.handleError(record)
        else:
            self.put(line, at_once=record.levelno >= logging.WARNING)

    def put(self, line: str, *, at_once: bool = False) -> None:
        self._lines.append(line)
        if at_once or len(self._lines) >= _LINES_AT_ONCE:
            self.flush()
        elif len(self._lines) == 1:
            self._flush_soon()

    def _flush_soon(self) -> None:
        try:
            asyncio.get_running_loop().call_soon(self.flush)
        except RuntimeError:  # outside of a loop there is no tick to wait for
            self.flush()

    def flush(self) -> None:
        with self.lock or contextlib.nullcontext():
            lines, self._lines = self._lines, []
            if lines:
                self.stream.write("\n".join(lines) + "\n")
                self.stream.flush()


_LINES_AT_ONCE = 200


class _Direct(NamedTuple):
    """The way of a line that needs no record, since nobody but us looks at it."""

    handler: _TickHandler
    formatter: _Formatter


_direct: _Direct | None = None


def configure(level: str = "info", format: str = "text", stream: TextIO | None = None) -> None:
    """Log lines of the whole process go to ``stream`` (standard error) from here on, and nowhere else."""
    global _direct
    handler = _TickHandler(stream or sys.stderr)
    formatter = JsonFormatter() if format == "json" else TextFormatter()
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.captureWarnings(True)
    # No line says from which place in the code, thread or process it comes, so nobody need find out.
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    _direct = _Direct(handler, formatter)


def info(log: logging.Logger, event: str, **facts: str | float | None) -> None:
    """As ``log.info(event, extra=fields(...))``, at a fifth of its price: for what is said of every request.

    Only for facts that are words of our own and numbers: they are not masked.
    """
    if not log.isEnabledFor(logging.INFO):
        return
    if _direct is None or logging.root.handlers != [_direct.handler]:
        log.info(event, extra=fields(**facts))  # somebody else listens too
        return
    line = _direct.formatter.line(time.time(), "INFO", log.name, event, [*context(), *facts.items()])
    _direct.handler.put(line)


def _moment(at: float) -> str:
    return f"{_second(int(at))}.{int(at % 1 * 1000):03d}Z"


@lru_cache(maxsize=8)
def _second(since_1970: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(since_1970))


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, bool | int | float)


def _word(value: object) -> str:
    """A value as one word: quoted when it has blanks, quotes or anything that could start a line of its own."""
    if isinstance(value, float):
        return f"{value:.3f}".rstrip("0").rstrip(".")
    text = str(value)
    if text.isidentifier():
        return text
    is_word = text.isprintable() and not (set(text) & set(' "=')) and text
    return text if is_word else json.dumps(text, ensure_ascii=False)
