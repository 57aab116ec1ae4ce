"""A start from what was kept: the last state at once, then what was missed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tertulia.client import ClientState, ConnectionState, ConversationsClient, ConversationSync
from tertulia.client.errors import InitializationError
from tertulia.client.events import ConversationAdded, ConversationRemoved, MessageAdded
from tertulia.client.sqlite_store import SqliteStore
from tertulia.server.domain.conversations import DeleteConversation, UpdateConversation

from .stage import Stage, until


async def first_visit(stage: Stage, path: Path, rooms: int = 1) -> list[str]:
    """The user was here once, with so many conversations, and has read the messages of the first."""
    sids = [await stage.room("ana", "ben") for _ in range(rooms)]
    for number in range(3):
        await stage.world.send(sids[0], f"{number}")
    ana = await stage.connect("ana", store=SqliteStore(path))
    await ana.known_conversations[sids[0]].last_messages(10)
    await ana.shutdown()
    return sids


def again(stage: Stage, path: Path, **options: object) -> ConversationsClient:
    return stage.client("ana", store=SqliteStore(path), **options)


async def test_the_last_state_is_shown_without_a_connection(stage: Stage, tmp_path: Path) -> None:
    sids = await first_visit(stage, tmp_path / "chat.db", rooms=40)
    stage.proxy.refuse()
    ana = again(stage, tmp_path / "chat.db")
    told: list[str] = []
    ana.on(ConversationAdded, lambda event: told.append(event.conversation.sid))
    await ana.start()
    assert ana.state is ClientState.READY and ana.connection_state is ConnectionState.CONNECTING
    assert (ana.identity, ana.me.identity, ana.me.is_subscribed) == ("ana", "ana", True)
    await ana.wait_synchronized(timeout=5)
    assert sorted(told) == sorted(sids) and ana.known_conversations.keys() == set(sids)
    room = ana.known_conversations[sids[0]]
    assert [message.body for message in room.loaded_messages.values()] == ["0", "1", "2"]
    assert {each.identity for each in room.participants.values()} == {"ana", "ben"}
    assert room.sync_status is ConversationSync.ALL


async def test_what_was_missed_comes_when_there_is_a_connection(stage: Stage, tmp_path: Path) -> None:
    first, second, third = await first_visit(stage, tmp_path / "chat.db", rooms=3)
    await stage.world.send(first, "while away")
    await stage.world.do(UpdateConversation, conversation=first, friendly_name="Renamed")
    await stage.world.add(first, "cid")
    await stage.world.do(DeleteConversation, conversation=second)
    fourth = await stage.room("ana")
    stage.proxy.refuse()
    ana = again(stage, tmp_path / "chat.db")
    told: list[str | None] = []
    ana.on(MessageAdded, lambda event: told.append(event.message.body))
    await ana.start()
    await ana.wait_synchronized(timeout=5)
    assert ana.known_conversations.keys() == {first, second, third}
    stage.proxy.record()
    stage.proxy.admit()
    await until(lambda: ana.known_conversations.keys() == {first, third, fourth})
    room = ana.known_conversations[first]
    await until(lambda: told == ["while away"] and room.friendly_name == "Renamed" and len(room.participants) == 3)
    assert [message.body for message in room.loaded_messages.values()] == ["0", "1", "2", "while away"]
    # Only what is new was opened: nothing of the first was asked for, but what comes after its last events.
    assert not any(first.encode() in said and b'"GET"' in said for said in stage.proxy.said())


async def test_a_start_that_was_cut_in_the_middle_keeps_no_half(stage: Stage, tmp_path: Path) -> None:
    sids = {await stage.room("ana") for _ in range(150)}
    for cut in (3, 6, 10, 20):
        ana = stage.client("ana", store=SqliteStore(tmp_path / "chat.db"))
        await ana.start()
        for _ in range(cut):
            await asyncio.sleep(0.002)
        await ana.shutdown()
    ana = await stage.connect("ana", store=SqliteStore(tmp_path / "chat.db"))
    assert ana.known_conversations.keys() == sids
    assert all(len(room.participants) == 1 for room in ana.known_conversations.values())


async def test_another_user_sees_nothing_of_it_and_logging_out_forgets_it(stage: Stage, tmp_path: Path) -> None:
    path = tmp_path / "chat.db"
    [sid] = await first_visit(stage, path)
    stage.proxy.refuse()
    with pytest.raises(InitializationError):
        await stage.client("ben", store=SqliteStore(path), start_timeout=0.3).start()
    stage.proxy.admit()
    ana = await stage.connect("ana", store=SqliteStore(path))
    assert sid in ana.known_conversations
    await ana.logout()
    stage.proxy.refuse()
    with pytest.raises(InitializationError):
        await again(stage, path, start_timeout=0.3).start()


async def test_who_turns_out_to_be_another_user_is_shown_nothing_of_the_last(stage: Stage, tmp_path: Path) -> None:
    """Whose token a provider gives is known only when it does; until then it is whoever was here before."""
    path = tmp_path / "chat.db"
    [shared, hers] = await first_visit(stage, path, rooms=1) + [await stage.room("ana")]
    ana = again(stage, path, outbox=True)
    await ana.start()
    await until(lambda: ana.known_conversations.keys() == {shared, hers})
    await ana.known_conversations[hers].ready(timeout=5)
    await ana.shutdown()

    async def bens_token(request: object) -> str:
        return stage.token("ben")

    stage.proxy.refuse()
    ben = stage.client("", token_provider=bens_token, store=SqliteStore(path), outbox=True)
    removed: list[str] = []
    ben.on(ConversationRemoved, lambda event: removed.append(event.conversation.sid))
    await ben.start()
    await ben.wait_synchronized(timeout=5)
    last_users = dict(ben.known_conversations)
    assert last_users.keys() == {shared, hers}
    await last_users[shared].post("written in the name of ana")
    stage.proxy.admit()
    await until(lambda: sorted(removed) == sorted((shared, hers)))
    await until(lambda: ben.identity == "ben" and ben.known_conversations.keys() == {shared})
    assert ben.me.identity == "ben"
    room = await ben.known_conversations[shared].ready(timeout=5)
    assert room is not last_users[shared] and not room.pending_messages
    assert (await (await room.send("from ben")).get_participant()).identity == "ben"
    await ben.shutdown()
    stage.proxy.refuse()
    ana = again(stage, path, outbox=True)
    await ana.start()
    await ana.wait_synchronized(timeout=5)
    assert ana.known_conversations.keys() == {shared, hers}
    assert [each.body for each in ana.known_conversations[shared].pending_messages] == ["written in the name of ana"]


async def test_messages_written_before_a_restart_without_a_connection_arrive_after_it(
    stage: Stage, tmp_path: Path
) -> None:
    path = tmp_path / "chat.db"
    [sid] = await first_visit(stage, path)
    stage.proxy.refuse()
    ana = again(stage, path, outbox=True)
    await ana.start()
    await ana.wait_synchronized(timeout=5)
    for number in range(3):
        await ana.known_conversations[sid].post(f"written offline {number}")
    await ana.shutdown()
    ana = again(stage, path, outbox=True)
    await ana.start()
    await ana.wait_synchronized(timeout=5)
    room = ana.known_conversations[sid]
    assert [each.body for each in room.pending_messages] == [f"written offline {number}" for number in range(3)]
    stage.proxy.admit()
    await until(lambda: not room.pending_messages)
    await until(
        lambda: (
            [each.body for each in room.loaded_messages.values()][3:]
            == [f"written offline {number}" for number in range(3)]
        )
    )
