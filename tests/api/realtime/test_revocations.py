"""What keys, accounts and services end, ends on open connections too, whoever ended it (semantics 3.1)."""

from __future__ import annotations

import contextlib
from typing import Any

import httpx
from websockets.exceptions import ConnectionClosed

from tertulia.server.bus.inprocess import InProcessBus
from tertulia.server.domain import callers
from tertulia.server.domain.accounts import ApiKey, CreateKey, ReinstateAccount, RevokeKey, SuspendAccount
from tertulia.server.domain.base import Command
from tertulia.server.domain.secrets import Secret
from tertulia.server.domain.services import DeleteService
from tertulia.server.engine.unit import Policy
from tertulia.server.settable import KNOWN
from tertulia.server.settings import TokensSettings
from tests.engine.world import BASE_URL

from .client import Peer
from .conftest import Here

CONFIGURATION = "/Client/v2/Configuration"
RECHECK_S = TokensSettings().recheck_s
SECRET = "k" * 32


async def elsewhere(here: Here, command: Command[Any], by: callers.Caller | None = None) -> Any:
    """Done by another process: this one hears nothing of it."""
    engine = here.world.engine_with(Policy(base_url=BASE_URL), InProcessBus())
    return await engine.execute(by or callers.operator(), command)


async def new_key(here: Here) -> ApiKey:
    account = here.world.account.account_sid
    key: ApiKey = await elsewhere(here, CreateKey(account=account, friendly_name="second", secret=Secret(SECRET)))
    return key


def token_by(here: Here, key: ApiKey, identity: str = "ana", **claims: Any) -> str:
    return here.token(identity, key_sid=key.sid, secret=SECRET, **claims)


async def connected(here: Here, token: str) -> Peer:
    peer = await here.open()
    assert (await peer.init(token)).status == 200
    return peer


async def refusal_at_init(here: Here, token: str) -> tuple[int, int | None]:
    peer = await here.open()
    answer = await peer.init(token)
    return answer.status, answer.error_code


async def rest(here: Here, user: str, password: str) -> tuple[int, int | None]:
    transport = httpx.ASGITransport(app=here.server.application)
    async with httpx.AsyncClient(transport=transport, base_url=BASE_URL, auth=(user, password)) as http:
        answer = await http.get("/v1/Conversations")
        return answer.status_code, answer.json().get("code")


async def stays(peer: Peer) -> None:
    assert (await peer.get(CONFIGURATION)).http_status == 200


# --- by another process


async def test_a_key_that_another_process_revoked_takes_its_connections_with_it(here: Here) -> None:
    key = await new_key(here)
    ana, ben, others = await connected(here, token_by(here, key)), await connected(here, token_by(here, key, "ben")), []
    others.append(await here.peer("ana"))
    await elsewhere(here, RevokeKey(key=key.sid))
    await here.server.revocations.sweep()
    for peer in (ana, ben):
        await peer.end()
        # As at the end of a user: the socket goes, and the next init says why.
        assert peer.of_method("close") == []
    await stays(others[0])


async def test_nothing_is_answered_once_the_sweep_has_been(here: Here) -> None:
    key = await new_key(here)
    peer = await connected(here, token_by(here, key))
    await elsewhere(here, RevokeKey(key=key.sid))
    await here.server.revocations.sweep()
    with contextlib.suppress(ConnectionClosed):
        await peer.say({"id": "TM1", "method": "message", "http_request": {"path": CONFIGURATION, "method": "GET"}})
    await peer.end()
    assert [heard for heard in peer.frames if heard.header["id"] == "TM1"] == []


async def test_a_revoked_key_opens_nothing_after_its_time_of_belief(here: Here) -> None:
    key = await new_key(here)
    token = token_by(here, key)
    await connected(here, token)
    assert await rest(here, key.sid, SECRET) == (200, None)
    await elsewhere(here, RevokeKey(key=key.sid))
    here.pass_time(2 * RECHECK_S)
    assert await refusal_at_init(here, token) == (401, 20103)
    assert await refusal_at_init(here, token_by(here, key, "eve")) == (401, 20103)
    assert await rest(here, key.sid, SECRET) == (401, 20003)


async def test_belief_and_sweep_together_are_within_a_minute() -> None:
    """Of the key, then of a token judged by it, then until the sweep: each at most this setting."""
    assert KNOWN["tokens.recheck_s"].limits == "above 0, at most 20"
    assert 3 * RECHECK_S <= 60


async def test_an_update_to_a_token_of_a_revoked_key_is_refused(here: Here) -> None:
    key = await new_key(here)
    peer = await here.peer("ana")
    await elsewhere(here, RevokeKey(key=key.sid))
    answer = await peer.update(token_by(here, key))
    assert (answer.status, answer.error_code) == (401, 20103)
    await stays(peer)


async def test_who_has_moved_to_another_key_outlives_the_old_one(here: Here) -> None:
    key = await new_key(here)
    peer = await connected(here, token_by(here, key))
    assert (await peer.update(here.token("ana"))).status == 200
    await elsewhere(here, RevokeKey(key=key.sid))
    assert await here.server.revocations.sweep() == 0
    await stays(peer)


async def test_a_suspended_account_is_cut_off_and_let_in_again_when_it_is_reinstated(here: Here) -> None:
    known, sid = here.world.credentials, here.world.account.account_sid
    peer = await here.peer("ana")
    assert await rest(here, sid, known.auth_token) == (200, None)
    await elsewhere(here, SuspendAccount(account=sid))
    assert await here.server.revocations.sweep() == 1
    await peer.end()
    here.pass_time(2 * RECHECK_S)
    assert await refusal_at_init(here, here.token("ana")) == (403, 20403)
    assert await rest(here, sid, known.auth_token) == (403, 20005)
    assert await rest(here, known.api_key_sid, known.api_key_secret) == (403, 20005)
    # Who does not know the secret is not told.
    assert await rest(here, sid, "x" * 32) == (401, 20003)
    await elsewhere(here, ReinstateAccount(account=sid))
    here.pass_time(2 * RECHECK_S)
    await stays(await here.peer("ana"))
    assert await rest(here, sid, known.auth_token) == (200, None)


async def test_a_service_that_another_process_deleted_takes_its_connections_with_it(here: Here) -> None:
    service = (await here.world.in_new_service()).service
    inside, outside = await connected(here, here.token("ana", service_sid=service)), await here.peer("ana")
    await elsewhere(here, DeleteService(service=service), here.world.account)
    await here.server.revocations.sweep()
    await inside.end()
    await stays(outside)


async def test_a_sweep_is_one_query_however_many_connections_there_are(here: Here) -> None:
    key = await new_key(here)
    for n in range(20):
        await connected(here, token_by(here, key, f"user {n}") if n % 2 else here.token(f"user {n}"))
    before = here.world.database.statements
    assert await here.server.revocations.sweep() == 0
    assert here.world.database.statements == before + 1


async def test_a_sweep_of_nobody_asks_nothing(here: Here) -> None:
    before = here.world.database.statements
    assert await here.server.revocations.sweep() == 0
    assert here.world.database.statements == before


# --- by this process


async def test_what_this_process_revokes_ends_at_once(here: Here) -> None:
    key = await new_key(here)
    token = token_by(here, key)
    peer = await connected(here, token)
    assert await rest(here, key.sid, SECRET) == (200, None)
    await here.world.engine.execute(callers.operator(), RevokeKey(key=key.sid))
    await peer.end()
    assert await refusal_at_init(here, token) == (401, 20103)
    assert await rest(here, key.sid, SECRET) == (401, 20003)


async def test_an_account_that_this_process_suspends_and_reinstates_is_out_and_in_at_once(here: Here) -> None:
    sid = here.world.account.account_sid
    peer, token = await here.peer("ana"), here.token("ana")
    await here.world.engine.execute(callers.operator(), SuspendAccount(account=sid))
    await peer.end()
    assert await refusal_at_init(here, token) == (403, 20403)
    await here.world.engine.execute(callers.operator(), ReinstateAccount(account=sid))
    await stays(await connected(here, token))
