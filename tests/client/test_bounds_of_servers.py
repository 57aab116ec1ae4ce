"""What a client does not take from its server: where its token goes, and how long it may be kept waiting."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tertulia.client import ClientConfig, ConversationsClient, FileToSend
from tertulia.client.configuration import Options
from tertulia.client.errors import MediaError

from .scripted import settle
from .secrecy import certified
from .sessions import configuration
from .stage import PATIENCE_S, until
from .whole import SID, WholeScript

MEDIA = "ME" + "2" * 32


@pytest.fixture
async def script() -> AsyncIterator[WholeScript]:
    script = WholeScript()
    yield script
    await script.close()


class Plain:
    """Somebody without TLS, who counts who comes."""

    def __init__(self) -> None:
        self.came = 0
        self.port = 0
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.came += 1
        writer.close()


@pytest.mark.parametrize("scheme", ["http", "HTTP"])
async def test_a_token_goes_to_no_media_service_without_tls(script: WholeScript, tmp_path: Path, scheme: str) -> None:
    plain = Plain()
    await plain.open()
    pem, context = certified(tmp_path)
    await script.open(context)
    for host in (f"127.0.0.1:{plain.port}", "media.chat.example"):
        script.configuration = configuration(script.url, media=f"{scheme}://{host}")
        trusted = ssl.create_default_context(cafile=str(pem))
        config = ClientConfig(server_url=script.url, token="a-token", ssl=trusted, start_timeout=PATIENCE_S)
        async with ConversationsClient(config) as client:
            room = await (await client.get_conversation(SID)).ready(timeout=PATIENCE_S)
            with pytest.raises(MediaError, match="without TLS") as refusal:
                await client.media_urls([MEDIA])
            assert "a-token" not in str(refusal.value)
            with pytest.raises(MediaError, match="without TLS"):
                await room.send(media=[FileToSend(b"x")], wait=False)
    await plain.close()
    assert plain.came == 0


async def test_reports_of_the_read_horizon_are_a_minute_apart_at_most(
    script: WholeScript, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    ahead, time = 0.0, loop.time
    monkeypatch.setattr(loop, "time", lambda: time() + ahead)
    await script.open()
    script.configuration = configuration(script.url, options=Options(consumption_report_interval="P365D"))
    async with ConversationsClient(ClientConfig(server_url=script.url, token="a-token")) as client:
        room = await (await client.get_conversation(SID)).ready(timeout=PATIENCE_S)
        await room.set_read_horizon(1)
        await room.set_read_horizon(2, wait=False)
        second = asyncio.ensure_future(room.set_read_horizon(3))
        ahead = 50.0
        await settle()
        await asyncio.sleep(0.02)
        assert script.reports == [1] and not second.done()
        ahead = 61.0
        await until(lambda: script.reports == [1, 3])
        assert await second == 0
