"""What became of a message, as our own client and the official one see it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tertulia.server.domain.receipts import ExpectReceipts, RecordReceipt
from tests.cli.command import Credentials
from tests.client.stage import Stage, until
from tests.engine.world import new_world

from .companion import companion

SDKS = {"3.0.1": "@twilio/conversations", "2.6.5": "conversations-2"}

pytestmark = [pytest.mark.node, pytest.mark.parametrize("sdk", SDKS.values(), ids=SDKS)]


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """A server in this process: what reports receipts, a channel, is played by its engine."""
    async with new_world() as world:
        stage = Stage(world, tmp_path / "blobs")
        await stage.open()
        try:
            yield stage
        finally:
            await stage.close()


async def test_both_see_the_same_receipts_in_sum_and_in_detail(node: str, stage: Stage, sdk: str) -> None:
    [room] = await stage.hosted("ana")
    await stage.world.add(room.sid, "ben")
    ws_url = f"ws://127.0.0.1:{stage.port}/v3/wsconnect"
    known = Credentials("", "", "", "", "", stage.url, ws_url)
    async with companion(node, sdk, known, stage.token("ben")) as other:
        await other.do("enter", room.sid)
        message = await room.send("over the air")
        await other.hears("messageAdded", index=0)
        # After the message: nothing goes out, and what is reported is the test's.
        outsider = await room.add_address_participant("+15550001111", "+15550002222")
        assert outsider is not None
        there = {"conversation": room.sid, "message": message.sid}
        await stage.world.do(ExpectReceipts, **there, participants=(outsider.sid,))
        for status in ("sent", "delivered"):
            await stage.world.do(RecordReceipt, **there, receipt=outsider.sid, status=status)
        told = await other.hears("messageUpdated", index=0, delivery={"total": 1, "delivered": "all"})
        assert told["updateReasons"] == ["deliveryReceipt"]
        await until(lambda: message.delivery is not None and message.delivery.delivered == "all")
        mine = [
            {
                "sid": receipt.sid,
                "status": receipt.status,
                "participantSid": receipt.participant_sid,
                "messageSid": receipt.message_sid,
            }
            async for receipt in message.delivery_receipts()
        ]
        assert mine == await other.do("receipts", 0) and mine[0]["status"] == "delivered"
