"""What devices are told: templates, their variables, and what goes along (semantics 7.3, 7.5)."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from tertulia.server.domain.conversations import Conversation
from tertulia.server.domain.media import MediaPart
from tertulia.server.domain.messages import Message
from tertulia.server.domain.notice_texts import FILES_ONLY, Actor, is_wanted, said_of_member, said_of_message
from tertulia.server.domain.notifications import NotificationSettings
from tertulia.server.domain.push_content import DEFAULT_TEMPLATES, TEXT_CHARS, PushContent, PushKind, render

OFF = NotificationSettings("IS1", "AC1")
ANA = Actor("Ana", "MB1")
FILE = MediaPart("ME1", "media", "cat.png", "image/png", 7)
UNNAMED = MediaPart("ME2", "media", None, "audio/ogg", 8)
RICH = MediaPart("ME3", "body", "rich", "text/html", 9)


def _row(kind: type[msgspec.Struct], **fields: Any) -> Any:
    """A struct of which the other fields do not matter."""
    return kind(**{field.name: fields.get(field.name) for field in msgspec.structs.fields(kind)})


def conversation(friendly: str | None = "Friends", unique: str | None = "friends") -> Conversation:
    made: Conversation = _row(Conversation, sid="CH1", friendly_name=friendly, unique_name=unique)
    return made


def message(body: str | None = "hello", *files: MediaPart) -> Message:
    media = msgspec.json.encode(files).decode() if files else None
    made: Message = _row(Message, sid="IM1", index=6, author="ana", body=body, media=media)
    return made


def said(template: str, about: Conversation | None = None, actor: Actor = ANA, *files: MediaPart) -> str:
    settings = msgspec.structs.replace(OFF, new_message_template=template, media_template=template, media_enabled=True)
    content = said_of_message(settings, about or conversation(), message("hello", *files), actor)
    assert isinstance(content, PushContent)
    return content.text


# --- variables


@pytest.mark.parametrize(
    ("variable", "friendly", "unique", "value"),
    [
        ("CONVERSATION", "Friends", "friends", "friends"),
        ("CONVERSATION", "Friends", None, "Friends"),
        ("CONVERSATION", None, "friends", "friends"),
        ("CONVERSATION", None, None, "CH1"),
        ("CONVERSATION", "", "", "CH1"),
        ("CONVERSATION_FRIENDLY_NAME", "Friends", "friends", "Friends"),
        ("CONVERSATION_FRIENDLY_NAME", None, "friends", "friends"),
        ("CONVERSATION_FRIENDLY_NAME", None, None, "CH1"),
        ("CONVERSATION_UNIQUE_NAME", "Friends", "friends", "friends"),
        ("CONVERSATION_UNIQUE_NAME", "Friends", None, "Friends"),
        ("CONVERSATION_UNIQUE_NAME", None, None, "CH1"),
        ("CONVERSATION_SID", "Friends", "friends", "CH1"),
    ],
)
def test_a_conversation_is_named(variable: str, friendly: str | None, unique: str | None, value: str) -> None:
    about = conversation(friendly, unique)
    assert said(f"${{{variable}}}", about) == value
    settings = msgspec.structs.replace(OFF, added_template=f"${{{variable}}}", removed_template=f"${{{variable}}}")
    for kind in (PushKind.ADDED, PushKind.REMOVED):
        assert said_of_member(settings, kind, about, ANA).text == value


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PARTICIPANT", "Ana"),
        ("PARTICIPANT_FRIENDLY_NAME", "Ana"),
        ("PARTICIPANT_IDENTITY", "Ana"),
        ("PARTICIPANT_SID", "MB1"),
    ],
)
def test_who_did_it_is_named(variable: str, value: str) -> None:
    assert said(f"${{{variable}}}") == value
    settings = msgspec.structs.replace(OFF, added_template=f"${{{variable}}}", removed_template=f"${{{variable}}}")
    for kind in (PushKind.ADDED, PushKind.REMOVED):
        assert said_of_member(settings, kind, conversation(), ANA).text == value


@pytest.mark.parametrize(
    ("template", "files", "text"),
    [
        ("${MESSAGE}", (), "hello"),
        ("${MEDIA_COUNT} ${MEDIA}", (FILE,), "1 cat.png"),
        ("${MEDIA_COUNT} ${MEDIA}", (FILE, UNNAMED), "2 cat.png"),
        ("${MEDIA_COUNT} ${MEDIA}", (UNNAMED, FILE), "2 ME2"),
        ("${MEDIA_COUNT} ${MEDIA}", (RICH, FILE), "1 cat.png"),
        ("${MEDIA_COUNT} ${MEDIA}", (), "${MEDIA_COUNT} ${MEDIA}"),
        ("${MEDIA_COUNT} ${MEDIA}", (RICH,), "${MEDIA_COUNT} ${MEDIA}"),
    ],
)
def test_what_was_sent_is_named(template: str, files: tuple[MediaPart, ...], text: str) -> None:
    assert said(template, None, ANA, *files) == text


@pytest.mark.parametrize("kind", [PushKind.ADDED, PushKind.REMOVED])
def test_who_comes_or_goes_is_told_of_no_message(kind: PushKind) -> None:
    settings = msgspec.structs.replace(OFF, added_template="${MESSAGE}${MEDIA}", removed_template="${MESSAGE}${MEDIA}")
    assert said_of_member(settings, kind, conversation(), ANA).text == "${MESSAGE}${MEDIA}"


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("", ""),
        ("plain", "plain"),
        ("${A}${A} ${B}${A}", "11 21"),
        ("${a} ${ A } ${A ${} $A {A} ${UNKNOWN}", "${a} ${ A } ${A ${} $A {A} ${UNKNOWN}"),
        ("$${A}", "$1"),
        ("${${A}}", "${1}"),
        ("\\1 \\g<0> %s {0}", "\\1 \\g<0> %s {0}"),
        ("${C}", "${A}"),
    ],
)
def test_a_template_is_filled_in(template: str, text: str) -> None:
    assert render(template, {"A": "1", "B": "2", "C": "${A}"}) == text


def test_a_value_that_looks_like_a_variable_is_none() -> None:
    assert said("${PARTICIPANT}: ${MESSAGE}", None, Actor("${MESSAGE}", "MB1")) == "${MESSAGE}: hello"


# --- the end of a text


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("x" * TEXT_CHARS, TEXT_CHARS),
        ("x" * (TEXT_CHARS + 1), TEXT_CHARS),
        ("x" * 177 + "😀y", 178),
        ("x" * 177 + "e\u0301", 177),  # a letter and its accent
        ("x" * 176 + "e\u0301y", 178),
        ("x" * 176 + "👩\u200d💻", 176),  # a woman and her computer, joined
        ("x" * 175 + "👩\u200d💻y", 178),
        ("x" * 177 + "👍🏽", 177),  # a hand and its skin
        ("x" * 177 + "❤\ufe0f", 177),  # a heart, to be drawn in colour
        ("e" + "\u0301" * 500, TEXT_CHARS),  # nothing would be left of it
    ],
    ids=range(10),
)
def test_a_long_text_is_cut_between_two_characters(text: str, left: int) -> None:
    assert render(text, {}) == text[:left]
    assert render("${M}", {"M": text}) == text[:left]


# --- templates and sounds of each kind


def test_without_templates_of_its_own_a_service_has_the_published_ones() -> None:
    settings = msgspec.structs.replace(OFF, media_enabled=True)
    texts = [
        _text(said_of_message(settings, conversation(), message(), ANA)),
        _text(said_of_message(settings, conversation(), message("hello", FILE, UNNAMED), ANA)),
        said_of_member(settings, PushKind.ADDED, conversation(), ANA).text,
        said_of_member(settings, PushKind.REMOVED, conversation(), ANA).text,
    ]
    assert texts == [
        "friends:Ana: hello",
        "You have a new message in friends with 2 media files: cat.png",
        "You have been added to the conversation friends by Ana",
        "Ana has removed you from the conversation friends",
    ]
    assert len(DEFAULT_TEMPLATES) == len(texts)


def test_each_kind_has_a_template_and_a_sound_of_its_own() -> None:
    settings = msgspec.structs.replace(
        OFF,
        media_enabled=True,
        new_message_template="message",
        media_template="files",
        added_template="added",
        removed_template="removed",
        new_message_sound="ding",
        added_sound="dong",
        removed_sound="boo",
    )
    said = [
        said_of_message(settings, conversation(), message(), ANA),
        said_of_message(settings, conversation(), message(None, FILE), ANA),
        said_of_member(settings, PushKind.ADDED, conversation(), ANA),
        said_of_member(settings, PushKind.REMOVED, conversation(), ANA),
    ]
    assert [(one.text, one.sound) for one in said if isinstance(one, PushContent)] == [
        ("message", "ding"),
        ("files", "ding"),
        ("added", "dong"),
        ("removed", "boo"),
    ]


def test_without_a_sound_there_is_none() -> None:
    content = said_of_message(OFF, conversation(), message(), ANA)
    assert isinstance(content, PushContent)
    assert content.sound is None
    assert said_of_member(OFF, PushKind.ADDED, conversation(), ANA).sound is None


# --- files


@pytest.mark.parametrize("body", [None, "", "hello"])
@pytest.mark.parametrize("files", [(), (FILE,), (FILE, UNNAMED), (RICH,)])
@pytest.mark.parametrize("media", [True, False])
def test_files_are_told_of_where_the_service_wants_it(
    body: str | None, files: tuple[MediaPart, ...], media: bool
) -> None:
    settings = msgspec.structs.replace(OFF, media_enabled=media, new_message_template="text", media_template="files")
    content = said_of_message(settings, conversation(), message(body, *files), ANA)
    named = [one for one in files if one is not RICH]
    if named and not media and not body:
        assert content == FILES_ONLY
        return
    assert isinstance(content, PushContent)
    assert content.text == ("files" if named and media else "text")
    assert content.media_count == (len(named) or None)
    first = {"sid": "ME1", "filename": "cat.png", "content_type": "image/png", "size": 7}
    assert (None if content.media is None else json.loads(content.media)) == (first if named else None)


# --- what goes along


def test_a_message_says_where_it_is() -> None:
    content = said_of_message(OFF, conversation(), message(), ANA)
    assert isinstance(content, PushContent)
    assert (content.kind, content.message_type) == (PushKind.NEW_MESSAGE, "twilio.conversations.new_message")
    assert (content.conversation_sid, content.conversation_title) == ("CH1", "Friends")
    assert (content.author, content.message_sid, content.message_index) == ("ana", "IM1", 6)


@pytest.mark.parametrize(
    ("kind", "message_type"),
    [
        (PushKind.ADDED, "twilio.conversations.added_to_conversation"),
        (PushKind.REMOVED, "twilio.conversations.removed_from_conversation"),
    ],
)
def test_who_comes_or_goes_is_told_where(kind: PushKind, message_type: str) -> None:
    content = said_of_member(OFF, kind, conversation(None), ANA)
    assert (content.kind, content.message_type) == (kind, message_type)
    assert (content.conversation_sid, content.conversation_title) == ("CH1", "friends")
    assert (content.author, content.message_sid, content.message_index) == (None, None, None)


def test_what_is_said_is_not_printed() -> None:
    content = said_of_message(OFF, conversation(), message("do-not-print", FILE), ANA)
    assert "do-not-print" not in repr(content)
    assert "cat.png" not in repr(content)


# --- switches


@pytest.mark.parametrize(
    ("on", "wanted"),
    [
        ((), ()),
        (("new_message_enabled",), (PushKind.NEW_MESSAGE,)),
        (("added_enabled",), (PushKind.ADDED,)),
        (("removed_enabled",), (PushKind.REMOVED,)),
        (("badge_count_enabled",), ()),
        (("media_enabled", "log_enabled"), ()),
        (("new_message_enabled", "badge_count_enabled"), (PushKind.NEW_MESSAGE, PushKind.BADGE)),
    ],
)
def test_each_kind_has_a_switch_and_a_test_needs_none(on: tuple[str, ...], wanted: tuple[PushKind, ...]) -> None:
    settings = msgspec.structs.replace(OFF, **dict.fromkeys(on, True))
    assert {kind for kind in PushKind if is_wanted(settings, kind)} == {*wanted, PushKind.TEST}


def _text(content: PushContent | str) -> str:
    assert isinstance(content, PushContent)
    return content.text
