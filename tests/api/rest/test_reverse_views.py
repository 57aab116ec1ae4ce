"""User conversations and participant conversations (rest 11.2, 11.3, semantics 6)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.engine.world import World

from .client import AccountHolder

PAIR = {"MessagingBinding.Address": "+15550000002", "MessagingBinding.ProxyAddress": "+15550000001"}


async def test_a_users_view_is_of_the_conversation_but_for_horizon_and_level(world: World, api: AccountHolder) -> None:
    made = await api.made("/Conversations", {"FriendlyName": "Room", "UniqueName": "room", "Attributes": '{"t":1}'})
    world.clock.advance(timedelta(minutes=1))
    room = f"/Conversations/{made['sid']}"
    member = await api.made(f"{room}/Participants", {"Identity": "ana"})
    user = (await api.get("/Users/ana")).body
    got = (await api.get(f"/Users/{user['sid']}{room}")).body
    assert got == {
        "account_sid": api.account_sid,
        "chat_service_sid": api.service_sid,
        "conversation_sid": made["sid"],
        "unread_messages_count": None,
        "last_read_message_index": None,
        "participant_sid": member["sid"],
        "user_sid": user["sid"],
        "friendly_name": "Room",
        "conversation_state": "active",
        "timers": {},
        "attributes": '{"t":1}',
        "date_created": made["date_created"],
        "date_updated": made["date_updated"],
        "created_by": "system",
        "notification_level": "default",
        "unique_name": "room",
        "url": f"{api.root}/Users/{user['sid']}{room}",
        "links": {"participant": f"{api.root}{room}/Participants/{member['sid']}", "conversation": f"{api.root}{room}"},
    }
    assert (await api.get("/Users/ana/Conversations/room")).body == got
    assert await api.everything("/Users/ana/Conversations") == [got]


async def test_unread_is_unknown_until_something_was_read(api: AccountHolder, room: str) -> None:
    await api.made(f"{room}/Participants", {"Identity": "ana"})
    mine = f"/Users/ana{room}"

    async def read(index: str) -> tuple[int | None, int | None]:
        got = (await api.post(mine, {"LastReadMessageIndex": index})).body
        assert (await api.get(mine)).body == got
        return got["last_read_message_index"], got["unread_messages_count"]

    assert await read("0") == (None, None)
    sids = [(await api.made(f"{room}/Messages", {"Body": str(number)}))["sid"] for number in range(5)]
    assert (await api.get(mine))["unread_messages_count"] is None
    assert await read("2") == (2, 2)
    assert await read("0") == (0, 4)
    await api.delete(f"{room}/Messages/{sids[3]}")
    assert (await api.get(mine))["unread_messages_count"] == 3
    await api.made(f"{room}/Messages", {"Author": "ana", "Body": "own"})
    assert (await api.get(mine))["unread_messages_count"] == 4
    assert await read("999") == (5, 0)
    assert (await api.get(f"{room}/Participants/ana"))["last_read_message_index"] == 5
    assert await read("null") == (None, None)


async def test_the_moment_of_reading_can_be_told(api: AccountHolder, room: str) -> None:
    await api.made(f"{room}/Participants", {"Identity": "ana"})
    await api.made(f"{room}/Messages", {"Body": "x"})
    form = {"LastReadMessageIndex": "0", "LastReadTimestamp": "2024-01-02T03:04:05+00:00"}
    assert (await api.post(f"/Users/ana{room}", form))["last_read_message_index"] == 0
    assert (await api.get(f"{room}/Participants/ana"))["last_read_timestamp"] == "2024-01-02T03:04:05Z"


async def test_unread_stops_at_a_thousand(world: World, account: AccountHolder) -> None:
    room = f"/Conversations/{await account.conversation()}"
    await account.made(f"{room}/Participants", {"Identity": "ana"})
    await account.made(f"{room}/Messages", {"Body": "x"})
    await account.post(f"/Users/ana{room}", {"LastReadMessageIndex": "0"})
    # A thousand and one copies of the row, as requests would take seconds to make them.
    async with world.database.transaction() as connection:
        await connection.execute(
            "INSERT INTO messages SELECT conversation_sid, value, sid || value, account_sid, service_sid, author,"
            " participant_sid, body, subject, attributes, created_at, updated_at, last_updated_by, created_event,"
            " event, delivery, media, content_sid, content_variables FROM messages,"
            " (WITH RECURSIVE n(value) AS (VALUES (1) UNION ALL SELECT value + 1 FROM n LIMIT 1001)"
            " SELECT value FROM n)"
        )
    assert (await account.get(f"/Users/ana{room}"))["unread_messages_count"] == 1000


@pytest.mark.parametrize("level", ["muted", "MUTED"])
async def test_a_conversation_can_be_muted(api: AccountHolder, room: str, level: str) -> None:
    await api.made(f"{room}/Participants", {"Identity": "ana"})
    assert (await api.post(f"/Users/ana{room}", {"NotificationLevel": level}))["notification_level"] == "muted"
    assert (await api.post(f"/Users/ana{room}"))["notification_level"] == "muted"
    assert (await api.post(f"/Users/ana{room}", {"NotificationLevel": "default"}))["notification_level"] == "default"


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"NotificationLevel": "loud"}, 50210),
        ({"NotificationLevel": ""}, 50210),
        ({"LastReadMessageIndex": "-1"}, 50421),
        ({"LastReadMessageIndex": "x"}, 50421),
        ({"LastReadTimestamp": "x"}, 20001),
    ],
)
async def test_values_are_checked(api: AccountHolder, room: str, form: dict[str, str], code: int) -> None:
    await api.made(f"{room}/Participants", {"Identity": "ana"})
    (await api.post(f"/Users/ana{room}", form)).refused_with(400, code)


async def test_deleting_a_users_conversation_is_leaving(api: AccountHolder, room: str) -> None:
    await api.made(f"{room}/Participants", {"Identity": "ana"})
    assert (await api.delete(f"/Users/ana{room}")).status == 204
    assert await api.everything(f"{room}/Participants") == []
    assert (await api.get(room)).status == 200
    for answer in (
        await api.get(f"/Users/ana{room}"),
        await api.post(f"/Users/ana{room}"),
        await api.delete(f"/Users/ana{room}"),
    ):
        answer.refused_with(404, 20404)


async def test_the_conversations_of_an_identity_can_be_found(api: AccountHolder) -> None:
    made = [await api.made("/Conversations", {"UniqueName": str(number)}) for number in range(2)]
    members = [await api.made(f"/Conversations/{one['sid']}/Participants", {"Identity": "ana"}) for one in made]
    await api.post("/Conversations/1", {"State": "closed"})
    user = (await api.get("/Users/ana"))["sid"]
    found = await api.everything("/ParticipantConversations", Identity="ana")
    home = f"{api.root}/Conversations/{made[0]['sid']}"
    assert found[0] == {
        "account_sid": api.account_sid,
        "chat_service_sid": api.service_sid,
        "participant_sid": members[0]["sid"],
        "participant_user_sid": user,
        "participant_identity": "ana",
        "participant_messaging_binding": None,
        "conversation_sid": made[0]["sid"],
        "conversation_unique_name": "0",
        "conversation_friendly_name": None,
        "conversation_attributes": "{}",
        "conversation_date_created": "2025-01-01T00:00:00Z",
        "conversation_date_updated": "2025-01-01T00:00:00Z",
        "conversation_created_by": "system",
        "conversation_state": "active",
        "conversation_timers": {},
        "links": {"participant": f"{home}/Participants/{members[0]['sid']}", "conversation": home},
    }
    assert [one["conversation_state"] for one in found] == ["active", "closed"]
    assert await api.everything("/ParticipantConversations", Identity=user) == []
    assert await api.everything("/ParticipantConversations", Identity="nobody") == []


async def test_the_conversations_of_an_address_show_the_whole_binding(api: AccountHolder, room: str) -> None:
    member = await api.made(f"{room}/Participants", PAIR)
    answer = await api.get("/ParticipantConversations", Address="+15550000002")
    assert "?Address=%2B15550000002&" in answer["meta"]["url"]
    (found,) = answer["conversations"]
    assert found["participant_sid"] == member["sid"]
    assert (found["participant_identity"], found["participant_user_sid"]) == (None, None)
    assert found["participant_messaging_binding"] == {
        "type": "sms",
        "address": "+15550000002",
        "proxy_address": "+15550000001",
        "projected_address": None,
        "name": None,
        "level": None,
    }
    await api.made(f"{room}/Participants", {"MessagingBinding.ProjectedAddress": "+15550000009"})
    assert len(await api.everything("/ParticipantConversations", Address="+15550000009")) == 1


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"Identity": "a", "Address": "+15550000002"}, 50451),
        ({}, 20001),
        ({"Identity": ""}, 20001),
    ],
)
async def test_it_takes_exactly_one_of_identity_and_address(
    api: AccountHolder, query: dict[str, str], code: int
) -> None:
    (await api.get("/ParticipantConversations", **query)).refused_with(400, code)
