"""What the chat makes of texts: harmless lines, times, and commands."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from tertulia.cli.chat import commands, times
from tertulia.cli.chat.deeds import safe_name
from tertulia.cli.chat.lines import wrapped
from tertulia.cli.event_lines import encode, moment
from tertulia.cli.plain import own_lines, plain, plain_lines, plain_name


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "␛[31mred␛[0m"),
        ("bell\a and \x00", "bell␇ and ␀"),
        ("\x9b31m\x7f", "�31m�"),
        ("a\tb", "a    b"),
        ("a\r\nb\nc", "a b c"),
        ("over\u202ewritten", "over�written"),
        ("half \ud83d of a pair", "half � of a pair"),
        ("zero\u200bwidth \u200e\u200f\u061c\u2060\ufeff \u00ad \U000e0041", "zero�width ����� � �"),
        ("a\u200db, \u200d, x\u200c", "a�b, �, x�"),
        (
            "a family 👨\u200d👩\u200d👧 and a flag 🏳\ufe0f\u200d🌈",
            "a family 👨\u200d👩\u200d👧 and a flag 🏳\ufe0f\u200d🌈",
        ),
        ("می\u200cخواهم, क्\u200dष", "می\u200cخواهم, क्\u200dष"),
        ("a\u3164b\u115f", "a�b�"),
        ("żółw, 日本, [bold]not bold[/bold]", "żółw, 日本, [bold]not bold[/bold]"),
    ],
)
def test_nothing_in_a_text_moves_the_cursor_or_hides(text: str, shown: str) -> None:
    assert plain(text) == shown


@pytest.mark.parametrize(
    "hidden",
    [
        "\u200b",
        "\u200c",
        "\u200d",
        "\u2060",
        "\ufeff",
        "\u00ad",
        "\ufe0f",
        "\u3164",
        "\u2800",
        "\U000e0041",
        "\U000e0100",
    ],
)
def test_two_names_that_differ_look_different(hidden: str) -> None:
    for name in ("ana", "🦊🐻", "علی"):
        assert plain_name(name) == name
        assert plain_name(name[:1] + hidden + name[1:]) == f"{name[:1]}�{name[1:]}"


def test_a_text_that_one_goes_on_writing_keeps_what_does_no_harm() -> None:
    assert own_lines("soft\u00adly, \u200fשלום\u200f\r\n\x1b[2J\u202eover \ud83d") == [
        "soft\u00adly, \u200fשלום\u200f",
        "␛[2J�over �",
    ]


def test_a_line_of_json_has_by_its_number_what_a_terminal_obeys_and_what_nobody_sees() -> None:
    body = "\x1b[31m \x7f\x9b2J \u202eevil\u2066 \u2028 \U000e0041 żółw 日本 👍"
    line = encode({"body": body, "\x9b": 1})
    assert line.decode().isprintable()
    assert "żółw 日本 👍" in line.decode()
    assert json.loads(line) == {"body": body, "\x9b": 1}


def test_every_control_character_is_shown_as_something_else() -> None:
    everything = "".join(map(chr, [*range(0x20), *range(0x7F, 0xA0)]))
    lines = plain_lines(everything)
    assert all(character.isprintable() for line in lines for character in line)


def test_the_lines_of_a_text_stay_lines() -> None:
    assert plain_lines("a\r\nb\u2028c\n\nd") == ["a", "b", "c", "", "d"]


def test_long_lines_break_between_words_and_long_words_break_anywhere() -> None:
    assert wrapped("one two three", 8) == ["one two", "three"]
    assert "".join(wrapped("x" * 50, 20)) == "x" * 50
    assert all(len(part) <= 10 for part in wrapped("日本語" * 20, 20))
    assert wrapped("", 20) == [""]


def test_times_are_as_short_as_they_are_clear() -> None:
    now = datetime(2031, 3, 14, 12, 0, tzinfo=UTC)
    assert times.day_name(date(2031, 3, 14), now.date()) == "Today"
    assert times.day_name(date(2031, 3, 13), now.date()) == "Yesterday"
    assert times.day_name(date(2031, 3, 3), now.date()) == "Monday 3 March"
    assert times.day_name(date(2030, 3, 3), now.date()) == "Sunday 3 March 2030"
    assert times.when(datetime(2031, 3, 10, 9, 5, tzinfo=UTC), now) == "Mon"
    assert times.when(datetime(2031, 2, 10, 9, 5, tzinfo=UTC), now) == "2031-02-10"


def test_moments_at_the_ends_of_time_and_without_a_zone_are_shown_as_well() -> None:
    now = datetime(2031, 3, 14, 12, 0, tzinfo=UTC)
    first = datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14)))
    last = datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone(-timedelta(hours=14)))
    for edge in (first, last):
        assert times.day(edge) == edge.date()
        assert times.clock(edge) == f"{edge:%H:%M}"
        assert times.when(edge, now) in ("0001-01-01", "23:59")
    assert (moment(first), moment(last)) == ("0001-01-01T00:00:00.000+14:00", "9999-12-31T23:59:59.000-14:00")
    assert times.clock(datetime(2031, 3, 14, 9, 5)) == times.clock(datetime(2031, 3, 14, 9, 5, tzinfo=UTC))
    assert moment(datetime(2031, 3, 14, 9, 5)) == "2031-03-14T09:05:00.000Z"


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "0 B"), (999, "999 B"), (1234, "1.23 kB"), (999_499, "999 kB"), (999_600, "1 MB"), (2 * 10**9, "2 GB")],
)
def test_sizes_are_rounded(count: int, shown: str) -> None:
    assert times.size(count) == shown


def test_words_are_said_and_commands_are_wishes() -> None:
    assert commands.understood("hello /all") == commands.Say("hello /all")
    assert commands.understood("//etc is a folder") == commands.Say("/etc is a folder")
    assert commands.understood("two\nlines\n") == commands.Say("two\nlines")
    assert commands.understood("  \n ") is None
    wish = commands.understood("/file  ~/a b.txt ")
    assert isinstance(wish, commands.Wish)
    assert (wish.command.name, wish.argument) == ("file", "~/a b.txt")
    wish = commands.understood("/edit")
    assert isinstance(wish, commands.Wish)
    assert wish.argument == ""


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("/mutt", "no command /mutt; did you mean /mute?"),
        ("/xyzzy", "no command /xyzzy; see /help"),
        ("/add", "/add IDENTITY: what it needs is missing"),
        ("/leave now", "/leave takes nothing more"),
    ],
)
def test_what_is_no_command_is_answered_with_what_would_be(text: str, sentence: str) -> None:
    with pytest.raises(commands.NotUnderstood) as refused:
        commands.understood(text)
    assert str(refused.value) == sentence


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("report.pdf", "report.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\temp\\a.txt", "a.txt"),
        (".bashrc", "bashrc"),
        ("..", "file"),
        ("a\nb\x1b", "a b␛"),
        ("x" * 500, "x" * 200),
        ("x" * 500 + ".tar", "x" * 196 + ".tar"),
        ("日" * 100 + ".txt", "日" * 65 + ".txt"),
        ("x." + "y" * 500, "x." + "y" * 198),
        ("evil\u202etxt.exe", "evil�txt.exe"),
    ],
)
def test_a_file_is_stored_under_a_name_that_stays_in_its_folder(name: str, safe: str) -> None:
    assert safe_name(name) == safe
