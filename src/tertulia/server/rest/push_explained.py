"""Why devices were woken or not: additions of ours, outside of ``/v1`` (semantics 7.4).

Nothing in an answer says what a notification said, or how a device is reached.
"""

from __future__ import annotations

import msgspec

from tertulia.server.domain.notices import Delivery
from tertulia.server.domain.push_explained import Explanation
from tertulia.server.domain.values import second
from tertulia.server.engine.push_explaining import PushExplaining, key_of
from tertulia.server.web.operations import Call, Operations
from tertulia.server.web.paging import ListRule, Meta, PageQuery, Paging

from .views import FACE

OPERATIONS = Operations(FACE, "/push")
LIST = ListRule("explanations", size=50, most=100)


class DeviceView(msgspec.Struct, frozen=True):
    binding_sid: str
    binding_type: str
    credential_sid: str | None
    state: str
    """``waiting``, ``sent``, ``gone``, ``failed``, ``expired``, ``withdrawn`` or ``skipped``."""
    attempts: int
    answer: str | None
    """What its push service said the last time, or why nothing was sent."""
    date_updated: str

    @classmethod
    def of(cls, device: Delivery) -> DeviceView:
        return cls(
            binding_sid=device.registration_sid,
            binding_type=device.kind,
            credential_sid=device.credential_sid,
            state=device.state,
            attempts=device.attempts,
            answer=device.answer,
            date_updated=second(device.at),
        )


class ExplanationView(msgspec.Struct, frozen=True):
    identity: str | None
    participant_sid: str | None
    """Null of who is no member any more."""
    kind: str
    """``new_message``, ``added_to_conversation`` or ``removed_from_conversation``."""
    notice_sid: str | None
    """What devices know as ``twi_message_id``; null where nothing was planned, or nothing is known any more."""
    date_created: str | None
    """When it was decided who is told."""
    rang: bool
    """A push service has taken it for at least one of his devices."""
    reason: str | None
    """Why none rang, in words."""
    devices: list[DeviceView]

    @classmethod
    def of(cls, explained: Explanation) -> ExplanationView:
        notice = explained.notice
        return cls(
            identity=explained.identity,
            participant_sid=explained.participant_sid,
            kind=explained.kind,
            notice_sid=notice.sid if notice is not None else None,
            date_created=second(notice.created_at) if notice is not None else None,
            rang=explained.rang,
            reason=explained.why_not,
            devices=[DeviceView.of(device) for device in explained.devices],
        )


class ExplanationList(msgspec.Struct, frozen=True):
    meta: Meta
    explanations: list[ExplanationView]


@OPERATIONS.operation("GET", "/Messages/{message}", query=PageQuery)
async def explain_message(call: Call) -> ExplanationList:
    """Whose devices a message has woken, and why the others did not ring: one for each chat member, by identity."""
    paging = _paging(call)
    read = await _explaining(call).of_message(call.caller.account_sid, call.path["message"], paging.page)
    return _list(paging, read)


@OPERATIONS.operation("GET", "/Participants/{participant}", query=PageQuery)
async def explain_participant(call: Call) -> ExplanationList:
    """Whether somebody's devices told him that he was added, and that he was removed if he was, and why not."""
    paging = _paging(call)
    read = await _explaining(call).of_participant(call.caller.account_sid, call.path["participant"], paging.page)
    return _list(paging, read)


def _paging(call: Call) -> Paging[Explanation]:
    query: PageQuery = call.query
    return Paging(call, LIST, query)


def _explaining(call: Call) -> PushExplaining:
    assert call.push is not None, "the composition gives it"
    return call.push


def _list(paging: Paging[Explanation], read: list[Explanation]) -> ExplanationList:
    return ExplanationList(paging.meta(read, key_of), [ExplanationView.of(one) for one in paging.cut(read)])
