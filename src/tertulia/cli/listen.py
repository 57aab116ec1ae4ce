"""``tertulia listen``: what happens, as lines of JSON, until it is told to stop."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import difflib
import signal
import sys
from collections import deque
from datetime import UTC, datetime

from tertulia.cli import complaints, event_lines, pipes
from tertulia.cli.event_lines import HISTORY, READY, Object
from tertulia.cli.failure import CommandFailed, because
from tertulia.cli.finding import named
from tertulia.cli.login import Login, login
from tertulia.cli.reaching import say_when_nobody_answers, why
from tertulia.client import (
    ClientConfig,
    ClientState,
    ConnectionState,
    Conversation,
    ConversationsClient,
    ConversationStatus,
)
from tertulia.client import events as told
from tertulia.client.errors import ConversationsError

MOST_WAITING = 10_000
"""How many lines wait for a slow reader before listening is given up."""
# Of those that were there before, the beginning would be full.
_AT_THE_START = (told.ConversationAdded, told.ConversationJoined, told.ConversationUpdated, told.ParticipantJoined)


def run(options: argparse.Namespace) -> int:
    """Listen until SIGINT or SIGTERM, or ``--count``. Raises CommandFailed when it cannot go on."""
    for name in options.types or ():
        if name not in event_lines.TYPES:
            near = difflib.get_close_matches(name, event_lines.TYPES, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(event_lines.TYPES))}"
            raise CommandFailed(f"--types: no events of type {name}; {hint}")
    chosen = login(options)
    complaints.to_stderr()
    return asyncio.run(_listen(chosen, options))


async def _listen(chosen: Login, options: argparse.Namespace) -> int:
    client = ConversationsClient(ClientConfig(**(await chosen.with_token()).config()))
    say_when_nobody_answers(client, chosen.url)
    return await _Listening(client, chosen, options).run()


class _Listening:
    """One run: lines are made when their event comes, and written as fast as they are read."""

    def __init__(self, client: ConversationsClient, chosen: Login, options: argparse.Namespace) -> None:
        self._client = client
        self._chosen = chosen
        self._wanted: list[str] = options.conversation or []
        self._types: frozenset[str] | None = options.types
        self._history: int = options.history or 0
        self._left: int | None = options.count
        self._lines: deque[Object] = deque()
        self._early: list[Object] = []
        """What conversations told while their history was being read."""
        self._news = asyncio.Event()
        self._sids: set[str] | None = None
        self._is_ready = False
        self._shown: set[str] = set()
        """Messages that were printed as history, and may come as news as well."""
        self._failure: CommandFailed | None = None

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        work = loop.create_task(self._work())
        for which in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(NotImplementedError):  # not on Windows
                loop.add_signal_handler(which, work.cancel)
        try:
            await work
        except asyncio.CancelledError:
            pass
        finally:
            await self._client.shutdown()
        return 0

    async def _work(self) -> None:
        client = self._client
        client.on(told.Event, self._hear)
        if self._chosen.token_provider is None:
            client.on(told.ConnectionStateChanged, self._look_at_the_end)
        client.on(told.TokenUpdateFailed, self._complain)
        try:
            await client.start()
            await self._begin()
            await self._write()
        except ConversationsError as error:
            raise CommandFailed(why(error, self._chosen)) from None

    def _complain(self, event: told.TokenUpdateFailed) -> None:
        # A start that fails says why at its end.
        if self._client.state is ClientState.READY:
            print(f"tertulia: no new token: {because(event.error)}", file=sys.stderr)

    async def _begin(self) -> None:
        """Print what was before, then what came meanwhile."""
        conversations = [await named(self._client, name) for name in self._wanted]
        if self._wanted:
            self._sids = {conversation.sid for conversation in conversations}
            for conversation in conversations:
                await conversation.ready()
        else:
            await self._client.wait_synchronized()
            known = self._client.known_conversations.values()
            conversations = [each for each in known if each.status is ConversationStatus.JOINED]
        if self._history:
            for conversation in conversations:
                await self._print_history(conversation)
        self._is_ready = True
        self._say(READY, {"identity": self._client.identity, "conversations": len(conversations)})
        early, self._early = self._early, []
        for line in early:
            self._keep(line)

    async def _print_history(self, conversation: Conversation) -> None:
        for message in await conversation.last_messages(self._history):
            self._shown.add(message.sid)
            shown = {"conversation": conversation.sid, "message": event_lines.message_object(message)}
            self._say(HISTORY, shown)

    def _hear(self, event: told.Event) -> None:
        if not self._is_ready and isinstance(event, _AT_THE_START):
            return
        line = event_lines.line_of(event, datetime.now(UTC))
        if line is None:
            return
        if self._is_ready or "conversation" not in line:
            self._keep(line)
        elif len(self._early) < MOST_WAITING:
            self._early.append(line)
        else:
            self._fail(f"more than {MOST_WAITING} events came before everything was known")

    def _say(self, name: str, fields: Object) -> None:
        self._keep(event_lines.stamped(name, datetime.now(UTC), fields))

    def _keep(self, line: Object) -> None:
        name, sid = line["type"], line.get("conversation")
        if self._types is not None and name not in self._types:
            return
        if self._is_ready and self._sids is not None and sid is not None and sid not in self._sids:
            return
        if name == "message_added" and self._is_ready and line["message"]["sid"] in self._shown:
            return
        self._lines.append(line)
        if len(self._lines) > MOST_WAITING:
            self._fail(f"whoever reads this is more than {MOST_WAITING} lines behind")
        self._news.set()

    def _look_at_the_end(self, event: told.ConnectionStateChanged) -> None:
        if self._client.state is ClientState.READY and event.state in (
            ConnectionState.DENIED,
            ConnectionState.DISCONNECTED,
        ):
            self._fail("the token has ended, and there is no way to another: give --token-command")

    def _fail(self, why: str) -> None:
        if self._failure is None:
            self._failure = CommandFailed(why)
        self._news.set()

    async def _write(self) -> None:
        output = sys.stdout.fileno()
        while True:
            while self._lines and self._failure is None:
                await pipes.write(output, event_lines.encode(self._lines.popleft()) + b"\n")
                if self._left is not None:
                    self._left -= 1
                    if self._left == 0:
                        return
            if self._failure is not None:
                raise self._failure
            self._news.clear()
            await self._news.wait()
