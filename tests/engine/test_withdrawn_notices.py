"""What changes between a deed, the decision who is told of it, and the telling (semantics 7.2, 7.4)."""

from __future__ import annotations

from typing import Any

import pytest

from tertulia.server.domain import callers
from tertulia.server.domain.accounts import ReinstateAccount, SuspendAccount
from tertulia.server.domain.conversations import Conversation, DeleteConversation
from tertulia.server.domain.credentials import CreateCredential, DeleteCredential, Secrets, UpdateCredential
from tertulia.server.domain.memberships import UpdateMembership
from tertulia.server.domain.messages import DeleteMessage
from tertulia.server.domain.participants import RemoveParticipant
from tertulia.server.domain.push import DeletePush, RemovePush
from tertulia.server.domain.push_content import PushKind
from tertulia.server.domain.services import DeleteService
from tertulia.server.domain.users import CreateUser, DeleteUser
from tertulia.server.engine.notices import MESSAGE_GONE
from tertulia.server.engine.notices import SUSPENDED as IS_SUSPENDED
from tertulia.server.engine.push_queries import MESSAGE_REMOVED, NO_CREDENTIAL, SUSPENDED, SWITCHED_OFF
from tertulia.server.jobs.push_sending import LEFT, MUTED, UNREGISTERED
from tertulia.server.settings import PushSettings

from .telling import SECRETS, Telling
from .world import World

SMS, OTHER_SMS, OURS, OTHER_OURS = "+12025550001", "+12025550002", "+12025559990", "+12025559991"
CERTIFICATE = Secrets(certificate="c", private_key="k")


@pytest.fixture
async def telling(world: World) -> Telling:
    """All notifications are on; nobody has a device yet."""
    telling = Telling(world, PushSettings())
    await telling.everything_on()
    return telling


# --- what happens before it is planned


@pytest.mark.parametrize(
    ("deed", "notices"),
    [
        ("message deleted", [MESSAGE_GONE]),
        ("conversation deleted", []),
        ("service deleted", []),
        ("switched off", []),
        ("user deleted", [None]),
    ],
)
async def test_what_is_gone_before_it_is_planned_is_not_told(
    telling: Telling, deed: str, notices: list[str | None]
) -> None:
    world = await telling.world.in_new_service()
    here = Telling(world, PushSettings())
    await here.everything_on()
    room = await here.quiet_room("ben")
    message = await world.send(room.sid)
    await do(here, deed, room, message.sid)
    await here.perform()
    assert here.service.told == []
    found = [notice.why_nobody for notice in await here.notices() if notice.kind == "new_message"]
    assert found == notices
    assert await here.deliveries() == []


async def do(telling: Telling, deed: str, room: Conversation, message: str) -> None:
    """Something that changes who is to be told."""
    world = telling.world
    deeds: dict[str, Any] = {
        "message deleted": lambda: world.do(DeleteMessage, conversation=room.sid, message=message),
        "conversation deleted": lambda: world.do(DeleteConversation, conversation=room.sid),
        "service deleted": lambda: world.do(DeleteService),
        "switched off": lambda: telling.configure(new_message_enabled=False, removed_enabled=False),
        "user deleted": lambda: world.do(DeleteUser, user="ben"),
        "removed": lambda: world.do(RemoveParticipant, conversation=room.sid, participant="ben"),
        "muted": lambda: world.do(UpdateMembership, conversation=room.sid, user="ben", notification_level="muted"),
        "unregistered": lambda: world.do(RemovePush, by=world.user("ben"), kind="fcm", address="ben's"),
        "another's": lambda: telling.device("eve", "ben's"),
        "another credential": lambda: _under_another_credential(telling),
        "credential deleted": lambda: world.do(DeleteCredential, credential=telling.credentials["fcm"].sid),
        "credential of another kind": lambda: world.do(
            UpdateCredential, credential=telling.credentials["fcm"].sid, kind="apn", secrets=CERTIFICATE
        ),
        "credential renewed": lambda: world.do(
            UpdateCredential, credential=telling.credentials["fcm"].sid, secrets=Secrets(secret="renewed")
        ),
        "registered again": lambda: telling.device("ben"),
    }
    await deeds[deed]()


async def _under_another_credential(telling: Telling) -> None:
    other = await telling.world.do(CreateCredential, kind="fcm", secrets=SECRETS)
    await telling.device("ben", credential=other.sid)


# --- what happens before it is sent


@pytest.mark.parametrize(
    ("deed", "why_not"),
    [
        ("removed", LEFT),
        ("muted", MUTED),
        ("unregistered", UNREGISTERED),
        ("another's", UNREGISTERED),
        ("another credential", UNREGISTERED),
        ("user deleted", UNREGISTERED),
        ("service deleted", UNREGISTERED),
        ("conversation deleted", LEFT),
        ("message deleted", MESSAGE_REMOVED),
        ("switched off", SWITCHED_OFF),
        ("credential deleted", NO_CREDENTIAL),
        ("credential of another kind", NO_CREDENTIAL),
        ("credential renewed", None),
        ("registered again", None),
    ],
)
async def test_what_changes_before_it_is_sent_counts(telling: Telling, deed: str, why_not: str | None) -> None:
    world = await telling.world.in_new_service()
    here = Telling(world, PushSettings())
    await here.everything_on()
    room = await here.quiet_room("ben")
    message = await world.send(room.sid)
    await here.plan()
    planned = (await here.notices())[-1].sid
    assert await here.owed("SendPushes") == 1
    await do(here, deed, room, message.sid)
    await here.perform()
    (delivery,) = [one for one in await here.deliveries() if one.notice_sid == planned]
    assert (delivery.state, delivery.answer) == (("withdrawn", why_not) if why_not else ("sent", "200"))
    messages = [batch for batch in here.service.batches if batch.content.kind is PushKind.NEW_MESSAGE]
    assert len(messages) == (0 if why_not else 1)
    assert await here.owed("SendPushes") == 0


async def test_who_is_removed_is_told_though_he_is_no_member(telling: Telling) -> None:
    room = await telling.quiet_room("ben")
    await telling.world.do(RemoveParticipant, conversation=room.sid, participant="ben")
    await telling.plan()
    await telling.perform()
    assert telling.service.told == ["ben's"]


async def test_who_was_added_and_removed_at_once_is_not_told_that_he_was_added(telling: Telling) -> None:
    world = telling.world
    await telling.device("ben")
    room = await world.conversation("ben")
    await world.do(RemoveParticipant, conversation=room.sid, participant="ben")
    await telling.perform()
    assert [batch.content.kind for batch in telling.service.batches] == [PushKind.REMOVED]


async def test_who_takes_the_name_of_a_deleted_user_is_told_nothing_of_his(telling: Telling) -> None:
    """Though the rows of who was in many conversations go in steps."""
    world = telling.world
    rooms = [await telling.quiet_room("ben") for _ in range(60)]
    await world.do(DeleteUser, user="ben")
    assert await world.count("participants") > 0
    await world.do(CreateUser, identity="ben")
    await telling.device("ben", "the new one's")
    for room in rooms:
        await world.send(room.sid)
    await telling.perform()
    assert telling.service.told == []
    assert await telling.deliveries() == [], "he is not even thought of"


async def test_a_device_that_the_account_deletes_is_not_told(telling: Telling) -> None:
    room = await telling.quiet_room("ben")
    await telling.world.send(room.sid)
    await telling.plan()
    other = await telling.device("ben", "another")
    for registration_sid in await telling.states():
        await telling.world.do(DeletePush, registration=registration_sid)
    await telling.perform()
    assert (telling.service.told, other.sid in await telling.states()) == ([], False)


# --- an account that is served no longer


async def suspend(world: World) -> None:
    await world.do(SuspendAccount, by=callers.operator(), account=world.account.account_sid)


async def test_nothing_is_sent_for_an_account_that_was_suspended_meanwhile(telling: Telling) -> None:
    room = await telling.quiet_room("ben")
    await telling.world.send(room.sid)
    await telling.plan()
    await suspend(telling.world)
    await telling.perform()
    assert (telling.service.told, await telling.answers()) == ([], {"ben": SUSPENDED})
    assert set((await telling.states()).values()) == {"withdrawn"}


async def test_what_happened_before_an_account_was_suspended_is_told_to_nobody(telling: Telling) -> None:
    room = await telling.quiet_room("ben")
    await telling.world.send(room.sid)
    await suspend(telling.world)
    await telling.perform()
    (notice,) = await telling.notices()
    assert (notice.why_nobody, telling.service.told, await telling.deliveries()) == (IS_SUSPENDED, [], [])
    await telling.world.do(ReinstateAccount, by=callers.operator(), account=telling.world.account.account_sid)
    await telling.world.send(room.sid)
    await telling.perform()
    assert telling.service.told == ["ben's"]
