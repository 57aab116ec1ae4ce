"""The command: who logs in, the application while it runs, and the line that is left when it could not."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import signal
import sys

from tertulia.cli.failure import CommandFailed
from tertulia.cli.login import Login, login
from tertulia.cli.reaching import say_when_nobody_answers, why
from tertulia.client import ClientConfig, ConversationsClient
from tertulia.client.events import ClientReady

from .app import ChatApp


def run(options: argparse.Namespace) -> int:
    """Chat until the user has enough. Raises CommandFailed when the login is refused, or there is no terminal."""
    chosen = login(options, quiet=True)
    # A standard input that is closed is None.
    if not (sys.stdin and sys.stdin.isatty() and sys.stdout.isatty()):
        raise CommandFailed("chat needs a terminal; `tertulia listen` and `tertulia send` do without")
    return asyncio.run(_chat(chosen, options))


def config_of(chosen: Login, options: argparse.Namespace) -> ClientConfig:
    """With a store what waits to be sent survives the end; without, it waits for as long as the application runs."""
    store = None
    if options.store is not None:
        from tertulia.client.sqlite_store import SqliteStore

        store = SqliteStore(options.store)
    return ClientConfig(**chosen.config(), store=store, outbox=True)


async def _chat(chosen: Login, options: argparse.Namespace) -> int:
    # What is in a store can be looked at, and written to, before there is a token.
    with contextlib.nullcontext() if options.store is None else contextlib.suppress(CommandFailed):
        chosen = await chosen.with_token()
    client = ConversationsClient(config_of(chosen, options))
    app = ChatApp(client, options.conversation, why=functools.partial(why, chosen=chosen))
    say_when_nobody_answers(client, chosen.url, functools.partial(app.tell, stays=True))
    client.on(ClientReady, lambda _: app.tell(""))
    loop = asyncio.get_running_loop()
    with contextlib.suppress(NotImplementedError):  # not on Windows
        loop.add_signal_handler(signal.SIGTERM, app.exit)
    try:
        await app.run_async()
    finally:
        await client.shutdown()
    if app.failure is not None:
        raise app.failure
    return 0
