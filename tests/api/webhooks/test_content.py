"""Messages made from templates, as receivers are asked and told about them (semantics 1.4, 1.5, 1.6)."""

from __future__ import annotations

import json

from tertulia.server.domain.content import Content, CreateContent
from tertulia.server.domain.content_types import read_types
from tertulia.server.domain.messages import SendMessage
from tests.api.webhooks.conftest import Site
from tests.api.webhooks.receiver import answer
from tests.engine.uploads import rows_of_media
from tests.engine.world import refused

TYPES = b'{"twilio/quick-reply": {"body": "Will you come, {{1}}?", "actions": [{"title": "Yes"}]}}'


async def template(site: Site) -> Content:
    return await site.world.do(CreateContent, language="en", types=read_types(TYPES), variables={"1": "friend"})


async def test_a_receiver_is_asked_and_told_with_the_words_as_they_are_shown(site: Site) -> None:
    await site.hooks("onMessageAdd", "onMessageAdded", pre="/pre", post="/post")
    room, content = await site.room("ana"), await template(site)
    await site.do(SendMessage, by="ana", conversation=room, content_sid=content.sid, content_variables='{"1":"Ben"}')
    await site.settle()
    assert site.receiver.events == ["onMessageAdd", "onMessageAdded"]
    for told in site.receiver.told:
        assert told["Body"] == "Will you come, Ben?"
        (part,) = json.loads(told["Media"])
        assert (part["Category"], part["ContentType"]) == (
            "body",
            "application/x-vnd.com.twilio.rich.twilio.quick-reply",
        )


async def test_the_words_of_a_receiver_are_all_that_is_shown(site: Site) -> None:
    """A rich body beside them would still say what he did not want said."""
    await site.hooks("onMessageAdd", pre="/pre")
    room, content = await site.room("ana"), await template(site)
    site.receiver.respond = answer(200, b'{"body": "***"}')
    message = await site.do(SendMessage, by="ana", conversation=room, content_sid=content.sid)
    assert (message.body, message.media, message.content_sid) == ("***", None, content.sid)
    assert await rows_of_media(site.world) == {}


async def test_a_message_that_a_receiver_rejects_leaves_nothing(site: Site) -> None:
    await site.hooks("onMessageAdd", pre="/pre")
    room, content = await site.room("ana"), await template(site)
    site.receiver.respond = answer(403)
    with refused(50056):
        await site.do(SendMessage, by="ana", conversation=room, content_sid=content.sid)
    assert await rows_of_media(site.world) == {}
