"""Content templates: what they are, what one may ask for, what can become true (rest 13.2)."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from . import limits
from .base import Change, Command, Entity
from .content_types import Types
from .errors import BAD_PARAMETER
from .values import check_friendly_name

_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,3}([_-][A-Za-z0-9]{2,8}){0,3}", re.ASCII)
CATEGORIES: Final = ("UTILITY", "MARKETING", "AUTHENTICATION", "TRANSACTIONAL")
"""Categories that WhatsApp knows; the last is what the first was called before."""


class ApprovalStatus(StrEnum):
    UNSUBMITTED = "unsubmitted"
    RECEIVED = "received"
    """The request itself is answered with it."""
    APPROVED = "approved"


DECIDED: Final = ApprovalStatus.APPROVED
"""What a request comes to, at once.

UNVERIFIED: nobody reviews templates here; the hosted service asks WhatsApp, and tells what it said. A request is the
account holder's word that the template is approved there. Where that is not so, WhatsApp refuses the message.
"""


class Approval(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for, and what came of it."""

    name: str
    category: str
    content_type: str
    """Of the template's types, the one that was submitted."""
    status: ApprovalStatus = DECIDED
    rejection_reason: str = ""
    allow_category_change: bool = True


class Content(Entity, frozen=True):
    """A template: what it says in one or several types, and what its placeholders hold unless told otherwise."""

    sid: str
    account_sid: str
    friendly_name: str
    language: str
    variables: dict[str, str]
    types: Types
    approval: Approval | None
    """For WhatsApp; None until it is asked for."""
    created_at: int
    updated_at: int


def check_defaults(variables: dict[str, str]) -> None:
    """They may be sent back as ``ContentVariables`` as they are, which clients do; else 20001."""
    if len(variables) > limits.CONTENT_VARIABLES:
        raise BAD_PARAMETER(f"variables has {len(variables)} members, {limits.CONTENT_VARIABLES} are allowed")
    for key, value in variables.items():
        if not key or len(key) > limits.CONTENT_VARIABLE_KEY_CHARS:
            raise BAD_PARAMETER(f"A key of variables has 1 to {limits.CONTENT_VARIABLE_KEY_CHARS} characters")
        if len(value) > limits.CONTENT_VARIABLE_VALUE_CHARS:
            raise BAD_PARAMETER(f"A value of variables has at most {limits.CONTENT_VARIABLE_VALUE_CHARS} characters")


def _check_language(language: str) -> None:
    if not _LANGUAGE.fullmatch(language):
        raise BAD_PARAMETER("language is a language code, for instance en or pt_BR")


class CreateContent(Command[Content], frozen=True, kw_only=True):
    friendly_name: str = ""
    language: str
    variables: dict[str, str] = msgspec.field(default_factory=dict)
    types: Types

    def check(self) -> None:
        check_friendly_name(self.friendly_name)
        _check_language(self.language)
        check_defaults(self.variables)


class UpdateContent(Command[Content], frozen=True, kw_only=True):
    """Replace what the template says; what is not sent stays.

    UNVERIFIED: a template that has become another one is unsubmitted, whatever was approved before.
    """

    content: str
    friendly_name: str | UnsetType = UNSET
    language: str | UnsetType = UNSET
    variables: dict[str, str] | UnsetType = UNSET
    types: Types

    def check(self) -> None:
        if self.friendly_name is not UNSET:
            check_friendly_name(self.friendly_name)
        if self.language is not UNSET:
            _check_language(self.language)
        if self.variables is not UNSET:
            check_defaults(self.variables)


class DeleteContent(Command[None], frozen=True, kw_only=True):
    """Remove a template; messages that were made from it keep what they show."""

    content: str


class RequestApproval(Command[Content], frozen=True, kw_only=True):
    """Ask for a template to be approved for WhatsApp; once, 409/20409 for another name or category."""

    content: str
    name: str
    category: str

    def check(self) -> None:
        if not 1 <= len(self.name) <= limits.APPROVAL_NAME_CHARS:
            raise BAD_PARAMETER(f"name has 1 to {limits.APPROVAL_NAME_CHARS} characters")
        if self.category.upper() not in CATEGORIES:
            raise BAD_PARAMETER(f"category is one of {', '.join(CATEGORIES)}")


class ContentCreated(Change, frozen=True, kw_only=True):
    content: Content


class ContentUpdated(Change, frozen=True, kw_only=True):
    content: Content
    before: Content


class ContentDeleted(Change, frozen=True, kw_only=True):
    content: Content
