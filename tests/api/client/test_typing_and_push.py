"""What is small: typing, devices, content templates (client-commands 4.6, 4.9, 4.11)."""

from __future__ import annotations

import pytest

from tertulia.server.bus.base import TypingPublished
from tests.engine.world import World

from .sdk import Face, Sdk

REGISTRATIONS = "/v1/registrations"


def device(token: str, kind: str = "fcm") -> dict[str, object]:
    return {
        "endpoint_platform": "Mozilla/5.0",
        "channel_type": kind,
        "version": "3",
        "message_types": ["twilio.conversations.new_message", "twilio.ipmsg.typing_indicator"],
        "data": {"registration_id": token},
    }


async def test_typing_answers_the_interval_and_tells_the_others_a_second_more(ana: Sdk, world: World) -> None:
    sid = await ana.create()
    assert (await ana.type_in(sid)).json == {"typing_timeout": 5}
    (told,) = [heard for heard in world.bus.heard if isinstance(heard, TypingPublished)]
    assert told.identity == "ana"
    assert told.body == b'{"channel_sid":"%s","identity":"ana","typing_timeout":6}' % sid.encode()


async def test_nobody_types_where_he_is_not(ana: Sdk, ben: Sdk) -> None:
    sid = await ana.create()
    assert (await ben.type_in(sid)).failure == (404, 50350)
    assert (await ben.type_in("nowhere")).failure == (404, 50350)
    assert (await ben.send("POST", "/v1/typing", b"")).failure == (400, 20001)


@pytest.mark.owner_demand(6)
async def test_a_device_is_registered_once(ana: Sdk) -> None:
    first = await ana.send("POST", REGISTRATIONS, b"", params={"productId": "ip_messaging"})
    assert first.failure == (400, 20001)
    made = await ana.post(REGISTRATIONS, device("t1"))
    assert (made.status, made.json.keys()) == (201, {"id"})
    again = await ana.post(REGISTRATIONS, device("t1"))
    assert (again.status, again["id"]) == (201, made["id"])
    assert (await ana.post(REGISTRATIONS, device("t1", "apn")))["id"] != made["id"]


@pytest.mark.owner_demand(7)
async def test_a_new_address_of_a_device_takes_the_place_of_the_old_one(ana: Sdk, world: World) -> None:
    """As the SDK does it when the system has changed the token: the old registration goes, the new one comes."""
    old = await ana.post(REGISTRATIONS, device("t1"))
    assert (await ana.delete(f"{REGISTRATIONS}/{old['id']}")).status == 204
    new = await ana.post(REGISTRATIONS, device("t2"))
    assert new["id"] != old["id"]
    assert await world.count("push_registrations") == 1
    assert (await ana.post(REGISTRATIONS, device("t2")))["id"] == new["id"]


@pytest.mark.owner_demand(9)
async def test_a_device_is_forgotten_by_id_or_by_address_any_number_of_times(ana: Sdk) -> None:
    made = await ana.post(REGISTRATIONS, device("t1"))
    for _ in range(2):
        gone = await ana.send("DELETE", f"{REGISTRATIONS}/{made['id']}", b"{}", params={"productId": "ip_messaging"})
        assert (gone.status, gone.raw) == (204, b"")
    made = await ana.post(REGISTRATIONS, device("t1"))
    for _ in range(2):
        assert (await ana.delete(REGISTRATIONS, {"binding_type": "fcm", "address": "t1"})).status == 204
    assert (await ana.post(REGISTRATIONS, device("t1")))["id"] != made["id"]


@pytest.mark.owner_demand(8)
async def test_a_device_is_its_last_users(ana: Sdk, face: Face) -> None:
    ben = await face.sdk("ben")
    made = await ana.post(REGISTRATIONS, device("t1"))
    his = await ben.post(REGISTRATIONS, device("t1"))
    assert his["id"] != made["id"]
    for sid in (made["id"], his["id"]):
        assert (await ana.delete(f"{REGISTRATIONS}/{sid}")).status == 204
    assert (await ben.post(REGISTRATIONS, device("t1")))["id"] == his["id"]


@pytest.mark.parametrize(
    "wrong",
    [
        device("t", "pigeon"),
        device(""),
        device("no subscription", "webpush"),
        {"channel_type": "fcm"},
        {"channel_type": "fcm", "data": 1},
    ],
)
async def test_what_is_no_device_is_refused(ana: Sdk, wrong: dict[str, object]) -> None:
    assert (await ana.post(REGISTRATIONS, wrong)).failure == (400, 20001)


@pytest.mark.parametrize(
    "body",
    [
        rb'{"channel_type": "fcm", "data": {"registration_id": "a\ud800b"}}',
        rb'{"channel_type": "fcm", "data": {"registration_id": "a\u0000b"}}',
        b'{"channel_type": "fcm", "data": {"registration_id": "a"}, "x": ' + b"[" * 9_000 + b"]" * 9_000 + b"}",
        b'{"channel_type": "fcm", "data": {"registration_id": "a", "x": ' + b'{"y":' * 9_000 + b"1" + b"}" * 9_002,
    ],
)
async def test_what_is_well_formed_is_taken(ana: Sdk, body: bytes) -> None:
    """A client that is refused asks again without end, and lets nothing else through meanwhile."""
    made = await ana.send("POST", REGISTRATIONS, body, params={"productId": "ip_messaging"})
    assert made.status == 201
    again = await ana.send("POST", REGISTRATIONS, body, params={"productId": "ip_messaging"})
    assert (again.status, again["id"]) == (201, made["id"])


@pytest.mark.parametrize("body", [b'{"channel_type": "\xff"}', b"[" * 50_000, b"{", b"\xff"])
async def test_what_is_none_is_refused_without_a_word_of_the_decoders(ana: Sdk, body: bytes) -> None:
    for method in ("POST", "DELETE"):
        refused = await ana.send(method, REGISTRATIONS, body)
        assert refused.failure == (400, 20001)
        assert not any(word in refused.raw for word in (b"codec", b"recursion", b"deserializ", b"malformed"))


async def test_templates_end_with_an_explicit_null(ana: Sdk) -> None:
    answer = await ana.get("/Client/v2/ContentTemplates", PageSize=100)
    assert answer.json == {"templates": [], "meta": {"previous_token": None, "next_token": None}}
