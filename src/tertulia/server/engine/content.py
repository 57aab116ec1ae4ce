"""Content templates: keeping, changing, submitting, forgetting; and what a message made from one shows (rest 13.2)."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import msgspec
from msgspec import UNSET

from tertulia.server.domain.content import (
    Approval,
    Content,
    ContentCreated,
    ContentDeleted,
    ContentUpdated,
    CreateContent,
    DeleteContent,
    RequestApproval,
    UpdateContent,
)
from tertulia.server.domain.errors import CONTENT_UNKNOWN, RESOURCE_NOT_FOUND, STATE_FORBIDS
from tertulia.server.domain.media import Media, MediaCategory
from tertulia.server.domain.messages import SendMessage
from tertulia.server.domain.rendering import render

from .rules import handles
from .scenes import AccountScene, in_account
from .unit import Unit

_variables = msgspec.json.Decoder(dict[str, str]).decode


@handles(CreateContent, on=in_account, for_clients=False)
async def create_content(unit: Unit, command: CreateContent, _scene: AccountScene) -> Content:
    content = Content(
        sid=unit.new_sid("HX"),
        account_sid=unit.caller.account_sid,
        friendly_name=command.friendly_name,
        language=command.language,
        variables=command.variables,
        types=command.types,
        approval=None,
        created_at=unit.now,
        updated_at=unit.now,
    )
    await unit.contents.add(content)
    unit.record(ContentCreated(content=content))
    return content


@handles(UpdateContent, on=in_account, for_clients=False)
async def update_content(unit: Unit, command: UpdateContent, _scene: AccountScene) -> Content:
    before = await _locked(unit, command.content)
    edited = msgspec.structs.replace(
        before,
        friendly_name=before.friendly_name if command.friendly_name is UNSET else command.friendly_name,
        language=before.language if command.language is UNSET else command.language,
        variables=before.variables if command.variables is UNSET else command.variables,
        types=command.types,
    )
    if edited == before:
        return before
    said = (before.language, before.variables, before.types)
    is_another = (edited.language, edited.variables, edited.types) != said
    content = msgspec.structs.replace(edited, approval=None if is_another else before.approval, updated_at=unit.now)
    return await _saved(unit, content, before)


@handles(DeleteContent, on=in_account, for_clients=False)
async def delete_content(unit: Unit, command: DeleteContent, _scene: AccountScene) -> None:
    content = await _locked(unit, command.content)
    await unit.contents.remove(content.sid)
    unit.record(ContentDeleted(content=content))


@handles(RequestApproval, on=in_account, for_clients=False)
async def request_approval(unit: Unit, command: RequestApproval, _scene: AccountScene) -> Content:
    before = await _locked(unit, command.content)
    # UNVERIFIED: which type of several is submitted; the richest is what a message would show.
    approval = Approval(name=command.name, category=command.category.upper(), content_type=before.types.richest)
    if before.approval is not None:
        if before.approval == approval:
            return before
        raise STATE_FORBIDS(f"The content has been submitted as {before.approval.name!r} already; update it first")
    content = msgspec.structs.replace(before, approval=approval, updated_at=unit.now)
    return await _saved(unit, content, before)


async def _saved(unit: Unit, content: Content, before: Content) -> Content:
    await unit.contents.save(content, before)
    unit.record(ContentUpdated(content=content, before=before))
    return content


async def _locked(unit: Unit, sid: str) -> Content:
    content = await unit.contents.lock(unit.caller.account_sid, sid)
    if content is None:
        raise RESOURCE_NOT_FOUND()
    return content


# --- messages


class Composed(NamedTuple):
    """What a message made from a template shows: its text, and its rich body as a file to attach, if it has one."""

    body: str | None
    files: tuple[Media, ...]


async def compose(unit: Unit, command: SendMessage, service_sid: str) -> Composed:
    """What the command's template says with its variables. Body and media are not listened to (semantics 4.7).

    UNVERIFIED: a body that a hook has put in is what the message shows, and it has no rich body then, which would say
    what the hook did not want said.
    Raises 404/20404 for a template that the account does not have, 50542 for one that conversations cannot show, and
    50504 when it becomes too long.
    """
    content = await unit.contents.find(unit.caller.account_sid, command.content_sid or "")
    if content is None:
        raise CONTENT_UNKNOWN(f"The content {command.content_sid} was not found")
    rendered = render(content, _variables(command.content_variables or "{}"))
    if "body" in unit.amended and command.body:
        return Composed(command.body, ())
    data = rendered.data.encode()
    file = Media(
        sid=unit.new_sid("ME"),
        account_sid=content.account_sid,
        service_sid=service_sid,
        author=unit.caller.author,
        category=MediaCategory.BODY,
        filename=None,
        content_type=rendered.content_type,
        size=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        blob=None,
        inline=rendered.data,
        conversation_sid=None,
        message_sid=None,
        quarantined_at=None,
        created_at=unit.now,
        updated_at=unit.now,
    )
    await unit.media.add(file)
    return Composed(rendered.body, (file,))
