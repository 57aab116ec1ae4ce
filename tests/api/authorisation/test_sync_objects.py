"""Every kind of Sync object, read and followed over the socket, against everybody (realtime 9, 14; semantics 2.4)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import quote

import msgspec
import pytest
import pytest_asyncio

from tertulia.server.domain.sync import ObjectKind, conversation_object_name, object_sid, user_object_name
from tertulia.server.settings import Settings
from tests.api.realtime.client import Heard, Peer, wish
from tests.api.realtime.conftest import Here, running

from .stage import Stage
from .test_client import BAD_TOKENS, INSIDE, OUTSIDE, token_of

pytestmark = pytest.mark.asyncio(loop_scope="package")

DOCUMENT, LIST, MAP = (404, 54100), (404, 54150), (404, 54200)
OPEN = None


class Row(msgspec.Struct, frozen=True):
    """One kind of object: its collection, and what each caller is told of it."""

    collection: str
    member: tuple[int, int] | None
    inside: tuple[int, int] | None
    outside: tuple[int, int]


OBJECTS = {
    ObjectKind.DOCUMENT: Row("Documents", OPEN, DOCUMENT, DOCUMENT),
    ObjectKind.MESSAGES: Row("Lists", OPEN, LIST, LIST),
    ObjectKind.ROSTER: Row("Maps", OPEN, MAP, MAP),
    ObjectKind.CONVERSATIONS: Row("Maps", OPEN, MAP, MAP),
    # Everybody of the service may see its users.
    ObjectKind.USER_INFO: Row("Maps", OPEN, OPEN, MAP),
}
CALLERS = ("ana", *INSIDE, *OUTSIDE)


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def here(stage: Stage) -> AsyncIterator[Here]:
    async with running(stage.world, Settings()) as here:
        yield here


def expected(row: Row, caller: str) -> tuple[int, int] | None:
    return row.member if caller == "ana" else row.inside if caller in INSIDE else row.outside


async def names_of(stage: Stage, kind: ObjectKind) -> tuple[str, str, str, str]:
    """Name and SID of ana's object of this kind, and of one that does not exist."""
    if kind.of_user:
        owner = (await stage.world.queries.user(stage.owner.service, "ana")).sid
        names = [user_object_name(kind, stage.owner.service, who) for who in ("ana", "nobody")]
    else:
        owner = stage.things.conversation
        names = [conversation_object_name(kind, sid) for sid in (owner, "CH" + "f" * 32)]
    return names[0], object_sid(kind, owner), names[1], object_sid(kind, "XX" + "f" * 32)


async def connected(stage: Stage, here: Here, caller: str) -> Peer:
    peer = await here.open()
    assert (await peer.init(token_of(stage, caller))).status == 200
    return peer


async def test_every_kind_of_object_has_a_row() -> None:
    assert set(OBJECTS) == set(ObjectKind)


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("kind", OBJECTS, ids=lambda kind: kind.name.lower())
async def test_reading(stage: Stage, here: Here, kind: ObjectKind, caller: str) -> None:
    """By name, by SID, and its items; what is not for the caller is as if it did not exist."""
    row, (name, sid, absent_name, absent_sid) = OBJECTS[kind], await names_of(stage, kind)
    peer = await connected(stage, here, caller)
    for one, missing in ((name, absent_name), (sid, absent_sid)):
        for rest in ("", "/Items") if row.collection != "Documents" else ("",):
            answer, nothing = [
                await peer.get(f"/v3/{row.collection}/{quote(key, safe='')}{rest}") for key in (one, missing)
            ]
            assert refusal(answer) == expected(row, caller), (one, rest, answer)
            if expected(row, caller) is not None:
                assert answer.payload == nothing.payload
    await peer.close()


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("kind", OBJECTS, ids=lambda kind: kind.name.lower())
async def test_following(stage: Stage, here: Here, kind: ObjectKind, caller: str) -> None:
    """Subscriptions fail with 404, in the same words as for what does not exist, and no event comes."""
    row, (_, sid, _, absent_sid) = OBJECTS[kind], await names_of(stage, kind)
    peer = await connected(stage, here, caller)
    settled = await peer.establish(wish(sid, -1), wish(absent_sid, -1))
    if expected(row, caller) is None:
        assert settled[sid].how == "established"
    else:
        assert settled[sid].how == "failed"
        assert settled[sid].entry["error"]["status"] == 404
        told = [{**settled[one].entry, "object_sid": "*"} for one in (sid, absent_sid)]
        assert told[0] == told[1]
        await stage.world.send(stage.things.conversation, "for members")
        await peer.quiet()
        assert peer.events == []
    await peer.close()


@pytest.mark.parametrize("caller", BAD_TOKENS)
async def test_without_a_good_token_there_is_no_connection(stage: Stage, here: Here, caller: str) -> None:
    peer = await here.open()
    answer = await peer.init(token_of(stage, caller))
    assert (answer.status, answer.error_code) == BAD_TOKENS[caller]
    await peer.close()


@pytest.mark.parametrize("caller", BAD_TOKENS)
async def test_without_a_good_token_there_is_no_update(stage: Stage, here: Here, caller: str) -> None:
    """The connection goes on with the token it has (semantics 3.2)."""
    peer = await connected(stage, here, "ana")
    answer = await peer.update(token_of(stage, caller))
    assert (answer.status, answer.error_code) == BAD_TOKENS[caller]
    assert (await peer.get("/Client/v2/Configuration")).http_status == 200
    await peer.close()


def refusal(answer: Heard) -> tuple[int, int] | None:
    return answer.failure if answer.http_status >= 400 else None
