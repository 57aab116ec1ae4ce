"""What the commands do. Each raises errors of the client, or ``NotPossible`` with a sentence."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final, Protocol

from tertulia.cli.files import unreadable
from tertulia.cli.finding import joined, own, shown
from tertulia.cli.plain import plain, plain_name
from tertulia.client import Conversation, ConversationsClient, Message, NotificationLevel
from tertulia.client.errors import ConflictError
from tertulia.client.media import FileToSend
from tertulia.client.pending import PendingMessage, PendingState

from . import names, times
from .commands import Wish
from .timeline import Timeline

LONGEST_NAME: Final = 200
"""Of a file, in bytes: what file systems take, less room for a number and more."""
LONGEST_ENDING: Final = 20
UNIQUE_NAME_TAKEN: Final = 50353
NOTHING_OPEN: Final = "no conversation is open: /create NAME, /join NAME, or choose one with Ctrl-K"


class NotPossible(Exception):
    """Nothing is there to do this with; the text says what is missing."""


class Desk(Protocol):
    """What the deeds need of the application."""

    client: ConversationsClient

    @property
    def timeline(self) -> Timeline | None: ...
    @property
    def chosen(self) -> Message | PendingMessage | None: ...
    def open_conversation(self, conversation: Conversation) -> None: ...
    def begin_edit(self, message: Message) -> None: ...
    def show_help(self) -> None: ...
    def tell(self, text: str, *, is_error: bool = False, stays: bool = False) -> None: ...
    def exit(self) -> None: ...


async def do(wish: Wish, desk: Desk) -> None:
    """Do what was wished."""
    await _DEEDS[wish.command.name](desk, wish.argument)


async def _join(desk: Desk, name: str) -> None:
    desk.open_conversation(await joined(desk.client, name))


async def _create(desk: Desk, name: str) -> None:
    """With the name as unique name, so that others can join by it, unless another conversation has it."""
    client = desk.client
    if any(each.unique_name == name for each in own(client)):
        raise NotPossible(f"you take part in {shown(name)} already: /join {plain(name)} opens it")
    try:
        made = await client.create_conversation(friendly_name=name, unique_name=name, join=True)
        news = f"others take part with /join {plain(name)}"
    except ConflictError as error:
        if error.code != UNIQUE_NAME_TAKEN:
            raise
        made = await client.create_conversation(friendly_name=name, join=True)
        news = f"another conversation has the unique name {shown(name)}; others find this one by /join {made.sid}"
    desk.open_conversation(made)
    desk.tell(news)


async def _add(desk: Desk, identity: str) -> None:
    await _open(desk).conversation.add_participant(identity)
    desk.tell(f"{plain_name(identity)} takes part now")


async def _leave(desk: Desk, _: str) -> None:
    conversation = _open(desk).conversation
    await conversation.leave()
    desk.tell(f"you have left {names.of_conversation(conversation, desk.client.identity)}")


async def _mute(desk: Desk, _: str) -> None:
    conversation = _open(desk).conversation
    is_muted = conversation.notification_level is NotificationLevel.MUTED
    await conversation.set_notification_level(NotificationLevel.DEFAULT if is_muted else NotificationLevel.MUTED)
    desk.tell("not muted any more" if is_muted else "muted: its messages make no device ring")


async def _file(desk: Desk, path: str) -> None:
    conversation = _open(desk).conversation
    file, whole = _found(path)
    name = plain(file.name)

    def progress(sent: int, _: int | None) -> None:
        share = 100 if whole == 0 else min(100, 100 * sent // whole)
        desk.tell(f"sending {name}: {share} % of {times.size(whole)}", stays=True)

    desk.tell(f"sending {name}, {times.size(whole)}", stays=True)
    await conversation.send(media=[FileToSend(file, progress=progress)])
    desk.tell(f"{name} is sent")


async def _save(desk: Desk, path: str) -> None:
    timeline, chosen = _open(desk), desk.chosen
    candidates = [chosen] if isinstance(chosen, Message) else timeline.newest_first()
    message = next((each for each in candidates if each.media), None)
    if message is None:
        raise NotPossible("no message with files here")
    stored: list[str] = []
    for media in message.media:
        target = _reserved(_target(path, media.filename or media.sid))
        try:
            await media.download(target)
        except BaseException:
            target.unlink(missing_ok=True)
            raise
        stored.append(plain(str(target)))
    desk.tell(f"stored as {', '.join(stored)}")


async def _edit(desk: Desk, text: str) -> None:
    message = _own(desk)
    if text:
        await message.edit(body=text)
    else:
        desk.begin_edit(message)


async def _delete(desk: Desk, _: str) -> None:
    await _own(desk).delete()


async def _retry(desk: Desk, _: str) -> None:
    for pending in _refused(desk):
        await pending.retry()


async def _drop(desk: Desk, _: str) -> None:
    await asyncio.gather(*(pending.discard() for pending in _refused(desk)))


async def _help(desk: Desk, _: str) -> None:
    desk.show_help()


async def _quit(desk: Desk, _: str) -> None:
    desk.exit()


_DEEDS = {
    "join": _join,
    "create": _create,
    "add": _add,
    "leave": _leave,
    "mute": _mute,
    "file": _file,
    "save": _save,
    "edit": _edit,
    "delete": _delete,
    "retry": _retry,
    "drop": _drop,
    "help": _help,
    "quit": _quit,
}


def _open(desk: Desk) -> Timeline:
    if desk.timeline is None:
        raise NotPossible(NOTHING_OPEN)
    return desk.timeline


def _own(desk: Desk) -> Message:
    """The chosen message if one is, else the newest of the user's."""
    timeline, chosen = _open(desk), desk.chosen
    if isinstance(chosen, Message):
        if not timeline.is_own(chosen):
            raise NotPossible("that message is not yours")
        return chosen
    own = next((message for message in timeline.newest_first() if timeline.is_own(message)), None)
    if own is None:
        raise NotPossible("no message of yours is here")
    return own


def _refused(desk: Desk) -> list[PendingMessage]:
    timeline, chosen = _open(desk), desk.chosen
    waiting = [chosen] if isinstance(chosen, PendingMessage) else timeline.conversation.pending_messages
    refused = [pending for pending in waiting if pending.state is PendingState.FAILED]
    if not refused:
        raise NotPossible("nothing was refused here")
    return refused


def _found(path: str) -> tuple[Path, int]:
    """The file and its size."""
    file = Path(path).expanduser()
    if (trouble := unreadable(file)) is not None:
        raise NotPossible(trouble)
    return file, file.stat().st_size


def _target(path: str, name: str) -> Path:
    """Where to store it: the path itself, or under its own name in the folder that the path is."""
    place = Path(path).expanduser() if path else Path.cwd()
    return place / safe_name(name) if place.is_dir() else place


def safe_name(name: str) -> str:
    """A file name that others chose, as one that stays in its folder and does not hide."""
    last = plain(name).replace("\\", "/").rsplit("/", 1)[-1].strip().lstrip(".")
    stem, dot, ending = last.rpartition(".")
    if not stem or len(ending.encode()) > LONGEST_ENDING:
        stem, dot, ending = last, "", ""
    room = LONGEST_NAME - len((dot + ending).encode())
    return f"{stem.encode()[:room].decode(errors='ignore')}{dot}{ending}" or "file"


def _reserved(path: Path) -> Path:
    """An empty file, made here: at this path, or beside it with a number if there is something already."""
    number, free = 1, path
    while True:
        try:
            free.touch(exist_ok=False)
            return free
        except FileExistsError:
            number += 1
            free = path.with_name(f"{path.stem} ({number}){path.suffix}")
