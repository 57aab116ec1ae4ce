"""Whom nobody reaches through us, however the URL writes it."""

from __future__ import annotations

import pytest

from tertulia.server.outgoing import FailureKind
from tertulia.server.settings import OutgoingSettings, Settings
from tests.contract.outgoing.receivers import OK, OPEN, answering, call_to, calling, failure_of, receiver, resolving
from tests.contract.websocket.serving import Run

CLOSED = Settings(outgoing=OutgoingSettings(allow_private=False))


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0x7f.0.0.0x1",
        "0.0.0.0",
        "0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "10.0.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "2852039166",
        "[fd00:ec2::254]",
        "user:s3cret@127.0.0.1",
        "public.example@127.0.0.1",
    ],
)
def test_a_private_address_is_refused_in_every_spelling(run: Run, host: str) -> None:
    async def story() -> None:
        async with receiver(answering(OK)) as place:
            async with calling(CLOSED) as outgoing:
                failed = await failure_of(outgoing, call_to(f"http://{host}:{place.port}/hook"))
            assert failed.kind is FailureKind.REFUSED_ADDRESS
            assert failed.kind.nothing_sent
            assert place.connections == 0

    run(story)


@pytest.mark.parametrize("host", ["[fe80::1%lo]", "[fe80::1%25lo]", "[::1%lo]"])
def test_an_address_with_a_zone_is_not_called(run: Run, host: str) -> None:
    async def story() -> None:
        async with calling(CLOSED) as outgoing:
            failed = await failure_of(outgoing, call_to(f"http://{host}/hook"))
        assert failed.kind in (FailureKind.REFUSED_ADDRESS, FailureKind.UNRESOLVABLE)

    run(story)


@pytest.mark.parametrize("address", ["169.254.169.254", "fe80::1%lo", "fd00:ec2::254", "168.63.129.16", "224.0.0.1"])
def test_link_local_and_metadata_addresses_are_refused_even_where_private_ones_are_allowed(
    run: Run, address: str
) -> None:
    async def story() -> None:
        async with calling(OPEN, resolve=resolving(address)) as outgoing:
            failed = await failure_of(outgoing, call_to("http://inner.example/hook"))
        assert failed.kind is FailureKind.REFUSED_ADDRESS

    run(story)


def test_a_name_is_judged_by_where_it_leads(run: Run) -> None:
    async def story() -> None:
        async with calling(CLOSED, resolve=resolving("10.0.0.1", "::1")) as outgoing:
            failed = await failure_of(outgoing, call_to("http://public.example/hook"))
        assert failed.kind is FailureKind.REFUSED_ADDRESS

    run(story)


def test_a_name_that_changes_its_mind_gains_nothing(run: Run) -> None:
    async def story() -> None:
        asked = 0

        async def resolve(host: str, port: int) -> list[str]:
            # As a rebinding name server does: harmless when it is checked, and inside when it is called.
            nonlocal asked
            asked += 1
            return ["169.254.169.254", "127.0.0.1"] if asked == 1 else ["127.0.0.2"]

        async with receiver(answering(OK)) as place, calling(OPEN, resolve=resolve) as outgoing:
            answer = await outgoing.call(call_to(f"http://rebinding.example:{place.port}/hook"))
            assert (answer.status, asked, place.connections) == (200, 1, 1)

    run(story)


@pytest.mark.parametrize("found", [[], ["not an address"], ["127.0.0.1", "1.2.3"]])
def test_an_answer_of_a_name_server_that_makes_no_sense_leads_nowhere(run: Run, found: list[str]) -> None:
    async def story() -> None:
        async with calling(CLOSED, resolve=resolving(*found)) as outgoing:
            failed = await failure_of(outgoing, call_to("http://odd.example/hook"))
        assert failed.kind in (FailureKind.UNRESOLVABLE, FailureKind.REFUSED_ADDRESS)

    run(story)
