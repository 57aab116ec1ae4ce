"""Devices that want to be woken (client-commands 4.11).

Clients repeat a refused registration without end and let nothing else through meanwhile, so every well-formed one is
taken, and forgetting what is not known is a success.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from tertulia.server.domain.push import PUSH_KINDS, RegisterPush, RemovePush
from tertulia.server.web.forms import Tolerant, one_of
from tertulia.server.web.operations import Call, Operations

OPERATIONS = Operations("client")

_ALL = "/v1/registrations"

Kind = Annotated[str, one_of(*PUSH_KINDS)]


class Device(msgspec.Struct, frozen=True):
    registration_id: str
    """The device token; of a browser, its subscription as JSON."""


class RegisterBody(Tolerant, frozen=True):
    channel_type: Kind
    data: Device
    message_types: tuple[str, ...] | None = None


class RemoveBody(Tolerant, frozen=True):
    binding_type: Kind
    address: str


class RegistrationView(msgspec.Struct, frozen=True):
    id: str


@OPERATIONS.operation("POST", _ALL, RegisterBody, status=201, body="json")
async def register_push(call: Call, body: RegisterBody) -> RegistrationView:
    wish = RegisterPush(kind=body.channel_type, address=body.data.registration_id, message_types=body.message_types)
    return RegistrationView((await call.execute(wish)).sid)


@OPERATIONS.operation("DELETE", _ALL, RemoveBody, status=204, body="json")
async def remove_push_by_device(call: Call, body: RemoveBody) -> None:
    await call.execute(RemovePush(kind=body.binding_type, address=body.address))


@OPERATIONS.operation("DELETE", _ALL + "/{registration}", status=204)
async def remove_push(call: Call) -> None:
    await call.execute(RemovePush(sid=call.path["registration"]))
