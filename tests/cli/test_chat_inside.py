"""The chat without a terminal: what it holds, what it stores, and what it shows of what is hard to come by."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from textual.pilot import Pilot

from tertulia.cli.chat import deeds
from tertulia.cli.chat import timeline as timeline_module
from tertulia.cli.chat.app import ChatApp
from tertulia.cli.chat.bars import NewsBar, NoticeBar
from tertulia.cli.chat.commands import Wish, understood
from tertulia.cli.chat.history import History
from tertulia.cli.chat.timeline import Timeline
from tertulia.client import Conversation, Message
from tertulia.client.errors import MediaUrlError
from tertulia.client.files import FileToSend
from tests.client.stage import PATIENCE_S, Stage, until
from tests.engine.world import new_world

NOW = datetime(2031, 3, 14, 12, 0, tzinfo=UTC)
Chat = tuple[ChatApp, Pilot[None]]


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with new_world() as world:
        stage = Stage(world, tmp_path / "blobs")
        await stage.open()
        try:
            yield stage
        finally:
            await stage.close()


@asynccontextmanager
async def chatting(stage: Stage, identity: str, sid: str) -> AsyncIterator[Chat]:
    """The application, with this conversation open and loaded."""
    app = ChatApp(stage.client(identity, outbox=True), sid)
    async with app.run_test(size=(100, 30)) as pilot:
        await until(lambda: app.timeline is not None and app.timeline.is_loaded)
        yield app, pilot


async def do(app: ChatApp, text: str) -> None:
    wish = understood(text)
    assert isinstance(wish, Wish)
    await deeds.do(wish, app)


async def say(conversation: Conversation, numbers: Sequence[int]) -> None:
    for number in numbers:
        await conversation.send(f"message number {number}", wait=False)


async def test_a_timeline_holds_what_is_seen_and_no_more(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline_module, "MOST", 20)
    monkeypatch.setattr(timeline_module, "PAGE", 8)
    mine, his = await stage.in_room("ana", "ben")
    await say(his, range(30))
    await until(lambda: 29 in mine.loaded_messages)
    timeline = Timeline(mine, "ana")
    await timeline.load()
    assert timeline.keys() == list(range(22, 30))

    await say(his, range(30, 60))
    await until(lambda: 59 in mine.loaded_messages)
    for index in range(30, 60):
        timeline.added(mine.loaded_messages[index], at_newest=True)
    assert timeline.keys() == list(range(40, 60))
    assert timeline.has_older and "number 59" in timeline.lines(80, NOW)[-1].text

    # Up among the old, the newest are let go; there is no gap in what is held.
    for _ in range(2):
        await timeline.load_older()
    assert timeline.keys() == list(range(24, 44))
    assert "loading newer" in timeline.lines(80, NOW)[-1].text
    await say(his, [60])
    await until(lambda: 60 in mine.loaded_messages)
    timeline.added(mine.loaded_messages[60], at_newest=False)
    assert timeline.keys() == list(range(24, 44))
    while 0 not in timeline.keys():  # noqa: SIM118 (no dict)
        await timeline.load_older()
    assert timeline.keys() == list(range(20))
    assert "the beginning" in timeline.lines(80, NOW)[0].text

    await timeline.load()
    assert timeline.keys() == list(range(53, 61))
    assert "number 60" in timeline.lines(80, NOW)[-1].text


async def test_who_has_gone_up_comes_back_to_the_newest(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline_module, "MOST", 80)
    monkeypatch.setattr(timeline_module, "PAGE", 30)
    sid = await stage.room("ana", "ben")
    his = await (await (await stage.connect("ben")).get_conversation(sid)).ready()
    await say(his, range(100))
    async with chatting(stage, "ana", sid) as (app, pilot):
        history = app.query_one("#history", History)
        timeline = app.timeline
        assert timeline is not None
        await until(lambda: any("number 99" in line.text for line in history.shown))
        await pilot.press("shift+tab")
        async with asyncio.timeout(PATIENCE_S):
            while timeline.keys()[:1] != [0]:
                await pilot.press("home")
        await until(lambda: any("number 0" in line.text for line in history.shown))
        assert timeline.keys() == list(range(80))
        await his.send("news")
        await until(lambda: "1 new message" in str(app.query_one("#news", NewsBar).render()))
        assert timeline.keys() == list(range(80))
        await pilot.press("end")
        await until(lambda: any("news" in line.text for line in history.shown))
        await until(lambda: history.is_at_newest and not app.query_one("#news", NewsBar).display)
        assert timeline.keys() == list(range(71, 101))


async def test_files_are_stored_beside_what_is_there(stage: Stage, tmp_path: Path) -> None:
    mine, his = await stage.in_room("ana", "ben")
    names = ("a.txt", "a.txt", "b.txt")
    await his.send(
        "m", media=[FileToSend(name.encode() + bytes([place]), filename=name) for place, name in enumerate(names)]
    )
    folder = tmp_path / "here"
    folder.mkdir()
    async with chatting(stage, "ana", mine.sid) as (app, _):
        await do(app, f"/save {folder}")
        assert contents(folder) == {"a.txt": b"a.txt\0", "a (2).txt": b"a.txt\1", "b.txt": b"b.txt\2"}
        (folder / "x.txt").write_bytes(b"mine")
        await do(app, f"/save {folder}/x.txt")
        assert contents(folder) == {
            **{"a.txt": b"a.txt\0", "a (2).txt": b"a.txt\1", "b.txt": b"b.txt\2"},
            **{"x.txt": b"mine", "x (2).txt": b"a.txt\0", "x (3).txt": b"a.txt\1", "x (4).txt": b"b.txt\2"},
        }
        told = str(app.query_one("#notice", NoticeBar).render())
        assert all(f"{folder}/x ({number}).txt" in told for number in (2, 3, 4))


async def test_what_is_stored_at_once_does_not_meet(stage: Stage, tmp_path: Path) -> None:
    mine, his = await stage.in_room("ana", "ben")
    for number in range(3):
        await his.send("m", media=[FileToSend(bytes([number]), filename="p.txt")])
    folder = tmp_path / "here"
    folder.mkdir()
    async with chatting(stage, "ana", mine.sid) as (app, _):
        await until(lambda: app.timeline is not None and len(app.timeline.keys()) == 3)
        assert app.timeline is not None
        messages = app.timeline.newest_first()
        await asyncio.gather(*(do_with(app, each, f"/save {folder}") for each in messages))
    assert sorted(contents(folder).values()) == [b"\0", b"\1", b"\2"]


async def test_a_name_of_any_length_can_be_stored_and_a_failure_leaves_nothing(stage: Stage, tmp_path: Path) -> None:
    mine, his = await stage.in_room("ana", "ben")
    await his.send("m", media=[FileToSend(b"x", filename="日" * 100 + ".txt")])
    folder = tmp_path / "here"
    folder.mkdir()
    async with chatting(stage, "ana", mine.sid) as (app, _):
        for _ in range(2):
            await do(app, f"/save {folder}")
        assert sorted(contents(folder)) == ["日" * 65 + " (2).txt", "日" * 65 + ".txt"]
        stage.proxy.refuse()
        with pytest.raises(MediaUrlError):
            await do(app, f"/save {folder}")
    assert len(contents(folder)) == 2


async def test_words_of_a_server_are_shown_and_not_obeyed(stage: Stage) -> None:
    [mine] = await stage.in_room("ana")
    async with chatting(stage, "ana", mine.sid) as (app, pilot):
        app.tell("no \x1b]0;pwned\x07\x9b31m \u202e [bold]x[/bold]", is_error=True)
        await pilot.pause()
        [strip] = [app.query_one("#notice", NoticeBar).render_line(0)]
        assert "no ␛]0;pwned␇�31m � [bold]x[/bold]" in strip.text
        assert strip.text.isprintable()


def contents(folder: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in folder.iterdir()}


class _Choosing:
    """The application, with another message chosen."""

    def __init__(self, app: ChatApp, chosen: Message) -> None:
        self._app = app
        self.chosen = chosen

    def __getattr__(self, name: str) -> object:
        return getattr(self._app, name)


async def do_with(app: ChatApp, message: Message, text: str) -> None:
    wish = understood(text)
    assert isinstance(wish, Wish)
    await deeds.do(wish, _Choosing(app, message))  # type: ignore[arg-type]
