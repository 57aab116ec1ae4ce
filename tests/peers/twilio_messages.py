"""Programmable Messaging as far as a client can tell it from the real one (gateways 8.2).

The official library is its client in ``tests/contract/channels/test_twilio_double.py``, and signs what it says.
"""

from __future__ import annotations

import base64
import re
import secrets
from typing import Any, Final
from urllib.parse import urlencode

from twilio.request_validator import RequestValidator

from .http_provider import Answered, Asked, HttpProvider

ACCOUNT: Final = "AC" + "a" * 32
TOKEN: Final = "upstream-token"
API_KEY: Final = "SK" + "b" * 32
API_SECRET: Final = "upstream-secret"
FORM: Final = "application/x-www-form-urlencoded"
MOST_BODY: Final = 1600
MOST_FILES: Final = 10
LONGEST_VALID_S: Final = 36_000


def error(status: int, code: int) -> Answered:
    """An error as Twilio writes it."""
    more = f"https://www.twilio.com/docs/errors/{code}"
    return Answered(status, {"code": code, "message": "Something is wrong.", "more_info": more, "status": status})


class TwilioMessages(HttpProvider):
    """One account. ``messages`` has what was taken, as forms."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: dict[str, dict[str, list[str]]] = {}
        self.reports_first: list[str] = []
        """Statuses that are reported of the next messages before they are answered."""
        self.files: dict[str, bytes] = {}
        self.account_status = "active"

    async def judged(self, asked: Asked) -> Answered:
        if asked.path.startswith("/elsewhere/"):
            return self._elsewhere(asked)
        if not self._is_known(asked):
            return error(401, 20003)
        root = f"/2010-04-01/Accounts/{ACCOUNT}"
        if asked.path == f"{root}.json":
            return Answered(200, {"sid": ACCOUNT, "status": self.account_status})
        if asked.path.startswith(f"{root}/Messages/"):
            name = asked.path.rpartition("/")[2]
            return (
                Answered(307, None, {"Location": f"{self.url}/elsewhere/{name}"})
                if name in self.files
                else error(404, 20404)
            )
        if asked.method == "POST" and asked.path == f"{root}/Messages.json":
            return await self._taken(asked)
        return error(404, 20404)

    def media_url(self, content: bytes) -> str:
        """Where a file of a message is kept: only who knows the account is told where it really is."""
        name = "ME" + secrets.token_hex(16)
        self.files[name] = content
        return f"{self.url}/2010-04-01/Accounts/{ACCOUNT}/Messages/MM{secrets.token_hex(16)}/Media/{name}"

    async def report(self, sid: str, status: str, error_code: int | None = None) -> int:
        """Tell the message's ``StatusCallback``; what it answers."""
        message = self.messages[sid]
        fields = {
            "AccountSid": ACCOUNT,
            "MessageSid": sid,
            "MessageStatus": status,
            "SmsSid": sid,
            "SmsStatus": status,
            "To": message["To"][0],
            "From": message.get("From", [""])[0],
            "ApiVersion": "2010-04-01",
        }
        if error_code is not None:
            fields["ErrorCode"] = str(error_code)
        return await self.say(message["StatusCallback"][0], fields)

    async def say(self, url: str, fields: dict[str, str], token: str = TOKEN) -> int:
        """A signed form; what it is answered with."""
        signature = RequestValidator(token).compute_signature(url, fields)
        body = urlencode(fields).encode()
        return await self.call(url, body, {"Content-Type": FORM, "X-Twilio-Signature": signature})

    async def _taken(self, asked: Asked) -> Answered:
        form: dict[str, list[str]] = {}
        for name, value in asked.form:
            form.setdefault(name, []).append(value)
        refusal = refusal_of(form)
        if refusal is not None:
            return refusal
        sid = ("MM" if "MediaUrl" in form else "SM") + secrets.token_hex(16)
        self.messages[sid] = form
        reports, self.reports_first = self.reports_first, []
        for status in reports:
            assert await self.report(sid, status) == 200
        return Answered(201, _message(sid, form))

    def _is_known(self, asked: Asked) -> bool:
        return asked.headers.get("Authorization") in (_basic(ACCOUNT, TOKEN), _basic(API_KEY, API_SECRET))

    def _elsewhere(self, asked: Asked) -> Answered:
        # As a bucket does: a request with credentials that are not its own is refused.
        if "Authorization" in asked.headers:
            return Answered(400, "Only one auth mechanism allowed")
        return Answered(200, self.files[asked.path.rpartition("/")[2]])


def refusal_of(form: dict[str, list[str]]) -> Answered | None:
    """Why Twilio would not take a message."""
    if not form.get("To"):
        return error(400, 21604)
    if not form.get("From") and not form.get("MessagingServiceSid"):
        return error(400, 21603)
    if not (form.get("Body") or form.get("MediaUrl") or form.get("ContentSid")):
        return error(400, 21619)
    if len(form.get("Body", [""])[0]) > MOST_BODY:
        return error(400, 21617)
    if len(form.get("MediaUrl", [])) > MOST_FILES:
        return error(400, 21623)
    if not re.fullmatch(r"(whatsapp:|rcs:)?\+[1-9]\d{6,14}|messenger:\d+", form["To"][0]):
        return error(400, 21211)
    valid = form.get("ValidityPeriod", ["14400"])[0]
    return None if valid.isdecimal() and 1 <= int(valid) <= LONGEST_VALID_S else error(400, 21624)


def _message(sid: str, form: dict[str, list[str]]) -> dict[str, Any]:
    body = form.get("Body", [""])[0]
    return {
        "sid": sid,
        "account_sid": ACCOUNT,
        "api_version": "2010-04-01",
        "body": body,
        "date_created": "Wed, 01 Jan 2025 00:00:00 +0000",
        "date_sent": None,
        "date_updated": "Wed, 01 Jan 2025 00:00:00 +0000",
        "direction": "outbound-api",
        "error_code": None,
        "error_message": None,
        "from": form.get("From", [None])[0],
        "messaging_service_sid": form.get("MessagingServiceSid", [None])[0],
        "num_media": str(len(form.get("MediaUrl", []))),
        "num_segments": str(max(-(-len(body) // 153), 1) if len(body) > 160 else 1),
        "price": None,
        "price_unit": "USD",
        "status": "queued",
        "subresource_uris": {},
        "to": form["To"][0],
        "uri": f"/2010-04-01/Accounts/{ACCOUNT}/Messages/{sid}.json",
    }


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
