"""The outbox: written at any time, seen at once, delivered exactly once and in order."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from textwrap import dedent
from typing import Any, cast

import pytest

from tertulia.client import ConnectionState, Conversation, ConversationsClient, TokenRequest, sqlite_thread
from tertulia.client.draft import MessageDraft
from tertulia.client.errors import (
    ApiError,
    ClientShutDownError,
    InitializationError,
    InvalidArgumentError,
    OutboxError,
    OutboxFullError,
    StoreError,
    StoreInUseError,
)
from tertulia.client.events import MessageFailed, MessagePending, MessageSent
from tertulia.client.media import FileToSend
from tertulia.client.model.message import Message
from tertulia.client.outbox import Outbox, PendingMessage, PendingState
from tertulia.client.sqlite_store import SqliteStore
from tertulia.client.store import OutboxRow
from tertulia.server.domain.participants import RemoveParticipant
from tertulia.server.jobs.media import OrphanRemover

from .outbox_world import Fate, Process, World
from .scripted import settle
from .stage import PATIENCE_S, Stage, until

TOO_LONG = "x" * 40_000


class Desk:
    """Ana writes through her outbox, Ben reads."""

    def __init__(self, stage: Stage, client: ConversationsClient, mine: Conversation, his: Conversation) -> None:
        self.stage = stage
        self.client = client
        self.mine = mine
        self.his = his
        self.told: list[tuple[str, str | None]] = []
        for kind in (MessagePending, MessageSent, MessageFailed):
            mine.on(kind, self._hear)

    def _hear(self, event: MessagePending | MessageSent | MessageFailed) -> None:
        message = event.message if isinstance(event, MessagePending) else event.pending
        self.told.append((type(event).__name__, message.body))

    async def read(self) -> list[str | None]:
        """What is in the conversation, as somebody else reads it."""
        return [message.body async for message in self.his.messages(newest_first=False)]

    async def cut(self) -> None:
        """There is no connection, and the client knows it."""
        self.stage.proxy.refuse()
        await until(lambda: self.client.connection_state is not ConnectionState.CONNECTED)

    async def written(self, count: int) -> None:
        """The server has this many messages."""
        async with asyncio.timeout(PATIENCE_S):
            while await self.stage.world.count("messages") < count:  # noqa: ASYNC110 (another's database)
                await asyncio.sleep(0.005)

    async def forget_answers(self) -> None:
        """Eleven minutes go by, and the server forgets what it answered."""
        self.stage.pass_time(660)
        await self.stage.world.sql("DELETE FROM mutations")


@pytest.fixture
async def desk(stage: Stage) -> Desk:
    return await at_one_table(stage)


async def at_one_table(stage: Stage, **options: object) -> Desk:
    sid = await stage.room("ana", "ben")
    ana, ben = await stage.connect("ana", outbox=True, **options), await stage.connect("ben")
    return Desk(stage, ana, await ready(ana, sid), await ready(ben, sid))


async def ready(client: ConversationsClient, sid: str) -> Conversation:
    return await (await client.get_conversation(sid)).ready(timeout=PATIENCE_S)


async def arrived(*messages: PendingMessage) -> list[int]:
    async with asyncio.timeout(PATIENCE_S):
        return [(await message.sent()).index for message in messages]


# --- the usual


async def test_a_message_is_pending_at_once_and_then_sent(desk: Desk) -> None:
    pending = await desk.mine.post("hello", attributes={"a": 1})
    assert (pending.body, pending.attributes, pending.error) == ("hello", {"a": 1}, None)
    assert pending.state in (PendingState.PENDING, PendingState.SENDING)
    assert pending.conversation is desk.mine and list(desk.mine.pending_messages) == [pending]
    message = await pending.sent()
    assert message is desk.mine.loaded_messages[0] and message.body == "hello" and message.attributes == {"a": 1}
    assert (pending.state, pending.sid, pending.index) == (PendingState.SENT, message.sid, 0)
    assert await pending.sent() is message and not desk.mine.pending_messages
    await until(lambda: len(desk.told) == 2)
    assert desk.told == [("MessagePending", "hello"), ("MessageSent", "hello")]
    assert "hello" not in repr(pending)


async def test_what_was_written_without_a_connection_arrives_in_order(desk: Desk) -> None:
    await desk.cut()
    pending = [await desk.mine.post(f"{number}") for number in range(20)]
    assert list(desk.mine.pending_messages) == pending
    assert {message.state for message in pending} == {PendingState.PENDING}
    desk.stage.proxy.admit()
    assert await arrived(*pending) == list(range(20))
    assert await desk.read() == [f"{number}" for number in range(20)]


async def test_sending_waits_for_what_was_written_before(desk: Desk) -> None:
    desk.stage.proxy.refuse()
    before = await desk.mine.post("first")
    sending = asyncio.ensure_future(desk.mine.send("second"))
    await until(lambda: len(desk.mine.pending_messages) == 2)
    desk.stage.proxy.admit()
    async with asyncio.timeout(PATIENCE_S):
        assert (await sending).index == 1 and (await before.sent()).index == 0


async def test_a_conversation_does_not_wait_for_another(stage: Stage) -> None:
    rooms = [await stage.room("ana") for _ in range(12)]
    ana = await stage.connect("ana", outbox=True)
    stage.proxy.refuse()
    pending = [await (await ana.get_conversation(sid)).post(f"{number}") for number in range(3) for sid in rooms]
    stage.proxy.admit()
    assert await arrived(*pending) == [number for number in range(3) for _ in rooms]


# --- lost


@pytest.mark.parametrize("minutes_pass", [False, True])
async def test_a_lost_answer_makes_no_second_message(desk: Desk, minutes_pass: bool) -> None:
    desk.stage.proxy.admit_no_more()
    desk.stage.proxy.swallow_next_answer()
    pending = [await desk.mine.post("ok") for _ in range(3)]
    await desk.written(1)
    await desk.cut()
    assert pending[0].state is PendingState.SENDING and await desk.stage.world.count("messages") == 1
    if minutes_pass:
        await desk.forget_answers()
    desk.stage.proxy.admit()
    assert await arrived(*pending) == [0, 1, 2]
    assert await desk.read() == ["ok"] * 3


@pytest.mark.parametrize("minutes_pass", [False, True])
async def test_a_lost_request_is_sent_again(desk: Desk, minutes_pass: bool) -> None:
    desk.stage.proxy.stall()
    pending = [await desk.mine.post("ok") for _ in range(3)]
    await until(lambda: pending[0].state is PendingState.SENDING)
    await desk.cut()
    desk.stage.proxy.resume()
    if minutes_pass:
        await desk.forget_answers()
    desk.stage.proxy.admit()
    assert await arrived(*pending) == [0, 1, 2]
    assert await desk.read() == ["ok"] * 3


async def test_many_lost_answers_in_a_row(desk: Desk) -> None:
    pending = [await desk.mine.post(f"{number}") for number in range(8)]
    for _ in range(5):
        desk.stage.proxy.swallow_next_answer()
        await asyncio.sleep(0.02)
    assert await arrived(*pending) == list(range(8))
    assert await desk.read() == [f"{number}" for number in range(8)]


# --- whatever the device's clock says

HOUR_S, YEAR_S = 3600, 365 * 86_400


@pytest.mark.parametrize(
    ("before", "after"),
    [
        *((off_s, off_s) for off_s in (90, -90, 300, -300, YEAR_S, -YEAR_S)),
        (0, -300),
        (0, -HOUR_S),
        (0, YEAR_S),
        (YEAR_S, 0),
    ],
)
@pytest.mark.parametrize("is_first", [True, False])
async def test_a_lost_answer_makes_no_second_message_by_any_clock(
    stage: Stage, before: float, after: float, is_first: bool
) -> None:
    off_s = before
    desk = await at_one_table(stage, clock=lambda: stage.now() + off_s)
    expected = ["ok"]
    if not is_first:
        await arrived(await desk.mine.post("warm"))
        expected.insert(0, "warm")
    stage.proxy.admit_no_more()
    stage.proxy.swallow_next_answer()
    pending = await desk.mine.post("ok")
    await desk.written(len(expected))
    await desk.cut()
    off_s = after
    await desk.forget_answers()
    stage.proxy.admit()
    await arrived(pending)
    assert await desk.read() == expected


async def test_a_clock_that_was_set_back_keeps_nothing_waiting() -> None:
    # This server knows nothing by its id: what it may still be at is waited for.
    world = World([Fate.ANSWER_LOST], [], 0, 0, replay_s=0, settings={4: -float(YEAR_S)})
    process = Process(world, settle_s=0.03, steady=time.monotonic)
    process.outbox.connected()
    message = await process.outbox.put("CHa", MessageDraft(body="ok"))
    await arrived(message)
    assert texts(world) == ["ok"] and world.off_s < 0
    await process.end()


@pytest.mark.parametrize("off_s", [0.0, float(HOUR_S), -float(YEAR_S)])
async def test_the_same_words_from_another_device_long_after_are_another_message(off_s: float) -> None:
    world = World([Fate.DONE, Fate.LONG_WITHOUT_REQUEST], [], off_s, 0)
    process = Process(world)
    process.outbox.connected()
    # With its answer comes the server's time.
    await arrived(await process.outbox.put("CHa", MessageDraft(body="first")))
    world.meanwhile.append(("CHa", "alice", "ok"))
    await arrived(await process.outbox.put("CHa", MessageDraft(body="ok")))
    assert texts(world) == ["first", "ok", "ok"]
    await process.end()


async def test_one_that_may_have_arrived_is_not_taken_for_the_same_words_written_later() -> None:
    class Moody(Process):
        is_moody = False

        async def messages(self, sid: str, after: int | None) -> AsyncGenerator[Message, None]:
            if self.is_moody and after is not None:
                raise OutboxError("not now")
            async for message in super().messages(sid, after):
                yield message

    world = World([Fate.LONG_WITHOUT_REQUEST], [], 0, 0)
    process = Moody(world)
    process.is_moody = True
    process.outbox.connected()
    first, second = [await process.outbox.put("CHa", MessageDraft(body="ok")) for _ in range(2)]
    with pytest.raises(OutboxError):
        await first.sent()
    await arrived(second)
    process.is_moody = False
    await first.retry()
    await arrived(first)
    assert texts(world) == ["ok", "ok"]
    await process.end()


# --- what is no message


@pytest.mark.parametrize("is_kept", [True, False])
@pytest.mark.parametrize(
    "draft",
    [
        MessageDraft(body="no text \ud800"),
        MessageDraft(body=cast("str", b"bytes")),
        MessageDraft(body="x", subject="\udfff"),
        MessageDraft(body="x", attributes={"x": object()}),
        MessageDraft(body="x", attributes={(1, 2): 3}),
        MessageDraft(body="x", email_bodies={"text/plain": "\ud800"}),
        MessageDraft(content_sid="HX1", content_variables={"1": cast("str", object())}),
        MessageDraft(content_sid="HX1", content_variables={"1": cast("str", 5)}),
    ],
    ids=["body", "bytes", "subject", "attributes", "keys", "email", "variables", "variable"],
)
async def test_what_is_no_message_is_refused_at_once_and_keeps_nothing_waiting(
    draft: MessageDraft, is_kept: bool
) -> None:
    world = World([], [], 0, 0)
    process = Process(world, is_kept=is_kept)
    process.outbox.connected()
    with pytest.raises(InvalidArgumentError):
        await process.outbox.put("CHa", draft)
    assert not len(process.outbox) and not world.disk
    await arrived(await process.outbox.put("CHa", MessageDraft(body="behind it")))
    assert texts(world) == ["behind it"]
    await process.end()


async def test_attributes_are_those_of_the_moment_in_which_they_were_written(desk: Desk) -> None:
    desk.stage.proxy.refuse()
    attributes: dict[Any, Any] = {1: (2, 3)}
    pending = await desk.mine.post("hello", attributes=attributes)
    attributes["later"] = object()
    desk.stage.proxy.admit()
    await arrived(pending)
    assert pending.attributes == desk.mine.loaded_messages[0].attributes == {"1": [2, 3]}


async def test_a_file_whose_name_is_no_text_is_sent(stage: Stage, tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.txt"))
    path.write_bytes(b"coffee")  # noqa: ASYNC240 (a test)
    desk = await at_one_table(stage, store=SqliteStore(tmp_path / "chat.db", clock=stage.now))
    stage.proxy.refuse()
    await desk.mine.post(media=[FileToSend(path)])
    await desk.mine.post(media=[FileToSend(b"tea", filename="th\udce9.txt")])
    await desk.client.shutdown()
    stage.proxy.admit()
    await stage.connect("ana", outbox=True, store=SqliteStore(tmp_path / "chat.db", clock=stage.now))
    await until(lambda: len(desk.his.loaded_messages) == 2)
    media = [message.media[0] for message in desk.his.loaded_messages.values()]
    assert [await each.download() for each in media] == [b"coffee", b"tea"]
    assert all((each.filename or "").endswith(".txt") for each in media)


async def test_what_the_application_does_with_progress_stops_no_message(desk: Desk) -> None:
    def fails(sent: int, size: int | None) -> None:
        raise KeyError(sent)

    await arrived(await desk.mine.post(media=[FileToSend(b"hello", progress=fails)]), await desk.mine.post("behind it"))


async def test_a_message_that_breaks_what_sends_it_fails_alone() -> None:
    class Odd(Process):
        """An application's own store, with errors of its own."""

        async def change(self, row: OutboxRow) -> None:
            if b"odd" in row.content and b'"failed"' not in row.content:
                raise KeyError(row.id)
            await super().change(row)

    world = World([], [], 0, 0)
    process = Odd(world)
    process.outbox.connected()
    odd, good = [await process.outbox.put("CHa", MessageDraft(body=body)) for body in ("odd", "good")]
    with pytest.raises(OutboxError):
        await odd.sent()
    await arrived(good)
    assert odd.state is PendingState.FAILED and texts(world) == ["good"]
    await odd.discard()
    await process.end()


async def test_a_store_that_fails_in_its_own_way_keeps_nothing_waiting() -> None:
    class Odd(Process):
        async def add(self, row: OutboxRow, files: Sequence[bytes] = ()) -> None:
            if b"odd" in row.content:
                raise KeyError(row.id)
            await super().add(row, files)

    world = World([], [], 0, 0)
    process = Odd(world)
    process.outbox.connected()
    with pytest.raises(KeyError):
        await process.outbox.put("CHa", MessageDraft(body="odd"))
    await arrived(await process.outbox.put("CHa", MessageDraft(body="good")))
    assert not process.outbox.pending() and texts(world) == ["good"]
    await process.end()


async def test_those_behind_a_dropped_message_do_not_wait_out_its_rest() -> None:
    process = Process(World([Fate.THROTTLED], [], 0, 0), rest_s=3600)
    process.outbox.connected()
    first, second = [await process.outbox.put("CHa", MessageDraft(body=body)) for body in ("first", "second")]
    await until(lambda: not process.world.fates)
    await settle()
    await first.discard()
    await arrived(second)
    assert texts(process.world) == ["second"]
    await process.end()


# --- refused


async def test_a_refused_message_fails_and_the_next_go_on(desk: Desk) -> None:
    bad, good = await desk.mine.post(TOO_LONG), await desk.mine.post("good")
    with pytest.raises(ApiError) as refused:
        await bad.sent()
    assert await arrived(good) == [0]
    assert (refused.value.code, bad.state, bad.error) == (50504, PendingState.FAILED, refused.value)
    assert list(desk.mine.pending_messages) == [bad] and ("MessageFailed", TOO_LONG) in desk.told
    await bad.retry()
    with pytest.raises(ApiError):
        await bad.sent()
    await bad.discard()
    assert not desk.mine.pending_messages
    with pytest.raises(OutboxError):
        await bad.sent()
    with pytest.raises(OutboxError):
        await bad.retry()


async def test_a_failed_message_is_sent_again_behind_the_others() -> None:
    process = Process(World([Fate.REFUSED], [], 0, 0))
    process.outbox.connected()
    first, second = [await process.outbox.put("CHa", MessageDraft(body=body)) for body in ("first", "second")]
    with pytest.raises(ApiError):
        await first.sent()
    await first.retry()
    assert (await first.sent()).index == 1 and (await second.sent()).index == 0
    await process.outbox.close()


async def test_a_message_that_waits_can_be_dropped(desk: Desk) -> None:
    desk.stage.proxy.refuse()
    kept, dropped = await desk.mine.post("kept"), await desk.mine.post("dropped")
    await dropped.discard()
    with pytest.raises(OutboxError):
        await kept.retry()
    desk.stage.proxy.admit()
    assert await arrived(kept) == [0]
    assert await desk.read() == ["kept"]


async def test_a_message_that_has_gone_out_cannot_be_dropped(desk: Desk) -> None:
    desk.stage.proxy.stall()
    pending = await desk.mine.post("out")
    await until(lambda: pending.state is PendingState.SENDING)
    with pytest.raises(OutboxError):
        await pending.discard()
    desk.stage.proxy.resume()
    assert await arrived(pending) == [0]


async def test_who_is_no_longer_there_is_told_so(desk: Desk) -> None:
    desk.stage.proxy.refuse()
    pending = await desk.mine.post("too late")
    me = next(each for each in desk.mine.participants.values() if each.identity == "ana")
    await desk.stage.world.do(RemoveParticipant, conversation=desk.mine.sid, participant=me.sid)
    desk.stage.proxy.admit()
    async with asyncio.timeout(PATIENCE_S):
        with pytest.raises(ApiError):
            await pending.sent()
    assert pending.state is PendingState.FAILED


# --- files


async def test_files_are_uploaded_and_sent_with_their_message(desk: Desk, tmp_path: Path) -> None:
    path = tmp_path / "note.txt"
    path.write_bytes(b"from a path")
    desk.stage.proxy.refuse()
    pending = await desk.mine.post(
        "look", media=[FileToSend(path), FileToSend(b"from memory", content_type="text/csv", filename="a.csv")]
    )
    assert [(file.filename, file.size) for file in pending.media] == [("note.txt", 11), ("a.csv", 11)]
    desk.stage.proxy.admit()
    await arrived(pending)
    await until(lambda: desk.his.loaded_messages)
    media = desk.his.loaded_messages[0].media
    assert [await each.download() for each in media] == [b"from a path", b"from memory"]
    assert [(each.filename, each.content_type) for each in media] == [("note.txt", "text/plain"), ("a.csv", "text/csv")]


async def test_files_that_the_server_has_dropped_meanwhile_are_uploaded_again(desk: Desk) -> None:
    stage = desk.stage
    # What clients say by themselves after a start is said when this is heard.
    await desk.mine.send("hello")
    await until(lambda: desk.his.loaded_messages)
    stage.proxy.lose_request_after(b"these very words")
    pending = await desk.mine.post("look", media=[FileToSend(b"these very words", content_type="text/plain")])
    await until(lambda: pending.state is PendingState.SENDING)
    await desk.cut()
    stage.pass_time(400)
    remover = OrphanRemover(stage.world.queries.media, stage.world.engine, stage.world.clock, stage.settings.media)
    assert await remover.forget() == 1
    stage.proxy.admit()
    message = await pending.sent()
    assert [await each.download() for each in message.media] == [b"these very words"]
    assert await stage.world.count("messages") == 2


async def test_a_file_that_is_not_there_any_more_fails_the_message(desk: Desk, tmp_path: Path) -> None:
    path = tmp_path / "note.txt"
    path.write_bytes(b"gone soon")
    desk.stage.proxy.refuse()
    pending = await desk.mine.post(media=[FileToSend(path)])
    path.unlink()
    desk.stage.proxy.admit()
    async with asyncio.timeout(PATIENCE_S):
        with pytest.raises((OutboxError, InvalidArgumentError)):
            await pending.sent()


# --- limits, and the end


async def test_no_more_than_a_thousand_messages_wait() -> None:
    world = World([], [], 0, 0)
    outbox = Process(world).outbox
    for _ in range(1000):
        await outbox.put("CHa", MessageDraft(body="ok"))
    with pytest.raises(OutboxFullError):
        await outbox.put("CHa", MessageDraft(body="one too many"))
    await outbox.pending()[7].discard()
    await outbox.put("CHa", MessageDraft(body="ok"))
    await outbox.close()


async def test_the_end_of_the_client_is_told_to_who_waits(desk: Desk) -> None:
    desk.stage.proxy.refuse()
    pending = await desk.mine.post("waits")
    waiting = asyncio.ensure_future(pending.sent())
    await asyncio.sleep(0)
    await desk.client.shutdown()
    with pytest.raises(ClientShutDownError):
        await waiting
    with pytest.raises(ClientShutDownError):
        await desk.mine.post("never")


async def test_without_an_outbox_nothing_is_posted(stage: Stage) -> None:
    [room] = await stage.in_room("ana")
    with pytest.raises(InvalidArgumentError):
        await room.post("hello")
    assert not room.pending_messages


# --- with a store


async def test_what_waits_survives_a_restart(stage: Stage, tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "chat.db", clock=stage.now)
    desk = await at_one_table(stage, store=store)
    mine, his = desk.mine, desk.his
    first = await mine.post("first")
    await arrived(first)
    await desk.cut()
    await mine.post("second", attributes={"a": 1}, media=[FileToSend(b"hello", content_type="text/plain")])
    await mine.post("third")
    await desk.client.shutdown()

    again = stage.client("ana", outbox=True, store=store)
    await again.start()
    room = again.known_conversations.get(mine.sid) or await again.get_conversation(mine.sid)
    waiting = list(room.pending_messages)
    assert [(each.body, each.state) for each in waiting] == [
        ("second", PendingState.PENDING),
        ("third", PendingState.PENDING),
    ]
    assert waiting[0].attributes == {"a": 1} and [file.size for file in waiting[0].media] == [5]
    stage.proxy.admit()
    assert await arrived(*waiting) == [1, 2]
    assert [message.body async for message in his.messages(newest_first=False)] == ["first", "second", "third"]
    assert [await each.download() for each in room.loaded_messages[1].media] == [b"hello"]


async def test_what_waits_is_sent_in_nobody_elses_name(stage: Stage, tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "chat.db", clock=stage.now)
    desk = await at_one_table(stage, store=store)
    await desk.cut()
    await desk.mine.post("from ana")
    await desk.client.shutdown()
    stage.proxy.admit()

    async def of_ben(request: TokenRequest) -> str:
        return stage.token("ben")

    # Who it is shows when the token comes, which is after the start from what was kept of ana.
    ben = stage.client("ben", outbox=True, store=store, token_provider=of_ben)
    await ben.start()
    await until(lambda: ben.identity == "ben")
    room = await ready(ben, desk.mine.sid)
    await arrived(await room.post("from ben"))
    assert await desk.read() == ["from ben"]
    await ben.shutdown()

    ana = await stage.connect("ana", outbox=True, store=store)
    await until(lambda: not any(each.pending_messages for each in ana.known_conversations.values()))
    await until(lambda: len(desk.his.loaded_messages) == 2)
    assert [(message.author, message.body) for message in desk.his.loaded_messages.values()] == [
        ("ben", "from ben"),
        ("ana", "from ana"),
    ]


async def test_a_store_is_for_one_client_at_a_time(stage: Stage, tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "chat.db", clock=stage.now)
    desk = await at_one_table(stage, store=store)
    ben = stage.client("ben", outbox=True, store=store)
    with pytest.raises(InitializationError) as refused:
        await ben.start()
    assert isinstance(refused.value.__cause__, StoreInUseError) and "another client" in str(refused.value)
    await ben.shutdown()
    await desk.cut()
    await desk.mine.post("from ana")
    await desk.client.shutdown()
    stage.proxy.admit()

    ben = await stage.connect("ben", outbox=True, store=store)
    await arrived(await (await ready(ben, desk.mine.sid)).post("from ben"))
    assert [(message.author, message.body) async for message in desk.his.messages()] == [("ben", "from ben")]


async def test_a_message_that_is_not_kept_in_time_is_not_there_later(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Slow(bytes):
        def __conform__(self, protocol: object) -> bytes:
            time.sleep(0.15)
            return bytes(self)

    store = SqliteStore(tmp_path / "chat.db", clock=stage.now)
    desk = await at_one_table(stage, store=store)
    with monkeypatch.context() as patch:
        patch.setattr(sqlite_thread, "PATIENCE_S", 0.03)
        with pytest.raises(StoreError):
            await desk.mine.post("hello", media=[FileToSend(Slow(b"hello"))])
        with pytest.raises(StoreError):
            await desk.mine.post("hello")
        assert not desk.mine.pending_messages
    await arrived(await desk.mine.post("hello"))
    await desk.client.shutdown()
    await stage.connect("ana", outbox=True, store=store)
    await settle()
    assert await desk.read() == ["hello"] and not store.rows()


CHILD = dedent(
    """
    import asyncio, sys
    from pathlib import Path
    from tertulia.client import ClientConfig, ConversationsClient
    from tertulia.client.sqlite_store import SqliteStore

    url, token, now, path, sid = sys.argv[1:]

    async def main():
        config = ClientConfig(
            server_url=url, token=token, clock=lambda: float(now), outbox=True, reconnect_min=0.05, reconnect_max=0.2,
            store=SqliteStore(path, clock=lambda: float(now)),
        )
        async with ConversationsClient(config) as client:
            room = await (await client.get_conversation(sid)).ready()
            print("ready", flush=True)
            await asyncio.to_thread(sys.stdin.readline)
            for number in range(3):
                await room.post("ok" if number else "first")
            print("posted", flush=True)
            await asyncio.sleep(60)

    asyncio.run(main())
    """
)


@pytest.mark.parametrize("minutes_pass", [False, True])
@pytest.mark.parametrize("lost", ["request", "answer"])
async def test_a_killed_process_sends_nothing_twice_and_loses_nothing(
    stage: Stage, tmp_path: Path, lost: str, minutes_pass: bool
) -> None:
    sid = await stage.room("ana", "ben")
    path = tmp_path / "chat.db"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, stage.url, stage.token("ana"), str(stage.now()), str(path), sid,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None and process.stdout is not None
    async with asyncio.timeout(PATIENCE_S):
        assert await process.stdout.readline() == b"ready\n"
        stage.proxy.admit_no_more()
        if lost == "request":
            stage.proxy.stall()
        else:
            stage.proxy.swallow_next_answer()
        process.stdin.write(b"go\n")
        assert await process.stdout.readline() == b"posted\n"
        while lost == "answer" and not await stage.world.count("messages"):  # noqa: ASYNC110 (another's database)
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.05)
    process.kill()
    await process.wait()
    process.stdin.close()
    stage.proxy.refuse()
    stage.proxy.resume()
    if minutes_pass:
        stage.pass_time(660)
        await stage.world.sql("DELETE FROM mutations")
    stage.proxy.admit()

    ana = await stage.connect("ana", outbox=True, store=SqliteStore(path, clock=stage.now))
    room = await ready(ana, sid)
    await until(lambda: not room.pending_messages)
    his = await ready(await stage.connect("ben"), sid)
    assert [message.body async for message in his.messages(newest_first=False)] == ["first", "ok", "ok"]


async def test_a_message_that_cannot_be_kept_is_not_taken(stage: Stage, tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "chat.db", clock=stage.now)
    mine = (await at_one_table(stage, store=store)).mine
    await store.close()
    with pytest.raises(StoreError):
        await mine.post("hello")
    assert not mine.pending_messages and await stage.world.count("messages") == 0


# --- how a message is recognised


async def settled(world: World, bodies: list[str]) -> Outbox:
    """What was written at last, sent by a process that lives long enough."""
    process = Process(world)
    process.outbox.restore()
    process.outbox.connected()
    for body in bodies:
        await process.outbox.put("CHa", MessageDraft(body=body))
    async with asyncio.timeout(PATIENCE_S):
        while process.outbox.pending():  # noqa: ASYNC110 (everything has to be over)
            await asyncio.sleep(0.001)
    await process.outbox.close()
    return process.outbox


def texts(world: World) -> list[str | None]:
    return [message.body for message in world.conversations.get("CHa", [])]


async def test_a_server_that_recognises_nothing_gets_no_message_twice() -> None:
    world = World([Fate.ANSWER_LOST, Fate.REQUEST_LOST, Fate.ANSWER_LOST], [], 0, 0, replay_s=0)
    await settled(world, ["ok", "ok", "ok"])
    assert texts(world) == ["ok"] * 3


async def test_the_same_words_of_before_are_another_message() -> None:
    world = World([Fate.LONG_WITHOUT_REQUEST], [], 0, 0)
    world.say("CHa", "alice", "ok")
    await settled(world, ["ok"])
    assert texts(world) == ["ok", "ok"]


async def test_the_same_words_of_somebody_else_are_another_message() -> None:
    world = World([Fate.LONG_WITHOUT_REQUEST], [], 0, 5)
    world.say("CHa", "bob", "ok")
    await settled(world, ["ok"])
    assert texts(world) == ["ok", "ok"]


@pytest.mark.parametrize("is_there", [True, False])
async def test_a_conversation_of_which_nothing_is_known_is_read_from_its_end(is_there: bool) -> None:
    world = World([Fate.LONG_WITHOUT_ANSWER if is_there else Fate.LONG_WITHOUT_REQUEST], [], 0, None)
    world.say("CHa", "alice", "ok")
    world.now += 3600
    await settled(world, ["ok"])
    assert texts(world) == ["ok", "ok"]
