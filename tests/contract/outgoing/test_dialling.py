"""Connections for what is not HTTP: judged, bounded and proved as calls are."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest

from tertulia.server.outgoing import CallFailed, FailureKind
from tertulia.server.outgoing.trust import trusting_only
from tertulia.server.settings import OutgoingSettings, Settings
from tests.contract.outgoing.receivers import LONG_S, SHORT_S, Peer, calling, receiver, resolving
from tests.contract.websocket.serving import Run
from tests.peers.authority import Authority

CLOSED = Settings(outgoing=OutgoingSettings(allow_private=False))
NAME = "smsc.example"


async def greet(peer: Peer) -> None:
    await peer.say(b"hello")


def serving(authority: Authority, folder: Path) -> ssl.SSLContext:
    issued = authority.issue(NAME)
    path = folder / "served.pem"
    path.write_text(issued.private_key + issued.certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


def test_what_is_said_is_heard(run: Run) -> None:
    async def story() -> None:
        async with receiver(greet) as place, calling() as outgoing:
            stream = await outgoing.dial("127.0.0.1", place.port, tls=None, limit_s=LONG_S)
            assert await stream.read(LONG_S) == b"hello"
            stream.close()

    run(story)


def test_over_tls_it_may_be_said_who_is_trusted(run: Run, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    tls = serving(authority, tmp_path)

    async def story() -> None:
        async with receiver(greet, tls) as place, calling(resolve=resolving("127.0.0.1")) as outgoing:
            trusting = trusting_only(authority.file.read_text())
            stream = await outgoing.dial(NAME, place.port, tls=trusting, limit_s=LONG_S)
            assert await stream.read(LONG_S) == b"hello"
            stream.close()
            for host, trusted in (("other.example", trusting), (NAME, trusting_only(""))):
                with pytest.raises(CallFailed) as failed:
                    await outgoing.dial(host, place.port, tls=trusted, limit_s=LONG_S)
                assert failed.value.kind is FailureKind.TLS

    run(story)


def test_a_private_address_is_refused(run: Run) -> None:
    async def story() -> None:
        async with receiver(greet) as place:
            async with calling(CLOSED) as outgoing:
                with pytest.raises(CallFailed) as failed:
                    await outgoing.dial("localhost", place.port, tls=None, limit_s=LONG_S)
            assert failed.value.kind is FailureKind.REFUSED_ADDRESS
            assert place.connections == 0

    run(story)


def test_a_silent_name_server_is_not_waited_for(run: Run) -> None:
    async def never(host: str, port: int) -> list[str]:
        await asyncio.Event().wait()
        return []

    async def story() -> None:
        async with calling(resolve=never) as outgoing:
            with pytest.raises(CallFailed) as failed:
                await outgoing.dial(NAME, 1, tls=None, limit_s=SHORT_S)
        assert failed.value.kind is FailureKind.CONNECT_TIMEOUT
        assert str(failed.value) == f"{NAME}:1: no connection in 0.1 s"

    run(story)


def test_nothing_is_dialled_after_the_end(run: Run) -> None:
    async def story() -> None:
        async with calling() as outgoing:
            pass
        with pytest.raises(RuntimeError):
            await outgoing.dial(NAME, 1, tls=None, limit_s=LONG_S)

    run(story)


@pytest.mark.parametrize("authorities", ["a secret, and no PEM", "secret\u00e9", "\n"])
def test_authorities_that_are_none_are_not_quoted(authorities: str) -> None:
    with pytest.raises(ValueError) as failed:
        trusting_only(authorities)
    assert "secret" not in str(failed.value)
