"""Accounts and their API keys: who may make and end them, and what a new one comes with (semantics 2.3, 3.1)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tertulia.server.bus.base import KeysChanged
from tertulia.server.domain import callers
from tertulia.server.domain.accounts import (
    Account,
    ApiKey,
    CreateAccount,
    CreateKey,
    ReinstateAccount,
    RevokeKey,
    SuspendAccount,
    UpdateAccount,
)
from tertulia.server.domain.base import Command
from tertulia.server.domain.conversations import CreateConversation
from tertulia.server.domain.participants import AddParticipant
from tertulia.server.domain.permissions import (
    CONVERSATION_CREATOR,
    CONVERSATION_MEMBER,
    SERVICE_ADMIN,
    SERVICE_USER,
)
from tertulia.server.domain.secrets import Secret
from tertulia.server.first_start import NoCredentials, credentials_of
from tertulia.server.storage.paging import Page
from tests.engine.world import World, refused

OPERATOR = callers.operator()
TOKEN, OTHER = Secret("t" * 32), Secret("o" * 32)


async def new_account(world: World, name: str = "second") -> Account:
    return await world.engine.execute(OPERATOR, CreateAccount(friendly_name=name, auth_token=TOKEN))


async def new_key(world: World, account: str | None = None) -> ApiKey:
    wish = CreateKey(account=account or world.account.account_sid, friendly_name="second", secret=OTHER)
    return await world.engine.execute(OPERATOR, wish)


async def test_a_new_account_has_a_default_service_with_the_four_roles(world: World) -> None:
    account = await new_account(world)
    owner = callers.account(account.sid)
    (service,) = await world.queries.services(owner, Page(limit=10))
    assert service.sid == account.default_service_sid != world.service
    roles = {role.sid: role.friendly_name for role in await world.queries.roles(service.sid, Page(limit=10))}
    assert set(roles.values()) == {
        default.friendly_name for default in (SERVICE_ADMIN, SERVICE_USER, CONVERSATION_CREATOR, CONVERSATION_MEMBER)
    }
    assert roles[service.default_user_role_sid] == SERVICE_USER.friendly_name
    assert roles[service.default_creator_role_sid] == CONVERSATION_CREATOR.friendly_name
    assert roles[service.default_participant_role_sid] == CONVERSATION_MEMBER.friendly_name


async def test_the_first_account_stays_the_first_whatever_its_sid(world: World) -> None:
    """An operator may have chosen a SID that sorts behind those we make."""
    sid = "AC" + "f" * 32
    await world.sql("UPDATE accounts SET sid = $1, auth_token = $2", sid, world.sealer.seal(TOKEN.text, sid))
    await world.sql("UPDATE api_keys SET account_sid = $1", sid)
    world.clock.advance(timedelta(seconds=1))
    await new_account(world)
    assert (await credentials_of(world.database, world.sealer)).account_sid == sid


COMMANDS: dict[str, Any] = {
    "CreateAccount": lambda world: CreateAccount(friendly_name="x", auth_token=TOKEN),
    "SuspendAccount": lambda world: SuspendAccount(account=world.account.account_sid),
    "ReinstateAccount": lambda world: ReinstateAccount(account=world.account.account_sid),
    "CreateKey": lambda world: CreateKey(account=world.account.account_sid, friendly_name="x", secret=TOKEN),
    "RevokeKey": lambda world: RevokeKey(key=world.credentials.api_key_sid),
}


@pytest.mark.parametrize("name", COMMANDS)
async def test_only_the_operator_may(world: World, name: str) -> None:
    wish: Command[Any] = COMMANDS[name](world)
    with refused(20006, 403):
        await world.engine.execute(world.account, wish)
    with refused(50107, 403):
        await world.engine.execute(world.user("ana"), wish)
    await world.engine.execute(OPERATOR, wish)


@pytest.mark.parametrize("name", ["SuspendAccount", "ReinstateAccount", "CreateKey", "RevokeKey"])
async def test_what_does_not_exist_is_named(world: World, name: str) -> None:
    unknown = "AC" + "0" * 32
    wish: Any = {
        "SuspendAccount": SuspendAccount(account=unknown),
        "ReinstateAccount": ReinstateAccount(account=unknown),
        "CreateKey": CreateKey(account=unknown, friendly_name="x", secret=TOKEN),
        "RevokeKey": RevokeKey(key=unknown),
    }[name]
    with refused(20404, 404, unknown):
        await world.engine.execute(OPERATOR, wish)


@pytest.mark.parametrize("secret", ["", "short", "x" * 31, "x" * 31 + "-", "x" * 31 + "é"])
async def test_a_secret_that_libraries_would_not_send_is_refused(world: World, secret: str) -> None:
    with refused(20001, 400, "letters and digits"):
        await world.engine.execute(OPERATOR, CreateAccount(friendly_name="x", auth_token=Secret(secret)))


@pytest.mark.parametrize(("name", "code"), [("", 50000), ("x" * 257, 50003)])
async def test_a_name_is_wanted(world: World, name: str, code: int) -> None:
    with refused(code, 400):
        await world.engine.execute(OPERATOR, CreateAccount(friendly_name=name, auth_token=TOKEN))
    with refused(code, 400):
        await world.engine.execute(
            OPERATOR, CreateKey(account=world.account.account_sid, friendly_name=name, secret=TOKEN)
        )


async def test_secrets_are_sealed_and_never_printed(world: World) -> None:
    account, key = await new_account(world), await new_key(world)
    kept = repr((account, key, CreateAccount(friendly_name="x", auth_token=TOKEN), f"{TOKEN}"))
    async with world.database.snapshot() as connection:
        kept += repr(await connection.rows("SELECT * FROM accounts"))
        kept += repr(await connection.rows("SELECT * FROM api_keys"))
    assert TOKEN.text not in kept and OTHER.text not in kept
    assert world.sealer.open(account.auth_token, account.sid) == TOKEN.text
    assert world.sealer.open(key.secret, key.sid) == OTHER.text


async def test_what_is_ended_twice_is_ended_once(world: World) -> None:
    key, account = await new_key(world), await new_account(world)
    wishes: tuple[Command[Any], ...] = (RevokeKey(key=key.sid), SuspendAccount(account=account.sid))
    for wish in wishes:
        first = await world.engine.execute(OPERATOR, wish)
        world.bus.heard.clear()
        world.clock.advance(timedelta(seconds=1))
        assert await world.engine.execute(OPERATOR, wish) == first
        assert world.bus.heard == []


async def test_nodes_are_told_of_what_ends_and_begins_again(world: World) -> None:
    key, account = await new_key(world), await new_account(world)
    world.bus.heard.clear()
    await world.engine.execute(OPERATOR, RevokeKey(key=key.sid))
    await world.engine.execute(OPERATOR, SuspendAccount(account=account.sid))
    await world.engine.execute(OPERATOR, ReinstateAccount(account=account.sid))
    assert world.bus.heard == [KeysChanged(world.account.account_sid), *[KeysChanged(account.sid)] * 2]


async def test_a_revoked_key_is_not_given_out_again(world: World) -> None:
    first, key = world.credentials, await new_key(world)
    await world.engine.execute(OPERATOR, RevokeKey(key=first.api_key_sid))
    left = await credentials_of(world.database, world.sealer)
    assert (left.account_sid, left.api_key_sid) == (first.account_sid, key.sid)
    with pytest.raises(NoCredentials, match="revoked"):
        await credentials_of(world.database, world.sealer, key_sid=first.api_key_sid)
    await world.engine.execute(OPERATOR, RevokeKey(key=key.sid))
    with pytest.raises(NoCredentials, match="no live API key"):
        await credentials_of(world.database, world.sealer)


async def test_credentials_are_those_that_are_named(world: World) -> None:
    account = await new_account(world)
    key = await new_key(world, account.sid)
    for names in ({"account_sid": account.sid}, {"key_sid": key.sid}, {"account_sid": account.sid, "key_sid": key.sid}):
        found = await credentials_of(world.database, world.sealer, **names)
        assert (found.account_sid, found.auth_token) == (account.sid, TOKEN.text)
        assert (found.api_key_sid, found.api_key_secret) == (key.sid, OTHER.text)
        assert found.service_sid == account.default_service_sid
    with pytest.raises(NoCredentials, match="not one of account"):
        await credentials_of(world.database, world.sealer, world.account.account_sid, key.sid)


async def test_a_pair_of_numbers_is_taken_in_its_account_alone(world: World) -> None:
    """The proxy's owner is the account (semantics 4.2): the same pair may be anybody's else."""
    other = await new_account(world)
    places = [(world.account, world.service), (callers.account(other.sid), other.default_service_sid)]
    rooms = [await world.engine.execute(by, CreateConversation(service=service)) for by, service in places]
    for (by, service), room in zip(places, rooms, strict=True):
        wish = AddParticipant(
            service=service, conversation=room.sid, address="+15550000001", proxy_address="+15550000002"
        )
        await world.engine.execute(by, wish)
        another = await world.engine.execute(by, CreateConversation(service=service))
        again = AddParticipant(
            service=service, conversation=another.sid, address="+15550000001", proxy_address="+15550000002"
        )
        with refused(50416, 409, room.sid):
            await world.engine.execute(by, again)


async def test_an_account_cannot_take_another_ones_service_for_its_default(world: World) -> None:
    other = await new_account(world)
    with refused(50050, 404):
        await world.engine.execute(world.account, UpdateAccount(default_service=other.default_service_sid))
