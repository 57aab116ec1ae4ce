"""Telling receivers, whatever they do: retries, order, tokens, limits (semantics 1.6, 1.8)."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from tertulia.server.domain.errors import TertuliaError
from tertulia.server.domain.messages import SendMessage
from tertulia.server.settings import OutgoingSettings, Settings, WebhooksSettings
from tests.api.webhooks.conftest import NewSite, Site
from tests.api.webhooks.receiver import Told, answer, never, receiving, reset


async def say(site: Site, room: str, *bodies: str) -> None:
    for body in bodies:
        await site.do(SendMessage, by="ana", conversation=room, body=body)


def bodies(told: list[Told]) -> list[str]:
    return [one["Body"] for one in told]


async def test_a_receiver_that_is_down_for_an_hour_gets_every_event_in_order_once_acknowledged(site: Site) -> None:
    await site.hooks("onMessageAdded", post="/post")
    room = await site.room("ana")
    site.receiver.respond = answer(503)
    await say(site, room, "1", "2", "3")
    await site.settle()
    for minute in range(60):
        await site.pass_time(minutes=1)
        if minute % 20 == 0:
            await say(site, room, f"after {minute} minutes")
    tried = site.receiver.forget()
    assert set(bodies(tried)) == {"1"}  # those behind wait for the one in front
    assert len({one.token for one in tried}) == 1
    assert [int(one["RetryCount"]) for one in tried] == list(range(len(tried)))
    site.receiver.respond = answer(200)
    await site.pass_time(minutes=20)
    expected = ["1", "2", "3", "after 0 minutes", "after 20 minutes", "after 40 minutes"]
    assert bodies(site.receiver.told) == expected
    assert len({one.token for one in site.receiver.told}) == 6
    assert site.receiver.told[0].token == tried[0].token
    await site.pass_time(hours=5)
    assert bodies(site.receiver.told) == expected


async def test_after_four_hours_an_event_is_given_up_and_the_next_one_has_its_turn(site: Site) -> None:
    await site.hooks("onMessageAdded", post="/post")
    room = await site.room("ana")
    site.receiver.respond = answer(503)
    await say(site, room, "lost")
    await site.settle()
    for _ in range(5 * 6):
        await site.pass_time(minutes=10)
    site.receiver.respond = answer(200)
    site.receiver.forget()
    await say(site, room, "next")
    await site.settle()
    assert bodies(site.receiver.told) == ["next"]


@pytest.mark.parametrize("respond", [never, reset, answer(429), answer(500), answer(504)])
async def test_trouble_that_passes_is_met_with_another_try(site: Site, respond: object) -> None:
    # No answer within the time is the same as none at all; the test does not wait five seconds for it.
    fragment = "#rt=100&rp=all&rc=5" if respond is never else ""
    await site.hooks("onMessageAdded", post=site.receiver.url("/post") + fragment)
    room = await site.room("ana")
    site.receiver.respond = respond  # type: ignore[assignment]
    await say(site, room, "hello")
    await site.settle()
    site.receiver.respond = answer(200)
    await site.pass_time(seconds=5)
    assert bodies(site.receiver.told) == ["hello", "hello"]
    assert [one["RetryCount"] for one in site.receiver.told] == ["0", "1"]


async def test_a_receiver_says_when_to_come_back(site: Site) -> None:
    await site.hooks("onMessageAdded", post="/post")
    room = await site.room("ana")
    site.receiver.respond = answer(429, Retry_After="120")
    await say(site, room, "hello")
    await site.settle()
    site.receiver.respond = answer(200)
    await site.pass_time(seconds=119)
    assert len(site.receiver.told) == 1
    await site.pass_time(seconds=2)
    assert len(site.receiver.told) == 2


@pytest.mark.parametrize("status", [301, 400, 401, 404, 410])
async def test_a_refusal_is_the_receivers_last_word(site: Site, status: int) -> None:
    await site.hooks("onMessageAdded", post="/post")
    room = await site.room("ana")
    site.receiver.respond = answer(status, Location=site.receiver.url("/elsewhere"))
    await say(site, room, "first", "second")
    await site.settle()
    await site.pass_time(hours=1)
    assert bodies(site.receiver.told) == ["first", "second"]
    assert {one.path for one in site.receiver.told} == {"/post"}


async def test_a_slow_receiver_delays_its_own_conversation_only(site: Site) -> None:
    await site.hooks("onMessageAdded", post="/post")
    slow, quick = await site.room("ana"), await site.room("ana")
    let_go = asyncio.Event()

    async def respond(told: Told, writer: asyncio.StreamWriter) -> None:
        if told["ConversationSid"] == slow:
            await let_go.wait()
        await answer(200)(told, writer)

    site.receiver.respond = respond
    await say(site, slow, "slow 1", "slow 2")
    await say(site, quick, "quick 1", "quick 2")
    working = asyncio.create_task(site.settle())
    told = await site.receiver.wait_for(3)
    # Two conversations, two connections: only within each there is an order.
    assert [body for body in bodies(told) if body.startswith("quick")] == ["quick 1", "quick 2"]
    assert [body for body in bodies(told) if body.startswith("slow")] == ["slow 1"]
    let_go.set()
    await working
    assert bodies(site.receiver.told)[3:] == ["slow 2"]


async def test_a_huge_answer_counts_by_its_status(site: Site) -> None:
    await site.hooks("onMessageAdded", post="/post")
    room = await site.room("ana")
    site.receiver.respond = answer(200, b"x" * (4 << 20))
    await say(site, room, "hello")
    assert await site.settle() == 1
    await site.pass_time(hours=1)
    assert len(site.receiver.told) == 1


async def test_a_fragment_says_how_often_and_for_what(site: Site) -> None:
    room = await site.room("ana")
    for fragment, status, tries in (
        ("#rc=2&rp=5xx", 503, 3),
        ("#rc=2&rp=4xx", 404, 3),
        ("#rc=2", 503, 1),  # for connect timeouts alone, unless it says otherwise
        ("#rc=0&rp=all", 503, 1),
        ("#rp=5xx", 503, 2),
    ):
        await site.hooks("onMessageAdded", post=site.receiver.url("/post") + fragment)
        site.receiver.respond = answer(status)
        await say(site, room, fragment)
        await site.settle()
        for _ in range(6):
            await site.pass_time(seconds=10)
        told = site.receiver.forget()
        assert [one.path for one in told] == ["/post"] * tries, fragment
        assert all(one.is_signed_with(site.auth_token) for one in told)


async def test_an_installation_may_leave_receivers_alone_after_one_try(new_site: NewSite) -> None:
    async with new_site(Settings(webhooks=WebhooksSettings(post_retry=False))) as site:
        await site.hooks("onMessageAdded", post="/post")
        room = await site.room("ana")
        site.receiver.respond = answer(503)
        await say(site, room, "hello")
        await site.settle()
        await site.pass_time(hours=1)
        assert len(site.receiver.told) == 1


async def test_private_addresses_are_not_called_unless_the_installation_allows_it(new_site: NewSite) -> None:
    async with new_site(Settings(outgoing=OutgoingSettings(allow_private=False))) as site:
        await site.hooks("onMessageAdded", "onMessageAdd", post="/post", pre="/pre")
        room = await site.room("ana")
        await say(site, room, "hello")
        assert await site.settle() == 1
        await site.pass_time(hours=1)
        assert site.receiver.told == []


async def test_two_webhooks_hear_of_an_event_with_tokens_of_their_own(site: Site) -> None:
    room = await site.room("ana")
    async with receiving() as other:
        await site.webhook(room, Url=site.receiver.url(), Filters=["onMessageAdded"])
        await site.webhook(room, Url=other.url(), Filters=["onMessageAdded"])
        await say(site, room, "hello")
        await site.settle()
        assert bodies(site.receiver.told) == bodies(other.told) == ["hello"]
        assert site.receiver.told[0].token != other.told[0].token


async def test_nothing_of_a_message_or_a_secret_is_logged(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    url = site.receiver.url("/post?key=topsecret").replace("http://", "http://ana:passphrase@")
    await site.hooks("onMessageAdded", "onMessageAdd", post=url, pre=url)
    room = await site.room("ana")
    for respond in (answer(503), answer(404), reset, answer(200, "no json")):
        site.receiver.respond = respond
        with contextlib.suppress(TertuliaError):
            await say(site, room, "whispered")
        await site.settle()
    written = " ".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)
    assert caplog.records
    for secret in ("topsecret", "passphrase", "whispered", site.auth_token):
        assert secret not in written
