"""Reading what is to be sent on a channel, as it is now."""

from __future__ import annotations

import msgspec

from tertulia.server.domain.addresses import EMAIL
from tertulia.server.domain.attachments import parts_of
from tertulia.server.domain.channel_messages import ENDED, ChannelRecord, ChannelState, SendOnChannel
from tertulia.server.domain.channel_rules import Case, Person
from tertulia.server.domain.content import Content
from tertulia.server.domain.gateways import Sender
from tertulia.server.domain.media import Media
from tertulia.server.domain.messages import Message
from tertulia.server.storage.channel_messages import ChannelMessages
from tertulia.server.storage.channel_reads import ChannelReads, Heard
from tertulia.server.storage.content import Contents
from tertulia.server.storage.conversations import Conversations
from tertulia.server.storage.database import Connection, Database
from tertulia.server.storage.media import MediaFiles
from tertulia.server.storage.messages import Messages

from .gateway_directory import simulator_of


class Reading(msgspec.Struct, frozen=True):
    """What a channel message needs. Printed without content."""

    case: Case
    sender: Sender | None
    """None: it is none of ours; or the account has none at all, and the simulator serves every address."""
    gateway_sid: str | None
    """Who serves the sender now; None: nobody does that it was meant for."""

    @property
    def record(self) -> ChannelRecord:
        return self.case.record

    def __repr__(self) -> str:
        return f"Reading({self.record.sid}, ***)"


class ChannelQueries:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def due(self, job: SendOnChannel) -> Reading | None:
        """What is to be sent, all of one moment; None when it was sent, refused or removed.

        At most nine statements, however many people it goes to.
        """
        async with self._database.snapshot() as connection:
            record = await ChannelMessages(connection).get(job.channel_message_sid)
            if record is None or ChannelState(record.state) in ENDED:
                return None
            reads = ChannelReads(connection)
            sender, has_any = await reads.sender(record.account_sid, record.sender)
            gateway_sid = _served_by(record, sender, has_any=has_any)
            case = Case(record=record, is_ours=gateway_sid is not None)
            if record.conversation_sid is not None and record.message_sid is not None:
                case = await _of_message(connection, case, sender, record.conversation_sid, record.message_sid)
        return Reading(case, sender, gateway_sid)


def _served_by(record: ChannelRecord, sender: Sender | None, *, has_any: bool) -> str | None:
    """The gateway it leaves by.

    What was promised while the account had no sender is simulated or not sent at all, and nothing else is simulated:
    nobody is told that a person has got what no gateway has seen, and nobody gets what was meant for a phone of ours.
    """
    if record.gateway_sid == simulator_of(record.account_sid):
        return None if has_any else record.gateway_sid
    return None if sender is None else sender.gateway_sid


async def _of_message(
    connection: Connection, case: Case, sender: Sender | None, conversation_sid: str, message_sid: str
) -> Case:
    conversation = await Conversations(connection).get(conversation_sid)
    message = None if conversation is None else await Messages(connection).find(conversation_sid, message_sid)
    if conversation is None or message is None:
        return case
    reads, earlier = ChannelReads(connection), []
    if case.record.kind == EMAIL:
        earlier = await reads.earlier(conversation_sid, message.index)
    return msgspec.structs.replace(
        case,
        people=await _people(reads, case.record, sender),
        message=message,
        conversation=conversation,
        files=await _files(connection, message),
        content=await _content(connection, message),
        earlier=tuple(earlier),
    )


async def _people(reads: ChannelReads, record: ChannelRecord, sender: Sender | None) -> tuple[Person, ...]:
    standing = await reads.standing(record.sid)
    key = record.sender if sender is None else sender.opt_out_key
    known = await reads.heard(record.account_sid, record.sender, key, record.recipients)
    heard = {address: known.get(address, Heard()) for address in record.recipients}
    return tuple(
        Person(
            participant_sid=one.participant_sid,
            address=address,
            is_member=one.is_member,
            is_copy=one.email_level == "cc",
            is_opted_out=heard[address].is_opted_out,
            is_ours=heard[address].is_ours,
            heard_at=heard[address].heard_at,
        )
        for one, address in zip(standing, record.recipients, strict=True)
    )


async def _files(connection: Connection, message: Message) -> tuple[Media, ...]:
    """Those of the message, in its order, that nobody objects to."""
    parts = parts_of(message.media)
    found = await MediaFiles(connection).find_many(message.service_sid, [part.sid for part in parts])
    files = (found.get(part.sid) for part in parts)
    return tuple(file for file in files if file is not None and file.quarantined_at is None)


async def _content(connection: Connection, message: Message) -> Content | None:
    if message.content_sid is None:
        return None
    return await Contents(connection).find(message.account_sid, message.content_sid)
