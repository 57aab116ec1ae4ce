"""What can be typed: words to say, or a command behind a slash."""

from __future__ import annotations

import difflib
from typing import Final, NamedTuple


class Command(NamedTuple):
    """One command: what it is given, and what it does."""

    name: str
    argument: str
    """As the help shows it; in brackets when it may be left out, empty when there is none."""
    what: str

    @property
    def usage(self) -> str:
        return f"/{self.name} {self.argument}".rstrip()


COMMANDS: Final = (
    Command("join", "NAME|SID", "take part in a conversation; open it if you do already"),
    Command("create", "NAME", "begin a conversation; others find it by this name"),
    Command("add", "IDENTITY", "let somebody take part in this one"),
    Command("leave", "", "take part in this one no more"),
    Command("mute", "", "no notifications from this one, or notifications again"),
    Command("file", "PATH", "send a file"),
    Command("save", "[PATH]", "store the files of the chosen message, or the last"),
    Command("edit", "[TEXT]", "change the chosen message of yours, or your last"),
    Command("delete", "", "take back the chosen message of yours, or your last"),
    Command("retry", "", "send again what was refused"),
    Command("drop", "", "give up what was refused"),
    Command("help", "", "show keys and commands"),
    Command("quit", "", "end"),
)
_BY_NAME: Final = {command.name: command for command in COMMANDS}


class Say(NamedTuple):
    text: str


class Wish(NamedTuple):
    command: Command
    argument: str


class NotUnderstood(Exception):
    """What was typed is no command; the text says what would be."""


def understood(text: str) -> Say | Wish | None:
    """What a typed text means; None for nothing at all. Two slashes begin a text with one. Raises NotUnderstood."""
    text = text.strip("\n").rstrip()
    if not text.strip():
        return None
    if text.startswith("//"):
        return Say(text[1:])
    if not text.startswith("/"):
        return Say(text)
    name, _, argument = text[1:].partition(" ")
    argument = argument.strip()
    command = _BY_NAME.get(name)
    if command is None:
        near = difflib.get_close_matches(name, _BY_NAME, 1)
        raise NotUnderstood(f"no command /{name}" + (f"; did you mean /{near[0]}?" if near else "; see /help"))
    if not argument and command.argument and not command.argument.startswith("["):
        raise NotUnderstood(f"{command.usage}: what it needs is missing")
    if argument and not command.argument:
        raise NotUnderstood(f"{command.usage} takes nothing more")
    return Wish(command, argument)
