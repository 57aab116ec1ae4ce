"""``tertulia phone``: be somebody on a simulated phone. What arrives is shown; what is typed is sent.

A line that begins with a slash is a command: ``/help`` lists them. To send such a line, begin it with two.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from tertulia.cli import pipes
from tertulia.cli.call import resolve_settings
from tertulia.cli.failure import CommandFailed
from tertulia.cli.installation import credentials_of, url_of
from tertulia.cli.phone_network import Account, Message, PhoneNetwork, Refusal
from tertulia.cli.plain import plain, plain_lines, plain_name

LOOK_S: Final = 0.2
"""How often the phone is looked at."""

NOT_FOUND: Final = 404
HELP: Final = """\
/to +1...        write to this number of the account's, or to several
/group +1...     and to these other phones; without any: to nobody else
/photo PATH ...  send a file, with words
/read            read what has come
/name NAME       what you call yourself, where the channel says it
/subject WORDS   of the e-mails you write
/help            this"""


def run(options: argparse.Namespace) -> int:
    """Until the input ends, or ``--count`` messages have come; 1 when something typed was refused."""
    resolved = resolve_settings(options)
    url = url_of(resolved, options.url)
    known = credentials_of(resolved, account_sid=options.account)
    account = Account(url, known.account_sid, known.auth_token)
    return asyncio.run(_play(account, options))


async def _play(account: Account, options: argparse.Namespace) -> int:
    async with PhoneNetwork(account, options.number, options.gateway) as network:
        phone = _Phone(network, options)
        try:
            await phone.look()
        except Refusal as refusal:
            if refusal.status == NOT_FOUND:
                raise CommandFailed(
                    "there are no simulated phones: switch on channels.simulator at the server"
                ) from None
            raise CommandFailed(str(refusal)) from None
        watching = asyncio.create_task(phone.watch())
        typing = asyncio.create_task(phone.obey())
        try:
            await asyncio.wait((watching, typing), return_when=asyncio.FIRST_COMPLETED)
            if watching.done():
                await watching
            else:
                await typing
                await (phone.look() if options.count is None else watching)
        except Refusal as refusal:
            raise CommandFailed(str(refusal)) from None
        finally:
            watching.cancel()
            typing.cancel()
            await asyncio.gather(watching, typing, return_exceptions=True)
        return 1 if phone.is_refused else 0


class _Phone:
    def __init__(self, network: PhoneNetwork, options: argparse.Namespace) -> None:
        self._network = network
        self._as_json: bool = options.json
        self._left: int | None = options.count
        self._to: list[str] = list(options.to)
        self._others: list[str] = []
        self._name: str | None = None
        self._subject: str | None = None
        self._seen: str | None = None
        """The newest message there was at the last look."""
        self._newest: Message | None = None
        """The newest that somebody else wrote: without ``--to`` it is this one that is answered."""
        self._looking = asyncio.Lock()
        self.is_refused = False
        self._commands: dict[str, Callable[[str], Awaitable[None]]] = {
            "to": self._choose,
            "group": self._group,
            "photo": self._photo,
            "read": self._read,
            "name": self._call_myself,
            "subject": self._entitle,
            "help": self._help,
        }

    # --- what arrives

    async def watch(self) -> None:
        """Show what comes, until enough has come."""
        while self._left is None or self._left > 0:
            await asyncio.sleep(LOOK_S)
            await self.look()

    async def look(self) -> None:
        """Show what has come since the last look; at the first, what is unread."""
        async with self._looking:
            is_first = self._seen is None
            for message in await self._network.messages(self._seen):
                self._seen = message["sid"]
                if message["is_mine"]:
                    continue
                self._newest = message
                if (message["is_unread"] or not is_first) and self._left != 0:
                    await self._show(message)
                    self._left = None if self._left is None else self._left - 1

    async def _show(self, message: Message) -> None:
        text = json.dumps(message, ensure_ascii=False) if self._as_json else "\n".join(_lines(message))
        await pipes.write(sys.stdout.fileno(), text.encode(errors="replace") + b"\n")

    # --- what is typed

    async def obey(self) -> None:
        """Do what is typed, until the input ends. Raises CommandFailed."""
        try:
            async for line in pipes.lines(sys.stdin.fileno()):
                if not line.strip():
                    continue
                try:
                    await self._do(line)
                except Refusal as refusal:
                    self.is_refused = True
                    _complain(str(refusal))
        except (pipes.LineTooLong, UnicodeDecodeError) as error:
            raise CommandFailed(str(error)) from None

    async def _do(self, line: str) -> None:
        if not line.startswith("/") or line.startswith("//"):
            await self._send(line.removeprefix("/") if line.startswith("//") else line)
            return
        word, _, rest = line[1:].partition(" ")
        command = self._commands.get(word)
        if command is None:
            raise Refusal(f"there is no command /{plain(word)}; /help lists them")
        await command(rest.strip())

    async def _send(self, text: str | None, media: str | None = None) -> None:
        to, answers = self._to, None
        if not to:
            await self.look()  # what has just come is what is answered
            if self._newest is None:
                raise Refusal("to whom? Nobody has written yet: give --to, or /to NUMBER")
            answers = self._newest["sid"]
            if self._others:
                to = self._newest["ours"]
        await self._network.write(
            to,
            self._others,
            Body=text,
            MediaSid=media,
            ProfileName=self._name,
            Subject=self._subject,
            Answers=answers,
        )

    async def _choose(self, rest: str) -> None:
        self._to = rest.split()

    async def _group(self, rest: str) -> None:
        self._others = rest.split()

    async def _photo(self, rest: str) -> None:
        name, _, words = rest.partition(" ")
        if not name:
            raise Refusal("/photo PATH: which file?")
        await self._send(words.strip() or None, await self._network.upload(Path(name)))

    async def _read(self, _rest: str) -> None:
        await self._network.read()

    async def _call_myself(self, rest: str) -> None:
        self._name = rest or None

    async def _entitle(self, rest: str) -> None:
        self._subject = rest or None

    async def _help(self, _rest: str) -> None:
        print(HELP, file=sys.stderr)


def _complain(text: str) -> None:
    print(f"tertulia: {text}", file=sys.stderr, flush=True)


def _lines(message: Message) -> list[str]:
    """A message for people: who, in a group who else, the words, the files, the buttons."""
    who = plain_name(message["from"])
    others = [plain_name(one) for one in message["to"]]
    head = who if len(others) == 1 else f"{who} (to {', '.join(others)})"
    words = plain_lines(message["text"] or "")
    if message["subject"]:
        words = [f"[{plain(message['subject'])}]", *words]
    shown = [f"{head}: {words[0]}".rstrip(), *(f"  {line}" for line in words[1:])]
    for media in message["media"]:
        name = plain_name(media["filename"] or media["sid"])
        shown.append(f"  {name} ({plain(media['content_type'])}, {media['size']} bytes): {plain(media['url'])}")
    if message["template"] is not None:
        shown.append(f"  template {plain(message['template']['name'])} ({plain(message['template']['type'])})")
    return shown
