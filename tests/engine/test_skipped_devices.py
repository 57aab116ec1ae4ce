"""What is kept of devices that are not told: enough to say why, however many there are (semantics 7.4)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tertulia.server.domain.memberships import UpdateMembership
from tertulia.server.domain.notices import DeliveryState, SkipReason
from tertulia.server.engine.notices import RENEWED
from tertulia.server.engine.push_explaining import PushExplaining
from tertulia.server.push.service import Verdict
from tertulia.server.settings import PushSettings
from tertulia.server.storage.paging import Page

from .telling import Telling
from .world import World


@pytest.fixture
async def telling(world: World) -> Telling:
    made = Telling(world, PushSettings())
    await made.everything_on()
    return made


async def whys(telling: Telling, sid: str) -> dict[str | None, str | None]:
    """By identity, why it did not ring."""
    asking = PushExplaining(telling.world.database, telling.world.clock, 7)
    return {one.identity: one.why_not for one in await asking.why(None, sid, Page(100))}


async def test_many_devices_that_cannot_be_told_are_one_row(telling: Telling) -> None:
    room = await telling.quiet_room("ana", "ben")
    for number in range(19):
        await telling.device("ben", f"none {number}", credential=None)
    for number in range(3):
        await telling.device("cleo", f"cleo's {number}", types=("added_to_conversation",))
    await telling.world.add(room.sid, "cleo")
    await telling.perform()
    message = await telling.world.send(room.sid, by=telling.world.user("ana"))
    await telling.perform()
    (notice,) = [one for one in await telling.notices() if one.subject_sid == message.sid]
    rows = [(one.identity, one.state, one.answer) for one in await telling.deliveries() if one.notice_sid == notice.sid]
    assert sorted(rows) == [
        ("ana", DeliveryState.SKIPPED, SkipReason.AUTHOR),
        ("ben", DeliveryState.SENT, "200"),
        ("ben", DeliveryState.SKIPPED, f"{SkipReason.INACTIVE} (and 18 more like it)"),
        ("cleo", DeliveryState.SKIPPED, f"{SkipReason.UNWANTED} (and 2 more like it)"),
    ]
    assert await whys(telling, message.sid) == {
        "ana": SkipReason.AUTHOR,
        "ben": None,
        "cleo": f"{SkipReason.UNWANTED} (and 2 more like it)",
    }


async def test_each_reason_of_somebodys_devices_is_told_once(telling: Telling) -> None:
    room = await telling.quiet_room("ana", "ben")
    await telling.device("ben", "ben's")
    await telling.device("ben", "none", credential=None)
    await telling.device("ben", "unwanted", types=("added_to_conversation",))
    await telling.device("ben", "another", credential=None)
    await telling.world.do(UpdateMembership, user="ben", conversation=room.sid, notification_level="muted")
    message = await telling.world.send(room.sid, by=telling.world.user("ana"))
    await telling.perform()
    assert (await whys(telling, message.sid))["ben"] == SkipReason.MUTED
    assert len([one for one in await telling.deliveries() if one.identity == "ben"]) == 1


@pytest.mark.parametrize("renewed", [True, False])
async def test_a_device_that_came_back_after_it_had_gone_is_not_called_gone(telling: Telling, renewed: bool) -> None:
    """Its registration stays, and what is told of it must not say that it was removed."""
    room = await telling.quiet_room("ana", "ben")
    gone_since = telling.world.clock.now()
    telling.world.clock.advance(timedelta(seconds=1))
    if renewed:
        await telling.device("ben", "ben's")
    telling.service.say("ben's", Verdict.GONE, answer="410 Unregistered", gone_since=gone_since)
    message = await telling.world.send(room.sid, by=telling.world.user("ana"))
    await telling.perform()
    (state,) = [one.state for one in await telling.deliveries() if one.identity == "ben"]
    registrations = await telling.world.count("push_registrations")
    why = (await whys(telling, message.sid))["ben"]
    if renewed:
        assert (state, registrations) == (DeliveryState.FAILED, 2)
        assert why == f"refused: 410 Unregistered: {RENEWED}"
    else:
        assert (state, registrations) == (DeliveryState.GONE, 1)
        assert why == "its push service knows the device no more: 410 Unregistered"
