"""What the owner demands of client libraries, each statement against the real server."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import threading
import weakref
from pathlib import Path

import pytest

from tertulia.client import (
    ClientState,
    ClientSync,
    ConnectionState,
    Conversation,
    ConversationsClient,
    ConversationStatus,
    ConversationSync,
    PushConfig,
    TokenReason,
    TokenRequest,
)
from tertulia.client.errors import (
    ClientNotReadyError,
    ClientShutDownError,
    InitializationError,
    InvalidArgumentError,
    TokenTtlTooShortError,
)
from tertulia.client.events import (
    ConnectionStateChanged,
    ConversationAdded,
    ConversationSyncChanged,
    MessageAdded,
    MessageUpdated,
    SyncStatusChanged,
    TokenAboutToExpire,
    TokenExpired,
    TokenUpdated,
)
from tertulia.client.push_store import FilePushStore
from tertulia.client.token_store import FileTokenStore
from tertulia.server.domain.receipts import ExpectReceipts, RecordReceipt
from tertulia.server.domain.services import ConfigureService

from .stage import Stage, until

FIVE_MINUTES_S = 300


@pytest.mark.owner_demand(1)
async def test_values_change_by_events_and_who_waits_gets_them(stage: Stage) -> None:
    ana = await stage.connect("ana")
    room = await ana.create_conversation(friendly_name="Before", join=True)
    await room.update(friendly_name="After", wait=False)
    # The answer has come; the value comes with its event, before or after.
    await until(lambda: room.friendly_name == "After")
    await room.update(friendly_name="Once more")
    assert room.friendly_name == "Once more"


@pytest.mark.owner_demand(2)
async def test_a_client_comes_back_by_itself_and_nothing_is_lost_repeated_or_out_of_order(stage: Stage) -> None:
    mine, his = await stage.hosted("ana", "ben")
    heard: list[str | None] = []
    his.on(MessageAdded, lambda event: heard.append(event.message.body))
    for number in range(30):
        if number % 3 == 0:
            stage.proxy.reset()
        await stage.world.send(mine.sid, f"{number}")
        await asyncio.sleep(0.01)
    await until(lambda: len(heard) == 30)
    assert heard == [f"{number}" for number in range(30)]
    assert his.status is ConversationStatus.JOINED


@pytest.mark.owner_demand(2)
async def test_a_server_that_is_away_for_a_while_is_found_again(stage: Stage) -> None:
    [room] = await stage.hosted("ana")
    heard: list[str | None] = []
    room.on(MessageAdded, lambda event: heard.append(event.message.body))
    await stage.stop()
    await stage.start_again()
    await stage.world.send(room.sid, "still there?")
    await until(lambda: heard == ["still there?"])


@pytest.mark.owner_demand(3)
async def test_a_socket_that_died_in_silence_is_noticed_on_return_to_the_foreground(stage: Stage) -> None:
    ana = await stage.connect("ana")
    room = await ana.create_conversation(join=True)
    states: list[ConnectionState] = []
    ana.on(ConnectionStateChanged, lambda event: states.append(event.state))
    stage.proxy.stall()
    await stage.world.send(room.sid, "while away")
    ana.foreground()
    # Nobody answers on the old socket, which the client finds out by asking.
    await until(lambda: ConnectionState.CONNECTING in states)
    stage.proxy.reset()
    stage.proxy.resume()
    await until(lambda: [message.body for message in room.loaded_messages.values()] == ["while away"])


@pytest.mark.owner_demand(4)
async def test_a_shutdown_says_goodbye_and_the_user_is_offline_at_once(stage: Stage) -> None:
    await stage.world.do(ConfigureService, reachability_enabled=True)
    ana, ben = await stage.connect("ana"), await stage.connect("ben")
    user = await ana.get_user("ben")
    await until(lambda: user.is_online)
    await ben.shutdown()
    assert (ben.state, ben.connection_state) == (ClientState.SHUT_DOWN, ConnectionState.DISCONNECTED)
    await until(lambda: user.is_online is False)
    # A lost network, however, is no end.
    stage.proxy.reset()
    await until(lambda: ana.connection_state is ConnectionState.CONNECTED)
    assert ana.state is ClientState.READY


@pytest.mark.owner_demand(5)
async def test_a_client_that_was_shut_down_refuses_everything(stage: Stage) -> None:
    ana = await stage.connect("ana")
    room = await ana.create_conversation(join=True)
    message = await room.send("last words")
    waiting = asyncio.ensure_future(ana.wait_for(ConversationAdded))
    await asyncio.sleep(0)
    await ana.shutdown()
    await ana.shutdown()
    with pytest.raises(ClientShutDownError):
        await waiting
    for call in (
        ana.start,
        lambda: ana.get_conversation(room.sid),
        lambda: ana.create_conversation(),
        lambda: ana.get_user("ben"),
        lambda: ana.update_token("a.b.c"),
        lambda: ana.wait_synchronized(),
        lambda: ana.content_templates(),
        lambda: room.send("more"),
        lambda: room.last_messages(1),
        lambda: room.join(),
        lambda: room.update(friendly_name="x"),
        lambda: room.typing(),
        lambda: room.count_messages(),
        lambda: message.edit(body="x"),
        lambda: message.delete(),
    ):
        with pytest.raises(ClientShutDownError, match="create a new one"):
            await call()
    with pytest.raises(ClientShutDownError):
        ana.on(MessageAdded, print)
    with pytest.raises(ClientShutDownError):
        _ = ana.me
    assert room.friendly_name is None and message.body == "last words"


async def test_a_client_that_was_not_started_says_so(stage: Stage) -> None:
    ana = stage.client("ana")
    with pytest.raises(ClientNotReadyError, match="start"):
        await ana.create_conversation()
    await ana.start()
    with pytest.raises(InvalidArgumentError):
        await ana.start()


@pytest.mark.owner_demand(6)
async def test_a_device_that_is_registered_is_not_registered_again(stage: Stage, tmp_path: Path) -> None:
    store = FilePushStore(tmp_path / "push.json")
    for start in range(3):
        stage.proxy.record()
        ana = await stage.connect("ana", push=PushConfig(channel="fcm", device_token="device one", store=store))
        if start == 0:
            await until(lambda: (tmp_path / "push.json").exists())
        await ana.register_push("fcm", "device one")
        await ana.shutdown()
        asked = [message for message in stage.proxy.said() if b"/v1/registrations" in message]
        assert len(asked) == (1 if start == 0 else 0)
    assert await stage.world.count("push_registrations") == 1


@pytest.mark.owner_demand(7)
async def test_a_new_device_token_takes_the_place_of_the_old_one(stage: Stage) -> None:
    ana = await stage.connect("ana")
    await ana.register_push("fcm", "device one")
    await ana.register_push("fcm", "device one, renamed")
    assert await addresses(stage) == ["device one, renamed"]


@pytest.mark.owner_demand(8)
async def test_a_registration_is_renewed_in_time_and_taken_back_at_logout(stage: Stage, tmp_path: Path) -> None:
    store = FilePushStore(tmp_path / "push.json")
    config = PushConfig(channel="fcm", device_token="device one", store=store)
    ana = await stage.connect("ana", push=config)
    await until(lambda: (tmp_path / "push.json").exists())
    await ana.shutdown()
    stage.pass_time(31 * 86_400)
    stage.proxy.record()
    ana = await stage.connect("ana", push=config)
    await until(lambda: any(b"/v1/registrations" in message for message in stage.proxy.said()))
    await ana.register_push("fcm", "device one")
    assert await addresses(stage) == ["device one"]
    await ana.logout()
    assert await addresses(stage) == []


@pytest.mark.owner_demand(9)
async def test_unregistering_may_be_repeated_and_the_clean_up_asks_once_a_day(stage: Stage) -> None:
    ana = await stage.connect("ana")
    await ana.register_push("fcm", "device one")
    for _ in range(3):
        await ana.remove_push_registrations("fcm", "device one")
    assert await addresses(stage) == []
    assert [await ana.cleanup_push("fcm", "device one") for _ in range(3)] == [True, False, False]
    stage.pass_time(86_400)
    with pytest.raises(InvalidArgumentError):
        await ana.cleanup_push("sms", "device one")


async def addresses(stage: Stage) -> list[str]:
    async with stage.world.database.snapshot() as connection:
        return [row[0] for row in await connection.rows("SELECT address FROM push_registrations")]


@pytest.mark.owner_demand(10)
async def test_a_hundred_clients_come_and_go_and_leave_nothing(stage: Stage) -> None:
    sid = await stage.room("ana")
    gone: list[weakref.ref[object]] = []

    async def one_round() -> None:
        client = ConversationsClient(stage.config("ana"))
        await client.start()
        room = await (await client.get_conversation(sid)).ready(timeout=10)
        room.on(MessageAdded, lambda event: room.sid)
        await room.count_messages()
        await client.shutdown()
        gone.extend(weakref.ref(each) for each in (client, room, client._life.connection, client._life.session))

    await one_round()
    await until(lambda: stage.proxy.open_connections == 0)
    tasks, threads, files = len(asyncio.all_tasks()), threading.active_count(), len(os.listdir("/proc/self/fd"))
    for _ in range(100):
        await one_round()
    await until(lambda: stage.proxy.open_connections == 0 and len(asyncio.all_tasks()) <= tasks)
    gc.collect()
    assert [reference for reference in gone if reference() is not None] == []
    assert threading.active_count() == threads
    await until(lambda: len(os.listdir("/proc/self/fd")) <= files)


@pytest.mark.owner_demand(11)
async def test_a_token_of_a_day_is_used_to_its_end(stage: Stage) -> None:
    ana = await stage.connect("ana", token=stage.token("ana", ttl_s=86_400))
    expired: list[TokenExpired] = []
    ana.on(TokenExpired, expired.append)
    stage.pass_time(86_400 - 200)
    stage.proxy.reset()
    await until(lambda: ana.connection_state is ConnectionState.CONNECTED)
    assert not expired
    stage.pass_time(300)
    await until(lambda: expired)


@pytest.mark.owner_demand(12)
async def test_a_token_of_less_than_three_minutes_is_refused_before_anything_is_sent(stage: Stage) -> None:
    with pytest.raises(InitializationError) as refusal:
        await stage.client("ana", token=stage.token("ana", ttl_s=120)).start()
    assert isinstance(refusal.value.__cause__, TokenTtlTooShortError) and "120 s" in str(refusal.value.__cause__)
    assert stage.proxy.accepted == 0
    ana = await stage.connect("ana")
    with pytest.raises(TokenTtlTooShortError):
        await ana.update_token(stage.token("ana", ttl_s=179))
    assert ana.connection_state is ConnectionState.CONNECTED


@pytest.mark.owner_demand(13)
async def test_the_application_is_told_that_its_token_ends_and_a_new_one_keeps_the_connection(stage: Stage) -> None:
    ana = await stage.connect("ana", token=stage.token("ana", ttl_s=3600))
    states: list[ConnectionState] = []
    ana.on(ConnectionStateChanged, lambda event: states.append(event.state))
    told = asyncio.ensure_future(ana.wait_for(TokenAboutToExpire, timeout=10))
    await asyncio.sleep(0)
    stage.pass_time(3600 - 179)
    event = await told
    assert event.expires_at == pytest.approx(stage.now() + 179, abs=2)
    await ana.update_token(stage.token("ana", ttl_s=3600))
    stage.pass_time(600)
    room = await ana.create_conversation(join=True)
    await room.send("still here")
    assert states == []


@pytest.mark.owner_demand(13)
async def test_a_new_token_in_the_handler_of_its_end_brings_the_client_back(stage: Stage) -> None:
    [room] = await stage.hosted("ana", token=stage.token("ana", ttl_s=3600))
    ana = room._session.emitter
    assert isinstance(ana, ConversationsClient)

    async def renew(event: TokenExpired) -> None:
        await ana.update_token(stage.token("ana", ttl_s=3600))

    ana.on(TokenExpired, renew)
    updated = asyncio.ensure_future(ana.wait_for(TokenUpdated, timeout=10))
    await asyncio.sleep(0)
    stage.pass_time(3601)
    await updated
    await stage.world.send(room.sid, "you were away")
    await until(lambda: [message.body for message in room.loaded_messages.values()] == ["you were away"])


@pytest.mark.owner_demand(13)
async def test_with_a_provider_a_client_renews_its_token_by_itself(stage: Stage) -> None:
    asked: list[TokenRequest] = []

    async def provide(request: TokenRequest) -> str:
        asked.append(request)
        return stage.token("ana", ttl_s=3600)

    ana = await stage.connect("ana", token_provider=provide)
    stage.pass_time(3600 - 100)
    await until(lambda: len(asked) == 2)
    # And when the machine slept through the warning.
    await asyncio.sleep(0.05)
    stage.pass_time(2 * 3600)
    await until(lambda: len(asked) == 3)
    room = await ana.create_conversation(join=True)
    await room.send("still here")
    assert [request.reason for request in asked][:2] == [TokenReason.START, TokenReason.ABOUT_TO_EXPIRE]
    assert asked[2].reason in (TokenReason.EXPIRED, TokenReason.START, TokenReason.ABOUT_TO_EXPIRE)
    assert asked[1].identity == "ana"


@pytest.mark.owner_demand(14)
async def test_a_stored_token_starts_a_client_while_the_provider_is_thinking(stage: Stage, tmp_path: Path) -> None:
    thinking = asyncio.Event()
    thinking.set()

    async def provide(request: TokenRequest) -> str:
        await thinking.wait()
        return stage.token("ana", ttl_s=3600)

    store = FileTokenStore(tmp_path / "token")
    await (await stage.connect("ana", token_provider=provide, token_store=store)).shutdown()
    assert (tmp_path / "token").stat().st_mode & 0o777 == 0o600
    thinking.clear()
    ana = await stage.connect("ana", token_provider=provide, token_store=store)
    assert ana.state is ClientState.READY
    await ana.logout()
    stored = (tmp_path / "token").read_text()
    assert "ey" not in stored


@pytest.mark.owner_demand(15)
async def test_no_token_is_shown_anywhere(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "tertulia")
    token, short = stage.token("ana"), stage.token("ana", ttl_s=100)
    shown: list[str] = []
    ana = await stage.connect("ana", token=token)
    room = await ana.create_conversation(join=True)
    await room.send("hello")
    shown += [repr(each) for each in (ana, ana.config, room, ana._life.tokens, ana._life.connection, ana._life.session)]
    with pytest.raises(TokenTtlTooShortError) as refusal:
        await ana.update_token(short)
    shown += [str(refusal.value), repr(refusal.value)]
    with pytest.raises(InitializationError) as refused:
        await stage.client("ana", token=token[:-8] + "tampered").start()
    shown += [str(refused.value), repr(refused.value.__cause__)]
    stage.proxy.reset()
    await until(lambda: ana.connection_state is ConnectionState.CONNECTED)
    shown += [record.getMessage() + str(record.__dict__) for record in caplog.records if "client" in record.name]
    for text in shown:
        assert token not in text and short not in text and token.split(".")[2] not in text


@pytest.mark.owner_demand(16)
async def test_a_start_takes_the_same_requests_however_many_conversations_there_are(stage: Stage) -> None:
    asked: list[int] = []
    for count in (0, 1, 40):
        for _ in range(count):
            await stage.room("ana")
        stage.proxy.record()
        ana = stage.client("ana")
        await ana.start()
        # Loading the conversations has begun, and goes on beside.
        asked.append(
            len([said for said in stage.proxy.said() if b".conversations" not in said and b"reply" not in said])
        )
        assert ana.state is ClientState.READY and ana.sync_status <= ClientSync.STARTED
        await ana.shutdown()
    assert asked[0] == asked[1] == asked[2] <= 6


@pytest.mark.owner_demand(17)
async def test_conversations_go_on_coming_after_the_start(stage: Stage) -> None:
    for _ in range(20):
        await stage.room("ana")
    ana = stage.client("ana")
    told: list[Conversation] = []
    ana.on(ConversationAdded, lambda event: told.append(event.conversation))
    await ana.start()
    at_start = len(told)
    await until(lambda: len(told) == 20)
    assert at_start < 20


@pytest.mark.owner_demand(18)
async def test_who_listens_first_and_then_pages_has_each_conversation_once(stage: Stage) -> None:
    sids = {await stage.room("ana") for _ in range(30)}
    ana = stage.client("ana")
    seen: dict[str, list[Conversation]] = {}

    def see(conversation: Conversation) -> None:
        seen.setdefault(conversation.sid, []).append(conversation)

    ana.on(ConversationAdded, lambda event: see(event.conversation))
    await ana.start()
    making = asyncio.ensure_future(stage.room("ana"))
    async for conversation in ana.conversations():
        see(conversation)
    sids.add(await making)
    await until(lambda: seen.keys() == sids)
    assert all(len({id(each) for each in told}) == 1 for told in seen.values())
    watching = ana.watch_conversations()
    watched = [(await anext(watching)).sid for _ in range(31)]
    later = await stage.room("ana")
    assert (await anext(watching)).sid == later
    await watching.aclose()
    assert set(watched) == sids


@pytest.mark.owner_demand(19)
async def test_messages_of_before_make_no_event(stage: Stage) -> None:
    sid = await stage.room("ana")
    for number in range(3):
        await stage.world.send(sid, f"{number}")
    ana = stage.client("ana")
    told: list[object] = []
    ana.on(MessageAdded, told.append)
    ana.on(MessageUpdated, told.append)
    await ana.start()
    await ana.wait_synchronized()
    room = ana.known_conversations[sid]
    assert not room.loaded_messages
    await room.last_messages(2)
    assert list(room.loaded_messages) and not told
    await stage.world.send(sid, "new")
    await until(lambda: told)
    assert len(told) == 1


@pytest.mark.owner_demand(20)
async def test_counts_may_be_some_seconds_old_and_are_asked_anew_on_demand(stage: Stage) -> None:
    [room] = await stage.hosted("ana")
    assert (await room.count_messages(), await room.count_participants(), await room.count_unread()) == (0, 1, None)
    await stage.world.send(room.sid)
    assert await room.count_messages() == 0
    assert await room.count_messages(max_age=0) == 1


@pytest.mark.owner_demand(21)
async def test_the_client_says_when_everything_is_there(stage: Stage) -> None:
    for _ in range(5):
        await stage.room("ana", "ben")
    ana = stage.client("ana")
    stages: list[ClientSync] = []
    ana.on(SyncStatusChanged, lambda event: stages.append(event.status))
    await ana.start()
    await ana.wait_synchronized(ClientSync.CONVERSATIONS_LISTED, timeout=10)
    await ana.wait_synchronized(timeout=10)
    assert stages == [ClientSync.STARTED, ClientSync.CONVERSATIONS_LISTED, ClientSync.COMPLETED]
    assert all(len(room.participants) == 2 for room in ana.known_conversations.values())


@pytest.mark.owner_demand(22)
async def test_a_conversation_says_when_it_is_usable(stage: Stage) -> None:
    await stage.room("ana", "ben")
    ana = stage.client("ana")
    stages: list[ConversationSync] = []
    names_at: list[ConversationSync] = []
    ana.on(ConversationSyncChanged, lambda event: stages.append(event.status))
    ana.on(ConversationAdded, lambda event: names_at.append(event.conversation.sync_status))
    await ana.start()
    [room] = [room async for room in ana.conversations()]
    await room.ready(timeout=10)
    assert len(room.participants) == 2
    assert stages == [ConversationSync.METADATA, ConversationSync.ALL] and names_at == [ConversationSync.METADATA]


@pytest.mark.owner_demand(23)
async def test_attributes_can_be_read_when_their_update_is_done(stage: Stage) -> None:
    mine, his = await stage.hosted("ana", "ben")
    message = await mine.send("hello")
    ana = mine.participant(identity="ana")
    assert ana is not None
    for number in range(5):
        await asyncio.gather(
            mine.update(attributes={"n": number}),
            message.edit(attributes={"n": number}),
            ana.update(attributes={"n": number}),
        )
        assert mine.attributes == message.attributes == ana.attributes == {"n": number}
    await until(lambda: his.attributes == {"n": 4})
    # Nothing to change is nothing to wait for.
    await mine.update(attributes={"n": 4})


@pytest.mark.owner_demand(24)
async def test_objects_that_outlive_their_client_hold_nothing_alive(stage: Stage) -> None:
    ana = await stage.connect("ana")
    room = await ana.create_conversation(join=True)
    message = await room.send("hello")
    handler_of_mine = Handler()
    ana.on(MessageAdded, handler_of_mine.hear)
    room.on(MessageAdded, handler_of_mine.hear)
    reference = weakref.ref(handler_of_mine)
    connection = weakref.ref(ana._life.connection._socket)
    await ana.shutdown()
    del handler_of_mine
    gc.collect()
    assert reference() is None and connection() is None
    assert message.body == "hello"
    with pytest.raises(ClientShutDownError):
        await room.send("more")


class Handler:
    def hear(self, event: MessageAdded) -> None:
        """Hears."""


@pytest.mark.owner_demand(25)
async def test_people_from_elsewhere_and_what_became_of_messages_for_them_are_seen(stage: Stage) -> None:
    [mine] = await stage.hosted("ana")
    added = await mine.add_address_participant("+15550001111", "+15550002222")
    assert (added.type, added.identity) == ("sms", None)
    message = await mine.send("over the air")
    await receive_receipt(stage, mine.sid, message.sid, added.sid, "delivered")
    await until(lambda: message.delivery is not None and message.delivery.delivered == "all")
    assert message.delivery is not None and (message.delivery.total, message.delivery.delivered) == (1, "all")
    [receipt] = [receipt async for receipt in message.delivery_receipts()]
    assert (receipt.status, receipt.participant_sid, receipt.message_sid) == ("delivered", added.sid, message.sid)


async def receive_receipt(stage: Stage, conversation: str, message: str, participant: str, status: str) -> None:
    there = {"conversation": conversation, "message": message}
    await stage.world.do(ExpectReceipts, **there, participants=(participant,))
    await stage.world.do(RecordReceipt, **there, receipt=participant, status=status)


@pytest.mark.owner_demand(26)
async def test_a_thin_line_is_enough(stage: Stage) -> None:
    for _ in range(3):
        await stage.room("ana", "ben")
    stage.proxy.throttle(100_000 / 8)
    ana = await stage.connect("ana")
    room = next(iter(ana.known_conversations.values()))
    message = await room.send("over a thin line")
    assert message.body == "over a thin line"
