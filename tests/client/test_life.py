"""How a client's life ends, whoever ends it and however; and how often it comes back to a server that sends it away."""

from __future__ import annotations

import asyncio
import threading
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from tertulia.client import ClientConfig, ConnectionState, ConversationsClient, TokenRequest
from tertulia.client.errors import ClientShutDownError, InitializationError, InvalidArgumentError, StoreError
from tertulia.client.events import ConnectionStateChanged, MessageAdded, TypingStarted
from tertulia.client.sqlite_store import SqliteStore
from tertulia.client.token_store import FileTokenStore
from tertulia.wire import frames
from tertulia.wire.frames import Status

from .scripted import Scripted
from .stage import Stage, until


@pytest.mark.parametrize("turns", [*range(12), 20, 40])
async def test_a_shutdown_that_is_cancelled_comes_to_its_end(stage: Stage, tmp_path: Path, turns: int) -> None:
    ana = await stage.connect("ana", store=SqliteStore(tmp_path / "chat.db"))
    ending = asyncio.create_task(ana.shutdown())
    for _ in range(turns):
        await asyncio.sleep(0)
    ending.cancel()
    await asyncio.gather(ending, return_exceptions=True)
    await ana.shutdown()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("tertulia-store")]
    assert not [task for task in asyncio.all_tasks() if "Life" in repr(task.get_coro())]
    await (await stage.connect("ana", store=SqliteStore(tmp_path / "chat.db"))).shutdown()


async def test_a_handler_may_shut_the_client_down_and_go_on(stage: Stage) -> None:
    sid = await stage.room("ana", "ben")
    ana, ben = await stage.connect("ana"), await stage.connect("ben")
    await (await ben.get_conversation(sid)).ready(timeout=10)
    ended: list[str] = []

    async def leave(event: MessageAdded) -> None:
        await ben.shutdown()
        ended.append("and went on")

    ben.on(MessageAdded, leave)
    await (await ana.get_conversation(sid)).send("the end")
    await until(lambda: ended == ["and went on"])


async def test_a_client_is_started_once(server: Scripted, tmp_path: Path) -> None:
    server.welcome = lambda init: frames.reply(init.header.id, Status(403, "FORBIDDEN"))
    store = SqliteStore(tmp_path / "chat.db")
    client = ConversationsClient(ClientConfig(server_url=server.url, token="a", store=store, start_timeout=5))
    with pytest.raises(InitializationError):
        await client.start()
    with pytest.raises(InvalidArgumentError, match="new one"):
        await client.start()
    await client.shutdown()
    with pytest.raises(ClientShutDownError):
        await client.start()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("tertulia-store")]


async def test_a_hint_about_the_network_may_come_from_any_thread(stage: Stage) -> None:
    ana = await stage.connect("ana", reconnect_min=60, reconnect_max=60)
    stage.proxy.refuse()
    stage.proxy.cut()
    await until(lambda: ana.retries_in is not None)
    stage.proxy.admit()
    await asyncio.to_thread(ana.network_available)
    await until(lambda: ana.connection_state is ConnectionState.CONNECTED)


@pytest.mark.parametrize("first", ["shutdown", "logout", "nothing"])
async def test_a_logout_forgets_whatever_came_before_it(stage: Stage, tmp_path: Path, first: str) -> None:
    path, tokens = tmp_path / "chat.db", FileTokenStore(tmp_path / "tokens")

    token_given = stage.token("ana")

    async def token(request: TokenRequest) -> str:
        return token_given

    ana = await stage.connect("ana", store=SqliteStore(path), token_provider=token, token_store=tokens)
    if first != "nothing":
        await getattr(ana, first)()
    await ana.logout()
    kept = all_bytes(tmp_path)
    assert token_given.encode() not in kept
    stage.proxy.refuse()
    with pytest.raises(InitializationError):
        await stage.client("ana", store=SqliteStore(path), start_timeout=0.2).start()


async def test_a_logout_ends_the_client_also_where_nothing_can_be_forgotten(stage: Stage, tmp_path: Path) -> None:
    class Stubborn(SqliteStore):
        async def erase(self) -> None:
            raise StoreError("the disk takes no writes")

    ana = await stage.connect("ana", store=Stubborn(tmp_path / "chat.db"))
    with pytest.raises(StoreError):
        await ana.logout()
    assert ana.connection_state is ConnectionState.DISCONNECTED
    with pytest.raises(ClientShutDownError):
        await ana.get_user("ben")


async def test_a_silent_server_does_not_keep_a_client_from_ending(stage: Stage) -> None:
    ana = await stage.connect("ana")
    mine = await ana.create_conversation(join=True)
    await mine.send("hello")
    stage.proxy.stall()
    reading = asyncio.create_task(mine.advance_read_horizon(0))
    await asyncio.sleep(0)
    async with asyncio.timeout(9):
        await ana.shutdown()
    await asyncio.gather(reading, return_exceptions=True)


async def test_who_opens_a_socket_goes_nowhere_else(server: Scripted) -> None:
    """Where an answer points to is not told who we are."""
    elsewhere = Scripted()
    await elsewhere.open()
    server.refusals.extend([(HTTPStatus.FOUND, {"Location": elsewhere.url.replace("http", "ws")})] * 50)
    client = ConversationsClient(ClientConfig(server_url=server.url, token="a", start_timeout=0.3, reconnect_min=0.05))
    with pytest.raises(InitializationError):
        await client.start()
    await client.shutdown()
    assert server.came >= 1 and elsewhere.came == 0
    await elsewhere.close()


@pytest.mark.parametrize("code", [401, 410, 308, 500])
async def test_a_server_that_greets_and_sends_away_is_left_alone(server: Scripted, code: int) -> None:
    asked = 0

    async def token(request: TokenRequest) -> str:
        nonlocal asked
        asked += 1
        return f"opaque {asked}"

    plain = server.welcome

    def send_away(init: frames.Frame) -> bytes | None:
        asyncio.get_running_loop().call_soon(lambda: closing.append(asyncio.ensure_future(server.say(goodbye))))
        return plain(init)

    closing: list[asyncio.Future[None]] = []
    goodbye = frames.close("TMclose", Status(code, "GO", "away"))
    server.welcome = send_away
    client = ConversationsClient(ClientConfig(server_url=server.url, token_provider=token, reconnect_min=0.1))
    starting = asyncio.create_task(client.start())
    await asyncio.sleep(1.0)
    # 0.1, 0.2, 0.4, 0.8 s between one and the next, a fifth more or less; twice at once where a token is to be had.
    assert 2 <= server.came <= 7 and asked <= 7
    await client.shutdown()
    await asyncio.gather(starting, *closing, return_exceptions=True)


async def test_a_token_that_is_always_about_to_end_is_renewed_now_and_then(server: Scripted) -> None:
    asked = 0

    async def token(request: TokenRequest) -> str:
        nonlocal asked
        asked += 1
        return f"opaque {asked}"

    client = ConversationsClient(ClientConfig(server_url=server.url, token_provider=token, reconnect_min=1))
    starting = asyncio.create_task(client.start())
    await until(lambda: server.came)
    for number in range(300):
        await server.say(frames.client_update(f"TM{number}", "token_about_to_expire"))
        await asyncio.sleep(0.001)
    assert asked <= 5
    await client.shutdown()
    await asyncio.gather(starting, return_exceptions=True)


async def test_handlers_that_look_like_functions_are_worked_off_in_order(stage: Stage) -> None:
    mine, his = await stage.in_room("ana", "ben")
    order: list[str | None] = []
    at_once = most = 0

    async def slow(event: MessageAdded) -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.002)
        order.append(event.message.body)
        at_once -= 1

    his.on(MessageAdded, lambda event: slow(event))
    for number in range(20):
        await mine.send(f"{number}")
    await until(lambda: len(order) == 20)
    assert order == [f"{number}" for number in range(20)] and most == 1


async def test_a_handler_that_says_it_was_cancelled_disturbs_nobody(stage: Stage) -> None:
    mine, his = await stage.in_room("ana", "ben")
    states: list[ConnectionState] = []

    def cancelled(event: TypingStarted) -> None:
        raise asyncio.CancelledError

    his.on(TypingStarted, cancelled)
    his._session.emitter.on(ConnectionStateChanged, lambda event: states.append(event.state))
    await mine.typing()
    await mine.send("still here")
    await until(lambda: his.last_message is not None)
    assert states == []


async def test_a_start_that_fails_says_what_kept_it(server: Scripted, caplog: pytest.LogCaptureFixture) -> None:
    server.refusals.extend([(HTTPStatus.NOT_FOUND, {})] * 50)
    client = ConversationsClient(ClientConfig(server_url=server.url, token="a", start_timeout=0.3, reconnect_min=0.05))
    with pytest.raises(InitializationError, match="HTTP 404"):
        await client.start()
    await client.shutdown()
    said = [record.getMessage() for record in caplog.records if "client.not_connected" in record.message]
    assert len(said) == 1 and "HTTP 404" in said[0], "once, until there is a connection"


async def test_a_token_provider_that_is_no_coroutine_function_is_named(server: Scripted) -> None:
    def token(request: TokenRequest) -> str:
        return "a"

    provider: Any = token
    client = ConversationsClient(ClientConfig(server_url=server.url, token_provider=provider, start_timeout=5))
    with pytest.raises(InitializationError) as refused:
        await client.start()
    assert "async def" in str(refused.value)
    await client.shutdown()


def test_a_host_that_is_none_is_refused_before_anything_happens() -> None:
    with pytest.raises(InvalidArgumentError):
        ConversationsClient(ClientConfig(server_url="http://a..b/", token="a"))


def all_bytes(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())
