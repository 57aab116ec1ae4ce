"""Files of messages over the socket: sent, told of, changed, replayed (realtime 11.4)."""

from __future__ import annotations

from tests.engine.uploads import upload

from .client import wish
from .conftest import Here
from .rooms import Room


async def test_a_message_with_files_is_told_of_whole_whenever_it_changes(here: Here) -> None:
    room = Room(here, await here.world.conversation("ana", "ben"))
    ana, ben = await here.peer("ana"), await here.peer("ben")
    await ben.establish(wish(room.messages, -1))
    by = here.world.user("ana")
    cat, text = await upload(here.world, by), await upload(here.world, by, category="body", content_type="text/plain")
    path = f"/Client/v2/Conversations/{room.sid}/Messages"
    sent = await ana.post(path, {"media_sids": [cat.sid, text.sid], "attributes": "{}", "subject": "Cats"})
    assert sent["index"] == 0
    changed = await ana.post(f"{path}/{sent['sid']}", {"attributes": "[1]"})
    assert changed.http_status == 200, changed
    await ben.until(lambda: len(ben.events_of(room.messages)) == 2)
    added, updated = ben.events_of(room.messages)
    assert (added.type, updated.type) == ("list_item_added", "list_item_updated")
    for event in (added, updated):
        data = event.body["item_data"]
        assert (data["text"], data["type"], data["subject"], data["contentSid"]) == (None, "media", "Cats", None)
        assert data["media"] == {"sid": cat.sid, "filename": "cat.png", "contentType": "image/png", "size": 3}
        assert [(one["sid"], one["category"]) for one in data["medias"]] == [(cat.sid, "media"), (text.sid, "body")]
    # Who comes later is told the same.
    late = await here.peer("ben")
    await late.establish(wish(room.messages, -1))
    replayed = late.events_of(room.messages)
    assert [event.body["item_data"] for event in replayed] == [updated.body["item_data"]] * 2
