"""``tertulia send``: messages from a script, each printed as JSON once it is there."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator

import msgspec

from tertulia.cli import complaints, event_lines, pipes
from tertulia.cli.failure import CommandFailed
from tertulia.cli.files import unreadable
from tertulia.cli.finding import named
from tertulia.cli.login import Login, login
from tertulia.cli.reaching import say_when_nobody_answers, why
from tertulia.client import ClientConfig, ConversationsClient
from tertulia.client.errors import ConversationsError
from tertulia.client.media import FileToSend
from tertulia.client.urls import is_text

START_S = 60.0
"""How long a server is waited for: a script has to know."""


def run(options: argparse.Namespace) -> int:
    """Send what the arguments or the lines of the standard input say. Raises CommandFailed."""
    if options.stdin and (options.text is not None or options.file):
        raise CommandFailed("--stdin sends lines: give no text and no --file with it")
    if not (options.stdin or options.text or options.file):
        raise CommandFailed("send what? Give a text, --file PATH, or --stdin")
    if options.stdin and sys.stdin is None:
        raise CommandFailed("--stdin: the standard input is closed; pipe lines into it, or give a text")
    for name, text in (
        ("CONVERSATION", options.conversation),
        ("TEXT", options.text),
        ("--attributes", options.attributes),
    ):
        if text is not None and not is_text(text):
            raise CommandFailed(f"{name}: not in UTF-8")
    attributes = _attributes(options.attributes)
    for path in options.file:
        if (trouble := unreadable(path)) is not None:
            raise CommandFailed(f"--file {trouble}")
    complaints.to_stderr()
    return asyncio.run(_send(login(options), options, attributes))


async def _send(chosen: Login, options: argparse.Namespace, attributes: object) -> int:
    config = ClientConfig(**(await chosen.with_token()).config(), start_timeout=START_S)
    sent = 0
    client = ConversationsClient(config)
    say_when_nobody_answers(client, chosen.url)
    try:
        async with client:
            async with asyncio.timeout(START_S):
                conversation = await named(client, options.conversation)
            async for text in _texts(options):
                message = await conversation.send(
                    text or None, media=[FileToSend(path) for path in options.file], attributes=attributes
                )
                sent += 1
                shown = {"conversation": conversation.sid, "message": event_lines.message_object(message)}
                await pipes.write(sys.stdout.fileno(), event_lines.encode(shown) + b"\n")
    except (ConversationsError, pipes.LineTooLong, UnicodeDecodeError) as error:
        reason = why(error, chosen) if isinstance(error, ConversationsError) else str(error)
        raise CommandFailed(f"line {sent + 1}: {reason}" if options.stdin and sent else reason) from None
    except TimeoutError:
        raise CommandFailed(
            f"the conversations were not listed within {START_S:g} s; try again, or give a SID"
        ) from None
    return 0


async def _texts(options: argparse.Namespace) -> AsyncIterator[str]:
    if not options.stdin:
        yield options.text or ""
        return
    async for line in pipes.lines(sys.stdin.fileno()):
        if line:
            yield line


def _attributes(text: str | None) -> object:
    if text is None:
        return None
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        example = '{"kind": "backup"}'
        raise CommandFailed(f"--attributes: no JSON: {error}; expected something like '{example}'") from None
    except RecursionError:
        raise CommandFailed("--attributes: nested too deeply") from None
