"""Channels are opened when first used, kept, and opened anew when their gateway has changed."""

from __future__ import annotations

import asyncio
import itertools
import logging
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest

from tertulia.server.channels.base import (
    Accepted,
    Adapter,
    Channel,
    ChannelMessage,
    Inbox,
    NotNow,
    Refused,
    Surroundings,
)
from tertulia.server.channels.making import OpenGateway
from tertulia.server.channels.opening import Channels, Patience
from tertulia.server.clock import ManualClock
from tertulia.server.domain.channels import Incoming, Report
from tertulia.server.outgoing import Outgoing
from tertulia.server.settings import Settings as ServerSettings

from .distribution import install

GATEWAY, ANOTHER, NOBODYS = (f"GW{digit * 32}" for digit in "123")
WITHIN_S = 20.0
NAME = "kept-open"


class Settings(msgspec.Struct, frozen=True):
    label: str = "first"
    is_bad: bool = False
    is_odd: bool = False
    is_clinging: bool = False
    """Its connection does not end, nor does it."""
    breaks: int = 0
    """How often its connection breaks by a mistake."""


class KeptChannel(Channel):
    """Its life is written down, in the order of what happened to all of them."""

    life: ClassVar[list[str]] = []

    def __init__(self, settings: Settings, surroundings: Surroundings) -> None:
        if settings.is_bad:
            raise ValueError("the label is worn off")
        if settings.is_odd:
            raise KeyError("whatever")
        self.settings = settings
        self.surroundings = surroundings
        self._breaks = settings.breaks
        self.say("opened")

    def say(self, what: str) -> None:
        self.life.append(f"{self.settings.label} {what}")

    async def send(self, message: ChannelMessage) -> Accepted:
        return Accepted()

    async def run(self, inbox: Inbox) -> None:
        self.say("runs")
        if self._breaks:
            self._breaks -= 1
            raise LookupError("a mistake")
        try:
            await asyncio.Event().wait()
        finally:
            if self.settings.is_clinging:
                await asyncio.sleep(3600)
            self.say("rests")

    async def close(self) -> None:
        if self.settings.is_clinging:
            await asyncio.sleep(3600)
        self.say("closed")


def _open(settings: Any, surroundings: Surroundings) -> Channel:
    return KeptChannel(settings, surroundings)


ADAPTER = Adapter(name=NAME, kinds=frozenset(("sms",)), settings=Settings, open=_open)


class Drawer:
    """Where the gateways of these tests lie. Its reads can be held up, and refused."""

    def __init__(self) -> None:
        self.gateways: dict[str, OpenGateway] = {}
        self.reads = 0
        self.is_away = False
        self.locked: set[str] = set()
        self.may_read = asyncio.Event()
        self.may_read.set()
        self._versions = itertools.count(1)

    def put(self, sid: str = GATEWAY, adapter: str = NAME, **settings: Any) -> None:
        self.gateways[sid] = OpenGateway(
            sid=sid, account_sid="AC" + "0" * 32, adapter=adapter, settings=settings, version=str(next(self._versions))
        )

    async def gateway(self, sid: str) -> OpenGateway | None:
        self.reads += 1
        found = self.gateways.get(sid)
        await self.may_read.wait()
        if sid in self.locked:
            raise NotNow("its drawer is locked", is_alarming=True)
        return found

    async def senders(self, sid: str) -> Sequence[str]:
        return [f"sender of {sid}"]

    async def versions(self) -> Mapping[str, str]:
        self.reads += 1
        if self.is_away:
            raise ConnectionError("the drawer is away")
        return {sid: gateway.version for sid, gateway in self.gateways.items() if sid not in self.locked}


class Letterbox:
    async def put(self, *events: Incoming | Report) -> None:
        raise AssertionError(f"nobody writes here: {events}")


@pytest.fixture
def drawer() -> Drawer:
    drawer = Drawer()
    drawer.put()
    return drawer


@pytest.fixture
async def outgoing() -> AsyncIterator[Outgoing]:
    outgoing = Outgoing(ServerSettings())
    yield outgoing
    await outgoing.close()


QUICK = Patience(look_every_s=0.02, restart_s=(0.01,), drain_s=WITHIN_S, end_s=0.05)


@pytest.fixture
async def channels(
    drawer: Drawer, outgoing: Outgoing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Channels]:
    install(tmp_path, monkeypatch, **{NAME: f"{__name__}:ADAPTER"})
    monkeypatch.setattr(KeptChannel, "life", [])
    made = Channels(
        drawer,
        outgoing,
        ManualClock(),
        lambda prefix: prefix + "0" * 32,
        "http://a.test/",
        lambda _: Letterbox(),
        QUICK,
    )
    yield made
    await made.close()


async def used(channels: Channels, sid: str = GATEWAY) -> KeptChannel:
    async with channels.use(sid) as channel:
        assert isinstance(channel, KeptChannel)
        return channel


async def becomes(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not is_so():  # noqa: ASYNC110 (what is waited for knows nothing of tests)
            await asyncio.sleep(0.002)


async def lived(*events: str) -> None:
    """All of it has happened, in this order."""

    def so_far() -> list[str]:
        return [event for event in KeptChannel.life if event in events]

    await becomes(lambda: len(so_far()) >= len(events))
    assert so_far() == list(events)


async def test_one_is_opened_when_first_used_and_kept(channels: Channels, drawer: Drawer) -> None:
    first = await used(channels)
    assert await used(channels) is first and channels.opened() == [first]
    assert drawer.reads == 1
    assert first.surroundings.callback_url == f"http://a.test/callbacks/{GATEWAY}" == channels.callback_url(GATEWAY)
    assert await first.surroundings.senders() == [f"sender of {GATEWAY}"]
    assert first.settings.label == "first"


async def test_users_who_come_at_once_get_the_same(channels: Channels) -> None:
    everybody = await asyncio.gather(*(used(channels) for _ in range(20)))
    assert len(set(map(id, everybody))) == 1


async def test_a_changed_gateway_has_a_new_channel_after_the_news(channels: Channels, drawer: Drawer) -> None:
    await used(channels)
    drawer.put(label="second")
    assert (await used(channels)).settings.label == "first"
    channels.news()
    assert (await used(channels)).settings.label == "second"
    await lived("first closed")


async def test_who_uses_a_channel_keeps_it_open_when_its_gateway_changes(channels: Channels, drawer: Drawer) -> None:
    async with channels.use(GATEWAY), channels.use(GATEWAY):
        drawer.put(label="second")
        channels.news()
        await lived("first runs")
        assert (await used(channels)).settings.label == "second"
        await asyncio.sleep(0.02)
        assert "first rests" not in KeptChannel.life
    await lived("first runs", "first rests", "first closed")


async def test_a_new_connection_begins_when_the_old_one_has_ended(channels: Channels, drawer: Drawer) -> None:
    async with channels.use(GATEWAY):
        await lived("first runs")
        drawer.put(label="second")
        channels.news()
        await used(channels)
        drawer.put(label="third")
        channels.news()
        await used(channels)
    await lived("first runs", "first rests", "third runs")


async def test_a_channel_is_closed_once(channels: Channels, drawer: Drawer) -> None:
    async with channels.use(GATEWAY):
        drawer.put(label="second")
        channels.news()
        await used(channels)
    await used(channels)
    await channels.close()
    assert [event for event in KeptChannel.life if event.endswith("closed")] == ["first closed", "second closed"]


async def test_a_removed_gateway_is_refused_and_its_channel_closed(channels: Channels, drawer: Drawer) -> None:
    await used(channels)
    drawer.gateways.clear()
    channels.news()
    with pytest.raises(Refused) as refusal:
        await used(channels)
    assert refusal.value.code == 30008
    await lived("first closed")
    assert await channels.gateway(GATEWAY) is None


HOLD = threading.Event()


@pytest.fixture
def hanging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An adapter that does not load before the test has ended."""
    hold, module = threading.Event(), f"of_{tmp_path.name}"
    monkeypatch.setattr(sys.modules[__name__], "HOLD", hold)
    install(tmp_path / "hangs", monkeypatch, "of-another", hangs=f"{module}:ADAPTER")
    (tmp_path / "hangs" / f"{module}.py").write_text(f"import {__name__}\n\n{__name__}.HOLD.wait()\n")
    yield
    hold.set()


@pytest.mark.usefixtures("hanging")
async def test_an_adapter_that_hangs_holds_nobody_else(channels: Channels, drawer: Drawer) -> None:
    drawer.put(ANOTHER, adapter="hangs")
    drawer.put(NOBODYS, label="third")
    waiting = [asyncio.create_task(used(channels, ANOTHER)) for _ in range(3)]
    running = asyncio.create_task(channels.run())
    await lived("third runs")
    assert (await used(channels)).settings.label == "first"
    assert not any(task.done() for task in waiting)
    async with asyncio.timeout(WITHIN_S / 2):
        await channels.close()
    for task in waiting:
        with pytest.raises(NotNow):
            await task
    await running


@pytest.mark.usefixtures("hanging")
async def test_who_waits_for_an_adapter_that_hangs_is_told(
    channels: Channels, drawer: Drawer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channels, "_patience", msgspec.structs.replace(QUICK, open_s=0.05))
    drawer.put(ANOTHER, adapter="hangs")
    with pytest.raises(NotNow, match="in time") as problem:
        await used(channels, ANOTHER)
    assert problem.value.is_alarming


async def test_a_gateway_that_is_not_read_holds_nobody_else(channels: Channels, drawer: Drawer) -> None:
    drawer.may_read.clear()
    reading = asyncio.create_task(used(channels))
    await becomes(lambda: drawer.reads == 1)
    drawer.may_read, held = asyncio.Event(), drawer.may_read
    drawer.may_read.set()
    drawer.put(ANOTHER, label="another")
    assert (await used(channels, ANOTHER)).settings.label == "another"
    assert not reading.done()
    held.set()
    assert (await reading).settings.label == "first"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"is_bad": True}, "the label is worn off"),
        ({"lable": "x"}, "did you mean label"),
        ({"adapter": "pigeon post"}, "no adapter 'pigeon post'"),
    ],
)
async def test_what_cannot_be_opened_waits_for_somebody_and_is_said_once(
    channels: Channels, drawer: Drawer, caplog: pytest.LogCaptureFixture, fields: dict[str, Any], said: str
) -> None:
    await used(channels)
    drawer.put(**fields)
    channels.news()
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            with pytest.raises(NotNow) as problem:
                await used(channels)
            assert problem.value.is_alarming and said in problem.value.why
    assert [record.getMessage() for record in caplog.records] == ["channel.unusable"]
    await lived("first closed")
    drawer.put(label="mended")
    assert (await used(channels)).settings.label == "mended"


async def test_a_gateway_that_cannot_be_read_is_not_taken_for_a_removed_one(channels: Channels, drawer: Drawer) -> None:
    await used(channels)
    drawer.locked.add(GATEWAY)
    channels.news()
    with pytest.raises(NotNow, match="locked"):
        await used(channels)
    await lived("first closed")
    with pytest.raises(NotNow, match="locked"):
        await channels.gateway(GATEWAY)
    drawer.locked.clear()
    await used(channels)


async def test_news_that_comes_while_a_gateway_is_read_is_not_lost(channels: Channels, drawer: Drawer) -> None:
    drawer.may_read.clear()
    reading = asyncio.create_task(used(channels))
    await becomes(lambda: drawer.reads == 1)
    drawer.put(label="second")
    channels.news()
    drawer.may_read.set()
    assert (await reading).settings.label == "first"
    assert (await used(channels)).settings.label == "second"


async def test_nothing_is_opened_when_all_was_closed_meanwhile(channels: Channels, drawer: Drawer) -> None:
    await used(channels)
    drawer.may_read.clear()
    channels.news()
    reading = [asyncio.create_task(used(channels, sid)) for sid in (GATEWAY, ANOTHER)]
    drawer.put(ANOTHER)
    await becomes(lambda: drawer.reads == 3)
    await channels.close()
    drawer.may_read.set()
    for task in reading:
        with pytest.raises((NotNow, Refused)):
            await task
    assert channels.opened() == []
    assert KeptChannel.life.count("first opened") == KeptChannel.life.count("first closed")


async def test_closing_does_not_wait_for_those_who_use_one(channels: Channels) -> None:
    async with channels.use(GATEWAY):
        async with asyncio.timeout(WITHIN_S / 2):
            await channels.close()
        await lived("first closed")


async def test_closing_does_not_wait_for_a_channel_that_clings(
    channels: Channels, drawer: Drawer, caplog: pytest.LogCaptureFixture
) -> None:
    drawer.put(is_clinging=True)
    clinging = await used(channels)
    await lived("first runs")
    async with asyncio.timeout(WITHIN_S / 2):
        await channels.close()
    assert "first closed" not in KeptChannel.life and channels.opened() == []
    assert "channel.not_closed" in [record.getMessage() for record in caplog.records]
    assert clinging.settings.is_clinging
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()


async def test_every_gateway_is_held_and_changes_are_noticed_without_news(channels: Channels, drawer: Drawer) -> None:
    drawer.put(ANOTHER, label="another")
    running = asyncio.create_task(channels.run())
    await becomes(lambda: {"first runs", "another runs"} <= set(KeptChannel.life))
    drawer.put(label="second")
    await lived("first rests", "second runs")
    await lived("first closed")
    del drawer.gateways[ANOTHER]
    await lived("another rests", "another closed")
    drawer.is_away = True
    await asyncio.sleep(0.05)
    assert "second rests" not in KeptChannel.life
    drawer.is_away = False
    drawer.put(ANOTHER, label="back")
    await lived("back runs")
    running.cancel()
    await asyncio.wait([running])


async def test_one_that_cannot_be_opened_keeps_no_other_from_being_held(
    channels: Channels, drawer: Drawer, caplog: pytest.LogCaptureFixture
) -> None:
    drawer.gateways.clear()
    drawer.put(GATEWAY, is_odd=True)
    drawer.put(NOBODYS, is_bad=True)
    drawer.put(ANOTHER, label="another")
    running = asyncio.create_task(channels.run())
    await lived("another runs")
    await becomes(lambda: drawer.reads > 20)
    running.cancel()
    await asyncio.wait([running])
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert said == ["channel.unusable"] * 2


async def test_where_nothing_changes_a_look_is_one_read(channels: Channels, drawer: Drawer) -> None:
    for digit in "456789":
        drawer.put(f"GW{digit * 32}")
    running = asyncio.create_task(channels.run())
    await becomes(lambda: len(channels.opened()) == 7)
    reads = drawer.reads
    assert reads == 1 + 7
    await becomes(lambda: drawer.reads >= reads + 3)
    assert KeptChannel.life.count("first opened") == 7
    await used(channels)
    running.cancel()
    await asyncio.wait([running])


async def test_a_connection_that_breaks_by_a_mistake_is_held_again(
    channels: Channels, drawer: Drawer, caplog: pytest.LogCaptureFixture
) -> None:
    drawer.put(breaks=3)
    await used(channels)
    await becomes(lambda: KeptChannel.life.count("first runs") == 4)
    assert [record.getMessage() for record in caplog.records].count("channel.broken") == 3
