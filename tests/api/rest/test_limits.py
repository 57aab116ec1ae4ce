"""Every size and count of semantics 9.1 and 9.2, rest 15: at the limit it is taken, one above it is refused.

Characters are counted with letters of two bytes, bytes with letters of two as well, so neither passes for the other.
Media have theirs where they are uploaded.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from tertulia.server.domain.conversations import Conversation
from tests.api.client.sdk import Face, Sdk
from tests.engine.world import World

from .client import AccountHolder, Parameters

TWO_BYTES = "é"
KIB = 1024


def chars(count: int) -> str:
    """So many characters, twice as many bytes."""
    return TWO_BYTES * count


def bytes_of_json(count: int) -> str:
    """A JSON text of so many bytes of UTF-8, half as many characters."""
    inner = count - 2
    return f'"{TWO_BYTES * (inner // 2)}{"x" * (inner % 2)}"'


def bytes_of_text(count: int) -> str:
    return TWO_BYTES * (count // 2) + "x" * (count % 2)


def e_mail(count: int) -> str:
    return chars(count - 7) + "@x.test"


def url(count: int) -> str:
    start = "https://hooks.example.org/"
    return start + "x" * (count - len(start))


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """One field: what is sent beside it, how long it may be, and the code of what is longer."""

    path: str
    field: str
    make: Callable[[int], str]
    limit: int
    code: int
    beside: Parameters = {}
    status: int = 201

    def form(self, length: int) -> Parameters:
        return {**self.beside, self.field: self.make(length)}

    @property
    def name(self) -> str:
        return f"{self.path} {self.field}"


ROOM, ONE, USER, MESSAGE, HOOKS = "{room}", "{room}/Participants/{seat}", "{user}", "{message}", "{room}/Webhooks"
WEBHOOK = {"Target": "webhook", "Configuration.Filters": "onMessageAdded"}
TRIGGER = {"Target": "trigger", "Configuration.Url": "https://hooks.example.org/"}
OUR = {"MessagingBinding.ProxyAddress": "messenger:page"}
ROLE = {"Type": "conversation", "Permission": "sendMessage"}
KEY = {"Type": "fcm", "Secret": "s"}
TEMPLATE = {"Body": "x", "ContentSid": "HX" + "0" * 32}
"""Of a template that there is not, which is looked for when everything else is right."""

SIZES = [
    # Names: conversations, services and addresses 256 characters, roles and credentials 64.
    Size(path="/Conversations", field="FriendlyName", make=chars, limit=256, code=50003),
    Size(path=ROOM, field="FriendlyName", make=chars, limit=256, code=50003, status=200),
    Size(path="/Conversations", field="UniqueName", make=chars, limit=256, code=50004),
    Size(path=ROOM, field="UniqueName", make=chars, limit=256, code=50004, status=200),
    Size(path="/ConversationWithParticipants", field="FriendlyName", make=chars, limit=256, code=50003),
    Size(path="/v1/Services", field="FriendlyName", make=chars, limit=256, code=50003),
    Size(path="/Users", field="FriendlyName", make=chars, limit=256, code=50003, beside={"Identity": "new"}),
    Size(path=USER, field="FriendlyName", make=chars, limit=256, code=50003, status=200),
    Size(path="/Roles", field="FriendlyName", make=chars, limit=64, code=50003, beside=ROLE),
    Size(path="/v1/Credentials", field="FriendlyName", make=chars, limit=64, code=50003, beside=KEY),
    Size(
        path="/v1/Configuration/Addresses",
        field="FriendlyName",
        make=chars,
        limit=256,
        code=50003,
        beside={"Type": "sms", "Address": "+15550007777"},
    ),
    # Attributes: bytes.
    Size(path="/Conversations", field="Attributes", make=bytes_of_json, limit=16 * KIB, code=50303),
    Size(path=ROOM, field="Attributes", make=bytes_of_json, limit=16 * KIB, code=50303, status=200),
    Size(path="/Users", field="Attributes", make=bytes_of_json, limit=16 * KIB, code=50303, beside={"Identity": "n"}),
    Size(path=USER, field="Attributes", make=bytes_of_json, limit=16 * KIB, code=50303, status=200),
    Size(
        path="{room}/Participants",
        field="Attributes",
        make=bytes_of_json,
        limit=4 * KIB,
        code=50303,
        beside={"Identity": "new"},
    ),
    Size(path=ONE, field="Attributes", make=bytes_of_json, limit=4 * KIB, code=50303, status=200),
    Size(
        path="{room}/Messages", field="Attributes", make=bytes_of_json, limit=4 * KIB, code=50303, beside={"Body": "x"}
    ),
    Size(path=MESSAGE, field="Attributes", make=bytes_of_json, limit=4 * KIB, code=50303, status=200),
    # Messages.
    Size(path="{room}/Messages", field="Body", make=bytes_of_text, limit=32 * KIB, code=50504),
    Size(path=MESSAGE, field="Body", make=bytes_of_text, limit=32 * KIB, code=50504, status=200),
    Size(path="{room}/Messages", field="Author", make=chars, limit=256, code=50310, beside={"Body": "x"}),
    Size(path=MESSAGE, field="Author", make=chars, limit=256, code=50310, status=200),
    Size(path="{room}/Messages", field="Subject", make=chars, limit=256, code=20001, beside={"Body": "x"}),
    Size(path=MESSAGE, field="Subject", make=chars, limit=256, code=20001, status=200),
    Size(
        path="{room}/Messages",
        field="ContentVariables",
        make=lambda count: json.dumps({"1": chars(count)}, ensure_ascii=False),
        limit=256,
        code=50541,
        beside=TEMPLATE,
        status=404,
    ),
    Size(
        path="{room}/Messages",
        field="ContentVariables",
        make=lambda count: json.dumps({chars(count): "x"}, ensure_ascii=False),
        limit=16,
        code=50540,
        beside=TEMPLATE,
        status=404,
    ),
    Size(
        path="{room}/Messages",
        field="ContentVariables",
        make=lambda count: json.dumps({str(number): "x" for number in range(count)}),
        limit=100,
        code=50529,
        beside=TEMPLATE,
        status=404,
    ),
    # Identities and addresses.
    Size(path="/Users", field="Identity", make=chars, limit=256, code=50207),
    Size(path="{room}/Participants", field="Identity", make=chars, limit=256, code=50207),
    Size(
        path="{room}/Participants",
        field="MessagingBinding.Address",
        make=lambda count: "messenger:" + chars(count - 10),
        limit=256,
        code=50407,
        beside=OUR,
    ),
    Size(path="{room}/Participants", field="MessagingBinding.Address", make=e_mail, limit=256, code=50407),
    Size(
        path="{room}/Participants",
        field="MessagingBinding.ProxyAddress",
        make=lambda count: "messenger:" + chars(count - 10),
        limit=256,
        code=50408,
        beside={"MessagingBinding.Address": "messenger:somebody"},
    ),
    Size(
        path="/v1/Configuration/Addresses",
        field="Address",
        make=lambda count: "messenger:" + chars(count - 10),
        limit=256,
        code=50407,
        beside={"Type": "messenger"},
    ),
    # Webhooks.
    Size(path=HOOKS, field="Configuration.Url", make=url, limit=512, code=50372, beside=WEBHOOK),
    Size(path="/v1/Configuration/Webhooks", field="PreWebhookUrl", make=url, limit=512, code=50077, status=200),
    Size(path="/v1/Configuration/Webhooks", field="PostWebhookUrl", make=url, limit=512, code=50078, status=200),
    Size(
        path="/v1/Configuration/Addresses",
        field="AutoCreation.WebhookUrl",
        make=url,
        limit=512,
        code=50372,
        beside={
            "Type": "sms",
            "Address": "+15550007777",
            "AutoCreation.Type": "webhook",
            "AutoCreation.WebhookFilters": "onMessageAdded",
        },
    ),
    Size(path=HOOKS, field="Configuration.Triggers", make=chars, limit=248, code=50366, beside=TRIGGER),
]


class Stage:
    """What the paths of the table stand for: a conversation with somebody and something in it."""

    def __init__(self, api: AccountHolder, places: dict[str, str]) -> None:
        self.api = api
        self._places = places

    async def post(self, path: str, form: Parameters) -> Any:
        return await self.api.post(path.format(**self._places), form)


@pytest.fixture
async def stage(account: AccountHolder) -> Stage:
    room = f"/Conversations/{await account.conversation()}"
    seat = (await account.made(f"{room}/Participants", {"Identity": "ana"}))["sid"]
    message = (await account.made(f"{room}/Messages", {"Body": "x"}))["sid"]
    places = {"room": room, "seat": seat, "message": f"{room}/Messages/{message}", "user": "/Users/ana"}
    return Stage(account, places)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: size.name)
async def test_what_is_as_long_as_it_may_be_is_taken_and_what_is_longer_is_not(stage: Stage, size: Size) -> None:
    refused = await stage.post(size.path, size.form(size.limit + 1))
    assert refused.refused_with(400, size.code)
    taken = await stage.post(size.path, size.form(size.limit))
    assert taken.status == size.status, taken.body


@pytest.mark.parametrize(
    ("field", "at_least", "too_short", "code"),
    [("Timers.Inactive", "PT1M", "PT59S", 50375), ("Timers.Closed", "PT10M", "PT9M59S", 50376)],
)
async def test_timers_are_no_shorter_than_they_may_be(
    stage: Stage, field: str, at_least: str, too_short: str, code: int
) -> None:
    for path in ("/Conversations", ROOM):
        (await stage.post(path, {field: too_short})).refused_with(400, code)
        assert (await stage.post(path, {field: at_least})).status < 300


# --- counts -----------------------------------------------------------------------------------------------------------


async def test_five_webhooks_in_a_conversation(stage: Stage) -> None:
    form = {**WEBHOOK, "Configuration.Url": "https://hooks.example.org/"}
    for _ in range(5):
        assert (await stage.post(HOOKS, form)).status == 201
    (await stage.post(HOOKS, form)).refused_with(403, 50361)


async def test_five_triggers_of_a_webhook(stage: Stage) -> None:
    words = [f"word {number}" for number in range(6)]
    (await stage.post(HOOKS, {**TRIGGER, "Configuration.Triggers": words})).refused_with(403, 50362)
    assert (await stage.post(HOOKS, {**TRIGGER, "Configuration.Triggers": words[:5]})).status == 201


async def test_ten_participants_made_together_with_their_conversation(stage: Stage) -> None:
    members = [json.dumps({"identity": f"user {number}"}) for number in range(11)]
    path = "/ConversationWithParticipants"
    (await stage.post(path, {"Participant": members})).refused_with(400, 50426)
    assert (await stage.post(path, {"Participant": members[:10]})).status == 202


async def test_a_thousand_participants_of_whom_fifty_on_channels(stage: Stage, world: World) -> None:
    path = "{room}/Participants"

    def somebody(number: int) -> dict[str, str]:
        return {"MessagingBinding.Address": f"+1555000{number:04}", "MessagingBinding.ProxyAddress": "+15559990000"}

    for number in range(50):
        assert (await stage.post(path, somebody(number))).status == 201
    (await stage.post(path, somebody(50))).refused_with(403, 50418)
    await world.sql("UPDATE conversations SET participant_count = 999")
    assert (await stage.post(path, {"Identity": "the thousandth"})).status == 201
    (await stage.post(path, {"Identity": "one more"})).refused_with(403, 50417)


async def test_a_thousand_conversations_of_a_user(stage: Stage, world: World) -> None:
    """Those that are closed do not count."""
    seat = "account_sid, service_sid, identity, user_sid, attributes, created_at, updated_at, notification_level"
    rest = ", ".join(f'"{name}"' for name in Conversation.__struct_fields__[1:])
    # 998 beside that of the stage.
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 998)"
    await world.sql(f"{numbers} INSERT INTO conversations (sid, {rest}) SELECT 'CH' || i, {rest} FROM conversations, n")
    await world.sql(
        f"{numbers} INSERT INTO participants (sid, conversation_sid, {seat}, roster_created, roster_event)"
        f" SELECT 'MB' || i, 'CH' || i, {seat}, 0, 0 FROM participants, n WHERE identity = 'ana'"
    )
    thousandth, next_one = [f"/Conversations/{await stage.api.conversation()}" for _ in range(2)]
    ana = {"Identity": "ana"}
    assert (await stage.post(f"{thousandth}/Participants", ana)).status == 201
    (await stage.post(f"{next_one}/Participants", ana)).refused_with(403, 50214)
    assert (await stage.post(thousandth, {"State": "closed"})).status == 200
    assert (await stage.post(f"{next_one}/Participants", ana)).status == 201


# --- the same from a client -------------------------------------------------------------------------------------------


class ClientSize(msgspec.Struct, frozen=True, kw_only=True):
    """As ``Size``, for a field that the client API has too."""

    path: str
    field: str
    make: Callable[[int], str]
    limit: int
    code: int
    beside: dict[str, Any] = {}

    def body(self, length: int) -> dict[str, Any]:
        return {**self.beside, self.field: self.make(length)}

    @property
    def name(self) -> str:
        return f"{self.path} {self.field}"


THERE, HERE = "/Client/v2/Conversations", "/Client/v2/Conversations/{room}"
PLAIN = {"attributes": "{}"}

CLIENT_SIZES = [
    ClientSize(path=THERE, field="friendly_name", make=chars, limit=256, code=50003, beside=PLAIN),
    ClientSize(path=HERE, field="friendly_name", make=chars, limit=256, code=50003),
    ClientSize(path=THERE, field="unique_name", make=chars, limit=256, code=50004, beside=PLAIN),
    ClientSize(path=HERE, field="unique_name", make=chars, limit=256, code=50004),
    ClientSize(path=THERE, field="attributes", make=bytes_of_json, limit=16 * KIB, code=50303),
    ClientSize(path=HERE, field="attributes", make=bytes_of_json, limit=16 * KIB, code=50303),
    ClientSize(path=HERE + "/Messages", field="body", make=bytes_of_text, limit=32 * KIB, code=50504, beside=PLAIN),
    ClientSize(path=HERE + "/Messages/{message}", field="body", make=bytes_of_text, limit=32 * KIB, code=50504),
    ClientSize(
        path=HERE + "/Messages", field="attributes", make=bytes_of_json, limit=4 * KIB, code=50303, beside={"body": "x"}
    ),
    ClientSize(path=HERE + "/Messages/{message}", field="attributes", make=bytes_of_json, limit=4 * KIB, code=50303),
    ClientSize(
        path=HERE + "/Messages", field="subject", make=chars, limit=256, code=20001, beside={"body": "x", **PLAIN}
    ),
    ClientSize(path=HERE + "/Participants", field="identity", make=chars, limit=256, code=50207, beside=PLAIN),
    ClientSize(
        path=HERE + "/Participants",
        field="attributes",
        make=bytes_of_json,
        limit=4 * KIB,
        code=50303,
        beside={"identity": "ben"},
    ),
    ClientSize(path=HERE + "/Participants/{seat}", field="attributes", make=bytes_of_json, limit=4 * KIB, code=50303),
    ClientSize(path="/Client/v2/Users/ana", field="friendly_name", make=chars, limit=256, code=50003),
    ClientSize(path="/Client/v2/Users/ana", field="attributes", make=bytes_of_json, limit=16 * KIB, code=50303),
]


@pytest.fixture
async def ana(world: World) -> Sdk:
    return await Face(world).sdk("ana")


@pytest.mark.parametrize("size", CLIENT_SIZES, ids=lambda size: size.name)
async def test_for_clients_it_is_the_same(ana: Sdk, size: ClientSize) -> None:
    room = await ana.create()
    message = (await ana.say(room))["sid"]
    seat = (await ana.get(f"/Client/v2/Conversations/{room}/Participants/ana")).json.get("sid", "ana")
    path = size.path.format(room=room, message=message, seat=seat)
    assert (await ana.post(path, size.body(size.limit + 1))).failure == (400, size.code)
    taken = await ana.post(path, size.body(size.limit))
    assert taken.status in (200, 201), taken.raw
