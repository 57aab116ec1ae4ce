"""Why devices rang or did not: everybody concerned has an answer, and nothing secret is in it (semantics 7.4)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from tertulia.server.domain import callers
from tertulia.server.domain.accounts import CreateAccount
from tertulia.server.domain.callers import Caller
from tertulia.server.domain.conversations import DeleteConversation
from tertulia.server.domain.credentials import CreateCredential, Secrets
from tertulia.server.domain.memberships import UpdateMembership
from tertulia.server.domain.messages import DeleteMessage, Message
from tertulia.server.domain.notices import DeliveryState, PlanPush, RecordPushes, Result, SkipReason
from tertulia.server.domain.notifications import ConfigureNotifications
from tertulia.server.domain.participants import AddParticipant, JoinConversation, RemoveParticipant
from tertulia.server.domain.push import RegisterPush
from tertulia.server.domain.push_explained import Explanation
from tertulia.server.domain.secrets import Secret
from tertulia.server.domain.services import DeleteService
from tertulia.server.engine.notices import MESSAGE_GONE
from tertulia.server.engine.push_explaining import PushExplaining, key_of
from tertulia.server.jobs.push import PlanPerformer
from tertulia.server.jobs.push_log import PushLog
from tertulia.server.jobs.worker import Worker
from tertulia.server.storage.paging import Page

from .world import World, refused

BODY = "nobody but its readers sees this"
TOKEN = "4711-device-token"
LOG_DAYS = 7
ALL = Page(1000)


class Explained:
    """A service whose members are told of everything, and what is said of it afterwards."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.asking = PushExplaining(world.database, world.clock, LOG_DAYS)

    async def switch(self, *, on: bool) -> None:
        await self.world.do(ConfigureNotifications, new_message_enabled=on, added_enabled=on, removed_enabled=on)

    async def device(self, identity: str, number: int = 0, types: tuple[str, ...] | None = None) -> str:
        """SID of a registration that can be told."""
        made = await self.world.do(
            RegisterPush,
            by=msgspec.structs.replace(self.world.user(identity), push_credential_sid=self.credential),
            kind="fcm",
            address=f"{TOKEN} {identity} {number}",
            message_types=types,
        )
        return made.sid

    async def begin(self) -> None:
        made = await self.world.do(CreateCredential, kind="fcm", secrets=Secrets(secret="s"))
        self.credential: str = made.sid
        await self.switch(on=True)

    async def plan(self) -> None:
        """What was promised is planned, and nothing is sent."""
        world = self.world
        world.clock.advance(timedelta(seconds=1))
        await Worker(world.database, world.clock, {PlanPush: PlanPerformer(world.engine)}).run_due()

    async def say(self, room: str, by: Caller | None = None) -> Message:
        """A message of ana's whose telling is planned."""
        message = await self.world.send(room, BODY, by or self.world.user("ana"))
        await self.plan()
        return message

    async def record(self, sid: str, *results: Result) -> None:
        (notice,) = {one.notice.sid for one in await self.of(sid) if one.notice is not None}
        await self.world.engine.execute(
            callers.system(self.world.account.account_sid),
            RecordPushes(service=self.world.service, notice=notice, results=results),
        )

    async def of(self, sid: str, wanted: Page = ALL) -> list[Explanation]:
        return await self.asking.why(self.world.account.account_sid, sid, wanted)

    async def whys(self, sid: str) -> dict[str | None, str | None]:
        """By identity, why it did not ring."""
        return {one.identity: one.why_not for one in await self.of(sid)}


@pytest.fixture
async def explained(world: World) -> Explained:
    made = Explained(world)
    await made.begin()
    return made


# --- devices


@pytest.mark.parametrize(
    ("state", "answer", "why"),
    [
        (DeliveryState.SENT, "200", None),
        (DeliveryState.WAITING, "503", "not yet sent: 503"),
        (DeliveryState.GONE, "404 UNREGISTERED", "its push service knows the device no more: 404 UNREGISTERED"),
        (DeliveryState.FAILED, "400 INVALID_ARGUMENT", "refused: 400 INVALID_ARGUMENT"),
        (DeliveryState.EXPIRED, "no answer (connect_timeout)", "given up: no answer (connect_timeout)"),
        (DeliveryState.EXPIRED, "given up: no attempt ended in time", "given up: no attempt ended in time"),
        (DeliveryState.WITHDRAWN, "its registration was removed", "its registration was removed"),
    ],
)
async def test_what_became_of_a_device_says_why_it_did_not_ring(
    explained: Explained, state: DeliveryState, answer: str, why: str | None
) -> None:
    room = await explained.world.conversation("ana", "ben")
    device = await explained.device("ben")
    message = await explained.say(room.sid)
    assert await explained.whys(message.sid) == {"ana": "he is the author", "ben": "not yet sent"}
    await explained.record(message.sid, Result(device, state, answer))
    told = {one.identity: one for one in await explained.of(message.sid)}["ben"]
    assert (told.why_not, told.rang) == (why, state is DeliveryState.SENT)
    (shown,) = told.devices
    assert (shown.registration_sid, shown.kind, shown.credential_sid) == (device, "fcm", explained.credential)
    assert (shown.state, shown.attempts, shown.answer, shown.at) == (state, 1, answer, explained.world.clock.now())


async def test_one_device_that_rings_is_enough_and_the_others_say_what_became_of_them(explained: Explained) -> None:
    room = await explained.world.conversation("ana", "ben")
    devices = [await explained.device("ben", number) for number in range(3)]
    message = await explained.say(room.sid)
    failed = [Result(device, DeliveryState.FAILED, "400") for device in devices[:2]]
    await explained.record(message.sid, *failed)
    assert (await explained.whys(message.sid))["ben"] == "refused: 400; not yet sent"
    await explained.record(message.sid, Result(devices[2], DeliveryState.SENT, "200"))
    ben = (await explained.of(message.sid))[1]
    assert ben.rang
    assert [device.answer for device in ben.devices] == ["400", "400", "200"]


async def test_a_device_that_was_not_meant_says_why(explained: Explained) -> None:
    world = explained.world
    room = await world.conversation("ana", "ben", "cleo", "dora")
    for identity in ("ana", "ben"):
        await explained.device(identity)
    await explained.device("cleo", types=("added_to_conversation",))
    await world.do(RegisterPush, by=world.user("dora"), kind="fcm", address=TOKEN)
    await world.do(UpdateMembership, user="ben", conversation=room.sid, notification_level="muted")
    message = await explained.say(room.sid)
    assert await explained.whys(message.sid) == {
        "ana": SkipReason.AUTHOR,
        "ben": SkipReason.MUTED,
        "cleo": SkipReason.UNWANTED,
        "dora": SkipReason.INACTIVE,
    }


# --- those without a device that was told


async def test_who_had_no_device_or_came_later_is_told_so(explained: Explained) -> None:
    world = explained.world
    room = await world.conversation("ana", "ben")
    message = await explained.say(room.sid)
    await explained.device("ben")
    await world.add(room.sid, "cleo")
    await explained.device("cleo")
    assert await explained.whys(message.sid) == {
        "ana": "he is the author",
        "ben": "he had no device registered then",
        "cleo": "he joined after the message",
    }


async def test_who_joins_between_a_message_and_its_telling_came_later(explained: Explained) -> None:
    world = explained.world
    room = await world.conversation("ana", "ben")
    await explained.plan()
    await explained.device("cleo")
    message = await world.send(room.sid, BODY, world.user("ana"))
    world.clock.advance(timedelta(milliseconds=5))
    for identity in ("cleo", "dora"):
        await world.add(room.sid, identity)
    dora = "he joined after the message"
    assert (await explained.whys(message.sid))["dora"] == dora
    await explained.plan()
    whys = await explained.whys(message.sid)
    assert whys == {
        "ana": "he is the author",
        "ben": "he had no device registered then",
        "cleo": SkipReason.JOINED_LATER,
        "dora": dora,
    }


async def test_who_was_told_and_has_left_is_still_explained(explained: Explained) -> None:
    world = explained.world
    room = await world.conversation("ana", "ben", "cleo")
    device = await explained.device("ben")
    message = await explained.say(room.sid)
    await explained.record(message.sid, Result(device, DeliveryState.SENT, "200"))
    for identity in ("ben", "cleo"):
        await world.do(RemoveParticipant, conversation=room.sid, participant=identity)
    told = await explained.of(message.sid)
    assert [(one.identity, one.rang) for one in told] == [("ana", False), ("ben", True)]
    assert told[0].participant_sid is not None
    assert told[1].participant_sid is None


async def test_what_was_promised_and_not_looked_at_says_so_and_no_other_promise_counts(explained: Explained) -> None:
    world = explained.world
    room = await world.conversation("ana", "ben")
    await explained.plan()
    first, second = [await world.send(room.sid, by=world.user("ana")) for _ in range(2)]
    planned = {"ana": "he is the author", "ben": "planned, but not yet looked at"}
    assert await explained.whys(first.sid) == await explained.whys(second.sid) == planned
    await explained.switch(on=False)
    assert await explained.whys(second.sid) == planned
    await world.sql("DELETE FROM outbox WHERE payload LIKE $1", f"%{first.sid}%")
    off = "notifications of new messages are off in the service"
    assert (await explained.whys(first.sid))["ben"] == off
    assert await explained.whys(second.sid) == planned
    await world.sql("UPDATE outbox SET state = 'leased'")
    assert await explained.whys(second.sid) == planned


async def test_without_a_notice_the_settings_or_the_age_say_why(explained: Explained) -> None:
    world = explained.world
    room = await world.conversation("ana", "ben")
    await explained.plan()
    await explained.switch(on=False)
    message = await explained.say(room.sid)
    assert (await explained.whys(message.sid))["ben"] == "notifications of new messages are off in the service"
    await world.add(room.sid, "cleo")
    assert (await explained.whys(message.sid))["cleo"] == "he joined after the message"
    await explained.switch(on=True)
    then = "nothing was planned: notifications of new messages were off in the service then"
    assert (await explained.whys(message.sid))["ben"] == then
    world.clock.advance(timedelta(days=LOG_DAYS, seconds=1))
    known = "nothing is known: the log is kept for 7 days"
    assert (await explained.whys(message.sid))["ben"] == known
    await explained.switch(on=False)
    assert (await explained.whys(message.sid))["ben"] == known


async def test_what_the_log_has_forgotten_is_not_known(explained: Explained) -> None:
    world = explained.world
    room = await world.conversation("ana", "ben")
    message = await explained.say(room.sid)
    world.clock.advance(timedelta(days=LOG_DAYS + 1))
    await PushLog(world.database, world.clock, LOG_DAYS).trim()
    assert (await explained.whys(message.sid))["ben"] == "nothing is known: the log is kept for 7 days"


async def test_a_message_that_was_removed_before_it_was_told_says_so(explained: Explained) -> None:
    world = explained.world
    room = await world.conversation("ana", "ben")
    message = await world.send(room.sid, BODY, world.user("ana"))
    await world.do(DeleteMessage, conversation=room.sid, message=message.sid)
    await explained.plan()
    assert await explained.whys(message.sid) == {"ana": MESSAGE_GONE, "ben": MESSAGE_GONE}


# --- participants


async def test_who_was_added_and_removed_is_explained_by_each(explained: Explained) -> None:
    world = explained.world
    room = await world.conversation()
    device = await explained.device("ben")
    ben = await world.add(room.sid, "ben")
    assert [one.why_not for one in await explained.of(ben.sid)] == ["planned, but not yet looked at"]
    await explained.plan()
    (added,) = await explained.of(ben.sid)
    assert (added.identity, added.kind, added.participant_sid) == ("ben", "added_to_conversation", ben.sid)
    await explained.record(ben.sid, Result(device, DeliveryState.SENT, "200"))
    await world.do(RemoveParticipant, conversation=room.sid, participant="ben")
    planned = await explained.of(ben.sid)
    assert [(one.kind, one.why_not) for one in planned] == [
        ("added_to_conversation", None),
        ("removed_from_conversation", "planned, but not yet looked at"),
    ]
    await explained.plan()
    _, removed = await explained.of(ben.sid)
    assert (removed.identity, removed.participant_sid, removed.why_not) == ("ben", None, "not yet sent")


@pytest.mark.parametrize(
    ("on", "why"),
    [
        (False, "notifications of being added are off in the service"),
        (True, "nothing was planned: he joined by himself, or notifications of being added were off then"),
    ],
)
async def test_who_joined_by_himself_is_not_told(explained: Explained, on: bool, why: str) -> None:
    world = explained.world
    room = await world.conversation("ana")
    await world.do(UpdateMembership, user="ana", conversation=room.sid, notification_level="muted")
    await explained.device("ana")
    await world.do(RemoveParticipant, by=world.user("ana"), conversation=room.sid, participant="ana")
    ana = await world.do(JoinConversation, by=world.user("ana"), conversation=room.sid)
    await explained.plan()
    await explained.switch(on=on)
    assert [one.why_not for one in await explained.of(ana.sid)] == [why]


async def test_who_is_reached_by_an_address_has_no_devices(explained: Explained) -> None:
    room = await explained.world.conversation()
    made = await explained.world.do(
        AddParticipant, conversation=room.sid, address="+15550001111", proxy_address="+15550002222"
    )
    await explained.plan()
    (told,) = await explained.of(made.sid)
    assert (told.identity, told.why_not) == (None, "he is reached by an address, and has no devices")


async def test_who_had_no_device_when_he_was_added_and_removed(explained: Explained) -> None:
    world = explained.world
    room = await world.conversation("ben")
    ben = await world.do(AddParticipant, conversation=room.sid, identity="cleo")
    await world.do(RemoveParticipant, conversation=room.sid, participant="cleo")
    await explained.plan()
    told = await explained.of(ben.sid)
    assert [one.why_not for one in told] == ["he had no device registered then"] * 2


# --- who may ask


async def test_what_is_unknown_or_anothers_is_not_there(explained: Explained) -> None:
    world = explained.world
    room = await world.conversation("ana", "ben")
    await explained.device("ben")
    message = await explained.say(room.sid)
    participant = await world.queries.participant(world.account, world.service, room.sid, "ben")
    stranger = await world.engine.execute(
        callers.operator(), CreateAccount(friendly_name="another", auth_token=Secret("s" * 32))
    )
    asked: list[tuple[str | None, str, int]] = [
        (stranger.sid, message.sid, 50500),
        (stranger.sid, participant.sid, 50432),
        (world.account.account_sid, "IM" + "0" * 32, 50500),
        (world.account.account_sid, "MB" + "0" * 32, 50432),
        (None, "IM" + "0" * 32, 50500),
        (None, "%", 50500),
        (None, room.sid, 50500),
    ]
    for account, sid, code in asked:
        with refused(code):
            await explained.asking.why(account, sid, ALL)
    assert len(await explained.asking.why(None, message.sid, ALL)) == 2
    with refused(50432):
        await explained.asking.of_participant(None, message.sid, ALL)
    with refused(50500):
        await explained.asking.of_message(None, participant.sid, ALL)


async def test_what_is_deleted_with_its_place_is_explained_as_far_as_the_log_goes(explained: Explained) -> None:
    world = await explained.world.in_new_service()
    there = Explained(world)
    await there.begin()
    room = await world.conversation("ana", "ben", "cleo")
    await there.device("ben")
    message = await there.say(room.sid)
    await world.do(DeleteConversation, conversation=room.sid)
    assert await there.whys(message.sid) == {"ben": "not yet sent"}
    await world.do(DeleteService)
    with refused(50500):
        await there.of(message.sid)


# --- many


@pytest.mark.parametrize("count", [2, 1000])
@pytest.mark.parametrize("planned", [True, False])
async def test_a_page_takes_as_many_statements_whatever_the_members(
    explained: Explained, count: int, planned: bool
) -> None:
    world = explained.world
    names = [f"user-{number:04}" for number in range(count)]
    room = await world.conversation(*names)
    await explained.plan()
    for name in names[::2]:
        await explained.device(name)
    message = await world.send(room.sid, BODY)
    if planned:
        await explained.plan()
    seen: list[Explanation] = []
    after: str | None = None
    while True:
        before = world.database.statements
        page = await explained.of(message.sid, Page(100, after))
        assert world.database.statements - before <= 6
        seen += page
        if len(page) < 100:
            break
        after = key_of(page[-1])
    assert [one.identity for one in seen] == names
    whys = ["not yet sent", "he had no device registered then"] if planned else ["planned, but not yet looked at"] * 2
    assert [one.why_not for one in seen] == whys * (count // 2)


@pytest.mark.parametrize(
    ("wanted", "kinds"),
    [
        (Page(1), ["added_to_conversation"]),
        (Page(1, "added_to_conversation"), ["removed_from_conversation"]),
        (Page(2, "removed_from_conversation"), []),
        (Page(2, "removed_from_conversation", backward=True), ["added_to_conversation"]),
        (Page(1, "removed_from_conversation", backward=True, inclusive=True), ["removed_from_conversation"]),
        (Page(2, "added_to_conversation", inclusive=True), ["added_to_conversation", "removed_from_conversation"]),
    ],
)
async def test_the_notices_of_a_participant_are_paged_too(explained: Explained, wanted: Page, kinds: list[str]) -> None:
    world = explained.world
    room = await world.conversation()
    ben = await world.add(room.sid, "ben")
    await world.do(RemoveParticipant, conversation=room.sid, participant="ben")
    await explained.plan()
    assert [one.kind for one in await explained.of(ben.sid, wanted)] == kinds


@pytest.mark.parametrize("shown", [repr, msgspec.json.encode, str], ids=["repr", "json", "str"])
async def test_nothing_of_what_was_said_nor_of_how_a_device_is_reached_is_told(
    explained: Explained, shown: Callable[[Any], Any]
) -> None:
    room = await explained.world.conversation("ana", "ben")
    await explained.device("ben")
    message = await explained.say(room.sid)
    text = str(shown(await explained.of(message.sid)))
    assert "ben" in text
    assert BODY not in text
    assert TOKEN not in text
