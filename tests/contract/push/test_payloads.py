"""Payloads: the keys that clients read, in both shapes, within what the services take."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tertulia.server.domain.push_content import PushContent, PushKind
from tertulia.server.push.payloads import PAYLOAD_BYTES, apns_payload, data_of

HERE = Path(__file__).parent
PACKAGES = HERE.parents[1] / "sdks" / "node_modules"
SDKS = ["@twilio/conversations", "conversations-2"]

NOTICE = "RU" + "7" * 32
CONVERSATION = "CH" + "2" * 32
MESSAGE = "IM" + "3" * 32
FILE = {"sid": "ME" + "5" * 32, "filename": "a.png", "content_type": "image/png", "size": 123}

WHOLE = PushContent(
    kind=PushKind.NEW_MESSAGE,
    text="tavern:ana: hello",
    title="Tavern",
    sound="ding",
    conversation_sid=CONVERSATION,
    conversation_title="The tavern",
    author="ana",
    message_sid=MESSAGE,
    message_index=0,
    media_count=2,
    media=json.dumps(FILE),
)
CONTENTS = {
    "whole": WHOLE,
    "plain": PushContent(
        kind=PushKind.NEW_MESSAGE, text="hi", conversation_sid=CONVERSATION, message_sid=MESSAGE, message_index=6
    ),
    "added": PushContent(kind=PushKind.ADDED, text="You were added", conversation_sid=CONVERSATION),
    "removed": PushContent(kind=PushKind.REMOVED, text="You were removed", sound="", conversation_sid=CONVERSATION),
    "test": PushContent(kind=PushKind.TEST, text="A test"),
}


def apns(content: PushContent, badge: int | None = None) -> dict[str, Any]:
    read = json.loads(apns_payload(content, NOTICE, badge))
    assert isinstance(read, dict)
    return read


def test_every_key_has_its_place_at_apple() -> None:
    assert apns(WHOLE, badge=3) == {
        "aps": {"alert": {"title": "Tavern", "body": "tavern:ana: hello"}, "sound": "ding", "badge": 3},
        "twi_message_type": "twilio.conversations.new_message",
        "twi_message_id": NOTICE,
        "conversation_sid": CONVERSATION,
        "conversation_title": "The tavern",
        "author": "ana",
        "message_sid": MESSAGE,
        "message_index": 0,
        "media_count": 2,
        "media": json.dumps(FILE),
    }


def test_every_key_is_a_text_elsewhere() -> None:
    assert data_of(WHOLE, NOTICE) == {
        "twi_message_type": "twilio.conversations.new_message",
        "twi_message_id": NOTICE,
        "twi_body": "tavern:ana: hello",
        "twi_title": "Tavern",
        "twi_sound": "ding",
        "conversation_sid": CONVERSATION,
        "conversation_title": "The tavern",
        "author": "ana",
        "message_sid": MESSAGE,
        "message_index": "0",
        "media_count": "2",
        "media": json.dumps(FILE),
    }


def test_what_has_no_value_has_no_key() -> None:
    content = CONTENTS["removed"]
    kind = "twilio.conversations.removed_from_conversation"
    assert apns(content) == {
        "aps": {"alert": "You were removed"},
        "twi_message_type": kind,
        "twi_message_id": NOTICE,
        "conversation_sid": CONVERSATION,
    }
    assert data_of(content, NOTICE) == {
        "twi_message_type": kind,
        "twi_message_id": NOTICE,
        "twi_body": "You were removed",
        "conversation_sid": CONVERSATION,
    }


@pytest.mark.parametrize("badge", [0, 1, 2**31])
def test_a_badge_is_a_number_and_nothing_else(badge: int) -> None:
    assert apns(PushContent(kind=PushKind.BADGE), badge) == {"aps": {"badge": badge}}


def test_no_badge_leaves_the_badge_and_zero_takes_it_away() -> None:
    assert "badge" not in apns(WHOLE)["aps"]
    assert apns(WHOLE, 0)["aps"]["badge"] == 0


def test_what_is_too_much_goes_in_order() -> None:
    big = "x" * 2_000
    content = msgspec.structs.replace(WHOLE, media=big, conversation_title=big, author=big)
    for payload in (apns(content), data_of(content, NOTICE)):
        assert "media" not in payload and "conversation_title" not in payload and payload["author"] == big
    content = msgspec.structs.replace(WHOLE, author="x" * 4_000)
    for payload in (apns(content), data_of(content, NOTICE)):
        assert "author" not in payload and payload["conversation_sid"] == CONVERSATION


def test_a_text_is_cut_between_characters_and_as_little_as_possible() -> None:
    content = msgspec.structs.replace(WHOLE, text="😀" * 5_000)
    at_apple = apns_payload(content, NOTICE, 1)
    elsewhere = data_of(content, NOTICE)
    for size, text in (
        (len(at_apple), json.loads(at_apple)["aps"]["alert"]["body"]),
        (len(msgspec.json.encode(elsewhere)), elsewhere["twi_body"]),
    ):
        assert PAYLOAD_BYTES - 4 < size <= PAYLOAD_BYTES
        assert set(text) == {"😀"}


words = (
    st.none()
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=50)
    | st.sampled_from(["x" * 5_000, "é" * 3_000, '"' * 3_000, "\0" * 900])
)


@given(words, words, words, words, words, words)
def test_whatever_is_told_fits(
    text: str | None, title: str | None, sound: str | None, author: str | None, name: str | None, media: str | None
) -> None:
    content = msgspec.structs.replace(
        WHOLE, text=text or "", title=title, sound=sound, author=author, conversation_title=name, media=media
    )
    body = apns_payload(content, NOTICE, 7)
    assert len(body) <= PAYLOAD_BYTES
    assert json.loads(body)["twi_message_id"] == NOTICE
    data = data_of(content, NOTICE)
    assert len(msgspec.json.encode(data)) <= PAYLOAD_BYTES
    assert data["message_sid"] == MESSAGE


def parsed(version: str, payloads: list[Any]) -> list[dict[str, Any]]:
    """What the official SDK makes of payloads."""
    node = shutil.which("node")
    if node is None or not (PACKAGES / version).exists():
        pytest.skip("Node or the packages of tests/sdks are missing; `make sdk-parts` brings them where it can")
    done = subprocess.run(
        [node, str(HERE / "parse_push.mjs")],
        input=json.dumps(payloads),
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "SDK": version},
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert isinstance(found, list)
    return found


@pytest.mark.node
@pytest.mark.parametrize("version", SDKS)
def test_the_official_sdk_reads_both_shapes(version: str) -> None:
    contents = list(CONTENTS.values())
    at_apple = parsed(version, [apns(content, badge=5) for content in contents])
    elsewhere = parsed(version, [{"data": data_of(content, NOTICE)} for content in contents])
    for content, first, second in zip(contents, at_apple, elsewhere, strict=True):
        data = {
            "conversationSid": content.conversation_sid,
            "conversationTitle": content.conversation_title,
            "messageSid": content.message_sid,
            "messageIndex": content.message_index,
            "mediaCount": content.media_count,
            "media": None if content.media is None else FILE,
        }
        expected = {
            "title": content.title,
            "body": content.text,
            "sound": content.sound or None,
            "action": None,
            "type": content.message_type,
            "data": {name: value for name, value in data.items() if value is not None},
        }
        assert first == {**expected, "badge": 5}
        assert second == {**expected, "badge": None}


@pytest.mark.node
@pytest.mark.parametrize("version", SDKS)
def test_the_official_sdk_takes_a_badge_for_no_notification(version: str) -> None:
    (badge,) = parsed(version, [apns(PushContent(kind=PushKind.BADGE), 5)])
    assert "error" in badge
