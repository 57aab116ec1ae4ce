"""What uvicorn promises a WebSocket class, and what ours promises uvicorn."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
import websockets
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.contract.websocket.serving import (
    BINARY,
    CLOSE,
    IMPATIENT,
    RawPeer,
    Run,
    masked,
    raw_peer,
    serving,
    target,
    until,
)


class Witness(asyncio.Protocol):
    """Writes down how uvicorn treats a WebSocket class."""

    seen: list[object]

    def __init__(self, **keywords: object) -> None:
        self.seen.append(sorted(keywords))
        self.seen.append(hasattr(keywords["server_state"], "connections"))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.seen.append(type(transport).__name__.endswith("Transport"))

    def data_received(self, data: bytes) -> None:
        self.seen.append(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.seen.append("lost")


@pytest.mark.parametrize("http", ["h11", "httptools"])
def test_uvicorn_makes_the_class_replays_the_head_and_hands_over_the_transport(run: Run, http: Any) -> None:
    async def story() -> None:
        seen: list[object] = []
        witness = type("ThisWitness", (Witness,), {"seen": seen})
        async with serving(http=http, ws=witness) as here:
            async with raw_peer(here, target("/socket?a=%20b"), upgraded=False) as peer:
                await until(lambda: len(seen) == 4)
                assert not here.connections, "uvicorn forgets its own protocol, so ours must enrol itself"
                peer.send(b"frames")
                await until(lambda: len(seen) == 5)
            await until(lambda: len(seen) == 6)
        keywords, has_connections, has_transport, head, frames, lost = seen
        assert keywords == ["app_state", "config", "server_state"]
        assert has_connections
        assert has_transport
        assert isinstance(head, bytes)
        assert head.startswith(b"GET /socket?a=%20b HTTP/1.1\r\n")
        assert head.endswith(b"\r\n\r\n")
        assert b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==" in head
        assert (frames, lost) == (b"frames", "lost")

    run(story)


@pytest.mark.parametrize("http", ["h11", "httptools"])
def test_our_connections_are_enrolled_while_they_live(run: Run, http: Any) -> None:
    async def story() -> None:
        async with serving(http=http) as here:
            async with websockets.connect(here.url) as peer:
                assert here.connections == {here.handlers[0].socket}
                await peer.send(b"x")
                assert await peer.recv() == b"x"
            await until(lambda: not here.connections)

    run(story)


def test_a_stopping_uvicorn_says_goodbye_and_waits_for_no_one_for_long(run: Run) -> None:
    async def story() -> None:
        async with serving(IMPATIENT) as here, raw_peer(here) as mute:
            async with websockets.connect(here.url) as polite:
                stopping = asyncio.create_task(here.server.shutdown())
                with pytest.raises(websockets.ConnectionClosed):
                    await polite.recv()
                assert polite.close_code == 1001
            assert await mute.close_code() == 1001
            await asyncio.wait_for(stopping, 5)
            assert not here.connections

    run(story)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate for 127.0.0.1, valid for a day."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "here")])
    now = datetime.now(UTC)
    alternative = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))])
    builder = x509.CertificateBuilder(
        name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(1)
    )
    signed = builder.add_extension(alternative, critical=False).sign(key, hashes.SHA256())
    path = tmp_path_factory.mktemp("tls") / "here.pem"
    pem = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(key.private_bytes(*pem) + signed.public_bytes(Encoding.PEM))
    return path


@pytest.mark.parametrize(
    ("last", "code"),
    [(masked(BINARY, b"close"), 4001), (masked(CLOSE, b"\x03\xe8"), 1000), (b"\x83\x80", 1002)],
    ids=["we close", "close", "violation"],
)
def test_every_end_of_a_connection_is_told_over_tls_as_well(
    run: Run, certificate: Path, last: bytes, code: int
) -> None:
    async def story() -> None:
        trust = ssl.create_default_context(cafile=certificate)
        async with serving(certificate=certificate) as here:
            streams = await asyncio.open_connection("127.0.0.1", here.port, ssl=trust)
            peer = RawPeer(*streams)
            peer.send(target("/socket?hello"))
            await peer.head()
            assert await peer.frame() == (BINARY, b"hello")
            peer.send(last)
            assert await peer.close_code() == code
            peer.send((CLOSE, b""))
            assert await peer.hears_the_end() == b""
            peer.writer.close()

    run(story)
