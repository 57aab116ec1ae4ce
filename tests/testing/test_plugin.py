"""The fixtures of the pytest plugin, used as its users use them."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from tertulia.client import ConversationsClient
from tertulia.client.errors import ForbiddenError
from tertulia.client.events import ConnectionStateChanged, ConversationUpdated, MessageAdded, TokenExpired
from tertulia.client.states import ConnectionState
from tertulia.testing import LocalServer, WebhookReceiver

Client = Callable[..., ConversationsClient]
TOLD = {"X-Twilio-Webhook-Enabled": "true"}
WITHIN_S = 10


@pytest.fixture
async def rest(tertulia_server: LocalServer) -> AsyncIterator[httpx.AsyncClient]:
    """``tertulia_rest``, for coroutines."""
    auth = (tertulia_server.account_sid, tertulia_server.auth_token)
    async with httpx.AsyncClient(base_url=tertulia_server.base_url, auth=auth, trust_env=False) as client:
        yield client


def test_the_official_library_talks_to_it(tertulia_twilio: Any) -> None:
    made = tertulia_twilio.conversations.v1.conversations.create(friendly_name="offline")
    assert [each.sid for each in tertulia_twilio.conversations.v1.conversations.list()] == [made.sid]


def test_the_official_library_reaches_nothing_else(tertulia_twilio: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from twilio.base.exceptions import TwilioRestException

    # Nor does a proxy hear of it, that would refuse.
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    with pytest.raises(TwilioRestException) as refused:
        tertulia_twilio.api.v2010.account.messages.create(to="+15550100", from_="+15550101", body="paid for?")
    assert refused.value.status == 404


def test_so_does_plain_http(tertulia_rest: httpx.Client, tertulia_server: LocalServer) -> None:
    made = tertulia_rest.post("/v1/Conversations", data={"FriendlyName": "offline"}).json()
    assert made["chat_service_sid"] == tertulia_server.service_sid


def test_each_test_has_a_server_of_its_own(tertulia_rest: httpx.Client) -> None:
    assert tertulia_rest.get("/v1/Conversations").json()["conversations"] == []


async def test_our_client_talks_to_it(tertulia_client: Client) -> None:
    async with tertulia_client("ana") as ana, tertulia_client("ben") as ben, asyncio.timeout(WITHIN_S):
        room = await ana.create_conversation(join=True)
        await room.add_participant("ben")
        hers = await ben.get_conversation(room.sid)
        await hers.ready(timeout=WITHIN_S)
        async with hers.events(MessageAdded) as heard:
            await room.send("hello")
            assert (await anext(heard)).message.body == "hello"


def test_time_passes_when_it_is_told_to(tertulia_server: LocalServer, tertulia_rest: httpx.Client) -> None:
    made = tertulia_rest.post("/v1/Conversations", data={"Timers.Closed": "PT1H"}).json()
    url = f"/v1/Conversations/{made['sid']}"
    tertulia_server.clock.advance(minutes=59)
    assert tertulia_rest.get(url).json()["state"] == "active"
    tertulia_server.clock.advance(minutes=2)
    assert tertulia_rest.get(url).json()["state"] == "closed"
    with pytest.raises(ValueError, match="back"):
        tertulia_server.clock.advance(hours=-1)


async def test_who_is_connected_sees_time_pass_and_stays_connected(
    tertulia_server: LocalServer, tertulia_client: Client, rest: httpx.AsyncClient
) -> None:
    made = (await rest.post("/v1/Conversations", data={"Timers.Closed": "PT30M"})).json()
    await rest.post(f"/v1/Conversations/{made['sid']}/Participants", data={"Identity": "ana"})
    async with tertulia_client("ana") as ana, asyncio.timeout(WITHIN_S):
        room = await ana.get_conversation(made["sid"])
        states: list[ConnectionState] = []
        ana.on(ConnectionStateChanged, lambda event: states.append(event.state))
        async with room.events(ConversationUpdated) as heard:
            await rest.post(f"/v1/Conversations/{made['sid']}", data={"FriendlyName": "followed from now on"})
            await anext(heard)
            # More than once, so that a connection that gave no sign of life in between would have been given up.
            for _ in range(4):
                await tertulia_server.clock.advance_async(minutes=10)
            async for event in heard:
                if event.conversation.state is not None and event.conversation.state.current == "closed":
                    break
        assert states == []


async def test_a_client_outlives_its_tokens(tertulia_server: LocalServer, tertulia_client: Client) -> None:
    async with tertulia_client("ana") as ana, asyncio.timeout(WITHIN_S):
        room = await ana.create_conversation(join=True)
        for _ in range(3):
            await tertulia_server.clock.advance_async(hours=2)
            await room.send("still here")


async def test_a_token_of_the_tests_own_ends_when_the_server_says(
    tertulia_server: LocalServer, tertulia_client: Client
) -> None:
    async with tertulia_client("ana", token=tertulia_server.token("ana", ttl=600)) as ana, asyncio.timeout(WITHIN_S):
        async with ana.events(TokenExpired) as expired:
            await tertulia_server.clock.advance_async(minutes=11)
            await anext(expired)
        await ana.update_token(tertulia_server.token("ana"))
        await ana.create_conversation()


async def test_who_is_cut_off_misses_nothing(
    tertulia_server: LocalServer, tertulia_client: Client, rest: httpx.AsyncClient
) -> None:
    async with tertulia_client("ana") as ana, asyncio.timeout(WITHIN_S):
        room = await ana.create_conversation(join=True)
        await room.ready(timeout=WITHIN_S)
        async with ana.events(ConnectionStateChanged) as changes, room.events(MessageAdded) as heard:
            tertulia_server.disconnect()
            assert (await anext(changes)).state is ConnectionState.CONNECTING
            await rest.post(f"/v1/Conversations/{room.sid}/Messages", data={"Body": "meanwhile"})
            assert (await anext(heard)).message.body == "meanwhile"


async def test_nobody_gets_through_while_it_is_unreachable(
    tertulia_server: LocalServer, tertulia_client: Client, rest: httpx.AsyncClient
) -> None:
    async with tertulia_client("ana") as ana, asyncio.timeout(WITHIN_S):
        async with ana.events(ConnectionStateChanged) as changes:
            with tertulia_server.unreachable():
                assert (await anext(changes)).state is ConnectionState.CONNECTING
                with pytest.raises(httpx.TransportError):
                    await rest.get("/v1/Conversations")
            while ana.connection_state is not ConnectionState.CONNECTED:
                await anext(changes)
        assert (await rest.get("/v1/Conversations")).status_code == 200


async def test_who_is_connected_stays_online_while_time_passes(
    tertulia_server: LocalServer, tertulia_client: Client, rest: httpx.AsyncClient
) -> None:
    service = f"/v1/Services/{tertulia_server.service_sid}"
    (await rest.post(f"{service}/Configuration", data={"ReachabilityEnabled": "true"})).raise_for_status()
    async with tertulia_client("ana") as ana, tertulia_client("ben") as ben, asyncio.timeout(WITHIN_S):
        await ana.create_conversation(join=True)
        user = await ben.get_user("ana")
        while not user.is_online:  # noqa: ASYNC110 (it is what is to become so)
            await asyncio.sleep(0.01)
        for _ in range(3):
            await tertulia_server.clock.advance_async(minutes=20)
            assert (await rest.get(f"{service}/Users/ana")).json()["is_online"] is True


async def test_our_own_loop_may_answer_what_time_brings(tertulia_server: LocalServer, rest: httpx.AsyncClient) -> None:
    told = asyncio.Event()

    async def receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        told.set()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    ours = await asyncio.start_server(receive, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{ours.sockets[0].getsockname()[1]}/"
    form = {"PostWebhookUrl": url, "Filters": "onConversationStateUpdated"}
    (await rest.post("/v1/Configuration/Webhooks", data=form)).raise_for_status()
    await rest.post("/v1/Conversations", data={"Timers.Closed": "PT1H"}, headers=TOLD)
    async with asyncio.timeout(WITHIN_S):
        await tertulia_server.clock.advance_async(hours=2)
    assert told.is_set()
    ours.close()
    await ours.wait_closed()


def test_webhooks_are_captured_and_signed(tertulia_webhooks: WebhookReceiver, tertulia_rest: httpx.Client) -> None:
    made = tertulia_rest.post("/v1/Conversations", data={"FriendlyName": "heard"}, headers=TOLD).json()
    captured = tertulia_webhooks.wait_for("onConversationAdded")
    assert captured.is_signed and captured["ConversationSid"] == made["sid"]
    with pytest.raises(TimeoutError, match="onConversationAdd"):
        tertulia_webhooks.wait_for("onMessageAdded", timeout=0.05)
    tertulia_webhooks.clear()
    with pytest.raises(TimeoutError, match="nothing"):
        tertulia_webhooks.wait_for("onConversationAdded", timeout=0.05)


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ("Content-Length: abc", b"", b"400"),
        ("Content-Length: -1", b"", b"400"),
        ("Content-Length: \xb2", b"", b"400"),
        ("Content-Length: " + "9" * 5000, b"", b"400"),
        ("Content-Length: 3", b"a=\xff", b"400"),
        ("Content-Length: 10", b"a=b", b"400"),
        ("Content-Length: 9999999", b"", b"413"),
        ("Content-Length: 3", b"a=b", b"200"),
    ],
)
def test_what_is_no_webhook_is_refused_in_silence(
    headers: str, body: bytes, status: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    receiver = WebhookReceiver("secret")
    receiver.start()
    try:
        with socket.create_connection(("127.0.0.1", httpx.URL(receiver.url).port or 0), WITHIN_S) as caller:
            caller.sendall(f"POST /webhooks HTTP/1.1\r\n{headers}\r\n\r\n".encode("latin-1") + body)
            caller.shutdown(socket.SHUT_WR)
            assert caller.recv(100).split()[1] == status
        # Who calls and leaves at once, with a reset.
        with socket.create_connection(("127.0.0.1", httpx.URL(receiver.url).port or 0), WITHIN_S) as caller:
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            caller.sendall(b"POST /webhooks HTTP/1.1\r\nContent-Length: 3\r\n\r\na")
    finally:
        receiver.stop()
    assert len(receiver.captured) == (1 if status == b"200" else 0)
    assert capfd.readouterr() == ("", "")


def test_what_time_brings_has_been_told_when_it_has_passed(
    tertulia_server: LocalServer, tertulia_webhooks: WebhookReceiver, tertulia_rest: httpx.Client
) -> None:
    tertulia_rest.post("/v1/Conversations", data={"Timers.Closed": "PT1H"})
    tertulia_server.clock.advance(hours=2)
    assert [each["StateTo"] for each in tertulia_webhooks.of("onConversationStateUpdated")] == ["closed"]


async def test_who_is_asked_before_can_say_no(tertulia_webhooks: WebhookReceiver, tertulia_client: Client) -> None:
    async with tertulia_client("ana") as ana, asyncio.timeout(WITHIN_S):
        room = await ana.create_conversation(join=True)
        tertulia_webhooks.answer("onMessageAdd", {"body": "***"})
        assert (await room.send("darn")).body == "***"
        tertulia_webhooks.answer("onMessageAdd", status=403)
        with pytest.raises(ForbiddenError):
            await room.send("never")
        tertulia_webhooks.answer("onMessageAdd")
        assert (await room.send("fine")).body == "fine"
        assert [each["Body"] for each in tertulia_webhooks.of("onMessageAdd")] == ["darn", "never", "fine"]


@pytest.mark.parametrize("ask", ["answer", "of", "wait_for"])
@pytest.mark.parametrize(
    ("event_type", "complaint"),
    [
        ("onMesageAdd", r"no webhook 'onMesageAdd'; did you mean onMessageAdd or "),
        ("messageAdded", r"did you mean onMessageAdded or "),
        ("typo", r"no webhook 'typo'; there are onConversationAdd, "),
    ],
)
def test_a_webhook_that_does_not_exist_is_refused_with_what_may_be_meant(
    tertulia_webhooks: WebhookReceiver, ask: str, event_type: str, complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        getattr(tertulia_webhooks, ask)(event_type)


async def test_so_is_one_that_is_awaited(tertulia_webhooks: WebhookReceiver) -> None:
    with pytest.raises(ValueError, match=r"did you mean onMessageAdded"):
        await tertulia_webhooks.heard("onMessagesAdded")


def test_what_is_told_afterwards_can_be_failed_and_not_changed(tertulia_webhooks: WebhookReceiver) -> None:
    with pytest.raises(ValueError, match=r"onMessageAdded is told afterwards.*did you mean onMessageAdd "):
        tertulia_webhooks.answer("onMessageAdded", {"body": "***"})
    tertulia_webhooks.answer("onMessageAdded", status=500)


@pytest.mark.tertulia_settings({"tokens.min_ttl_s": 5})
async def test_a_marker_sets_the_servers_settings(tertulia_server: LocalServer, tertulia_client: Client) -> None:
    assert tertulia_server.settings.tokens.min_ttl_s == 5
    short = tertulia_server.token("ana", ttl=20)
    async with tertulia_client("ana", token=short, min_token_life=5, identity="ana") as ana:
        assert ana.connection_state is ConnectionState.CONNECTED
