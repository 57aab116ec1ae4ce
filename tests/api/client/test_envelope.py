"""What holds for every request: errors, repeats, spelling (client-commands 1, 6)."""

from __future__ import annotations

import uuid

import pytest

from tests.engine.world import World

from .sdk import Face, Sdk

ALL = "/Client/v2/Conversations"


@pytest.mark.parametrize("payload", [b"{", b"nonsense", b"[" * 100_000, b'"text"', b"null", b"7"])
async def test_what_is_no_json_object_is_refused(ana: Sdk, payload: bytes) -> None:
    sid = await ana.create()
    for path in (ALL, f"{ALL}/{sid}", f"{ALL}/{sid}/Messages", f"{ana.mine}/{sid}", "/v1/registrations"):
        assert (await ana.send("POST", path, payload)).failure == (400, 20001), path


async def test_text_that_is_no_utf_8_is_refused(ana: Sdk) -> None:
    sid = await ana.create()
    assert (await ana.send("POST", f"{ALL}/{sid}/Messages", b'{"body":"\xff"}')).failure == (400, 20001)


async def test_a_nul_is_refused_and_a_text_about_one_is_not(ana: Sdk) -> None:
    me = "/Client/v2/Users/ana"
    assert (await ana.send("POST", me, b'{"friendly_name": "a\\u0000b"}')).failure == (400, 20001)
    assert (await ana.send("POST", me, b'{"friendly_name": "a\\\\u0000b"}')).status == 200


@pytest.mark.parametrize("path", ["/", "/Client/v2", "/Client/v2/Nonsense", f"{ALL}/CH1/Nonsense", "/v4/Subscriptions"])
async def test_a_path_that_does_not_exist_is_20404(ana: Sdk, path: str) -> None:
    for method in ("GET", "POST", "DELETE"):
        assert (await ana.send(method, path, b"{}")).failure == (404, 20404)


async def test_a_method_that_a_path_has_not_is_20004(ana: Sdk) -> None:
    assert (await ana.send("PUT", ALL, b"{}")).failure == (405, 20004)
    assert (await ana.send("GET", ALL)).failure == (405, 20004)


async def test_bodies_of_reads_and_deletions_are_not_looked_at(ana: Sdk) -> None:
    sid = await ana.create()
    assert (await ana.send("GET", f"{ALL}/{sid}", b"{nonsense")).status == 200
    assert (await ana.send("DELETE", f"{ALL}/{sid}", b"nonsense")).status == 204


async def test_an_unknown_member_is_ignored(ana: Sdk) -> None:
    assert (await ana.post(ALL, {"attributes": "{}", "whatever": {"x": [1]}})).status == 201


async def test_an_update_of_nothing_is_fine_and_changes_nothing(ana: Sdk) -> None:
    sid = await ana.create(friendly_name="Room")
    sent, seat = await ana.say(sid), (await ana.get(f"/v3/Maps/{sid}.roster/Items"))["items"][0]["key"]
    before = await ana.get(f"/v3/Documents/{sid}.channel")
    for url in (
        f"{ALL}/{sid}",
        sent["url"],
        f"{ALL}/{sid}/Participants/{seat}",
        f"{ana.mine}/{sid}",
        "/Client/v2/Users/ana",
    ):
        assert (await ana.post(url, {})).status == 200
        assert (await ana.send("POST", url)).status == 200
    assert await ana.get(f"/v3/Documents/{sid}.channel") == before


async def test_a_repeat_with_the_same_mutation_id_gets_the_same_answer_and_does_nothing(ana: Sdk) -> None:
    sid, again = await ana.create(), str(uuid.uuid4())
    url = f"{ALL}/{sid}/Messages"
    first = await ana.post(url, {"body": "once"}, mutation_id=again)
    assert await ana.post(url, {"body": "once"}, mutation_id=again) == first
    assert (await ana.post(url, {"body": "twice"}, mutation_id=str(uuid.uuid4())))["index"] == 1
    assert (await ana.get(f"{ALL}/{sid}"))["messages_count"] == 2


async def test_every_kind_of_mutation_can_be_repeated(ana: Sdk) -> None:
    sid = await ana.create()
    sent = await ana.say(sid)
    added = await ana.post(f"{ALL}/{sid}/Participants", {"identity": "bob"})
    for method, url, body in (
        ("POST", ALL, {"attributes": "{}"}),
        ("POST", f"{ALL}/{sid}", {"friendly_name": "Room"}),
        ("POST", sent["url"], {"body": "other"}),
        ("POST", added["url"], {"attributes": "[]"}),
        ("POST", f"{ana.mine}/{sid}", {"last_read_message_index": 0}),
        ("POST", f"{ana.mine}/{sid}", {"notification_level": "muted"}),
        ("POST", "/Client/v2/Users/ana", {"friendly_name": "Ana"}),
        ("DELETE", sent["url"], {}),
        ("DELETE", added["url"], {}),
        ("DELETE", f"{ALL}/{sid}", {}),
    ):
        call, mutation_id = ana.post if method == "POST" else ana.delete, str(uuid.uuid4())
        first = await call(url, body, mutation_id=mutation_id)
        assert first.status in (200, 201, 204)
        assert await call(url, body, mutation_id=mutation_id) == first, (method, url)


async def test_a_mutation_id_is_of_one_identity_and_an_empty_one_is_none(ana: Sdk, face: Face) -> None:
    ben, sid = await face.sdk("ben"), await ana.create()
    await ben.join(sid)
    url = f"{ALL}/{sid}/Messages"
    first = await ana.post(url, {"body": "a"}, mutation_id="one")
    assert (await ben.post(url, {"body": "b"}, mutation_id="one"))["index"] == first["index"] + 1
    assert [(await ana.post(url, {"body": "c"}, mutation_id=""))["index"] for _ in range(2)] == [2, 3]


async def test_a_refused_mutation_is_decided_anew(ana: Sdk, ben: Sdk, world: World) -> None:
    sid = await ana.create()
    url = f"{ALL}/{sid}/Messages"
    assert (await ben.post(url, {"body": "a"}, mutation_id="one")).failure == (404, 50350)
    await world.add(sid, "ben")
    assert (await ben.post(url, {"body": "a"}, mutation_id="one")).status == 201


async def test_what_the_database_cannot_do_now_is_503(ana: Sdk, world: World) -> None:
    await world.database.close()
    assert (await ana.get("/Client/v2/Configuration")).failure == (503, 20503)
    assert (await ana.post(ALL, {"attributes": "{}"})).failure == (503, 20503)
