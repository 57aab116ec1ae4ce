"""Users: oneself, and those one asks for."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tertulia.client import Conversation, User, UserField
from tertulia.client.errors import ForbiddenError, InvalidArgumentError, NotFoundError
from tertulia.client.events import UserSubscribed, UserUnsubscribed, UserUpdated
from tertulia.server.domain.users import DeleteUser, UpdateUser

from .stage import Stage, until


async def test_who_was_deleted_is_in_no_conversation(stage: Stage) -> None:
    sid = await stage.room("ana")
    ana = await stage.connect("ana")
    room = await ana.get_conversation(sid)
    await stage.world.do(DeleteUser, user="ana")
    await until(lambda: not ana.known_conversations)
    for wanted in (sid, "CH" + "0" * 32):
        with pytest.raises(NotFoundError):
            await ana.get_conversation(wanted)
    with pytest.raises((NotFoundError, InvalidArgumentError)):
        await room.ready(timeout=5)


async def test_ones_own_user_is_there_after_the_start_and_can_be_changed(stage: Stage) -> None:
    ana = stage.client("ana")
    await ana.start()
    assert (ana.me.identity, ana.me.is_subscribed, ana.identity) == ("ana", True, "ana")
    told: list[UserUpdated] = []
    ana.on(UserUpdated, told.append)
    await ana.me.update(friendly_name="Ana", attributes={"mood": "fine"})
    assert (ana.me.friendly_name, ana.me.attributes) == ("Ana", {"mood": "fine"})
    assert {UserField.FRIENDLY_NAME, UserField.ATTRIBUTES} <= {reason for event in told for reason in event.reasons}
    with pytest.raises(InvalidArgumentError):
        await ana.me.update()


async def test_names_can_be_taken_away(stage: Stage) -> None:
    [room] = await stage.hosted("ana")
    ana = await stage.connect("cid")
    things: list[tuple[Conversation | User, Callable[[], str | None]]] = [
        (room, lambda: room.friendly_name),
        (ana.me, lambda: ana.me.friendly_name),
    ]
    for thing, name in things:
        names = []
        for wish in ("a name", None, "another", ""):
            await thing.update(friendly_name=wish)
            names.append(name())
        assert names == ["a name", None, "another", None]
    again = await stage.connect("ana")
    assert (await again.get_conversation(room.sid)).friendly_name is None
    assert (await again.get_user("cid")).friendly_name is None


async def test_another_user_is_followed_from_when_he_is_asked_for(stage: Stage) -> None:
    await stage.world.connect("ben")
    ana = await stage.connect("ana")
    subscribed: list[User] = []
    ana.on(UserSubscribed, lambda event: subscribed.append(event.user))
    ben = await ana.get_user("ben")
    assert subscribed == [ben] and list(ana.subscribed_users) == ["ana", "ben"]
    assert await ana.get_user("ben") is ben
    await stage.world.do(UpdateUser, user="ben", friendly_name="Benedict")
    await until(lambda: ben.friendly_name == "Benedict")
    await ben.unsubscribe()
    assert not ben.is_subscribed and list(ana.subscribed_users) == ["ana"]
    await ana.me.unsubscribe()
    assert ana.me.is_subscribed
    with pytest.raises(ForbiddenError):
        await ben.update(friendly_name="Somebody")
    with pytest.raises(NotFoundError):
        await ana.get_user("nobody")


async def test_a_user_can_be_looked_at_without_being_followed(stage: Stage) -> None:
    await stage.world.connect("ben")
    await stage.world.do(UpdateUser, user="ben", friendly_name="Benedict")
    ana = await stage.connect("ana")
    ben = await ana.get_user("ben", subscribe=False)
    assert ben.friendly_name == "Benedict" and not ben.is_subscribed


async def test_the_user_of_a_participant_is_had_without_a_further_question(stage: Stage) -> None:
    mine, _ = await stage.hosted("ana", "ben")
    ben = mine.participant(identity="ben")
    assert ben is not None
    user = await ben.get_user()
    assert (user.identity, user.is_subscribed) == ("ben", True)


async def test_who_was_asked_for_first_is_let_go_first(stage: Stage) -> None:
    from tertulia.client.configuration import Options

    ana = await stage.connect("ana")
    limit = Options().user_infos_to_subscribe
    gone: list[str] = []
    ana.on(UserUnsubscribed, lambda event: gone.append(event.user.identity))
    for number in range(limit + 2):
        await stage.world.connect(f"u{number}")
        await ana.get_user(f"u{number}")
    assert gone == ["u0", "u1"] and len(ana.subscribed_users) == limit + 1


async def test_who_is_there_is_shown_when_the_service_tells(stage: Stage) -> None:
    from tertulia.server.domain.services import ConfigureService

    await stage.world.do(ConfigureService, reachability_enabled=True)
    ana = await stage.connect("ana")
    assert ana.reachability_enabled
    ben = await stage.connect("ben")
    user = await ana.get_user("ben")
    await until(lambda: user.is_online)
    await ben.shutdown()
    await until(lambda: user.is_online is False)
