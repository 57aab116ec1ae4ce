"""Arrivals: kept at once, once and for all; put into their conversation later (semantics 4.3, 4.6, 4.10)."""

from __future__ import annotations

import hashlib

import msgspec

from tertulia.server.domain.accounts import Account
from tertulia.server.domain.arrivals import (
    COPY_US,
    AcceptArrivals,
    Arrival,
    ArrivalState,
    Arriving,
    DropArrival,
    JoinParts,
    TakeIn,
    TakeMessage,
    Written,
)
from tertulia.server.domain.arriving import digest_of
from tertulia.server.domain.conversations import Conversation
from tertulia.server.domain.errors import ACCOUNT_SUSPENDED, NOT_PERMITTED, PARTICIPANT_NOT_FOUND, RESOURCE_NOT_FOUND
from tertulia.server.domain.media import Media, RemoveBlob
from tertulia.server.domain.messages import SendMessage
from tertulia.server.storage.arrivals import GroupArrival

from .arrival_parts import given_up, sorted_out
from .attachments import attachable
from .heeding import heed
from .messages import add_message
from .rules import handles
from .scenes import AccountScene, ConversationScene, in_account, in_conversation
from .serving import served
from .unit import Unit


@handles(AcceptArrivals, on=in_account, for_clients=False)
async def accept_arrivals(unit: Unit, command: AcceptArrivals, _scene: AccountScene) -> tuple[str, ...]:
    new = await served(unit, command.gateway, await _unknown(unit, command))
    # Locked for groups: copies of one message come at the same time, by several requests.
    is_locked = any(one.group_key is not None or one.content.part is not None for one in new)
    account = await _account(unit, is_locked=is_locked)
    whole = await sorted_out(unit, command.gateway, new, heeded=command.heeded)
    return await _keep(unit, account, command.gateway, whole, heeded=command.heeded)


@handles(JoinParts, on=in_account, for_clients=False)
async def join_parts(unit: Unit, command: JoinParts, _scene: AccountScene) -> tuple[str, ...]:
    account = await _account(unit, is_locked=True)
    whole = await given_up(unit, command.gateway, command.parts, heeded=command.heeded)
    return await _keep(unit, account, command.gateway, whole, heeded=command.heeded)


async def _account(unit: Unit, *, is_locked: bool) -> Account:
    account = await (unit.accounts.lock if is_locked else unit.accounts.get)(unit.caller.account_sid)
    if account is None:
        raise RESOURCE_NOT_FOUND()
    if account.suspended_at is not None:
        raise ACCOUNT_SUSPENDED()
    return account


async def _keep(
    unit: Unit, account: Account, gateway_sid: str, new: list[Arriving], *, heeded: frozenset[str]
) -> tuple[str, ...]:
    if not new:
        return ()
    copies = await _copies(unit, new)
    arrivals = [_arrival(unit, account, gateway_sid, one, is_copy=one.sid in copies) for one in new]
    await unit.arrivals.add_many(arrivals)
    await unit.last_heard.note_many(account.sid, {(one.recipient, one.sender): unit.now for one in new})
    await heed(unit, new, heeded=heeded)
    for arrival in arrivals:
        if arrival.content is not None:
            fetches = any(file.reference is not None for file in arrival.content.files)
            job = TakeIn(account_sid=account.sid, arrival_sid=arrival.sid, gateway_sid=gateway_sid, fetches=fetches)
            unit.enqueue(job, ordering_key=_order(arrival))
    return tuple(arrival.sid for arrival in arrivals if arrival.content is not None)


async def _unknown(unit: Unit, command: AcceptArrivals) -> list[Arriving]:
    """Those whose names the gateway has not used yet, each name once."""
    by_name = {one.provider_id: one for one in reversed(command.arriving)}
    known = await unit.arrivals.known(command.gateway, by_name)
    return [one for one in command.arriving if one.provider_id not in known and by_name[one.provider_id] is one]


def _arrival(unit: Unit, account: Account, gateway_sid: str, one: Arriving, *, is_copy: bool) -> Arrival:
    group_key = one.group_key
    return Arrival(
        sid=one.sid,
        account_sid=account.sid,
        gateway_sid=gateway_sid,
        provider_id=one.provider_id,
        sender=one.sender,
        recipient=one.recipient,
        content=None if is_copy else one.content,
        group_key=group_key,
        digest=digest_of(one.content) if group_key is not None else None,
        state=ArrivalState.COPY if is_copy else ArrivalState.WAITING,
        why=None,
        conversation_sid=None,
        message_sid=None,
        created_at=unit.now,
        updated_at=unit.now,
    )


async def _copies(unit: Unit, new: list[Arriving]) -> set[str]:
    """SIDs of those that other numbers of ours have got already.

    A number that has got the words n times gets, with the next, a copy while others have got them more often; so who
    says the same twice within the time is heard twice.
    """
    groups = {one.group_key for one in new if one.group_key is not None}
    heard = await unit.arrivals.to_groups(unit.caller.account_sid, groups, unit.now - COPY_US)
    copies: set[str] = set()
    for one in new:
        if one.group_key is None:
            continue
        digest = digest_of(one.content)
        alike = [
            other
            for other in heard
            if (other.group_key, other.sender) == (one.group_key, one.sender)
            and (other.digest == digest or other.provider_id == one.provider_id)
        ]
        is_copy = sum(not other.is_copy for other in alike) > sum(other.recipient == one.recipient for other in alike)
        if is_copy:
            copies.add(one.sid)
        heard.append(GroupArrival(is_copy, one.provider_id, one.sender, one.recipient, one.group_key, digest))
    return copies


def _order(arrival: Arrival) -> str:
    """Messages of one person to one number, and of one group, are taken in one after the other."""
    names = arrival.group_key or f"{arrival.sender} {arrival.recipient}"
    digest = hashlib.sha256(f"{arrival.account_sid} {names}".encode()).hexdigest()
    return f"in/{digest[:32]}"


@handles(TakeMessage, on=in_conversation, pre_hook="onMessageAdd", for_clients=False, for_channels=True)
async def take_message(unit: Unit, command: TakeMessage, scene: ConversationScene) -> str | None:
    arrival = await waiting(unit, command.arrival)
    if arrival is None:
        return None
    conversation = scene.conversation
    conversation.require_open()
    speaker_sid = await unit.participants.speaker(conversation, arrival.sender, arrival.recipient)
    if speaker_sid is None:
        raise PARTICIPANT_NOT_FOUND()
    if command.author is None or command.author == arrival.sender:
        return await write(unit, command, arrival, conversation, author=arrival.sender, participant_sid=speaker_sid)
    authored = await unit.participants.authored(conversation, command.author)
    return await write(unit, command, arrival, conversation, author=command.author, participant_sid=authored)


@handles(DropArrival, on=in_account, for_clients=False)
async def drop_arrival(unit: Unit, command: DropArrival, _scene: AccountScene) -> None:
    arrival = await waiting(unit, command.arrival)
    if arrival is not None:
        await _settle(unit, arrival, state=ArrivalState.DROPPED, why=command.why)


async def write(
    unit: Unit,
    command: Written,
    arrival: Arrival,
    conversation: Conversation,
    *,
    author: str,
    participant_sid: str | None,
) -> str:
    """The arrival becomes a message of the conversation, and is done with; the message's SID."""
    wish = SendMessage(
        service=conversation.service_sid,
        conversation=conversation.sid,
        subject=command.subject,
        attributes=command.attributes,
    )
    files: tuple[Media, ...] = ()
    if command.media_sids:
        files = await attachable(unit, conversation.service_sid, command.media_sids)
    message = await add_message(
        unit,
        wish,
        conversation,
        author=author,
        participant_sid=participant_sid,
        body=command.body or None,
        files=files,
    )
    await _settle(
        unit,
        arrival,
        state=ArrivalState.TAKEN,
        conversation_sid=message.conversation_sid,
        message_sid=message.sid,
    )
    return message.sid


async def _settle(
    unit: Unit,
    arrival: Arrival,
    *,
    state: ArrivalState,
    why: str | None = None,
    conversation_sid: str | None = None,
    message_sid: str | None = None,
) -> None:
    """What it says is forgotten, and so are the bytes that waited for it."""
    settled = msgspec.structs.replace(
        arrival,
        content=None,
        state=state,
        why=why,
        conversation_sid=conversation_sid,
        message_sid=message_sid,
        updated_at=unit.now,
    )
    await unit.arrivals.save(settled, arrival)
    for blob in arrival.blobs:
        unit.enqueue(RemoveBlob(blob=blob))


async def waiting(unit: Unit, sid: str) -> Arrival | None:
    """The arrival, locked; None when it is dealt with, or forgotten. Nobody takes in what another has written."""
    arrival = await unit.arrivals.get(sid, lock=True)
    if arrival is None or arrival.state is not ArrivalState.WAITING:
        return None
    if arrival.account_sid != unit.caller.account_sid or unit.caller.address not in (None, arrival.sender):
        raise NOT_PERMITTED("This was written by somebody else")
    return arrival
