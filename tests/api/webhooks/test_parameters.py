"""The parameters of each event, exactly: of the optional ones those that have a value (semantics 1.4, 1.6)."""

from __future__ import annotations

from typing import Final

import pytest

from tertulia.server.domain import callers
from tertulia.server.domain.conversations import CreateConversation, DeleteConversation, UpdateConversation
from tertulia.server.domain.memberships import UpdateMembership
from tertulia.server.domain.messages import DeleteMessage, SendMessage, UpdateMessage
from tertulia.server.domain.participants import AddParticipant, JoinConversation, RemoveParticipant, UpdateParticipant
from tertulia.server.domain.presence import ArriveUser
from tertulia.server.domain.push import RegisterPush
from tertulia.server.domain.receipts import ExpectReceipts, RecordReceipt
from tertulia.server.domain.users import UpdateUser
from tertulia.server.domain.webhooks import EVENTS
from tertulia.server.storage.presence import Nodes
from tests.api.webhooks.conftest import Site
from tests.api.webhooks.receiver import Told

COMMON: Final = "AccountSid EventType Source ClientIdentity RetryCount ChatServiceSid"
OF_THE_SYSTEM: Final = "AccountSid EventType Source RetryCount ChatServiceSid"
_CONVERSATION: Final = "FriendlyName UniqueName Attributes MessagingServiceSid State"
_BORN: Final = "ConversationSid DateCreated DateUpdated"
_MESSAGE: Final = "ConversationSid Body Author ParticipantSid Attributes"
_CHAT: Final = "ConversationSid Identity RoleSid Attributes MessagingBinding.Type"
_USER: Final = "UserSid Identity RoleSid Attributes FriendlyName"

EXPECTED: Final = {
    "onConversationAdd": _CONVERSATION,
    "onConversationAdded": f"{_BORN} {_CONVERSATION}",
    "onConversationUpdate": f"{_BORN} {_CONVERSATION}",
    "onConversationUpdated": f"{_BORN} {_CONVERSATION}",
    "onConversationRemove": f"{_BORN} {_CONVERSATION}",
    "onConversationRemoved": f"{_BORN} {_CONVERSATION} DateRemoved",
    "onConversationStateUpdated": "ConversationSid StateUpdated StateFrom StateTo Reason MessagingServiceSid",
    "onMessageAdd": _MESSAGE,
    "onMessageAdded": f"{_MESSAGE} MessageSid MessagingServiceSid Index DateCreated",
    "onMessageUpdate": f"{_MESSAGE} MessageSid Index DateCreated DateUpdated",
    "onMessageUpdated": f"{_MESSAGE} MessageSid Index DateCreated DateUpdated",
    "onMessageRemove": f"{_MESSAGE} MessageSid Index DateCreated DateUpdated",
    "onMessageRemoved": f"{_MESSAGE} MessageSid Index DateCreated DateUpdated DateRemoved",
    "onParticipantAdd": _CHAT,
    "onParticipantAdded": f"{_CHAT} ParticipantSid DateCreated",
    "onParticipantUpdate": f"{_CHAT} ParticipantSid DateCreated DateUpdated",
    "onParticipantUpdated": f"{_CHAT} ParticipantSid DateCreated DateUpdated LastReadMessageIndex",
    "onParticipantRemove": f"{_CHAT} ParticipantSid DateCreated DateUpdated",
    "onParticipantRemoved": f"{_CHAT} ParticipantSid DateCreated DateUpdated DateRemoved",
    "onDeliveryUpdated": "ConversationSid MessageSid DeliveryReceiptSid ChannelMessageSid ParticipantSid Status"
    " ErrorCode DateCreated DateUpdated",
    "onUserAdded": "UserSid DateCreated Identity RoleSid Attributes",
    "onUserUpdate": f"{_USER} DateUpdated",
    "onUserUpdated": f"{_USER} DateCreated DateUpdated",
}
"""Beside the common ones. A user made by the way has no friendly name yet."""


@pytest.fixture
async def told(site: Site) -> dict[str, Told]:
    """What a receiver is asked and told last, by event, when everything happens once that can."""
    await site.change("/v1/Configuration", {"DefaultMessagingServiceSid": "MG" + "0" * 32})
    await site.hooks(*sorted(EVENTS), pre="/pre", post="/post")
    await site.connect("ana")
    wish = {"friendly_name": "Plans", "unique_name": "plans"}
    room = (await site.do(CreateConversation, by="ana", **wish)).sid
    await site.do(JoinConversation, by="ana", conversation=room)
    number = await site.do(
        AddParticipant, by="ana", conversation=room, address="+15550001111", proxy_address="+15550002222"
    )
    await site.settle()
    on_channel = {one.event: one for one in site.receiver.told if "MessagingBinding.Address" in one.fields}
    await site.do(AddParticipant, by="ana", conversation=room, identity="ben")
    message = await site.do(SendMessage, by="ana", conversation=room, body="one")
    await site.do(UpdateMessage, by="ana", conversation=room, message=message.sid, body="two")
    await site.do(UpdateParticipant, by="ana", conversation=room, participant="ana", attributes='{"x":1}')
    await site.do(UpdateMembership, by="ana", user="ana", conversation=room, last_read_index=0)
    here = {"conversation": room, "message": message.sid}
    system = callers.system(site.account.account_sid)
    await site.do(ExpectReceipts, by=system, **here, participants=(number.sid,))
    await site.do(
        RecordReceipt, by=system, **here, receipt=number.sid, status="sent", channel_message_sid="SM" + "1" * 32
    )
    await site.do(UpdateConversation, by="ana", conversation=room, attributes='{"x":1}')
    await site.do(DeleteMessage, by="ana", **here)
    await site.do(RemoveParticipant, by="ana", conversation=room, participant="ben")
    await site.do(UpdateUser, by="ana", user="ana", friendly_name="Ana", attributes='{"x":1}')
    await site.change(f"/Conversations/{room}", {"Timers.Inactive": "PT1M"})
    await site.pass_time(minutes=2)
    await site.do(DeleteConversation, by="ana", conversation=room)
    await site.settle()
    return {one.event: one for one in site.receiver.told} | {
        f"{name} on a channel": on_channel[name] for name in on_channel
    }


async def test_every_event_has_the_parameters_of_its_table(told: dict[str, Told]) -> None:
    assert EXPECTED.keys() == EVENTS
    for name, expected in EXPECTED.items():
        is_of_the_system = name in ("onConversationStateUpdated", "onDeliveryUpdated")
        common = OF_THE_SYSTEM if is_of_the_system else COMMON
        assert told[name].fields.keys() == set(f"{common} {expected}".split()), name
        assert "" not in told[name].fields.values(), name
        assert told[name]["Source"] == ("API" if is_of_the_system else "SDK"), name


@pytest.mark.parametrize("event", ["onParticipantAdd", "onParticipantAdded"])
async def test_somebody_on_a_channel_is_told_with_his_addresses(told: dict[str, Told], event: str) -> None:
    fields = told[f"{event} on a channel"].fields
    assert fields["MessagingBinding.Address"] == "+15550001111"
    assert fields["MessagingBinding.ProxyAddress"] == "+15550002222"
    assert fields["MessagingBinding.Type"] == "SMS"
    assert not {"Identity", "RoleSid", "MessagingBinding.ProjectedAddress"} & fields.keys()


async def test_who_comes_and_can_be_notified_is_told_of_his_user(site: Site) -> None:
    await site.change(f"/v1/Services/{site.account.service_sid}/Configuration", {"ReachabilityEnabled": "true"})
    await site.hooks("onUserUpdate", "onUserUpdated", pre="/pre", post="/post")
    await site.connect("ana")
    made = await site.account.made("/v1/Credentials", {"Type": "fcm", "Secret": "of a test"})
    async with site.world.database.transaction() as connection:
        await Nodes(connection).add("one", site.world.clock.now() + 60_000_000)
    await site.do(ArriveUser, by=callers.system(site.account.account_sid), identity="ana", node="one")
    device = callers.identity(
        site.account.account_sid, site.account.service_sid, "ana", push_credential_sid=made["sid"]
    )
    await site.server.engine.execute(device, RegisterPush(kind="fcm", address="phone"))
    await site.do(UpdateUser, by="ana", user="ana", friendly_name="Ana")
    await site.settle()
    asked = [one for one in site.receiver.told if one.path == "/pre"]
    told = [one.fields for one in site.receiver.told if one.path == "/post"]
    assert [(one["isOnline"], one.get("isNotifiable"), one["Source"]) for one in told] == [
        ("true", None, "API"),
        ("true", "true", "SDK"),
        ("true", "true", "SDK"),
    ]
    # Only what he himself changes is asked about, and without what he cannot change.
    assert [one["FriendlyName"] for one in asked] == ["Ana"]
    assert not {"isOnline", "isNotifiable"} & asked[0].fields.keys()
