"""Conversations (rest 5, semantics 5)."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from tests.engine.world import World

from .client import AccountHolder

MESSAGING_SERVICE = "MG" + "a" * 32


async def test_a_conversation_of_nothing_has_the_defaults(api: AccountHolder) -> None:
    made = await api.made("/Conversations")
    url = f"{api.root}/Conversations/{made['sid']}"
    assert made == {
        "sid": made["sid"],
        "account_sid": api.account_sid,
        "chat_service_sid": api.service_sid,
        "messaging_service_sid": None,
        "friendly_name": None,
        "unique_name": None,
        "attributes": "{}",
        "state": "active",
        "date_created": "2025-01-01T00:00:00Z",
        "date_updated": "2025-01-01T00:00:00Z",
        "timers": {},
        "bindings": {},
        "url": url,
        "links": {
            "participants": f"{url}/Participants",
            "messages": f"{url}/Messages",
            "webhooks": f"{url}/Webhooks",
            "export": f"{url}/Export",
        },
    }
    assert (await api.get(f"/Conversations/{made['sid']}")).body == made


async def test_everything_that_is_given_is_kept(api: AccountHolder) -> None:
    made = await api.made(
        "/Conversations",
        {
            "FriendlyName": "Visit ☃",
            "UniqueName": "visit",
            "Attributes": '{"topic": [1, 2.5, null]}',
            "DateCreated": "2020-07-01T22:18:37Z",
            "DateUpdated": "2020-07-01T22:18:38.999+00:00",
            "MessagingServiceSid": MESSAGING_SERVICE,
            "State": "InActive",
            "Timers.Closed": "PT10M",
            "Bindings.Email.Address": "support@example.com",
            "Bindings.Email.Name": "Support",
        },
    )
    assert made["friendly_name"] == "Visit ☃"
    assert made["unique_name"] == "visit"
    assert made["attributes"] == '{"topic": [1, 2.5, null]}'
    assert (made["date_created"], made["date_updated"]) == ("2020-07-01T22:18:37Z", "2020-07-01T22:18:38Z")
    assert made["messaging_service_sid"] == MESSAGING_SERVICE
    assert made["state"] == "inactive"
    assert made["timers"] == {"date_closed": "2025-01-01T00:10:00Z"}
    assert made["bindings"] == {"email": {"projected_address": "support@example.com", "name": "Support"}}


async def test_an_update_without_parameters_changes_nothing(world: World, api: AccountHolder, room: str) -> None:
    before = (await api.get(room)).body
    world.clock.advance(timedelta(seconds=5))
    assert (await api.post(room)).body == before


async def test_an_update_that_repeats_the_values_changes_nothing(world: World, api: AccountHolder) -> None:
    form = {"FriendlyName": "f", "UniqueName": "u", "Attributes": '{"a":1}', "State": "active"}
    made = await api.made("/Conversations", form)
    world.clock.advance(timedelta(seconds=5))
    assert (await api.post(f"/Conversations/{made['sid']}", form)).body == made


async def test_an_update_changes_what_is_sent_and_the_date(world: World, api: AccountHolder, room: str) -> None:
    world.clock.advance(timedelta(seconds=90))
    got = await api.post(room, {"FriendlyName": "new"})
    assert (got["friendly_name"], got["attributes"]) == ("new", "{}")
    assert (got["date_created"], got["date_updated"]) == ("2025-01-01T00:00:00Z", "2025-01-01T00:01:30Z")
    got = await api.post(room, {"Attributes": "[1]", "DateUpdated": "2021-01-02T03:04:05Z"})
    assert (got["friendly_name"], got["attributes"], got["date_updated"]) == ("new", "[1]", "2021-01-02T03:04:05Z")


@pytest.mark.parametrize(
    ("parameter", "shown"),
    [
        ("FriendlyName", {"friendly_name": "f"}),
        ("UniqueName", {"unique_name": None}),
        ("Timers.Inactive", {"timers": {"date_closed": "2025-01-01T00:10:00Z"}}),
        ("Timers.Closed", {"timers": {"date_inactive": "2025-01-01T00:01:00Z"}}),
        ("Bindings.Email.Name", {"bindings": {"email": {"projected_address": "a@b.test", "name": None}}}),
    ],
)
async def test_an_empty_value_clears_everything_but_the_friendly_name(
    api: AccountHolder, parameter: str, shown: dict[str, object]
) -> None:
    form = {"FriendlyName": "f", "UniqueName": "u", "Timers.Inactive": "PT1M", "Timers.Closed": "PT10M"}
    form |= {"Bindings.Email.Address": "a@b.test", "Bindings.Email.Name": "n"}
    made = await api.made("/Conversations", form)
    path = f"/Conversations/{made['sid']}"
    got = (await api.post(path, {parameter: ""})).body
    assert {name: got[name] for name in shown} == shown
    assert {**got, **dict.fromkeys([*shown, "date_updated"])} == {**made, **dict.fromkeys([*shown, "date_updated"])}


async def test_an_empty_friendly_name_at_creation_is_none(api: AccountHolder) -> None:
    assert (await api.made("/Conversations", {"FriendlyName": "", "UniqueName": ""}))["friendly_name"] is None


@pytest.mark.parametrize("text", ['{"a":{"b":[{"c":"é\U0001f600"}]}}', "[1,2]", '"text"', "12", "true", "null"])
async def test_attributes_are_any_json_text(api: AccountHolder, text: str) -> None:
    made = await api.made("/Conversations", {"Attributes": text})
    assert json.loads(made["attributes"]) == json.loads(text)
    assert (await api.post(f"/Conversations/{made['sid']}", {"Attributes": "{}"}))["attributes"] == "{}"


async def test_limits_are_inclusive(api: AccountHolder) -> None:
    attributes = '"' + "x" * (16 * 1024 - 2) + '"'
    made = await api.made(
        "/Conversations", {"FriendlyName": "ä" * 256, "UniqueName": "u" * 256, "Attributes": attributes}
    )
    assert made["friendly_name"] == "ä" * 256
    assert made["attributes"] == attributes


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"Attributes": "{not json"}, 50304),
        ({"Attributes": ""}, 50304),
        ({"Attributes": '"' + "x" * 16 * 1024 + '"'}, 50303),
        ({"Attributes": '"' + "é" * 8 * 1024 + '"'}, 50303),
        ({"FriendlyName": "x" * 257}, 50003),
        ({"UniqueName": "x" * 257}, 50004),
        ({"UniqueName": "CH" + "0" * 32}, 50390),
        ({"UniqueName": "CH" + "aB" * 16}, 50390),
        ({"State": "sleeping"}, 50378),
        ({"State": "initializing"}, 50378),
        ({"State": ""}, 50374),
        ({"Timers.Inactive": "PT59S"}, 50375),
        ({"Timers.Closed": "PT9M59S"}, 50376),
        ({"Timers.Inactive": "1 hour"}, 50379),
        ({"Timers.Closed": "P1Y"}, 50380),
        ({"MessagingServiceSid": "nonsense"}, 50341),
        ({"DateCreated": "yesterday"}, 50308),
        ({"DateCreated": ""}, 50308),
        ({"DateUpdated": "2020-13-01T00:00:00Z"}, 50309),
        ({"DateUpdated": "0001-01-01T00:00:00+01:00"}, 50309),
        ({"Bindings.Email.Address": "nobody"}, 20001),
        ({"Bindings.Email.Name": "x" * 257}, 50003),
    ],
)
async def test_values_are_checked_when_made_and_when_changed(
    api: AccountHolder, room: str, form: dict[str, str], code: int
) -> None:
    (await api.post("/Conversations", form)).refused_with(400, code)
    (await api.post(room, form)).refused_with(400, code)


async def test_a_unique_name_stands_for_the_sid_everywhere(api: AccountHolder) -> None:
    sid = await api.conversation(UniqueName="café +1 a:b@c")
    path = "/Conversations/café +1 a:b@c"
    assert (await api.get(path))["sid"] == sid
    assert (await api.post(path, {"FriendlyName": "x"}))["sid"] == sid
    message = await api.made(f"{path}/Messages", {"Body": "hi"})
    participant = await api.made(f"{path}/Participants", {"Identity": "ana"})
    for thing, kind in ((message, "Messages"), (participant, "Participants")):
        assert thing["conversation_sid"] == sid
        assert thing["url"] == f"{api.root}/Conversations/{sid}/{kind}/{thing['sid']}"
        assert (await api.get(f"{path}/{kind}/{thing['sid']}")).body == thing
    assert (await api.get("/Users/ana/Conversations/café +1 a:b@c"))["conversation_sid"] == sid
    assert (await api.delete(path)).status == 204
    (await api.get(f"/Conversations/{sid}")).refused_with(404, 20404)


async def test_a_unique_name_is_unique_in_its_service(account: AccountHolder, other_service: AccountHolder) -> None:
    sid = await account.conversation(UniqueName="name")
    sentence = (await account.post("/Conversations", {"UniqueName": "name"})).refused_with(409, 50353)
    assert sentence == "Conversation with provided unique name already exists"
    rival = await account.conversation()
    (await account.post(f"/Conversations/{rival}", {"UniqueName": "name"})).refused_with(409, 50353)
    assert (await account.post(f"/Conversations/{sid}", {"UniqueName": "name"})).status == 200
    assert await account.conversation(UniqueName="Name")
    assert await other_service.conversation(UniqueName="name")


@pytest.mark.parametrize("freeing", [{"UniqueName": ""}, {"UniqueName": "another"}, None])
async def test_a_unique_name_that_was_freed_can_be_taken(api: AccountHolder, freeing: dict[str, str] | None) -> None:
    path = f"/Conversations/{await api.conversation(UniqueName='name')}"
    done = await (api.delete(path) if freeing is None else api.post(path, freeing))
    assert done.status < 300
    assert (await api.made("/Conversations", {"UniqueName": "name"}))["unique_name"] == "name"


async def test_services_do_not_see_each_others_conversations(
    account: AccountHolder, other_service: AccountHolder
) -> None:
    sid = await account.conversation(UniqueName="mine")
    for key in (sid, "mine"):
        (await other_service.get(f"/Conversations/{key}")).refused_with(404, 20404)
        (await other_service.post(f"/Conversations/{key}", {"FriendlyName": "x"})).refused_with(404, 20404)
        (await other_service.delete(f"/Conversations/{key}")).refused_with(404, 20404)
    assert await other_service.everything("/Conversations") == []


async def test_a_closed_conversation_can_be_read_and_cleaned_up_and_nothing_else(api: AccountHolder, room: str) -> None:
    message = (await api.made(f"{room}/Messages", {"Body": "x"}))["sid"]
    await api.made(f"{room}/Participants", {"Identity": "ana"})
    assert (await api.post(room, {"State": "CLOSED"}))["state"] == "closed"
    for path, form in (
        (room, {"State": "active"}),
        (room, {"FriendlyName": "x"}),
        (f"{room}/Messages", {"Body": "late"}),
        (f"{room}/Messages/{message}", {"Body": "late"}),
        (f"{room}/Participants", {"Identity": "ben"}),
        (f"{room}/Participants/ana", {"Attributes": "{}"}),
        (f"/Users/ana{room}", {"LastReadMessageIndex": "0"}),
    ):
        (await api.post(path, form)).refused_with(400, 50377)
    assert (await api.get(room))["state"] == "closed"
    assert len(await api.everything(f"{room}/Messages")) == 1
    assert (await api.get("/Users/ana/Conversations"))["conversations"][0]["conversation_state"] == "closed"
    for path in (f"{room}/Messages/{message}", f"{room}/Participants/ana", room):
        assert (await api.delete(path)).status == 204


async def test_closing_takes_the_timers_away(api: AccountHolder) -> None:
    path = f"/Conversations/{await api.conversation(**{'Timers.Inactive': 'PT1M', 'Timers.Closed': 'PT10M'})}"
    assert set((await api.post(path, {"State": "inactive"}))["timers"]) == {"date_closed"}
    assert set((await api.post(path, {"State": "active"}))["timers"]) == {"date_inactive", "date_closed"}
    assert (await api.post(path, {"State": "closed"}))["timers"] == {}


async def test_timers_start_anew_with_a_message_or_a_participant(world: World, api: AccountHolder) -> None:
    path = f"/Conversations/{await api.conversation(**{'Timers.Inactive': 'PT1M', 'Timers.Closed': 'PT10M'})}"
    for kind, form in (("Messages", {"Body": "x"}), ("Participants", {"Identity": "ana"})):
        before = (await api.get(path))["timers"]
        world.clock.advance(timedelta(seconds=30))
        await api.made(f"{path}/{kind}", form)
        assert (await api.get(path))["timers"]["date_inactive"] > before["date_inactive"]
    await api.post(path, {"State": "inactive"})
    await api.made(f"{path}/Messages", {"Body": "wake up"})
    assert (await api.get(path))["state"] == "active"


async def test_a_conversation_cannot_be_born_closed(api: AccountHolder) -> None:
    (await api.post("/Conversations", {"State": "closed"})).refused_with(400, 50384)


async def test_deleting_takes_messages_and_participants_along(api: AccountHolder, room: str) -> None:
    await api.made(f"{room}/Messages", {"Body": "x"})
    await api.made(f"{room}/Participants", {"Identity": "ana"})
    assert (await api.delete(room)).status == 204
    for path in (room, f"{room}/Messages", f"{room}/Participants", f"/Users/ana{room}"):
        (await api.get(path)).refused_with(404, 20404)
    for answer in (await api.post(room, {"FriendlyName": "x"}), await api.delete(room)):
        answer.refused_with(404, 20404)
    assert await api.everything("/Users/ana/Conversations") == []


async def test_lists_are_by_age_and_the_newest_come_first_when_a_date_is_given(api: AccountHolder) -> None:
    made = [await api.conversation(DateCreated=f"2020-05-0{day}T12:00:00Z") for day in (3, 1, 4, 2)]
    third, first, fourth, second = made
    await api.post(f"/Conversations/{second}", {"State": "inactive"})
    await api.post(f"/Conversations/{third}", {"State": "closed"})

    async def listed(**query: str) -> list[str]:
        return [one["sid"] for one in await api.everything("/Conversations", **query)]

    assert await listed() == made
    assert await listed(State="inactive") == [second]
    assert await listed(State="Closed") == [third]
    assert await listed(State="active") == [first, fourth]
    assert await listed(StartDate="2020-05-02T00:00:00Z") == [fourth, third, second]
    assert await listed(EndDate="2020-05-02T23:59:59Z") == [second, first]
    assert await listed(StartDate="2020-05-02T12:00:00Z", EndDate="2020-05-03T12:00:00Z") == [third, second]
    assert await listed(StartDate="2020-05-02T00:00:00Z", State="closed") == [third]
    assert await listed(StartDate="2030-01-01T00:00:00Z") == []


async def test_the_end_of_a_span_counts_to_the_end_of_its_second(world: World, api: AccountHolder) -> None:
    world.clock.advance(timedelta(milliseconds=500))
    sid = await api.conversation()
    listed = await api.everything("/Conversations", EndDate="2025-01-01T00:00:00Z")
    assert sid in [one["sid"] for one in listed]


async def test_dates_are_walked_page_by_page_also_where_they_are_equal(api: AccountHolder) -> None:
    made = [await api.conversation(DateCreated="2020-05-01T12:00:00Z") for _ in range(5)]
    walked = await api.everything("/Conversations", StartDate="2020-01-01T00:00:00Z", PageSize=2)
    assert [one["sid"] for one in walked] == made[::-1]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"StartDate": "2020-05-03T00:00:00Z", "EndDate": "2020-05-01T00:00:00Z"}, 50396),
        ({"StartDate": "soon"}, 20001),
        ({"StartDate": "2025-01-01"}, 20001),
        ({"EndDate": "late"}, 20001),
        ({"State": "sleeping"}, 50378),
        ({"State": ""}, 50374),
    ],
)
async def test_filters_are_checked(api: AccountHolder, query: dict[str, str], code: int) -> None:
    (await api.get("/Conversations", **query)).refused_with(400, code)


@pytest.mark.parametrize(
    ("path", "name"),
    [("/Conversations", "StartDate"), ("/Conversations", "EndDate"), ("/Users/ana", "LastReadTimestamp")],
)
async def test_a_date_that_is_none_is_named(api: AccountHolder, room: str, path: str, name: str) -> None:
    if path.startswith("/Users"):
        await api.made(f"{room}/Participants", {"Identity": "ana"})
        answers = [await api.post(path + room, {name: "x"}), await api.post(f"{room}/Participants/ana", {name: "x"})]
    else:
        answers = [await api.get(path, **{name: "2025-02-30T00:00:00Z"})]
    for answer in answers:
        assert answer.refused_with(400, 20001) == f"{name} is not an RFC 3339 date"
