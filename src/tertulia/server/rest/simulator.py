"""Simulated phones: what they got, how they behave, what they write. Additions of ours, for trying things out.

They are there only where the setting ``channels.simulator`` is on, and reach nobody outside of this server. The network
that an account's phones are on is its simulator's: the one that serves all addresses while the account has no sender,
else its oldest gateway of the adapter ``simulator``, unless ``Gateway`` names one.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Annotated, Final
from urllib.parse import quote

import msgspec
from msgspec import UNSET, UnsetType

from tertulia.server.channels.base import NotNow, Refused
from tertulia.server.channels.simulator.channel import SimulatorChannel
from tertulia.server.channels.simulator.media import FILE_BYTES
from tertulia.server.channels.simulator.network import Unfit
from tertulia.server.channels.simulator.phones import Behaviour, Outcome, Phone, PhoneMessage
from tertulia.server.domain.addresses import canonical, check_address
from tertulia.server.domain.errors import (
    ADDRESS_EMPTY,
    BAD_ADDRESS,
    BAD_PARAMETER,
    BODY_TOO_LARGE,
    RESOURCE_NOT_FOUND,
    STATE_FORBIDS,
    UNAVAILABLE,
)
from tertulia.server.web.forms import Folded, Form, one_of
from tertulia.server.web.operations import Call, Operations
from tertulia.wire.requests import Reply

from .phone_views import PhoneList, PhoneMediaView, PhoneMessageList, PhoneMessageView, PhoneView, ReadView
from .views import FACE

OPERATIONS = Operations(FACE, "/simulator")

_PHONE: Final = "/Phones/{phone}"
_TYPE_CHARS: Final = 256
_NAME_CHARS: Final = 256
_BEHAVIOUR: Final = frozenset(Behaviour.__struct_fields__)


class NetworkQuery(Form, frozen=True, kw_only=True):
    """Which network, where an account has several."""

    gateway: str | UnsetType = UNSET


class MessagesQuery(NetworkQuery, frozen=True, kw_only=True):
    after: str | UnsetType = UNSET


class MediaQuery(NetworkQuery, frozen=True, kw_only=True):
    filename: str | UnsetType = UNSET


class Behave(NetworkQuery, frozen=True, kw_only=True):
    """What is not sent stays; ``null`` goes back to what the simulator is set to."""

    outcome: Annotated[Folded, one_of(*Outcome)] | UnsetType = UNSET
    error_code: str | UnsetType = UNSET
    delay_s: str | UnsetType = UNSET
    loss: str | UnsetType = UNSET
    reads_after_s: str | UnsetType = UNSET
    duplicates: str | UnsetType = UNSET
    is_reordered: str | UnsetType = UNSET


class Write(NetworkQuery, frozen=True, kw_only=True):
    """``To`` are addresses of ours, each gets a copy of its own; ``Others`` are phones. Both may be repeated."""

    to: list[str] | UnsetType = UNSET
    others: list[str] | UnsetType = UNSET
    body: str | None = None
    media_sid: list[str] | UnsetType = UNSET
    profile_name: str | None = None
    subject: str | None = None
    answers: str | UnsetType = UNSET


class Read(NetworkQuery, frozen=True, kw_only=True):
    message: str | UnsetType = UNSET


@OPERATIONS.operation("GET", "/Phones", query=NetworkQuery)
async def list_phones(call: Call) -> PhoneList:
    """The phones that something has happened to, by address; at most a thousand are remembered."""
    async with _simulator(call, call.query) as (sid, channel):
        return PhoneList([PhoneView.of(phone, sid) for phone in channel.network.phones])


@OPERATIONS.operation("GET", _PHONE, query=NetworkQuery)
async def fetch_phone(call: Call) -> PhoneView:
    """One phone: how it behaves, how much is on it."""
    async with _simulator(call, call.query) as (sid, channel):
        return PhoneView.of(_phone(call, channel), sid)


@OPERATIONS.operation("POST", _PHONE, Behave)
async def update_phone(call: Call, form: Behave) -> PhoneView:
    """Say what becomes of messages that are sent to the phone from now on; the phone is there from then."""
    async with _simulator(call, form) as (sid, channel):
        network, address = channel.network, _address(call)
        known = network.phones.find(address)
        return PhoneView.of(
            network.behave(address, _behaviour(form, known.behaviour if known is not None else Behaviour())), sid
        )


@OPERATIONS.operation("DELETE", _PHONE, query=NetworkQuery, status=204)
async def delete_phone(call: Call) -> None:
    """Forget the phone, what is on it and how it behaves."""
    async with _simulator(call, call.query) as (_, channel):
        if not channel.network.phones.forget(_address(call)):
            raise RESOURCE_NOT_FOUND()


@OPERATIONS.operation("GET", f"{_PHONE}/Messages", query=MessagesQuery)
async def list_phone_messages(call: Call) -> PhoneMessageList:
    """What is on the phone, oldest first, at most 200; with ``After`` what came after that message."""
    query: MessagesQuery = call.query
    async with _simulator(call, query) as (_, channel):
        phone = channel.network.phones.find(_address(call))
        if phone is None:
            return PhoneMessageList([])
        messages = phone.after(query.after or None)
        return PhoneMessageList([PhoneMessageView.of(message, phone, _url(call)) for message in messages])


@OPERATIONS.operation("POST", f"{_PHONE}/Messages", Write, status=201)
async def write_from_phone(call: Call, form: Write) -> PhoneMessageView:
    """The phone writes: to an address of ours, or to a group. The server hears of it as of any message that comes in.

    With ``Answers``, a message on the phone, ``To`` and ``Others`` are its people unless they are given.
    """
    async with _simulator(call, form) as (sid, channel):
        network, address = channel.network, _address(call)
        answered = _answered(call, channel, form.answers) if form.answers else None
        known_ours, known_others = _people(answered, address)
        to, others = _listed(form.to, known_ours), _listed(form.others, known_others)
        for ours in to:
            if not await _directory_serves(call, sid, ours):
                raise BAD_PARAMETER("To names an address that the simulator does not serve")
        try:
            message = network.write(
                address,
                to,
                others=others,
                text=form.body,
                media=form.media_sid or (),
                profile_name=form.profile_name,
                subject=form.subject,
                answered=answered,
            )
        except Unfit as unfit:
            raise BAD_PARAMETER(str(unfit)) from None
        return PhoneMessageView.of(message, network.phones.use(address), _url(call))


@OPERATIONS.operation("POST", f"{_PHONE}/Read", Read)
async def read_on_phone(call: Call, form: Read) -> ReadView:
    """The phone reads what it has got, or until ``Message``; the server hears of it where there are read receipts."""
    async with _simulator(call, form) as (_, channel):
        return ReadView(channel.network.read(_phone(call, channel).address, form.message or None))


@OPERATIONS.operation("POST", f"{_PHONE}/Media", query=MediaQuery, body="stream", status=201)
async def upload_phone_media(call: Call) -> PhoneMediaView:
    """Put a file on the phone, to be sent by ``MediaSid``: its bytes are the body, its type is ``Content-Type``."""
    query: MediaQuery = call.query
    assert call.incoming is not None, "the table says that it is streamed"
    content_type, filename = call.request.headers.get("content-type", "").strip(), query.filename or None
    if not content_type or len(content_type) > _TYPE_CHARS:
        raise BAD_PARAMETER("Content-Type says what the file is")
    if filename is not None and len(filename) > _NAME_CHARS:
        raise BAD_PARAMETER(f"Filename has at most {_NAME_CHARS} characters")
    async with _simulator(call, query) as (_, channel):
        _address(call)
        content = bytearray()
        async for piece in call.incoming.pieces():
            content += piece
            if len(content) > FILE_BYTES:
                raise BODY_TOO_LARGE(f"A phone sends no file of more than {FILE_BYTES} bytes")
        kept = channel.network.shelf.keep(bytes(content), len(content), content_type, filename)
        return PhoneMediaView.of(kept, _url(call))


@OPERATIONS.operation("GET", f"{_PHONE}/Media/{{media}}", query=NetworkQuery)
async def fetch_phone_media(call: Call) -> Reply:
    """The bytes of a file on the phone."""
    async with _simulator(call, call.query) as (_, channel):
        found = channel.network.shelf.find(call.path["media"])
    if found is None:
        raise RESOURCE_NOT_FOUND()
    media, content = found
    # Strangers wrote it: no browser takes it for a page of ours.
    headers = (
        ("Content-Type", "application/octet-stream" if _is_odd(media.content_type) else media.content_type),
        ("Content-Disposition", "attachment"),
        ("X-Content-Type-Options", "nosniff"),
        ("Content-Security-Policy", "default-src 'none'; sandbox"),
    )
    return Reply(200, content, headers)


# --- where


@contextlib.asynccontextmanager
async def _simulator(call: Call, named: NetworkQuery) -> AsyncIterator[tuple[str, SimulatorChannel]]:
    """The account's simulated network, and the SID of its gateway; 404 while the setting is off."""
    assert call.channels is not None, "the composition gives them"
    assert call.gateways is not None, "the composition gives it"
    if not call.settings.channels.simulator:
        raise RESOURCE_NOT_FOUND()
    sid = await call.gateways.simulator(call.caller.account_sid, named.gateway or None)
    if sid is None and named.gateway:
        raise BAD_PARAMETER("Gateway names no simulator of the account")
    if sid is None:
        raise STATE_FORBIDS("The account has senders, and none of its gateways is a simulator")
    try:
        async with call.channels.use(sid) as channel:
            if not isinstance(channel, SimulatorChannel):
                raise RESOURCE_NOT_FOUND()
            yield sid, channel
    except Refused as gone:
        raise RESOURCE_NOT_FOUND() from gone
    except NotNow as busy:
        raise UNAVAILABLE(busy.why) from busy


def _address(call: Call) -> str:
    address = canonical(call.path["phone"])
    check_address(address, ADDRESS_EMPTY, BAD_ADDRESS)
    return address


def _phone(call: Call, channel: SimulatorChannel) -> Phone:
    phone = channel.network.phones.find(_address(call))
    if phone is None:
        raise RESOURCE_NOT_FOUND()
    return phone


def _url(call: Call) -> str:
    return f"{call.root}/Phones/{quote(_address(call), safe='')}"


async def _directory_serves(call: Call, gateway_sid: str, address: str) -> bool:
    assert call.gateways is not None, "the composition gives it"
    return await call.gateways.is_served(call.caller.account_sid, gateway_sid, address)


# --- what


def _answered(call: Call, channel: SimulatorChannel, sid: str) -> PhoneMessage:
    phone = channel.network.phones.find(_address(call))
    found = next((one for one in phone.messages if one.sid == sid), None) if phone is not None else None
    if found is None:
        raise BAD_PARAMETER("Answers names no message on the phone")
    return found


def _people(answered: PhoneMessage | None, address: str) -> tuple[list[str], list[str]]:
    """Whom an answer to this message goes to: addresses of ours, and phones."""
    if answered is None:
        return [], []
    everybody = [one for one in (answered.sender, *answered.recipients) if one != address]
    return (
        [one for one in everybody if one in answered.ours],
        [one for one in everybody if one not in answered.ours],
    )


def _listed(given: list[str] | UnsetType, otherwise: list[str]) -> list[str]:
    if given is UNSET:
        return otherwise
    for address in given:
        check_address(address, ADDRESS_EMPTY, BAD_ADDRESS)
    return [canonical(address) for address in given]


def _behaviour(form: Behave, before: Behaviour) -> Behaviour:
    """Raises 20001 for what does not fit, with the parameter's name."""
    values = msgspec.to_builtins(before)
    for one in msgspec.structs.fields(Behave):
        text = getattr(form, one.name)
        if one.name in _BEHAVIOUR and text is not UNSET:
            values[one.name] = None if text.lower() == "null" else text
    unset = {name for name, value in values.items() if value is None}
    try:
        return msgspec.convert({name: values[name] for name in values if name not in unset}, Behaviour, strict=False)
    except msgspec.ValidationError as error:
        why, _, where = str(error).partition(" - at `$.")
        name = next((one.encode_name for one in msgspec.structs.fields(Behave) if one.name == where.rstrip("`")), where)
        why = why.partition(" '")[0]  # not what was sent
        raise BAD_PARAMETER(f"Invalid parameter {name}: {why}") from None


def _is_odd(content_type: str) -> bool:
    return not content_type.isascii() or not content_type.isprintable()
