"""What is owed to a suspended account waits, both ways, and is done when it is served again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tertulia.server.domain.messages import SendMessage
from tertulia.server.engine.channel_queries import ChannelQueries
from tertulia.server.engine.media_links import MediaLinks
from tertulia.server.engine.media_store import MediaStore
from tertulia.server.jobs.channels import channel_performers
from tertulia.server.jobs.worker import Worker
from tertulia.server.outgoing import Outgoing
from tertulia.server.settings import ChannelsSettings, MediaSettings, Settings
from tests.contract.channels.heard import HeardChannel

from .inbound import FOLDER, Inbound
from .world import BASE_URL

SUSPEND = "UPDATE accounts SET suspended_at = 1"
REINSTATE = "UPDATE accounts SET suspended_at = NULL"
HOUR = timedelta(hours=1)


def sending(inbound: Inbound) -> Worker:
    """Does what is to go out, by the gateways that there are."""
    world = inbound.world
    links = MediaLinks(world.sealer, world.clock)
    store = MediaStore(
        world.engine, world.queries.media, links, inbound.blobs, None, world.new_sid, MediaSettings(), FOLDER
    )
    queries = ChannelQueries(world.database)
    performers: dict[Any, Any] = channel_performers(
        world.engine, queries, inbound.channels, store, world.clock, ChannelsSettings(), BASE_URL, Outgoing(Settings())
    )
    return Worker(world.database, world.clock, performers)


async def test_an_arrival_that_is_kept_already_is_taken_in_when_its_account_is_served_again(inbound: Inbound) -> None:
    room, _ = await inbound.pair()
    await inbound.hears("before")
    await inbound.world.sql(SUSPEND)
    await inbound.settle()
    assert await inbound.states() == ["waiting"]
    for _ in range(6 * 24):
        inbound.world.clock.advance(HOUR)
        await inbound.settle()
    assert await inbound.states() == ["waiting"]
    await inbound.world.sql(REINSTATE)
    inbound.world.clock.advance(HOUR)
    await inbound.settle()
    assert await inbound.bodies(room.sid) == ["before"]


async def test_the_promise_ends_with_what_it_is_about(inbound: Inbound) -> None:
    await inbound.pair()
    await inbound.hears("before")
    await inbound.world.sql(SUSPEND)
    await inbound.settle()
    assert await inbound.owed("TakeIn") == 1
    await inbound.world.sql("DELETE FROM arrivals")
    inbound.world.clock.advance(HOUR)
    await inbound.settle()
    assert await inbound.owed("TakeIn") == 0


async def test_what_was_to_go_out_goes_out_when_the_account_is_served_again(inbound: Inbound) -> None:
    HeardChannel.sent.clear()
    room, _ = await inbound.pair()
    await inbound.world.do(SendMessage, conversation=room.sid, author="us", body="hello")
    await inbound.world.sql(SUSPEND)
    worker = sending(inbound)
    await worker.run_due()
    assert (HeardChannel.sent, await inbound.owed("SendOnChannel")) == ([], 1)
    await inbound.world.sql(REINSTATE)
    inbound.world.clock.advance(HOUR)
    await worker.run_due()
    assert [message.text for message in HeardChannel.sent] == ["hello"]


async def test_what_is_of_no_use_any_more_does_not_go_out(inbound: Inbound) -> None:
    HeardChannel.sent.clear()
    room, _ = await inbound.pair()
    await inbound.world.do(SendMessage, conversation=room.sid, author="us", body="hello")
    await inbound.world.sql(SUSPEND)
    worker = sending(inbound)
    for _ in range(5):
        await worker.run_due()
        inbound.world.clock.advance(HOUR)
    await inbound.world.sql(REINSTATE)
    await worker.run_due()
    async with inbound.world.database.snapshot() as connection:
        assert await connection.rows("SELECT status, error_code FROM receipts") == [("failed", 30410)]
    assert HeardChannel.sent == []
