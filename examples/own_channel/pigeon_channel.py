"""Pigeon Post, a provider of SMS that does not exist, as a channel of Tertulia.

It takes `POST /messages` with a bearer token, and calls us with messages and reports, signed with a shared secret.
"""

import hashlib
import hmac
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from tertulia.server.channels.base import (
    Accepted,
    Adapter,
    Capabilities,
    Channel,
    ChannelMessage,
    Finding,
    Forged,
    Heard,
    NotNow,
    Refused,
    Surroundings,
    Unreadable,
    Unsure,
)
from tertulia.server.domain.channels import Incoming, Report
from tertulia.server.domain.receipts import ReceiptStatus
from tertulia.server.outgoing import Answer, Call, CallFailed
from tertulia.wire.requests import Request

Shape = TypeVar("Shape")
SECRET = {"secret": True}
CODES = {"unknown_number": 21211, "opted_out": 21610, "landline": 21614}
"""Our codes for the provider's: what is not here is 30008."""
STATES = {"flying": ReceiptStatus.SENT, "landed": ReceiptStatus.DELIVERED, "lost": ReceiptStatus.UNDELIVERED}


class PigeonSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One account with Pigeon Post. Printed without its secrets."""

    token: Annotated[str, Meta(description="Proves who we are.", min_length=1, extra=SECRET)]
    callback_secret: Annotated[str, Meta(description="Proves that callbacks are theirs.", min_length=16, extra=SECRET)]
    base_url: Annotated[str, Meta(description="Where the API is.")] = "https://api.pigeon.example"

    def __repr__(self) -> str:
        return f"PigeonSettings({self.base_url}, ***)"


class Taken(msgspec.Struct):
    id: str


class Problem(msgspec.Struct):
    error: str = ""


class Callback(msgspec.Struct, rename={"sender": "from", "recipient": "to"}):
    type: str
    id: str
    sender: str = ""
    recipient: str = ""
    text: str | None = None
    state: str = ""


class PigeonChannel(Channel):
    """Texts only: a message with a file arrives as words, or fails, before it comes here."""

    capabilities = Capabilities(text_chars=640, has_opt_out=True)
    repeats_safely = True  # Pigeon Post knows a repeat by its `reference`

    def __init__(self, settings: PigeonSettings, surroundings: Surroundings) -> None:
        self._settings = settings
        self._call = surroundings.call
        self._callback_url = surroundings.callback_url

    async def send(self, message: ChannelMessage) -> Accepted:
        wish = {
            "from": message.sender,
            "to": message.recipients[0],
            "text": message.text,
            "reference": message.sid,
            "callback": self._callback_url,
        }
        try:
            answer = await self._ask("POST", "/messages", msgspec.json.encode(wish))
        except CallFailed as failed:
            if failed.kind.nothing_sent:
                raise NotNow(f"Pigeon Post cannot be reached: {failed.detail}") from None
            raise Unsure(f"Pigeon Post did not answer: {failed.detail}") from None
        if answer.status == 202:
            taken = _read(answer.body, Taken)
            return Accepted(handles=(taken.id,) if taken else ())
        if answer.status in (401, 403):
            raise NotNow("Pigeon Post does not believe our token", is_alarming=True)
        if answer.status == 429 or answer.status >= 500:
            raise NotNow(f"Pigeon Post answered {answer.status}")
        problem = _read(answer.body, Problem)
        raise Refused(CODES.get(problem.error if problem else "", 30008), f"Pigeon Post answered {answer.status}")

    def hear(self, request: Request, url: str) -> Heard:
        secret = self._settings.callback_secret.encode()
        expected = hmac.new(secret, request.body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected.encode(), request.headers.get("x-pigeon-signature", "").encode()):
            raise Forged("the signature is another")
        told = _read(request.body, Callback)
        if told is None:
            raise Unreadable("it is not the JSON that was agreed on")
        if told.type == "message":
            incoming = Incoming(provider_id=told.id, sender=told.sender, recipient=told.recipient, text=told.text)
            return Heard(events=(incoming,))
        if told.state in STATES:
            code = 30003 if told.state == "lost" else 0
            return Heard(events=(Report(handle=told.id, status=STATES[told.state], error_code=code),))
        return Heard()

    async def check(self) -> list[Finding]:
        try:
            answer = await self._ask("GET", "/account")
        except CallFailed as failed:
            return [Finding(is_good=False, what=f"no answer: {failed.detail}", remedy="compare base_url")]
        if answer.status != 200:
            return [Finding(is_good=False, what=f"the token is refused ({answer.status})", remedy="set a new token")]
        return [Finding(is_good=True, what="the token is good")]

    async def _ask(self, method: str, path: str, body: bytes = b"") -> Answer:
        headers = (("Authorization", f"Bearer {self._settings.token}"), ("Content-Type", "application/json"))
        url = self._settings.base_url.rstrip("/") + path
        return await self._call(Call(method=method, url=url, headers=headers, body=body, total_s=15.0))


def _read(body: bytes, shape: type[Shape]) -> Shape | None:
    try:
        return msgspec.json.decode(body, type=shape)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


ADAPTER = Adapter(name="pigeon", kinds=frozenset({"sms"}), settings=PigeonSettings, open=PigeonChannel)
