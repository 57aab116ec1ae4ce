"""Participants of the four kinds, their pairs and groups (rest 8, semantics 4)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.engine.world import World

from .client import AccountHolder

OURS, THEIRS, THIRD, FOURTH = "+15550000001", "+15550000002", "+15550000003", "+15550000004"
PAIR = {"MessagingBinding.Address": THEIRS, "MessagingBinding.ProxyAddress": OURS}
PROJECTED = {"MessagingBinding.ProjectedAddress": OURS}


def by_address(address: str) -> dict[str, str]:
    return {"MessagingBinding.Address": address}


async def test_a_chat_participant_has_the_defaults(api: AccountHolder, room: str) -> None:
    made = await api.made(f"{room}/Participants", {"Identity": "ana"})
    configuration = (await api.get(f"/v1/Services/{api.service_sid}/Configuration")).body
    expected = {
        "sid": made["sid"],
        "account_sid": api.account_sid,
        "conversation_sid": room.rpartition("/")[2],
        "identity": "ana",
        "attributes": "{}",
        "messaging_binding": None,
        "role_sid": configuration["default_conversation_role_sid"],
        "date_created": "2025-01-01T00:00:00Z",
        "date_updated": "2025-01-01T00:00:00Z",
        "last_read_message_index": None,
        "last_read_timestamp": None,
        "url": f"{api.root}{room}/Participants/{made['sid']}",
    }
    assert made == (expected | {"chat_service_sid": api.service_sid} if api.is_long else expected)
    for key in (made["sid"], "ana"):
        assert (await api.get(f"{room}/Participants/{key}")).body == made


async def test_adding_an_identity_makes_the_user(api: AccountHolder, room: str) -> None:
    await api.made(f"{room}/Participants", {"Identity": "ana"})
    assert (await api.get("/Users/ana"))["friendly_name"] is None


@pytest.mark.parametrize(
    ("form", "binding"),
    [
        (PAIR, {"type": "sms", "address": THEIRS, "proxy_address": OURS}),
        (
            {name: f"whatsapp:{value}" for name, value in PAIR.items()},
            {"type": "whatsapp", "address": f"whatsapp:{THEIRS}", "proxy_address": f"whatsapp:{OURS}"},
        ),
        (
            {"MessagingBinding.Address": "messenger:123", "MessagingBinding.ProxyAddress": "messenger:456"},
            {"type": "messenger", "address": "messenger:123", "proxy_address": "messenger:456"},
        ),
        (
            {"MessagingBinding.Address": f"rcs:{THEIRS}", "MessagingBinding.ProxyAddress": "rcs:agent"},
            {"type": "rcs", "address": f"rcs:{THEIRS}", "proxy_address": "rcs:agent"},
        ),
        (by_address(THEIRS), {"type": "sms", "address": THEIRS}),
        (PROJECTED, {"type": "sms", "projected_address": OURS}),
        ({"Identity": "ana", **PROJECTED}, {"type": "sms", "projected_address": OURS}),
    ],
)
@pytest.mark.owner_demand(25)
async def test_a_binding_shows_its_type_and_the_keys_that_are_set(
    api: AccountHolder, room: str, form: dict[str, str], binding: dict[str, str]
) -> None:
    made = await api.made(f"{room}/Participants", form)
    assert made["messaging_binding"] == binding
    assert made["identity"] == form.get("Identity")
    assert (made["role_sid"] is None) == ("Identity" not in form)


async def test_nobody_joins_twice(api: AccountHolder, room: str) -> None:
    first = await api.made(f"{room}/Participants", {"Identity": "ana"})
    sentence = (await api.post(f"{room}/Participants", {"Identity": "ana"})).refused_with(409, 50433)
    assert sentence == "Participant already exists"
    await api.delete(f"{room}/Participants/ana")
    assert (await api.made(f"{room}/Participants", {"Identity": "ana"}))["sid"] != first["sid"]


async def test_what_is_given_at_creation_is_kept(api: AccountHolder, room: str) -> None:
    role = await api.made("/Roles", {"FriendlyName": "r", "Type": "conversation", "Permission": "sendMessage"})
    form = {"Identity": "ana", "Attributes": '{"a":1}', "RoleSid": role["sid"]}
    form |= {"DateCreated": "2020-01-02T03:04:05Z", "DateUpdated": "2020-01-02T03:04:06Z"}
    made = await api.made(f"{room}/Participants", form)
    assert (made["attributes"], made["role_sid"]) == ('{"a":1}', role["sid"])
    assert (made["date_created"], made["date_updated"]) == ("2020-01-02T03:04:05Z", "2020-01-02T03:04:06Z")
    phone = await api.made(f"{room}/Participants", {**PAIR, "RoleSid": role["sid"]})
    assert phone["role_sid"] == role["sid"]


async def test_an_update_changes_what_is_sent_by_sid_or_identity(world: World, api: AccountHolder, room: str) -> None:
    made = await api.made(f"{room}/Participants", {"Identity": "ana"})
    world.clock.advance(timedelta(minutes=1))
    for key in (made["sid"], "ana"):
        assert (await api.post(f"{room}/Participants/{key}")).body == made
    got = await api.post(f"{room}/Participants/ana", {"Attributes": "[1]"})
    assert (got["attributes"], got["date_updated"]) == ("[1]", "2025-01-01T00:01:00Z")
    got = await api.post(f"{room}/Participants/{made['sid']}", {"DateUpdated": "2021-01-02T03:04:05Z"})
    assert (got["attributes"], got["date_updated"]) == ("[1]", "2021-01-02T03:04:05Z")


async def test_removed_by_sid_or_identity_they_are_gone_and_their_messages_stay(api: AccountHolder, room: str) -> None:
    for key in ("sid", "identity"):
        made = await api.made(f"{room}/Participants", {"Identity": "ana"})
        await api.made(f"{room}/Messages", {"Author": "ana", "Body": "x"})
        path = f"{room}/Participants/{made[key]}"
        assert (await api.delete(path)).status == 204
        for answer in (await api.get(path), await api.post(path), await api.delete(path)):
            answer.refused_with(404, 20404)
    assert await api.everything(f"{room}/Participants") == []
    assert {one["author"] for one in await api.everything(f"{room}/Messages")} == {"ana"}


async def test_a_participant_is_found_in_its_own_conversation_only(api: AccountHolder, room: str) -> None:
    made = await api.made(f"{room}/Participants", {"Identity": "ana"})
    other = f"/Conversations/{await api.conversation()}/Participants"
    for key in (made["sid"], "ana"):
        (await api.get(f"{other}/{key}")).refused_with(404, 20404)


REFUSED = [
    ({}, 400, 50204),
    ({"Identity": ""}, 400, 50204),
    ({"Identity": "x" * 257}, 400, 50207),
    ({"Identity": "system"}, 400, 50203),
    ({"Identity": "US" + "0" * 32}, 400, 50206),
    ({"Identity": "MB" + "0" * 32}, 400, 50206),
    ({"Identity": "a", "Attributes": "{"}, 400, 50304),
    ({"Identity": "a", "Attributes": ""}, 400, 50304),
    ({"Identity": "a", "Attributes": '"' + "x" * 4 * 1024 + '"'}, 400, 50303),
    ({"Identity": "a", "RoleSid": "RL" + "0" * 32}, 404, 50100),
    ({"Identity": "a", "RoleSid": ""}, 400, 50103),
    ({"Identity": "a", "DateCreated": "then"}, 400, 50308),
    ({"Identity": "a", "DateUpdated": "then"}, 400, 50309),
    ({"Identity": "a", **PAIR}, 400, 50211),
    ({"Identity": "a", **by_address(THEIRS)}, 400, 50211),
    ({**PAIR, "MessagingBinding.Address": "nonsense"}, 400, 50407),
    ({**PAIR, "MessagingBinding.Address": "whatsapp:nonsense"}, 400, 50407),
    ({**PAIR, "MessagingBinding.Address": "x:" + "1" * 255}, 400, 50407),
    ({**PAIR, "MessagingBinding.ProxyAddress": "nonsense"}, 400, 50408),
    ({**PAIR, "MessagingBinding.ProxyAddress": THEIRS}, 400, 50409),
    ({**PAIR, "MessagingBinding.Address": ""}, 400, 50411),
    ({**PAIR, "MessagingBinding.ProjectedAddress": THIRD}, 400, 50443),
    ({**by_address(THEIRS), "MessagingBinding.ProjectedAddress": THIRD}, 400, 50443),
    ({**PAIR, "MessagingBinding.ProxyAddress": ""}, 400, 50412),
    ({**PAIR, "MessagingBinding.Address": f"whatsapp:{THEIRS}"}, 400, 50414),
    ({"MessagingBinding.ProxyAddress": OURS}, 400, 50204),
    ({"MessagingBinding.ProjectedAddress": "nonsense"}, 400, 50407),
]


@pytest.mark.parametrize(("form", "status", "code"), REFUSED)
async def test_values_are_checked(api: AccountHolder, room: str, form: dict[str, str], status: int, code: int) -> None:
    (await api.post(f"{room}/Participants", form)).refused_with(status, code)
    assert await api.everything(f"{room}/Participants") == []


async def test_roles_are_of_the_conversation_type(api: AccountHolder, room: str) -> None:
    role = next(one["sid"] for one in await api.everything("/Roles") if one["type"] == "service")
    (await api.post(f"{room}/Participants", {"Identity": "a", "RoleSid": role})).refused_with(400, 50105)
    await api.made(f"{room}/Participants", {"Identity": "b"})
    (await api.post(f"{room}/Participants/b", {"RoleSid": role})).refused_with(400, 50105)


@pytest.mark.owner_demand(25)
async def test_a_pair_talks_in_one_open_conversation_of_the_account(
    account: AccountHolder, other_service: AccountHolder
) -> None:
    one, two = await account.conversation(), await other_service.conversation()
    await account.made(f"/Conversations/{one}/Participants", PAIR)
    for asks, sid in ((other_service, two), (account, one)):
        sentence = (await asks.post(f"/Conversations/{sid}/Participants", PAIR)).refused_with(409, 50416)
        assert sentence == f"A binding for this participant and proxy address already exists in Conversation {one}"
    other_proxy = {**PAIR, "MessagingBinding.ProxyAddress": THIRD}
    assert (await other_service.post(f"/Conversations/{two}/Participants", other_proxy)).status == 201


@pytest.mark.parametrize("freed_by", ["closing", "removing", "deleting", "taking the proxy away"])
async def test_a_pair_is_free_again(api: AccountHolder, room: str, freed_by: str) -> None:
    sid = (await api.made(f"{room}/Participants", PAIR))["sid"]
    if freed_by == "closing":
        await api.post(room, {"State": "closed"})
    elif freed_by == "removing":
        await api.delete(f"{room}/Participants/{sid}")
    elif freed_by == "deleting":
        await api.delete(room)
    else:
        await api.post(f"{room}/Participants/{sid}", {"MessagingBinding.ProxyAddress": "null"})
    await api.made(f"/Conversations/{await api.conversation()}/Participants", PAIR)


async def test_the_word_null_takes_an_address_away(api: AccountHolder, room: str) -> None:
    phone = await api.made(f"{room}/Participants", PAIR)
    got = await api.post(f"{room}/Participants/{phone['sid']}", {"MessagingBinding.ProxyAddress": "NULL"})
    assert got["messaging_binding"] == {"type": "sms", "address": THEIRS}
    await api.made(f"{room}/Participants", {"Identity": "ana"})
    got = await api.post(f"{room}/Participants/ana", PROJECTED)
    assert got["messaging_binding"] == {"type": "sms", "projected_address": OURS}
    got = await api.post(f"{room}/Participants/ana", {"MessagingBinding.ProjectedAddress": "null"})
    assert got["messaging_binding"] is None


CHANGES = [
    (PAIR, {"MessagingBinding.ProjectedAddress": "null"}, 50442),
    (by_address(THEIRS), {"MessagingBinding.ProxyAddress": "null"}, 50440),
    ({"Identity": "ana"}, {"MessagingBinding.ProxyAddress": "null"}, 50440),
    ({"Identity": "ana"}, {"MessagingBinding.ProxyAddress": OURS}, 50441),
    (PROJECTED, {"MessagingBinding.ProxyAddress": THIRD}, 50441),
    (PAIR, {"MessagingBinding.ProjectedAddress": THIRD}, 50443),
    (by_address(THEIRS), {"MessagingBinding.ProjectedAddress": OURS}, 50443),
    ({"Identity": "ana"}, {"Identity": "ben"}, 50444),
    (PAIR, {"Identity": "ana"}, 50444),
    ({"Identity": "ana", **PROJECTED}, {"Identity": "ben"}, 50444),
    (by_address(THEIRS), {"MessagingBinding.ProxyAddress": "nonsense"}, 50408),
    (by_address(THEIRS), {"MessagingBinding.ProxyAddress": ""}, 50412),
    (by_address(THEIRS), {"MessagingBinding.ProxyAddress": THEIRS}, 50409),
    (by_address(THEIRS), {"MessagingBinding.ProxyAddress": f"whatsapp:{OURS}"}, 50414),
    ({"Identity": "ana"}, {"Attributes": ""}, 50304),
    ({"Identity": "ana"}, {"RoleSid": ""}, 50103),
    ({"Identity": "ana"}, {"DateCreated": "then"}, 50308),
    ({"Identity": "ana"}, {"LastReadMessageIndex": "-1"}, 50421),
    ({"Identity": "ana"}, {"LastReadMessageIndex": "first"}, 50421),
    ({"Identity": "ana"}, {"LastReadMessageIndex": "1.5"}, 50421),
    ({"Identity": "ana"}, {"LastReadMessageIndex": ""}, 50421),
    ({"Identity": "ana"}, {"LastReadTimestamp": "then"}, 20001),
]


@pytest.mark.parametrize(("form", "change", "code"), CHANGES)
async def test_changes_that_do_not_fit_are_refused(
    api: AccountHolder, room: str, form: dict[str, str], change: dict[str, str], code: int
) -> None:
    path = f"{room}/Participants/{(await api.made(f'{room}/Participants', form))['sid']}"
    before = (await api.get(path)).body
    (await api.post(path, change)).refused_with(400, code)
    assert (await api.get(path)).body == before


@pytest.mark.parametrize(
    ("form", "change"),
    [
        (PAIR, {"MessagingBinding.ProxyAddress": OURS}),
        ({"Identity": "ana", **PROJECTED}, PROJECTED),
        ({"Identity": "ana"}, {"Identity": "ana"}),
        (PROJECTED, PROJECTED),
    ],
)
async def test_repeating_what_is_there_changes_nothing(
    world: World, api: AccountHolder, room: str, form: dict[str, str], change: dict[str, str]
) -> None:
    made = await api.made(f"{room}/Participants", form)
    world.clock.advance(timedelta(minutes=1))
    assert (await api.post(f"{room}/Participants/{made['sid']}", change)).body == made


async def test_a_number_can_be_handed_to_a_user(api: AccountHolder, room: str) -> None:
    sid = (await api.made(f"{room}/Participants", PROJECTED))["sid"]
    got = await api.post(f"{room}/Participants/{sid}", {"Identity": "agent"})
    assert (got["identity"], got["messaging_binding"]["projected_address"]) == ("agent", OURS)
    assert got["role_sid"]
    assert (await api.get(f"/Users/agent{room}"))["participant_sid"] == sid


async def test_the_same_group_text_exists_once(api: AccountHolder) -> None:
    async def group() -> str:
        path = f"/Conversations/{await api.conversation()}/Participants"
        for form in (by_address(THIRD), by_address(FOURTH)):
            await api.made(path, form)
        return path

    first, second = await group(), await group()
    await api.made(first, PROJECTED)
    sentence = (await api.post(second, PROJECTED)).refused_with(409, 50438)
    sid = first.split("/")[2]
    assert sentence == f"Group MMS with given participant list already exists as Conversation {sid}"
    await api.post(f"/Conversations/{sid}", {"State": "closed"})
    await api.made(second, PROJECTED)


@pytest.mark.owner_demand(25)
async def test_a_group_text_has_its_rules(api: AccountHolder, room: str) -> None:
    path = f"{room}/Participants"
    for form in (by_address(THIRD), by_address(FOURTH), PROJECTED):
        await api.made(path, form)
    (await api.post(path, {"Identity": "ana"})).refused_with(400, 50434)
    (await api.post(path, by_address("+4915112345678"))).refused_with(400, 50435)
    (await api.post(path, by_address(THIRD))).refused_with(409, 50437)
    (await api.post(f"{room}/Messages", {"Author": "a stranger", "Body": "x"})).refused_with(400, 50513)
    for number in range(7):
        await api.made(path, by_address(f"+1555000010{number}"))
    (await api.post(path, by_address("+15550000200"))).refused_with(403, 50436)


async def test_the_horizon_moves_both_ways_is_clipped_and_cleared(world: World, api: AccountHolder, room: str) -> None:
    path = f"{room}/Participants/{(await api.made(f'{room}/Participants', {'Identity': 'ana'}))['sid']}"

    async def read(index: str, **more: str) -> tuple[int | None, str | None]:
        got = (await api.post(path, {"LastReadMessageIndex": index, **more})).body
        assert (await api.get(path)).body == got
        return got["last_read_message_index"], got["last_read_timestamp"]

    assert await read("0") == (None, None)
    for number in range(3):
        await api.made(f"{room}/Messages", {"Body": str(number)})
    world.clock.advance(timedelta(minutes=1))
    assert await read("1") == (1, "2025-01-01T00:01:00Z")
    assert await read("0", LastReadTimestamp="2024-05-06T07:08:09.9Z") == (0, "2024-05-06T07:08:09Z")
    assert await read("9" * 18) == (2, "2025-01-01T00:01:00Z")
    assert await read("null") == (None, None)
    assert await read("2") == (2, "2025-01-01T00:01:00Z")
    got = await api.post(path, {"LastReadTimestamp": "2024-01-01T00:00:00Z"})
    assert (got["last_read_message_index"], got["last_read_timestamp"]) == (2, "2024-01-01T00:00:00Z")


async def test_a_conversation_has_room_for_fifty_on_channels(api: AccountHolder, room: str) -> None:
    for number in range(50):
        address = f"messenger:{number}"
        await api.made(f"{room}/Participants", {**by_address(address), "MessagingBinding.ProxyAddress": "messenger:us"})
    form = {**by_address("messenger:x"), "MessagingBinding.ProxyAddress": "messenger:us"}
    (await api.post(f"{room}/Participants", form)).refused_with(403, 50418)
    await api.made(f"{room}/Participants", {"Identity": "ana"})
