"""The pytest plugin, used as its users use it."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tertulia.client import ConversationsClient
from tertulia.client.events import MessageAdded, TokenExpired
from tertulia.testing import LocalServer, WebhookReceiver, running_server

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "testing_offline"

Client = Callable[..., ConversationsClient]


def test_the_official_library_talks_to_it(tertulia_twilio: Any) -> None:
    made = tertulia_twilio.conversations.v1.conversations.create(friendly_name="offline")
    assert [each.sid for each in tertulia_twilio.conversations.v1.conversations.list()] == [made.sid]


def test_so_does_plain_http(tertulia_rest: httpx.Client, tertulia_server: LocalServer) -> None:
    made = tertulia_rest.post("/v1/Conversations", data={"FriendlyName": "offline"}).json()
    assert made["chat_service_sid"] == tertulia_server.service_sid


def test_each_test_has_a_server_of_its_own(tertulia_rest: httpx.Client) -> None:
    assert tertulia_rest.get("/v1/Conversations").json()["conversations"] == []


async def test_our_client_talks_to_it(tertulia_client: Client) -> None:
    async with tertulia_client("ana") as ana, tertulia_client("ben") as ben:
        room = await ana.create_conversation(join=True)
        await room.add_participant("ben")
        hers = await ben.get_conversation(room.sid)
        await hers.ready(timeout=10)
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


async def test_tokens_end_with_the_servers_time(tertulia_server: LocalServer, tertulia_client: Client) -> None:
    async with tertulia_client("ana") as ana:
        async with ana.events(TokenExpired) as expired:
            tertulia_server.clock.advance(hours=2)
            await anext(expired)
        await ana.update_token(tertulia_server.token("ana"))


def test_webhooks_are_captured_and_signed(tertulia_webhooks: WebhookReceiver, tertulia_rest: httpx.Client) -> None:
    told = {"X-Twilio-Webhook-Enabled": "true"}
    made = tertulia_rest.post("/v1/Conversations", data={"FriendlyName": "heard"}, headers=told).json()
    captured = tertulia_webhooks.wait_for("onConversationAdded")
    assert captured.is_signed and captured["ConversationSid"] == made["sid"]
    with pytest.raises(TimeoutError, match="onConversationAdd"):
        tertulia_webhooks.wait_for("onMessageAdded", timeout=0.05)


async def test_who_is_asked_before_can_say_no(tertulia_webhooks: WebhookReceiver, tertulia_client: Client) -> None:
    from tertulia.client.errors import ForbiddenError

    async with tertulia_client("ana") as ana:
        room = await ana.create_conversation(join=True)
        tertulia_webhooks.answer("onMessageAdd", {"body": "***"})
        assert (await room.send("darn")).body == "***"
        tertulia_webhooks.answer("onMessageAdd", status=403)
        with pytest.raises(ForbiddenError):
            await room.send("never")
        assert [each["Body"] for each in tertulia_webhooks.of("onMessageAdd")] == ["darn", "never"]


def test_it_works_without_pytest_and_leaves_nothing(tmp_path: Path) -> None:
    threads = threading.active_count()
    with running_server(database=tmp_path / "kept.db") as server:
        auth = (server.account_sid, server.auth_token)
        made = httpx.post(f"{server.base_url}/v1/Conversations", auth=auth, trust_env=False).json()
        environment = server.environment()
    assert threading.active_count() == threads
    with running_server(database=tmp_path / "kept.db") as server:
        assert (server.account_sid, server.auth_token) == auth
        found = httpx.get(f"{server.base_url}/v1/Conversations/{made['sid']}", auth=auth, trust_env=False)
        assert found.status_code == 200
        assert environment.keys() == server.environment().keys()
    server.stop()
    with pytest.raises(RuntimeError):
        server.settle()


def test_the_example_projects_tests_pass_offline() -> None:
    run = subprocess.run(
        [sys.executable, "-W", "error", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", EXAMPLE, EXAMPLE],
        cwd=EXAMPLE,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, f"{run.stdout}\n{run.stderr}"
    assert "3 passed" in run.stdout


def test_the_plugin_costs_a_run_of_pytest_next_to_nothing() -> None:
    program = "import sys, tertulia.testing.plugin; print(*(name for name in sys.modules if 'tertulia.server' in name))"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert said.stdout.split() == []
