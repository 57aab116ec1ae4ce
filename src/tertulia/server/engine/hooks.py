"""Asking the receiver of a pre-action hook before a command is decided (semantics 1.5)."""

from __future__ import annotations

import logging
from typing import Any, Final
from uuid import uuid4

import msgspec

from tertulia.server import observe
from tertulia.server.domain.errors import BAD_PARAMETER, HOOK_REJECTED
from tertulia.server.domain.webhooks import HookSettings, Parameters
from tertulia.server.outgoing import CallFailed

from .webhook_calls import WebhookCall, WebhookCalls
from .webhook_events import AMENDABLE

log = logging.getLogger(__name__)

NULLABLE: Final = frozenset(("friendly_name", "body"))
"""What an answer may take away by null."""

_decode = msgspec.json.Decoder(dict[str, Any]).decode


class Proposal(msgspec.Struct, frozen=True):
    """What somebody is about to do, as its receiver is told."""

    event: str
    account_sid: str
    parameters: Parameters


class PreHooks:
    """Asks the receiver of a pre-action hook."""

    def __init__(self, calls: WebhookCalls) -> None:
        self._calls = calls

    async def ask(self, hook: HookSettings, proposal: Proposal) -> dict[str, str | None]:
        """The fields of the command that the answer replaces.

        Raises 50056 when the receiver says no. No answer within five seconds lets the command pass (semantics 1.5).
        """
        assert hook.pre_url is not None, "only a hook that wants to be asked is"
        call = WebhookCall(
            account_sid=proposal.account_sid,
            url=hook.pre_url,
            method=hook.method or "POST",
            parameters=proposal.parameters,
            token=str(uuid4()),
        )
        facts = {"webhook_event": proposal.event, "webhook": hook.owner_sid, "receiver": call.receiver}
        try:
            answer = await self._calls.patiently(call)
        except CallFailed as failure:
            timed_out = failure.kind.endswith("timeout")
            code = 50076 if timed_out else 50057
            observe.WEBHOOKS.labels(proposal.event, "no_answer").inc()
            log.warning("webhook.no_answer", extra=observe.fields(**facts, code=code, why=str(failure.kind)))
            return {}
        if answer.status >= 400:
            observe.WEBHOOKS.labels(proposal.event, "rejected").inc()
            log.info("webhook.rejected", extra=observe.fields(**facts, status=answer.status))
            raise HOOK_REJECTED()
        if answer.status >= 300:
            observe.WEBHOOKS.labels(proposal.event, "no_answer").inc()
            log.warning("webhook.no_answer", extra=observe.fields(**facts, code=50057, why="redirect"))
            return {}
        observe.WEBHOOKS.labels(proposal.event, "passed").inc()
        if not answer.body.strip():
            return {}
        try:
            if answer.is_truncated:
                raise msgspec.DecodeError("longer than we read")
            said = _decode(answer.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            log.warning("webhook.unreadable", extra=observe.fields(**facts, status=answer.status))
            return {}
        return {field: _replacement(field, said[field]) for field in AMENDABLE.get(proposal.event, ()) if field in said}


def _replacement(field: str, value: Any) -> str | None:
    """A text, or None where that clears something; attributes may also come as the object itself."""
    if isinstance(value, str) or (value is None and field in NULLABLE):
        if value is not None and "\0" in value:
            raise BAD_PARAMETER(f"The webhook's {field} contains a NUL character")
        return value
    if field == "attributes" and isinstance(value, dict):
        return msgspec.json.encode(value).decode()
    raise BAD_PARAMETER(f"The webhook's {field} is no text")
