"""What deleted things leave is removed in steps: each is one short transaction, and others get their turn between them.

A step that is told to go on promises the next ones. Since it looks for itself what is left, a step that was interrupted
is simply done again.
"""

from __future__ import annotations

from typing import Final

import msgspec

from tertulia.server.domain.conversations import RemoveConversationRemains, SweepConversation
from tertulia.server.domain.jobs import Job
from tertulia.server.domain.services import RemoveServiceRemains, SweepService
from tertulia.server.domain.users import RemoveUserRemains, SweepUser
from tertulia.server.storage.remains import Gone

from .attachments import let_go
from .participants import remove_from
from .rules import handles
from .scenes import AccountScene, in_account
from .unit import Unit

SWEEPING: Final = "sweep"
"""One thing is swept at a time: nobody waits for it, and it should not be felt."""


def promise_sweep(unit: Unit, job: Job) -> None:
    """What was deleted is swept, after what was promised before."""
    unit.enqueue(job, ordering_key=SWEEPING)


@handles(RemoveConversationRemains, on=in_account, for_clients=False)
async def remove_conversation_remains(unit: Unit, command: RemoveConversationRemains, _scene: AccountScene) -> int:
    if await unit.conversations.get(command.conversation) is not None:
        return 0  # it is there: nothing of it is left over
    gone = _all_of(unit, await unit.remains.of_conversation(command.conversation, command.most))
    if gone and command.goes_on:
        promise_sweep(
            unit, SweepConversation(account_sid=unit.caller.account_sid, conversation_sid=command.conversation)
        )
    return gone


@handles(RemoveServiceRemains, on=in_account, for_clients=False)
async def remove_service_remains(unit: Unit, command: RemoveServiceRemains, _scene: AccountScene) -> int:
    if await unit.services.find(unit.caller.account_sid, command.service_sid) is not None:
        return 0
    gone = _all_of(unit, await unit.remains.of_service(command.service_sid, command.most))
    if gone and command.goes_on:
        promise_sweep(unit, SweepService(account_sid=unit.caller.account_sid, service_sid=command.service_sid))
    return gone


def _all_of(unit: Unit, gone: Gone) -> int:
    """How much went, when the bytes of the files among it are promised to go as well."""
    let_go(unit, gone.media)
    return gone.rows


@handles(RemoveUserRemains, on=in_account, for_clients=False)
async def remove_user_remains(unit: Unit, command: RemoveUserRemains, _scene: AccountScene) -> int:
    if await unit.users.get(command.user_sid) is not None:
        return 0
    gone = await leave_some(unit, command.user_sid, command.most, is_gone=True)
    if gone and command.goes_on:
        promise_sweep(unit, SweepUser(account_sid=unit.caller.account_sid, user_sid=command.user_sid))
    return gone


async def leave_some(unit: Unit, user_sid: str, most: int, *, is_gone: bool) -> int:
    """Take a user out of some of his conversations; of how many.

    The conversations are locked before anything is written of the user (architecture 4). One that is gone has a map
    no longer, so nothing is written in it.
    """
    participants = await unit.memberships.of_user(user_sid, most)
    conversations = await unit.conversations.lock_many([one.conversation_sid for one in participants])
    for participant in participants:
        conversation = conversations.get(participant.conversation_sid)
        if conversation is None:
            await unit.participants.remove(participant)
            continue
        if is_gone:
            participant = msgspec.structs.replace(participant, listed_created=None)
        await remove_from(unit, conversation, participant)
    return len(participants)
