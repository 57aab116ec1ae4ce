"""Content templates (rest 13.2). Bodies are JSON, ``PUT`` updates; a null member is one that was not sent."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET

from tertulia.server.domain import content as domain
from tertulia.server.domain.content import Approval, ApprovalStatus, Content
from tertulia.server.domain.content_types import TYPES, Types, read_types
from tertulia.server.domain.values import second
from tertulia.server.web.forms import described
from tertulia.server.web.operations import Call, Operations
from tertulia.server.web.paging import ListRule, Meta, PageQuery, Paging

from .views import FACE, PREFIX

OPERATIONS = Operations(FACE, PREFIX)
LIST = ListRule("contents", size=50, most=1000)

_TYPES: Any = described({"type": "object", "properties": {name: {"type": ["object", "null"]} for name in TYPES}})


class ContentLinks(msgspec.Struct, frozen=True):
    approval_create: str
    approval_fetch: str


class TemplateView(msgspec.Struct, frozen=True, kw_only=True):
    """What every view of a template shows."""

    sid: str
    account_sid: str
    friendly_name: str
    language: str
    variables: dict[str, str]
    types: Types
    date_created: str
    date_updated: str


def _facts(content: Content) -> dict[str, Any]:
    return {
        "sid": content.sid,
        "account_sid": content.account_sid,
        "friendly_name": content.friendly_name,
        "language": content.language,
        "variables": content.variables,
        "types": content.types,
        "date_created": second(content.created_at),
        "date_updated": second(content.updated_at),
    }


class ContentView(TemplateView, frozen=True, kw_only=True):
    url: str
    links: ContentLinks

    @classmethod
    def of(cls, content: Content, root: str) -> ContentView:
        url = f"{root}/Content/{content.sid}"
        links = ContentLinks(f"{url}/ApprovalRequests/whatsapp", f"{url}/ApprovalRequests")
        return cls(**_facts(content), url=url, links=links)


class ContentList(msgspec.Struct, frozen=True):
    meta: Meta
    contents: list[ContentView]


class ApprovalView(msgspec.Struct, frozen=True):
    name: str
    category: str
    content_type: str
    status: str
    rejection_reason: str
    allow_category_change: bool

    @classmethod
    def of(cls, approval: Approval | None, status: ApprovalStatus | None = None) -> ApprovalView:
        """What was asked for; UNVERIFIED: empty and ``unsubmitted`` where nothing was."""
        if approval is None:
            return _UNSUBMITTED
        return cls(
            name=approval.name,
            category=approval.category,
            content_type=approval.content_type,
            status=status or approval.status,
            rejection_reason=approval.rejection_reason,
            allow_category_change=approval.allow_category_change,
        )


_UNSUBMITTED = ApprovalView("", "", "", ApprovalStatus.UNSUBMITTED, "", True)


class WhatsappApprovalView(ApprovalView, frozen=True, tag_field="type", tag="whatsapp"):
    """The same, which says of which channel it is."""


class ApprovalsView(msgspec.Struct, frozen=True):
    sid: str
    account_sid: str
    whatsapp: WhatsappApprovalView
    url: str


class ContentAndApprovalsView(TemplateView, frozen=True, kw_only=True):
    approval_requests: ApprovalView

    @classmethod
    def of(cls, content: Content) -> ContentAndApprovalsView:
        return cls(**_facts(content), approval_requests=ApprovalView.of(content.approval))


class ContentAndApprovalsList(msgspec.Struct, frozen=True):
    meta: Meta
    contents: list[ContentAndApprovalsView]


class LegacyContentView(TemplateView, frozen=True, kw_only=True):
    """A template that was one of WhatsApp alone before there were contents."""

    legacy_template_name: str
    legacy_body: str
    url: str


class LegacyContentList(msgspec.Struct, frozen=True):
    meta: Meta
    contents: list[LegacyContentView]


class CreateContent(msgspec.Struct, frozen=True, kw_only=True):
    friendly_name: str | None = None
    variables: dict[str, str] | None = None
    language: str
    types: Annotated[msgspec.Raw, _TYPES]


class UpdateContent(msgspec.Struct, frozen=True, kw_only=True):
    friendly_name: str | None = None
    variables: dict[str, str] | None = None
    language: str | None = None
    types: Annotated[msgspec.Raw, _TYPES]


class RequestApproval(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    category: str


@OPERATIONS.operation("POST", "/Content", CreateContent, status=201, body="json")
async def create_content(call: Call, form: CreateContent) -> ContentView:
    """Keep a template: what it says in one or several types, and what its placeholders hold unless told otherwise."""
    content = await call.execute(
        domain.CreateContent(
            friendly_name=form.friendly_name or "",
            language=form.language,
            variables=form.variables or {},
            types=read_types(bytes(form.types)),
        )
    )
    return ContentView.of(content, call.root)


@OPERATIONS.operation("GET", "/Content", query=PageQuery)
async def list_contents(call: Call) -> ContentList:
    """The templates of the account, by age."""
    paging: Paging[Content] = Paging(call, LIST, call.query)
    read = await call.queries.contents.all(call.caller, paging.page)
    root = call.root
    return ContentList(paging.meta(read, _key), [ContentView.of(one, root) for one in paging.cut(read)])


@OPERATIONS.operation("GET", "/ContentAndApprovals", query=PageQuery)
async def list_contents_and_approvals(call: Call) -> ContentAndApprovalsList:
    """The same, with what came of their approval requests."""
    paging: Paging[Content] = Paging(call, LIST, call.query)
    read = await call.queries.contents.all(call.caller, paging.page)
    return ContentAndApprovalsList(
        paging.meta(read, _key), [ContentAndApprovalsView.of(one) for one in paging.cut(read)]
    )


@OPERATIONS.operation("GET", "/LegacyContent", query=PageQuery)
async def list_legacy_contents(call: Call) -> LegacyContentList:
    """None, for there never were templates of the older kind here that could have become contents."""
    paging: Paging[Content] = Paging(call, LIST, call.query)
    return LegacyContentList(paging.meta([], _key), [])


@OPERATIONS.operation("GET", "/Content/{content}")
async def fetch_content(call: Call) -> ContentView:
    """One template."""
    return ContentView.of(await _found(call), call.root)


@OPERATIONS.operation("PUT", "/Content/{content}", UpdateContent, body="json")
async def update_content(call: Call, form: UpdateContent) -> ContentView:
    """Replace what a template says; it is unsubmitted again when that is something else."""
    content = await call.execute(
        domain.UpdateContent(
            content=call.path["content"],
            friendly_name=UNSET if form.friendly_name is None else form.friendly_name,
            language=UNSET if form.language is None else form.language,
            variables=UNSET if form.variables is None else form.variables,
            types=read_types(bytes(form.types)),
        )
    )
    return ContentView.of(content, call.root)


@OPERATIONS.operation("DELETE", "/Content/{content}", status=204)
async def delete_content(call: Call) -> None:
    """Remove a template; messages that were made from it keep what they show."""
    await call.execute(domain.DeleteContent(content=call.path["content"]))


@OPERATIONS.operation("POST", "/Content/{content}/ApprovalRequests/whatsapp", RequestApproval, status=201, body="json")
async def request_approval(call: Call, form: RequestApproval) -> ApprovalView:
    """Ask for a template to be approved for WhatsApp."""
    content = await call.execute(
        domain.RequestApproval(content=call.path["content"], name=form.name, category=form.category)
    )
    return ApprovalView.of(content.approval, ApprovalStatus.RECEIVED)


@OPERATIONS.operation("GET", "/Content/{content}/ApprovalRequests")
async def fetch_approval_requests(call: Call) -> ApprovalsView:
    """What came of a template's approval request."""
    content = await _found(call)
    whatsapp = WhatsappApprovalView(*msgspec.structs.astuple(ApprovalView.of(content.approval)))
    url = f"{call.root}/Content/{content.sid}/ApprovalRequests"
    return ApprovalsView(content.sid, content.account_sid, whatsapp, url)


async def _found(call: Call) -> Content:
    return await call.queries.contents.one(call.caller, call.path["content"])


def _key(content: Content) -> str:
    return content.sid
