"""``tertulia chat`` in a real terminal, against a real server, with others who answer."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tertulia.client import Conversation
from tertulia.client.events import ParticipantUpdated, TypingStarted

from .command import WITHIN_S, printed, refusal, run, serving
from .people import Town, proxied, room
from .terminal import Terminal, needs_tmux, terminal

pytestmark = needs_tmux


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with serving(tmp_path_factory.mktemp("chat") / "data") as server:
        yield Town(server)


def chat(
    town: Town, folder: Path, identity: str, *arguments: str | Path, url: str | None = None
) -> AbstractContextManager[Terminal]:
    login = town.login(identity)
    return terminal(folder, "chat", *arguments, variables=login if url is None else {**login, "TERTULIA_URL": url})


def row_of(screen: str, name: str) -> int:
    """Which line of the list has this name."""
    return next(number for number, line in enumerate(screen.splitlines()) if name in line[:34])


async def read_by(conversation: Conversation, identity: str, index: int) -> None:
    """Until this participant's read mark is there."""
    participant = conversation.participant(identity=identity)
    assert participant is not None
    if participant.last_read_message_index != index:
        await conversation.wait_for(
            ParticipantUpdated,
            lambda event: event.participant.last_read_message_index == index,
            timeout=WITHIN_S,
        )


async def test_the_list_has_the_newest_first_with_what_is_unread(town: Town, tmp_path: Path) -> None:
    async with town.client("ana") as ana:
        older, newer = await room(ana, "Older room", "bob"), await room(ana, "Newer room", "bob")
        await older.send("one")
        await newer.send("two")
        await newer.send("three")
        newest = await room(ana, "Newest room", "bob")
        await newest.send("here one is at once")
        with chat(town, tmp_path, "bob") as screen:
            seen = await screen.shows("Older room", "Newer room", "1 new", "2 new", "● connected", "here one is")
            assert row_of(seen, "Newest room") < row_of(seen, "Newer room") < row_of(seen, "Older room")
            assert "bob" in seen.splitlines()[0]
            assert re.search(r"Newer room +\d\d:\d\d", seen)
            await older.send("four")
            seen = await screen.until(lambda seen: row_of(seen, "Older room") < row_of(seen, "Newer room"))
            await screen.shows("Older room.*\n.*2 new")


async def test_two_people_talk(town: Town, tmp_path: Path) -> None:
    async with town.client("cleo") as cleo:
        conversation = await room(cleo, "Kitchen", "dan")
        first = await conversation.send("Is anybody there?")
        with chat(town, tmp_path, "dan") as screen:
            await screen.shows("Is anybody there\\?", "Today", "with cleo")
            await read_by(conversation, "dan", first.index)
            await screen.shows_no("1 new")

            async with conversation.events(TypingStarted) as typing:
                screen.type("Yes, ")
                assert (await anext(typing)).participant.identity == "dan"
            screen.enter("me")
            await screen.shows(r"you +\d\d:\d\d\s*\n.*Yes, me")
            await screen.shows_no("waiting to be sent|sending")
            (answer,) = await conversation.last_messages(1)
            assert (answer.author, answer.body) == ("dan", "Yes, me")

            await conversation.mark_all_read()
            await screen.shows("✓ read by cleo")
            await conversation.typing()
            await screen.shows("cleo is typing …")
            second = await conversation.send("Good.")
            await screen.shows("Good\\.")
            await screen.shows_no("cleo is typing")
            await second.edit(body="Very good.")
            await screen.shows(r"Very good\. \(edited\)")
            await second.delete()
            await screen.shows_no("Very good")


async def test_a_pasted_text_keeps_its_lines_and_obeys_nobody(town: Town, tmp_path: Path) -> None:
    async with town.client("eve") as eve:
        conversation = await room(eve, "Paste", "fay")
        await conversation.send("\x1b[2J\x1b]0;pwned\x07[bold red]loud[/]\x9b31m")
        await conversation.update(friendly_name="Pa\x1b[31mste")
        with chat(town, tmp_path, "fay", conversation.sid) as screen:
            await screen.shows(r"␛\[2J␛\]0;pwned␇\[bold red\]loud\[/\]�31m", r"Pa␛\[31mste")
            screen.paste("first line\nsecond line\n  third")
            await screen.shows("first line\\s*│?\n.*second line")
            assert len(await conversation.last_messages(5)) == 1
            screen.keys("Enter")
            await screen.shows(r"you +\d\d:\d\d\s*\n.*first line\s*\n.*second line\s*\n.*  third")
            (message,) = await conversation.last_messages(1)
            assert message.body == "first line\nsecond line\n  third"


async def test_older_messages_come_as_one_goes_up_and_new_ones_are_announced(town: Town, tmp_path: Path) -> None:
    async with town.client("gus") as gus:
        conversation = await room(gus, "Archive", "hal")
        for number in range(130):
            await conversation.send(f"message number {number}", wait=False)
        with chat(town, tmp_path, "hal", conversation.sid) as screen:
            await screen.shows("message number 129")
            await read_by(conversation, "hal", 129)
            screen.keys("BTab")
            await screen.pressing("PPage", "the beginning")
            await screen.shows(r"message number 0\b")
            await conversation.send("news")
            await screen.shows("↓ 1 new message below")
            await screen.shows("message number 0\\b", "1 new\\b")
            participant = conversation.participant(identity="hal")
            assert participant is not None and participant.last_read_message_index == 129
            screen.keys("End")
            await screen.shows("  news")
            await screen.shows_no("new message below")
            await read_by(conversation, "hal", 130)


async def test_what_happens_below_a_page_goes_on_and_is_not_taken_for_read(town: Town, tmp_path: Path) -> None:
    async with town.client("yan") as yan:
        conversation = await room(yan, "Porch", "zoe")
        before = await conversation.send("before")
        with chat(town, tmp_path, "zoe", conversation.sid) as screen:
            await screen.shows("before")
            await read_by(conversation, "zoe", before.index)
            screen.enter("/help")
            await screen.shows("Escape closes this page")
            after = await conversation.send("after")
            await screen.shows("1 new")
            await conversation.typing()
            screen.keys("Escape")
            await screen.shows("  after", "yan is typing")
            await read_by(conversation, "zoe", after.index)
            screen.keys("C-k")
            await screen.shows("go to conversation")
            await conversation.send("once more")
            screen.keys("Escape")
            await screen.shows("  once more")


async def test_own_messages_can_be_changed_and_taken_back(town: Town, tmp_path: Path) -> None:
    async with town.client("ivy") as ivy:
        conversation = await room(ivy, "Desk", "jon")
        await conversation.send("a message of ivy's")
        with chat(town, tmp_path, "jon", conversation.sid) as screen:
            await screen.shows("a message of ivy's")
            screen.enter("frist")
            await screen.shows("  frist")
            screen.enter("/edit")
            await screen.shows("editing")
            screen.keys("Escape")
            await screen.shows_no("editing")
            screen.enter("/edit first")
            await screen.shows(r"first \(edited\)")
            screen.enter("second")
            await screen.shows("  second")
            screen.keys("Up")
            await screen.shows("e edit")
            screen.keys("Up", "e")
            await screen.shows("editing")
            await screen.shows_no("e edit")
            screen.enter("!")
            await screen.shows(r"first! \(edited\)")
            screen.keys("Up")
            await screen.shows("e edit")
            screen.keys("Up", "Up", "e")
            await screen.shows("that message is not yours")
            screen.keys("Escape")
            await screen.shows_no("e edit")
            screen.enter("/delete")
            await screen.shows_no("  second")
            assert [message.body for message in await conversation.last_messages(5)] == ["a message of ivy's", "first!"]


async def test_files_are_sent_and_stored(town: Town, tmp_path: Path) -> None:
    (tmp_path / "plan of the house.txt").write_bytes(b"a door, a window\n" * 1000)
    async with town.client("kim") as kim:
        conversation = await room(kim, "Plans", "lea")
        with chat(town, tmp_path, "lea", conversation.sid) as screen:
            await screen.shows("with kim")
            screen.enter("/file /nowhere/at/all")
            await screen.shows("/nowhere/at/all: no such file")
            screen.enter(f"/file {tmp_path}/plan of the house.txt")
            await screen.shows("▪ plan of the house.txt  text/plain, 17 kB", "is sent")
            (message,) = await conversation.last_messages(1)
            assert message.media[0].filename == "plan of the house.txt"
            with (tmp_path / "big").open("wb") as big:
                big.truncate(40_000_000)
            screen.enter(f"/file {tmp_path}/big")
            await screen.shows(r"sending big: \d+ % of 40 MB")
            await screen.shows("big is sent")
            screen.enter("/delete")
            await screen.shows_no("▪ big")
            (tmp_path / "stored").mkdir()
            screen.enter(f"/save {tmp_path}/stored")
            await screen.shows("stored as")
    stored = tmp_path / "stored" / "plan of the house.txt"
    assert stored.read_bytes() == (tmp_path / "plan of the house.txt").read_bytes()


async def test_conversations_are_made_joined_filled_muted_and_left(town: Town, tmp_path: Path) -> None:
    async with town.client("mia") as mia:
        open_room = await mia.create_conversation(friendly_name="Open room", unique_name="open-room", join=True)
        with chat(town, tmp_path, "ned") as screen:
            await screen.shows("no conversations yet")
            screen.enter("/create Ned's garden")
            await screen.shows("│ Ned's garden")
            screen.enter("/add mia")
            await screen.shows("mia takes part now", "with mia")
            screen.enter("/mute")
            await screen.shows("muted: its messages", "\n.muted")
            screen.enter("/mute")
            await screen.shows("not muted any more")
            await open_room.add_participant("ned")
            await screen.shows("Open room")
            screen.keys("C-k")
            screen.type("open")
            await screen.shows("go to|open")
            screen.keys("Enter")
            await screen.shows("Open room +with mia")
            for name in ("open-room", open_room.sid):
                screen.enter("/leave")
                await screen.shows("you have left Open room", "choose a conversation")
                screen.enter(f"/join {name}")
                await screen.shows("Open room +with mia")
            screen.enter("/join atlantis")
            await screen.shows("there is no conversation 'atlantis'", "/create atlantis")
            screen.enter("/mutt")
            await screen.shows("no command /mutt; did you mean /mute\\?")
            screen.keys("C-q")
            assert await screen.exit_code() == 0


async def test_what_one_creates_is_found_by_its_name(town: Town, tmp_path: Path) -> None:
    with chat(town, tmp_path / "fee", "fee") as screen, chat(town, tmp_path / "gil", "gil") as other:
        await screen.shows("no conversations yet", "/create NAME +begins one", "/join NAME +takes part")
        screen.enter("/create Summer house")
        await screen.shows("│ Summer house", "others take part with /join Summer house")
        screen.enter("/create Summer house")
        await screen.shows("you take part in 'Summer house' already")
        screen.enter("who is coming?")
        await screen.shows("  who is coming")
        await other.shows("no conversations yet")
        other.enter("/join Summer house")
        await other.shows("Summer house +with fee", "who is coming")
        other.enter("/leave")
        await other.shows("you have left Summer house")
        other.enter("/create Summer house")
        await other.shows("another conversation has the unique name 'Summer house'", "CH[0-9a-f]{32}")
        screen.enter("me!")
        await screen.shows("  me!")
        await other.shows_no("  me!")
    sent = json.loads(printed("send", "Summer house", "and me", variables=town.login("fee")))
    async with town.client("fee") as fee:
        assert (await fee.get_conversation_by_unique_name("Summer house")).sid == sent["conversation"]


async def test_a_conversation_is_opened_by_any_of_its_names(town: Town, tmp_path: Path) -> None:
    async with town.client("leo") as leo:
        attic = await room(leo, "The old attic", "max", unique_name="attic")
        await room(leo, "Elsewhere", "max")
        for number, name in enumerate(("The old attic", "attic", attic.sid)):
            with chat(town, tmp_path / str(number), "max", name) as screen:
                await screen.shows("│ The old attic +with leo")
        twin = await room(leo, "The old attic", "max")
        with chat(town, tmp_path / "twins", "max", "The old attic") as screen:
            await screen.shows("2 conversations are called 'The old attic'", attic.sid[:20], twin.sid[:20])
        with chat(town, tmp_path / "none", "max", "atlantis") as screen:
            await screen.shows("max takes part in no conversation 'atlantis'", "choose a conversation")
            screen.enter("hello?")
            await screen.shows("no conversation is open", r"│ hello\?")


async def test_what_is_typed_goes_where_one_writes(town: Town, tmp_path: Path) -> None:
    async with town.client("rob") as rob:
        conversation = await room(rob, "Studio", "sue")
        await conversation.send("a word of rob's")
        with chat(town, tmp_path, "sue") as screen:
            await screen.shows("with rob", "a word of rob's")
            screen.enter("written at once")
            await screen.shows("  written at once")
            for part in ("Tab", "BTab"):
                screen.keys(part)
                screen.enter(f"every word after {part}")
                await screen.shows(f"  every word after {part}")
            screen.keys("Tab")
            screen.paste("pasted over the list")
            screen.keys("Enter")
            await screen.shows("  pasted over the list")
        bodies = [message.body for message in await conversation.last_messages(4)]
    assert bodies == ["written at once", "every word after Tab", "every word after BTab", "pasted over the list"]


async def test_a_lost_connection_is_shown_and_what_was_written_meanwhile_arrives(town: Town, tmp_path: Path) -> None:
    async with town.client("ola") as ola, proxied(town.url) as proxy:
        conversation = await room(ola, "Train", "pia")
        with chat(town, tmp_path, "pia", conversation.sid, url=proxy.url) as screen:
            await screen.shows("with ola", "● connected")
            proxy.refuse()
            await screen.shows(r"○ reconnecting in \d+ s")
            screen.enter("from the tunnel")
            await screen.shows("from the tunnel\\s*\n.*waiting to be sent")
            await conversation.send("are you there?")
            proxy.admit()
            await screen.shows("● connected", "are you there\\?")
            await screen.shows_no("waiting to be sent")
            assert [message.body for message in await conversation.last_messages(5)] == [
                "are you there?",
                "from the tunnel",
            ]


async def test_what_the_server_refuses_is_said_and_can_be_given_up(town: Town, tmp_path: Path) -> None:
    async with town.client("wim") as wim:
        conversation = await room(wim, "Letters", "xan")
        with chat(town, tmp_path, "xan", conversation.sid) as screen:
            await screen.shows("with wim")
            screen.paste("far too long " * 2700)
            await screen.shows("far too long")
            screen.keys("Enter")
            await screen.shows("✗ not sent: 400/50504")
            screen.enter("/retry")
            async with asyncio.timeout(WITHIN_S):
                # Until it is refused once more, there is nothing to give up.
                while "not sent" in screen.screen():
                    screen.enter("/drop")
                    await asyncio.sleep(0.05)
            await screen.shows_no("far too long")
            screen.enter("short")
            await screen.shows("  short")
            assert [message.body for message in await conversation.last_messages(5)] == ["short"]


async def test_a_store_keeps_what_waits_and_what_is_known(town: Town, tmp_path: Path) -> None:
    store = tmp_path / "store"
    async with town.client("quin") as quin, proxied(town.url) as proxy:
        conversation = await room(quin, "Cellar", "ria")
        await conversation.send("down here")
        with chat(town, tmp_path, "ria", "--store", store, conversation.sid, url=proxy.url) as screen:
            await screen.shows("down here")
            proxy.refuse()
            await screen.shows("reconnecting")
            screen.enter("no light")
            await screen.shows("waiting to be sent")
            screen.keys("C-q")
            assert await screen.exit_code() == 0
        with chat(town, tmp_path / "again", "ria", "--store", store, conversation.sid, url=proxy.url) as screen:
            await screen.shows("Cellar", "no light\\s*\n.*waiting to be sent")
            proxy.admit()
            await screen.shows("down here", "● connected")
            await screen.shows_no("waiting to be sent")
            (message,) = await conversation.last_messages(1)
            assert message.body == "no light"


async def test_a_refused_login_leaves_a_sentence_without_the_token(town: Town, tmp_path: Path) -> None:
    token = town.token("sam")[:-4] + "AAAA"
    with terminal(tmp_path, "chat", variables={"TERTULIA_URL": town.url, "TERTULIA_TOKEN": token}) as screen:
        assert await screen.exit_code() == 1
        printed = screen.printed()
    assert "tertulia: " in printed and "refused" in printed
    assert token[-20:] not in printed


async def test_a_small_screen_and_the_mouse_will_do(town: Town, tmp_path: Path) -> None:
    async with town.client("tom") as tom:
        conversation = await room(tom, "Attic", "una")
        await conversation.send(
            "a long message that has to be broken into several lines on a small screen like this one"
        )
        with chat(town, tmp_path, "una") as screen:
            await screen.shows("Attic")
            screen.resize(60, 16)
            await screen.shows("Attic")
            screen.click(5, 2)
            await screen.shows("a long message", "this one")
            assert all(len(line) <= 60 for line in screen.screen().splitlines())


def test_without_a_terminal_it_says_what_to_use(town: Town) -> None:
    assert "needs a terminal" in refusal(run("chat", variables=town.login("vic")))
