"""Where ``chat``, ``listen`` and ``send`` connect to, and with which token.

A token is given (``--token``, ``TERTULIA_TOKEN``), printed by a command that is run whenever one is needed, or signed
here with the key of a local data folder. It is shown nowhere.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Mapping
from typing import Any

import msgspec

from tertulia.cli import variables
from tertulia.cli.failure import CommandFailed
from tertulia.cli.plain import plain, plain_name
from tertulia.client import TokenProvider, TokenReason, TokenRequest
from tertulia.client.errors import InvalidArgumentError
from tertulia.client.urls import base_url

TOKEN_COMMAND_S = 30.0
"""How long a command may take to print a token."""
TOKEN_LIFE_S = 3600
_LONGEST_TOKEN = 64 * 1024


class Login(msgspec.Struct, frozen=True):
    """The server, and a token or the way to one."""

    url: str
    token: str | None = None
    token_provider: TokenProvider | None = None
    source: str = "--token"
    """What the token comes from, as whoever called the command knows it."""
    is_signed_here: bool = False

    def __repr__(self) -> str:
        return f"<Login to {self.url}>"

    async def with_token(self) -> Login:
        """The same with a token in hand: a command that gives none is found out before anything is begun.

        Raises CommandFailed. (The client itself would go on asking.)
        """
        if self.token is not None or self.token_provider is None:
            return self
        token = await self.token_provider(TokenRequest(None, TokenReason.START))
        return msgspec.structs.replace(self, token=token)

    def config(self) -> dict[str, Any]:
        """As arguments of ``ClientConfig``."""
        return {"server_url": self.url, "token": self.token, "token_provider": self.token_provider}


class TokenCommandFailed(CommandFailed):
    """The command gave no token; the text says why, without anything it printed."""


def login(options: argparse.Namespace, environment: Mapping[str, str] = os.environ, *, quiet: bool = False) -> Login:
    """What the arguments and the environment say. ``quiet`` keeps off the screen what a token command complains.

    Raises CommandFailed when they say nothing, or contradict themselves.
    """
    given = [name for name in ("token", "token_command", "identity") if getattr(options, name) is not None]
    if len(given) > 1:
        flags = " and ".join({"identity": "--as"}.get(name, "--" + name.replace("_", "-")) for name in given)
        raise CommandFailed(f"{flags} are two ways to one token: give one")
    if options.identity is not None:
        return _local(options)
    if options.data is not None:
        raise CommandFailed(_without_identity(options.data))
    url = options.url or environment.get(variables.URL)
    if not url:
        raise CommandFailed(
            f"which server? Give --url URL (or {variables.URL}), or --data DIR --as IDENTITY where the server runs"
        )
    where = "--url" if options.url else variables.URL
    if not url.startswith(("http://", "https://", "ws://", "wss://")):
        raise CommandFailed(f"{where} {url}: expected http://host or https://host")
    try:
        base_url(url)
    except InvalidArgumentError as error:
        raise CommandFailed(str(error).replace("server_url", where)) from None
    if options.token_command is not None:
        return Login(url, token_provider=_asking(options.token_command, quiet), source="--token-command")
    token = (options.token or environment.get(variables.TOKEN) or "").strip()
    if not token:
        raise CommandFailed(
            f"who connects? Put an access token into {variables.TOKEN} (`tertulia token IDENTITY` prints one where the"
            " server runs), or give --token-command CMD, or --data DIR --as IDENTITY"
        )
    return Login(url, token, source="--token" if options.token else variables.TOKEN)


def _without_identity(data: str) -> str:
    if data.lstrip().startswith(("{", "[")):
        return "--data names the data folder of a server; attributes of a message go to `tertulia send --attributes`"
    return f"--data {plain(data)} needs --as IDENTITY: that data folder can sign for anybody, so say who to be"


def _local(options: argparse.Namespace) -> Login:
    """Signs tokens with the oldest key of the data folder, as ``tertulia token`` does."""
    from tertulia.cli.call import resolve_settings
    from tertulia.cli.installation import credentials_of, url_of
    from tertulia.wire import tokens
    from tertulia.wire.identities import IdentityRefused, check_identity

    try:
        check_identity(options.identity)
    except IdentityRefused as refused:
        raise CommandFailed(f"identity {options.identity!r}: {refused.message}") from None
    resolved = resolve_settings(argparse.Namespace(data=options.data, config=None))
    url = url_of(resolved, options.url)
    credentials = credentials_of(resolved)

    async def sign(_: TokenRequest) -> str:
        return tokens.mint(
            account_sid=credentials.account_sid,
            key_sid=credentials.api_key_sid,
            secret=credentials.api_key_secret,
            identity=options.identity,
            service_sid=credentials.service_sid,
            now_s=time.time(),
            ttl_s=TOKEN_LIFE_S,
        )

    source = f"--data {plain(str(resolved.settings.server.data))} --as {plain_name(options.identity)}"
    return Login(url, token_provider=sign, source=source, is_signed_here=True)


def _asking(command: str, quiet: bool) -> TokenProvider:
    async def ask(_: TokenRequest) -> str:
        process = await asyncio.create_subprocess_shell(
            command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL if quiet else None,
            limit=_LONGEST_TOKEN,
            start_new_session=True,
        )
        assert process.stdout is not None
        code: int | None = None
        try:
            async with asyncio.timeout(TOKEN_COMMAND_S):
                printed = await process.stdout.read(_LONGEST_TOKEN)
                while more := await process.stdout.read(_LONGEST_TOKEN - len(printed)):
                    printed += more
                code = await process.wait()
        except TimeoutError:
            raise TokenCommandFailed(f"the token command gave no token in {TOKEN_COMMAND_S:g} s") from None
        finally:
            if code is None:
                _end(process)
                # Who has left the session may keep the pipe open; nobody waits for him.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(1):
                        await process.wait()
        if code != 0:
            raise TokenCommandFailed(f"the token command ended with exit code {code}")
        lines = printed.decode(errors="replace").split()
        if len(lines) != 1:
            raise TokenCommandFailed("the token command has to print a token and nothing else")
        return lines[0]

    return ask


def _end(process: asyncio.subprocess.Process) -> None:
    """The command, and all that it has started: a shell waits for the whole of a pipeline."""
    with contextlib.suppress(ProcessLookupError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
