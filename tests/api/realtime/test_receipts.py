"""What a connected client hears when a message goes on its way (realtime 11.4, semantics 4.11)."""

from __future__ import annotations

from typing import Any

import pytest

from tertulia.server.domain.participants import AddParticipant
from tertulia.server.domain.receipts import ExpectReceipts, RecordReceipt

from .client import wish
from .conftest import Here
from .rooms import Room

WORDS = {"sent": "none", "delivered": "none", "read": "none", "undelivered": "none", "failed": "none"}


@pytest.mark.owner_demand(25)
async def test_a_client_sees_how_far_its_message_has_come(here: Here) -> None:
    world = here.world
    room = Room(here, await world.conversation("ana"))
    peer = await here.peer()
    await peer.follow(f"{room.sid}.messages")
    sent = await peer.send_message(room.sid, "hello")
    # After the message: nothing goes out, and what is reported is the test's.
    outsider = await world.do(
        AddParticipant, conversation=room.sid, address="+15550000001", proxy_address="+15550009999"
    )
    there: dict[str, Any] = {"conversation": room.sid, "message": sent["sid"]}
    await world.do(ExpectReceipts, **there, participants=(outsider.sid,))
    for status in ("sent", "sent", "delivered", "sent", "read"):
        await world.do(RecordReceipt, **there, receipt=outsider.sid, status=status)
    await peer.until(lambda: len(peer.events) >= 5)
    await peer.quiet()
    added, *updated = peer.events
    assert (added.type, added.body["item_data"]["delivery"]) == ("list_item_added", None)
    assert {event.type for event in updated} == {"list_item_updated"}
    assert [event.number for event in updated] == [1, 2, 3, 4]
    total = {"total": 1, **WORDS}
    assert [event.body["item_data"].pop("delivery") for event in updated] == [
        total,
        total | {"sent": "all"},
        total | {"sent": "all", "delivered": "all"},
        total | {"sent": "all", "delivered": "all", "read": "all"},
    ]
    # Nothing else of the message changes, so that clients give ``deliveryReceipt`` as the only reason.
    message = {name: value for name, value in added.body["item_data"].items() if name != "delivery"}
    assert all(event.body["item_data"] == message for event in updated)
    found = await peer.get(sent["links"]["messages_receipts"])
    assert [one["status"] for one in found["delivery_receipts"]] == ["read"]


async def test_a_client_that_was_away_finds_what_its_messages_have_come_to(here: Here) -> None:
    world = here.world
    room = Room(here, await world.conversation("ana"))
    (sid,) = await room.say("hello")
    outsider = await world.do(
        AddParticipant, conversation=room.sid, address="+15550000001", proxy_address="+15550009999"
    )
    there: dict[str, Any] = {"conversation": room.sid, "message": sid, "service": world.service}
    await world.do(ExpectReceipts, **there, participants=(outsider.sid,))
    peer = await here.peer()
    await peer.establish(wish(room.messages, 0))
    await world.do(RecordReceipt, **there, receipt=outsider.sid, status="failed", error_code=30007)
    await peer.until(lambda: len(peer.events) == 2)
    assert [event.body["item_data"]["delivery"]["failed"] for event in peer.events] == ["none", "all"]
    assert [event.is_live for event in peer.events] == [False, True]
