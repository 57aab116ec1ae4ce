"""Which devices are told of what happened, and why the others are not (semantics 7.2 to 7.4)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tertulia.server.domain import callers
from tertulia.server.domain.conversation_with_participants import CreateConversationWithParticipants
from tertulia.server.domain.conversations import Conversation, CreateConversation
from tertulia.server.domain.memberships import UpdateMembership
from tertulia.server.domain.messages import SendMessage, UpdateMessage
from tertulia.server.domain.notices import PlanNotice, PlanPush, SkipReason, TestPush
from tertulia.server.domain.participants import AddParticipant, JoinConversation, RemoveParticipant, UpdateParticipant
from tertulia.server.domain.presence import ArriveUser
from tertulia.server.domain.push_content import PushKind
from tertulia.server.domain.services import ConfigureService
from tertulia.server.domain.users import UpdateUser
from tertulia.server.engine.unit import Policy
from tertulia.server.settings import PushSettings
from tertulia.server.storage.presence import Nodes

from .telling import Telling
from .uploads import send, upload
from .world import BASE_URL, World, refused

SMS, OTHER_SMS, OURS, OTHER_OURS = "+12025550001", "+12025550002", "+12025559990", "+12025559991"


@pytest.fixture
async def telling(world: World) -> Telling:
    """All notifications are on; nobody has a device yet."""
    telling = Telling(world, PushSettings())
    await telling.everything_on()
    return telling


async def may_add(world: World, room: Conversation, identity: str) -> None:
    role = await world.role("conversation", "addParticipant")
    await world.do(UpdateParticipant, conversation=room.sid, participant=identity, role_sid=role.sid)


# --- switches


@pytest.mark.parametrize(
    ("switch", "told"),
    [
        ("new_message_enabled", ["new_message"]),
        ("added_enabled", ["added_to_conversation"]),
        ("removed_enabled", ["removed_from_conversation"]),
        ("badge_count_enabled", []),
        ("media_enabled", []),
        ("log_enabled", []),
        (None, []),
    ],
)
async def test_each_kind_has_its_switch(world: World, switch: str | None, told: list[str]) -> None:
    telling = Telling(world, PushSettings())
    if switch is not None:
        await telling.configure(**{switch: True})
    await telling.device("ben")
    room = await world.conversation("ana", "ben")
    await world.send(room.sid, by=world.user("ana"))
    await world.do(RemoveParticipant, conversation=room.sid, participant="ben")
    await telling.perform()
    # The message: who was removed in the meantime is not told of it any more.
    planned = [notice.kind for notice in await telling.notices() if notice.kind in told]
    assert planned and set(planned) == set(told) if told else not planned
    assert {batch.content.kind for batch in telling.service.batches} <= set(told)


async def test_a_service_that_set_nothing_tells_nobody(world: World) -> None:
    telling = Telling(world, PushSettings())
    await telling.device("ben")
    room = await world.conversation("ana", "ben")
    await world.send(room.sid)
    assert (await telling.perform(), await telling.notices()) == (0, [])


# --- who


@pytest.mark.owner_demand(8)
async def test_a_message_is_told_to_all_members_but_its_author(telling: Telling) -> None:
    room = await telling.quiet_room("ana", "ben", "cleo")
    await telling.device("ana", "ana's other")
    await telling.device("ben", "ben's other", kind="apn")
    await telling.device("eve")
    message = await telling.world.send(room.sid, by=telling.world.user("ana"))
    await telling.perform()
    assert telling.service.told == ["ben's", "ben's other", "cleo's"]
    (notice,) = await telling.notices()
    assert (notice.kind, notice.subject_sid, notice.why_nobody) == ("new_message", message.sid, None)
    assert notice.sid.startswith("RU")
    assert {batch.notice_sid for batch in telling.service.batches} == {notice.sid}
    assert (await telling.answers())["ana"] == SkipReason.AUTHOR
    assert "eve" not in await telling.answers()


@pytest.mark.parametrize("hooks", [True, False], ids=["webhooks on", "webhooks off"])
async def test_a_message_by_rest_is_told_whatever_webhooks_are(telling: Telling, hooks: bool) -> None:
    room = await telling.quiet_room("ana", "ben")
    caller = callers.account(telling.world.account.account_sid, hooks=hooks)
    await telling.world.send(room.sid, by=caller)
    await telling.perform()
    assert telling.service.told == ["ana's", "ben's"]
    assert telling.content.text == f"{room.sid}:system: hello"


async def test_in_whose_name_a_message_is_written_is_its_author(telling: Telling) -> None:
    room = await telling.quiet_room("ana", "ben")
    await telling.world.do(SendMessage, conversation=room.sid, author="ana", body="hello")
    await telling.perform()
    assert telling.service.told == ["ben's"]


async def test_an_imported_message_is_told_like_any_other(telling: Telling) -> None:
    room = await telling.quiet_room("ben")
    long_ago = int(datetime(2001, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
    await telling.world.do(SendMessage, conversation=room.sid, author="ana", body="hello", created_at=long_ago)
    await telling.perform()
    assert telling.service.told == ["ben's"]


async def test_who_has_muted_the_conversation_is_not_told(telling: Telling) -> None:
    room = await telling.quiet_room("ben", "cleo")
    await telling.world.do(UpdateMembership, conversation=room.sid, user="ben", notification_level="muted")
    await telling.world.send(room.sid)
    await telling.perform()
    assert telling.service.told == ["cleo's"]
    assert await telling.answers() == {"ben": SkipReason.MUTED, "cleo": "200"}
    await telling.world.do(UpdateMembership, conversation=room.sid, user="ben", notification_level="default")
    await telling.world.send(room.sid)
    await telling.perform()
    assert telling.service.told == ["ben's", "cleo's", "cleo's"]


async def test_who_joins_after_a_message_is_not_told_of_it_however_late_it_is_planned(telling: Telling) -> None:
    world = telling.world
    room = await telling.quiet_room("ana", "ben")
    for name in ("cleo", "dora"):
        await telling.device(name)
    await world.add(room.sid, "cleo")
    before = await world.send(room.sid, "before", world.user("ana"))
    # What a participant's dates say is an account holder's word.
    long_ago = int(datetime(2001, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
    await world.do(AddParticipant, conversation=room.sid, identity="dora", created_at=long_ago)
    # Who goes and comes back comes anew; a roster's number that only moves is no coming.
    await world.do(RemoveParticipant, conversation=room.sid, participant="cleo")
    await world.add(room.sid, "cleo")
    await world.do(UpdateParticipant, conversation=room.sid, participant="ben", attributes='{"moved":1}')
    after = await world.send(room.sid, "after", world.user("ana"))
    await telling.perform()
    told = {
        batch.content.message_sid: sorted(push.address for push in batch.pushes)
        for batch in telling.service.batches
        if batch.content.kind is PushKind.NEW_MESSAGE
    }
    assert told == {before.sid: ["ben's"], after.sid: ["ben's", "cleo's", "dora's"]}
    (notice,) = [one for one in await telling.notices() if one.subject_sid == before.sid]
    skipped = {one.identity: one.answer for one in await telling.deliveries() if one.notice_sid == notice.sid}
    assert skipped == {
        "ana": SkipReason.AUTHOR,
        "ben": "200",
        "cleo": SkipReason.JOINED_LATER,
        "dora": SkipReason.JOINED_LATER,
    }


async def test_a_plan_of_an_earlier_release_tells_all_members(telling: Telling) -> None:
    world = telling.world
    room = await telling.quiet_room("ana", "ben")
    await world.send(room.sid, by=world.user("ana"))
    await world.sql("UPDATE outbox SET payload = replace(payload, 'roster_event', 'unknown')")
    await telling.perform()
    assert telling.service.told == ["ben's"]


async def test_who_takes_part_by_address_is_not_told(telling: Telling) -> None:
    room = await telling.quiet_room("ben")
    await telling.device(SMS)
    await telling.world.do(AddParticipant, conversation=room.sid, address=SMS, proxy_address=OURS)
    await telling.world.send(room.sid)
    await telling.perform()
    assert telling.service.told == ["ben's"]


async def test_who_is_added_or_removed_is_told_alone(telling: Telling) -> None:
    room = await telling.quiet_room("ana", "ben")
    await telling.device("cleo")
    world = telling.world
    await may_add(world, room, "ana")
    added = await world.do(AddParticipant, by=world.user("ana"), conversation=room.sid, identity="cleo")
    await telling.perform()
    assert (telling.service.told, telling.content.kind) == (["cleo's"], PushKind.ADDED)
    assert telling.content.text == f"You have been added to the conversation {room.sid} by ana"
    telling.service.forget()
    await world.do(RemoveParticipant, conversation=room.sid, participant="cleo")
    await telling.perform()
    assert (telling.service.told, telling.content.kind) == (["cleo's"], PushKind.REMOVED)
    assert telling.content.text == f"system has removed you from the conversation {room.sid}"
    assert [notice.subject_sid for notice in await telling.notices()] == [added.sid, added.sid]


async def test_who_joins_or_leaves_by_himself_is_not_told(telling: Telling) -> None:
    world = telling.world
    await telling.device("ben")
    await world.connect("ben")
    room = await world.do(CreateConversation, by=world.user("ben"))
    await world.do(JoinConversation, by=world.user("ben"), conversation=room.sid)
    await world.do(RemoveParticipant, by=world.user("ben"), conversation=room.sid, participant="ben")
    assert await telling.perform() == 0
    assert await telling.notices() == []


async def test_who_muted_the_conversation_is_not_told_that_he_was_removed(telling: Telling) -> None:
    room = await telling.quiet_room("ben")
    await telling.world.do(UpdateMembership, conversation=room.sid, user="ben", notification_level="muted")
    await telling.world.do(RemoveParticipant, conversation=room.sid, participant="ben")
    await telling.perform()
    assert (telling.service.told, await telling.answers()) == ([], {"ben": SkipReason.MUTED})


async def test_members_of_a_new_conversation_are_told(telling: Telling) -> None:
    world = telling.world
    await telling.device("ana")
    await telling.device("ben")
    members = tuple(AddParticipant(service="", conversation="", identity=name) for name in ("ana", "ben"))
    await world.do(CreateConversationWithParticipants, participants=members)
    await world.run_due()
    await telling.perform()
    assert telling.service.told == ["ana's", "ben's"]


# --- who did it


@pytest.mark.parametrize(
    ("friendly_name", "author", "name"),
    [
        ("Ana Banana", "ana", "Ana Banana"),
        (None, "ana", "ana"),
        (None, SMS, SMS),
        (None, "system", "system"),
        (None, "anything at all", "anything at all"),
    ],
)
async def test_an_author_is_named(telling: Telling, friendly_name: str | None, author: str, name: str) -> None:
    world = telling.world
    room = await telling.quiet_room("ana", "ben")
    await telling.configure(new_message_template="${PARTICIPANT}|${PARTICIPANT_SID}")
    if friendly_name is not None:
        await world.do(UpdateUser, user="ana", friendly_name=friendly_name)
    await world.do(AddParticipant, conversation=room.sid, address=SMS, proxy_address=OURS)
    message = await world.do(SendMessage, conversation=room.sid, author=author, body="hello")
    await telling.perform()
    assert (message.participant_sid is None) == (author not in ("ana", SMS))
    assert telling.content.text == f"{name}|{message.participant_sid or author}"


async def test_an_author_called_like_the_sid_of_a_user_is_not_that_user(telling: Telling) -> None:
    world = telling.world
    room = await telling.quiet_room("ana", "ben")
    user = await world.do(UpdateUser, user="ana", friendly_name="Ana")
    await telling.configure(new_message_template="${PARTICIPANT}")
    await world.do(SendMessage, conversation=room.sid, author=user.sid, body="hello")
    await telling.perform()
    assert telling.content.text == user.sid


@pytest.mark.parametrize(("author", "name"), [("ana", OURS), (SMS, SMS), (OTHER_SMS, OTHER_SMS)])
async def test_in_a_group_text_an_author_is_named_by_his_number(telling: Telling, author: str, name: str) -> None:
    world = telling.world
    await telling.device("ben")
    room = await world.conversation()
    await telling.configure(new_message_template="${PARTICIPANT}|${PARTICIPANT_SID}")
    agents = {"identity": "ana", "projected_address": OURS}, {"identity": "ben", "projected_address": OTHER_OURS}
    for member in ({"address": SMS}, {"address": OTHER_SMS}, *agents):
        await world.do(AddParticipant, conversation=room.sid, **member)
    await world.do(UpdateUser, user="ana", friendly_name="Ana Banana")
    message = await world.do(SendMessage, conversation=room.sid, author=author, body="hello")
    await telling.perform()
    assert telling.content.text == f"{name}|{message.participant_sid}"


async def test_an_author_that_was_corrected_is_named_correctly(telling: Telling) -> None:
    world = telling.world
    room = await telling.quiet_room("ana", "ben")
    message = await world.do(SendMessage, conversation=room.sid, author="somebody", body="helo")
    await world.do(UpdateMessage, conversation=room.sid, message=message.sid, author="ana", body="hello")
    await telling.perform()
    assert (telling.content.text, telling.content.author) == (f"{room.sid}:ana: hello", "ana")


async def test_who_adds_is_named_with_his_participant(telling: Telling) -> None:
    world = telling.world
    room = await telling.quiet_room("ana")
    await telling.device("cleo")
    await telling.configure(added_template="${PARTICIPANT}|${PARTICIPANT_SID}")
    await world.do(UpdateUser, user="ana", friendly_name="Ana Banana")
    ana = await world.queries.participant(world.account, world.service, room.sid, "ana")
    await may_add(world, room, "ana")
    await world.do(AddParticipant, by=world.user("ana"), conversation=room.sid, identity="cleo")
    await telling.perform()
    assert telling.content.text == f"Ana Banana|{ana.sid}"


# --- devices


@pytest.mark.parametrize(
    ("types", "told"),
    [
        (None, ["new_message", "added_to_conversation", "removed_from_conversation"]),
        ((), []),
        (("new_message",), ["new_message"]),
        (
            ("added_to_conversation", "removed_from_conversation"),
            ["added_to_conversation", "removed_from_conversation"],
        ),
    ],
)
async def test_a_device_is_told_what_it_was_registered_for(
    telling: Telling, types: tuple[str, ...] | None, told: list[str]
) -> None:
    world = telling.world
    await telling.device("ben", types=types)
    room = await world.conversation("ben")
    await telling.perform()
    await world.send(room.sid)
    await telling.perform()
    await world.do(RemoveParticipant, conversation=room.sid, participant="ben")
    await telling.perform()
    assert {batch.content.kind for batch in telling.service.batches} == set(told)
    skipped = [one.answer for one in await telling.deliveries() if one.state == "skipped"]
    assert skipped == [SkipReason.UNWANTED] * (3 - len(told))


@pytest.mark.parametrize(
    ("device", "credential", "is_told"),
    [
        ("fcm", "fcm", True),
        ("gcm", "fcm", True),
        ("fcm", "gcm", True),
        ("gcm", "gcm", True),
        ("apn", "apn", True),
        ("apn", "fcm", False),
        ("fcm", "apn", False),
        ("fcm", "webpush", False),
        ("fcm", None, False),
        ("fcm", "CR" + "0" * 32, False),
    ],
)
async def test_a_device_is_told_under_a_credential_that_fits(
    telling: Telling, device: str, credential: str | None, is_told: bool
) -> None:
    known = credential is not None and not credential.startswith("CR")
    sid = (await telling.credential(str(credential))).sid if known else credential
    await telling.device("ben", kind=device, credential=sid)
    room = await telling.world.conversation("ben")
    await telling.perform()
    telling.service.forget()
    await telling.world.send(room.sid)
    await telling.perform()
    assert telling.service.told == (["ben's"] if is_told else [])
    assert await telling.answers() == {"ben": "200" if is_told else SkipReason.INACTIVE}


async def test_a_credential_of_another_service_of_the_account_fits(telling: Telling) -> None:
    other = await telling.world.in_new_service()
    elsewhere = Telling(other, PushSettings())
    elsewhere.credentials, elsewhere.service = telling.credentials, telling.service
    await elsewhere.everything_on()
    await elsewhere.device("ben")
    await telling.device("ben", "another's")
    room = await other.conversation("ben")
    await other.send(room.sid)
    await telling.perform()
    assert set(telling.service.told) == {"ben's"}


# --- only who is offline


@pytest.mark.parametrize("only_offline", [True, False])
@pytest.mark.parametrize("reachability", [True, False])
async def test_who_is_connected_is_told_unless_the_operator_wants_only_who_is_not(
    telling: Telling, only_offline: bool, reachability: bool
) -> None:
    world = telling.world
    world.engine = world.engine_with(Policy(base_url=BASE_URL, push_only_offline=only_offline))
    await world.do(ConfigureService, reachability_enabled=reachability)
    room = await telling.quiet_room("ben", "cleo")
    async with world.database.transaction() as connection:
        await Nodes(connection).add("one", world.clock.now() + 60_000_000)
    await world.do(ArriveUser, by=callers.system(world.account.account_sid), identity="ben", node="one")
    await world.send(room.sid)
    await telling.perform()
    # Who is connected is known only where reachability is on.
    is_left_out = only_offline and reachability
    assert telling.service.told == (["cleo's"] if is_left_out else ["ben's", "cleo's"])
    assert (await telling.answers())["ben"] == (SkipReason.ONLINE if is_left_out else "200")
    world.clock.advance(timedelta(seconds=61))
    telling.service.forget()
    await world.send(room.sid)
    await telling.perform()
    assert telling.service.told == ["ben's", "cleo's"], "a node that is dead has nobody connected"


# --- with files


@pytest.mark.parametrize(
    ("media", "body", "text"),
    [
        (True, "hello", "You have a new message in {room} with 1 media files: cat.png"),
        (True, None, "You have a new message in {room} with 1 media files: cat.png"),
        (False, "hello", "{room}:system: hello"),
        (False, None, None),
    ],
)
async def test_a_message_with_files_is_told_as_the_service_wants(
    telling: Telling, media: bool, body: str | None, text: str | None
) -> None:
    world = telling.world
    room = await telling.quiet_room("ben")
    await telling.configure(media_enabled=media)
    await send(world, room.sid, await upload(world), body=body)
    await telling.perform()
    assert telling.service.texts == ([] if text is None else [text.format(room=room.sid)])
    (notice,) = await telling.notices()
    assert (notice.why_nobody is None) == (text is not None)


# --- a test of the operator's


async def test_the_operator_tests_whether_somebody_can_be_reached(world: World) -> None:
    telling = Telling(world, PushSettings())  # whatever is switched off
    await telling.device("ben", types=())
    await telling.device("ben", "inactive", credential=None)
    await telling.device("eve")
    await world.connect("ben")
    notice = await world.do(TestPush, user="ben")
    await telling.perform()
    assert telling.service.told == ["ben's"]
    assert (notice.kind, notice.conversation_sid) == ("test", None)
    assert telling.content.message_type == "twilio.conversations.new_message"
    assert sorted(await telling.states()) == sorted(one.registration_sid for one in await telling.deliveries())
    assert sorted((await telling.states()).values()) == ["sent", "skipped"]
    with refused(50200, 404):
        await world.do(TestPush, user="nobody")


async def test_clients_plan_nothing(telling: Telling) -> None:
    room = await telling.quiet_room("ben")
    plan = PlanPush(
        account_sid=telling.world.account.account_sid,
        service_sid=telling.world.service,
        kind=PushKind.NEW_MESSAGE,
        subject_sid="IM",
        conversation_sid=room.sid,
        message_index=0,
        actor="ana",
    )
    with refused(50107, 403):
        await telling.world.do(PlanNotice, by=telling.world.user("ben"), plan=plan)
