"""Receivers over TLS: who does not prove its name is not spoken to."""

from __future__ import annotations

import asyncio
import datetime
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tertulia.server.outgoing import FailureKind, Outgoing
from tests.contract.outgoing.receivers import (
    OK,
    OPEN,
    SHORT_S,
    Peer,
    answering,
    call_to,
    calling,
    failure_of,
    no_files_left,
    receiver,
    resolving,
)
from tests.contract.websocket.serving import Run

NAME = "tls.example"
BEGINS = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)


def certificate(folder: Path, ends: datetime.datetime) -> Path:
    """A certificate for our name, signed by itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(BEGINS)
        .not_valid_after(ends)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
    return path


def serving_with(path: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """What serves our name, trusted by whoever starts to call after this."""
    path = certificate(tmp_path, datetime.datetime(2120, 1, 1, tzinfo=datetime.UTC))
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    return serving_with(path)


def test_a_receiver_that_proves_its_name_is_called_by_that_name(run: Run, trusted: ssl.SSLContext) -> None:
    names: list[str | None] = []
    trusted.sni_callback = lambda connection, name, context: names.append(name)

    async def story() -> None:
        seen: list[bytes] = []

        async def script(peer: Peer) -> None:
            for _ in range(2):
                seen.append(await peer.request())
                await peer.say(OK)

        async with receiver(script, trusted) as place, calling(resolve=resolving("127.0.0.1")) as outgoing:
            for _ in range(2):
                assert (await outgoing.call(call_to(f"https://{NAME}:{place.port}/hook"))).body == b"hi"
            assert place.connections == 1
        assert names == [NAME]
        assert f"Host: {NAME}:{place.port}".encode() in seen[0]

    run(story)


def test_certificates_that_could_not_be_loaded_for_a_moment_are_loaded_later(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library would go on without any, and believe nobody from then on."""
    path = certificate(tmp_path, datetime.datetime(2120, 1, 1, tzinfo=datetime.UTC))

    async def story() -> None:
        async with calling():
            pass  # loads all else
        monkeypatch.setenv("SSL_CERT_FILE", str(path))
        outgoing = Outgoing(OPEN, resolve=resolving("127.0.0.1"))
        async with receiver(answering(OK), serving_with(path)) as place:
            with no_files_left():
                failed = await failure_of(outgoing, call_to(f"https://{NAME}:{place.port}/hook"))
            assert failed.kind is FailureKind.CONNECT_FAILED and place.connections == 0
            assert (await outgoing.call(call_to(f"https://{NAME}:{place.port}/hook"))).body == b"hi"
            await outgoing.close()

    run(story)


def test_a_certificate_for_another_name_is_refused(run: Run, trusted: ssl.SSLContext) -> None:
    async def story() -> None:
        async with receiver(answering(OK), trusted) as place, calling(resolve=resolving("127.0.0.1")) as outgoing:
            failed = await failure_of(outgoing, call_to(f"https://other.example:{place.port}/hook"))
        assert failed.kind is FailureKind.TLS and "certificate" in failed.detail
        assert failed.kind.nothing_sent

    run(story)


@pytest.mark.parametrize("ends", [2021, 2120])
def test_a_certificate_that_has_ended_or_that_nobody_vouches_for_is_refused(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: int
) -> None:
    path = certificate(tmp_path, datetime.datetime(ends, 1, 1, tzinfo=datetime.UTC))
    if ends == 2021:
        monkeypatch.setenv("SSL_CERT_FILE", str(path))

    async def story() -> None:
        async with (
            receiver(answering(OK), serving_with(path)) as place,
            calling(resolve=resolving("127.0.0.1")) as outgoing,
        ):
            failed = await failure_of(outgoing, call_to(f"https://{NAME}:{place.port}/hook"))
        assert failed.kind is FailureKind.TLS and "certificate" in failed.detail

    run(story)


def test_a_receiver_without_tls_is_refused(run: Run) -> None:
    async def plain(peer: Peer) -> None:
        await peer.reader.read(1)
        await peer.say(b"HTTP/1.1 400 Plain\r\n\r\n")

    async def story() -> None:
        async with receiver(plain) as place, calling() as outgoing:
            failed = await failure_of(outgoing, call_to(f"https://127.0.0.1:{place.port}/hook"))
        assert failed.kind is FailureKind.TLS

    run(story)


def test_a_handshake_shares_the_time_to_connect(run: Run) -> None:
    async def silent(peer: Peer) -> None:
        await peer.until_left()

    async def slow(host: str, port: int) -> list[str]:
        await asyncio.sleep(SHORT_S * 0.7)
        return ["127.0.0.1"]

    async def story() -> None:
        async with receiver(silent) as place, calling(resolve=slow) as outgoing:
            started = asyncio.get_running_loop().time()
            failed = await failure_of(outgoing, call_to(f"https://{NAME}:{place.port}/hook", connect_s=SHORT_S))
            took = asyncio.get_running_loop().time() - started
        assert failed.kind is FailureKind.CONNECT_TIMEOUT
        assert took < SHORT_S * 1.6  # each with its own limit, they would take 1.7 times the limit

    run(story)


@pytest.mark.parametrize("limit", ["connect_s", "total_s", "abandoned"])
def test_a_handshake_that_does_not_end_leaves_no_connection_behind(run: Run, limit: str) -> None:
    async def silent(peer: Peer) -> None:
        await peer.until_left()

    async def story() -> None:
        async with receiver(silent) as place, calling() as outgoing:
            call = call_to(f"https://127.0.0.1:{place.port}/hook", **{limit: SHORT_S} if limit != "abandoned" else {})
            task = asyncio.create_task(outgoing.call(call))
            done, _ = await asyncio.wait([task], timeout=SHORT_S if limit == "abandoned" else None)
            assert bool(done) is (limit != "abandoned")
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await place.rest()
            assert place.connections == 1

    run(story)


def test_a_client_certificate_that_is_wanted_and_not_there_breaks_the_call(run: Run, trusted: ssl.SSLContext) -> None:
    trusted.verify_mode = ssl.CERT_REQUIRED

    async def story() -> None:
        async with receiver(answering(OK), trusted) as place, calling(resolve=resolving("127.0.0.1")) as outgoing:
            failed = await failure_of(outgoing, call_to(f"https://{NAME}:{place.port}/hook"))
        assert failed.kind is FailureKind.BROKEN  # TLS 1.3 says so in place of an answer

    run(story)
