"""Requests of providers: kept before they are answered, or refused without a word (architecture 5)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest

from tertulia.server.callbacks.face import Callbacks, Waits
from tertulia.server.channels.base import InboxClosed
from tertulia.server.domain.channels import IncomingMedia, Report
from tertulia.server.domain.gateways import RemoveGateway, UpdateGateway
from tertulia.server.domain.receipts import ReceiptStatus
from tertulia.wire.requests import Request
from tests.contract.channels.heard import HeardChannel, signed
from tests.engine.inbound import ANA, Inbound
from tests.engine.owing import until
from tests.engine.world import BASE_URL


async def test_what_a_request_brings_is_kept_when_it_is_answered(inbound: Inbound) -> None:
    room, _ = await inbound.pair()
    reply = await inbound.call(inbound.body(inbound.incoming("hello")))
    assert (reply.status_code, reply.text, reply.headers["content-type"]) == (200, "POST ", "text/plain")
    assert await inbound.states() == ["waiting"]
    await inbound.settle()
    assert await inbound.bodies(room.sid) == ["hello"]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
@pytest.mark.parametrize("tail", ["", "/", "/status", "/a/b%2Fc", "/messages?hub.challenge=1&x=%20y"])
async def test_any_method_and_what_follows_the_gateway_get_to_its_channel(
    inbound: Inbound, method: str, tail: str
) -> None:
    reply = await inbound.call(method=method, tail=tail)
    assert (reply.status_code, reply.text) == (200, f"{method} {tail.partition('?')[0]}")


async def test_pages_of_other_sites_learn_nothing(inbound: Inbound) -> None:
    reply = await inbound.call(method="OPTIONS", tail="/x")
    assert not any(name.startswith("access-control") for name in reply.headers)


@pytest.mark.parametrize("signature", ["", "0" * 64, "ü"])
async def test_a_forged_request_is_told_nothing(
    inbound: Inbound, signature: str, caplog: pytest.LogCaptureFixture
) -> None:
    await inbound.pair()
    body = inbound.body(inbound.incoming("a secret between us"))
    reply = await inbound.call(body, signature=signature)
    assert (reply.status_code, reply.content) == (403, b"")
    assert await inbound.arrivals() == []
    [line] = [record for record in caplog.records if record.getMessage() == "channel.forged"]
    assert "secret" not in f"{line.__dict__}" and ANA not in f"{line.__dict__}"


async def test_a_signature_for_another_url_is_none(inbound: Inbound) -> None:
    body = inbound.body(inbound.incoming())
    for other in ("/elsewhere", "?x=1"):
        signature = signed(f"{BASE_URL}/callbacks/{inbound.gateway}{other}", body)
        assert (await inbound.call(body, signature=signature)).status_code == 403


async def test_a_replayed_request_is_answered_and_heard_once(inbound: Inbound) -> None:
    room, _ = await inbound.pair()
    body = inbound.body(inbound.incoming("once"))
    replies = [await inbound.call(body) for _ in range(3)]
    assert [reply.status_code for reply in replies] == [200, 200, 200]
    await inbound.settle()
    assert await inbound.bodies(room.sid) == ["once"]


async def test_the_same_request_at_the_same_time_is_heard_once(inbound: Inbound) -> None:
    room, _ = await inbound.pair()
    body = inbound.body(*(inbound.incoming(f"{number}") for number in range(20)))
    replies = await asyncio.gather(*(inbound.call(body) for _ in range(10)))
    assert {reply.status_code for reply in replies} == {200}
    await inbound.settle()
    assert await inbound.bodies(room.sid) == [f"{number}" for number in range(20)]


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\x00", b"[]", b'{"messages": [{}]}', b"{" * 100_000])
async def test_what_cannot_be_read_is_refused(inbound: Inbound, body: bytes) -> None:
    reply = await inbound.call(body)
    assert (reply.status_code, reply.content) == (400, b"")


async def test_a_parser_that_breaks_does_not_say_on_what(inbound: Inbound, caplog: pytest.LogCaptureFixture) -> None:
    reply = await inbound.call(b"a secret between us", tail="/crash")
    assert (reply.status_code, reply.content) == (500, b"")
    assert "secret" not in "".join(f"{record.getMessage()} {record.__dict__}" for record in caplog.records)


@pytest.mark.parametrize("gateway", ["GW" + "0" * 32, "nothing", "", "%00", "GW" + "x" * 32])
async def test_there_are_no_other_gateways(inbound: Inbound, gateway: str) -> None:
    reply = await inbound.call(gateway=gateway or "-")
    assert (reply.status_code, reply.content) == (404, b"")


async def test_a_gateway_that_was_removed_is_none(inbound: Inbound) -> None:
    assert (await inbound.call()).status_code == 200
    await inbound.world.sql("DELETE FROM senders")
    await inbound.world.do(RemoveGateway, gateway="wire")
    inbound.channels.news()
    assert (await inbound.call()).status_code == 404


async def test_a_secret_that_was_changed_is_in_force(inbound: Inbound) -> None:
    assert (await inbound.call()).status_code == 200
    inbound.world.clock.advance(timedelta(microseconds=1))
    await inbound.world.do(UpdateGateway, gateway="wire", settings={"secret": "another"})
    inbound.channels.news()
    assert (await inbound.call()).status_code == 403
    signature = signed(f"{BASE_URL}/callbacks/{inbound.gateway}", b"{}", "another")
    assert (await inbound.call(signature=signature)).status_code == 200


async def test_stop_is_heeded_where_the_channel_leaves_it_to_us(inbound: Inbound) -> None:
    await inbound.call(inbound.body(inbound.incoming("STOP")))
    assert len(await inbound.replies()) == 1


async def test_reports_are_kept_with_the_messages_beside_them(inbound: Inbound) -> None:
    report = Report(status=ReceiptStatus.DELIVERED, handle="unknown so far")
    reply = await inbound.call(inbound.body(inbound.incoming(), report))
    assert reply.status_code == 200
    assert await inbound.states() == ["waiting"]
    assert await inbound.world.count("early_reports") == 1


async def test_a_thousand_events_in_one_request(inbound: Inbound) -> None:
    room, _ = await inbound.pair()
    body = inbound.body(*(inbound.incoming(f"{number}") for number in range(1000)))
    assert (await inbound.call(body)).status_code == 200
    await inbound.settle()
    assert await inbound.bodies(room.sid) == [f"{number}" for number in range(1000)]


# ------------------------------------------------------------------------------------------------------ odd contents


@pytest.mark.parametrize("field", ["text", "subject", "profile_name", "provider_id"])
@pytest.mark.parametrize("value", ["\x00", "a\x00b", "\x1b[31m", "\u202e", "x" * 100_000, "😀" * 20_000])
async def test_whatever_strangers_write_can_be_kept(inbound: Inbound, field: str, value: str) -> None:
    await inbound.welcome()
    given = {"text": "hello", field: value}
    assert (await inbound.call(inbound.body(inbound.incoming(**given)))).status_code == 200
    await inbound.settle()
    [(sid, _, _, _)] = await inbound.conversations()
    [message] = await inbound.messages(sid)
    assert "\x00" not in f"{message.body}{message.subject}"
    assert len((message.body or "").encode()) <= 32 * 1024


async def test_words_that_are_too_many_are_cut_and_that_is_noted(inbound: Inbound) -> None:
    room, _ = await inbound.pair()
    await inbound.call(inbound.body(inbound.incoming("é" * 20_000)))
    await inbound.settle()
    [message] = await inbound.messages(room.sid)
    assert message.body == "é" * 16_384
    assert json.loads(message.attributes) == {"channel": {"cut": True}}


async def test_a_message_in_parts_of_which_some_never_came_says_so(inbound: Inbound) -> None:
    room, _ = await inbound.pair()
    await inbound.call(inbound.body(inbound.incoming("the beg", is_incomplete=True, attributes={"place": [1, 2]})))
    await inbound.settle()
    [message] = await inbound.messages(room.sid)
    assert json.loads(message.attributes) == {"place": [1, 2], "channel": {"incomplete": True}}


@pytest.mark.parametrize(
    "attributes", [{"x": "y" * 5000}, {"deep": json.loads("[" * 80 + "]" * 80)}], ids=["long", "deep"]
)
async def test_attributes_that_no_message_can_have_are_left_out(
    inbound: Inbound, attributes: dict[str, object]
) -> None:
    room, _ = await inbound.pair()
    await inbound.call(inbound.body(inbound.incoming(attributes=attributes)))
    await inbound.settle()
    [message] = await inbound.messages(room.sid)
    assert json.loads(message.attributes) == {"channel": {"cut": True}}


async def test_a_message_of_attributes_alone_is_one(inbound: Inbound) -> None:
    room, _ = await inbound.pair()
    await inbound.call(inbound.body(inbound.incoming(None, attributes={"location": {"latitude": 1.5}})))
    await inbound.settle()
    [message] = await inbound.messages(room.sid)
    assert (message.body, json.loads(message.attributes)) == (None, {"location": {"latitude": 1.5}})


@pytest.mark.parametrize("address", ["", " ", "x" * 257, "+1555\x00", "+1555\n"])
@pytest.mark.parametrize("side", ["sender", "recipient"])
async def test_what_names_nobody_is_left_out(inbound: Inbound, side: str, address: str) -> None:
    reply = await inbound.call(inbound.body(inbound.incoming(**{side: address}), inbound.incoming()))
    assert reply.status_code == 200
    assert len(await inbound.arrivals()) == (2 if (side, address) == ("sender", "+1555\n") else 1)


async def test_files_and_recipients_without_end_are_bounded(inbound: Inbound) -> None:
    await inbound.pair()
    files = tuple(IncomingMedia(content_type="image/png", reference="x" * 5000) for _ in range(500))
    answers = tuple("IM" + "0" * 32 for _ in range(5000))
    assert (await inbound.call(inbound.body(inbound.incoming(media=files, answers=answers)))).status_code == 200
    await inbound.call(inbound.body(inbound.incoming(others=tuple(f"+1555{number:07}" for number in range(9000)))))
    assert all(len(f"{arrival.content}{arrival.group_key}") < 2000 for arrival in await inbound.arrivals())


# ---------------------------------------------------------------------------------------------------------- limits


async def test_a_body_that_is_too_large_is_not_read(inbound: Inbound) -> None:
    reply = await inbound.call(b"x" * ((4 << 20) + 1))
    assert (reply.status_code, reply.content) == (413, b"")


async def test_more_requests_than_places_wait_for_one(inbound: Inbound) -> None:
    body = inbound.body(inbound.incoming())
    async with inbound.world.database.transaction():  # nobody else can write meanwhile
        calls = [asyncio.create_task(inbound.call(body)) for _ in range(200)]
        await asyncio.sleep(0.05)
        assert not any(call.done() for call in calls)
    replies = await asyncio.gather(*calls)
    assert {reply.status_code for reply in replies} == {200}
    assert len(await inbound.arrivals()) == 1


async def read(data: bytes) -> bytes:
    return data


async def never() -> bytes:
    await asyncio.Event().wait()
    raise AssertionError("nobody sets it")


class Door:
    """What answers the provider, as narrow as a test wants it."""

    def __init__(self, inbound: Inbound, at_once: int = 1, **waits: Any) -> None:
        self._inbound = inbound
        self._callbacks = Callbacks(inbound.channels, inbound.store, at_once=at_once, waits=Waits(**waits))

    def knock(
        self, body: Callable[[bytes], Awaitable[bytes]] = read, headers: Mapping[str, str] | None = None
    ) -> asyncio.Task[tuple[int, dict[str, str]]]:
        """A request with a message; status and headers of the answer."""
        inbound, data = self._inbound, self._inbound.body(self._inbound.incoming())
        url = f"{BASE_URL}/callbacks/{inbound.gateway}"
        known = {"x-signature": signed(url, data), "content-length": str(len(data)), **(headers or {})}
        request = Request("POST", f"/callbacks/{inbound.gateway}", {}, known, b"")

        async def answer() -> tuple[int, dict[str, str]]:
            reply = await self._callbacks.answer(request, url, lambda: body(data))
            return reply.status, dict(reply.headers)

        return asyncio.create_task(answer())


async def test_more_than_may_wait_are_asked_to_come_again(inbound: Inbound) -> None:
    door = Door(inbound, waiting=2)
    async with inbound.world.database.transaction():
        calls = [door.knock() for _ in range(5)]
        await until(lambda: sum(call.done() for call in calls) == 2)
    answers = await asyncio.gather(*calls)
    assert sorted(status for status, _ in answers) == [200, 200, 200, 503, 503]
    assert [headers for status, headers in answers if status == 503] == [{"Retry-After": "5"}] * 2


async def test_nobody_waits_for_a_place_without_end(inbound: Inbound) -> None:
    door = Door(inbound, place_s=0.01)
    async with inbound.world.database.transaction():
        first, second = door.knock(), door.knock()
        assert (await second)[0] == 503
    assert (await first)[0] == 200


async def test_bodies_that_do_not_come_keep_nobody_out(inbound: Inbound) -> None:
    door = Door(inbound)
    slow = [door.knock(lambda _: never()) for _ in range(100)]
    await asyncio.sleep(0)
    assert (await door.knock())[0] == 200
    assert not any(call.done() for call in slow)
    for call in slow:
        call.cancel()
    await asyncio.wait(slow)


async def test_large_bodies_that_do_not_come_keep_no_small_one_out(inbound: Inbound) -> None:
    door = Door(inbound)
    unsaid = {"transfer-encoding": "chunked", "content-length": ""}
    slow = [door.knock(lambda _: never(), {"content-length": "4000000"}) for _ in range(20)]
    slow += [door.knock(lambda _: never(), unsaid) for _ in range(20)]
    await asyncio.sleep(0)
    assert (await door.knock())[0] == 200
    for call in slow:
        call.cancel()
    await asyncio.wait(slow)
    assert (await door.knock(read, unsaid))[0] == 200


async def test_a_body_that_does_not_come_is_not_waited_for(inbound: Inbound) -> None:
    door = Door(inbound, body_s=0.01)
    assert await door.knock(lambda _: never()) == (408, {"Connection": "close"})
    assert (await door.knock())[0] == 200


async def test_who_has_gone_gives_his_place_to_the_next(inbound: Inbound) -> None:
    door = Door(inbound)
    async with inbound.world.database.transaction():
        calls = [door.knock() for _ in range(4)]
        await asyncio.sleep(0.05)
        calls[0].cancel()
        calls[2].cancel()
        await asyncio.wait(calls, timeout=0.05)
    assert [(await call)[0] for call in (calls[1], calls[3])] == [200, 200]


async def test_what_the_database_does_not_take_is_asked_for_again(inbound: Inbound) -> None:
    body = inbound.body(inbound.incoming())
    await inbound.world.sql("ALTER TABLE arrivals RENAME TO away")
    reply = await inbound.call(body)
    assert (reply.status_code, reply.content) == (503, b"")
    await inbound.world.sql("ALTER TABLE away RENAME TO arrivals")
    assert (await inbound.call(body)).status_code == 200
    assert await inbound.states() == ["waiting"]


async def test_while_the_database_is_away_nothing_is_promised(inbound: Inbound) -> None:
    body = inbound.body(inbound.incoming())
    assert (await inbound.call()).status_code == 200
    await inbound.world.database.close()
    assert (await inbound.call(body)).status_code == 503


async def test_a_suspended_account_is_asked_to_be_tried_again(inbound: Inbound) -> None:
    await inbound.world.sql("UPDATE accounts SET suspended_at = 1")
    assert (await inbound.call(inbound.body(inbound.incoming()))).status_code == 503


# ------------------------------------------------------------------------------------------------------ connections


async def test_what_a_connection_brings_is_kept_the_same_way(inbound: Inbound) -> None:
    room, _ = await inbound.pair()
    async with inbound.channels.use(inbound.gateway):
        await asyncio.sleep(0)
    inbox = HeardChannel.inbox
    assert inbox is not None
    one = inbound.incoming("by wire")
    await inbox.put(one, inbound.incoming("STOP"))
    await inbox.put(one)
    await inbound.settle()
    assert await inbound.bodies(room.sid) == ["by wire", "STOP"]
    assert len(await inbound.replies()) == 1


async def test_a_connection_is_told_that_it_cannot_be_kept(inbound: Inbound) -> None:
    async with inbound.channels.use(inbound.gateway):
        await asyncio.sleep(0)
    inbox = HeardChannel.inbox
    assert inbox is not None
    await inbound.world.sql("UPDATE accounts SET suspended_at = 1")
    with pytest.raises(InboxClosed):
        await inbox.put(inbound.incoming())
    assert await inbound.arrivals() == []
