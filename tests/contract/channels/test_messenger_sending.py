"""Messenger: what people are sent, and what Meta's answers come to."""

from __future__ import annotations

from typing import Any

import pytest

from tertulia.server.channels.base import NotNow, Refused, Unsure
from tertulia.server.channels.graph import client
from tertulia.server.channels.messenger import channel as messenger
from tests.contract.channels.graph_cases import ALARMING, LATER, REFUSED
from tests.contract.channels.graph_stage import channel_to, file, to_reader
from tests.peers.graph import HUNG_UP, OUTSIDE, PAGE_ID, PSID, STALLED, TAKEN, THROTTLED, GraphPeer, Reply

LINK = "https://tertulia.example/Media/ME1"
TO = {"recipient": {"id": PSID}}


async def test_a_text_is_an_answer_to_the_person() -> None:
    async with GraphPeer() as peer, channel_to(peer, "messenger") as channel:
        accepted = await channel.send(to_reader("hello"))

    (sent,) = peer.sent
    assert sent.node == PAGE_ID
    assert sent.body == {**TO, "messaging_type": "RESPONSE", "message": {"text": "hello"}}
    assert accepted.handles == (sent.name,)


async def test_it_can_be_something_new() -> None:
    async with GraphPeer() as peer, channel_to(peer, "messenger", messaging_type="UPDATE") as channel:
        await channel.send(to_reader("hello"))

    assert peer.bodies[0]["messaging_type"] == "UPDATE"


@pytest.mark.parametrize(
    ("content_type", "kind"),
    [
        ("image/jpeg", "image"),
        ("image/gif", "image"),
        ("video/mp4", "video"),
        ("audio/mpeg", "audio"),
        ("application/pdf", "file"),
        ("text/plain; charset=utf-8", "file"),
    ],
)
async def test_a_file_goes_by_link_as_what_it_is(content_type: str, kind: str) -> None:
    async with GraphPeer() as peer, channel_to(peer, "messenger") as channel:
        await channel.send(to_reader(media=[file(content_type=content_type)]))

    attachment = {"type": kind, "payload": {"url": LINK, "is_reusable": False}}
    assert peer.bodies == [{**TO, "messaging_type": "RESPONSE", "message": {"attachment": attachment}}]


async def test_files_and_words_go_one_after_the_other() -> None:
    async with GraphPeer() as peer, channel_to(peer, "messenger") as channel:
        accepted = await channel.send(to_reader("Us", media=[file(), file(content_type="video/mp4")]))

    messages = [body["message"] for body in peer.bodies]
    assert [message.get("text") or message["attachment"]["type"] for message in messages] == ["image", "video", "Us"]
    assert accepted.handles == tuple(sent.name for sent in peer.sent)


async def test_each_page_sends_with_its_own_token() -> None:
    async with GraphPeer() as peer:
        peer.pages.add("77")
        settings: dict[str, Any] = {"page_id": "77", "access_token": "old", "more_pages": {PAGE_ID: peer.token}}
        async with channel_to(peer, "messenger", **settings) as channel:
            await channel.send(to_reader("hello"))
            with pytest.raises(NotNow):
                await channel.send(to_reader("hello", page="messenger:77"))
            with pytest.raises(Refused) as refused:
                await channel.send(to_reader("hello", page="messenger:78"))

    assert ([sent.node for sent in peer.sent], refused.value.code) == ([PAGE_ID], 63007)


async def test_what_a_message_may_carry_is_said_beforehand() -> None:
    async with GraphPeer() as peer:
        async with channel_to(peer, "messenger") as channel:
            can = channel.capabilities
        async with channel_to(peer, "messenger", human_agent=True, heeds_keywords=True, text_chars=20) as other:
            could = other.capabilities

    assert (can.text_chars, set(can.media_types), can.media_bytes) == (2000, {"*/*"}, 25 << 20)
    assert (can.has_templates, can.has_opt_out, can.has_groups) == (False, False, False)
    assert can.window is not None and can.window.total_seconds() == 24 * 3600
    assert could.window is not None and could.window.total_seconds() == 7 * 24 * 3600
    assert (could.has_opt_out, could.text_chars) == (True, 20)


async def test_after_the_window_people_answer_with_their_tag() -> None:
    async with GraphPeer() as peer, channel_to(peer, "messenger", human_agent=True) as channel:
        peer.answer_with(OUTSIDE)
        accepted = await channel.send(to_reader("hello"))
        peer.answer_with(OUTSIDE, OUTSIDE)
        with pytest.raises(Refused) as refused:
            await channel.send(to_reader("hello"))

    (body,) = peer.bodies
    assert (body["messaging_type"], body["tag"]) == ("MESSAGE_TAG", "HUMAN_AGENT")
    assert (len(accepted.handles), refused.value.code) == (1, 63016)


async def test_without_the_tag_a_message_after_the_window_has_failed() -> None:
    async with GraphPeer() as peer, channel_to(peer, "messenger") as channel:
        peer.answer_with(OUTSIDE)
        with pytest.raises(Refused) as refused:
            await channel.send(to_reader("hello"))

    assert (refused.value.code, peer.sent) == (63016, [])


@pytest.mark.parametrize(("reply", "code"), REFUSED)
async def test_what_is_refused_has_one_of_our_codes(reply: Reply, code: int) -> None:
    async with GraphPeer() as peer, channel_to(peer, "messenger") as channel:
        peer.answer_with(reply)
        with pytest.raises(Refused) as refused:
            await channel.send(to_reader("hello"))

    assert refused.value.code == code


@pytest.mark.parametrize(("reply", "after_s"), LATER)
async def test_what_passes_is_tried_again(reply: Reply, after_s: float | None) -> None:
    async with GraphPeer() as peer, channel_to(peer, "messenger") as channel:
        peer.answer_with(reply)
        with pytest.raises(NotNow) as later:
            await channel.send(to_reader("hello"))

    assert (later.value.after_s, later.value.is_alarming) == (after_s, False)


@pytest.mark.parametrize("reply", ALARMING)
async def test_what_somebody_has_to_mend_is_told(reply: Reply) -> None:
    async with GraphPeer() as peer, channel_to(peer, "messenger") as channel:
        peer.answer_with(reply)
        with pytest.raises(NotNow) as later:
            await channel.send(to_reader("hello"))

    assert later.value.is_alarming


async def test_what_was_taken_in_part_is_not_sent_again() -> None:
    async with GraphPeer() as peer, channel_to(peer, "messenger") as channel:
        peer.answer_with(TAKEN, THROTTLED)
        accepted = await channel.send(to_reader("Us", media=[file()]))
        assert (len(accepted.handles), accepted.lost) == (1, 30008)
        peer.answer_with(THROTTLED)
        with pytest.raises(NotNow):
            await channel.send(to_reader("Us", media=[file()]))


@pytest.mark.parametrize(("reply", "code"), [*REFUSED, (HUNG_UP, 30008)])
async def test_what_is_lost_after_some_of_it_was_taken_is_told_with_that(reply: Reply, code: int) -> None:
    async with GraphPeer() as peer, channel_to(peer, "messenger") as channel:
        peer.answer_with(TAKEN, reply)
        accepted = await channel.send(to_reader("Us", media=[file()]))

    assert (len(accepted.handles), accepted.lost) == (1, code)


async def test_nobody_knows_what_became_of_a_message_without_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    async with GraphPeer() as peer, channel_to(peer, "messenger") as channel:
        peer.answer_with(HUNG_UP)
        with pytest.raises(Unsure):
            await channel.send(to_reader("hello"))
        monkeypatch.setattr(messenger, "SEND_S", 0.1)
        peer.answer_with(STALLED)
        with pytest.raises(Unsure):
            await channel.send(to_reader("hello"))
        monkeypatch.setattr(messenger, "SEND_S", 10.0)
        monkeypatch.setattr(client, "CALL_S", 0.1)
        peer.answer_with(STALLED)
        with pytest.raises(Unsure):
            await channel.send(to_reader("hello"))


async def test_a_message_without_anything_is_refused() -> None:
    async with GraphPeer() as peer, channel_to(peer, "messenger") as channel:
        with pytest.raises(Refused):
            await channel.send(to_reader())


@pytest.mark.parametrize("body", ["", "{}", "[]", '{"message_id":5}'])
async def test_what_was_taken_is_taken_whatever_it_is_called(body: str) -> None:
    async with GraphPeer() as peer, channel_to(peer, "messenger") as channel:
        peer.answer_with(Reply(200, body))
        assert (await channel.send(to_reader("hello"))).handles == ()


async def test_calls_prove_that_they_know_the_secret_when_that_is_wanted() -> None:
    async with GraphPeer() as peer, channel_to(peer, "messenger", appsecret_proof=True) as channel:
        peer.demands_proof = True
        await channel.send(to_reader("hello"))

    assert len(peer.sent) == 1
