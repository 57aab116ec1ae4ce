"""Typing: the others learn it, nothing is kept (client-commands 4.6)."""

from __future__ import annotations

import msgspec

from tertulia.server.web.forms import Form
from tertulia.server.web.operations import Call, Operations

from .links import TYPING

OPERATIONS = Operations("client")


class TypingForm(Form, frozen=True, kw_only=True):
    channel_sid: str


class TypingView(msgspec.Struct, frozen=True):
    """Clients repeat at most once in this time; an answer without an object breaks them (realtime 15.31)."""

    typing_timeout: int


@OPERATIONS.operation("POST", TYPING, TypingForm)
async def post_typing(call: Call, form: TypingForm) -> TypingView:
    await call.typing.typing(call.caller, form.channel_sid)
    return TypingView(call.typing.timeout_s)
