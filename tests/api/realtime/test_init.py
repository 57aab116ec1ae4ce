"""The beginning of a connection: who may connect, what is agreed, and what is refused (realtime 4, 5)."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import time
from contextlib import AsyncExitStack
from typing import Any

import jwt
import pytest

from tertulia.server.domain.services import DeleteService
from tertulia.server.domain.users import DeleteUser
from tertulia.server.settings import TokensSettings
from tertulia.server.storage.database import StorageUnavailable
from tertulia.wire import tokens

from .client import ALL_TYPES, TYPING, frame, registration
from .conftest import Here, Start

YEAR_S = 365 * 24 * 3600


def now_s(here: Here) -> int:
    return here.world.clock.now() // 1_000_000


def forged(here: Here, headers: dict[str, Any] | None = None, secret: str | None = None, **claims: Any) -> str:
    """A token with any claims, signed by another library; ``None`` leaves a claim out."""
    known = here.world.credentials
    body: dict[str, Any] = {
        "jti": f"{known.api_key_sid}-1",
        "iss": known.api_key_sid,
        "sub": known.account_sid,
        "nbf": now_s(here),
        "exp": now_s(here) + 3600,
        "grants": {"identity": "ana", "chat": {"service_sid": here.world.service}},
    }
    body = {name: value for name, value in {**body, **claims}.items() if value is not None}
    header = {"cty": "twilio-fpa;v=1", **(headers or {})}
    algorithm = header.pop("alg", "HS256")
    return jwt.encode(body, secret or known.api_key_secret, algorithm=algorithm, headers=header)


async def test_a_good_token_connects_and_makes_the_user(here: Here) -> None:
    peer = await here.open()
    answer = await peer.init(here.token("ana b/é"))
    assert answer.status == 200 and answer.payload == b""
    assert answer.header["capabilities"] == ["client_update"]
    assert answer.header["continuation_token"]
    assert answer.header["continuation_token_status"] == {
        "reissued": True,
        "reissue_reason": "MISSING",
        "reissue_message": "Continuation token is not provided",
    }
    (echo,) = answer.header["init_registrations"]
    assert (echo["type"], echo["product"], echo["message_types"]) == ("ers", "ip_messaging", list(ALL_TYPES))
    assert echo["notification_ctx_id"]
    assert (await here.world.queries.user(here.world.service, "ana b/é")).identity == "ana b/é"


async def test_nothing_is_offered_that_makes_clients_keep_objects(here: Here) -> None:
    """realtime 9.8: a client with offline storage would subscribe with null, and miss events."""
    peer = await here.open()
    assert "offline_storage" not in (await peer.init(here.token())).header


async def test_a_token_of_the_helper_library_connects(here: Here) -> None:
    from twilio.jwt.access_token import AccessToken
    from twilio.jwt.access_token.grants import ChatGrant

    # The library asks the machine what time it is.
    here.pass_time(time.time() - here.world.clock.now() / 1_000_000)
    known = here.world.credentials
    token = AccessToken(known.account_sid, known.api_key_sid, known.api_key_secret, identity="ana@example.org", ttl=600)
    token.add_grant(ChatGrant(service_sid=here.world.service))
    peer = await here.open()
    assert (await peer.init(token.to_jwt())).status == 200
    assert (await peer.get("/Client/v2/Configuration"))["identity"] == "ana@example.org"


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
async def test_every_hmac_a_helper_library_offers_is_accepted(here: Here, algorithm: str) -> None:
    peer = await here.open()
    assert (await peer.init(forged(here, {"alg": algorithm}))).status == 200


async def test_an_encrypted_token_connects(here: Here) -> None:
    known = here.world.credentials
    sealed = tokens.encrypt(here.token("eve"), known.api_key_sid, known.api_key_secret, b"123456789012")
    peer = await here.open()
    assert (await peer.init(sealed)).status == 200
    assert (await peer.get("/Client/v2/Configuration"))["identity"] == "eve"


async def test_the_older_name_of_the_grant_is_accepted(here: Here) -> None:
    peer = await here.open()
    grants = {"identity": "ana", "ip_messaging": {"service_sid": here.world.service}}
    assert (await peer.init(forged(here, grants=grants))).status == 200


REFUSALS: dict[str, tuple[Any, int, int]] = {
    "missing": (lambda here: None, 401, 20101),
    "empty": (lambda here: "", 401, 20101),
    "a word": (lambda here: "hello", 401, 20101),
    "three words": (lambda here: "a.b.c", 401, 20101),
    "four parts": (lambda here: here.token() + ".x", 401, 20101),
    "five words": (lambda here: "a.b.c.d.e", 401, 20101),
    "unsigned": (lambda here: _unsigned(here), 401, 20102),
    "another content type": (lambda here: forged(here, {"cty": "other"}), 401, 20102),
    "an unknown key": (lambda here: forged(here, iss="SK" + "0" * 32), 401, 20103),
    "the account as issuer": (lambda here: forged(here, iss=here.world.credentials.account_sid), 401, 20103),
    "another account": (lambda here: forged(here, sub="AC" + "0" * 32), 401, 20103),
    "another secret": (lambda here: forged(here, secret="x" * 32), 401, 20107),
    "no end": (lambda here: forged(here, exp=None), 401, 20156),
    "an end that is a word": (lambda here: _signed_by_hand(here, exp="soon"), 401, 20156),
    "expired": (lambda here: forged(here, nbf=now_s(here) - 3600, exp=now_s(here) - 1), 401, 20104),
    "expiring now": (lambda here: forged(here, nbf=now_s(here) - 3600, exp=now_s(here)), 401, 20104),
    "expired and short": (lambda here: forged(here, nbf=now_s(here) - 60, exp=now_s(here) - 1), 401, 20104),
    "not yet valid": (lambda here: forged(here, nbf=now_s(here) + 31), 401, 20105),
    "issued tomorrow": (lambda here: forged(here, iat=now_s(here) + 86400, exp=now_s(here) + 90000), 401, 20105),
    "too short": (lambda here: forged(here, exp=now_s(here) + 179), 401, 20156),
    "too long": (lambda here: forged(here, exp=now_s(here) + YEAR_S), 401, 20157),
    "no grants": (lambda here: forged(here, grants=None), 401, 20106),
    "no identity": (lambda here: forged(here, grants={"chat": {"service_sid": here.world.service}}), 401, 20106),
    "an identity like a user": (lambda here: here.token("US" + "0" * 32), 401, 20106),
    "a reserved identity": (lambda here: here.token("system"), 401, 20106),
    "an identity without end": (lambda here: here.token("x" * 257), 401, 20106),
    "no chat grant": (lambda here: forged(here, grants={"identity": "ana", "video": {}}), 401, 20106),
    "no service": (lambda here: forged(here, grants={"identity": "ana", "chat": {}}), 401, 20106),
    "an unknown service": (lambda here: here.token(service_sid="IS" + "0" * 32), 403, 20403),
}


def _unsigned(here: Here) -> str:
    _, body, _ = here.token().split(".")
    head = base64.urlsafe_b64encode(json.dumps({"alg": "none", "typ": "JWT"}).encode()).rstrip(b"=").decode()
    return f"{head}.{body}."


def _signed_by_hand(here: Here, **claims: Any) -> str:
    """For claims that the library would not write."""
    secret = here.world.credentials.api_key_secret
    good = jwt.decode(
        forged(here), secret, algorithms=["HS256"], options={"verify_signature": True, "verify_exp": False}
    )
    return jwt.PyJWS().encode(json.dumps({**good, **claims}).encode(), secret, headers={"cty": "twilio-fpa;v=1"})


@pytest.mark.parametrize("case", REFUSALS)
@pytest.mark.owner_demand(11)
async def test_a_bad_token_is_refused_with_the_code_of_its_first_defect(
    here: Here, case: str, caplog: pytest.LogCaptureFixture
) -> None:
    """realtime 15.8: ``errorCode`` in camel case; 20104 for expired tokens and for nothing else."""
    make, status, code = REFUSALS[case]
    peer = await here.open()
    with caplog.at_level("INFO"):
        answer = await peer.init(make(here))
    assert (answer.status, answer.error_code) == (status, code)
    assert answer.header["status"]["description"] and answer.header["status"]["status"]
    assert [record.message for record in caplog.records if record.name.startswith("tertulia")] == ["connection.end"]
    # The client says goodbye and hangs up (realtime 5.1); nobody is let in meanwhile.
    await peer.say(
        {"id": "TM1", "method": "message", "http_request": {"path": "/Client/v2/Configuration", "method": "GET"}}
    )
    await peer.say({"id": "TM2", "method": "close"})
    assert await peer.end() == 1000
    assert [heard.header["id"] for heard in peer.frames[1:]] == ["TM2"]


async def test_a_refused_client_that_does_not_hang_up_is_hung_up_on(here: Here) -> None:
    peer = await here.open()
    await peer.init("hello")
    here.pass_time(11)
    assert await peer.end() == 1000


async def test_a_client_that_never_says_who_it_is_is_hung_up_on(here: Here) -> None:
    peer = await here.open()
    here.pass_time(29)
    await peer.websocket.ping()
    here.pass_time(2)
    assert await peer.end() == 1001


async def test_nothing_is_served_before_init(here: Here) -> None:
    peer = await here.open()
    wrapped = {"path": "/Client/v2/Configuration", "method": "GET"}
    for header in (
        {"method": "message", "http_request": wrapped},
        {"method": "update", "token": here.token()},
        {"method": "put_notification_ctx"},
    ):
        answer = await peer.ask(header)
        assert answer.status == 401 and "http_status" not in answer.header
    assert (await peer.init(here.token())).status == 200
    assert (await peer.get("/Client/v2/Configuration")).http_status == 200


async def test_a_connection_has_one_init(here: Here) -> None:
    peer = await here.peer("ana")
    assert (await peer.init(here.token("ben"))).status == 400
    assert (await peer.get("/Client/v2/Configuration"))["identity"] == "ana"


async def test_a_second_init_while_the_first_is_verified_is_refused(here: Here) -> None:
    peer = await here.open()
    first, second = await asyncio.gather(peer.init(here.token("ana")), peer.init(here.token("ben")))
    assert (first.status, second.status) == (200, 400)
    assert (await peer.get("/Client/v2/Configuration"))["identity"] == "ana"


async def test_requests_in_the_same_segment_as_init_are_not_served_before_it(here: Here) -> None:
    peer = await here.open()
    init = frame({"method": "init", "id": "TM1", "token": here.token()})
    early = frame(
        {"method": "message", "id": "TM2", "http_request": {"path": "/Client/v2/Configuration", "method": "GET"}}
    )
    await peer.say_raw(init)
    await peer.say_raw(early)
    await peer.until(lambda: len(peer.frames) == 2)
    assert {heard.header["id"]: heard.status for heard in peer.frames} in (
        {"TM1": 200, "TM2": 401},
        {"TM1": 200, "TM2": 200},
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"metadata": None, "registrations": None, "capabilities": [], "tweaks": None},
        {"metadata": ..., "registrations": ..., "capabilities": ..., "tweaks": ..., "continuation_token": ...},
        {"metadata": {"deep": [{"odd": None}]}, "tweaks": {"x": 1}},
        {"registrations": [{"product": "ip_messaging"}], "capabilities": ["client_update", "account_descriptor"]},
        {"registrations": [{"product": "ip_messaging", "notification_protocol_version": 4, "message_types": [TYPING]}]},
    ],
)
async def test_what_a_client_leaves_out_is_not_missed(here: Here, fields: dict[str, Any]) -> None:
    """Native clients omit null members (realtime 5)."""
    peer = await here.open()
    answer = await peer.init(here.token(), **fields)
    assert answer.status == 200
    offered = fields.get("capabilities", ["client_update"])
    assert answer.header.get("capabilities", []) == (["client_update"] if offered and offered is not ... else [])


async def test_several_registrations_are_echoed_in_order(here: Here) -> None:
    peer = await here.open()
    answer = await peer.init(here.token(), registrations=[registration("a"), registration("b", "c")])
    echoes = answer.header["init_registrations"]
    assert [echo["message_types"] for echo in echoes] == [["a"], ["b", "c"]]
    assert len({echo["notification_ctx_id"] for echo in echoes}) == 2


# --- continuation


@pytest.mark.owner_demand(3)
async def test_a_continuation_token_is_kept_while_it_fits(here: Here) -> None:
    first = (await (await here.open()).init(here.token())).header["continuation_token"]
    answer = await (await here.open()).init(here.token(), continuation_token=first)
    assert answer.header["continuation_token"] == first
    assert answer.header["continuation_token_status"] == {"reissued": False}


async def test_a_continuation_token_that_does_not_fit_is_replaced_and_refuses_nobody(here: Here) -> None:
    first = (await (await here.open()).init(here.token())).header["continuation_token"]
    for brought, identity, reason in (
        (first, "ben", "DIFFERENT_IDENTITY"),
        ("hello", "ana", "INVALID"),
        (first[:-1] + ("A" if first[-1] != "A" else "B"), "ana", "INVALID"),
        ("é" * 1000, "ana", "INVALID"),
        ("", "ana", "MISSING"),
    ):
        answer = await (await here.open()).init(here.token(identity), continuation_token=brought)
        assert answer.status == 200
        assert answer.header["continuation_token"] != brought
        status = answer.header["continuation_token_status"]
        assert (status["reissued"], status["reissue_reason"]) == (True, reason)


# --- what was there and is no more


async def test_a_deleted_service_lets_nobody_in(here: Here) -> None:
    """Also with a token that was good a moment ago."""
    other = await here.world.in_new_service()
    token = here.token(service_sid=other.service)
    assert (await (await here.open()).init(token)).status == 200
    await here.world.engine.execute(here.world.account, DeleteService(service=other.service))
    answer = await (await here.open()).init(token)
    assert (answer.status, answer.error_code) == (403, 20403)


async def test_a_deleted_user_who_connects_again_is_a_new_user(here: Here) -> None:
    """semantics 3.3"""
    world = here.world
    await here.peer("ana")
    before = await world.queries.user(world.service, "ana")
    await world.engine.execute(world.account, DeleteUser(service=world.service, user="ana"))
    await here.peer("ana")
    assert (await world.queries.user(world.service, "ana")).sid != before.sid


async def test_many_devices_of_a_new_identity_make_one_user(here: Here) -> None:
    peers = await asyncio.gather(*(here.peer("newcomer") for _ in range(20)))
    assert all([(await peer.get("/Client/v2/Configuration")).http_status == 200 for peer in peers])


async def test_a_first_init_is_not_turned_away_in_a_crowd(here: Here) -> None:
    """realtime 15.28: 429 or 5xx to a healthy client's first init makes it say that it failed."""
    peers = await asyncio.gather(*(here.open() for _ in range(100)))
    answers = await asyncio.gather(*(peer.init(here.token(f"user-{n}")) for n, peer in enumerate(peers)))
    assert {answer.status for answer in answers} == {200}


async def test_a_database_in_trouble_is_not_the_tokens_fault(here: Here, caplog: pytest.LogCaptureFixture) -> None:
    """realtime 5.1: not 401, which would be for good; the client tries again."""
    await here.world.connect("ana")
    peer = await here.open()
    connected = await here.peer("ben")
    async with AsyncExitStack() as stack:
        with contextlib.suppress(StorageUnavailable):
            while True:
                await stack.enter_async_context(here.world.database.snapshot())
        answer = await peer.init(here.token("ana"))
        assert (answer.status, answer.error_code) == (503, 20503)
        update = await connected.update(here.token("ben", ttl_s=1000))
        assert (update.status, update.error_code) == (503, 20503)
    assert not any(record.exc_info for record in caplog.records)
    assert (await (await here.open()).init(here.token("ana"))).status == 200
    assert (await connected.get("/Client/v2/Configuration")).http_status == 200


async def test_short_tokens_connect_where_the_operator_allows_them(start: Start) -> None:
    here = await start(tokens=TokensSettings(min_ttl_s=1))
    peer = await here.open()
    assert (await peer.init(here.token(ttl_s=2))).status == 200


# --- what a client says of itself and of us


async def test_what_a_client_says_of_itself_is_told_apart_from_our_facts(
    here: Here, caplog: pytest.LogCaptureFixture
) -> None:
    said = {"service": "x", "request_id": "RQ1", "account": "AC1", "sdk": "JS", "token": "hush"}
    with caplog.at_level("INFO"):
        peer = await here.peer(metadata=said)
        assert (await peer.get("/Client/v2/Configuration")).http_status == 200
    (ready,) = [record for record in caplog.records if record.message == "connection.ready"]
    assert vars(ready)["facts"] == {
        "service": here.world.service,
        "client_service": "x",
        "client_request_id": "RQ1",
        "client_account": "AC1",
        "client_sdk": "JS",
        "client_token": "***",
    }


async def _upgraded(here: Here, host: str) -> bytes:
    """The first line of the answer to an upgrade that calls us so."""
    reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
    writer.write(
        f"GET /v3/wsconnect HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    first = await reader.readline()
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    return first.rstrip()


@pytest.mark.parametrize(
    "host",
    ["x" * 256, "x" * 50_000, "a b", "a/b", "a?b", "me@here", "here:80:80", "here:x", "[::1", ":80", 'a"', "é", "a,b"],
    ids=lambda host: host[:10],
)
async def test_a_host_that_would_spoil_urls_is_refused(here: Here, host: str) -> None:
    assert await _upgraded(here, host) == b"HTTP/1.1 400 Bad Request"


@pytest.mark.parametrize("host", ["here", "chat.example.com:8443", "127.0.0.1:80", "[::1]:80", "a_b-c", "x" * 255])
async def test_a_host_that_is_a_name_or_an_address_is_welcome(here: Here, host: str) -> None:
    assert (await _upgraded(here, host)).startswith(b"HTTP/1.1 101 ")
