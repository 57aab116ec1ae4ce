"""The files of a message, as receivers are told of them before and after (semantics 1.3, 1.4, 1.6)."""

from __future__ import annotations

import json

from tertulia.server.domain.messages import DeleteMessage, SendMessage, UpdateMessage
from tests.api.webhooks.conftest import Site
from tests.api.webhooks.receiver import answer
from tests.engine.uploads import rows_of_media, upload
from tests.engine.world import refused

EVENTS = (
    "onMessageAdd",
    "onMessageAdded",
    "onMessageUpdate",
    "onMessageUpdated",
    "onMessageRemove",
    "onMessageRemoved",
)


async def test_every_event_of_a_message_has_its_files(site: Site) -> None:
    await site.hooks(*EVENTS, pre="/pre", post="/post")
    room, ana = await site.room("ana"), site.user("ana")
    cat = await upload(site.world, ana, filename='c"a&t.png')
    body = await upload(site.world, ana, category="body", content_type="text/plain", filename=None, size=40_000)
    message = await site.do(SendMessage, by="ana", conversation=room, media_sids=(cat.sid, body.sid))
    await site.do(UpdateMessage, by="ana", conversation=room, message=message.sid, attributes="[1]")
    await site.do(DeleteMessage, by="ana", conversation=room, message=message.sid)
    await site.settle()
    assert sorted(site.receiver.events) == sorted(EVENTS)
    for told in site.receiver.told:
        assert told.is_signed_with(site.auth_token), told.event
        assert "Body" not in told.fields
        assert json.loads(told["Media"]) == [
            {
                "Sid": cat.sid,
                "Filename": 'c"a&t.png',
                "ContentType": "image/png",
                "Size": 3,
                "Category": "media",
            },
            {"Sid": body.sid, "Filename": None, "ContentType": "text/plain", "Size": 40_000, "Category": "body"},
        ], told.event


async def test_a_message_of_words_has_no_such_parameter(site: Site) -> None:
    await site.hooks("onMessageAdded", post="/post")
    room = await site.room("ana")
    await site.do(SendMessage, by="ana", conversation=room, body="hello")
    await site.settle()
    (told,) = site.receiver.told
    assert "Media" not in told.fields


async def test_files_of_a_message_that_a_receiver_rejects_stay_to_be_sent(site: Site) -> None:
    await site.hooks("onMessageAdd", pre="/pre")
    room, media = await site.room("ana"), await upload(site.world, site.user("ana"))
    site.receiver.respond = answer(403)
    with refused(50056):
        await site.do(SendMessage, by="ana", conversation=room, media_sids=(media.sid,))
    assert await rows_of_media(site.world) == {media.sid: None}
    site.receiver.respond = answer(200, b'{"body": "seen"}')
    message = await site.do(SendMessage, by="ana", conversation=room, media_sids=(media.sid,))
    assert message.body == "seen"
    assert await rows_of_media(site.world) == {media.sid: message.sid}


async def test_a_receiver_cannot_change_the_words_beside_files(site: Site) -> None:
    await site.hooks("onMessageUpdate", pre="/pre")
    room, media = await site.room("ana"), await upload(site.world, site.user("ana"))
    message = await site.do(SendMessage, by="ana", conversation=room, media_sids=(media.sid,))
    site.receiver.respond = answer(200, b'{"body": "seen"}')
    with refused(50509):
        await site.do(UpdateMessage, by="ana", conversation=room, message=message.sid, attributes="[1]")
