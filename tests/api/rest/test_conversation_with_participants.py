"""ConversationWithParticipants (rest 5.4)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tertulia.server.composition import Server
from tests.engine.world import World

from .client import AccountHolder, Answer

PATH = "/ConversationWithParticipants"
PAIR = {"address": "+15550001111", "proxy_address": "+15550002222"}
FLAT = {"MessagingBinding.Address": "+15550001111", "MessagingBinding.ProxyAddress": "+15550002222"}


async def ask(api: AccountHolder, *members: Any, **form: str) -> Answer:
    texts = [member if isinstance(member, str) else json.dumps(member) for member in members]
    return await api.post(PATH, {**form, "Participant": texts} if texts else form)


async def test_without_members_it_is_created(api: AccountHolder) -> None:
    got = await ask(api, FriendlyName="nobody", Attributes="[1]", **{"Timers.Closed": "PT10M"})
    assert got.status == 201
    assert (got["friendly_name"], got["attributes"], got["state"]) == ("nobody", "[1]", "active")
    assert got["timers"] == {"date_closed": "2025-01-01T00:10:00Z"}
    url = f"{api.root}/Conversations/{got['sid']}"
    assert got["url"] == url
    assert got["links"] == {
        "participants": f"{url}/Participants",
        "messages": f"{url}/Messages",
        "webhooks": f"{url}/Webhooks",
    }
    assert (await api.get(f"/Conversations/{got['sid']}"))["links"]["export"] == f"{url}/Export"


async def test_members_come_a_moment_later_all_at_once(api: AccountHolder, server: Server) -> None:
    got = await ask(api, {"identity": "ana", "attributes": "{}"}, {"messaging_binding": PAIR}, UniqueName="both")
    assert (got.status, got["state"]) == (202, "initializing")
    path = f"/Conversations/{got['sid']}"
    assert await api.everything(f"{path}/Participants") == []
    (await api.get(f"{path}/Participants/ana")).refused_with(404, 20404)
    assert await api.everything("/Users/ana/Conversations") == []
    assert await api.everything("/ParticipantConversations", Address=PAIR["address"]) == []
    (await api.post(path, {"FriendlyName": "x"})).refused_with(409, 50386)
    (await api.post(f"{path}/Messages", {"Body": "x"})).refused_with(409, 50386)
    (await api.post(f"{path}/Participants", {"Identity": "ben"})).refused_with(409, 50386)
    await server.worker.run_due()
    assert (await api.get("/Conversations/both"))["state"] == "active"
    chat, sms = await api.everything(f"{path}/Participants")
    assert (chat["identity"], chat["messaging_binding"]) == ("ana", None)
    assert (sms["identity"], sms["messaging_binding"]) == (None, {"type": "sms", **PAIR})
    assert chat["role_sid"] is not None
    (listed,) = await api.everything("/Users/ana/Conversations")
    assert listed["conversation_state"] == "active"


@pytest.mark.parametrize(
    "member",
    [
        {"identity": "ana", "attributes": "[1]"},
        {"Identity": "ana", "Attributes": "[1]"},
        {"identity": "ana", "attributes": "[1]", "role_sid": None, "messaging_binding": None, "color": "blue"},
    ],
    ids=str,
)
async def test_a_chat_member_is_understood_in_both_spellings(
    api: AccountHolder, server: Server, member: dict[str, object]
) -> None:
    sid = (await ask(api, member))["sid"]
    await server.worker.run_due()
    (got,) = await api.everything(f"/Conversations/{sid}/Participants")
    assert (got["identity"], got["attributes"]) == ("ana", "[1]")


@pytest.mark.parametrize("member", [{"messaging_binding": PAIR}, FLAT], ids=str)
async def test_a_member_on_a_channel_is_understood_in_both_spellings(
    api: AccountHolder, server: Server, member: dict[str, object]
) -> None:
    sid = (await ask(api, member))["sid"]
    await server.worker.run_due()
    (got,) = await api.everything(f"/Conversations/{sid}/Participants")
    assert got["messaging_binding"] == {"type": "sms", **PAIR}


async def test_a_group_text_is_set_up(api: AccountHolder, server: Server) -> None:
    members = (
        {"messaging_binding": {"address": "+12025550001"}},
        {"messaging_binding": {"address": "+12025550002"}},
        {"identity": "ana", "messaging_binding": {"projected_address": "+12025550003"}},
    )
    sid = (await ask(api, *members))["sid"]
    (await ask(api, *members)).refused_with(409, 50438)
    await server.worker.run_due()
    assert len(await api.everything(f"/Conversations/{sid}/Participants")) == 3


@pytest.mark.parametrize(
    ("member", "status", "code"),
    [
        ("{nope", 400, 50424),
        ("[]", 400, 50424),
        ('"ana"', 400, 50424),
        ('{"identity": 7}', 400, 50424),
        ('{"messaging_binding": "+1555"}', 400, 50424),
        ("{}", 400, 50204),
        ('{"identity": ""}', 400, 50204),
        ('{"identity": "a\\u0000b"}', 400, 20001),
        ('{"messaging_binding": {"address": "", "proxy_address": "+15550002222"}}', 400, 50411),
        ('{"messaging_binding": {"address": "12", "proxy_address": "+15550002222"}}', 400, 50407),
        ('{"identity": "ana", "messaging_binding": {"address": "+15550001111"}}', 400, 50211),
        ('{"identity": "ana", "attributes": "{"}', 400, 50304),
        ('{"identity": "ana", "role_sid": "RL00000000000000000000000000000000"}', 404, 50100),
        ("[" * 5000, 400, 50424),
    ],
)
async def test_a_bad_member_spoils_all(world: World, api: AccountHolder, member: str, status: int, code: int) -> None:
    (await ask(api, {"identity": "ben"}, member)).refused_with(status, code)
    assert await api.everything("/Conversations") == []
    (await api.get("/Users/ben")).refused_with(404, 20404)


async def test_eleven_are_too_many_and_a_pair_is_held_once(api: AccountHolder) -> None:
    (await ask(api, *({"identity": f"m{n}"} for n in range(11)))).refused_with(400, 50426)
    sid = (await ask(api, {"messaging_binding": PAIR}))["sid"]
    sentence = (await ask(api, {"messaging_binding": PAIR})).refused_with(409, 50425)
    assert sentence.endswith(f"in Conversation {sid}")
    assert (await api.delete(f"/Conversations/{sid}")).status == 204
    assert (await ask(api, {"messaging_binding": PAIR})).status == 202


async def test_what_a_conversation_must_not_have(api: AccountHolder) -> None:
    for form, code in (
        ({"State": "closed"}, 50384),
        ({"State": "odd"}, 50378),
        ({"Timers.Inactive": "PT1S"}, 50375),
        ({"Attributes": "{"}, 50304),
        ({"DateCreated": "soon"}, 50308),
    ):
        (await ask(api, {"identity": "ana"}, **form)).refused_with(400, code)


async def test_an_import_keeps_its_dates(api: AccountHolder) -> None:
    got = await ask(api, {"identity": "ana"}, DateCreated="2020-01-02T03:04:05Z")
    assert got["date_created"] == "2020-01-02T03:04:05Z"
