"""Conversations (client-commands 4.1)."""

from __future__ import annotations

import pytest

from tertulia.server.domain.conversations import UpdateConversation
from tests.engine.world import BASE_URL, World

from .sdk import Face, Sdk

ALL = "/Client/v2/Conversations"

READ_BY_PEEK = {
    "sid",
    "status",
    "friendly_name",
    "unique_name",
    "created_by",
    "date_created",
    "date_updated",
    "attributes",
    "notification_level",
    "last_read_message_index",
    "unread_messages_count",
    "messages_count",
    "participants_count",
    "sync_objects",
}


async def test_creating_answers_what_the_sdk_builds_its_conversation_from(ana: Sdk) -> None:
    made = await ana.post(
        ALL, {"friendly_name": "Room", "unique_name": "room", "attributes": '{"a":1}', "access": "restricted"}
    )
    assert made.status == 201
    sid = made["sid"]
    assert made["url"] == f"{BASE_URL}{ALL}/{sid}"
    assert made["links"] == {"messages": f"{made['url']}/Messages", "participants": f"{made['url']}/Participants"}
    assert made["sync_objects"]["conversation"] == f"{sid}.channel"
    assert (made["friendly_name"], made["unique_name"], made["attributes"]) == ("Room", "room", '{"a":1}')
    assert (made["created_by"], made["status"], made["state"]) == ("ana", "notParticipating", "active")


async def test_the_creator_reads_what_he_made_before_he_joins_it(ana: Sdk, ben: Sdk) -> None:
    made = await ana.post(ALL, {"attributes": "{}"})
    assert (await ana.get(made["url"])).json == made.json
    assert (await ana.get(f"/v3/Documents/{made['sync_objects']['conversation']}")).status == 200
    assert (await ana.get(f"/v3/Maps/{made['sync_objects']['participants']}")).failure == (404, 54200)
    assert (await ana.get(f"/v3/Lists/{made['sync_objects']['messages']}")).failure == (404, 54150)
    assert (await ana.post(made["url"], {"friendly_name": "no"})).failure == (403, 50430)
    assert (await ana.type_in(made["sid"])).failure == (403, 50430)
    assert (await ana.get(f"{made['url']}/MessageRecipients")).failure == (403, 50430)
    assert (await ana.get(f"{ana.mine}/{made['sid']}")).failure == (404, 50350)
    assert (await ben.get(made["url"])).failure == (404, 50350)
    assert (await ana.join(made["sid"])).status == 201
    assert (await ana.get(made["url"]))["status"] == "joined"


async def test_a_creator_who_has_left_is_like_everybody(ana: Sdk) -> None:
    sid = await ana.create()
    assert (await ana.delete(f"{ALL}/{sid}/Participants/ana")).status == 204
    assert (await ana.get(f"{ALL}/{sid}")).failure == (404, 50350)


async def test_state_and_timers_are_not_heard_from_clients(ana: Sdk) -> None:
    made = await ana.post(ALL, {"attributes": "{}", "state": "inactive", "timers.closed": "PT10M"})
    assert made["state"] == "active"
    await ana.join(made["sid"])
    assert (await ana.post(made["url"], {"state": "closed"}))["state"] == "active"


async def test_every_member_a_peek_reads_is_there(ana: Sdk) -> None:
    sid = await ana.create()
    await ana.say(sid)
    peek = await ana.get(f"{ALL}/{sid}")
    assert peek.json.keys() >= READ_BY_PEEK
    assert (peek["status"], peek["notification_level"]) == ("joined", "default")
    assert (peek["friendly_name"], peek["unique_name"], peek["attributes"]) == (None, None, "{}")
    assert (peek["last_read_message_index"], peek["unread_messages_count"]) == (None, None)
    assert (peek["messages_count"], peek["participants_count"]) == (1, 1)
    names = {"conversation": f"{sid}.channel", "participants": f"{sid}.roster", "messages": f"{sid}.messages"}
    assert peek["sync_objects"] == names


@pytest.mark.owner_demand(20)
async def test_counts_follow_what_exists(ana: Sdk, ben: Sdk, world: World) -> None:
    sid = await ana.create()
    await ana.post(f"{ALL}/{sid}/Participants", {"identity": "ben", "attributes": "{}"})
    first = await ana.say(sid)
    await ana.say(sid)
    await ana.delete(first["url"])
    peek = await ben.get(f"{ALL}/{sid}")
    assert (peek["messages_count"], peek["participants_count"]) == (1, 2)


async def test_dates_are_the_very_text_of_the_sync_document(ana: Sdk) -> None:
    sid = await ana.create(friendly_name="Room")
    changed = await ana.post(f"{ALL}/{sid}", {"friendly_name": "Other"})
    document = (await ana.get(f"/v3/Documents/{sid}.channel"))["data"]
    peek = await ana.get(f"{ALL}/{sid}")
    for name, member in (("date_created", "dateCreated"), ("date_updated", "dateUpdated")):
        assert changed[name] == peek[name] == document[member]
        assert len(peek[name]) == len("2026-01-02T03:04:05.678Z")


@pytest.mark.parametrize("nothing", ["", None])
async def test_an_empty_unique_name_frees_the_name(ana: Sdk, nothing: str | None) -> None:
    sid = await ana.create(unique_name="room")
    assert (await ana.post(ALL, {"unique_name": "room", "attributes": "{}"})).failure == (409, 50353)
    assert (await ana.post(f"{ALL}/{sid}", {"unique_name": nothing}))["unique_name"] is None
    assert (await ana.post(ALL, {"unique_name": "room", "attributes": "{}"})).status == 201


async def test_to_take_a_name_away_is_to_edit_it(ana: Sdk, ben: Sdk) -> None:
    sid = await ana.create(friendly_name="Room", unique_name="room")
    await ben.join(sid)
    for body in ({"friendly_name": None}, {"unique_name": None}, {"unique_name": ""}, {"attributes": "{}"}):
        assert (await ben.post(f"{ALL}/{sid}", body)).failure == (403, 50107), body
    assert (await ana.get(f"{ALL}/{sid}"))["unique_name"] == "room"


async def test_an_update_changes_what_it_names(ana: Sdk) -> None:
    sid = await ana.create(friendly_name="Room", unique_name="room")
    assert (await ana.post(f"{ALL}/{sid}", {"attributes": '{"b":2}'})).status == 200
    seen = await ana.get(f"{ALL}/{sid}")
    assert (seen["friendly_name"], seen["unique_name"], seen["attributes"]) == ("Room", "room", '{"b":2}')


async def test_deleting_a_conversation_ends_it_for_everybody(ana: Sdk, ben: Sdk) -> None:
    sid = await ana.create()
    await ben.join(sid)
    assert (await ben.delete(f"{ALL}/{sid}")).failure == (403, 50107)
    gone = await ana.delete(f"{ALL}/{sid}")
    assert (gone.status, gone.raw) == (204, b"")
    for sdk in (ana, ben):
        assert (await sdk.get(f"{ALL}/{sid}")).failure == (404, 50350)
        assert (await sdk.get(f"/v3/Documents/{sid}.channel")).failure == (404, 54100)


async def test_a_conversation_one_is_not_in_answers_as_if_it_did_not_exist(ana: Sdk, face: Face) -> None:
    stranger, sid = await face.sdk("eve"), await ana.create(unique_name="room")
    message = await ana.say(sid)
    absent = "CH" + "0" * 32
    for method, path, body in (
        ("GET", "", b""),
        ("POST", "", b'{"friendly_name":"x"}'),
        ("DELETE", "", b"{}"),
        ("POST", "/Messages", b'{"body":"x"}'),
        ("POST", "/Participants", b'{"identity":"bob"}'),
        ("DELETE", "/Participants/ana", b"{}"),
        ("GET", f"/Messages/{message['sid']}", b""),
        ("GET", f"/Messages/{message['sid']}/Receipts", b""),
        ("GET", f"/Messages/{message['sid']}/ChannelMetadata", b""),
        ("GET", "/MessageRecipients", b""),
    ):
        real = await stranger.send(method, f"{ALL}/{sid}{path}", body)
        assert real.failure == (404, 50350), (method, path)
        assert real == await stranger.send(method, f"{ALL}/{absent}{path}", body)
        assert real == await stranger.send(method, f"{ALL}/room{path}", body)


async def test_a_closed_conversation_is_gone_for_clients_and_takes_nothing(ana: Sdk, world: World) -> None:
    sid = await ana.create()
    message = await ana.say(sid)
    await world.engine.execute(
        world.account, UpdateConversation(service=world.service, conversation=sid, state="closed")
    )
    for url in (f"{ALL}/{sid}", f"{ana.mine}/{sid}", message["url"], f"{message['url']}/Receipts"):
        assert (await ana.get(url)).failure == (404, 50350), url
    assert (await ana.get(f"/v3/Lists/{sid}.messages")).failure == (404, 54150)
    assert (await ana.get(ana.mine))["conversations"] == []
    for answer in (
        await ana.say(sid),
        await ana.post(f"{ALL}/{sid}", {"friendly_name": "x"}),
        await ana.post(message["url"], {"body": "x"}),
        await ana.delete(f"{ALL}/{sid}/Participants/ana"),
        await ana.post(f"{ana.mine}/{sid}", {"last_read_message_index": 0}),
    ):
        assert answer.failure == (400, 50377)
