"""HTTP/2 over TLS: what both sides have to agree on, and how we prove ourselves."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest

from tertulia.server.outgoing import ClientCertificate, FailureKind
from tests.contract.outgoing.lines import Line, echoing, speaking
from tests.contract.outgoing.receivers import call_to, calling, failure_of, no_files_left, receiver, resolving
from tests.contract.websocket.serving import Run
from tests.peers.authority import Authority, Issued

NAME = "tls.example"


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """Trusted by whoever starts to call after this."""
    made = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(made.file))
    return made


def serving(issued: Issued, folder: Path, *protocols: str, clients: Authority | None = None) -> ssl.SSLContext:
    file = folder / "served.pem"
    file.write_text(issued.certificate + issued.private_key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    if protocols:
        context.set_alpn_protocols(list(protocols))
    if clients is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(clients.file)
    return context


def certificate(issued: Issued) -> ClientCertificate:
    return ClientCertificate(certificate=issued.certificate, private_key=issued.private_key)


def test_a_receiver_that_agrees_on_http_2_is_called(run: Run, authority: Authority, tmp_path: Path) -> None:
    context = serving(authority.issue(NAME), tmp_path, "http/1.1", "h2")

    async def story() -> None:
        async with receiver(speaking(echoing), context) as place, calling(resolve=resolving("127.0.0.1")) as outgoing:
            calls = outgoing.multiplexed(f"https://{NAME}:{place.port}")
            for one in (b"one", b"two"):
                assert (await calls.call(call_to(f"https://{NAME}:{place.port}/hook", body=one))).body == one
            assert place.connections == 1

    run(story)


@pytest.mark.parametrize("protocols", [(), ("http/1.1",)])
def test_a_receiver_that_does_not_agree_is_not_called(
    run: Run, authority: Authority, tmp_path: Path, protocols: tuple[str, ...]
) -> None:
    context = serving(authority.issue(NAME), tmp_path, *protocols)

    async def story() -> None:
        async with receiver(speaking(echoing), context) as place, calling(resolve=resolving("127.0.0.1")) as outgoing:
            calls = outgoing.multiplexed(f"https://{NAME}:{place.port}")
            failed = await failure_of(calls, call_to(f"https://{NAME}:{place.port}/hook"))
            assert failed.kind is FailureKind.TLS and failed.kind.nothing_sent

    run(story)


@pytest.mark.parametrize("case", ["another name", "nobody vouches"])
def test_who_does_not_prove_its_name_is_not_called(run: Run, authority: Authority, tmp_path: Path, case: str) -> None:
    issued = authority.issue("other.example")
    if case == "nobody vouches":
        (tmp_path / "stranger").mkdir()
        issued = Authority(tmp_path / "stranger").issue(NAME)
    context = serving(issued, tmp_path, "h2")

    async def story() -> None:
        async with receiver(speaking(echoing), context) as place, calling(resolve=resolving("127.0.0.1")) as outgoing:
            calls = outgoing.multiplexed(f"https://{NAME}:{place.port}")
            failed = await failure_of(calls, call_to(f"https://{NAME}:{place.port}/hook"))
            assert failed.kind is FailureKind.TLS and "certificate" in failed.detail

    run(story)


def test_we_prove_ourselves_where_that_is_asked(run: Run, authority: Authority, tmp_path: Path) -> None:
    context = serving(authority.issue(NAME), tmp_path, "h2", clients=authority)

    async def story() -> None:
        subjects: list[object] = []

        async def looking(line: Line) -> None:
            subjects.append(line.peer.writer.get_extra_info("peercert")["subject"])
            await line.serve()

        async with receiver(speaking(looking), context) as place, calling(resolve=resolving("127.0.0.1")) as outgoing:
            url = f"https://{NAME}:{place.port}"
            calls = outgoing.multiplexed(url, certificate(authority.issue(uid="com.example.chat")))
            assert (await calls.call(call_to(f"{url}/hook", body=b"one"))).body == b"one"
            assert "com.example.chat" in str(subjects)
            without = outgoing.multiplexed(url)
            assert (await failure_of(without, call_to(f"{url}/hook"))).kind is FailureKind.CONNECT_FAILED

    run(story)


@pytest.mark.parametrize("case", ["no PEM", "another key", "with a password"])
def test_a_certificate_that_cannot_be_used_is_named_and_nobody_is_called(
    run: Run, authority: Authority, tmp_path: Path, case: str
) -> None:
    issued, other = authority.issue(uid="one"), authority.issue(uid="two")
    chosen = {
        "no PEM": Issued("s3cret", "s3cret"),
        "another key": Issued(issued.certificate, other.private_key),
        "with a password": Issued(issued.certificate, locked(issued.private_key)),
    }[case]

    async def story() -> None:
        context = serving(authority.issue(NAME), tmp_path, "h2")
        async with receiver(speaking(echoing), context) as place, calling(resolve=resolving("127.0.0.1")) as outgoing:
            url = f"https://{NAME}:{place.port}"
            calls = outgoing.multiplexed(url, certificate(chosen))
            for _ in range(2):
                failed = await failure_of(calls, call_to(f"{url}/hook"))
                assert failed.kind is FailureKind.BAD_REQUEST and "certificate" in failed.detail
                assert "s3cret" not in f"{failed!r} {certificate(chosen)!r}"
            assert place.connections == 0

    run(story)


def test_a_certificate_that_could_not_be_loaded_for_a_moment_is_loaded_later(
    run: Run, authority: Authority, tmp_path: Path
) -> None:
    context = serving(authority.issue(NAME), tmp_path, "h2", clients=authority)

    async def story() -> None:
        async with receiver(speaking(echoing), context) as place, calling(resolve=resolving("127.0.0.1")) as outgoing:
            url = f"https://{NAME}:{place.port}"
            async with asyncio.timeout(30):
                # All there is to load but the certificate is loaded, and threads run.
                await failure_of(outgoing.multiplexed(url, certificate(Issued("none", "none"))), call_to(f"{url}/hook"))
            calls = outgoing.multiplexed(url, certificate(authority.issue(uid="com.example.chat")))
            with no_files_left():
                failed = await failure_of(calls, call_to(f"{url}/hook"))
            assert failed.kind is FailureKind.CONNECT_FAILED and failed.kind.nothing_sent
            assert place.connections == 0
            assert (await calls.call(call_to(f"{url}/hook", body=b"one"))).body == b"one"

    run(story)


def locked(private_key: str) -> str:
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key(private_key.encode(), None)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"open it"),
    ).decode()
