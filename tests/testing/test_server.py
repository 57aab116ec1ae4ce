"""The server of a test, without pytest's fixtures."""

from __future__ import annotations

import os
import socket
import threading
import time
from pathlib import Path

import httpx
import pytest

from tertulia.server.settings import Settings, TokensSettings
from tertulia.server.sources import SettingsError
from tertulia.testing import LocalServer, capturing, running_server

PNG = b"\x89PNG\r\n\x1a\n and some more"


def open_files() -> int:
    if not os.path.isdir("/proc/self/fd"):
        return 0  # nobody tells here
    return len(os.listdir("/proc/self/fd"))


def test_nothing_is_left_of_it() -> None:
    with running_server():
        pass
    threads, files = threading.active_count(), open_files()
    urls: list[str] = []
    for _ in range(3):
        with running_server() as server, server.rest() as rest, capturing(server) as webhooks:
            urls.append(server.base_url)
            assert rest.post("/v1/Conversations", headers={"X-Twilio-Webhook-Enabled": "true"}).status_code == 201
            webhooks.wait_for("onConversationAdded")
    assert (threading.active_count(), open_files()) == (threads, files)
    for url in urls:
        with pytest.raises(httpx.ConnectError):
            httpx.get(url, trust_env=False)


async def test_coroutines_wait_for_it_without_blocking() -> None:
    threads = threading.active_count()
    async with running_server() as server, httpx.AsyncClient(base_url=server.base_url, trust_env=False) as http:
        auth = (server.account_sid, server.auth_token)
        made = (await http.post("/v1/Conversations", auth=auth, data={"Timers.Closed": "PT10M"})).json()
        await server.clock.advance_async(minutes=11)
        assert (await http.get(f"/v1/Conversations/{made['sid']}", auth=auth)).json()["state"] == "closed"
    # Those of the event loop's own pool stay with it.
    assert "tertulia-server" not in {thread.name for thread in threading.enumerate()}
    assert threading.active_count() <= threads + 2


async def test_coroutines_capture_webhooks_as_well() -> None:
    threads = {thread.name for thread in threading.enumerate()}
    async with running_server() as server, httpx.AsyncClient(base_url=server.base_url, trust_env=False) as http:
        auth = (server.account_sid, server.auth_token)
        told = {"X-Twilio-Webhook-Enabled": "true"}
        async with capturing(server) as webhooks:
            await http.post("/v1/Conversations", auth=auth, headers=told)
            assert (await webhooks.heard("onConversationAdded")).is_signed
        # Afterwards nobody is told: else this would be refused, for want of somebody to ask.
        assert (await http.post("/v1/Conversations", auth=auth, headers=told)).status_code == 201
        assert (await http.get("/v1/Configuration/Webhooks", auth=auth)).json()["pre_webhook_url"] in ("", None)
    assert "tertulia-webhooks" not in {thread.name for thread in threading.enumerate()} - threads


def test_a_receiver_that_cannot_be_announced_leaves_nothing() -> None:
    with running_server() as server:
        pass
    threads = threading.active_count()
    with pytest.raises(httpx.ConnectError), capturing(server):
        pytest.fail("nobody listens there")
    assert threading.active_count() == threads


def test_what_was_in_a_file_is_there_at_the_next_start_with_the_media(tmp_path: Path) -> None:
    file = tmp_path / "kept.db"
    with running_server(database=file) as server, server.rest() as rest:
        known = server.environment()
        made = rest.post("/v1/Conversations").json()
        uploaded = rest.post(
            f"/v1/Services/{server.service_sid}/Media", content=PNG, headers={"Content-Type": "image/png"}
        )
        assert uploaded.status_code == 201, uploaded.text
    with running_server(database=file) as server, server.rest() as rest:
        urls = {"BASE_URL", "WS_URL"}
        assert {name: value for name, value in server.environment().items() if name not in urls} == {
            name: value for name, value in known.items() if name not in urls
        }
        assert rest.get(f"/v1/Conversations/{made['sid']}").status_code == 200
        found = rest.get(f"/v1/Services/{server.service_sid}/Media/{uploaded.json()['sid']}").json()
        content = httpx.get(found["links"]["content_direct_temporary"], trust_env=False)
        assert content.content == PNG


def test_it_starts_again_on_the_same_port(tmp_path: Path) -> None:
    server = LocalServer(database=tmp_path / "kept.db")
    with server:
        before = server.environment()
    with server:
        assert server.environment() == before


def test_one_that_does_not_run_says_so() -> None:
    server = running_server()
    assert repr(server) == "<LocalServer stopped>"
    with pytest.raises(RuntimeError, match="was not started"):
        _ = server.base_url
    with server, pytest.raises(RuntimeError, match="runs already"):
        server.start()
    server.stop()
    for deed in (server.settle, server.disconnect, lambda: server.clock.advance(minutes=1)):
        with pytest.raises(RuntimeError, match="does not run"):
            deed()


def test_one_that_cannot_start_says_why_and_leaves_nothing(tmp_path: Path) -> None:
    threads = threading.active_count()
    (tmp_path / "file.db").write_bytes(b"no database" * 100)
    with pytest.raises(Exception, match="database"):
        running_server(database=tmp_path / "file.db").start()
    deadline = time.monotonic() + 5
    while threading.active_count() > threads and time.monotonic() < deadline:
        time.sleep(0.005)
    assert threading.active_count() == threads


def test_settings_may_be_given_by_name_or_whole() -> None:
    by_name = running_server({"tokens.min_ttl_s": 10, "limits.profile": "hosted", "retention.messages_days": "3"})
    assert by_name.settings.tokens == TokensSettings(min_ttl_s=10)
    assert by_name.settings.retention.messages_days == 3
    whole = Settings(tokens=TokensSettings(min_ttl_s=10))
    assert running_server(whole).settings == whole
    with pytest.raises(SettingsError, match=r"unknown setting token\.min_ttl_s; did you mean tokens\.min_ttl_s\?"):
        running_server({"token.min_ttl_s": 10})
    with pytest.raises(SettingsError, match="section tokens"):
        running_server({"tokens.min_ttl_s": 10, "tokens.max_ttl_s": 5})


def test_what_is_kept_for_a_time_goes_when_it_has_passed() -> None:
    with running_server({"retention.messages_days": 30}) as server, server.rest() as rest:
        room = f"/v1/Conversations/{rest.post('/v1/Conversations').json()['sid']}"
        rest.post(f"{room}/Messages", data={"Body": "old"})
        server.clock.advance(days=20)
        rest.post(f"{room}/Messages", data={"Body": "young"})
        server.clock.advance(days=11)
        assert [each["body"] for each in rest.get(f"{room}/Messages").json()["messages"]] == ["young"]


def test_a_silent_peer_does_not_hold_up_its_end() -> None:
    with running_server() as server:
        port = int(server.base_url.rpartition(":")[2])
        peer = socket.create_connection(("127.0.0.1", port))
        peer.sendall(b"GET /v3/wsconnect HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n")
        peer.sendall(b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
        assert peer.recv(12) == b"HTTP/1.1 101"
    peer.close()
    assert not server.is_running
