"""A clock that is set back by an hour must not make anything last an hour longer."""

from __future__ import annotations

from datetime import timedelta

from tertulia.server.clock import Clock
from tertulia.server.domain import callers
from tertulia.server.domain.accounts import RevokeKey
from tertulia.server.domain.conversations import UpdateConversation
from tertulia.server.domain.webhooks import ConfigureHooks
from tertulia.server.engine.hook_directory import HookDirectory
from tertulia.server.engine.identities import Identities
from tertulia.server.engine.rates import Rates
from tertulia.server.engine.unit import Policy
from tertulia.server.storage.webhooks import Webhooks

from .world import BASE_URL, RecordingBus, World, refused


class Shifted:
    """The world's clock, as a machine tells it whose own is set."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.by = timedelta(0)

    def now(self) -> int:
        return self._clock.now() + self.by // timedelta(microseconds=1)


async def test_a_revoked_key_is_believed_no_longer_than_by_a_right_clock(world: World) -> None:
    clock = Shifted(world.clock)
    identities = Identities(world.database, world.sealer, clock)
    key = world.credentials.api_key_sid
    assert await identities.key(key) is not None
    await world.do(RevokeKey, by=callers.operator(), key=key)
    clock.by = timedelta(hours=-1)
    assert await identities.key(key) is None


async def test_who_was_refused_may_come_back_within_a_second(world: World) -> None:
    clock = Shifted(world.clock)
    world.engine = world.engine_with(Policy(base_url=BASE_URL), rates=Rates(clock, per_conversation=1))
    room = await world.conversation()
    await world.do(UpdateConversation, conversation=room.sid, friendly_name="one")
    with refused(50063, 429):
        await world.do(UpdateConversation, conversation=room.sid, friendly_name="two")
    clock.by = timedelta(hours=-1)
    with refused(50063, 429):  # counted anew: a whole second's worth is taken
        await world.do(UpdateConversation, conversation=room.sid, friendly_name="two")
    world.clock.advance(timedelta(seconds=1))
    await world.do(UpdateConversation, conversation=room.sid, friendly_name="two")


async def test_hooks_are_believed_no_longer_than_by_a_right_clock(world: World) -> None:
    """Where the news of their change was lost."""
    clock = Shifted(world.clock)
    directory = HookDirectory(RecordingBus(), clock)
    account = world.account.account_sid

    async def known() -> str | None:
        async with world.database.snapshot() as connection:
            hook = (await directory.of(Webhooks(connection), account, world.service)).of("onMessageAdded")
        return hook.post_url if hook is not None else None

    assert await known() is None
    await world.do(ConfigureHooks, post_url="http://127.0.0.1/hook")
    assert await known() is None
    clock.by = timedelta(hours=-1)
    assert await known() == "http://127.0.0.1/hook"
